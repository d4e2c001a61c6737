"""A pydantic-ai program under ``coati run``, nothing changed."""

from __future__ import annotations

from pathlib import Path

from run_checks import Run, failed, overlap

PROGRAM = Path(__file__).with_name("program.py")


def test_run(tmp_path: Path) -> None:
    run = Run(tmp_path, PROGRAM)
    assert run.root()["span"] == "invoke_agent planner"
    assert "attached to logging, opentelemetry, pydantic_ai" in run.summary
    assert sorted(run.children(run.root())) == [
        "chat planner-1",
        "chat planner-1",
        "execute_tool archive",
        "execute_tool research",
        "execute_tool weather",
        "execute_tool weather",
    ]
    bonn, rome = run.named("execute_tool weather")
    assert overlap(bonn, rome)
    assert overlap(rome, run.one("execute_tool research"))
    # Streaming: the model call lasts as long as its stream.
    assert run.path(run.one("chat teller-1"))[1:] == [
        "execute_tool research",
        "invoke_agent researcher",
        "chat teller-1",
    ]
    assert run.one("chat teller-1")["duration_ns"] > 6_000_000
    # The error is where it was raised, and where it passed.
    assert failed(run.one("execute_tool shelf")) == "LookupError"
    assert failed(run.one("invoke_agent archivist")) == "LookupError"
    assert run.one("execute_tool archive")["status"]["code"] == "unset"
    # Tokens: of each call once, and the program's own sum for its agent.
    output, used = run.stdout.split(".")
    assert output == "Go to Rome by train"
    planner = [call["attributes"] for call in run.named("chat planner-1")]
    names = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    assert [sum(call[name] for call in planner) for name in names] == [*map(int, used.split())]
    others = [run.one(f"chat {name}")["attributes"] for name in ("teller-1", "archive-1")]
    assert "4 model calls, 221 input and 54 output tokens" in run.summary
    assert run.tokens() == tuple(sum(call[name] for call in [*planner, *others]) for name in names)
    assert {line["message"]: run.logged_in(line["message"])["span"] for line in run.logs} == {
        "asking for Bonn": "execute_tool weather",
        "asking for Rome": "execute_tool weather",
        "found 3 pieces": "execute_tool research",
        "looking for a shelf": "execute_tool shelf",
        "the archive is closed": "execute_tool archive",
    }

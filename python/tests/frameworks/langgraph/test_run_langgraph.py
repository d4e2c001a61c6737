"""A LangGraph program under ``coati run``, nothing changed: each run of its graph is one trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_checks import Record, Run, failed, is_model_call

PROGRAM = Path(__file__).with_name("program.py")


def tokens(spans: list[Record]) -> tuple[int, int]:
    calls = [span["attributes"] for span in spans if is_model_call(span)]
    return (
        sum(call.get("gen_ai.usage.input_tokens", 0) for call in calls),
        sum(call.get("gen_ai.usage.output_tokens", 0) for call in calls),
    )


@pytest.mark.parametrize("argument", [[], ["async"]], ids=["threads", "asyncio"])
def test_run(tmp_path: Path, argument: list[str]) -> None:
    run = Run(tmp_path, PROGRAM, *argument)
    assert run.stdout == "forests of the Americas, fruit, insects\nfailed: no such page\n"
    assert any(line.startswith("attached to ") and "langchain" in line for line in run.summary)
    good, bad = run.named("invoke_workflow research")
    traces = {
        root["trace_id"]: [span for span in run.spans if span["trace_id"] == root["trace_id"]]
        for root in (good, bad)
    }
    assert sum(map(len, traces.values())) == len(run.spans)
    assert run.root(beside=traces[bad["trace_id"]]) == good
    assert run.root(beside=traces[good["trace_id"]]) == bad
    mine = traces[good["trace_id"]]

    def one(name: str) -> Record:
        (span,) = [span for span in mine if span["span"] == name]
        return span

    # Branches of the graph, and tools, under what asked for them.
    for branch in ("habitat", "diet"):
        assert run.path(one(branch)) == ["invoke_workflow research", branch]
    search, read = one("execute_tool search"), one("execute_tool read")
    assert run.path(search)[:-1] == run.path(read)[:-1]
    below = [span for span in mine if is_model_call(span)]
    assert sorted(run.path(span)[-2] for span in below) == ["diet", "diet", "habitat", "plan"]
    assert [one["status"]["code"] for one in mine if one["status"]["code"] == "error"] == []
    # What each of the calls says that it used: a plan, a stream, two answers.
    assert tokens(mine) == (1000 + 30 + 2 * 10, 50 + 6 + 2 * 2)
    errors = [span for span in run.spans if span["status"]["code"] == "error"]
    assert {span["trace_id"] for span in errors} == {bad["trace_id"]}
    assert {failed(span) for span in errors} == {"ValueError"}
    assert "execute_tool read" in {span["span"] for span in errors}
    assert "execute_tool search" not in {span["span"] for span in errors}
    spans = {span["span_id"]: span for span in run.spans}
    logs = [line for line in run.logs if line["logger"] == "research"]
    places = {(line["message"], spans[line["span_id"]]["span"]) for line in logs}
    assert ("looking at the diet", "diet") in places
    assert ("looking at the habitat", "habitat") in places
    assert ("searching for coatis", "execute_tool search") in places
    assert ("reading page 700", "execute_tool read") in places
    assert all(line["trace_id"] == spans[line["span_id"]]["trace_id"] for line in logs)

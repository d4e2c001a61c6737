"""A LangGraph program through coati, beside what LangChain's own tracer tells of the same run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coati
import coati.langchain
import coati.logging
import pytest
from coati.langchain import CallbackHandler
from conftest import Engine, Record
from langchain_core.runnables import config as runnables
from langchain_core.tracers import context
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langgraph._internal import _runnable

sys.path.insert(0, str(Path(__file__).parent))
import program


@pytest.fixture
def installed() -> Iterator[None]:
    coati.langchain.install()
    coati.logging.install("INFO", only=True)
    yield
    coati.logging.uninstall()
    coati.langchain.uninstall()


def run(fails: bool, asynchronous: bool, **config: Any) -> None:
    """Run the program's graph once."""
    graph = program.build(asynchronous=asynchronous)
    state, given = program.question(fails)
    given |= config

    async def everything() -> None:
        async for _ in graph.astream(state, given):
            pass

    try:
        asyncio.run(everything()) if asynchronous else list(graph.stream(state, given))
    except ValueError:
        assert fails


def parts(engine: Engine) -> tuple[list[Record], list[Record]]:
    """Spans and log lines."""
    records = engine.records()
    spans = [{"attributes": {}, **record} for record in records if "span" in record]
    return spans, [record for record in records if "span" not in record]


def runs_of(collector: RunCollectorCallbackHandler) -> Iterator[Any]:
    """All runs that LangChain's own tracer has seen."""
    waiting = list(collector.traced_runs)
    while waiting:
        run = waiting.pop()
        yield run
        waiting.extend(run.child_runs)


PREFIXES = {"chain": "", "tool": "execute_tool ", "llm": "chat ", "retriever": "retrieval "}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["threads", "asyncio"])
@pytest.mark.parametrize("fails", [False, True], ids=["well", "with an error"])
def test_tells_what_langchains_own_tracer_tells(
    engine: Engine, installed: None, fails: bool, asynchronous: bool
) -> None:
    collector = RunCollectorCallbackHandler()
    run(fails, asynchronous, callbacks=[collector])
    spans, _ = parts(engine)
    by_run = {span["attributes"]["langchain.run_id"]: span for span in spans}
    by_id = {span["span_id"]: span for span in spans}
    runs = {str(run.id): run for run in runs_of(collector)}
    assert by_run.keys() == runs.keys()
    assert len(runs) == (6 if fails else 12)
    for identity, theirs in runs.items():
        ours = by_run[identity]
        name = "gpt-4o" if theirs.run_type == "llm" else theirs.name
        prefix = PREFIXES[theirs.run_type] if theirs.parent_run_id else "invoke_workflow "
        assert ours["span"] == prefix + name
        parent = by_id.get(ours.get("parent_span_id"))
        if theirs.parent_run_id is None:
            assert parent is None
        else:
            assert parent is by_run[str(theirs.parent_run_id)]
            assert parent["start"] <= ours["start"] <= ours["end"] <= parent["end"]
        assert (ours["status"]["code"] == "error") == (theirs.error is not None)
        if theirs.error is not None:
            assert ours["attributes"]["error.type"] == "ValueError"
            assert ours["status"]["description"] == "no such page"
            assert theirs.error.startswith(repr(ValueError("no such page")))
        if theirs.run_type == "llm":
            told = theirs.outputs["generations"][0][0]["message"]["kwargs"]["usage_metadata"]
            of = ours["attributes"]
            assert of["gen_ai.usage.input_tokens"] == told["input_tokens"]
            assert of["gen_ai.usage.output_tokens"] == told["output_tokens"]
            cached = told.get("input_token_details", {}).get("cache_read")
            assert of.get("gen_ai.usage.cache_read.input_tokens") == cached
        assert theirs.end_time is not None
    assert len({span["trace_id"] for span in spans}) == 1


@pytest.mark.parametrize("asynchronous", [False, True], ids=["threads", "asyncio"])
def test_log_lines_belong_to_what_made_them(
    engine: Engine, installed: None, asynchronous: bool
) -> None:
    with coati.get_tracer("request").span("request"):
        run(False, asynchronous)
        program.log.info("afterwards")
    spans, logs = parts(engine)
    names = {span["span_id"]: span["span"] for span in spans}
    assert sorted((names[log["span_id"]], log["message"]) for log in logs) == sorted(
        [
            ("plan", "planning"),
            ("chat gpt-4o", "asking the model"),
            ("execute_tool search", "searching for coatis"),
            ("execute_tool read", "reading page 7"),
            ("habitat", "looking at the habitat"),
            # A stream runs in the context of who reads it.
            ("habitat", "asking the model"),
            ("diet", "looking at the diet"),
            ("chat gpt-4o", "asking the model"),
            ("chat gpt-4o", "asking the model"),
            ("summary", "3 notes"),
            ("request", "afterwards"),
        ]
    )
    roots = [span["span"] for span in spans if "parent_span_id" not in span]
    assert roots == ["request"]


def test_what_runs_and_models_tell(engine: Engine, installed: None) -> None:
    run(False, False)
    spans, _ = parts(engine)
    found = {span["span"]: span["attributes"] for span in spans}
    graph = found["invoke_workflow research"]
    assert graph["gen_ai.conversation.id"] == "thread-1"
    assert graph["langchain.tags"] == ["zoo"]
    assert graph["langchain.metadata.tenant"] == "t1"
    assert graph["gen_ai.workflow.name"] == "research"
    costs = [span["attributes"]["coati.usage.cost_usd"] for span in spans if "chat" in span["span"]]
    assert graph["coati.usage.total_cost_usd"] == pytest.approx(sum(costs))
    assert found["plan"]["langgraph.node"] == "plan"
    assert found["plan"]["langgraph.step"] == 1
    tool = found["execute_tool search"]
    assert tool["gen_ai.tool.call.id"] == "call-1"
    assert tool["gen_ai.tool.description"] == "Look something up."
    assert "gen_ai.tool.call.arguments" not in tool
    (stream,) = [s["attributes"] for s in spans if "coati.stream.chunks" in s["attributes"]]
    # Words, the spaces between them, and what was used.
    assert stream["coati.stream.chunks"] == 8
    assert stream["gen_ai.response.time_to_first_chunk"] > 0
    assert stream["gen_ai.usage.input_tokens"] == 30
    metrics = {metric.name for metric in coati.metrics.snapshot()}
    assert {
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.invoke_workflow.duration",
        "gen_ai.execute_tool.duration",
    } <= metrics


def test_contents_only_on_request(engine: Engine, installed: None) -> None:
    coati.configure(genai={"capture_content": True})
    run(False, False)
    spans, _ = parts(engine)
    found = {span["span"]: span["attributes"] for span in spans}
    assert found["execute_tool search"]["gen_ai.tool.call.arguments"] == {"query": "coatis"}
    assert found["execute_tool search"]["gen_ai.tool.call.result"] == "three pages about coatis"
    (asked,) = [
        s["attributes"] for s in spans if s["attributes"].get("gen_ai.usage.input_tokens") == 1000
    ]
    assert asked["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "What about coatis?"}]}
    ]
    calls = asked["gen_ai.output.messages"][0]["parts"]
    assert [call["name"] for call in calls] == ["search", "read"]
    assert calls[0]["arguments"] == {"query": "coatis"}


def test_a_handler_of_ones_own_is_told_once(engine: Engine) -> None:
    own = CallbackHandler()
    run(False, False, callbacks=[own])
    alone, _ = parts(engine)
    assert len(alone) == 12
    coati.langchain.install()
    try:
        run(False, False, callbacks=[own])
        beside, _ = parts(engine)
    finally:
        coati.langchain.uninstall()
    assert len(beside) == 12
    assert len(own._open) == 0


def test_uninstall_puts_back_what_was_there(engine: Engine) -> None:
    from langchain_core.language_models import BaseChatModel  # noqa: PLC0415

    def state() -> list[Any]:
        return [
            *context._configure_hooks,
            runnables._set_config_context,
            _runnable._set_config_context,
            BaseChatModel._generate_with_cache,
            BaseChatModel._agenerate_with_cache,
        ]

    coati.langchain.uninstall()
    before = state()
    handler = coati.langchain.install()
    assert coati.langchain.install() is handler
    run(False, False)
    assert len(state()) == len(before) + 1
    assert state()[-4:] != before[-4:]
    coati.langchain.uninstall()
    coati.langchain.uninstall()
    assert state() == before
    engine.records()
    run(False, False)
    assert engine.records() == []


@pytest.mark.parametrize("argument", ["", "async"], ids=["threads", "asyncio"])
def test_the_program_runs_unchanged_under_coati_run(tmp_path: Path, argument: str) -> None:
    file = tmp_path / "out.jsonl"
    sinks = json.dumps([{"type": "file", "path": str(file)}])
    command = [sys.executable, "-m", "coati", "run", "--", program.__file__]
    done = subprocess.run(
        [*command, *filter(None, [argument])],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**os.environ, "COATI_SINKS": sinks},
    )
    assert done.stdout == "forests of the Americas, fruit, insects\nfailed: no such page\n"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    spans = {record["span_id"]: record for record in records if "span" in record}
    roots = [span for span in spans.values() if "parent_span_id" not in span]
    assert [root["span"] for root in roots] == ["invoke_workflow research"] * 2
    assert {span["trace_id"] for span in spans.values()} == {root["trace_id"] for root in roots}
    failed = [span["span"] for span in spans.values() if span["status"]["code"] == "error"]
    assert failed == ["execute_tool read", "tools", "invoke_workflow research"]
    for log in (record for record in records if record.get("logger") == "research"):
        assert log["span_id"] in spans

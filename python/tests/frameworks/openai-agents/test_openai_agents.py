"""The OpenAI Agents SDK through coati, held against what the SDK itself tells of the same run."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import coati
import coati.logging
import coati.openai_agents
import pytest
from agents import RunConfig, Runner, custom_span, function_tool, set_trace_processors, trace
from agents.tracing import TracingProcessor, get_trace_provider
from coati import genai
from conftest import Engine
from run_checks import Run, failed, overlap
from span_tree import Tree

#: How spans are called by their type.
NAMES = {
    "agent": ("invoke_agent", "name"),
    "custom": ("", "name"),
    "function": ("execute_tool", "name"),
    "generation": ("chat", "model"),
    "handoff": ("handoff", "to_agent"),
    "response": ("chat", "model"),
    "turn": ("turn", "turn"),
}
USAGE = genai.Usage(120, 30, 100, None, 8)


class Recorder(TracingProcessor):
    """Keeps what the SDK tells."""

    def __init__(self) -> None:
        self.traces: dict[str, Any] = {}
        self.spans: dict[str, Any] = {}

    def on_trace_start(self, trace: Any) -> None:
        self.traces[trace.trace_id] = trace

    def on_trace_end(self, trace: Any) -> None: ...

    def on_span_start(self, span: Any) -> None: ...

    def on_span_end(self, span: Any) -> None:
        self.spans[span.span_id] = span

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...

    def name(self, span: Any) -> str:
        """What coati calls this span."""
        data = span.span_data
        begin, attribute = NAMES.get(data.type, (data.type, "name"))
        return f"{begin} {getattr(data, attribute)}".strip()

    def path(self, span: Any) -> tuple[str, ...]:
        """The names from the trace down to a span."""
        if span.parent_id is not None:
            above = self.path(self.spans[span.parent_id])
        else:
            above = (f"invoke_workflow {self.traces[span.trace_id].name}",)
        return (*above, self.name(span))

    def paths(self) -> Counter[tuple[str, ...]]:
        """All of them, traces included."""
        roots = [(f"invoke_workflow {trace.name}",) for trace in self.traces.values()]
        return Counter([*roots, *map(self.path, self.spans.values())])


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """The SDK's own report beside ours, and nothing else."""
    recorder = Recorder()
    set_trace_processors([recorder])
    yield recorder
    coati.openai_agents.uninstall()
    coati.logging.uninstall()
    genai.set_prices({})


def program() -> ModuleType:
    """The program afresh: its models have all their answers."""
    sys.modules.pop("program", None)
    return importlib.import_module("program")


def test_same_as_the_sdk_tells(engine: Engine, recorder: Recorder) -> None:
    genai.set_prices({"gpt-4o-mini": {"input": 1.0, "cache_read": 0.1, "output": 2.0}})
    coati.openai_agents.install(keep_others=True)
    coati.logging.install("INFO")
    asyncio.run(program().main())
    tree = Tree(engine.records())
    tree.check_connected()
    tree.check_lasts("execute_tool population", 0.015)
    assert tree.paths() == recorder.paths()
    root = tree.one("invoke_workflow journey")
    assert root["attributes"]["gen_ai.conversation.id"] == "thread-7"
    assert root["attributes"]["openai_agents.metadata.tenant"] == "acme"

    # Errors: the SDK's, and the exception where it gets out.
    broken_off = {tree.path(s["span_id"]) for s in tree.spans if s["status"]["code"] == "error"}
    told = {recorder.path(span) for span in recorder.spans.values() if span.error}
    assert told < broken_off
    tool = tree.one("execute_tool flights")
    assert tool["status"]["description"].startswith("Error running tool (non-fatal)")
    broken = tree.one("invoke_agent broken")
    assert broken["status"] == {"code": "error", "description": "model is away"}
    assert broken["attributes"]["error.type"] == "ConnectionError"
    assert {path[-1] for path in broken_off} == {
        "execute_tool flights",
        "task Agent workflow",
        "invoke_agent broken",
        "turn 1",
        "chat gpt-4o-mini",
    }

    # Tokens and cost: each call's own, cached ones once.
    calls = [c for c in tree.named("chat gpt-4o-mini") if c["status"]["code"] != "error"]
    mine = [s.span_data.usage for s in recorder.spans.values() if s.span_data.type == "generation"]
    assert [genai.Usage.of(usage) for usage in mine if usage] == [USAGE] * 5
    for call in calls:
        assert call["kind"] == "client"
        about = call["attributes"]
        assert about["gen_ai.usage.input_tokens"] == 120
        assert about["gen_ai.usage.cache_read.input_tokens"] == 100
        assert about["gen_ai.usage.output_tokens"] == 30
        assert about["gen_ai.usage.reasoning.output_tokens"] == 8
        assert about["gen_ai.request.temperature"] == 0.2
        assert about["coati.usage.cost_usd"] == pytest.approx((20 + 10 + 60) / 1e6)
    assert len(calls) == 5
    planner = tree.one("invoke_agent planner")["attributes"]
    assert planner["gen_ai.usage.input_tokens"] == 3 * 120
    task = next(s for s in recorder.spans.values() if s.span_data.type == "task")
    name = "openai_agents.usage.total_tokens"
    sums = [s.get("attributes", {}).get(name) for s in tree.named("task Agent workflow")]
    assert task.span_data.usage["total_tokens"] in sums


def test_logs_stand_in_the_spans_of_their_tools(engine: Engine, recorder: Recorder) -> None:
    coati.openai_agents.install()
    coati.logging.install("INFO")
    asyncio.run(program().main())
    tree = Tree(engine.records())
    assert {line["message"]: tree.log_place(line["message"]) for line in tree.logs} == {
        "listening": "guardrail polite",
        "asking for the weather": "execute_tool weather",
        "station answered": "station",
        "counting people": "execute_tool population",
        "no flights today": "execute_tool flights",
        "planned": "invoke_workflow journey",
    }
    # Nobody else has been told.
    assert not recorder.spans


def test_own_spans_lie_between(engine: Engine, recorder: Recorder) -> None:
    coati.openai_agents.install()
    tracer = coati.get_tracer("own")
    with tracer.span("request"), trace("work"), tracer.span("mine"), custom_span("inner", {"n": 1}):
        coati.get_logger("x").info("here")
    assert coati.current_span().trace_id == "0" * 32
    tree = Tree(engine.records())
    tree.check_connected()
    assert tree.path(tree.one("inner")["span_id"]) == (
        "request",
        "invoke_workflow work",
        "mine",
        "inner",
    )
    assert tree.log_place("here") == "inner"
    assert tree.one("inner")["attributes"] == {"openai_agents.data.n": 1}


def test_parents_given_by_name_and_spans_that_are_not_current(
    engine: Engine, recorder: Recorder
) -> None:
    coati.openai_agents.install()
    with trace("work") as around:
        background = custom_span("background", {})
        background.start()
        with custom_span("a", {}) as a, custom_span("b", {}), custom_span("of a", {}, parent=a):
            pass
        with custom_span("of work", {}, parent=around):
            background.finish()
            with custom_span("late", {}):
                coati.get_logger("x").info("here")
    tree = Tree(engine.records())
    assert tree.paths() == Counter(
        {
            ("invoke_workflow work",): 1,
            ("invoke_workflow work", "background"): 1,
            ("invoke_workflow work", "a"): 1,
            ("invoke_workflow work", "a", "b"): 1,
            ("invoke_workflow work", "a", "of a"): 1,
            ("invoke_workflow work", "of work"): 1,
            ("invoke_workflow work", "of work", "late"): 1,
        }
    )
    assert tree.log_place("here") == "late"


def test_runs_at_the_same_time_do_not_mix(engine: Engine, recorder: Recorder) -> None:
    coati.openai_agents.install()
    loaded = program()

    async def one(number: int) -> None:
        calls = [loaded.function_call("population", {"city": str(number)}, call_id="call")]
        model = loaded.scripted(calls, [loaded.assistant_message("Done.")])
        agent = loaded.Agent(name=f"agent {number}", model=model, tools=[loaded.population])
        await Runner.run(agent, "Count.", run_config=RunConfig(workflow_name=f"run {number}"))

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, range(20)))

    asyncio.run(all_of_them())
    tree = Tree(engine.records())
    expected: Counter[tuple[str, ...]] = Counter()
    for number in range(20):
        run = (f"invoke_workflow run {number}",)
        task = (*run, f"task run {number}")
        agent = (*task, f"invoke_agent agent {number}")
        first, second = (*agent, "turn 1"), (*agent, "turn 2")
        below = [(*turn, "chat gpt-4o-mini") for turn in (first, second)]
        expected.update([run, task, agent, first, second, *below])
        expected.update([(*first, "execute_tool population")])
    assert tree.paths() == expected
    assert len({span["trace_id"] for span in tree.spans}) == 20


def test_an_abandoned_stream_leaves_nothing_current(engine: Engine, recorder: Recorder) -> None:
    coati.openai_agents.install()
    loaded = program()

    async def main() -> str:
        writer = loaded.Agent(
            name="writer", model=loaded.scripted([loaded.assistant_message("Dear traveller.")])
        )
        result = Runner.run_streamed(writer, "Write.")
        async for _ in result.stream_events():
            break
        result.cancel()
        return coati.current_span().span_id

    assert asyncio.run(main()) == "0" * 16
    assert coati.current_span().span_id == "0" * 16


def test_contents_only_on_request(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coati.openai_agents.install()
    asyncio.run(program().plan())
    assert "Lisbon" not in json.dumps([s for s in engine.spans() if s["span"] != "station"])
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    engine.start()
    asyncio.run(program().plan())
    about = Tree(engine.records()).one("execute_tool weather")["attributes"]
    assert json.loads(about["gen_ai.tool.call.arguments"]) == {"city": "Lisbon"}
    assert about["gen_ai.tool.call.result"] == "sunny"


def test_a_run_that_is_resumed_stays_in_its_trace(engine: Engine, recorder: Recorder) -> None:
    coati.openai_agents.install()
    loaded = program()

    @function_tool(needs_approval=True)
    async def pay(amount: int) -> str:
        """Pays."""
        coati.get_logger("cashier").info("paying")
        return "paid"

    async def main() -> str:
        asks = [loaded.function_call("pay", {"amount": 3}, call_id="call")]
        model = loaded.scripted(asks, [loaded.assistant_message("Paid.")])
        agent = loaded.Agent(name="cashier", tools=[pay], model=model)
        waiting = await Runner.run(agent, "Pay.")
        state = waiting.to_state()
        for each in waiting.interruptions:
            state.approve(each)
        return str((await Runner.run(agent, state)).final_output)

    assert asyncio.run(main()) == "Paid."
    tree = Tree(engine.records())
    assert len({span["trace_id"] for span in tree.spans}) == 1
    assert len([span for span in tree.spans if "parent_span_id" not in span]) == 1
    assert tree.log_place("paying") == "execute_tool pay"


def test_commands_of_the_sdks_own_tools_are_contents(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coati.openai_agents.install()
    data = {"command": "cat secret", "exit_code": 0}

    def attributes() -> Any:
        with trace("work"), custom_span("Codex command execution", data):
            pass
        return Tree(engine.records()).one("Codex command execution")["attributes"]

    assert attributes() == {"openai_agents.data.exit_code": 0}
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    engine.start()
    assert attributes()["openai_agents.data.command"] == "cat secret"


def test_install_and_uninstall(engine: Engine, recorder: Recorder) -> None:
    multi = get_trace_provider()._multi_processor
    ours = coati.openai_agents.install()
    assert coati.openai_agents.install() is ours
    assert multi._processors == (ours,)
    assert isinstance(ours, TracingProcessor)
    coati.openai_agents.uninstall()
    coati.openai_agents.uninstall()
    assert multi._processors == (recorder,)
    both = coati.openai_agents.install(keep_others=True)
    assert multi._processors == (recorder, both)
    coati.openai_agents.uninstall()
    assert multi._processors == (recorder,)
    with trace("unseen"):
        pass
    assert engine.records() == []


def test_an_error_inside_stays_inside(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coati.openai_agents.install()

    def burst(*_: Any, **__: Any) -> Any:
        raise RuntimeError("in the adapter")

    monkeypatch.setattr(genai, "tool", burst)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging, "raiseExceptions", True)
        assert asyncio.run(program().plan()) == "Go to Lisbon by train."
    tree = Tree(engine.records())
    (line,) = [line for line in tree.logs if line["logger"] == "coati.openai_agents"]
    assert line["exception.message"] == "in the adapter"
    # What lies below a span that could not be made belongs to the trace all the same.
    assert tree.one("station")["trace_id"] == tree.one("invoke_workflow Agent workflow")["trace_id"]


def test_before_init_and_after_shutdown(recorder: Recorder) -> None:
    coati.shutdown(60)
    coati.openai_agents.install()
    assert asyncio.run(program().plan()) == "Go to Lisbon by train."
    engine = Engine()
    engine.start()
    with trace("between"):
        books = coati.shutdown(60)
        assert books["spans"]["open"] <= 1
    assert asyncio.run(program().plan()) == "Go to Lisbon by train."
    assert coati.current_span().span_id == "0" * 16


def test_what_never_ends_is_bounded(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = coati.openai_agents.install()
    monkeypatch.setattr(processor._open, "_limit", 10)
    with trace("work") as around:
        for number in range(100):
            custom_span(f"lost {number}", {}, parent=around).start()
        assert len(processor._open) == 10
    coati.openai_agents.uninstall()
    assert len(processor._open) == 0
    assert coati.current_span().span_id == "0" * 16
    lost = [span for span in engine.spans() if span["span"].startswith("lost")]
    assert len(lost) == 100
    assert all(span["attributes"]["coati.adapter.abandoned"] for span in lost)


def test_processors_that_are_set_later_go_beside(engine: Engine, recorder: Recorder) -> None:
    coati.openai_agents.install()
    later = Recorder()
    set_trace_processors([later])
    with trace("work"), custom_span("step", {}):
        pass
    assert len(later.spans) == 1
    assert len(engine.spans()) == 2
    coati.openai_agents.uninstall()
    assert get_trace_provider()._multi_processor._processors == (recorder, later)
    set_trace_processors([later])
    assert get_trace_provider()._multi_processor._processors == (later,)


def test_the_program_as_it_is(tmp_path: Path) -> None:
    run = Run(tmp_path, Path(__file__).with_name("program.py"), OPENAI_API_KEY="")
    assert json.loads(run.stdout) == {
        "planned": "Go to Lisbon by train.",
        "streamed": "Dear traveller.",
        "failed": "failed: model is away",
    }
    assert run.root()["span"] == "invoke_workflow journey"
    assert run.tokens() == (5 * 120, 5 * 30)
    assert failed(run.one("invoke_agent broken")) == "ConnectionError"
    assert run.logged_in("counting people")["span"] == "execute_tool population"
    assert overlap(run.one("execute_tool weather"), run.one("execute_tool flights"))

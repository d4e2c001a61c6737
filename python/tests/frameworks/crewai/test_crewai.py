"""CrewAI through coati, held against the events that CrewAI itself tells of the same run."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

#: CrewAI's own telemetry and prompts are off, and nothing is asked of the network.
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",
}
os.environ.update(QUIET)

import coati  # noqa: E402 - CrewAI reads its variables when it is imported
import coati.crewai  # noqa: E402
import coati.logging  # noqa: E402
from coati import genai  # noqa: E402
from conftest import Engine  # noqa: E402
from crewai.events import BaseEventListener  # noqa: E402
from crewai.events.base_events import BaseEvent  # noqa: E402
from crewai.events.event_bus import crewai_event_bus  # noqa: E402
from crewai.events.event_context import (  # noqa: E402
    SCOPE_ENDING_EVENTS,
    SCOPE_STARTING_EVENTS,
)
from crewai.events.types import memory_events as memory  # noqa: E402
from crewai.events.types.knowledge_events import (  # noqa: E402
    KnowledgeRetrievalCompletedEvent,
    KnowledgeRetrievalStartedEvent,
)
from run_checks import Run, failed, overlap  # noqa: E402
from span_tree import Tree  # noqa: E402


def all_events(of: type[BaseEvent] = BaseEvent) -> Iterator[type[BaseEvent]]:
    """All classes of events that there are."""
    for each in of.__subclasses__():
        yield each
        yield from all_events(each)


class Recorder(BaseEventListener):
    """Keeps what CrewAI tells a listener of its own kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.events: dict[str, Any] = {}
        self.hidden: set[str] = set()
        super().__init__()

    def setup_listeners(self, crewai_event_bus: Any) -> None:
        for kind in set(all_events()):
            crewai_event_bus.on(kind)(self.keep)

    def keep(self, source: Any, event: Any) -> None:
        with self._lock:
            self.events[event.event_id] = event
            if event.type == "flow_started" and source.suppress_flow_events:
                self.hidden.add(event.event_id)

    def name(self, event: Any) -> str:
        """What coati calls the span that an event begins."""
        names = {
            "agent_execution_started": lambda: f"invoke_agent {event.agent.role}",
            "crew_kickoff_started": lambda: f"invoke_workflow {event.crew_name}",
            "flow_started": lambda: f"invoke_workflow {event.flow_name}",
            "llm_call_started": lambda: f"chat {event.model}",
            "method_execution_started": lambda: f"{event.flow_name}.{event.method_name}",
            "task_started": lambda: f"task {event.task.name}",
            "tool_usage_started": lambda: f"execute_tool {event.tool_name}",
        }
        return names[event.type]()

    def path(self, event: Any) -> tuple[str, ...]:
        """The names from the root down to what an event begins; an agent's machinery has none."""
        above = self.path(self.events[event.parent_event_id]) if event.parent_event_id else ()
        return above if event.event_id in self.hidden else (*above, self.name(event))

    def started(self) -> list[Any]:
        """The events that begin a span."""
        kinds = SCOPE_STARTING_EVENTS
        return [e for i, e in self.events.items() if e.type in kinds and i not in self.hidden]

    def errors(self) -> dict[tuple[str, ...], str]:
        """What failed, and what CrewAI says of it."""
        ends = [e for e in self.events.values() if e.type in SCOPE_ENDING_EVENTS]
        bad = [e for e in ends if e.type.endswith(("_failed", "_error"))]
        shown = [e for e in bad if e.started_event_id not in self.hidden]
        return {self.path(self.events[e.started_event_id]): str(e.error) for e in shown}


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """CrewAI's own report beside ours."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    with crewai_event_bus.scoped_handlers():
        yield Recorder()
        coati.crewai.uninstall()
        coati.logging.uninstall()
        genai.set_prices({})


def program() -> ModuleType:
    """The program afresh."""
    sys.modules.pop("program", None)
    return importlib.import_module("program")


def test_same_as_its_events_tell(engine: Engine, recorder: Recorder) -> None:
    genai.set_prices({"gpt-4o-mini": {"input": 1.0, "cache_read": 0.1, "output": 2.0}})
    coati.crewai.install()
    program().Travel().kickoff()
    assert crewai_event_bus.flush(300)
    tree = Tree(engine.records())
    tree.check_connected()
    tree.check_lasts("execute_tool population", 0.015)
    assert tree.paths() == Counter(map(recorder.path, recorder.started()))

    # Errors: as the events say.
    mine = {
        tree.path(s["span_id"]): s["status"]["description"]
        for s in tree.spans
        if s["status"]["code"] == "error"
    }
    assert mine == recorder.errors()
    assert failed(tree.one("execute_tool flights")) == "TimeoutError"
    assert failed(tree.one("invoke_agent poor")) == "ConnectionError"

    # Tokens and cost: as the events have them, cached ones once.
    answers = [e for e in recorder.events.values() if e.type == "llm_call_completed"]
    calls = [c for c in tree.named("chat gpt-4o-mini") if c["status"]["code"] != "error"]
    assert len(calls) == len(answers) == 5
    usage = genai.Usage.of(answers[0].usage)
    assert usage == genai.Usage(120, 30, 100, None, 8)
    for call in calls:
        about = call["attributes"]
        assert call["kind"] == "client"
        assert about["gen_ai.provider.name"] == "openai"
        assert about["gen_ai.usage.input_tokens"] == usage.input_tokens
        assert about["gen_ai.usage.cache_read.input_tokens"] == usage.cache_read_tokens
        assert about["gen_ai.usage.output_tokens"] == usage.output_tokens
        assert about["gen_ai.response.finish_reasons"] == ["stop"]
        assert about["gen_ai.request.temperature"] == 0.2
        assert about["coati.usage.cost_usd"] == pytest.approx((20 + 10 + 60) / 1e6)
        assert "gen_ai.input.messages" not in about
    (streamed,) = [c for c in calls if "gen_ai.response.time_to_first_chunk" in c["attributes"]]
    assert streamed["attributes"]["coati.stream.chunks"] == 5
    assert tree.one("invoke_agent scout")["attributes"]["gen_ai.usage.input_tokens"] == 240


def test_logs_and_own_spans_stand_in_their_tools(engine: Engine, recorder: Recorder) -> None:
    coati.crewai.install()
    coati.logging.install("INFO")
    with coati.get_tracer("own").span("request"):
        program().Travel().kickoff()
    tree = Tree(engine.records())
    tree.check_connected()
    mine = [line for line in tree.logs if line["logger"] == "travel"]
    assert {line["message"]: tree.log_place(line["message"]) for line in mine} == {
        "planning": "Travel.plan",
        "asking for the weather": "execute_tool weather",
        "counting people": "execute_tool population",
        "no flights today": "execute_tool flights",
        "failed": "Travel.fail",
    }
    assert tree.path(tree.one("invoke_workflow Travel")["span_id"])[0] == "request"
    assert coati.current_span().span_id == "0" * 16


def test_asynchronous_kickoff(engine: Engine, recorder: Recorder) -> None:
    coati.crewai.install()
    coati.logging.install("INFO")
    crew = program().journey()
    with coati.get_tracer("own").span("request"):
        assert str(asyncio.run(crew.akickoff())) == "Go to Lisbon by train."
    tree = Tree(engine.records())
    tree.check_connected()
    assert tree.log_place("counting people") == "execute_tool population"
    assert len(tree.named("chat gpt-4o-mini")) == 5


def test_kickoffs_at_the_same_time_do_not_mix(engine: Engine, recorder: Recorder) -> None:
    coati.crewai.install()
    loaded = program()

    def one(number: int) -> None:
        clerk = loaded.agent(
            f"clerk {number}",
            [loaded.call("flights", 3, city="Lisbon")],
            "No flights.",
            tools=[loaded.flights],
        )
        about = {"description": "Book.", "expected_output": "A line.", "agent": clerk}
        task = loaded.Task(name=f"book {number}", **about)
        crew = loaded.Crew(name=f"crew {number}", agents=[clerk], tasks=[task])
        assert str(crew.kickoff()) == "No flights."

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    tree = Tree(engine.records())
    expected: Counter[tuple[str, ...]] = Counter()
    for number in range(8):
        crew = (f"invoke_workflow crew {number}",)
        task = (*crew, f"task book {number}")
        agent = (*task, f"invoke_agent clerk {number}")
        expected.update([crew, task, agent, (*agent, "execute_tool flights")])
        expected[(*agent, "chat gpt-4o-mini")] += 2
    assert tree.paths() == expected


def test_a_crew_that_streams_works_in_another_thread(engine: Engine, recorder: Recorder) -> None:
    coati.crewai.install()
    loaded = program()
    writer = loaded.agent("writer", "Go to Lisbon by train.", stream=True)
    task = loaded.Task(name="write", description="Write.", expected_output="-", agent=writer)
    crew = loaded.Crew(name="journey", agents=[writer], tasks=[task], stream=True)
    with coati.get_tracer("own").span("request"):
        stream = crew.kickoff()
        for _ in stream:
            pass
    assert str(stream.result) == "Go to Lisbon by train."
    assert Tree(engine.records()).paths().keys() >= {
        (
            "request",
            "invoke_workflow journey",
            "task write",
            "invoke_agent writer",
            "chat gpt-4o-mini",
        )
    }


def test_memory_and_knowledge(engine: Engine, recorder: Recorder) -> None:
    coati.crewai.install()
    source = object()

    def emit(event: Any) -> None:
        crewai_event_bus.emit(source, event)

    query = {"query": "secret", "limit": 3, "source_type": "short_term_memory"}
    emit(memory.MemoryRetrievalStartedEvent())
    emit(memory.MemoryQueryStartedEvent(**query))
    emit(memory.MemoryQueryCompletedEvent(**query, results=[1, 2], query_time_ms=1))
    emit(memory.MemoryRetrievalCompletedEvent(memory_content="secret", retrieval_time_ms=1))
    emit(memory.MemorySaveStartedEvent(value="secret"))
    try:
        raise OSError("disk is full")
    except OSError as error:
        emit(memory.MemorySaveFailedEvent(value="secret", error=str(error)))
    emit(KnowledgeRetrievalStartedEvent())
    emit(KnowledgeRetrievalCompletedEvent(query="secret", retrieved_knowledge="secret"))
    records = engine.records()
    tree = Tree(records)
    assert tree.paths() == Counter(
        {
            ("search_memory",): 1,
            ("search_memory", "search_memory"): 1,
            ("upsert_memory",): 1,
            ("retrieval",): 1,
        }
    )
    inner = next(s for s in tree.named("search_memory") if "parent_span_id" in s)
    assert inner["attributes"]["crewai.results"] == 2
    assert inner["attributes"]["crewai.memory"] == "short_term_memory"
    assert failed(tree.one("upsert_memory")) == "OSError"
    assert "secret" not in json.dumps(records)
    assert coati.current_span().span_id == "0" * 16


def test_contents_only_on_request(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coati.crewai.install()
    program().journey().kickoff()
    assert "Lisbon" not in json.dumps(engine.spans())
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    engine.start()
    program().journey().kickoff()
    tree = Tree(engine.records())
    tool = tree.one("execute_tool weather")["attributes"]
    assert "Lisbon" in json.dumps(tool["gen_ai.tool.call.arguments"])
    assert tool["gen_ai.tool.call.result"] == "sunny"
    said = [c["attributes"]["gen_ai.output.messages"] for c in tree.named("chat gpt-4o-mini")]
    assert "Go to Lisbon by train." in json.dumps(said)


def test_install_and_uninstall(engine: Engine, recorder: Recorder) -> None:
    before = dict(vars(crewai_event_bus))
    ours = coati.crewai.install()
    assert coati.crewai.install() is ours
    assert crewai_event_bus.emit.__name__ == "seen_emit"
    coati.crewai.uninstall()
    coati.crewai.uninstall()
    assert dict(vars(crewai_event_bus)) == before
    crewai_event_bus.emit(None, memory.MemoryRetrievalStartedEvent())
    crewai_event_bus.emit(
        None, memory.MemoryRetrievalCompletedEvent(memory_content="", retrieval_time_ms=1)
    )
    assert engine.records() == []


def test_an_error_inside_stays_inside(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coati.crewai.install()

    def burst(*_: Any, **__: Any) -> Any:
        raise RuntimeError("in the adapter")

    monkeypatch.setattr(genai, "tool", burst)
    assert str(program().journey().kickoff()) == "Go to Lisbon by train."
    tree = Tree(engine.records())
    (line,) = tree.logs
    assert line["logger"] == "coati.crewai"
    assert line["exception.message"] == "in the adapter"
    assert tree.one("invoke_workflow journey")["status"]["code"] == "unset"


def test_before_init_and_after_shutdown(recorder: Recorder) -> None:
    coati.shutdown(60)
    coati.crewai.install()
    assert str(program().journey().kickoff()) == "Go to Lisbon by train."
    engine = Engine()
    engine.start()
    coati.shutdown(60)
    assert str(program().journey().kickoff()) == "Go to Lisbon by train."
    assert coati.current_span().span_id == "0" * 16


def test_what_never_ends_is_bounded(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = coati.crewai.install()
    monkeypatch.setattr(listener._open, "_limit", 10)
    for _ in range(50):
        crewai_event_bus.emit(None, memory.MemoryRetrievalStartedEvent())
    assert len(listener._open) == 10
    coati.crewai.uninstall()
    assert len(listener._open) == 0
    assert len(engine.spans()) == 50
    assert coati.current_span().span_id == "0" * 16


def test_the_program_as_it_is(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    source = Path(__file__).with_name("program.py")
    run = Run(tmp_path, source, **QUIET, CREWAI_STORAGE_DIR=str(storage), HOME=str(storage))
    assert json.loads(run.stdout.splitlines()[-1]) == {
        "planned": "Go to Lisbon by train.",
        "failed": "failed: model is away",
    }
    assert run.root()["span"] == "invoke_workflow Travel"
    assert run.tokens() == (5 * 120, 5 * 30)
    assert failed(run.one("invoke_agent poor")) == "ConnectionError"
    assert run.logged_in("counting people")["span"] == "execute_tool population"
    assert overlap(run.one("execute_tool weather"), run.one("execute_tool population"))

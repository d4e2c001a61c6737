"""LlamaIndex through coati, held against what its own span handler tells of the same run."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import coati
import coati.llama_index
import coati.logging
import pytest
from coati import genai
from conftest import Engine
from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms.mock import MockLLM
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation.span_handlers import SimpleSpanHandler
from pydantic import PrivateAttr
from run_checks import Run, failed, overlap
from span_tree import Tree

MODEL_CALLS = ("chat", "achat", "stream_chat", "astream_chat")


class Recorder(SimpleSpanHandler):
    """LlamaIndex' own handler, which also keeps what each span is about."""

    _names: dict[str, str] = PrivateAttr(default_factory=dict)
    _parents: dict[str, str | None] = PrivateAttr(default_factory=dict)

    def new_span(
        self,
        id_: str,
        bound_args: Any,
        instance: Any = None,
        parent_span_id: str | None = None,
        tags: Any = None,
        **more: Any,
    ) -> Any:
        self._parents[id_] = parent_span_id
        self._names[id_] = self._name(id_[:-37], bound_args, instance, parent_span_id)
        return super().new_span(id_, bound_args, instance, parent_span_id, tags, **more)

    def _name(self, name: str, bound: Any, instance: Any, parent: str | None) -> str:
        """What coati calls this span."""
        whose, _, method = name.rpartition(".")
        above = self._names.get(parent or "", "")
        special = {
            "FunctionTool.acall": lambda: f"execute_tool {instance.metadata.name}",
            "VectorIndexRetriever.retrieve": lambda: f"retrieval {instance._index.index_id}",
            "AgentWorkflow.run": lambda: "invoke_workflow AgentWorkflow",
            "FunctionAgent.run": lambda: f"invoke_agent {instance.name}",
            "AgentWorkflow.run_agent_step": lambda: (
                f"invoke_agent {bound.arguments['ev'].current_agent_name}"
            ),
        }
        if name in special:
            return special[name]()
        if whose == "MockEmbedding" and not method.startswith("_"):
            return "embeddings"
        if whose == "Scripted" and method in MODEL_CALLS and not above.startswith("chat"):
            return "chat gpt-4o-mini"
        return name

    def path(self, id_: str) -> tuple[str, ...]:
        """The names from the root down to a span."""
        parent = self._parents[id_]
        return (*(self.path(parent) if parent else ()), self._names[id_])

    def paths(self) -> Counter[tuple[str, ...]]:
        """All of them."""
        return Counter(map(self.path, self._names))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """LlamaIndex' own report beside ours."""
    recorder = Recorder()
    root = get_dispatcher()
    before = root.span_handlers
    root.span_handlers = [*before, recorder]
    Settings.embed_model = MockEmbedding(embed_dim=8)
    yield recorder
    coati.llama_index.uninstall()
    coati.logging.uninstall()
    root.span_handlers = before
    genai.set_prices({})


def program() -> ModuleType:
    """The program."""
    sys.modules.pop("program", None)
    return importlib.import_module("program")


def test_same_as_its_own_handler_tells(engine: Engine, recorder: Recorder) -> None:
    genai.set_prices({"gpt-4o-mini*": {"input": 1.0, "cache_read": 0.1, "output": 2.0}})
    coati.llama_index.install()
    asyncio.run(program().main())
    tree = Tree(engine.records())
    tree.check_connected()
    tree.check_lasts("execute_tool population", 0.015)
    assert tree.paths() == recorder.paths()

    # Errors: the exceptions with which spans were dropped.
    told = {recorder.path(s.id_): s.metadata["error"] for s in recorder.dropped_spans}
    mine = {
        tree.path(s["span_id"]): s["status"]["description"]
        for s in tree.spans
        if s["status"]["code"] == "error"
    }
    assert mine == told
    assert len(told) == 5
    assert failed(tree.one("execute_tool flights")) == "TimeoutError"

    # Tokens and cost: of each call once, also where one method of a model calls another.
    calls = [c for c in tree.named("chat gpt-4o-mini") if c["status"]["code"] != "error"]
    assert len(calls) == 5
    for call in calls:
        about = call["attributes"]
        assert call["kind"] == "client"
        assert about["gen_ai.response.model"] == "gpt-4o-mini-2024"
        assert about["gen_ai.usage.input_tokens"] == 120
        assert about["gen_ai.usage.cache_read.input_tokens"] == 100
        assert about["gen_ai.usage.output_tokens"] == 30
        assert about["gen_ai.usage.reasoning.output_tokens"] == 8
        assert about["coati.usage.cost_usd"] == pytest.approx((20 + 10 + 60) / 1e6)
        assert "gen_ai.input.messages" not in about
    streamed = [c for c in calls if "gen_ai.response.time_to_first_chunk" in c["attributes"]]
    assert [c["attributes"]["coati.stream.chunks"] for c in streamed] == [2] * 4
    desk = tree.one("invoke_agent desk")["attributes"]
    assert desk["gen_ai.usage.input_tokens"] == 120
    (found,) = [s for s in tree.spans if s["span"].startswith("retrieval")]
    assert found["attributes"]["gen_ai.request.top_k"] == 1
    assert found["attributes"]["llama_index.nodes"] == 1


def test_a_stream_lasts_until_it_has_been_read(engine: Engine, recorder: Recorder) -> None:
    coati.llama_index.install()
    model = program().Scripted("Dear traveller.")

    async def main() -> None:
        bits = await model.astream_chat([ChatMessage(role="user", content="Write.")])
        assert coati.current_span().span_id == "0" * 16
        async for _ in bits:
            coati.get_tracer("own").start_span("reading").end()

    asyncio.run(main())
    tree = Tree(engine.records())
    call = tree.one("chat gpt-4o-mini")
    assert max(span["end"] for span in tree.named("reading")) <= call["end"]


def test_streams_that_nobody_reads_to_the_end(engine: Engine, recorder: Recorder) -> None:
    handler = coati.llama_index.install()
    model = MockLLM(max_tokens=5)
    unread = model.stream_complete("Write.")
    broken_off = model.stream_complete("Write.")
    next(broken_off)
    broken_off.close()
    assert len(handler._open) == 1
    del unread
    gc.collect()
    assert len(handler._open) == 0
    spans = engine.spans()
    assert [span["span"] for span in spans] == ["text_completion", "text_completion"]
    assert all(span["status"]["code"] == "unset" for span in spans)


def test_a_stream_that_is_made_of_another_counts_once(engine: Engine, recorder: Recorder) -> None:
    coati.llama_index.install()

    async def main() -> None:
        bits = await MockLLM(max_tokens=3).astream_chat([ChatMessage(role="user", content="x")])
        async for _ in bits:
            pass

    asyncio.run(main())
    tree = Tree(engine.records())
    assert tree.paths() == Counter(
        {
            ("chat",): 1,
            ("chat", "MockLLM.stream_chat"): 1,
            ("chat", "MockLLM.stream_chat", "MockLLM.stream_complete"): 1,
        }
    )


def test_runs_at_the_same_time_do_not_mix(engine: Engine, recorder: Recorder) -> None:
    coati.llama_index.install()
    loaded = program()

    async def one(number: int) -> None:
        asks = loaded.calls(loaded.call("population", 1, city=str(number)))
        agent = loaded.FunctionAgent(
            name=f"agent {number}",
            tools=[loaded.tool(loaded.population)],
            llm=loaded.Scripted(asks, "Done."),
        )
        with coati.get_tracer("own").span(f"run {number}"):
            assert str(await agent.run(user_msg="Count.")) == "Done."

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, range(20)))

    asyncio.run(all_of_them())
    tree = Tree(engine.records())
    assert len({span["trace_id"] for span in tree.spans}) == 20
    below = Counter(path[:2] for path in tree.paths().elements() if len(path) > 2)
    assert below.keys() == {(f"run {n}", f"invoke_agent agent {n}") for n in range(20)}
    assert len(set(below.values())) == 1
    assert len(tree.named("execute_tool population")) == 20


def test_a_chat_engine_that_streams(engine: Engine, recorder: Recorder) -> None:
    coati.llama_index.install()
    index = VectorStoreIndex.from_documents([Document(text="Lisbon lies at the Tejo.")])
    model = MockLLM(max_tokens=3, is_chat_model=True)

    async def ask() -> list[str]:
        chat = index.as_chat_engine(chat_mode="context", llm=model)
        answer = await chat.astream_chat("Where?")
        return [token async for token in answer.async_response_gen()]

    engine.records()
    assert asyncio.run(ask()) == ["text ", "text ", "text"]
    tree = Tree(engine.records())
    (root,) = [s for s in tree.spans if "parent_span_id" not in s]
    assert root["span"] == "ContextChatEngine.astream_chat"
    # One model call, however many of the model's methods it takes.
    (call,) = tree.named("chat")
    assert call["attributes"]["coati.stream.chunks"] == 3
    assert tree.path(tree.one("MockLLM.stream_complete")["span_id"])[-3:] == (
        "chat",
        "MockLLM.stream_chat",
        "MockLLM.stream_complete",
    )


def test_logs_and_own_spans_stand_in_their_tools(engine: Engine, recorder: Recorder) -> None:
    coati.llama_index.install()
    coati.logging.install("INFO")
    with coati.get_tracer("own").span("request"):
        asyncio.run(program().main())
    tree = Tree(engine.records())
    tree.check_connected()
    mine = [line for line in tree.logs if line["logger"] == "travel"]
    assert {line["message"]: tree.log_place(line["message"]) for line in mine} == {
        "indexed": "main",
        "asking for the weather": "execute_tool weather",
        "counting people": "execute_tool population",
        "no flights today": "execute_tool flights",
        "planned": "main",
    }
    assert tree.path(tree.one("main")["span_id"]) == ("request", "main")
    assert coati.current_span().span_id == "0" * 16


def test_own_spans_lie_between(engine: Engine, recorder: Recorder) -> None:
    coati.llama_index.install()

    def look(city: str) -> str:
        """Asks a model."""
        with coati.get_tracer("own").span("mine"):
            return str(MockLLM().complete(city))

    tool = FunctionTool.from_defaults(look)
    assert str(tool.call(city="Lisbon")) == "Lisbon"
    (path,) = [path for path in Tree(engine.records()).paths() if len(path) == 3]
    assert path == ("execute_tool look", "mine", "text_completion")


def test_contents_only_on_request(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coati.llama_index.install()
    asyncio.run(program().plan())
    assert "Lisbon" not in json.dumps(engine.spans())
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    engine.start()
    asyncio.run(program().plan())
    tree = Tree(engine.records())
    tool = tree.one("execute_tool weather")["attributes"]
    assert tool["gen_ai.tool.call.arguments"] == {"city": "Lisbon"}
    assert tool["gen_ai.tool.call.result"] == "sunny"
    said = [c["attributes"]["gen_ai.output.messages"] for c in tree.named("chat gpt-4o-mini")]
    assert "Go to Lisbon by train." in json.dumps(said)
    asked = [part for m in said for message in m for part in message["parts"]]
    assert {part["name"] for part in asked if part["type"] == "tool_call"} == {
        "handoff",
        "weather",
        "population",
        "flights",
    }


def test_install_and_uninstall(engine: Engine, recorder: Recorder) -> None:
    root = get_dispatcher()
    before = list(root.span_handlers), list(root.event_handlers)
    ours = coati.llama_index.install()
    assert coati.llama_index.install() is ours
    assert root.span_handlers[-1] is ours
    assert root.event_handlers[-1] is ours
    coati.llama_index.uninstall()
    coati.llama_index.uninstall()
    assert (root.span_handlers, root.event_handlers) == before
    MockLLM().complete("x")
    assert engine.records() == []


def test_an_error_inside_stays_inside(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coati.llama_index.install()

    def burst(*_: Any, **__: Any) -> Any:
        raise RuntimeError("in the adapter")

    monkeypatch.setattr(genai, "tool", burst)
    assert asyncio.run(program().plan()) == "Go to Lisbon by train."
    tree = Tree(engine.records())
    (line,) = tree.logs
    assert line["logger"] == "coati.llama_index"
    assert line["exception.message"] == "in the adapter"
    assert tree.one("invoke_workflow AgentWorkflow")["status"]["code"] == "unset"


def test_before_init_and_after_shutdown(recorder: Recorder) -> None:
    coati.shutdown(60)
    coati.llama_index.install()
    assert asyncio.run(program().plan()) == "Go to Lisbon by train."
    engine = Engine()
    engine.start()
    coati.shutdown(60)
    assert asyncio.run(program().plan()) == "Go to Lisbon by train."
    assert coati.current_span().span_id == "0" * 16


def test_what_never_ends_is_bounded(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = coati.llama_index.install()
    monkeypatch.setattr(handler._open, "_limit", 10)
    for number in range(100):
        handler.span_enter(f"Lost.{number}-{'0' * 36}", None)
    assert len(handler._open) == 10
    coati.llama_index.uninstall()
    assert len(handler._open) == 0
    assert len(engine.spans()) == 100
    assert coati.current_span().span_id == "0" * 16


def test_a_workflow_goes_on_elsewhere(engine: Engine, recorder: Recorder) -> None:
    handler = coati.llama_index.install()
    with coati.get_tracer("own").span("here") as here:
        carried = json.loads(json.dumps(get_dispatcher().capture_propagation_context()))

    def elsewhere() -> None:
        get_dispatcher().restore_propagation_context(carried)
        MockLLM().complete("x")

    # A thread begins without a context.
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    tree = Tree(engine.records())
    assert tree.path(tree.one("text_completion")["span_id"]) == ("here", "text_completion")
    assert here.span_id == tree.one("here")["span_id"]
    assert len(handler._open) == 0


def test_the_program_as_it_is(tmp_path: Path) -> None:
    run = Run(tmp_path, Path(__file__).with_name("program.py"))
    assert json.loads(run.stdout) == {
        "asked": "At the Tejo.",
        "planned": "Go to Lisbon by train.",
        "streamed": "Dear traveller.",
        "failed": "failed: model is away",
    }
    assert run.root()["span"] == "main"
    assert run.tokens() == (5 * 120, 5 * 30)
    assert failed(run.one("invoke_agent broken")) == "ConnectionError"
    assert run.logged_in("counting people")["span"] == "execute_tool population"
    assert overlap(run.one("execute_tool weather"), run.one("execute_tool flights"))

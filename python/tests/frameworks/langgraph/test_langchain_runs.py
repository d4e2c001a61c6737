"""Runs of LangChain: chains, branches, batches, models, retrievers, agents, and how they end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import coati
import coati.langchain
import pytest
from coati import _adapter, genai
from coati.genai import Usage
from conftest import Engine, Record
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManager, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

sys.path.insert(0, str(Path(__file__).parent))
import program


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    coati.langchain.install()
    yield
    coati.langchain.uninstall()


def tree(spans: list[Record]) -> list[tuple[str, str | None]]:
    """Name and parent's name of each span."""
    names = {span["span_id"]: span["span"] for span in spans}
    return sorted((s["span"], names.get(s.get("parent_span_id")) or "") for s in spans)


def current(value: Any) -> str:
    """Which span is current, and one of the program's own inside."""
    with coati.get_tracer("own").span(f"own {value}"):
        return coati.current_span().span_id


def test_branches_and_batches(engine: Engine) -> None:
    named = RunnableLambda(current)
    chain = RunnableParallel(a=named.with_config(run_name="a"), b=named.with_config(run_name="b"))
    chain = RunnableLambda(lambda x: x).with_config(run_name="first") | chain
    chain = chain.with_config(run_name="chain")
    expected = sorted(
        [
            ("chain", ""),
            ("first", "chain"),
            ("RunnableParallel<a,b>", "chain"),
            ("a", "RunnableParallel<a,b>"),
            ("b", "RunnableParallel<a,b>"),
            ("own 1", "a"),
            ("own 1", "b"),
        ]
    )
    chain.invoke(1)
    assert tree(engine.spans()) == expected
    asyncio.run(chain.ainvoke(1))
    assert tree(engine.spans()) == expected
    list(chain.stream(1))
    assert tree(engine.spans()) == expected
    chain.batch([1, 1])
    assert tree(engine.spans()) == sorted(expected * 2)
    asyncio.run(chain.abatch([1, 1]))
    assert tree(engine.spans()) == sorted(expected * 2)


def test_a_span_of_the_program_between_runs(engine: Engine) -> None:
    inner = RunnableLambda(lambda x: x).with_config(run_name="inner")

    def outer(value: int) -> int:
        with coati.get_tracer("own").span("between"):
            return inner.invoke(value)

    RunnableLambda(outer).invoke(1)
    assert tree(engine.spans()) == [("between", "outer"), ("inner", "between"), ("outer", "")]


def test_nothing_stays_current(engine: Engine) -> None:
    async def both() -> None:
        await program.answering(AIMessage("a")).ainvoke("q")
        assert coati.current_span().trace_id == "0" * 32
        async for _ in program.answering(AIMessage("a b")).astream("q"):
            assert coati.current_span().trace_id == "0" * 32
        await RunnableLambda(lambda x: x).with_config(run_name="own").ainvoke(1)
        assert coati.current_span().trace_id == "0" * 32

    asyncio.run(both())
    assert [span["span"] for span in engine.spans()] == ["chat gpt-4o", "chat gpt-4o", "own"]


def test_a_stream_that_is_left(engine: Engine) -> None:
    stream = program.answering(AIMessage("one two three")).stream("q")
    next(stream)
    stream.close()
    span = engine.span()
    assert span["status"]["code"] == "unset"
    assert span["attributes"]["coati.stream.end"] == "closed"
    assert span["attributes"]["coati.stream.chunks"] == 1


class Broken(program.Model):
    """Fails after a while."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        yield from super()._stream(*args, **kwargs)
        raise ConnectionError("gone")


def test_a_model_that_fails_has_told_what_it_used(engine: Engine) -> None:
    with pytest.raises(ConnectionError):
        list(Broken(messages=iter([AIMessage("a b")])).stream("q"))
    span = engine.span()
    assert span["status"] == {"code": "error", "description": "gone"}
    assert span["attributes"]["error.type"] == "ConnectionError"
    assert span["attributes"]["gen_ai.usage.input_tokens"] == 30
    assert [event["name"] for event in span["events"]] == ["exception"]


def test_retries_are_runs_of_their_own(engine: Engine) -> None:
    left = [ValueError("no"), None]

    def sometimes(value: int) -> int:
        error = left.pop(0)
        if error is not None:
            raise error
        return value

    chain = RunnableLambda(sometimes).with_retry(
        stop_after_attempt=3, wait_exponential_jitter=False
    )
    chain.invoke(1)
    spans = engine.spans()
    assert [span["status"]["code"] for span in spans] == ["error", "unset", "unset"]
    assert spans[1]["attributes"]["langchain.tags"] == ["retry:attempt:2"]


class Answers(program.Model):
    """Answers as real models do, with what only the answer's metadata tells."""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        message = AIMessage(
            "hi",
            response_metadata={"model_name": "gpt-4o-2024-08-06", "id": "chatcmpl-1"},
            usage_metadata={"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
        )
        info = {"finish_reason": "stop"}
        return ChatResult(generations=[ChatGeneration(message=message, generation_info=info)])

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        raise NotImplementedError


def test_what_a_model_is_asked_and_answers(engine: Engine) -> None:
    model = Answers(messages=iter([]))
    model.bind(stop=["END"]).invoke("q", {"configurable": {}, "metadata": {"thread_id": 7}})
    attributes = engine.span()["attributes"]
    assert attributes["gen_ai.request.stop_sequences"] == ["END"]
    assert attributes["gen_ai.response.model"] == "gpt-4o-2024-08-06"
    assert attributes["gen_ai.response.id"] == "chatcmpl-1"
    assert attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert attributes["gen_ai.usage.input_tokens"] == 3
    assert attributes["gen_ai.conversation.id"] == "7"
    assert attributes["gen_ai.provider.name"] == "openai"


class Passing(program.Model):
    """Asks another model, and gives its answer as its own."""

    inner: Any

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        inside = CallbackManager(run_manager.handlers, parent_run_id=run_manager.run_id)
        config = {"callbacks": inside} if self.model_name == "told" else None
        message = self.inner.invoke(messages, config)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        raise NotImplementedError


@pytest.mark.parametrize("name", ["told", "untold"])
def test_a_model_that_asks_another_counts_once(engine: Engine, name: str) -> None:
    passing = Passing(messages=iter([]), inner=Answers(messages=iter([])), model_name=name)
    with genai.agent("a") as agent:
        passing.invoke("q")
    assert agent.usage == Usage(3, 1)
    inner, outer, _ = engine.spans()
    assert inner["parent_span_id"] == outer["span_id"]
    assert inner["attributes"]["gen_ai.usage.input_tokens"] == 3
    assert "gen_ai.usage.input_tokens" not in outer["attributes"]
    calls = "gen_ai.invoke_agent.inference_calls"
    (found,) = (each for each in coati.metrics.snapshot() if each.name == calls)
    assert found.stats.sum == 1


def test_handlers_that_are_not_ours_are_let_be(engine: Engine) -> None:
    mock = MagicMock()
    model = program.answering(AIMessage("hi"))
    assert model.invoke("q", {"callbacks": [mock]}).content == "hi"
    assert RunnableLambda(str).invoke(1, {"callbacks": [mock]}) == "1"
    assert not mock._coati_entry.called


def test_a_model_for_texts(engine: Engine) -> None:
    FakeListLLM(responses=["a", "b"]).batch(["x", "y"])
    spans = engine.spans()
    assert [span["span"] for span in spans] == ["text_completion"] * 2
    assert {span["kind"] for span in spans} == {"client"}
    assert {span["attributes"]["langchain.name"] for span in spans} == {"FakeListLLM"}


class Retriever(BaseRetriever):
    """Finds two documents."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        if query == "bad":
            raise KeyError(query)
        return [Document("a"), Document("b")]


def test_a_retriever(engine: Engine) -> None:
    Retriever().invoke("coatis")
    span = engine.span()
    assert span["span"] == "retrieval Retriever"
    assert span["attributes"]["langchain.documents"] == 2
    assert "gen_ai.retrieval.query.text" not in span["attributes"]
    with pytest.raises(KeyError):
        Retriever().invoke("bad")
    assert engine.span()["attributes"]["error.type"] == "KeyError"


class Caller(program.Model):
    """A model that takes tools."""

    def bind_tools(self, *args: Any, **kwargs: Any) -> Any:
        return self


def test_an_agent(engine: Engine) -> None:
    usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
    call = {"name": "search", "args": {"query": "coatis"}, "id": "c1"}
    answers = [
        AIMessage("", tool_calls=[call], usage_metadata=usage),
        AIMessage("done", usage_metadata=usage),
    ]
    agent = create_agent(Caller(messages=iter(answers)), [program.search], name="zoologist")
    agent.invoke({"messages": [("user", "coatis?")]})
    spans = engine.spans()
    assert tree(spans) == sorted(
        [
            ("invoke_agent zoologist", ""),
            ("model", "invoke_agent zoologist"),
            ("model", "invoke_agent zoologist"),
            ("chat gpt-4o", "model"),
            ("chat gpt-4o", "model"),
            ("tools", "invoke_agent zoologist"),
            ("execute_tool search", "tools"),
        ]
    )
    told = spans[-1]["attributes"]
    assert told["gen_ai.agent.name"] == "zoologist"
    assert told["gen_ai.usage.input_tokens"] == 200
    assert told["gen_ai.usage.output_tokens"] == 20
    assert told["coati.usage.total_cost_usd"] > 0
    calls = {metric.name: metric for metric in coati.metrics.snapshot()}
    assert calls["gen_ai.invoke_agent.inference_calls"].stats.sum == 2
    assert calls["gen_ai.invoke_agent.tool_calls"].stats.sum == 1


def test_an_interrupt_is_no_error(engine: Engine) -> None:
    def ask(state: dict[str, Any]) -> dict[str, Any]:
        return {"answer": interrupt("which?")}

    graph = StateGraph(dict)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    compiled = graph.compile(checkpointer=InMemorySaver())
    compiled.invoke({"a": 1}, {"configurable": {"thread_id": "1"}})
    node, whole = engine.spans()
    assert node["status"]["code"] == whole["status"]["code"] == "unset"
    assert node["attributes"]["langgraph.left_by"] == "GraphInterrupt"


def test_a_graph_inside_a_graph(engine: Engine) -> None:
    inside = StateGraph(dict)
    inside.add_node("leaf", lambda state: {"x": 1})
    inside.add_edge(START, "leaf")
    outside = StateGraph(dict)
    outside.add_node("inner", inside.compile(name="inner graph"))
    outside.add_edge(START, "inner")
    outside.compile(name="outer graph").invoke({"x": 0})
    assert tree(engine.spans()) == [
        ("inner", "invoke_workflow outer graph"),
        ("invoke_workflow inner graph", "inner"),
        ("invoke_workflow outer graph", ""),
        ("leaf", "invoke_workflow inner graph"),
    ]
    (duration,) = [
        metric
        for metric in coati.metrics.snapshot()
        if metric.labels.get("gen_ai.workflow.name") == "inner graph"
    ]
    assert duration.name == "gen_ai.invoke_workflow.duration"


def test_runs_that_never_end_do_not_pile_up(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = coati.langchain.CallbackHandler()
    handler._open = _adapter.Open(limit=10)
    for number in range(100):
        handler.on_chain_start(None, {}, run_id=number, name="endless")
    assert len(handler._open) == 10
    handler.close()
    spans = engine.spans()
    assert len(spans) == 100
    assert coati.ledger()["spans"]["open"] == 0


def test_what_the_handler_cannot_read_harms_nobody(engine: Engine) -> None:
    handler = coati.langchain.CallbackHandler()
    handler.on_chat_model_start(None, [[]], run_id=1)
    handler.on_llm_end(object(), run_id=1)
    handler.on_chat_model_start(None, None, run_id=2, tags=7, metadata=[])
    handler.on_llm_end(LLMResult(generations=[]), run_id=3)
    handler.on_tool_end("x", run_id=4)
    handler.on_chain_error(ValueError(), run_id=5)
    records = engine.records()
    assert [record["span"] for record in records if "span" in record] == ["chat"]
    assert len(handler._open) == 0


def test_usage_adds_up_over_chunks() -> None:
    told = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    message = program.AIMessageChunk("", usage_metadata=told)
    assert Usage.of((message + message).usage_metadata) == Usage(2, 4)


def test_before_init_and_after_shutdown() -> None:
    coati.shutdown(60)
    assert program.answering(AIMessage("a")).invoke("q").content == "a"

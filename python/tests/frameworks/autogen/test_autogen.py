"""AutoGen through coati, held against the same run through ``opentelemetry-sdk``."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from types import ModuleType
from typing import Any

import coati
import coati.autogen
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import BaseGroupChat, RoundRobinGroupChat
from autogen_core.models import ChatCompletionClient, UserMessage
from autogen_ext.models.replay import ReplayChatCompletionClient
from conftest import Engine
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from span_tree import Tree

IDS = re.compile(r"_?[0-9a-f]{8}-[0-9a-f-]{27}")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = BaseGroupChat.run_stream, ReplayChatCompletionClient.create
    yield
    coati.autogen.uninstall()
    assert not coati.autogen.is_installed()
    assert (BaseGroupChat.run_stream, ReplayChatCompletionClient.create) == before
    assert "__init_subclass__" not in vars(ChatCompletionClient)
    assert trace._TRACER_PROVIDER is None


def program() -> ModuleType:
    """The program afresh."""
    sys.modules.pop("program", None)
    return importlib.import_module("program")


def plain(text: Any) -> Any:
    """Without the ids that each run has of its own."""
    return IDS.sub("", text) if isinstance(text, str) else text


def steady(attributes: Any) -> tuple[tuple[str, Any], ...]:
    """Attributes that are the same in each run, without what messages say."""
    kept = {key: plain(value) for key, value in (attributes or {}).items() if key != "message"}
    return tuple(sorted(kept.items()))


def theirs(spans: tuple[ReadableSpan, ...]) -> Counter[Any]:
    """What a run is, as the SDK has it."""
    by_id = {span.context.span_id: span for span in spans}

    def path(span: ReadableSpan) -> tuple[str, ...]:
        above = path(by_id[span.parent.span_id]) if span.parent else ()
        return (*above, plain(span.name))

    return Counter(
        (
            path(span),
            span.kind.name.lower(),
            span.status.status_code.name.lower(),
            span.status.description or "",
            steady(span.attributes),
            tuple((event.name, event.attributes["exception.type"]) for event in span.events),
            tuple(plain(by_id[link.context.span_id].name) for link in span.links),
        )
        for span in spans
    )


def ours(tree: Tree) -> Counter[Any]:
    """The same, as coati has it, without what it has added."""
    own = [span for span in tree.spans if not span["span"].startswith(("chat", "invoke_workflow"))]
    return Counter(
        (
            tuple(plain(n) for n in tree.path(span["span_id"]) if n != "invoke_workflow desk"),
            span["kind"],
            span["status"]["code"],
            span["status"].get("description", ""),
            steady(span.get("attributes")),
            tuple((e["name"], e["attributes"]["exception.type"]) for e in span.get("events", ())),
            tuple(plain(tree.by_id[link["span_id"]]["span"]) for link in span.get("links", ())),
        )
        for span in own
    )


def test_same_as_through_the_sdk(engine: Engine, capsys: Any) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace._TRACER_PROVIDER = provider
    try:
        asyncio.run(program().main())
    finally:
        trace._TRACER_PROVIDER = None
    printed = capsys.readouterr().out
    assert engine.spans() == []
    coati.autogen.install()
    asyncio.run(program().main())
    assert sorted(plain(capsys.readouterr().out)) == sorted(plain(printed))
    tree = Tree(engine.records())
    mine, expected = ours(tree), theirs(exporter.get_finished_spans())
    assert mine == expected
    assert sum(mine.values()) == len(tree.spans) - 6
    assert not any("message" in span.get("attributes", {}) for span in tree.spans)
    assert "rye" not in str(tree.spans)
    # What AutoGen has no spans for: the team's run, and model calls.
    (team,) = tree.named("invoke_workflow desk")
    created = {span["trace_id"] for span in tree.spans if span["span"].startswith("create_agent")}
    assert {span["trace_id"] for span in tree.spans} == {team["trace_id"], *created}
    calls = tree.named("chat ReplayChatCompletionClient")
    used = [
        (call["attributes"]["gen_ai.usage.input_tokens"], tree.path(call["span_id"])[-2])
        for call in calls
    ]
    assert sorted(used) == [
        (10, "invoke_agent chief"),
        (10, "invoke_agent writer"),
        (20, "invoke_agent grammar"),
        (20, "invoke_agent writer"),
        (26, "invoke_agent facts"),
    ]
    (cached,) = [call for call in calls if call["attributes"].get("autogen.cached")]
    assert cached["attributes"]["gen_ai.usage.output_tokens"] == 4
    assert cached["attributes"]["coati.stream.chunks"] == 4
    names = ("gen_ai.client.inference.usage.input_tokens", "gen_ai.client.inference.duration")
    shown = {m.name: m for m in coati.metrics.snapshot() if m.name in names}
    assert shown[names[0]].value == 60


class Nested(ReplayChatCompletionClient):
    """A client whose calls pass through another's."""

    async def create(self, messages: Any, **more: Any) -> Any:
        """The other's answer."""
        return await super().create(messages, **more)


async def ask(client: ChatCompletionClient, stream: bool = False, until: int = 99) -> None:
    said = [UserMessage(content="a secret", source="me")]
    if not stream:
        await client.create(said, extra_create_args={"temperature": 0.5})
        return
    items = client.create_stream(said)
    async for _ in items:
        until -= 1
        if until == 0:
            await items.aclose()
            break


def test_model_calls(engine: Engine) -> None:
    coati.autogen.install()
    coati.autogen.install()

    class Late(Nested):
        """Made after `install`."""

    tracer = coati.get_tracer("t")
    with tracer.span("outer") as outer:
        asyncio.run(ask(Late(["one answer"])))
    call, _ = engine.spans()
    assert call["span"] == "chat Late"
    assert call["parent_span_id"] == outer.span_id
    assert call["attributes"]["gen_ai.request.temperature"] == 0.5
    assert call["attributes"]["gen_ai.response.finish_reasons"] == ["stop"]
    assert call["attributes"]["gen_ai.provider.name"] == "unknown"
    with pytest.raises(ValueError, match="No more"):
        asyncio.run(ask(ReplayChatCompletionClient([])))
    call = engine.span()
    assert call["status"] == {"code": "error", "description": "No more mock responses available"}
    assert call["attributes"]["error.type"] == "ValueError"
    assert call["attributes"]["gen_ai.provider.name"] == "replay"
    with pytest.raises(ValueError, match="No more"):
        asyncio.run(ask(ReplayChatCompletionClient([]), stream=True))
    assert engine.span()["attributes"]["error.type"] == "ValueError"
    asyncio.run(ask(ReplayChatCompletionClient(["one two three"]), stream=True, until=2))
    left = engine.span()
    assert left["status"]["code"] == "unset"
    assert left["attributes"]["coati.stream.chunks"] == 2
    assert coati.current_span().trace_id == "0" * 32


def test_contents_only_where_asked_for(engine: Engine) -> None:
    coati.autogen.install()
    asyncio.run(ask(ReplayChatCompletionClient(["another secret"])))
    assert "secret" not in str(engine.spans())
    engine.start(genai={"capture_content": True})
    asyncio.run(ask(ReplayChatCompletionClient(["another secret"])))
    told = engine.span()["attributes"]
    assert "a secret" in str(told["gen_ai.input.messages"])
    assert "another secret" in str(told["gen_ai.output.messages"])
    agent = AssistantAgent("one", ReplayChatCompletionClient(["another secret"]))
    asyncio.run(RoundRobinGroupChat([agent], max_turns=1).run(task="a secret"))
    messages = [span["attributes"].get("message", "") for span in engine.spans()]
    assert any("a secret" in message for message in messages)


def test_a_team_that_fails(engine: Engine) -> None:
    coati.autogen.install()
    agent = AssistantAgent("one", ReplayChatCompletionClient([]))
    with pytest.raises(RuntimeError, match="No more"):
        asyncio.run(RoundRobinGroupChat([agent], name="team").run(task="x"))
    tree = Tree(engine.records())
    for name in ("invoke_workflow team", "invoke_agent one", "chat ReplayChatCompletionClient"):
        assert tree.one(name)["status"]["code"] == "error"
    assert tree.one("invoke_workflow team")["attributes"]["error.type"] == "RuntimeError"


def test_a_team_whose_stream_is_left_runs_again(engine: Engine) -> None:
    coati.autogen.install()
    agent = AssistantAgent("one", ReplayChatCompletionClient(["a", "b", "c"]))
    team = RoundRobinGroupChat([agent], name="team", max_turns=1)

    async def twice() -> None:
        stream = team.run_stream(task="hi")
        await anext(stream)
        await stream.aclose()
        await team.run(task="again")

    asyncio.run(twice())
    teams = [span for span in engine.spans() if span["span"] == "invoke_workflow team"]
    assert [team["status"]["code"] for team in teams] == ["unset", "unset"]


class Closing(ReplayChatCompletionClient):
    """Tells of the end of its stream."""

    ended = False

    async def create_stream(self, *args: Any, **kwargs: Any) -> Any:
        try:
            yield "a"
            yield "b"
        finally:
            self.ended = True


class Asking(Closing):
    """Asks another one."""

    async def create_stream(self, *args: Any, **kwargs: Any) -> Any:
        async with aclosing(self.inner.create_stream(*args, **kwargs)) as items:
            async for item in items:
                yield item


def test_a_stream_that_is_left_ends_at_once(engine: Engine) -> None:
    coati.autogen.install()
    outer = Asking([])
    outer.inner = inner = Closing([])

    async def leave() -> None:
        items = outer.create_stream([])
        await anext(items)
        await items.aclose()
        assert inner.ended

    asyncio.run(leave())
    assert [span["span"] for span in engine.spans()] == ["chat Asking"]


def test_without_the_engine() -> None:
    coati.shutdown()
    coati.autogen.install()
    asyncio.run(ask(ReplayChatCompletionClient(["answer"])))
    asyncio.run(ask(ReplayChatCompletionClient(["answer"]), stream=True))


def test_a_provider_of_the_programs_own_stays(engine: Engine) -> None:
    trace._TRACER_PROVIDER = provider = TracerProvider()
    try:
        coati.autogen.install()
        assert trace.get_tracer_provider() is provider
        coati.autogen.uninstall()
        assert trace.get_tracer_provider() is provider
    finally:
        trace._TRACER_PROVIDER = None

"""pydantic-ai through coati, held against the same run through ``opentelemetry-sdk``."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import coati
import coati.pydantic_ai
import pytest
from conftest import Engine
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from span_tree import Tree

#: What is another each time.
FRESH = ("gen_ai.agent.call.id", "gen_ai.conversation.id", "time_to_first_chunk")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    coati.pydantic_ai.uninstall()
    assert Agent._instrument_default is False


def program() -> ModuleType:
    """The program afresh."""
    sys.modules.pop("program", None)
    return importlib.import_module("program")


def steady(attributes: Any) -> dict[str, Any]:
    """Attributes that are the same in each run."""
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in attributes.items()}
    return {key: value for key, value in plain.items() if not key.endswith(FRESH)}


def theirs(spans: tuple[ReadableSpan, ...]) -> list[Any]:
    """What a run is, as the SDK has it."""
    by_id = {span.context.span_id: span for span in spans}

    def path(span: ReadableSpan) -> list[str]:
        return [*(path(by_id[span.parent.span_id]) if span.parent else []), span.name]

    return sorted(
        (
            path(span),
            span.kind.name.lower(),
            span.status.status_code.name.lower(),
            span.status.description or "",
            sorted(steady(span.attributes).items()),
            [(event.name, event.attributes["exception.type"]) for event in span.events],
            span.instrumentation_scope.name,
        )
        for span in spans
    )


def ours(tree: Tree) -> list[Any]:
    """The same, as coati has it."""
    return sorted(
        (
            list(tree.path(span["span_id"])),
            span["kind"],
            span["status"]["code"],
            span["status"].get("description", ""),
            sorted(steady(span.get("attributes", {})).items()),
            [(e["name"], e["attributes"]["exception.type"]) for e in span.get("events", ())],
            span["tracer"],
        )
        for span in tree.spans
    )


def test_same_as_through_the_sdk(engine: Engine) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    Agent.instrument_all(coati.pydantic_ai.settings(tracer_provider=provider))
    try:
        asyncio.run(program().main())
    finally:
        Agent.instrument_all(False)
    assert engine.spans() == []
    coati.pydantic_ai.install()
    coati.pydantic_ai.install()
    assert coati.pydantic_ai.is_installed()
    asyncio.run(program().main())
    tree = Tree(engine.records())
    tree.check_connected()
    mine, expected = ours(tree), theirs(exporter.get_finished_spans())
    assert len(mine) == len(expected) == 12
    for one, other in zip(mine, expected, strict=True):
        assert one == other


def run(model: TestModel) -> None:
    agent = Agent(model, name="one", instructions="be secret")
    asyncio.run(agent.run("a secret"))


def test_contents_only_where_asked_for(engine: Engine) -> None:
    coati.pydantic_ai.install()
    run(TestModel(custom_output_text="another secret"))
    assert "secret" not in str(engine.spans())
    coati.pydantic_ai.uninstall()
    engine.start(genai={"capture_content": True})
    coati.pydantic_ai.install()
    run(TestModel(custom_output_text="another secret"))
    told = str(engine.spans())
    assert "a secret" in told
    assert "another secret" in told


def test_the_program_has_its_way(engine: Engine) -> None:
    own = coati.pydantic_ai.settings()
    Agent.instrument_all(own)
    coati.pydantic_ai.install()
    assert Agent._instrument_default is own
    assert not coati.pydantic_ai.is_installed()
    coati.pydantic_ai.uninstall()
    assert Agent._instrument_default is own
    Agent.instrument_all(False)
    coati.pydantic_ai.install()
    Agent.instrument_all(own)
    coati.pydantic_ai.uninstall()
    assert Agent._instrument_default is own
    Agent.instrument_all(False)
    run(TestModel())
    assert engine.spans() == []

"""LangSwarm's agents, tools and workflows with coati's modules in place of theirs."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import sys
from collections.abc import Iterator
from typing import Any

import coati.compat.langswarm as ours
import langswarm.core.observability as theirs
import langswarm_program as program
import pytest
from langswarm.core.observability.auto_instrumentation import (
    AutoInstrumentedMixin,
    auto_trace_operation,
)
from langswarm.core.workflows.engine import get_workflow_engine

MODULES = [
    "auto_config",
    "auto_instrumentation",
    "cost_estimator",
    "integrations",
    "interfaces",
    "logger",
    "metrics",
    "observability_errors",
    "opentelemetry_exporter",
    "provider",
    "token_tracking",
    "tracer",
]


@pytest.fixture
def installed(engine: Any) -> Iterator[Any]:
    """Their names are ours, and a provider is installed."""
    logging.getLogger("langswarm").setLevel(logging.CRITICAL)
    ours.install()
    yield theirs.initialize_auto_instrumentation()
    theirs.set_observability_provider(None)
    ours.uninstall()


def tree(records: list[Any]) -> dict[str, str | None]:
    """The name of each span's parent."""
    names = {record["span_id"]: record["span"] for record in records if "span" in record}
    spans = [record for record in records if "span" in record]
    return {span["span"]: names.get(span.get("parent_span_id")) for span in spans}


def test_an_agent_runs_and_records(engine: Any, installed: Any) -> None:
    async def main() -> Any:
        program.calculator()
        agent = program.agent(("calculator__add", {"a": 1, "b": 2}), "three")
        await agent.initialize()
        return await agent.chat("1 + 2?", session_id="s1")

    response = asyncio.run(main())
    assert response.success
    assert "content='three'" in str(response.content)
    records = engine.records()
    assert tree(records) == {
        "agent.initialize": None,
        "agent.chat": None,
        "agent.provider_call": "agent.chat",
        "tool.execute": "agent.chat",
        "tool.method_call": "tool.execute",
    }
    spans = {record["span"]: record for record in records if "span" in record}
    assert spans["agent.chat"]["attributes"]["chat_success"] is True
    assert spans["agent.chat"]["attributes"]["session_id"] == "s1"
    assert spans["agent.provider_call"]["attributes"]["total_tokens"] == 12
    lines = {record["message"]: record for record in records if "message" in record}
    inside = lines["Executing tool method: calculator.add"]
    assert inside["span_id"] == spans["tool.execute"]["span_id"]
    assert inside["trace_id"] == spans["agent.chat"]["trace_id"]
    assert lines["Chat completed for agent ada"]["session_id"] == "s1"
    metrics = installed.metrics.get_all_metrics()
    about = "agent_name=ada,auto_instrumented=true,component=agent"
    tokens = f"agent.chat_total_tokens#{about},provider=ProviderType.OPENAI"
    assert metrics["histogram_stats"][tokens]["mean"] == 12.0
    requests = f"agent.chat_requests_total#{about},model=small,provider=ProviderType.OPENAI"
    assert metrics["counters"][f"{requests},status=success"] == 1.0
    assert installed.get_health_status()["status"] == "stopped"


def test_a_model_that_fails_is_told_and_the_agent_answers(engine: Any, installed: Any) -> None:
    response = asyncio.run(program.agent(ConnectionError("no line")).chat("hello"))
    assert "Error: no line" in str(response.content)
    records = engine.records()
    spans = {record["span"]: record for record in records if "span" in record}
    assert spans["agent.chat"]["status"]["code"] == "error"
    call = spans["agent.provider_call"]
    assert call["events"][0]["attributes"]["exception.type"] == "ConnectionError"
    (line,) = [record for record in records if record.get("level") == "error"]
    assert line["span_id"] == spans["agent.chat"]["span_id"]
    counters = installed.metrics.get_all_metrics()["counters"]
    about = "agent_name=ada,auto_instrumented=true,component=agent"
    assert counters[f"agent.chat_errors_total#{about},error_type=ConnectionError"] == 1.0


def test_a_tool_that_fails_is_told(engine: Any, installed: Any) -> None:
    result = asyncio.run(program.calculator().execution.execute("divide", {"a": 1, "b": 0}))
    assert not result.success
    spans = {span["span"]: span for span in engine.spans()}
    assert spans["tool.execute"]["status"]["code"] == "error"
    event = spans["tool.method_call"]["events"][0]
    assert event["attributes"]["exception.type"] == "ZeroDivisionError"


def test_a_workflow_runs_and_records(engine: Any, installed: Any) -> None:
    run = get_workflow_engine().execute_workflow(program.workflow(), {"input": 21})
    result = asyncio.run(run)
    assert result.result == {"twice": 42}
    spans = {span["span"]: span for span in engine.spans()}
    assert tree(list(spans.values())) == {
        "workflow.execute": None,
        "workflow.execute_sync": "workflow.execute",
    }
    assert spans["workflow.execute_sync"]["attributes"]["result_success"] is True


def test_agents_at_once_keep_to_their_own_traces(engine: Any, installed: Any) -> None:
    async def main() -> list[Any]:
        agents = [program.agent("one", "two") for _ in range(10)]
        return await asyncio.gather(*[agent.chat("hello") for agent in agents])

    assert all(response.success for response in asyncio.run(main()))
    spans = engine.spans()
    chats = {span["span_id"]: span for span in spans if span["span"] == "agent.chat"}
    calls = [span for span in spans if span["span"] == "agent.provider_call"]
    assert len(chats) == len(calls) == len({span["trace_id"] for span in chats.values()}) == 10
    for call in calls:
        assert chats[call["parent_span_id"]]["trace_id"] == call["trace_id"]


def test_nothing_of_theirs_is_left_in_the_way(engine: Any) -> None:
    before = {
        (name, key): value
        for name, module in list(sys.modules.items())
        if name.startswith("langswarm")
        for key, value in list(vars(module).items())
    }
    mine = AutoInstrumentedMixin
    ours.install()
    try:
        assert theirs.V2Logger is ours.V2Logger
        assert theirs.LoggingConfig is ours.LoggingConfig
        # Names taken before are ours, too.
        assert (
            auto_trace_operation
            is importlib.import_module(
                "coati.compat.langswarm.auto_instrumentation"
            ).auto_trace_operation
        )
        assert AutoInstrumentedMixin is ours.AutoInstrumentedMixin is not mine
        left = []
        for name in MODULES:
            module = importlib.import_module(f"langswarm.core.observability.{name}")
            for key, value in vars(module).items():
                where = str(getattr(value, "__module__", ""))
                public = inspect.isclass(value) or inspect.isfunction(value)
                if public and where.startswith("langswarm.core.observability"):
                    left.append(f"{name}.{key}")
        assert left == ["opentelemetry_exporter.get_otel_module"]
    finally:
        ours.uninstall()
    after = {
        (name, key): value
        for name, module in list(sys.modules.items())
        if name.startswith("langswarm")
        for key, value in list(vars(module).items())
    }
    assert {key: value for key, value in after.items() if before.get(key) is not value} == {}
    assert AutoInstrumentedMixin is mine


def test_agents_defined_before_do_as_those_defined_after(program: Any) -> None:
    source = """
        import asyncio, sys, coati, coati.compat.langswarm as ours
        sys.path.insert(0, HERE)
        if ORDER == "before":
            ours.install()
        import langswarm_program
        from langswarm.core.observability import initialize_auto_instrumentation
        if ORDER == "after":
            ours.install()
        coati.init(config={"sinks": [SINK]})
        initialize_auto_instrumentation()
        print(asyncio.run(langswarm_program.agent("hi").chat("hello")).success)
    """
    shapes = []
    for order in ("before", "after"):
        head = f"HERE, ORDER = {__file__.rpartition('/')[0]!r}, {order!r}\n"
        for old in program.folder.glob("out*.jsonl"):
            old.unlink()
        program.run(head + inspect.cleandoc("\n" + source))
        assert program.stdout == "True\n"
        records = program.records()
        shapes.append((tree(records), [one["message"] for one in records if "message" in one]))
    assert shapes[0] == shapes[1]
    assert shapes[0][0]["agent.provider_call"] == "agent.chat"


def test_a_provider_of_theirs_is_followed_by_one_of_ours(engine: Any) -> None:
    config = theirs.ObservabilityConfig(log_level=theirs.LogLevel.ERROR, trace_sampling_rate=0.5)
    theirs.set_observability_provider(theirs.ObservabilityProvider(config))
    try:
        ours.install()
        provider = theirs.get_observability_provider()
        assert isinstance(provider, ours.ObservabilityProvider)
        assert provider.config.log_level is ours.LogLevel.ERROR
        assert provider.config.trace_sampling_rate == 0.5
    finally:
        ours.set_observability_provider(None)
        ours.uninstall()
        theirs.set_observability_provider(None)

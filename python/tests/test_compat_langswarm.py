"""LangSwarm's observability on coati, without LangSwarm: its faults absent, and both dialects."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import math
import threading
import time
from datetime import datetime
from typing import Any

import coati
import pytest
from coati.compat.langswarm import (
    AgentObservability,
    AutoInstrumentedMixin,
    CompressionUrgency,
    ContextSizeInfo,
    LogEntry,
    LoggingConfig,
    LogLevel,
    MetricsConfig,
    MetricValue,
    ObservabilityConfig,
    ObservabilityProvider,
    Span,
    SpanContext,
    SpanStatus,
    TraceSpan,
    TracingConfig,
    V2Logger,
    V2Metrics,
    V2Tracer,
    auto_instrument_function,
    create_all_observability_integrations,
    create_development_observability,
    create_observability_provider,
    get_global_observability_provider,
    get_observability_provider,
    initialize_auto_instrumentation,
    set_global_observability_provider,
    set_observability_provider,
)


@pytest.fixture(autouse=True)
def no_provider() -> Any:
    """Leave no provider installed."""
    yield
    set_observability_provider(None)


def test_all_metrics_are_read_while_there_are_histograms(engine: Any) -> None:
    metrics = V2Metrics()
    metrics.record_histogram("latency", 4.0, agent="a")
    metrics.record_timer("turn", 5.0)
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.append(metrics.get_all_metrics()), daemon=True)
    reader.start()
    reader.join(60)
    assert not reader.is_alive()
    assert found[0]["histogram_stats"]["latency#agent=a"]["count"] == 1
    assert found[0]["timer_stats"]["turn"]["max_ms"] == 5.0


def test_a_histogram_counts_beyond_a_thousand(engine: Any) -> None:
    metrics = V2Metrics()
    for value in range(1, 5001):
        metrics.record_histogram("latency", float(value))
        metrics.record_timer("turn", float(value))
    stats = metrics.get_histogram_stats("latency")
    assert (stats["count"], stats["min"], stats["max"]) == (5000, 1.0, 5000.0)
    assert stats["mean"] == pytest.approx(2500.5)
    for name, exact in {"median": 2500, "p95": 4750, "p99": 4950}.items():
        assert stats[name] == pytest.approx(exact, rel=0.0065)
    assert metrics.get_timer_stats("turn")["count"] == 5000


def test_siblings_in_asyncio_have_the_parent_that_started_them(engine: Any) -> None:
    tracer = V2Tracer()

    async def child(number: int) -> tuple[Any, Any]:
        with tracer.start_span(f"child {number}") as span:
            await asyncio.sleep(0)
            with tracer.start_span("grandchild") as inner:
                await asyncio.sleep(0)
                assert tracer.get_current_span() is inner
            return span, inner

    async def main() -> None:
        with tracer.start_span("root") as root:
            pairs = await asyncio.gather(*[child(number) for number in range(5)])
            assert tracer.get_current_span() is root
        for span, inner in pairs:
            assert span.parent_span_id == root.span_id
            assert inner.parent_span_id == span.span_id
            assert {span.trace_id, inner.trace_id} == {root.trace_id}

    asyncio.run(main())
    spans = {span["span_id"]: span for span in engine.spans()}
    (root,) = [span for span in spans.values() if "parent_span_id" not in span]
    for span in spans.values():
        if span["span"].startswith("child"):
            assert span["parent_span_id"] == root["span_id"]
        elif span["span"] == "grandchild":
            assert spans[span["parent_span_id"]]["span"].startswith("child")


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.7, 1.0])
def test_sampling_leaves_no_orphans(engine: Any, rate: float) -> None:
    tracer = V2Tracer(ObservabilityConfig(trace_sampling_rate=rate))
    kept = 0
    for _ in range(200):
        with (
            tracer.start_span("root") as root,
            tracer.start_span("child") as child,
            tracer.start_span("grandchild") as grandchild,
        ):
            pass
        assert (root is None) == (child is None) == (grandchild is None)
        kept += root is not None
    spans = engine.spans()
    assert len(spans) == 3 * kept
    assert (kept == 0, kept == 200) == (rate == 0.0, rate == 1.0)
    ids = {span["span_id"] for span in spans}
    assert all(span.get("parent_span_id", span["span_id"]) in ids for span in spans)


def test_lines_of_a_trace_that_is_left_out_belong_together(engine: Any) -> None:
    tracer, logger = V2Tracer(ObservabilityConfig(trace_sampling_rate=0.0)), V2Logger()
    with tracer.start_span("root"):
        logger.info("one")
        with tracer.start_span("child"):
            logger.info("two")
    logger.info("three")
    one, two, three = engine.logs()
    assert one["trace_id"] == two["trace_id"]
    assert "trace_id" not in three


def test_trace_context_ends_with_the_span(engine: Any) -> None:
    provider = create_development_observability()
    with provider.tracer.start_span("work") as span:
        provider.log_with_trace_context("info", "inside", "agent")
        assert provider.logger._current_trace_id == span.trace_id
        assert provider.logger._current_span_id == span.span_id
        provider.logger.set_trace_context("1" * 32, "2" * 16)
        provider.logger.info("set")
    assert provider.logger._current_trace_id is None
    provider.logger.info("outside")
    inside, given, outside = engine.logs()
    assert (inside["trace_id"], inside["span_id"]) == (span.trace_id, span.span_id)
    assert inside["operation"] == "work"
    assert (given["trace_id"], given["span_id"]) == ("1" * 32, "2" * 16)
    assert "trace_id" not in outside


def test_auto_instrumentation_does_not_break_agents(engine: Any) -> None:
    class Agent(AutoInstrumentedMixin):
        _component_name = "agent"

        async def chat(self, text: str) -> str:
            with self._auto_trace("chat", agent_id="a1", operation_name="mine", kind="x") as span:
                if span:
                    span.add_tag("length", len(text))
                self._auto_log("info", "chatting", agent_id="a1", component="other")
                self._auto_record_metric("requests", 1.0, "counter", name="n", value="v")
                async with self._auto_trace_async("model"):
                    pass
                async with await self._auto_trace_async("tool"):
                    if span:
                        span.set_status("error")
            return text.upper()

    assert asyncio.run(Agent().chat("off")) == "OFF"
    provider = initialize_auto_instrumentation(ObservabilityConfig(log_level=LogLevel.DEBUG))
    assert asyncio.run(Agent().chat("on")) == "ON"
    records = engine.records()
    spans = {record["span"]: record for record in records if "span" in record}
    chat = spans["agent.chat"]
    assert chat["status"]["code"] == "error"
    assert chat["attributes"] == {
        "component": "agent",
        "agent_id": "a1",
        "operation_name": "mine",
        "kind": "x",
        "auto_instrumented": True,
        "length": 2,
    }
    assert spans["agent.model"]["parent_span_id"] == chat["span_id"]
    assert spans["agent.tool"]["parent_span_id"] == chat["span_id"]
    (line,) = [record for record in records if "span" not in record]
    assert (line["message"], line["component"]) == ("chatting", "agent")
    tags = {"component": "agent", "name": "n", "value": "v", "auto_instrumented": "true"}
    assert provider.metrics.get_counter_value("agent.requests", labels=tags) == 1


def test_instrumented_functions_return_and_raise_what_they_did(engine: Any) -> None:
    @auto_instrument_function("work", "tool")
    def work(number: int) -> float:
        return 1 / number

    @auto_instrument_function("work_async", "tool")
    async def work_async(number: int) -> float:
        return work(number)

    assert work(2) == 0.5
    provider = initialize_auto_instrumentation()
    assert asyncio.run(work_async(4)) == 0.25
    with pytest.raises(ZeroDivisionError):
        work(0)
    metrics = provider.metrics.get_all_metrics()
    about = "auto_instrumented=true,component=tool"
    assert metrics["counters"][f"work.calls_total#{about},status=success"] == 1
    assert metrics["counters"][f"work.calls_total#{about},status=error"] == 1
    assert metrics["counters"][f"work.errors_total#{about},error_type=ZeroDivisionError"] == 1
    assert metrics["histogram_stats"][f"work_async.duration_seconds#{about},status=success"]
    failed = [span for span in engine.spans() if span["status"]["code"] == "error"]
    assert [span["events"][0]["name"] for span in failed] == ["exception"]


@pytest.mark.parametrize("install", [set_observability_provider, set_global_observability_provider])
def test_both_ways_to_install_a_provider_install_it_for_both(install: Any) -> None:
    provider = create_development_observability()
    install(provider)
    assert get_observability_provider() is provider
    assert get_global_observability_provider() is provider
    assert initialize_auto_instrumentation(provider) is provider


def test_lines_have_the_framework_s_keys(engine: Any) -> None:
    logger = V2Logger(ObservabilityConfig(log_level=LogLevel.WARNING, disabled_components=["x"]))
    logger.info("too low", "agent")
    logger.error("switched off", "x")
    logger.error("kept", "agent", operation="op", user_id="u", session_id="s", level="own", n=[1])
    logger.log("critical", "unnamed")
    kept, unnamed = engine.logs()
    assert kept["level"] == "error"
    names = ("message", "component", "operation", "user_id", "session_id", "metadata")
    assert [kept[name] for name in names] == [
        "kept",
        "agent",
        "op",
        "u",
        "s",
        {"level": "own", "n": [1]},
    ]
    assert (unnamed["component"], unnamed["level"]) == ("unknown", "critical")
    assert "metadata" not in unnamed


def test_spans_may_be_changed_like_the_framework_s(engine: Any) -> None:
    tracer = V2Tracer()
    with contextlib.suppress(ValueError), tracer.start_span("work", user="u") as span:
        assert isinstance(span, TraceSpan)
        assert (span.status, span.end_time, span.duration_ms) == (SpanStatus.OK, None, None)
        span.tags["direct"] = 1
        tracer.add_span_tag("current", 2)
        tracer.add_span_log("step", number=3)
        assert tracer.get_span_by_id(span.span_id) is span
        raise ValueError("no")
    assert tracer.get_current_span() is None
    assert span.status is SpanStatus.ERROR
    assert tracer.get_spans_by_trace_id(span.trace_id) == [span]
    assert tracer.get_finished_spans() == [span]
    tracer.clear_completed_spans()
    assert tracer.get_span_by_id(span.span_id) is None
    recorded = engine.span()
    assert recorded["attributes"] == {
        "user": "u",
        "direct": 1,
        "current": 2,
        "error": True,
        "error.message": "no",
        "error.type": "ValueError",
    }
    events = {event["name"]: event for event in recorded["events"]}
    assert events["step"]["attributes"]["number"] == 3
    assert events["exception"]["attributes"]["exception.type"] == "ValueError"
    assert recorded["status"] == {"code": "error", "description": "ValueError: no"}


def test_a_parent_that_is_given_by_its_id_is_the_parent(engine: Any) -> None:
    tracer = V2Tracer()
    with tracer.start_span("first") as first:
        pass
    with tracer.start_span("second", parent_span_id=first.span_id) as second:
        assert (second.parent_span_id, second.trace_id) == (first.span_id, first.trace_id)


def test_spans_of_the_engine_and_of_the_framework_are_one_trace(engine: Any) -> None:
    tracer = V2Tracer(ObservabilityConfig(trace_sampling_rate=0.0))
    program = coati.get_tracer("program")
    with program.span("request") as outer, tracer.start_span("agent") as span:
        assert (span.trace_id, span.parent_span_id) == (outer.trace_id, outer.span_id)
        with program.span("inner"):
            assert tracer.get_trace_id() == outer.trace_id
    inner, agent, request = engine.spans()
    assert inner["parent_span_id"] == agent["span_id"]
    assert agent["parent_span_id"] == request["span_id"]


def test_the_guide_s_calls(engine: Any) -> None:
    async def main() -> None:
        provider = ObservabilityProvider.create(
            {
                "logging": {"level": "DEBUG", "filters": {"exclude_components": ["noisy"]}},
                "tracing": {"sampling_rate": 1.0},
                "metrics": {"exclude_labels": ["user_id"], "custom_buckets": {"size": [10, 100]}},
            },
            "guide",
        )
        await provider.initialize()
        logger, tracer = provider.get_logger("agent"), provider.get_tracer("agent")
        metrics = provider.get_metrics("agent")
        provider.get_logger("noisy").error("left out")
        try:
            with tracer.start_span("op", attributes={"a": 1}, kind="CLIENT") as span:
                span.set_attribute("b", 2).set_attributes({"c": 3}).add_event("e", {"d": 4})
                assert tracer.get_current_span_id() == span.span_id
                logger.info("inside", span_id=span.span_id)
                raise KeyError("k")
        except KeyError as error:
            span.record_exception(error)
        with tracer.start_span("fine") as fine:
            fine.set_status("OK", "done")
        manual = tracer.start_span("manual", parent_span=fine)
        manual.finish()
        counter = metrics.create_counter("requests_total", description="Requests")
        counter.increment(labels={"status": "ok", "user_id": "u1"})
        counter.increment({"status": "ok"}, extra="x")
        counter.increment(2, labels={"status": "ok"})
        assert counter.get_value({"status": "ok"}) == 3
        gauge = metrics.create_gauge("queue", "Depth")
        gauge.set(5, labels={"q": "a"})
        gauge.increment(labels={"q": "a"})
        gauge.decrement(2, {"q": "a"})
        assert gauge.get_value({"q": "a"}) == 4
        assert provider.metrics.get_gauge_value("queue", q="a") == 4
        seconds = metrics.create_histogram("wait_seconds", "Wait", buckets=[0.1, 60.0])
        with seconds.timer(labels={"op": "x"}) as timer:
            pass
        assert seconds.get_buckets({"op": "x"})[60.0] == 1
        assert seconds.get_sum({"op": "x"}) == timer.stop() >= 0
        for size in (5, 50, 500):
            metrics.record_histogram("size", value=size, labels={"model": "m"})
        stats = metrics.get_histogram_stats("size", labels={"model": "m"})
        assert (stats["count"], stats["sum"]) == (3, 555)
        assert stats["stddev"] == pytest.approx(
            math.sqrt(sum((x - 185) ** 2 for x in (5, 50, 500)) / 3)
        )
        with metrics.timer("turn", labels={"op": "x"}):
            pass
        assert metrics.get_timer_stats("turn", op="x")["count"] == 1
        described = await metrics.export_metrics()
        assert described["requests_total#status=ok"]["value"] == 3
        text = await metrics.export_prometheus_format()
        assert type(text) is str
        assert isinstance(metrics.export_prometheus_format(), str)
        assert 'requests_total{status="ok"} 3' in text
        assert json.loads(await metrics.export_json_format()).keys() == described.keys()
        assert "queue" in metrics.list_metrics()
        assert [span.operation_name for span in tracer.get_finished_spans()] == [
            "op",
            "fine",
            "manual",
        ]
        assert (await tracer.export_spans())[0]["attributes"]["b"] == 2
        assert provider.get_memory_usage()["finished_spans"] == 3
        assert (await provider.health_check())["healthy"] is coati.health()["ok"]
        await provider.shutdown()

    asyncio.run(main())
    records = engine.records()
    spans = {record["span"]: record for record in records if "span" in record}
    assert spans["op"]["kind"] == "client"
    assert spans["op"]["attributes"]["component"] == "agent"
    assert [spans["op"]["attributes"][key] for key in "abc"] == [1, 2, 3]
    assert spans["fine"]["status"]["code"] == "ok"
    assert spans["manual"]["parent_span_id"] == spans["fine"]["span_id"]
    assert "left out" not in [record.get("message") for record in records]
    (inside,) = [record for record in records if record.get("message") == "inside"]
    assert inside["span_id"] == spans["op"]["span_id"]
    assert inside["metadata"] == {"span_id": inside["span_id"]}


def test_the_guide_s_constructors_and_records(engine: Any) -> None:
    logger = V2Logger("agent", LoggingConfig(level="ERROR"))
    logger.warning("below")
    logger.error("kept")
    metrics = V2Metrics("agent", MetricsConfig(exclude_labels=["user"]))
    metrics.increment_counter("hits", labels={"user": "u", "kind": "a"})
    assert metrics.get_counter_value("hits", labels={"kind": "a"}) == 1
    with V2Tracer("agent", TracingConfig(sampling_rate=1.0)).start_span("op") as span:
        assert isinstance(span, Span)
        assert span.component == "agent"
    context = SpanContext(span.trace_id, span.span_id)
    assert context.is_valid()
    assert not context.with_span_id("0" * 16).is_valid()
    assert SpanContext.from_dict(context.to_dict()) == context
    entry = LogEntry(datetime(2026, 1, 2), "INFO", "agent", "hello", {"a": 1})
    assert json.loads(entry.to_json())["level"] == "info"
    assert LogEntry.from_dict(entry.to_dict()) == entry
    assert MetricValue("n", "counter", 1.0).to_dict()["type"] == "counter"
    config = ObservabilityConfig.production()
    assert config.validate() == []
    assert ObservabilityConfig(tracing={"sampling_rate": 7}).validate() != []
    again = ObservabilityConfig.from_dict(ObservabilityConfig(metrics={"enabled": False}).to_dict())
    assert again.metrics_enabled is False
    assert [record["message"] for record in engine.logs()] == ["kept"]


def test_the_guide_s_programs_never_get_none_for_a_span(engine: Any) -> None:
    for provider in (
        ObservabilityProvider.create({"tracing": {"sampling_rate": 0.0}}),
        ObservabilityProvider.create({"tracing": {"enabled": False}}),
    ):
        for tracer in (provider.tracer, provider.get_tracer("agent")):
            with tracer.start_span("op") as span:
                span.set_attribute("a", 1).set_status("OK").record_exception(ValueError())
                assert not span
    assert engine.spans() == []


def test_limits_of_the_guide_s_configuration(engine: Any) -> None:
    provider = ObservabilityProvider.create(
        {
            "tracing": {
                "sampling_rate": 0.0,
                "sampling_rules": [{"component": "vip", "rate": 1.0}],
            },
            "performance": {"max_spans_per_trace": 3, "span_timeout_seconds": 0.02},
        }
    )
    tracer = provider.get_tracer("vip")
    with tracer.start_span("root"):
        for _ in range(5):
            with tracer.start_span("child"):
                pass
        time.sleep(0.1)
    *children, root = [record for record in engine.spans() if record["span"] in {"child", "root"}]
    assert len(children) == 2
    assert root["status"] == {"code": "error", "description": "timed out"}


def test_each_metrics_object_reads_what_it_has_recorded(engine: Any) -> None:
    one, two = V2Metrics(), V2Metrics()
    one.increment_counter("hits", 2, kind="a")
    two.increment_counter("hits", 5, kind="a")
    assert (one.get_counter_value("hits", kind="a"), two.get_counter_value("hits", kind="a")) == (
        2,
        5,
    )
    assert two.get_all_metrics()["counters"] == {"hits#kind=a": 5.0}
    one.reset_metrics()
    assert one.get_counter_value("hits", kind="a") == 0.0
    assert one.get_all_metrics()["counters"] == {}
    one.increment_counter("hits", kind="a")
    assert one.get_counter_value("hits", kind="a") == 1
    assert two.get_counter_value("hits", kind="a") == 5


def test_threads_lose_no_count_and_spans_are_bounded(engine: Any) -> None:
    provider = create_observability_provider({"buffer_size": 50})

    def work() -> None:
        for number in range(2000):
            provider.metrics.increment_counter("hits", kind="a", ok=True)
            provider.metrics.record_histogram("time", 1.0 + number % 5)
            with provider.tracer.start_span("outer"), provider.tracer.start_span("inner"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert provider.metrics.get_counter_value("hits", kind="a", ok=True) == 8000
    assert provider.metrics.get_histogram_stats("time")["count"] == 8000
    held = provider.get_memory_usage()
    assert (held["open_spans"], held["finished_spans"]) == (0, 50)
    finished = provider.tracer.get_finished_spans()
    plain = dataclasses.asdict(finished[-1])
    assert plain["operation_name"] == "outer"
    assert plain["span_id"] == finished[-1].span_id == finished[-1].to_dict()["span_id"]


def test_one_name_may_be_of_every_kind(engine: Any) -> None:
    metrics = V2Metrics()
    metrics.increment_counter("load", 1)
    metrics.set_gauge("load", 0)
    metrics.record_histogram("load", 3)
    metrics.record_timer("load", 4)
    metrics.increment_counter("no good name!", 5, what=None, number=1)
    assert metrics.get_counter_value("load") == 1
    assert metrics.get_gauge_value("load") == 0
    assert metrics.get_gauge_value("none") is None
    assert metrics.get_histogram_stats("load")["max"] == 3
    assert metrics.get_timer_stats("load")["max_ms"] == 4
    assert metrics.get_histogram_stats("none") == metrics.get_timer_stats("none") == {}
    assert metrics.get_counter_value("no good name!", what="None", number="1") == 5
    assert "no good name!#number=1,what=None" in metrics.get_all_metrics()["counters"]


def test_an_export_tells_what_has_changed(engine: Any) -> None:
    metrics = V2Metrics()
    metrics.increment_counter("count", 2, a="b")
    metrics.record_timer("turn", 7.0)
    points = metrics.export_metrics()
    assert {(point.name, point.value, point.metric_type.value) for point in points} == {
        ("count", 2.0, "counter"),
        ("turn", 7.0, "timer"),
    }
    assert metrics.export_metrics() == []
    metrics.increment_counter("count", 1, a="b")
    (point,) = metrics.export_metrics()
    assert (point.name, point.value, point.tags) == ("count", 3.0, {"a": "b"})


def test_nothing_that_a_program_gives_makes_a_call_raise(engine: Any) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    provider = create_observability_provider()
    provider.logger.info("line", "agent", value=Hostile())
    provider.metrics.increment_counter("count", "three")
    provider.metrics.set_gauge("gauge", None)
    provider.metrics.record_histogram("histogram", Hostile(), tag=Hostile())
    with provider.tracer.start_span("span", value=Hostile()) as span:
        span.tags["other"] = Hostile()
        span.logs.append({"message": Hostile()})
    names = {record.get("message", record.get("span")) for record in engine.records()}
    assert {"line", "span"} <= names


def test_components_record_as_the_framework_s(engine: Any) -> None:
    provider = create_observability_provider()
    parts: Any = create_all_observability_integrations(provider)
    parts["agent"].trace_agent_creation("a1", "openai", "gpt-4o")
    parts["agent"].record_token_usage("a1", 10, 5, "openai")
    parts["session"].record_session_error("s1", "timeout", "send")
    parts["memory"].record_memory_error("save", "sqlite", "disk_full")
    parts["workflow"].record_workflow_error("w1", None, "timeout")
    with parts["tool"].trace_tool_execution("calculator", "add", {"a": 1}) as span:
        assert span.tags["param_count"] == 1
    span = parts["agent"].trace_agent_request("a1", "Hello")
    parts["agent"].record_agent_response(span, "Hi", {"tokens": 3})
    assert span.is_finished
    counters = provider.metrics.get_all_metrics()["counters"]
    assert counters["agent.created#component=agent,model=gpt-4o,provider=openai"] == 1
    assert counters["agent.tokens.total#agent_id=a1,component=agent,provider=openai"] == 15
    assert (
        counters[
            "memory.errors#backend=sqlite,component=memory,error_type=disk_full,operation=save"
        ]
        == 1
    )
    assert isinstance(parts["agent"], AgentObservability)


def test_an_operation_is_told_at_both_ends(engine: Any) -> None:
    provider = create_observability_provider()
    with provider.trace_and_log_operation("good", "agent"):
        pass
    with pytest.raises(ValueError, match="no"), provider.trace_and_log_operation("bad"):
        raise ValueError("no")
    counters = provider.metrics.get_all_metrics()["counters"]
    assert counters["operations.completed#component=agent,operation=good,status=success"] == 1
    assert counters["operations.failed#component=unknown,error_type=ValueError,operation=bad"] == 1
    messages = [record["message"] for record in engine.logs()]
    assert messages == [
        "Started operation: good",
        "Completed operation: good",
        "Started operation: bad",
        "Failed operation: bad",
    ]


def test_urgencies_are_the_framework_s() -> None:
    found = [
        ContextSizeInfo(size, 100, float(size), 2).compression_urgency
        for size in (96, 86, 76, 66, 6)
    ]
    assert found == [
        CompressionUrgency.CRITICAL,
        CompressionUrgency.HIGH,
        CompressionUrgency.MEDIUM,
        CompressionUrgency.LOW,
        CompressionUrgency.NONE,
    ]


def test_the_engine_is_started_as_the_framework_s_configuration_says(program: Any) -> None:
    program.run(
        """
        import asyncio
        from coati.compat.langswarm import ObservabilityProvider, create_production_observability

        async def main():
            provider = ObservabilityProvider.create({
                "logging": {"level": "INFO", "output": "file", "file_path": "out.jsonl",
                            "rotation": {"max_size": "1MB", "backup_count": 2}},
                "performance": {"max_log_entry_size": 512},
            }, "guided")
            provider.logger.debug("below")
            with provider.tracer.start_span("work"):
                provider.logger.info("hello", "agent", text="x" * 1000)
            await provider.initialize()
            await provider.shutdown()

        asyncio.run(main())
        import coati
        print(coati.ledger()["spans"]["recorded"])
        """
    )
    hello, started, stopping = program.records()
    assert (hello["message"], hello["service"], hello["component"]) == ("hello", "guided", "agent")
    assert hello["span_id"]
    assert len(hello["metadata"]["text"]) < 600
    assert started["operation"] == "start"
    assert stopping["operation"] == "stop"
    assert program.stdout == "1\n"


def test_the_console_has_the_framework_s_lines(program: Any) -> None:
    program.run(
        """
        from coati.compat.langswarm import create_observability_provider
        create_observability_provider().logger.warning("hello", "agent", n=1)
        """
    )
    line = json.loads(program.stdout)
    assert (line["level"], line["component"], line["metadata"]) == ("warning", "agent", {"n": 1})


def test_before_the_engine_and_after_it(program: Any) -> None:
    program.run(
        """
        import coati
        from coati.compat.langswarm import create_development_observability
        provider = create_development_observability()
        coati.init(config={"sinks": [SINK]})
        provider.logger.info("with the program's sinks", "agent")
        provider.metrics.increment_counter("count")
        coati.shutdown()
        provider.logger.info("after", "agent")
        provider.metrics.increment_counter("count")
        with provider.tracer.start_span("after") as span:
            print(span)
        """
    )
    assert program.messages() == ["with the program's sinks"]
    assert program.stdout == "None\n"


def test_each_configuration_s_file_is_written(program: Any) -> None:
    program.run(
        """
        from coati.compat.langswarm import LogLevel, create_observability_provider
        for number, level in enumerate((LogLevel.ERROR, LogLevel.DEBUG)):
            provider = create_observability_provider({
                "log_output": "file", "log_file_path": f"out{number}.jsonl", "log_level": level,
            })
            provider.logger.debug(f"debug {number}")
            provider.logger.error(f"error {number}")
            provider.logger.close()
        """
    )
    first, second = (
        [json.loads(line)["message"] for line in (program.folder / name).read_text().splitlines()]
        for name in ("out0.jsonl", "out1.jsonl")
    )
    assert first == ["error 0", "error 1"]
    assert second[-2:] == ["debug 1", "error 1"]
    assert program.stdout == ""


def test_the_program_s_own_engine_follows(program: Any) -> None:
    program.run(
        """
        import coati
        from coati.compat.langswarm import create_observability_provider
        init = coati.init
        provider = create_observability_provider()
        provider.logger.info("on the console", "agent")
        provider.metrics.increment_counter("count", 2)
        coati.init("own", config={"sinks": [SINK]})
        assert coati.init is init
        provider.logger.info("in the file", "agent")
        provider.metrics.increment_counter("count")
        with provider.tracer.start_span("work"):
            pass
        coati.init("own", config={"sinks": [SINK]})
        """
    )
    assert json.loads(program.stdout)["message"] == "on the console"
    line, span = program.records()
    assert (line["message"], line["service"], span["span"]) == ("in the file", "own", "work")


def test_names_of_the_framework_without_the_framework(program: Any) -> None:
    program.run(
        """
        import coati, sys
        import coati.compat.langswarm as ours
        ours.install()
        ours.install()
        if "langswarm" in sys.modules and getattr(sys.modules["langswarm"], "__file__", None):
            raise SystemExit("the framework is there")
        import langswarm.core.observability
        from langswarm.core.observability import ObservabilityProvider, LoggingConfig
        from langswarm.core.observability.integrations import AgentObservability
        from langswarm.core.observability.token_tracking import TokenUsageAggregator
        assert ObservabilityProvider is ours.ObservabilityProvider
        assert langswarm.core.observability.provider.V2Logger is ours.V2Logger
        assert ours.is_installed()
        ours.uninstall()
        ours.uninstall()
        assert not [name for name in sys.modules if name.startswith("langswarm")]
        """
    )


def test_a_span_that_ends_inside_its_statement_is_not_current_after_it(engine: Any) -> None:
    tracer = V2Tracer()
    with tracer.start_span("a") as span:
        span.finish()
        ended = span.end_time
    assert tracer.get_trace_id() is None

    def fails() -> None:
        with tracer.start_span("b") as span:
            span.end()
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fails()
    assert coati.current_span().span_id == "0" * 16
    with tracer.start_span("c") as other:
        assert other.parent_span_id is None
    assert [one["span"] for one in engine.spans()] == ["a", "b", "c"]
    assert tracer.get_finished_spans()[0].end_time == ended


def test_tags_that_cannot_be_compared_harm_nobody(engine: Any) -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no")

        __hash__ = None  # type: ignore[assignment]

        def __str__(self) -> str:
            return "odd"

    tracer = V2Tracer()
    with tracer.start_span("a", tag=Odd()) as span:
        span.add_tag("tag", Odd()).add_tag("n", 1)
        span.set_attributes(None).set_attributes(5)
    assert span.is_finished
    assert tracer.get_trace_id() is None
    assert engine.spans()[0]["attributes"]["n"] == 1


def test_values_that_are_no_keys_are_labels_by_their_text(engine: Any) -> None:
    metrics = V2Metrics()
    for _ in range(2):
        metrics.increment_counter("c", a=[1])
        metrics.set_gauge("g", 3.0, a={"b": 1})
        metrics.record_histogram("h", 4.0, labels={"a": [1]})
        metrics.record_timer("t", 5.0, a={1})
    found = metrics.get_all_metrics()
    assert found["counters"] == {"c#a=[1]": 2.0}
    assert found["gauges"] == {"g#a={'b': 1}": 3.0}
    assert found["histogram_stats"]["h#a=[1]"]["count"] == 2
    assert found["timer_stats"]["t#a={1}"]["count"] == 2


def test_fields_of_a_line_may_be_called_like_arguments(engine: Any) -> None:
    class Agent(AutoInstrumentedMixin):
        _component_name = "agent"

    initialize_auto_instrumentation(ObservabilityConfig(log_level=LogLevel.DEBUG))
    Agent()._auto_log("info", "first", level=3, message="x", **{"self": 4})
    Agent()._auto_log(level="warning", message="second")
    lines = {line["message"]: line for line in engine.records() if "message" in line}
    assert lines["second"]["level"] == "warning"
    told = json.dumps(lines["first"])
    for field in ('"level_": 3', '"message_": "x"', '"self_": 4', '"component": "agent"'):
        assert field in told

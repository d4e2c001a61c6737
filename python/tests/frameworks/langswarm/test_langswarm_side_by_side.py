"""Each class of LangSwarm's beside coati's: the same calls, the same returns."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import importlib
import inspect
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import coati.compat.langswarm as ours
import langswarm.core.observability as theirs
import pytest

SIDES = {"theirs": "langswarm.core.observability", "ours": "coati.compat.langswarm"}
MODULES = [
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
#: Returns that depend on a distribution: within what coati states.
CLOSE = 0.0065


@pytest.fixture(autouse=True)
def running(engine: Any) -> Iterator[Any]:
    """An engine, and no provider afterwards."""
    yield engine
    ours.set_observability_provider(None)


def module(side: str, name: str) -> Any:
    """A module of one side."""
    return importlib.import_module(f"{SIDES[side]}.{name}")


def both(call: Any, name: str = "") -> tuple[Any, Any]:
    """What a call gives on either side."""
    found = [
        importlib.import_module(side + (f".{name}" if name else "")) for side in SIDES.values()
    ]
    return call(found[0]), call(found[1])


@pytest.mark.parametrize("name", MODULES)
def test_every_class_function_and_method_is_there(name: str) -> None:
    wrong = []
    there, here = module("theirs", name), module("ours", name)
    for key, value in vars(there).items():
        own = str(getattr(value, "__module__", "")) == there.__name__
        if not own or key.startswith("_") or key == "get_otel_module":
            continue
        if not hasattr(here, key):
            wrong.append(key)
        elif inspect.isfunction(value):
            wrong += missing_parameters(key, value, getattr(here, key))
        elif inspect.isclass(value) and not issubclass(value, enum.Enum):
            for method, function in vars(value).items():
                if not method.startswith("_") and inspect.isfunction(function):
                    mine = getattr(getattr(here, key), method, None)
                    if mine is None:
                        wrong.append(f"{key}.{method}")
                    else:
                        wrong += missing_parameters(f"{key}.{method}", function, mine)
    assert wrong == []


def missing_parameters(name: str, theirs: Any, ours: Any) -> list[str]:
    """Parameters that ours does not take by their place and name."""
    mine = list(inspect.signature(ours).parameters.values())
    wrong = []
    for place, parameter in enumerate(inspect.signature(theirs).parameters.values()):
        if parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
            continue
        there = place < len(mine) and mine[place].name == parameter.name
        if not there or (parameter.default is not parameter.empty) > (
            mine[place].default is not parameter.empty
        ):
            wrong.append(f"{name}({parameter.name})")
    return wrong


def test_enumerations_have_the_same_members() -> None:
    for name in ("LogLevel", "MetricType", "SpanStatus", "TokenEventType", "CompressionUrgency"):
        there, here = both(lambda side, name=name: {m.name: m.value for m in getattr(side, name)})
        assert here == there


def test_records_have_the_same_fields_and_defaults() -> None:
    names = [name for name in theirs.__all__ if dataclasses.is_dataclass(getattr(theirs, name))]
    assert len(names) >= 9
    for name in names:

        def shape(side: Any, name: str = name) -> list[Any]:
            found = []
            for field in dataclasses.fields(getattr(side, name)):
                default = getattr(field.default, "value", field.default)
                found.append((field.name, None if default is dataclasses.MISSING else default))
            return found

        there, here = both(shape)
        assert here[: len(there)] == there, name


def test_the_framework_s_names_are_exported() -> None:
    assert set(theirs.__all__) <= set(ours.__all__)


def test_metrics_read_the_same() -> None:
    def play(side: Any) -> list[Any]:
        metrics = side.V2Metrics(side.ObservabilityConfig())
        for number in range(500):
            metrics.increment_counter("requests", agent="a", ok=True, n=number % 3)
            metrics.increment_counter("requests", 2.5)
            metrics.set_gauge("depth", number, queue="q")
        found = [
            metrics.get_counter_value("requests", agent="a", ok=True, n=1),
            metrics.get_counter_value("requests", agent="a", ok="True", n="1"),
            metrics.get_counter_value("requests"),
            metrics.get_counter_value("none"),
            metrics.get_gauge_value("depth", queue="q"),
            metrics.get_gauge_value("depth"),
            metrics.get_histogram_stats("none"),
            metrics.get_timer_stats("none"),
            metrics.get_all_metrics(),
        ]
        metrics.record_histogram("one", 4.5)
        metrics.record_timer("one", 7.25, step="s")
        found += [metrics.get_histogram_stats("one"), metrics.get_timer_stats("one", step="s")]
        metrics.reset_metrics()
        found += [
            metrics.get_counter_value("requests"),
            metrics.get_gauge_value("depth", queue="q"),
        ]
        return [*found, metrics.get_histogram_stats("one"), metrics.get_all_metrics()]

    there, here = both(play)
    assert here == there


@pytest.mark.parametrize("size", [2, 3, 7, 100, 999])
def test_statistics_are_exact_or_within_what_is_stated(size: int) -> None:
    def play(side: Any) -> Any:
        metrics = side.V2Metrics(side.ObservabilityConfig())
        for number in range(size):
            metrics.record_histogram("latency", 1 + (number * 7919) % size)
        return metrics.get_histogram_stats("latency")

    there, here = both(play)
    assert list(here) == list(there)
    for name in ("count", "min", "max"):
        assert here[name] == there[name]
    assert here["mean"] == pytest.approx(there["mean"])
    for name, share in {"median": 0.5, "p95": 0.95, "p99": 0.99}.items():
        # Between two values theirs takes the upper one, or of the median their mean.
        low = max(int(share * size) - 1, 0) + 1
        high = min(int(share * size), size - 1) + 1
        assert low * (1 - CLOSE) <= here[name] <= high * (1 + CLOSE)


def test_an_export_is_of_metric_points() -> None:
    def play(side: Any) -> Any:
        metrics = side.V2Metrics(side.ObservabilityConfig())
        metrics.increment_counter("count", 2, a="b")
        metrics.set_gauge("gauge", 3.0)
        metrics.record_histogram("histogram", 4.0)
        metrics.record_timer("timer", 5.0)
        points = metrics.export_metrics()
        assert all(isinstance(point, side.MetricPoint) for point in points)
        assert all(isinstance(point.timestamp, datetime) for point in points)
        found = [(p.name, p.value, p.metric_type.value, p.tags) for p in points]
        return found, metrics.export_metrics()

    there, here = both(play)
    assert here == there


def test_spans_read_the_same() -> None:
    def play(side: Any) -> list[Any]:
        tracer = side.V2Tracer(side.ObservabilityConfig())
        found: list[Any] = [tracer.get_current_span(), tracer.get_trace_id()]
        with tracer.start_span("root", user="u") as root:
            found += [tracer.get_current_span() is root, tracer.get_trace_id() == root.trace_id]
            tracer.add_span_tag("tag", 1)
            tracer.add_span_log("said", level="info")
            with tracer.start_span("child") as child:
                found.append(child.parent_span_id == root.span_id)
            try:
                with tracer.start_span("failing") as failing:
                    raise KeyError("k")
            except KeyError:
                pass
        for span in (root, child, failing):
            found += [span.operation_name, span.status.value, span.component, span.tags]
            found += [span.trace_id == root.trace_id, span.duration_ms >= 0]
            found += [timedelta(0) <= span.end_time - span.start_time, span.end_time.tzinfo]
            found += [
                [set(entry) for entry in span.logs],
                tracer.get_span_by_id(span.span_id) is span,
            ]
        spans = tracer.get_spans_by_trace_id(root.trace_id)
        found += [[span.operation_name for span in spans], root.parent_span_id]
        tracer.clear_completed_spans()
        return [*found, tracer.get_span_by_id(root.span_id), tracer.get_current_span()]

    there, here = both(play)
    assert here == there


def test_spans_that_are_not_kept_are_none() -> None:
    def play(side: Any) -> list[Any]:
        found = []
        for config in ({"trace_sampling_rate": 0.0}, {"tracing_enabled": False}):
            tracer = side.V2Tracer(side.ObservabilityConfig(**config))
            with tracer.start_span("root") as span:
                found += [span, tracer.get_current_span()]
        return found

    there, here = both(play)
    assert here == there == [None] * 4


def test_traced_functions_have_the_same_spans() -> None:
    def play(side: Any) -> list[Any]:
        registry = importlib.import_module(f"{side.__name__}.tracer")
        tracer = registry.create_tracer("default")

        @side.trace_function("work", kind_of="sync")
        def work(a: int, b: int = 1) -> int:
            return a + b

        @side.trace_async_function()
        async def work_async(a: int) -> int:
            return work(a, b=2)

        results = [asyncio.run(work_async(1)), registry.get_current_span()]
        registry._tracers.clear()
        spans = tracer._completed_spans.values() if side is theirs else tracer.get_finished_spans()
        return [*results, *[(span.operation_name, sorted(span.tags.items())) for span in spans]]

    there, here = both(play)
    assert here == there


def test_lines_say_the_same(engine: Any, capsys: Any) -> None:
    def play(side: Any) -> None:
        config = side.ObservabilityConfig(
            log_level=side.LogLevel.INFO, disabled_components=["noisy"]
        )
        logger = side.V2Logger(config)
        logger.debug("left out", "agent")
        logger.info("plain")
        logger.info("left out", "noisy")
        logger.warning("fields", "agent", operation="op", user_id="u", session_id="s", n=1, m=[2])
        logger.error("error", component="tool", error_type="x")
        logger.log(side.LogLevel.CRITICAL, "critical", "agent", deep={"a": {"b": None}})

    play(theirs)
    there = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    play(ours)
    here = engine.logs()
    assert len(there) == len(here) == 4
    for mine, one in zip(here, there, strict=True):
        for line in (mine, one):
            assert datetime.fromisoformat(line.pop("timestamp").replace("Z", "")[:26])
        assert mine.pop("logger") == one["component"]
        assert mine.pop("service") == "tests"
        assert mine == one


def test_events_are_formatted_the_same() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, 678901)

    def play(side: Any) -> list[str]:
        logger = side.V2Logger(side.ObservabilityConfig())
        events = [
            side.LogEvent(when, side.LogLevel.INFO, "plain", "agent"),
            side.LogEvent(
                when,
                side.LogLevel.ERROR,
                'with "everything"',
                "tool",
                "op",
                "t" * 32,
                "s" * 16,
                "user",
                "session-is-long",
                {"a": 1, "b": [None, True]},
            ),
        ]
        return [
            text
            for event in events
            for text in (logger._format_structured(event), logger._format_text(event))
        ]

    there, here = both(play)
    assert here == there


def test_providers_report_the_same() -> None:
    def play(side: Any) -> list[Any]:
        provider = side.create_observability_provider({"log_level": side.LogLevel.CRITICAL})
        found = [provider.get_health_status()]

        async def main() -> None:
            await provider.start()
            await provider.start()
            with provider.trace_and_log_operation("work", "agent") as span:
                health = provider.get_health_status()
                found.append(health["current_trace"].pop("trace_id") == span.trace_id)
                found.append(health)
            try:
                with provider.trace_and_log_operation("failing"):
                    raise KeyError("k")
            except KeyError:
                found.append("raised")
            provider.log_with_trace_context("info", "hello", "agent", n=1)
            await provider.flush()
            found.append(provider.metrics.get_all_metrics()["counters"])
            await provider.stop()

        asyncio.run(main())
        return [*found, provider.get_health_status()["status"], provider.opentelemetry_enabled]

    there, here = both(play)
    assert here == there


def test_presets_are_the_same(tmp_path: Any) -> None:
    def play(side: Any) -> list[Any]:
        providers = [
            side.create_development_observability(),
            side.create_production_observability(str(tmp_path / "app.log"), "http://x", "http://y"),
        ]
        found = []
        for provider in providers:
            names = [field.name for field in dataclasses.fields(theirs.ObservabilityConfig)]
            values = {name: getattr(provider.config, name) for name in names}
            found.append({name: getattr(value, "value", value) for name, value in values.items()})
        return found

    there, here = both(play)
    assert here == there


def test_components_count_the_same(capsys: Any) -> None:
    def play(side: Any) -> list[Any]:
        provider = side.create_observability_provider()
        parts = side.create_all_observability_integrations(provider)
        parts["agent"].trace_agent_creation("a1", "openai", "gpt-4o")
        parts["agent"].record_token_usage("a1", 100, 50, "openai")
        parts["agent"].record_error("a1", "timeout", "openai", "gpt-4o")
        parts["tool"].record_tool_error("calc", "add", "overflow")
        parts["session"].trace_session_creation("s1", "u1", "openai", "sqlite")
        parts["session"].record_message_count("s1", 4, "openai")
        parts["memory"].record_memory_usage("sqlite", 1, 2, 3.5)
        parts["workflow"].record_workflow_error("w1", "step", "timeout")
        with parts["tool"].trace_tool_execution("calc", "add", {"a": 1}) as span:
            tags = dict(span.tags)
        with parts["memory"].trace_memory_operation("save", "sqlite") as span:
            name = span.operation_name
        return [provider.metrics.get_all_metrics(), tags, name]

    there, here = both(play)
    assert here == there


def test_tokens_add_up_the_same() -> None:
    day = datetime(2026, 1, 2, 3)

    def play(side: Any) -> list[Any]:
        metrics = side.V2Metrics(side.ObservabilityConfig())
        totals = side.TokenUsageAggregator(metrics)
        budgets = side.TokenBudgetManager(totals)
        contexts = side.ContextSizeMonitor()

        async def main() -> list[Any]:
            found: list[Any] = [await budgets.get_budget_recommendations("u0")]
            for number in range(6):
                event = side.TokenUsageEvent(
                    event_id=str(number),
                    session_id=f"s{number % 2}",
                    user_id=f"u{number % 3}" if number else None,
                    model=("gpt-4", "gpt-4o")[number % 2],
                    provider="openai",
                    input_tokens=6000,
                    output_tokens=50,
                    total_tokens=6050,
                    context_size=100,
                    max_context_size=400,
                    cost_estimate=0.25,
                    processing_time_ms=500.0,
                    timestamp=day + timedelta(days=number),
                )
                found.append(dataclasses.asdict(event) | {"event_type": event.event_type.value})
                await totals.record_usage(event)
            limits = [
                {"daily_token_limit": 100},
                {"session_token_limit": 100},
                {"cost_limit_usd": 0.5},
                {"daily_token_limit": 100000, "cost_limit_usd": 100.0},
            ]
            for limit in limits:
                await budgets.set_budget("u1", side.TokenBudgetConfig(**limit))
                check = await budgets.check_budget_limit("u1", "s1", 150, 0.1)
                found += [dataclasses.asdict(check), await budgets.get_budget_status("u1")]
                found.append(await budgets.enforce_token_limit("u1", "s1", 150, 0.1))
            found += [await totals.get_session_usage("s0"), await totals.get_user_usage("u1")]
            for group in (None, "model", "provider", "day"):
                usage = await totals.get_usage_analytics(group_by=group)
                found.append(
                    {key: sorted(v) if isinstance(v, list) else v for key, v in usage.items()}
                )
            when = (day.isoformat(), (day + timedelta(days=2)).isoformat())
            found += [
                await totals.get_usage_analytics("u1", "s1", when),
                await totals.get_usage_analytics("none"),
                await budgets.get_budget_recommendations("u1"),
                await budgets.get_budget_status("nobody"),
            ]
            for length in (10, 11000, 13000, 14000, 16000):
                message = SimpleNamespace(content="x" * length)

                async def context(message: Any = message) -> list[Any]:
                    return [message]

                session = SimpleNamespace(get_context=context)
                info = await contexts.calculate_context_info(session, "unknown", 5)
                plain = dataclasses.asdict(info)
                plain["compression_urgency"] = info.compression_urgency.value
                found += [plain, await contexts.get_compression_recommendation(info)]
                found.append(await contexts.should_compress_context(info))
            return [*found, metrics.get_all_metrics()]

        return asyncio.run(main())

    there, here = both(play)
    assert here == there


def test_costs_are_the_same() -> None:
    def play(side: Any) -> list[Any]:
        estimator = side.CostEstimator
        models = [*theirs_rates(), "gpt-4o-custom", "unknown", "", None]
        found = []
        for model in models:
            pricing = estimator.get_pricing(model)
            found.append(dataclasses.asdict(pricing) if pricing else None)
            found.append(estimator.estimate_cost(model, 1234, 567))
        return found

    there, here = both(play, "cost_estimator")
    for mine, one in zip(here, there, strict=True):
        assert mine == pytest.approx(one)


def theirs_rates() -> list[str]:
    """The models that they have prices of."""
    return list(module("theirs", "cost_estimator").CostEstimator._RATES)


def test_errors_say_the_same_but_for_their_advice() -> None:
    def play(side: Any) -> list[Any]:
        cause = ConnectionError("network is down")
        errors = [
            side.TracingError("export", "jaeger", cause, "span"),
            side.MetricsError("push", "statsd", "latency", cause),
            side.LoggingError("write", "file", cause, "info"),
            side.MonitoringError("check", "alerting", "agent", cause),
            side.tracing_failed("export", "zipkin"),
            side.metrics_failed("push", "prometheus"),
            side.logging_failed("write", "other"),
            side.monitoring_failed("check", "other"),
        ]
        return [
            (
                error.message,
                error.operation,
                error.original_error,
                type(error).__mro__[2].__name__,
                error.context.component,
                error.context.metadata,
            )
            for error in errors
        ]

    there, here = both(play, "observability_errors")
    for mine, one in zip(here, there, strict=True):
        assert [str(part) for part in mine] == [str(part) for part in one]

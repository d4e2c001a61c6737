"""Each class of Kaizen's observability and coati's in its place, called in the same way."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import io
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import coati
import pytest
from coati.compat import kaizen as ours
from conftest import Engine
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

START = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
PARENT = "kaizen.core.autonomy"


def kaizens() -> SimpleNamespace:
    """The framework's own classes, by the names that coati's have."""
    found = SimpleNamespace()
    for name in ("observability", "hooks", "hooks.builtin"):
        module = importlib.import_module(f"{PARENT}.{name}")
        for attribute in module.__all__:
            setattr(found, attribute, getattr(module, attribute))
    return found


theirs = kaizens()
SHARED = sorted(
    name
    for name in vars(theirs)
    if inspect.isclass(getattr(theirs, name)) and name not in {"HookHandler"}
)


def both(scenario: Callable[[Any], Any]) -> tuple[Any, Any]:
    """What a scenario gives on each."""
    return scenario(theirs), scenario(ours)


def same(scenario: Callable[[Any], Any]) -> Any:
    """What it gives on both alike."""
    other, mine = both(scenario)
    assert mine == other
    return mine


@pytest.mark.parametrize("name", SHARED)
def test_methods_and_parameters(name: str) -> None:
    other, mine = getattr(theirs, name), getattr(ours, name)
    for method in [*(one for one in vars(other) if not one.startswith("_")), "__init__"]:
        function = getattr(other, method)
        if not inspect.isroutine(function):
            assert hasattr(mine, method)
            continue
        wanted = inspect.signature(function).parameters.values()
        given = inspect.signature(getattr(mine, method)).parameters
        for one in wanted:
            found = given[one.name]
            assert found.kind == one.kind, (method, one.name)
            assert found.default == one.default or inspect.isclass(one.default), (method, one.name)
        more = list(given.values())[len(wanted) :]
        kinds = {one.kind for one in more if one.default is inspect.Parameter.empty}
        assert not kinds, (method, more)
        assert inspect.iscoroutinefunction(function) == inspect.iscoroutinefunction(
            getattr(mine, method)
        )


@pytest.mark.parametrize("name", ["Metric", "LogEntry", "AuditEntry", "HookContext", "HookResult"])
def test_fields(name: str) -> None:
    other, mine = (fields(getattr(one, name)) for one in (theirs, ours))
    assert [(one.name, one.default) for one in mine] == [(one.name, one.default) for one in other]


def test_events_and_priorities() -> None:
    assert same(lambda k: [(one.name, one.value) for one in k.HookEvent])
    assert same(lambda k: [(one.name, one.value) for one in k.HookPriority])


def test_metrics() -> None:
    def scenario(k: Any) -> Any:
        metrics = k.MetricsCollector()
        for number in range(200):
            metrics.counter("calls_total", labels={"provider": "x", "ok": str(number % 2)})
            metrics.counter("tokens_total", number, {"model": "m"})
            metrics.gauge("memory_bytes", number * 1024)
            metrics.histogram("took_ms", (number * 7919) % 200 / 3, {"tool": "t"})
            metrics.histogram("size", number)
        metrics.histogram("one", 5)
        metrics.counter("negative", -2.5)
        return [
            asyncio.run(metrics.export()),
            metrics.get_metric_count(),
            metrics.get_counter_value("calls_total", {"ok": "1", "provider": "x"}),
            metrics.get_counter_value("nothing"),
            metrics.get_gauge_value("memory_bytes"),
            metrics.get_gauge_value("nothing"),
            metrics.get_histogram_values("took_ms", {"tool": "t"}),
            metrics.get_histogram_values("nothing"),
            [metrics._calculate_percentile([1.0, 2.0, 3.0, 4.0], p) for p in (0, 0.5, 0.9, 1)],
            metrics.reset(),
            asyncio.run(metrics.export()),
        ]

    text = same(scenario)[0]
    assert len(text.splitlines()) == 2 + 1 + 1 + 3 * 3 + 1


def test_timers() -> None:
    def scenario(k: Any) -> Any:
        metrics = k.MetricsCollector()

        async def run() -> None:
            async with metrics.timer("took", {"a": "b"}) as given:
                assert given is None

        asyncio.run(run())
        with metrics.timer_sync("took", {"a": "b"}):
            pass
        try:
            with metrics.timer_sync("took", labels={"a": "b"}):
                raise KeyError("x")
        except KeyError:
            pass
        values = metrics.get_histogram_values("took", {"a": "b"})
        return [type(value) for value in values]

    assert same(scenario) == [float] * 3


def test_logs() -> None:
    def scenario(k: Any) -> Any:
        stream = io.StringIO()
        name = f"same.{k.StructuredLogger.__module__}"
        logging.getLogger(name).addHandler(logging.StreamHandler(stream))
        logging.getLogger(name).setLevel(logging.INFO)
        log = k.StructuredLogger(name)
        nested = {"a": [1, 2.5, None, True, "ü\n\"'"], "b": {}}
        log.info("begin", tool="x", nested=nested)
        log.debug("nothing")
        log.add_context(agent_id="a1", user="u")
        log.warning('ü \\ "quoted"\t', user="v", big=2**70, small=1e-9)
        log.add_context(trace_id="t", span_id="s")
        log.error("end")
        log.critical("end", agent_id="other")
        given = log.get_context()
        log.clear_context()
        log.info("empty")
        entry = k.LogEntry(START, "ERROR", "made", {"x": 1}, span_id="s")
        log.log_entry(entry)
        manager = k.LoggingManager()
        one = manager.get_logger(name)
        manager.set_log_level("CRITICAL")
        one.error("nothing")
        lines = [list(json.loads(line).items()) for line in stream.getvalue().splitlines()]
        texts = [line.partition(", ")[2] for line in stream.getvalue().splitlines()]
        for line in lines[:-1]:
            datetime.fromisoformat(line.pop(0)[1])
        return lines, texts, given, manager.get_logger_count(), manager.get_logger(name) is one

    lines = same(scenario)[0]
    assert len(lines) == 6


def entries(k: Any) -> list[Any]:
    return [
        k.AuditEntry(
            timestamp=START + timedelta(seconds=number),
            agent_id=f"a{number % 2}",
            action=("read", "write", "grant")[number % 3],
            details={"n": number, "nested": {"ü": [1, None, 2.5]}},
            result=("success", "failure", "denied", "success")[number % 4],
            user_id="u" if number % 5 else None,
            metadata={"m": number} if number % 2 else {},
        )
        for number in range(24)
    ]


def test_audit(tmp_path: Path) -> None:
    def scenario(k: Any) -> Any:
        path = tmp_path / k.FileAuditStorage.__module__ / "audit.jsonl"
        storage = k.FileAuditStorage(str(path))

        async def run() -> list[Any]:
            for one in entries(k):
                await storage.append(one)
            # What it finds is read from the file of either.
            found = [
                await storage.query(),
                await storage.query(agent_id="a1", action="write"),
                await storage.query(user_id="u", result="denied"),
                await storage.query(
                    start_time=START + timedelta(seconds=3), end_time=START + timedelta(seconds=9)
                ),
                await storage.query(agent_id="nobody"),
            ]
            return [[vars(one) for one in some] for some in found] + [await storage.count()]

        answers = asyncio.run(run())
        lines = path.read_text().splitlines()
        return answers, lines, path.stat().st_mode, path.parent.stat().st_mode

    other, mine = both(scenario)
    assert mine[0] == other[0]
    assert mine[2:] == other[2:]
    # The same text, and what proves it behind.
    for line, old in zip(mine[1], other[1], strict=True):
        assert line.startswith(old[:-1] + ', "sequence": ')
    # Each reads what the other wrote; theirs only without the keys behind.
    path = tmp_path / theirs.FileAuditStorage.__module__ / "audit.jsonl"
    storage = ours.FileAuditStorage(path)
    assert [vars(one) for one in asyncio.run(storage.query())] == other[0][0]


def test_the_audit_manager(tmp_path: Path) -> None:
    def scenario(k: Any) -> Any:
        path = tmp_path / f"{k.FileAuditStorage.__module__}.jsonl"
        manager = k.AuditTrailManager(storage=k.FileAuditStorage(str(path)))

        async def run() -> list[Any]:
            await manager.record("a1", "read", {"x": 1}, "success", "u1", {"m": 1})
            await manager.record("a2", "read", {}, "denied")
            now = datetime.now(timezone.utc)
            found: list[Awaitable[list[Any]]] = [
                manager.query_by_agent("a1"),
                manager.query_by_action("read"),
                manager.query_by_user("u1"),
                manager.query_by_result("denied"),
                manager.query_by_timerange(now - timedelta(days=1), now + timedelta(days=1)),
                manager.query_all(),
            ]
            return [[{**vars(one), "timestamp": 0} for one in await some] for some in found]

        return asyncio.run(run())

    assert [len(one) for one in same(scenario)] == [1, 2, 1, 1, 2, 2]


def traced(k: Any) -> Any:
    """What an exporter gets."""
    exporter = InMemorySpanExporter()
    tracing = k.TracingManager("shop", batch_size=100, exporter=exporter, jaeger_host="h")
    sizes = tracing.batch_size, tracing.max_export_batch_size, tracing.jaeger_host
    data = {"tool_name": "x", "count": 3, "ok": True, "rate": 0.5, "list": [1], "none": None}
    meta = {"parent_span_id": 5, "user": "u"}
    context = k.HookContext(k.HookEvent.PRE_TOOL_USE, "a1", 1.0, data, meta, "trace")
    outer = tracing.create_span_from_context(context)
    bare = k.HookContext(k.HookEvent.POST_AGENT_LOOP, "a1", 1.0, {})
    spans = [tracing.create_span_from_context(bare, parent_span=outer) for _ in range(3)]
    tracing.update_span_from_result(outer, k.HookResult(success=True))
    tracing.update_span_from_result(spans[0], k.HookResult(success=False, error="no"))
    tracing.record_exception(spans[1], KeyError("gone"))
    recording = [span.is_recording() for span in (outer, *spans)]
    for span in (*spans, outer):
        span.end()
    assert tracing.force_flush()
    by_id = {span.context.span_id: span.name for span in exporter.get_finished_spans()}
    found = [
        {
            "name": span.name,
            "attributes": dict(span.attributes),
            "status": (span.status.status_code, span.status.description),
            "events": [(one.name, one.attributes["exception.type"]) for one in span.events],
            "parent": span.parent and by_id[span.parent.span_id],
            "service": span.resource.attributes["service.name"],
        }
        for span in exporter.get_finished_spans()
    ]
    tracing.shutdown()
    return found, sizes, recording


def test_tracing(engine: Engine) -> None:
    assert len(same(traced)[0]) == 4
    recorded = engine.spans()
    assert sorted(one["span"] for one in recorded) == ["post_agent_loop"] * 3 + ["pre_tool_use"]
    outer = next(one for one in recorded if one["span"] == "pre_tool_use")
    assert {one.get("parent_span_id") for one in recorded} == {None, outer["span_id"]}


def test_tracing_without_an_engine() -> None:
    coati.shutdown(60)
    assert len(same(traced)[0]) == 4


def test_where_spans_go(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    module = importlib.import_module("coati.compat.kaizen.tracing_manager")
    monkeypatch.setattr(module, "_otlp", lambda *address: asked.append(address))
    for running in (True, False):
        if not running:
            coati.shutdown(60)
        ours.TracingManager("shop")
        ours.TracingManager("shop", jaeger_host="jaeger.internal", insecure=False)
    assert asked == [
        ("jaeger.internal:4317", False),
        ("localhost:4317", True),
        ("jaeger.internal:4317", False),
    ]


def test_the_manager_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def scenario(k: Any) -> Any:
        off = k.ObservabilityManager(
            enable_metrics=False, enable_logging=False, enable_tracing=False, enable_audit=False
        )
        on = k.ObservabilityManager("shop", enable_tracing=False)

        async def run(obs: Any) -> list[Any]:
            await obs.record_metric("calls", 2, labels={"a": "b"})
            await obs.record_metric("level", 3, type="gauge")
            await obs.record_metric("took", 4, "histogram")
            await obs.record_metric("odd", 5, "summary")
            await obs.record_audit("a1", k.__name__, {}, "success")
            found = await obs.query_audit_by_agent("a1") + await obs.query_audit_by_action("no")
            return [await obs.export_metrics(), len(found)]

        given = [asyncio.run(run(obs)) for obs in (off, on)]
        (tmp_path / ".kaizen" / "audit.jsonl").unlink()
        parts = [
            [part is None for part in (obs.metrics, obs.logging, obs.tracing, obs.audit)]
            for obs in (off, on)
        ]
        for obs in (off, on):
            given.append([obs.get_service_name(), obs.get_enabled_components()])
            given.append([obs.is_component_enabled(one) for one in ("audit", "tracing", "x")])
            given.append([obs.get_tracing_manager(), obs.get_logger("l") is None, obs.shutdown()])
        return given, parts

    theirs.__name__ = "theirs"
    assert same(scenario)[0][1][1] == 1


def test_hooks() -> None:
    def scenario(k: Any) -> Any:
        seen = []

        class Mine(k.BaseHook):
            events: ClassVar[list[Any]] = [k.HookEvent.PRE_TOOL_USE, k.HookEvent.POST_TOOL_USE]

            async def handle(self, context: Any) -> Any:
                seen.append((self.name, context.event_type.value, context.data))
                if context.data.get("fail"):
                    raise ValueError("no network")
                return k.HookResult(success=True, data={"name": self.name})

        async def function(context: Any) -> Any:
            return k.HookResult(success=False, error="said so")

        manager = k.HookManager()
        manager.register_hook(Mine("late"), k.HookPriority.LOW)
        manager.register_hook(Mine("early"), k.HookPriority.CRITICAL)
        manager.register("pre_tool_use", function)

        async def run() -> list[Any]:
            found = []
            for event, data in (
                (k.HookEvent.PRE_TOOL_USE, {}),
                ("post_tool_use", {"fail": True}),
                ("pre_interrupt", {}),
            ):
                answers = await manager.trigger(event, "a1", data, timeout=60)
                found.append([(one.success, one.data, one.error) for one in answers])
            return found

        given: list[Any] = [asyncio.run(run()), seen, sorted(manager.registered_hook_names())]
        for wrong in (lambda: manager.register("no", function), lambda: k.HookResult(False)):
            with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
                wrong()
            given.append(str(caught.value))
        stats = manager.get_stats()
        given.append({name: (s["call_count"], s["failure_count"]) for name, s in stats.items()})
        given.append([manager.unregister("pre_tool_use", h) for h in (function, Mine("x"), None)])
        given.append(repr(Mine("x")))
        return given

    assert len(same(scenario)[0]) == 3


def test_built_in_hooks() -> None:
    def scenario(k: Any) -> Any:
        events: list[Any] = []

        class Provider:
            def log_event(self, **given: Any) -> int:
                events.append(given)
                return len(events)

        hooks = [
            k.MetricsHook(hash_agent_ids=True),
            k.CostTrackingHook(),
            k.PerformanceProfilerHook(),
            k.AuditHook(Provider(), event_filter=[k.HookEvent.POST_TOOL_USE]),
            k.LoggingHook(log_level="WARNING", include_data=False),
        ]

        async def run() -> list[Any]:
            found = []
            for number in range(10):
                for event in ("pre_tool_use", "post_tool_use", "post_specialist_invoke"):
                    when = number * 10.0 + (number + 1) / 8 * event.startswith("post")
                    data = {"tool_name": "x", "estimated_cost_usd": 0.5, "success": number != 3}
                    context = k.HookContext(k.HookEvent(event), "a1", when, data, {}, "t")
                    for hook in hooks:
                        answer = await hook.handle(context)
                        found.append((hook.name, answer.success, answer.data, answer.error))
            return found

        metrics, costs, profiler = hooks[:3]
        given = [asyncio.run(run()), events, costs.get_cost_breakdown(), costs.get_total_cost()]
        page = metrics.export_prometheus().decode().splitlines()
        given.append([line for line in page if "_created" not in line])
        given += [profiler.get_performance_report(), metrics.get_percentiles("tool_use")]
        given += [metrics.get_metrics(), metrics.reset_metrics(), metrics.get_metrics()]
        return given

    assert len(same(scenario)[0]) == 150

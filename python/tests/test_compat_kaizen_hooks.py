"""``coati.compat.kaizen``'s hooks: what runs, what belongs together, what cannot harm."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import types
from enum import Enum
from typing import Any

import pytest
from coati.compat.kaizen import (
    AuditHook,
    BaseHook,
    CostTrackingHook,
    HookContext,
    HookEvent,
    HookManager,
    HookPriority,
    HookResult,
    LoggingHook,
    MetricsHook,
    PerformanceProfilerHook,
    TracingHook,
)
from coati.compat.kaizen.hooks._payload import render_scrubbed_payload
from prometheus_client.parser import text_string_to_metric_families as families


class Span:
    """A span that remembers."""

    def __init__(self, name: str, parent: Span | None, data: dict[str, Any]) -> None:
        self.name, self.parent, self.data = name, parent, data
        self.ended = 0
        self.error: str | None = None
        self.span_id = id(self)

    def get_span_context(self) -> Span:
        return self

    def end(self) -> None:
        self.ended += 1


class Tracing:
    """In place of a TracingManager."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def create_span_from_context(self, context: HookContext, parent_span: Any) -> Span:
        self.spans.append(Span(context.event_type.value, parent_span, context.data))
        return self.spans[-1]

    def update_span_from_result(self, span: Span, result: HookResult) -> None:
        span.error = result.error

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def tracing() -> Tracing:
    return Tracing()


@pytest.fixture
def manager(tracing: Tracing) -> HookManager:
    """Hooks that trace and time."""
    manager = HookManager()
    manager.register_hook(TracingHook(tracing))  # type: ignore[arg-type]
    manager.register_hook(PerformanceProfilerHook())
    return manager


async def fire(manager: HookManager, event: str, agent: str = "a1", **given: Any) -> Any:
    trace = given.pop("trace_id", None)
    return await manager.trigger(event, agent, given, timeout=60, trace_id=trace)


def test_events_are_those_of_the_framework_too() -> None:
    made: Any = Enum
    theirs = made("HookEvent", {"PRE_TOOL_USE": "pre_tool_use", "NEW": "new"})
    assert len(HookEvent) == 18
    assert HookEvent.PRE_TOOL_USE.__eq__(theirs["PRE_TOOL_USE"])
    assert theirs["PRE_TOOL_USE"] == HookEvent.PRE_TOOL_USE
    assert {HookEvent.PRE_TOOL_USE: 1}[theirs["PRE_TOOL_USE"]] == 1
    assert {theirs["PRE_TOOL_USE"]: 1}[HookEvent.PRE_TOOL_USE] == 1
    assert HookEvent(theirs["PRE_TOOL_USE"]) is HookEvent.PRE_TOOL_USE
    assert HookEvent.PRE_TOOL_USE != HookEvent.POST_TOOL_USE
    assert theirs["NEW"] != HookEvent.PRE_TOOL_USE
    with pytest.raises(ValueError, match="new"):
        HookEvent(theirs["NEW"])


def test_hooks_run_in_order_and_harm_nobody() -> None:
    seen: list[str] = []

    async def function(context: HookContext) -> HookResult:
        seen.append(f"function {context.data['x']} {context.metadata} {context.trace_id}")
        return HookResult(True, {"x": 1})

    class Broken(BaseHook):
        events = HookEvent.PRE_TOOL_USE

        async def handle(self, context: HookContext) -> HookResult:
            seen.append("broken")
            raise KeyError("x")

        async def on_error(self, error: Exception, context: HookContext) -> None:
            seen.append("told")
            raise RuntimeError

    class Slow(BaseHook):
        async def handle(self, context: HookContext) -> HookResult:
            await asyncio.sleep(1000)
            raise AssertionError

    manager = HookManager()
    manager.register("pre_tool_use", Slow("slow"), HookPriority.LOW)
    manager.register(HookEvent.PRE_TOOL_USE, function)
    manager.register_hook(Broken("broken"), HookPriority.CRITICAL)
    assert manager.registered_hook_names() == {"slow", "function", "broken"}
    with pytest.raises(ValueError, match="Invalid event type: no"):
        manager.register("no", function)

    async def run() -> list[HookResult]:
        return await manager.trigger(
            "pre_tool_use", "a1", {"x": 5}, timeout=0.05, metadata={"m": 1}, trace_id="t"
        )

    broken, done, slow = asyncio.run(run())
    assert seen == ["broken", "told", "function 5 {'m': 1} t"]
    assert (broken.success, done.data, slow.error) == (False, {"x": 1}, "Hook timeout: slow")
    stats = manager.get_stats()
    assert {name: one["success_count"] for name, one in stats.items()} == {
        "broken": 0,
        "function": 1,
        "slow": 0,
    }
    assert manager.unregister("pre_tool_use") == 3
    assert asyncio.run(run()) == []


def test_pre_and_post_belong_together_whatever_their_trace_ids(
    manager: HookManager, tracing: Tracing
) -> None:
    async def run() -> Any:
        await fire(manager, "pre_agent_loop")
        await fire(manager, "pre_tool_use", tool_name="search")
        await fire(manager, "post_tool_use", tool_name="search", error="no network")
        return await fire(manager, "post_agent_loop")

    traced, timed = asyncio.run(run())
    assert [span.name for span in tracing.spans] == [
        "pre_agent_loop",
        "pre_tool_use",
        "post_tool_use",
        "post_agent_loop",
    ]
    loop, tool, told, end = tracing.spans
    assert [tool.parent, told.parent, end.parent, loop.parent] == [loop, tool, loop, None]
    assert [span.ended for span in tracing.spans] == [1, 1, 1, 1]
    assert [span.error for span in tracing.spans] == [None, "no network", "no network", None]
    assert traced.data["span_updated"]
    assert timed.data["duration_ms"] == pytest.approx(traced.data["duration_ms"])


def test_each_event_in_a_loop_of_its_own(manager: HookManager, tracing: Tracing) -> None:
    """As who calls hooks from code that is not asynchronous."""
    for event in ("pre_agent_loop", "pre_memory_load", "post_memory_load", "post_agent_loop"):
        asyncio.run(fire(manager, event))
    loop, load, loaded, end = tracing.spans
    assert [load.parent, loaded.parent, end.parent] == [loop, load, loop]
    assert all(span.ended == 1 for span in tracing.spans)


def test_calls_that_overlap_are_told_apart(manager: HookManager, tracing: Tracing) -> None:
    """The same tool, by the same agent, at the same time."""

    async def call(number: int, order: list[asyncio.Event]) -> Any:
        await fire(manager, "pre_tool_use", tool_name="search", number=number)
        order[number].set()
        # The first to begin is the first to end.
        await order[-1].wait()
        for _ in range(number):
            await asyncio.sleep(0)
        return await fire(manager, "post_tool_use", tool_name="search", number=number)

    async def run() -> None:
        await fire(manager, "pre_agent_loop")
        order = [asyncio.Event() for _ in range(4)]
        await asyncio.gather(*(call(number, order) for number in range(4)))
        await fire(manager, "post_agent_loop")

    asyncio.run(run())
    begun, ended = tracing.named("pre_tool_use"), tracing.named("post_tool_use")
    assert len(begun) == len(ended) == 4
    for span in ended:
        assert span.parent is not None
        assert span.parent.data["number"] == span.data["number"]
    assert {span.parent for span in begun} == set(tracing.named("pre_agent_loop"))
    assert all(span.ended == 1 for span in tracing.spans)


@pytest.mark.parametrize("name", ["trace_id", "tool_call_id"])
def test_calls_of_one_task_are_told_apart_by_id(
    manager: HookManager, tracing: Tracing, name: str
) -> None:
    async def run() -> None:
        for number in (0, 1, 2):
            await fire(manager, "pre_tool_use", tool_name="x", n=number, **{name: str(number)})
        for number in (1, 0, 2):
            await fire(manager, "post_tool_use", tool_name="x", n=number, **{name: str(number)})

    asyncio.run(run())
    for span in tracing.named("post_tool_use"):
        assert span.parent is not None
        assert span.parent.data["n"] == span.data["n"]
    assert all(span.ended == 1 for span in tracing.spans)


def test_durations_of_calls_that_overlap() -> None:
    hook = PerformanceProfilerHook(max_samples=100)

    async def send(event: HookEvent, when: float, call: str) -> HookResult:
        context = HookContext(event, "a1", when, {"tool_name": "x", "tool_call_id": call})
        return await hook.handle(context)

    async def run() -> list[HookResult]:
        await send(HookEvent.PRE_TOOL_USE, 10.0, "a")
        await send(HookEvent.PRE_TOOL_USE, 11.0, "b")
        return [
            await send(HookEvent.POST_TOOL_USE, 13.0, "a"),
            await send(HookEvent.POST_TOOL_USE, 13.0, "b"),
            await send(HookEvent.POST_TOOL_USE, 13.0, "b"),
        ]

    first, second, third = asyncio.run(run())
    assert [one.data and one.data["duration_ms"] for one in (first, second)] == [3000, 2000]
    assert third.data is None
    report = hook.get_performance_report()["tool_use"]
    assert (report["count"], report["min_ms"], report["max_ms"]) == (2, 2000, 3000)

    async def many() -> None:
        for number in range(500):
            await send(HookEvent.PRE_TOOL_USE, 0.0, str(number))
            await send(HookEvent.POST_TOOL_USE, 1.0, str(number))

    asyncio.run(many())
    assert hook.get_performance_report()["tool_use"]["count"] == 100


def test_what_never_ends_is_given_up(
    manager: HookManager, tracing: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coati.compat.kaizen.hooks._pairs._LIMIT", 10)
    for number in range(50):
        asyncio.run(fire(manager, "pre_tool_use", tool_call_id=number))
    assert sum(span.ended == 0 for span in tracing.spans) == 10
    assert all(span.ended == 0 for span in tracing.spans[-10:])


def test_a_post_event_alone(manager: HookManager, tracing: Tracing) -> None:
    traced, timed = asyncio.run(fire(manager, "post_tool_use", tool_name="x"))
    assert traced.data["span_updated"]
    assert timed.data is None
    assert [span.ended for span in tracing.spans] == [1]


def test_metrics_of_events() -> None:
    hook = MetricsHook(hash_agent_ids=True)
    clock = itertools.count()

    async def run() -> None:
        for event in (HookEvent.PRE_TOOL_USE, HookEvent.POST_TOOL_USE):
            await hook.handle(HookContext(event, "a1", next(clock) / 10, {"tool_name": "x"}))

    asyncio.run(run())
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(hook.export_prometheus().decode())
        for sample in family.samples
    }
    agent = hook._hash_agent_id("a1")
    assert found["kaizen_hook_events_total", agent, "pre_tool_use"] == 1
    assert found["kaizen_operation_duration_seconds_sum", agent, "tool_use"] == pytest.approx(0.1)
    assert found["kaizen_active_agents",] == 1
    assert hook.get_metrics()[f"kaizen_agent_{agent}_events"] == 2
    assert hook.get_percentiles("tool_use")["p95_ms"] == pytest.approx(100)
    assert hook.get_percentiles("agent_loop") == {}


def test_costs() -> None:
    hook = CostTrackingHook()

    async def run() -> None:
        for event, data in (
            (HookEvent.POST_TOOL_USE, {"estimated_cost_usd": 0.5, "tool_name": "x"}),
            (HookEvent.POST_SPECIALIST_INVOKE, {"estimated_cost_usd": 0.25}),
            (HookEvent.POST_AGENT_LOOP, {}),
        ):
            await hook.handle(HookContext(event, "a1", 0.0, data))

    asyncio.run(run())
    assert hook.get_total_cost() == 0.75
    assert hook.get_cost_breakdown() == {
        "total_cost_usd": 0.75,
        "by_tool": {"x": 0.5},
        "by_agent": {"a1": 0.75},
        "by_specialist": {"unknown": 0.25},
    }
    hook.reset_costs()
    assert hook.get_total_cost() == 0


def test_audit_and_logging() -> None:
    events: list[dict[str, Any]] = []

    class Provider:
        def log_event(self, **given: Any) -> int:
            events.append(given)
            return len(events)

    hook = AuditHook(Provider(), [HookEvent.POST_TOOL_USE])
    context = HookContext(HookEvent.POST_TOOL_USE, "a1", 5.0, {"success": False}, {}, "t")
    assert asyncio.run(hook.handle(context)).data == {"audit_event_id": 1}
    assert (events[0]["user"], events[0]["result"]) == ("a1", "failure")
    other = HookContext(HookEvent.PRE_TOOL_USE, "a1", 5.0, {})
    assert asyncio.run(hook.handle(other)).data == {"skipped": True, "reason": "event_filter"}
    assert asyncio.run(LoggingHook(redact_sensitive=False).handle(context)).success


def test_payloads_are_scrubbed_before_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-" + "a" * 40
    scrubber: Any = types.ModuleType("kaizen.utils.credential_scrub")
    scrubber.scrub_credentials = lambda text: text.replace(secret, "[REDACTED]")
    for name in ("kaizen", "kaizen.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "kaizen.utils.credential_scrub", scrubber)
    shown = render_scrubbed_payload("x" * 1980 + secret + "y" * 100)
    assert "sk-" not in shown
    assert shown.startswith("'" + "x" * 1980 + "[REDACTED]y")
    assert shown.endswith("y...[truncated 2125 chars]")
    assert render_scrubbed_payload([secret]) == "['[REDACTED]']"


def test_threads_keep_their_own(manager: HookManager, tracing: Tracing) -> None:
    """One agent, one tool, six threads: nothing in common but the hooks."""

    def work(thread: int) -> None:
        for number in range(100):
            what = {"tool_name": "x", "thread": thread, "number": number}
            asyncio.run(fire(manager, "pre_tool_use", **what))
            asyncio.run(fire(manager, "post_tool_use", **what))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = tracing.named("post_tool_use")
    assert len(ended) == 600
    for span in ended:
        assert span.parent is not None
        assert span.parent.data == span.data
    assert all(span.ended == 1 for span in tracing.spans)

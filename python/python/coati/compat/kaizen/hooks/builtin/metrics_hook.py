"""Counts events and times operations, as ``prometheus_client`` would."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from typing import Any, ClassVar

from coati.compat.kaizen.hooks.builtin.performance_profiler_hook import PerformanceProfilerHook
from coati.compat.kaizen.hooks.protocol import BaseHook
from coati.compat.kaizen.hooks.types import HookContext, HookEvent, HookResult
from coati.prometheus import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["MetricsHook"]

logger = logging.getLogger("kaizen.core.autonomy.hooks.builtin.metrics_hook")

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class MetricsHook(BaseHook):
    """Events by type and agent, durations by operation and agent, agents seen.

    Args:
        registry: where its metrics are; one of its own by default.
        enable_percentiles: whether operations are timed.
        profiler: what times them.
        hash_agent_ids: whether agents are shown by a hash.
    """

    events: ClassVar[list[HookEvent]] = list(HookEvent)

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        enable_percentiles: bool = True,
        profiler: PerformanceProfilerHook | None = None,
        hash_agent_ids: bool = False,
    ) -> None:
        super().__init__("metrics_hook")
        self.registry = registry or CollectorRegistry()
        self.enable_percentiles = enable_percentiles
        self.profiler = (profiler or PerformanceProfilerHook()) if enable_percentiles else None
        self.hash_agent_ids = hash_agent_ids
        self.event_counter = Counter(
            "kaizen_hook_events_total",
            "Total hook events by type and agent",
            ["event_type", "agent_id"],
            registry=self.registry,
        )
        self.operation_duration = Histogram(
            "kaizen_operation_duration_seconds",
            "Operation duration by type and agent",
            ["operation", "agent_id"],
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.active_agents = Gauge(
            "kaizen_active_agents", "Number of active agents", registry=self.registry
        )
        self._active_agent_ids: set[str] = set()
        self.counters: dict[str, int] = defaultdict(int)
        self.agent_counters: dict[str, int] = defaultdict(int)

    @staticmethod
    def _hash_agent_id(agent_id: str) -> str:
        return hashlib.sha256(agent_id.encode()).hexdigest()[:16]

    async def handle(self, context: HookContext) -> HookResult:
        """Count an event; time the operation that it ends."""
        try:
            event = context.event_type.value
            agent = context.agent_id
            if self.hash_agent_ids:
                agent = self._hash_agent_id(agent)
            self.event_counter.labels(event_type=event, agent_id=agent).inc()
            self._active_agent_ids.add(agent)
            self.active_agents.set(len(self._active_agent_ids))
            metric, agent_metric = f"kaizen_hook_{event}", f"kaizen_agent_{agent}_events"
            self.counters[metric] += 1
            self.agent_counters[agent_metric] += 1
            duration = None
            if self.profiler is not None:
                timed = await self.profiler.handle(context)
                duration = (timed.data or {}).get("duration_ms") if timed.success else None
            if duration is not None:
                operation = event.removeprefix("post_")
                series = self.operation_duration.labels(operation=operation, agent_id=agent)
                series.observe(duration / 1000.0)
            return HookResult(
                True,
                {
                    "metric": metric,
                    "count": self.counters[metric],
                    "agent_metric": agent_metric,
                    "agent_count": self.agent_counters[agent_metric],
                    "duration_ms": duration,
                },
            )
        except Exception as error:
            logger.error("Error collecting metrics: %s", error)
            return HookResult(False, error=str(error))

    def export_prometheus(self) -> bytes:
        """The registry in Prometheus' text."""
        return generate_latest(self.registry)

    def get_percentiles(self, operation: str) -> dict[str, Any]:
        """An operation's p50, p95 and p99 in milliseconds; empty where there is none."""
        report = self.profiler.get_performance_report() if self.profiler is not None else {}
        found = report.get(operation, {})
        return {name: one for name, one in found.items() if name in {"p50_ms", "p95_ms", "p99_ms"}}

    def get_metrics(self) -> dict[str, int]:
        """How many events of each type and agent since the last reset."""
        return {**self.counters, **self.agent_counters}

    def reset_metrics(self) -> None:
        """Begin these counts at zero; the registry's go on."""
        self.counters.clear()
        self.agent_counters.clear()
        self._active_agent_ids.clear()
        if self.profiler is not None:
            self.profiler.reset_metrics()

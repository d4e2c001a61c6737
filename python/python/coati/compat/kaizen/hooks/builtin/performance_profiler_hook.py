"""Times operations from their PRE to their POST event."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

from coati.compat.kaizen.hooks._pairs import Pairs, kind_of
from coati.compat.kaizen.hooks.protocol import BaseHook
from coati.compat.kaizen.hooks.types import HookContext, HookEvent, HookResult

__all__ = ["PerformanceProfilerHook"]


class PerformanceProfilerHook(BaseHook):
    """Keeps how long operations took; calls that overlap are told apart.

    Args:
        max_samples: the latest durations kept of each kind of operation.
    """

    events: ClassVar[list[HookEvent]] = list(HookEvent)

    def __init__(self, max_samples: int = 1024) -> None:
        super().__init__("performance_profiler_hook")
        self._pairs = Pairs()
        self.latencies: dict[str, deque[float]] = defaultdict(partial(deque, maxlen=max_samples))

    async def handle(self, context: HookContext) -> HookResult:
        """Begin or end an operation."""
        try:
            operation = kind_of(context)
            if context.event_type.value.startswith("pre_"):
                self._pairs.begin(context, None)
                return HookResult(True, {"operation": operation})
            begun = self._pairs.end(context)
            if begun is None:
                return HookResult(True)
            duration = (context.timestamp - begun.start) * 1000
            self.latencies[operation].append(duration)
            return HookResult(
                True,
                {
                    "operation": operation,
                    "duration_ms": duration,
                    "avg_duration_ms": self._calculate_average(operation),
                    "p95_duration_ms": self._calculate_percentile(operation, 95),
                },
            )
        except Exception as error:
            return HookResult(False, error=str(error))

    def _calculate_average(self, operation: str) -> float:
        values = self.latencies.get(operation)
        return sum(values) / len(values) if values else 0.0

    def _calculate_percentile(self, operation: str, percentile: int) -> float:
        values = self.latencies.get(operation)
        return _at(sorted(values), percentile) if values else 0.0

    def get_performance_report(self) -> dict[str, dict[str, Any]]:
        """Count, mean, extremes and percentiles of each kind of operation, in milliseconds."""
        return {kind: _report(ones) for kind, ones in list(self.latencies.items()) if ones}

    def reset_metrics(self) -> None:
        """Forget all durations, and what has begun."""
        self._pairs.clear()
        self.latencies.clear()


def _at(ordered: list[float], percentile: int) -> float:
    return ordered[min(len(ordered) * percentile // 100, len(ordered) - 1)]


def _report(values: Iterable[float]) -> dict[str, Any]:
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "avg_ms": sum(ordered) / len(ordered),
        "min_ms": ordered[0],
        "max_ms": ordered[-1],
        **{f"p{part}_ms": _at(ordered, part) for part in (50, 95, 99)},
    }

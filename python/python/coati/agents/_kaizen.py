"""The metrics that Kaizen's dashboards read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from coati import MetricError, counter, histogram, observable_gauge, up_down_counter
from coati.agents._finished import Finished

#: Of each histogram the labels seen: its quantiles are shown as metrics of their own.
_seen: dict[str, dict[tuple[tuple[str, Any], ...], dict[str, Any]]] = {}
_MOST = 2000
_shown = False


def show(shown: bool) -> None:
    """Show what is read rather than recorded, or no longer."""
    global _shown  # noqa: PLW0603
    if shown and not _shown:
        with contextlib.suppress(MetricError):
            observable_gauge("memory_bytes", _resident, "", "Resident memory of the process")
    _shown = shown


def record(finished: Finished) -> None:
    """Record what one call adds."""
    labels: dict[str, Any] = {"status": finished.status}
    if finished.kind == "agent":
        agent = finished.attributes.get("gen_ai.agent.id") or finished.name
        counter("agent_loop_total").add(1, agent_id=agent, **labels)
        _duration("agent_loop_duration_ms", finished, agent_id=agent)
    elif finished.kind == "tool":
        labels["tool"] = finished.name
        counter("tool_execution_total").add(1, **labels)
        _duration("tool_execution_duration_ms", finished, tool=finished.name)
    elif finished.kind == "model":
        labels["provider"] = finished.attributes.get("gen_ai.provider.name", "unknown")
        labels["model"] = finished.name
        counter("api_calls_total").add(1, **labels)
        del labels["status"]
        _duration("api_call_duration_ms", finished, **labels)
        if finished.cost_usd is not None:
            _cost().add(finished.cost_usd, **labels)
    elif finished.kind == "memory":
        _duration("memory_operation_duration_ms", finished, operation=finished.name)
    if finished.error is not None:
        counter("errors_total").add(1, component=finished.kind, error_type=finished.error)


def _cost() -> Any:
    try:
        # A counter would be called api_cost_usd_total.
        return up_down_counter("api_cost_usd")
    except MetricError:
        # The program counts under this name itself.
        return counter("api_cost_usd")


def _duration(name: str, finished: Finished, **labels: Any) -> None:
    instrument = histogram(name)
    if name not in _seen:
        _seen[name] = {}
        for quantile in ("p50", "p95", "p99"):
            observable_gauge(f"{name}_{quantile}", _reader(name, quantile))
    known = _seen[name]
    if len(known) < _MOST:
        known.setdefault(tuple(labels.items()), labels)
    instrument.record(finished.seconds * 1e3, **labels)


def _reader(name: str, quantile: str) -> Callable[[], list[tuple[float, dict[str, Any]]]]:
    figure = "median" if quantile == "p50" else quantile

    def read() -> list[tuple[float, dict[str, Any]]]:
        instrument = histogram(name)
        found = []
        for labels in list(_seen[name].values()):
            stats = instrument.stats(**labels)
            if stats.count:
                found.append((getattr(stats, figure), labels))
        return found

    return read


def _resident() -> float | None:
    if not _shown:
        return None
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return None

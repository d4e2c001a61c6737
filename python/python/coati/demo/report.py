"""What only the running process knows, for `report.json`: statistics, costs and the ledger."""

from __future__ import annotations

import math
import platform
from typing import Any

import coati

from . import instruments
from .swarm import Swarm


def statistics(swarm: Swarm, tools: list[str]) -> dict[str, Any]:
    """The times of agents and tools, as the histograms have them."""
    agents = [agent.name for agent in swarm.agents]
    return {
        "agents": {name: _stats(instruments.step_time.stats(agent=name)) for name in agents},
        "tools": {name: _stats(instruments.tool_time.stats(tool=name)) for name in tools},
    }


def circumstances(swarm: Swarm, library: str, seed: int) -> dict[str, Any]:
    """What was run, and how it ended."""
    tally = swarm.tally
    return {
        "python": platform.python_version(),
        "library": library,
        "seed": seed,
        "ended": tally.ended,
        "elapsed_s": round(tally.elapsed, 3),
        "jobs": tally.jobs,
        "files": tally.files,
        "sent_back": tally.sent_back,
    }


def tools_used() -> list[str]:
    """The tools that were called, from the metrics."""
    metrics = coati.metrics.snapshot()
    return sorted({str(each.labels["tool"]) for each in metrics if each.name == "tool_time"})


def _stats(stats: Any) -> dict[str, float | None]:
    names = ("count", "sum", "max", "median", "p95", "p99")
    values = {name: getattr(stats, name) for name in names}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}

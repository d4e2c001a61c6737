"""The framework's dicts of figures, from a histogram of coati's."""

from __future__ import annotations

from typing import Any

_NAMES = ("count", "min", "max", "mean", "median", "p95", "p99")


class Figures(dict[str, float]):
    """Exactly the framework's keys; ``stddev`` and ``sum`` can be asked for all the same."""

    def __init__(self, stats: Any, suffix: str = "", *, more: bool = False) -> None:
        super().__init__(
            {name + suffix if name != "count" else name: getattr(stats, name) for name in _NAMES}
        )
        self._more: dict[str, float] = {"stddev" + suffix: stats.stddev, "sum" + suffix: stats.sum}
        if more:
            self.update(self._more)

    def __missing__(self, key: str) -> float:
        return self._more[key]

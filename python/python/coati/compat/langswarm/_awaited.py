"""Results that may be awaited: the package's functions return them, the guide's are awaited."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from coati.compat.langswarm.interfaces import MetricPoint


class AwaitableText(str):
    """A text that awaiting gives, too."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, str]:
        yield from ()
        return str(self)


class Exported(list[MetricPoint]):
    """Metric points; awaiting gives the guide's dict of all metrics."""

    def __init__(self, points: list[MetricPoint], read: Callable[[], dict[str, Any]]) -> None:
        super().__init__(points)
        self._read = read

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        yield from ()
        return self._read()

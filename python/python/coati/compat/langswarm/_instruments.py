"""What the guide's ``create_counter``, ``create_gauge`` and ``create_histogram`` give."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

_MS = frozenset({"ms", "milliseconds"})


def labels_of(labels: Any, tags: dict[str, Any]) -> dict[str, Any]:
    """Labels given as a mapping and as keywords, together; what is no mapping is a label itself."""
    if labels is None:
        return tags
    if isinstance(labels, Mapping):
        return {**labels, **tags}
    return {"labels": labels, **tags}


class _Instrument:
    def __init__(self, metrics: Any, name: str, description: str, unit: str) -> None:
        self._metrics = metrics
        self.name = name
        self.description = description
        self.unit = unit


class Counter(_Instrument):
    """A sum that only grows."""

    def increment(self, value: Any = 1.0, labels: Any = None, **tags: Any) -> None:
        """Add to the series with these labels, which may stand first."""
        if isinstance(value, Mapping):
            value, labels = 1.0, value
        self._metrics.increment_counter(self.name, value, labels=labels, **tags)

    inc = add = increment

    def get_value(self, labels: Any = None, **tags: Any) -> float:
        """The value of the series with these labels."""
        return self._metrics.get_counter_value(self.name, labels=labels, **tags)  # type: ignore[no-any-return]


class Gauge(_Instrument):
    """The last value set."""

    def set(self, value: float, labels: Any = None, **tags: Any) -> None:
        """Set the series with these labels."""
        self._metrics.set_gauge(self.name, value, labels=labels, **tags)

    def increment(self, value: Any = 1.0, labels: Any = None, **tags: Any) -> None:
        """Add to the series with these labels, which may stand first."""
        if isinstance(value, Mapping):
            value, labels = 1.0, value
        self._metrics._add_to_gauge(self.name, value, labels_of(labels, tags))

    def decrement(self, value: Any = 1.0, labels: Any = None, **tags: Any) -> None:
        """Take from the series with these labels, which may stand first."""
        if isinstance(value, Mapping):
            value, labels = 1.0, value
        self.increment(-value, labels, **tags)

    inc, dec = increment, decrement

    def get_value(self, labels: Any = None, **tags: Any) -> float | None:
        """The value of the series with these labels, None where there is none."""
        return self._metrics.get_gauge_value(self.name, labels=labels, **tags)  # type: ignore[no-any-return]


class Histogram(_Instrument):
    """A distribution."""

    def observe(self, value: float, labels: Any = None, **tags: Any) -> None:
        """Record a value."""
        self._metrics.record_histogram(self.name, value, labels=labels, **tags)

    record = observe

    def timer(self, labels: Any = None, **tags: Any) -> MetricTimer:
        """Time a ``with`` statement: in seconds, or in milliseconds if unit or name says so."""
        return MetricTimer(self, labels_of(labels, tags))

    time = timer

    def get_stats(self, labels: Any = None, **tags: Any) -> dict[str, float]:
        """Count, min, max, mean, median, p95, p99, stddev and sum; empty without values."""
        found = labels_of(labels, tags)
        return self._metrics.get_histogram_stats(self.name, labels=found)  # type: ignore[no-any-return]

    stats = get_statistics = get_stats

    def get_count(self, labels: Any = None, **tags: Any) -> int:
        """How many values."""
        return int(self.get_stats(labels, **tags).get("count", 0))

    def get_sum(self, labels: Any = None, **tags: Any) -> float:
        """Their sum."""
        return self.get_stats(labels, **tags).get("sum", 0.0)

    def get_buckets(self, labels: Any = None, **tags: Any) -> dict[float, int]:
        """How many values are at most each upper bound, as Prometheus counts them."""
        return self._metrics._buckets(self.name, labels_of(labels, tags))  # type: ignore[no-any-return]


class MetricTimer:
    """Times a ``with`` or ``async with`` statement, or until ``stop()``."""

    def __init__(self, histogram: Any, labels: Mapping[str, Any] | None = None) -> None:
        self._histogram = histogram
        self._labels = dict(labels or {})
        self._began = time.perf_counter()
        self._took: float | None = None

    def __enter__(self) -> MetricTimer:
        self._began = time.perf_counter()
        self._took = None
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    async def __aenter__(self) -> MetricTimer:
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> float:
        """Record the time, once, and return it."""
        if self._took is None:
            took = time.perf_counter() - self._began
            histogram = self._histogram
            in_ms = histogram.unit in _MS or histogram.name.endswith(
                ("_ms", ".ms", "_milliseconds")
            )
            self._took = took * 1000 if in_ms else took
            histogram.observe(self._took, self._labels)
        return self._took


class Timer(MetricTimer):
    """Times into a timer, always in milliseconds."""

    def __init__(self, metrics: Any, name: str, labels: Mapping[str, Any]) -> None:
        super().__init__(None, labels)
        self._metrics = metrics
        self._name = name

    def stop(self) -> float:
        """Record the time, once, and return it."""
        if self._took is None:
            self._took = (time.perf_counter() - self._began) * 1000
            self._metrics.record_timer(self._name, self._took, labels=self._labels)
        return self._took

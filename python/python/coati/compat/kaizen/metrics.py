"""Counters, gauges and histograms of a program, in Prometheus' text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncContextDecorator, ContextDecorator
from datetime import datetime, timezone
from time import perf_counter
from typing import Any, Literal

from coati.compat.kaizen._series import Series, bounded, exposed, key
from coati.compat.kaizen.types import Metric

__all__ = ["MetricsCollector"]

logger = logging.getLogger("kaizen.core.autonomy.observability.metrics")

#: Ways of writing labels that are remembered for each metric.
_REMEMBERED = 10_000
_OVERFLOW = {"otel_metric_overflow": "true"}

_Kind = Literal["counter", "gauge", "histogram"]
_Labels = Mapping[str, str] | None


class MetricsCollector:
    """Metrics that belong together, exported as Prometheus' text.

    Each measurement also goes into the engine's metric of that name, and so wherever the engine's
    metrics go. Labels are told apart by their text. What is beyond the limits of memory: a
    histogram keeps a uniform sample of ``max_samples`` of its values, so that its percentiles are
    exact up to there and estimates behind; label sets of a metric beyond ``max_series`` share one
    series, labelled ``otel_metric_overflow="true"``.

    Args:
        backend: kept as it is given.
        max_samples: values that a histogram's series keeps.
        max_series: label sets of one metric.
    """

    def __init__(
        self, backend: str = "prometheus", *, max_samples: int = 2048, max_series: int = 2000
    ) -> None:
        self.backend = backend
        self.max_samples = max_samples
        self.max_series = max_series
        self.reset(_tell=False)

    def reset(self, *, _tell: bool = True) -> None:
        """Forget all metrics; the engine's go on."""
        self._counters: dict[str, Series] = {}
        self._gauges: dict[str, Series] = {}
        self._histograms: dict[str, Series] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._found: dict[str, dict[str, dict[tuple[Any, ...], Series]]]
        self._found = {"counter": {}, "gauge": {}, "histogram": {}}
        self._found_counters = self._found["counter"]
        self._found_gauges = self._found["gauge"]
        self._found_histograms = self._found["histogram"]
        if _tell:
            logger.info("All metrics reset")

    def counter(self, name: str, value: float = 1.0, labels: _Labels = None) -> None:
        """Add to a counter."""
        try:
            series = self._found_counters[name][(*labels, *labels.values()) if labels else ()]
        except (KeyError, TypeError):
            series = self._series("counter", name, labels)
        series.count += 1
        try:
            series.value += value
        except OverflowError:
            series.value += bounded(value)
        series.mirror(value)

    def gauge(self, name: str, value: float, labels: _Labels = None) -> None:
        """Set a gauge."""
        try:
            series = self._found_gauges[name][(*labels, *labels.values()) if labels else ()]
        except (KeyError, TypeError):
            series = self._series("gauge", name, labels)
        series.count += 1
        series.value = value
        series.mirror(value)

    def histogram(self, name: str, value: float, labels: _Labels = None) -> None:
        """Record a value of a distribution."""
        try:
            series = self._found_histograms[name][(*labels, *labels.values()) if labels else ()]
        except (KeyError, TypeError):
            series = self._series("histogram", name, labels)
        count = series.count = series.count + 1
        if count <= series.bound:
            series.samples.append(value)
        else:
            series.replace(count, value)
        series.mirror(value)

    def timer(self, name: str, labels: _Labels = None) -> _AsyncTimer:
        """Time an ``async with`` statement, in milliseconds, as a histogram."""
        return _AsyncTimer(self.histogram, name, labels)

    def timer_sync(self, name: str, labels: _Labels = None) -> _Timer:
        """Time a ``with`` statement, in milliseconds, as a histogram."""
        return _Timer(self.histogram, name, labels)

    def _of(self, kind: str) -> dict[str, Series]:
        found: dict[str, Series] = getattr(self, f"_{kind}s")
        return found

    def _series(self, kind: _Kind, name: str, labels: _Labels) -> Series:
        """The series, made if there is none; a way of writing its labels is remembered."""
        labels = labels or {}
        known = self._of(kind)
        text = key(name, labels)
        series = known.get(text)
        if series is None:
            size = self._sizes.get((kind, name), 0)
            if size + 1 >= self.max_series and labels and labels is not _OVERFLOW:
                return self._series(kind, name, _OVERFLOW)
            # Another thread may have made it meanwhile.
            series = known.setdefault(text, Series(kind, name, labels, self.max_samples))
            self._sizes[kind, name] = size + 1
        # Other values than texts may be equal where their texts are not.
        if all(type(value) is str for value in labels.values()):
            found = self._found[kind].setdefault(name, {})
            if len(found) >= _REMEMBERED:
                found.clear()
            found[(*labels, *labels.values())] = series
        return series

    async def export(self) -> str:
        """All metrics in Prometheus' text: sums, values, and a histogram's p50, p95 and p99."""
        return self.text()

    def text(self) -> str:
        """What :meth:`export` gives, without waiting."""
        lines = [
            f"{exposed(series.name)}{series.block} {bounded(series.value)}"
            for kind in (self._counters, self._gauges)
            for series in list(kind.values())
        ]
        for series in list(self._histograms.values()):
            values = sorted(map(bounded, series.samples))
            name = exposed(series.name)
            for part in (50, 95, 99) if values else ():
                value = self._calculate_percentile(values, part / 100)
                lines.append(f"{name}_p{part}{series.block} {value}")
        return "\n".join(lines)

    @staticmethod
    def _calculate_percentile(values: list[float], percentile: float) -> float:
        """By linear interpolation at (n - 1) · percentile of sorted values."""
        if not values:
            return 0.0
        place = (len(values) - 1) * percentile
        below = int(place)
        low = values[below]
        high = values[min(below + 1, len(values) - 1)]
        return low + (high - low) * (place - below) if len(values) > 1 else low

    @staticmethod
    def _metric_key(name: str, labels: Mapping[str, Any]) -> str:
        return key(name, labels)

    @property
    def _metrics(self) -> list[Metric]:
        """The last state of each series: measurements are not kept one by one."""
        now = datetime.now(timezone.utc)
        kinds: tuple[_Kind, ...] = ("counter", "gauge", "histogram")
        return [
            Metric(series.name, series.value, kind, now, series.labels)
            for kind in kinds
            for series in list(self._of(kind).values())
        ]

    def get_metric_count(self) -> int:
        """How many measurements were made."""
        kinds = (self._counters, self._gauges, self._histograms)
        return sum(series.count for kind in kinds for series in list(kind.values()))

    def get_counter_value(self, name: str, labels: _Labels = None) -> float:
        """A counter's sum, 0.0 where there is none."""
        series = self._counters.get(key(name, labels or {}))
        return series.value if series else 0.0

    def get_gauge_value(self, name: str, labels: _Labels = None) -> float | None:
        """A gauge's value, None where there is none."""
        series = self._gauges.get(key(name, labels or {}))
        return series.value if series else None

    def get_histogram_values(self, name: str, labels: _Labels = None) -> list[float]:
        """A histogram's values, or the sample of them that is kept; empty where there is none."""
        series = self._histograms.get(key(name, labels or {}))
        return list(series.samples) if series else []


class _Timed:
    def __init__(self, record: Callable[..., None], name: str, labels: _Labels) -> None:
        self._record = record
        self._name = name
        self._labels = labels
        self._start = 0.0

    def _recreate_cm(self) -> Any:
        """For decorators: calls may overlap."""
        return type(self)(self._record, self._name, self._labels)

    def _stop(self) -> None:
        self._record(self._name, (perf_counter() - self._start) * 1000, self._labels)


class _Timer(_Timed, ContextDecorator):
    def __enter__(self) -> None:
        self._start = perf_counter()

    def __exit__(self, *exc_info: object) -> None:
        self._stop()


class _AsyncTimer(_Timed, AsyncContextDecorator):
    async def __aenter__(self) -> None:
        self._start = perf_counter()

    async def __aexit__(self, *exc_info: object) -> None:
        self._stop()

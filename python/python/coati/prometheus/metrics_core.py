"""Metric families, as collectors tell them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from coati.prometheus.samples import Exemplar, NativeHistogram, Sample, Timestamp
from coati.prometheus.validation import check_metric_name

__all__ = [
    "CounterMetricFamily",
    "GaugeHistogramMetricFamily",
    "GaugeMetricFamily",
    "HistogramMetricFamily",
    "InfoMetricFamily",
    "Metric",
    "StateSetMetricFamily",
    "SummaryMetricFamily",
    "UnknownMetricFamily",
    "UntypedMetricFamily",
]

METRIC_TYPES = (
    "counter",
    "gauge",
    "summary",
    "histogram",
    "gaugehistogram",
    "unknown",
    "info",
    "stateset",
)

_Time = float | Timestamp | None


class Metric:
    """A metric family and its samples."""

    def __init__(self, name: str, documentation: str, typ: str, unit: str = "") -> None:
        if unit and not name.endswith("_" + unit):
            name += "_" + unit
        check_metric_name(name)
        typ = "unknown" if typ == "untyped" else typ
        if typ not in METRIC_TYPES:
            raise ValueError("Invalid metric type: " + typ)
        self.name = name
        self.documentation = documentation
        self.unit = unit
        self.type = typ
        self.samples: list[Sample] = []

    def add_sample(
        self,
        name: str,
        labels: dict[str, str],
        value: float,
        timestamp: _Time = None,
        exemplar: Exemplar | None = None,
        native_histogram: NativeHistogram | None = None,
    ) -> None:
        """Add a sample."""
        self.samples.append(Sample(name, labels, value, timestamp, exemplar, native_histogram))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Metric):
            return NotImplemented
        return (self.name, self.documentation, self.type, self.unit, self.samples) == (
            other.name,
            other.documentation,
            other.type,
            other.unit,
            other.samples,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Metric({self.name}, {self.documentation}, {self.type}, {self.unit}, {self.samples})"
        )

    def _restricted_metric(self, names: Collection[str]) -> Metric | None:
        samples = [sample for sample in self.samples if sample.name in names]
        if not samples:
            return None
        metric = Metric(self.name, self.documentation, self.type)
        metric.samples = samples
        return metric


class _Family(Metric):
    """A family whose samples are told by label values."""

    def __init__(
        self,
        name: str,
        documentation: str,
        typ: str,
        unit: str,
        labels: Iterable[str] | None,
        told: bool,
        what: str = "value",
    ) -> None:
        super().__init__(name, documentation, typ, unit)
        if labels is not None and told:
            raise ValueError(f"Can only specify at most one of {what} and labels.")
        self._labelnames = tuple(labels or ())

    def _labels(self, values: Iterable[str]) -> dict[str, str]:
        return dict(zip(self._labelnames, values, strict=False))


class UnknownMetricFamily(_Family):
    """A family of which no more is known than its values."""

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "unknown", unit, labels, value is not None)
        if value is not None:
            self.add_metric([], value)

    def add_metric(self, labels: Iterable[str], value: float, timestamp: _Time = None) -> None:
        """Add a series."""
        self.add_sample(self.name, self._labels(labels), value, timestamp)


UntypedMetricFamily = UnknownMetricFamily


class CounterMetricFamily(_Family):
    """A family of counters."""

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Iterable[str] | None = None,
        created: float | None = None,
        unit: str = "",
        exemplar: Exemplar | None = None,
    ) -> None:
        name = name.removesuffix("_total")
        super().__init__(name, documentation, "counter", unit, labels, value is not None)
        if value is not None:
            self.add_metric([], value, created, exemplar=exemplar)

    def add_metric(
        self,
        labels: Iterable[str],
        value: float,
        created: float | None = None,
        timestamp: _Time = None,
        exemplar: Exemplar | None = None,
    ) -> None:
        """Add a series, which may tell when it began."""
        named = self._labels(labels)
        self.add_sample(self.name + "_total", named, value, timestamp, exemplar)
        if created is not None:
            self.add_sample(self.name + "_created", dict(named), created, timestamp)


class GaugeMetricFamily(_Family):
    """A family of gauges."""

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "gauge", unit, labels, value is not None)
        if value is not None:
            self.add_metric([], value)

    def add_metric(self, labels: Iterable[str], value: float, timestamp: _Time = None) -> None:
        """Add a series."""
        self.add_sample(self.name, self._labels(labels), value, timestamp)


class SummaryMetricFamily(_Family):
    """A family of counts and sums."""

    def __init__(
        self,
        name: str,
        documentation: str,
        count_value: int | None = None,
        sum_value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        if (sum_value is None) != (count_value is None):
            raise ValueError("count_value and sum_value must be provided together.")
        super().__init__(name, documentation, "summary", unit, labels, count_value is not None)
        if count_value is not None and sum_value is not None:
            self.add_metric([], count_value, sum_value)

    def add_metric(
        self,
        labels: Iterable[str],
        count_value: int,
        sum_value: float,
        timestamp: _Time = None,
    ) -> None:
        """Add a series."""
        named = self._labels(labels)
        self.add_sample(self.name + "_count", named, count_value, timestamp)
        self.add_sample(self.name + "_sum", dict(named), sum_value, timestamp)


class HistogramMetricFamily(_Family):
    """A family of histograms."""

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[Any] | None = None,
        sum_value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        if sum_value is not None and buckets is None:
            raise ValueError("sum value cannot be provided without buckets.")
        told = buckets is not None
        super().__init__(name, documentation, "histogram", unit, labels, told, "buckets")
        if buckets is not None:
            self.add_metric([], buckets, sum_value)

    def add_metric(
        self,
        labels: Iterable[str],
        buckets: Sequence[Any],
        sum_value: float | None,
        timestamp: _Time = None,
    ) -> None:
        """Add a series: pairs of upper bound and count, each perhaps with an exemplar."""
        named = self._labels(labels)
        for bucket in buckets:
            exemplar = bucket[2] if len(bucket) > 2 else None
            bounded = {**named, "le": bucket[0]}
            self.add_sample(self.name + "_bucket", bounded, bucket[1], timestamp, exemplar)
        # Where values may be negative the sum is none that only grows.
        if float(buckets[0][0]) >= 0 and sum_value is not None:
            self.add_sample(self.name + "_count", named, buckets[-1][1], timestamp)
            self.add_sample(self.name + "_sum", dict(named), sum_value, timestamp)


class GaugeHistogramMetricFamily(_Family):
    """A family of histograms that go up and down."""

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[tuple[str, float]] | None = None,
        gsum_value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        told = buckets is not None
        super().__init__(name, documentation, "gaugehistogram", unit, labels, told, "buckets")
        if buckets is not None:
            self.add_metric([], buckets, gsum_value)

    def add_metric(
        self,
        labels: Iterable[str],
        buckets: Sequence[tuple[str, float]],
        gsum_value: float | None,
        timestamp: _Time = None,
    ) -> None:
        """Add a series."""
        named = self._labels(labels)
        for bound, count in buckets:
            self.add_sample(self.name + "_bucket", {**named, "le": bound}, count, timestamp)
        self.add_sample(self.name + "_gcount", named, buckets[-1][1], timestamp)
        self.add_sample(self.name + "_gsum", dict(named), gsum_value, timestamp)  # type: ignore[arg-type]


class InfoMetricFamily(_Family):
    """A family of texts."""

    def __init__(
        self,
        name: str,
        documentation: str,
        value: Mapping[str, str] | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        super().__init__(name, documentation, "info", "", labels, value is not None)
        if value is not None:
            self.add_metric([], value)

    def add_metric(
        self, labels: Iterable[str], value: Mapping[str, str], timestamp: _Time = None
    ) -> None:
        """Add a series."""
        self.add_sample(self.name + "_info", {**self._labels(labels), **value}, 1, timestamp)


class StateSetMetricFamily(_Family):
    """A family of states, each of which is on or off."""

    def __init__(
        self,
        name: str,
        documentation: str,
        value: Mapping[str, bool] | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        super().__init__(name, documentation, "stateset", "", labels, value is not None)
        if value is not None:
            self.add_metric([], value)

    def add_metric(
        self, labels: Iterable[str], value: Mapping[str, bool], timestamp: _Time = None
    ) -> None:
        """Add a series for each state."""
        named = self._labels(labels)
        for state, enabled in sorted(value.items()):
            self.add_sample(self.name, {**named, self.name: state}, int(bool(enabled)), timestamp)

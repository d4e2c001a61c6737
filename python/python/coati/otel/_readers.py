"""Metrics as the SDK's readers want them, made of coati's at each collection."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics._internal import instrument as sdk
from opentelemetry.sdk.metrics._internal.point import Buckets
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricReader,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.view import (
    DefaultAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from coati import _native
from coati.otel._instruments import (
    Counter,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from coati.otel._instruments import Gauge as SetGauge
from coati.otel._instruments import Histogram as Recorded
from coati.otel._subtract import subtract

if TYPE_CHECKING:
    from coati.otel.metrics import MeterProvider

#: What readers call our instruments in their preferences.
_CLASSES: dict[type, Any] = {
    Counter: sdk._Counter,
    UpDownCounter: sdk._UpDownCounter,
    SetGauge: sdk._Gauge,
    Recorded: sdk._Histogram,
    ObservableCounter: sdk._ObservableCounter,
    ObservableUpDownCounter: sdk._ObservableUpDownCounter,
    ObservableGauge: sdk._ObservableGauge,
}

#: A point as the engine tells it: attributes, value, exemplars.
_Point = tuple[dict[str, Any], Any, list[tuple[Any, int, "tuple[int, int] | None"]]]


def check(reader: MetricReader) -> bool:
    """Whether histograms have to be exponential for it."""
    if not isinstance(reader, MetricReader):
        raise TypeError(
            "coati.otel.MeterProvider takes metric readers of opentelemetry-sdk, such as "
            "PeriodicExportingMetricReader, InMemoryMetricReader or PrometheusMetricReader, not "
            f"{type(reader).__name__}"
        )
    exponential = False
    for kind, wanted in reader._instrument_class_aggregation.items():
        if isinstance(wanted, DefaultAggregation):
            continue
        histogram = kind is sdk._Histogram
        if histogram and isinstance(wanted, ExponentialBucketHistogramAggregation):
            exponential = True
        elif not (
            histogram
            and isinstance(wanted, ExplicitBucketHistogramAggregation)
            and wanted._boundaries is None
        ):
            raise ValueError(
                f"{type(reader).__name__} prefers {type(wanted).__name__} for {kind.__name__[1:]}: "
                "coati.otel gives readers the default aggregation of each instrument, and "
                "ExponentialBucketHistogramAggregation for histograms; bounds go into "
                "[[metrics.views]] of coati's configuration"
            )
    return exponential


class Collected:
    """What one reader has been given, and what it is given next."""

    def __init__(
        self, provider: MeterProvider, reader: MetricReader, resource: Resource | None
    ) -> None:
        self._provider = provider
        self._reader = reader
        self._resource = resource or Resource.create({})
        #: Since when it reads, when it read last.
        self._start = self._last = time.time_ns()
        #: What of each series it is not told: what had been counted before, or told already.
        self._bases: dict[Any, Any] = {}
        #: Series that had been counted before and have been told since: told even at zero.
        self._told: set[Any] = set()
        self._began, rows = _native._otel_metrics(False)
        for scope, _, name, _, _, _, points in rows:
            for attributes, value, _ in points:
                self._bases[_key(scope, name, attributes)] = value

    def read(self) -> MetricsData | None:
        """All that has been counted since the reader came, or since it read last."""
        began, rows = _native._otel_metrics(True)
        if began != self._began:
            # Counted afresh, as after a fork or another ``init``.
            self._began = began
            self._last = max(self._last, began)
            self._bases.clear()
            self._told.clear()
        now, last = time.time_ns(), self._last
        self._last = now
        streams = self._provider._streams()
        scopes: dict[InstrumentationScope, list[Metric]] = defaultdict(list)
        for scope, _, name, unit, description, bounds, points in rows:
            instrument = streams.get((scope, name))
            if instrument is None:
                continue
            temporality = self._reader._instrument_class_temporality[_CLASSES[type(instrument)]]
            delta = temporality is AggregationTemporality.DELTA
            start = last if delta else max(self._start, began)
            made = []
            for point in self._changed(scope, name, instrument, points, delta):
                fresh = [one for one in point[2] if one[1] >= last]
                made.append(_point((point[0], point[1], fresh), start, now, bounds))
            if made:
                data = _data(instrument, made, temporality)
                metric = Metric(name=name, description=description, unit=unit, data=data)
                asked_for = self._provider._asked_for[scope[:3]]
                scopes[InstrumentationScope(*asked_for)].append(metric)
        if not scopes:
            return None
        told = [
            ScopeMetrics(scope=scope, metrics=metrics, schema_url=scope.schema_url or "")
            for scope, metrics in scopes.items()
        ]
        resource = self._resource
        return MetricsData(
            resource_metrics=[ResourceMetrics(resource, told, resource.schema_url or "")]
        )

    def _changed(
        self,
        scope: tuple[str, str, str, int],
        name: str,
        instrument: Any,
        points: list[_Point],
        delta: bool,
    ) -> list[_Point]:
        """The points that tell something, less what the reader is not told."""
        observed = isinstance(instrument, metrics.Asynchronous)
        if isinstance(instrument, SetGauge | ObservableGauge) or (observed and not delta):
            return points
        changed = []
        for attributes, value, exemplars in points:
            key = _key(scope, name, attributes)
            base = self._bases.get(key)
            less = value if base is None else subtract(value, base)
            if delta:
                self._bases[key] = value
            if base is None or observed or key in self._told or _counts(less):
                if base is not None and not delta:
                    self._told.add(key)
                changed.append((attributes, less, exemplars))
        return changed


def _key(scope: Any, name: str, attributes: dict[str, Any]) -> Any:
    """What names a series; True, 1 and 1.0 are not the same."""
    return scope, name, tuple((key, type(value), value) for key, value in attributes.items())


def _counts(value: Any) -> bool:
    return bool(value[0] if isinstance(value, tuple) else value)


def _point(point: _Point, start: int, now: int, bounds: list[float] | None) -> Any:
    attributes, value, measured = point
    exemplars = [
        Exemplar({}, value, at, ids[1] if ids else None, ids[0] if ids else None)
        for value, at, ids in measured
    ]
    if not isinstance(value, tuple):
        return NumberDataPoint(attributes, start, now, value, exemplars)
    count, total, low, high, buckets = value
    if bounds is not None:
        return HistogramDataPoint(
            *(attributes, start, now, count, total),
            *(tuple(buckets), tuple(bounds), low, high, exemplars),
        )
    scale, zeros, positive, negative = buckets
    return ExponentialHistogramDataPoint(
        *(attributes, start, now, count, total, scale, zeros),
        *(Buckets(*positive), Buckets(*negative), 0, low, high, exemplars),
    )


def _data(instrument: Any, points: list[Any], temporality: AggregationTemporality) -> Any:
    make: Callable[..., Any]
    if isinstance(instrument, Recorded):
        explicit = isinstance(points[0], HistogramDataPoint)
        make = Histogram if explicit else ExponentialHistogram
        return make(points, temporality)
    if isinstance(instrument, SetGauge | ObservableGauge):
        return Gauge(points)
    return Sum(points, temporality, isinstance(instrument, Counter | ObservableCounter))

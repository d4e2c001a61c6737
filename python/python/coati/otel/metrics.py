"""OpenTelemetry's ``MeterProvider`` over coati."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any, TypeVar, cast

from opentelemetry import metrics

import coati
from coati import _otel_context
from coati.otel import _instruments as instruments

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
    from opentelemetry.sdk.resources import Resource

    from coati.otel._readers import Collected

__all__ = ["Meter", "MeterProvider"]

_logger = logging.getLogger(__name__)

#: The specification's bounds of a histogram for which nobody has said any.
_DEFAULT_BOUNDS = (
    *(0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0),
    *(1000.0, 2500.0, 5000.0, 7500.0, 10000.0),
)
_AGGREGATION = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"

#: Name, version and schema of a scope.
_Scope = tuple[str, str, str]
_Made = TypeVar("_Made")

#: What instruments of one scope and name there are: each kind, unit and bounds is one of its own,
#: told apart by its number.
_copies: dict[tuple[_Scope, str], tuple[dict[Any, int], Any]] = {}


def _copy(scope: _Scope, name: str, sort: Any) -> int:
    known, numbers = _copies.setdefault((scope, name), ({}, count()))
    return known[sort] if sort in known else known.setdefault(sort, next(numbers))


class Meter(metrics.Meter):
    """Makes instruments of one scope.

    Instruments of the same name, kind, unit and buckets are the same one. Those of the same name
    that differ are told of by a warning, and both work. What is no instrument's name gives one that
    does nothing.
    """

    def __init__(self, provider: MeterProvider, scope: _Scope) -> None:
        name, version, schema_url = scope
        super().__init__(name, version or None, schema_url or None)
        self._provider = provider
        self._scope = scope
        #: By name, kind and unit: the instrument, its number and its bounds.
        self._made: dict[tuple[str, str, str], tuple[Any, int, Any]] = {}

    def create_counter(self, name: str, unit: str = "", description: str = "") -> metrics.Counter:
        """A counter."""
        made = self._make(instruments.Counter, name, unit, description)
        return made or metrics.NoOpCounter(name)

    def create_up_down_counter(
        self, name: str, unit: str = "", description: str = ""
    ) -> metrics.UpDownCounter:
        """A counter that goes up and down."""
        made = self._make(instruments.UpDownCounter, name, unit, description)
        return made or metrics.NoOpUpDownCounter(name)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> metrics._Gauge:
        """A gauge."""
        made = self._make(instruments.Gauge, name, unit, description)
        return made or metrics._NoOpGauge(name)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> metrics.Histogram:
        """A histogram, with these bounds unless all are to be exponential."""
        advised = _bounds(name, explicit_bucket_boundaries_advisory)
        default = _DEFAULT_BOUNDS if advised is None else advised
        bounds = None if self._provider._exponential else default
        made = self._make(instruments.Histogram, name, unit, description, bounds)
        return made or metrics.NoOpHistogram(name)

    def create_observable_counter(
        self,
        name: str,
        callbacks: Sequence[Any] | None = None,
        unit: str = "",
        description: str = "",
    ) -> metrics.ObservableCounter:
        """A counter whose total the callbacks tell."""
        made = self._observe(instruments.ObservableCounter, name, callbacks, unit, description)
        return made or metrics.NoOpObservableCounter(name)

    def create_observable_up_down_counter(
        self,
        name: str,
        callbacks: Sequence[Any] | None = None,
        unit: str = "",
        description: str = "",
    ) -> metrics.ObservableUpDownCounter:
        """A counter that goes up and down, whose total the callbacks tell."""
        kind = instruments.ObservableUpDownCounter
        made = self._observe(kind, name, callbacks, unit, description)
        return made or metrics.NoOpObservableUpDownCounter(name)

    def create_observable_gauge(
        self,
        name: str,
        callbacks: Sequence[Any] | None = None,
        unit: str = "",
        description: str = "",
    ) -> metrics.ObservableGauge:
        """A gauge whose value the callbacks tell."""
        made = self._observe(instruments.ObservableGauge, name, callbacks, unit, description)
        return made or metrics.NoOpObservableGauge(name)

    def _make(
        self,
        kind: Callable[..., _Made],
        name: str,
        unit: str,
        description: str,
        bounds: tuple[float, ...] | None = None,
    ) -> _Made | None:
        """The instrument, the same one each time; None where its name or unit is none."""
        check = metrics.Instrument._check_name_unit_description
        if not isinstance(name, str) or None in check(name, unit, description).values():
            _logger.warning("instrument %r with unit %r does nothing: bad name or unit", name, unit)
            return None
        # Names are the same in any case.
        name, unit, description = name.lower(), unit or "", description or ""
        sort: str = getattr(kind, "__name__", "")
        key = (name, sort, unit)
        if known := self._made.get(key):
            if bounds != known[2]:
                _logger.warning("histogram %r is there already, with bounds %s", name, known[2])
            return cast("_Made", known[0])
        copy = _copy(self._scope, name, (sort, unit, bounds))
        if copy:
            _logger.warning(
                "meter %r has instruments called %r that differ in kind, unit or buckets: each is "
                "recorded on its own",
                *(self._scope[0], name),
            )
        try:
            made = kind((*self._scope, copy), name, unit, description, bounds)
        except coati.MetricError as error:
            _logger.warning("instrument %r does nothing: %s", name, error)
            return None
        return cast("_Made", self._made.setdefault(key, (made, copy, bounds))[0])

    def _observe(
        self,
        kind: Callable[..., _Made],
        name: str,
        callbacks: Iterable[Any] | None,
        unit: str,
        description: str,
    ) -> _Made | None:
        made: Any = self._make(kind, name, unit, description)
        if made is not None:
            made._begin(callbacks)
        return cast("_Made | None", made)

    def _end(self) -> None:
        for made, _, _ in list(self._made.values()):
            if isinstance(made, metrics.Asynchronous):
                made._end()  # type: ignore[attr-defined]


def _bounds(name: str, given: Sequence[float] | None) -> tuple[float, ...] | None:
    """A histogram's bounds as they are asked for, if they are any."""
    if given is None:
        return None
    try:
        bounds = tuple(float(bound) for bound in given)
    except (TypeError, ValueError):
        bounds = (0.0, 0.0)
    if all(low < high for low, high in pairwise(bounds)):
        return bounds
    _logger.warning("histogram %r: its bounds are not ascending numbers, it gets others", name)
    return None


class MeterProvider(metrics.MeterProvider):
    """Gives meters whose instruments record through coati.

    All providers of a process share coati's metrics: instruments of the same scope and name add up.
    Readers of the SDK are given what this provider's instruments have counted since it was made, at
    the reader's own cost: recording costs the same with any number of them.

    Args:
        metric_readers: readers of ``opentelemetry-sdk``, such as ``PeriodicExportingMetricReader``,
            ``InMemoryMetricReader`` or ``PrometheusMetricReader``.
        resource: what such readers are told the metrics belong to.
        shutdown_on_exit: whether those readers are shut down when the interpreter exits.
        views: none. Views are ``[[metrics.views]]`` of coati's configuration.

    Raises:
        TypeError: a reader is none, or there are views.
        ValueError: a reader wants an aggregation that coati has not.
    """

    def __init__(
        self,
        metric_readers: Sequence[MetricReader] = (),
        resource: Resource | None = None,
        shutdown_on_exit: bool = True,
        views: Sequence[Any] = (),
    ) -> None:
        if views:
            raise TypeError(
                "coati.otel.MeterProvider takes no SDK views: give them to coati.init as "
                "[[metrics.views]], with instrument, name, description, keep, drop, buckets and "
                "aggregation"
            )
        wanted = os.environ.get(_AGGREGATION, "").strip().lower()
        _otel_context.put()
        self._exponential = wanted == "base2_exponential_bucket_histogram"
        self._disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        self._is_shut_down = False
        self._meters: dict[_Scope, Meter] = {}
        #: The scopes as they were asked for.
        self._asked_for: dict[_Scope, tuple[str, str | None, str | None, Any]] = {}
        self._resource = resource
        self._readers: dict[Any, Collected] = {}
        for reader in metric_readers:
            self.add_metric_reader(reader)
        if self._readers and shutdown_on_exit:
            atexit.register(self.shutdown)

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> metrics.Meter:
        """The meter of a scope, the same one each time."""
        if self._disabled or self._is_shut_down or not name:
            if not self._disabled:
                why = "has no name" if not self._is_shut_down else "is of a provider shut down"
                _logger.warning("meter %r does nothing: it %s", name, why)
            return metrics.NoOpMeter(name, version=version, schema_url=schema_url)
        scope = (str(name), str(version or ""), str(schema_url or ""))
        self._asked_for.setdefault(scope, (name, version, schema_url, attributes))
        known = self._meters.get(scope)
        return known or self._meters.setdefault(scope, Meter(self, scope))

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        """Have a reader of the SDK read from now on."""
        from coati.otel._readers import Collected, check  # noqa: PLC0415 - it needs the SDK

        self._exponential |= check(metric_reader)
        self._readers[metric_reader] = Collected(self, metric_reader, self._resource)
        metric_reader._set_collect_callback(self._collect)  # type: ignore[arg-type]

    def remove_metric_reader(self, metric_reader: MetricReader) -> None:
        """Let a reader go."""
        if self._readers.pop(metric_reader, None) is not None:
            metric_reader._set_collect_callback(None)
            metric_reader.shutdown()

    def _collect(self, reader: MetricReader, timeout_millis: float = 10_000) -> MetricsData | None:
        collected = self._readers.get(reader)
        return collected.read() if collected is not None else None

    def _streams(self) -> dict[tuple[tuple[str, str, str, int], str], Any]:
        """This provider's instruments by what names them."""
        return {
            ((*scope, copy), name): made
            for scope, meter in list(self._meters.items())
            for (name, _, _), (made, copy, _) in list(meter._made.items())
        }

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Have all readers collect; whether all did."""
        flushed = True
        for reader in list(self._readers):
            try:
                flushed &= reader.force_flush(timeout_millis=timeout_millis) is not False
            except Exception:
                _logger.exception("%r did not flush", reader)
                flushed = False
        return flushed

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Shut the readers down and ask no callback any more. coati itself goes on."""
        if self._is_shut_down:
            return
        for reader in list(self._readers):
            try:
                reader.shutdown(timeout_millis=timeout_millis)
            except Exception:
                _logger.exception("%r did not shut down", reader)
        self._is_shut_down = True
        atexit.unregister(self.shutdown)
        for meter in list(self._meters.values()):
            meter._end()

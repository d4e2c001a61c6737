"""Metrics: ``V2Metrics``, and the registry of named ones."""

from __future__ import annotations

import json
import math
from typing import Any

import coati
from coati.compat.langswarm import _globals
from coati.compat.langswarm._awaited import AwaitableText, Exported
from coati.compat.langswarm._buckets import buckets
from coati.compat.langswarm._config import ObservabilityConfig
from coati.compat.langswarm._figures import Figures
from coati.compat.langswarm._instruments import (
    Counter,
    Gauge,
    Histogram,
    MetricTimer,
    Timer,
    labels_of,
)
from coati.compat.langswarm._store import Store
from coati.compat.langswarm._trouble import tell
from coati.compat.langswarm.interfaces import IMetrics, MetricPoint, MetricType, utc

__all__ = [
    "Counter",
    "Gauge",
    "Histogram",
    "IMetrics",
    "MetricPoint",
    "MetricTimer",
    "MetricType",
    "ObservabilityConfig",
    "V2Metrics",
    "configure_metrics",
    "counter",
    "create_metrics",
    "gauge",
    "get_metrics",
    "get_or_create_metrics",
    "histogram",
    "record_timer_value",
    "timer",
]


class V2Metrics(IMetrics):
    """Measures.

    Each object sees what it has measured itself. Counts, sums, extremes and means are exact however
    much is measured; the median and the other percentiles are within 0.6 % of a measured value.
    Labels are given as keywords, or as ``labels={...}``.
    """

    def __init__(
        self, config: Any = None, section: Any = None, *_: Any, component: str | None = None
    ) -> None:
        if isinstance(config, str):
            # As the guide has it: a component and its section.
            component, config = config, section
        self.config = ObservabilityConfig.of(config)
        self.component = component
        self._share(Store(self.config))

    def _share(self, store: Store) -> None:
        self._store = store
        self._calls = store.calls
        self._reconfigure(self.config)

    def _reconfigure(self, config: ObservabilityConfig) -> None:
        self.config = config
        self._excluded = frozenset(config.metrics.exclude_labels)
        self._store.forget()

    def for_component(self, component: str | None) -> V2Metrics:
        """The same metrics, for a component's own use."""
        other = V2Metrics.__new__(V2Metrics)
        other.config = self.config
        other.component = component or self.config.opentelemetry_service_name
        other._share(self._store)
        return other

    def _tags(self, labels: Any, tags: dict[str, Any]) -> dict[str, str]:
        """Labels as texts, which is what tells series of the framework apart."""
        excluded = self._excluded
        return {
            str(key): value if type(value) is str else str(value)
            for key, value in labels_of(labels, tags).items()
            if key not in excluded
        }

    def increment_counter(
        self, name: str, value: Any = 1.0, labels: Any = None, **tags: Any
    ) -> None:
        """Add to a counter. As in all of coati, a negative amount is ignored and counted."""
        self._record("counter", name, value, labels, tags)

    def set_gauge(self, name: str, value: Any, labels: Any = None, **tags: Any) -> None:
        """Set a gauge."""
        self._record("gauge", name, value, labels, tags)

    def record_histogram(self, name: str, value: Any, labels: Any = None, **tags: Any) -> None:
        """Record a value."""
        self._record("histogram", name, value, labels, tags)

    def record_timer(self, name: str, duration_ms: Any, labels: Any = None, **tags: Any) -> None:
        """Record a time in milliseconds."""
        self._record("timer", name, duration_ms, labels, tags)

    def _record(self, kind: str, name: str, value: Any, labels: Any, tags: dict[str, Any]) -> None:
        if not self.config.metrics_enabled:
            return
        try:
            if labels is not None:
                tags = labels_of(labels, tags)
            try:
                call = self._calls[kind].get((name, *tags, *tags.values()))
            except TypeError:  # such as a list among the tags
                call = None
            if call is None:
                call = self._store.call(kind, name, self._tags(None, tags), tags)
            call(value)
        except Exception as error:
            tell(f"record a {kind}", error)

    def start_timer(self, name: str, labels: Any = None, **tags: Any) -> Timer:
        """Time a ``with`` statement."""
        return Timer(self, name, labels_of(labels, tags))

    timer = start_timer

    def create_counter(self, name: str, description: str = "", unit: str = "", **_: Any) -> Counter:
        """A counter with a description."""
        self._begin("counter", name, description=description, unit=unit)
        return Counter(self, name, description, unit)

    def create_gauge(self, name: str, description: str = "", unit: str = "", **_: Any) -> Gauge:
        """A gauge with a description."""
        self._begin("gauge", name, description=description, unit=unit)
        return Gauge(self, name, description, unit)

    def create_histogram(
        self, name: str, description: str = "", unit: Any = "", buckets: Any = None, **_: Any
    ) -> Histogram:
        """A histogram with a description; without ``buckets`` it is exponential."""
        if isinstance(unit, (list, tuple)):
            unit, buckets = "", unit
        self._begin("histogram", name, description=description, unit=unit, buckets=buckets)
        return Histogram(self, name, description, unit)

    def _begin(self, kind: str, name: str, **details: Any) -> None:
        try:
            self._store.get(kind, name, **details)
        except Exception as error:
            tell(f"make a {kind}", error)

    def _add_to_gauge(self, name: str, value: float, tags: dict[str, Any]) -> None:
        if not self.config.metrics_enabled:
            return
        try:
            add = self._store.get("gauge", name).add
            add(value, **self._tags(None, tags), **self._store.scope("gauge", name))
        except Exception as error:
            tell("add to a gauge", error)

    def _read(self, kind: str, name: str, labels: Any, tags: dict[str, Any]) -> Any:
        try:
            return self._store.read(kind, name, self._tags(labels, tags))
        except Exception as error:
            tell(f"read a {kind}", error)
            return None

    def get_counter_value(self, name: str, labels: Any = None, **tags: Any) -> float:
        """A counter's value, 0.0 where there is none."""
        return float(self._read("counter", name, labels, tags) or 0.0)

    def get_gauge_value(self, name: str, labels: Any = None, **tags: Any) -> float | None:
        """A gauge's value, None where there is none."""
        return self._read("gauge", name, labels, tags)  # type: ignore[no-any-return]

    def get_histogram_stats(self, name: str, labels: Any = None, **tags: Any) -> dict[str, float]:
        """Count, min, max, mean, median, p95 and p99; empty where there are no values.

        Asked with ``labels=``, or of a component's metrics, it has ``stddev`` and ``sum``, too.
        """
        return self._figures("histogram", name, labels, tags, "")

    def get_timer_stats(self, name: str, labels: Any = None, **tags: Any) -> dict[str, float]:
        """Count, and in milliseconds min_ms, max_ms, mean_ms, median_ms, p95_ms and p99_ms."""
        return self._figures("timer", name, labels, tags, "_ms")

    def _figures(
        self, kind: str, name: str, labels: Any, tags: dict[str, Any], suffix: str
    ) -> dict[str, float]:
        stats = self._read(kind, name, labels, tags)
        if stats is None or not stats.count:
            return {}
        return Figures(stats, suffix, more=labels is not None or self.component is not None)

    def get_metric_value(self, name: str, labels: Any = None, **tags: Any) -> float | None:
        """The value of a counter or a gauge, or the mean of what a histogram or a timer has."""
        for kind in ("counter", "gauge", "histogram", "timer"):
            found = self._read(kind, name, labels, dict(tags))
            if found is not None:
                return found.mean if hasattr(found, "mean") else found  # type: ignore[no-any-return]
        return None

    def list_metrics(self) -> list[str]:
        """The names of all metrics."""
        return sorted({name for kind in self._store.instruments.values() for name in list(kind)})

    def get_all_metrics(self) -> dict[str, Any]:
        """All values, by kind and key."""
        series = self._store.series
        return {
            "counters": {key: float(one.value) for key, (_, _, one) in series("counter").items()},
            "gauges": {key: one.value for key, (_, _, one) in series("gauge").items()},
            "histogram_stats": {
                key: Figures(one.stats)
                for key, (_, _, one) in series("histogram").items()
                if one.stats.count
            },
            "timer_stats": {
                key: Figures(one.stats, "_ms")
                for key, (_, _, one) in series("timer").items()
                if one.stats.count
            },
        }

    def reset_metrics(self) -> None:
        """Begin anew."""
        self._store.reset()

    def export_metrics(self) -> Exported:
        """A point for each series that has changed since the last export.

        The value is a counter's total, a gauge's value, and the mean of what a histogram or a timer
        has. Awaited, it is the guide's dict of all metrics.
        """
        now = utc()
        points = []
        for kind in MetricType:
            for key, (name, labels, metric) in self._store.series(kind.value).items():
                state = metric.stats.count if metric.stats is not None else metric.value
                if self._store.exported.get((kind.value, key)) != state:
                    self._store.exported[kind.value, key] = state
                    points.append(MetricPoint(name, _value(metric), kind, now, labels))
        return Exported(points, self._described)

    def _described(self) -> dict[str, Any]:
        described = {}
        for kind in self._store.instruments:
            for key, (name, labels, metric) in self._store.series(kind).items():
                entry = {
                    "name": name,
                    "value": _value(metric),
                    "type": kind,
                    "labels": labels,
                    "unit": metric.unit,
                    "description": metric.description,
                }
                if metric.stats is not None:
                    entry["stats"] = dict(Figures(metric.stats, more=True))
                described[key if key not in described else f"{key}.{kind}"] = entry
        return described

    def export_prometheus_format(self) -> AwaitableText:
        """The process's metrics as Prometheus reads them; may be awaited."""
        return AwaitableText(coati.metrics.prometheus_text())

    def export_json_format(self) -> AwaitableText:
        """All metrics as JSON; may be awaited."""
        return AwaitableText(json.dumps(self._described(), default=str))

    def _buckets(self, name: str, tags: dict[str, Any]) -> dict[float, int]:
        instrument = self._store.get("histogram", name)
        labels = {**self._tags(None, tags), **self._store.scope("histogram", name)}
        return buckets(coati.metrics.prometheus_text(), instrument.name, labels)

    async def cleanup_old_data(self, cutoff_time: float = 0.0) -> None:
        """Nothing: values are kept as distributions of bounded size, none as they came."""

    def get_memory_usage(self) -> dict[str, int]:
        """How much there is: series, names, and the engine's memory in bytes."""
        kinds = self._store.instruments
        return {
            "metrics": sum(len(kind) for kind in kinds.values()),
            "series": sum(len(self._store.series(kind)) for kind in kinds),
            "engine_bytes": coati.health()["memory_bytes"],
        }


def _value(metric: Any) -> float:
    if metric.stats is None:
        return metric.value  # type: ignore[no-any-return]
    return metric.stats.mean if metric.stats.count else math.nan


_metrics: dict[str, V2Metrics] = {}
_default_config: ObservabilityConfig | None = None


def configure_metrics(config: ObservabilityConfig) -> None:
    """Configure metrics that are made from now on without a configuration of their own."""
    global _default_config  # noqa: PLW0603 - the framework has one
    _default_config = ObservabilityConfig.of(config)


def create_metrics(name: str = "default", config: ObservabilityConfig | None = None) -> V2Metrics:
    """Make metrics and register their name."""
    _metrics[name] = metrics = V2Metrics(config if config is not None else _default_config)
    return metrics


def get_metrics(name: str | None = "default") -> V2Metrics | None:
    """The metrics of this name, else the installed provider's for this component, else None."""
    found = _metrics.get(name or "default")
    if found is None and _globals.provider is not None:
        if name in {None, "default"}:
            return _globals.provider.metrics  # type: ignore[no-any-return]
        return _globals.provider.get_metrics(name)  # type: ignore[no-any-return]
    return found


def get_or_create_metrics(
    name: str = "default", config: ObservabilityConfig | None = None
) -> V2Metrics:
    """The metrics of this name, made if need be."""
    return get_metrics(name) or create_metrics(name, config)


def counter(name: str, value: float = 1.0, **tags: Any) -> None:
    """Add to a counter of the default metrics."""
    get_or_create_metrics().increment_counter(name, value, **tags)


def gauge(name: str, value: float, **tags: Any) -> None:
    """Set a gauge of the default metrics."""
    get_or_create_metrics().set_gauge(name, value, **tags)


def histogram(name: str, value: float, **tags: Any) -> None:
    """Record a value in the default metrics."""
    get_or_create_metrics().record_histogram(name, value, **tags)


def timer(name: str, **tags: Any) -> Timer:
    """Time a ``with`` statement into the default metrics."""
    return get_or_create_metrics().start_timer(name, **tags)


def record_timer_value(name: str, duration_ms: float, **tags: Any) -> None:
    """Record a time in the default metrics."""
    get_or_create_metrics().record_timer(name, duration_ms, **tags)

"""Counters, gauges, summaries, histograms, infos and enums with native cells."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar

from coati._native import (
    PrometheusCounter,
    PrometheusGauge,
    PrometheusHistogram,
    PrometheusInfo,
    PrometheusSummary,
)
from coati.prometheus._names import go_float
from coati.prometheus.context_managers import ExceptionCounter, InprogressTracker, Timer
from coati.prometheus.metrics_core import Metric
from coati.prometheus.registry import REGISTRY, CollectorRegistry
from coati.prometheus.samples import Exemplar, Sample
from coati.prometheus.validation import check_exemplar, check_label_names, check_metric_name

__all__ = [
    "Counter",
    "Enum",
    "Gauge",
    "Histogram",
    "Info",
    "MetricWrapperBase",
    "Summary",
    "disable_created_metrics",
    "enable_created_metrics",
]

_INF = float("inf")
#: Place of the time at which a series began.
_CREATED = -1

_use_created = os.environ.get("PROMETHEUS_DISABLE_CREATED_SERIES", "").lower() not in {
    "true",
    "1",
    "t",
}


def disable_created_metrics() -> None:
    """Show no ``_created`` series from now on."""
    global _use_created  # noqa: PLW0603 - as the library has it
    _use_created = False


def enable_created_metrics() -> None:
    """Show the times at which series began as ``_created``."""
    global _use_created  # noqa: PLW0603
    _use_created = True


def use_created() -> bool:
    """Whether ``_created`` series are shown."""
    return _use_created


def _full_name(kind: str, name: str, namespace: str, subsystem: str, unit: str) -> str:
    if not name:
        raise ValueError("Metric name should not be empty")
    full = "_".join(part for part in (namespace, subsystem, name) if part)
    if kind == "counter":
        full = full.removesuffix("_total")
    if unit and not full.endswith("_" + unit):
        full += "_" + unit
    if unit and kind in {"info", "stateset"}:
        raise ValueError("Metric name is of a type that cannot have a unit: " + full)
    return full


class _Value:
    """One number of a series, to be looked at in tests."""

    __slots__ = ("_cell", "_metric")

    def __init__(self, metric: Any, cell: int) -> None:
        self._metric = metric
        self._cell = cell

    def get(self) -> float:
        return self._metric._read(self._cell)  # type: ignore[no-any-return]

    def set(self, value: float, timestamp: float | None = None) -> None:
        self._metric._write(self._cell, value)

    def inc(self, amount: float) -> None:
        self._metric._write(self._cell, self.get() + amount)

    def get_exemplar(self) -> Exemplar | None:
        kept = self._metric._exemplar(self._cell)
        return Exemplar(*kept) if kept else None

    def set_exemplar(self, exemplar: Exemplar) -> None:
        self._metric._set_exemplar(self._cell, *exemplar)


class _Children(MutableMapping[tuple[str, ...], Any]):
    """The children of a metric by label values, to be looked at and removed."""

    __slots__ = ("_metric",)

    def __init__(self, metric: MetricWrapperBase) -> None:
        self._metric = metric

    def __getitem__(self, values: tuple[str, ...]) -> Any:
        return self._metric._children[values]

    def __setitem__(self, values: tuple[str, ...], child: Any) -> None:
        raise TypeError("children are made by labels()")

    def __delitem__(self, values: tuple[str, ...]) -> None:
        _ = self[values]
        self._metric._remove(values)

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self._metric._children)

    def __len__(self) -> int:
        return len(self._metric._children)

    def clear(self) -> None:
        self._metric._clear()

    def copy(self) -> dict[tuple[str, ...], Any]:
        return self._metric._children


class MetricWrapperBase:
    """What all metrics have in common.

    With label names a metric has children, one for each set of values, which :meth:`labels` gives;
    without it is recorded into itself.

    Args:
        name: its name; namespace, subsystem and unit are added to it.
        documentation: for people.
        labelnames: names of its labels.
        namespace: first part of the name.
        subsystem: second part of the name.
        unit: last part of the name.
        registry: where it is registered; ``None`` for nowhere.

    Raises:
        ValueError: a name is none, or belongs to another metric of the registry.
    """

    _type: ClassVar[str] = ""
    _reserved_labelnames: ClassVar[Sequence[str]] = ()
    #: Whether samples are those of this module, so that they need no look at Python.
    _stock: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("coati.prometheus"):
            own = ("collect", "describe", "_samples", "_child_samples", "_get_metric")
            cls._stock = cls._stock and not any(name in vars(cls) for name in own)

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        _labelvalues: Sequence[str] | None = None,
    ) -> None:
        self._begin(name, documentation, labelnames, namespace, subsystem, unit)
        self._end(registry, _labelvalues)

    def _begin(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str],
        namespace: str,
        subsystem: str,
        unit: str,
        bounds: Sequence[float] = (),
        most_recent: bool = False,
        **more: Any,
    ) -> None:
        full = _full_name(self._type, name, namespace, subsystem, unit)
        names = check_label_names(labelnames, self._reserved_labelnames)
        check_metric_name(full)
        # What a child of a class with a constructor of its own is made with.
        self._kwargs: dict[str, Any] = {
            "name": name,
            "documentation": documentation,
            "labelnames": names,
            "namespace": namespace,
            "subsystem": subsystem,
            "unit": unit,
            **more,
        }
        self._opening = (full, documentation, unit, names, list(bounds), most_recent)

    def _end(self, registry: CollectorRegistry | None, labelvalues: Sequence[str] | None) -> None:
        opening = self.__dict__.pop("_opening")
        if labelvalues:
            # A child: it is opened by its parent.
            return
        simple = type(self).__init__.__module__ == __name__ and not self._has_own_child()
        self._open(*opening, simple)
        if registry:
            registry.register(self)

    def _has_own_child(self) -> bool:
        return False

    def _child(self, values: tuple[str, ...]) -> Any:
        return type(self)(**self._kwargs, _labelvalues=values)

    # The native half has these.
    _name: str
    _documentation: str
    _unit: str
    _labelnames: tuple[str, ...]
    _labelvalues: tuple[str, ...]
    _children: dict[tuple[str, ...], Any]
    _open: Callable[..., None]
    _remove: Callable[[tuple[str, ...]], None]
    _clear: Callable[[], None]
    _read: Callable[[int], float]
    _write: Callable[[int, float], None]
    _exemplar: Callable[[int], tuple[dict[str, str], float, float] | None]
    _set_exemplar: Callable[[int, dict[str, str], float, float], None]

    @property
    def _metrics(self) -> _Children:
        if not self._is_parent():
            raise AttributeError(f"{self} has no children")
        return _Children(self)

    def __str__(self) -> str:
        return f"{self._type}:{self._name}"

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self._name})"

    def _is_parent(self) -> bool:
        return bool(self._labelnames and not self._labelvalues)

    def _is_observable(self) -> bool:
        return not self._is_parent()

    def _raise_if_not_observable(self) -> None:
        if self._is_parent():
            raise ValueError(f"{self._type} metric is missing label values")

    def remove(self, *labelvalues: object) -> None:
        """Remove the child with these label values."""
        if not self._labelnames:
            raise ValueError(f"No label names were set when constructing {self}")
        if len(labelvalues) != len(self._labelnames):
            raise ValueError(
                f"Incorrect label count (expected {len(self._labelnames)}, got {labelvalues})"
            )
        self._remove(tuple(map(str, labelvalues)))

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Remove all children that have these labels among theirs."""
        if not self._labelnames:
            raise ValueError(f"No label names were set when constructing {self}")
        if not isinstance(labels, dict):
            raise TypeError("labels must be a dict of {label_name: label_value}")
        unknown = [name for name in labels if name not in self._labelnames]
        if unknown:
            raise ValueError(f"Unknown label names: {unknown}; expected {self._labelnames}")
        wanted = {self._labelnames.index(name): str(value) for name, value in labels.items()}
        for values in self._children if wanted else ():
            if all(values[place] == value for place, value in wanted.items()):
                self._remove(values)

    def clear(self) -> None:
        """Remove all children."""
        self._clear()

    def _keep_exemplar(self, cell: int, amount: float, exemplar: Mapping[str, str]) -> None:
        check_exemplar(exemplar)
        self._set_exemplar(cell, dict(exemplar), amount, time.time())

    def _get_metric(self) -> Metric:
        return Metric(self._name, self._documentation, self._type, self._unit)

    def describe(self) -> Iterable[Metric]:
        """The family without samples."""
        return [self._get_metric()]

    def collect(self) -> Iterable[Metric]:
        """The family as it is now."""
        metric = self._get_metric()
        for sample in self._samples():
            metric.samples.append(sample._replace(name=self._name + sample.name))
        return [metric]

    def _samples(self) -> Iterable[Sample]:
        return self._multi_samples() if self._is_parent() else self._child_samples()

    def _multi_samples(self) -> Iterable[Sample]:
        for values, child in self._children.items():
            labels = dict(zip(self._labelnames, values, strict=True))
            for sample in child._child_samples():
                yield sample._replace(labels={**labels, **sample.labels})

    def _child_samples(self) -> Iterable[Sample]:
        raise NotImplementedError(f"_child_samples() must be implemented by {self!r}")

    def _created_samples(self) -> list[Sample]:
        return [Sample("_created", {}, self._read(_CREATED))] if _use_created else []

    def _settle(self) -> None:
        """Runs before the native half is read."""


class Counter(PrometheusCounter, MetricWrapperBase):
    """A sum that only grows.

    >>> failures = Counter("my_failures_total", "Failures", ["kind"], registry=None)
    >>> failures.labels("timeout").inc()
    """

    _type = "counter"

    @property
    def _value(self) -> _Value:
        return _Value(self, 0)

    @property
    def _created(self) -> float:
        return self._read(_CREATED)

    def reset(self) -> None:
        """Begin anew at zero."""
        self._write(0, 0)
        self._write(_CREATED, time.time())

    def count_exceptions(self, exception: Any = Exception) -> ExceptionCounter:
        """Count the exceptions of this type that leave a block or a function."""
        self._raise_if_not_observable()
        return ExceptionCounter(self, exception)

    def _child_samples(self) -> Iterable[Sample]:
        value = self._value
        total = Sample("_total", {}, value.get(), None, value.get_exemplar())
        return [total, *self._created_samples()]


class Gauge(PrometheusGauge, MetricWrapperBase):
    """A value that goes up and down.

    >>> queued = Gauge("my_queue", "Waiting", registry=None)
    >>> queued.set(4)

    ``multiprocess_mode`` is taken as the library takes it; values are those of this process.
    """

    _type = "gauge"
    _MULTIPROC_MODES = frozenset(
        live + mode for live in ("", "live") for mode in ("all", "min", "max", "sum", "mostrecent")
    )
    #: Whether any gauge has ever been given a function.
    _functions: ClassVar[bool] = False

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        _labelvalues: Sequence[str] | None = None,
        multiprocess_mode: str = "all",
    ) -> None:
        if multiprocess_mode not in self._MULTIPROC_MODES:
            raise ValueError("Invalid multiprocess mode: " + multiprocess_mode)
        self._multiprocess_mode = multiprocess_mode
        self._begin(
            name,
            documentation,
            labelnames,
            namespace,
            subsystem,
            unit,
            most_recent=multiprocess_mode.endswith("mostrecent"),
            multiprocess_mode=multiprocess_mode,
        )
        self._end(registry, _labelvalues)

    @property
    def _value(self) -> _Value:
        return _Value(self, 0)

    def set_to_current_time(self) -> None:
        """Set it to the seconds since the epoch."""
        self.set(time.time())

    def track_inprogress(self) -> InprogressTracker:
        """Raise it while a block or a function runs."""
        self._raise_if_not_observable()
        return InprogressTracker(self)

    def time(self) -> Timer:
        """Set it to the seconds that a block or a function takes."""
        return Timer(self, "set")

    def set_function(self, f: Callable[[], float]) -> None:
        """Ask ``f`` for the value whenever it is read; what is set otherwise is not shown."""
        self._raise_if_not_observable()
        self._function = f
        Gauge._functions = True

    def _child_samples(self) -> Iterable[Sample]:
        function = self.__dict__.get("_function")
        return [Sample("", {}, float(function()) if function else self._read(0))]

    def _settle(self) -> None:
        if not Gauge._functions:
            return
        for gauge in self._children.values() if self._is_parent() else [self]:
            function = gauge.__dict__.get("_function")
            if function:
                gauge._write(0, float(function()))


class Summary(PrometheusSummary, MetricWrapperBase):
    """How many values there were, and their sum.

    >>> size = Summary("request_size_bytes", "Size", registry=None)
    >>> size.observe(512)
    """

    _type = "summary"
    _reserved_labelnames = ("quantile",)

    @property
    def _count(self) -> _Value:
        return _Value(self, 0)

    @property
    def _sum(self) -> _Value:
        return _Value(self, 1)

    @property
    def _created(self) -> float:
        return self._read(_CREATED)

    def time(self) -> Timer:
        """Observe the seconds that a block or a function takes."""
        return Timer(self, "observe")

    def _child_samples(self) -> Iterable[Sample]:
        count, total = Sample("_count", {}, self._read(0)), Sample("_sum", {}, self._read(1))
        return [count, total, *self._created_samples()]


class Histogram(PrometheusHistogram, MetricWrapperBase):
    """How many values there were below each of some bounds, and their sum.

    >>> took = Histogram("took_seconds", "Time", buckets=[0.1, 1, 10], registry=None)
    >>> took.observe(0.5)
    """

    _type = "histogram"
    _reserved_labelnames = ("le",)
    DEFAULT_BUCKETS = (
        0.005,
        0.01,
        0.025,
        0.05,
        0.075,
        0.1,
        0.25,
        0.5,
        0.75,
        1.0,
        2.5,
        5.0,
        7.5,
        10.0,
        _INF,
    )

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        _labelvalues: Sequence[str] | None = None,
        buckets: Sequence[float | str] = DEFAULT_BUCKETS,
    ) -> None:
        bounds = [float(bucket) for bucket in buckets]
        if bounds != sorted(bounds):
            raise ValueError("Buckets not in sorted order")
        if bounds and bounds[-1] != _INF:
            bounds.append(_INF)
        if len(bounds) < 2:
            raise ValueError("Must have at least two buckets")
        self._begin(
            name,
            documentation,
            labelnames,
            namespace,
            subsystem,
            unit,
            bounds=bounds,
            buckets=buckets,
        )
        self._end(registry, _labelvalues)

    @property
    def _buckets(self) -> list[_Value]:
        return [_Value(self, place) for place in range(len(self._upper_bounds))]

    @property
    def _sum(self) -> _Value:
        return _Value(self, len(self._upper_bounds))

    @property
    def _created(self) -> float:
        return self._read(_CREATED)

    def time(self) -> Timer:
        """Observe the seconds that a block or a function takes."""
        return Timer(self, "observe")

    def _child_samples(self) -> Iterable[Sample]:
        samples, bounds, total = [], self._upper_bounds, 0.0
        for bound, value in zip(bounds, self._buckets, strict=True):
            total += value.get()
            labels = {"le": go_float(bound)}
            samples.append(Sample("_bucket", labels, total, None, value.get_exemplar()))
        samples.append(Sample("_count", {}, total))
        if bounds[0] >= 0:
            samples.append(Sample("_sum", {}, self._sum.get()))
        return samples + self._created_samples()


class Info(PrometheusInfo, MetricWrapperBase):
    """Texts about something.

    >>> build = Info("my_build", "The build", registry=None)
    >>> build.info({"version": "1.2.3"})
    """

    _type = "info"
    _value: Mapping[str, str] = {}

    def info(self, val: Mapping[str, str]) -> None:
        """Replace the texts.

        Raises:
            ValueError: a text is ``None``, or is called as a label.
        """
        if not set(self._labelnames).isdisjoint(val):
            raise ValueError(
                f"Overlapping labels for Info metric, metric: {self._labelnames} child: {val}"
            )
        if any(value is None for value in val.values()):
            raise ValueError("Label value cannot be None")
        self._value = dict(val)

    def _child_samples(self) -> Iterable[Sample]:
        return [Sample("_info", dict(self._value), 1.0)]


class Enum(PrometheusInfo, MetricWrapperBase):
    """Which of some states there is; the first one to begin with.

    >>> task = Enum("task_state", "The task", states=["idle", "running"], registry=None)
    >>> task.state("running")
    """

    _type = "stateset"
    _value = 0

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        _labelvalues: Sequence[str] | None = None,
        states: Sequence[str] | None = None,
    ) -> None:
        if name in labelnames:
            raise ValueError(f"Overlapping labels for Enum metric: {name}")
        if not states:
            raise ValueError(f"No states provided for Enum metric: {name}")
        self._states = states
        self._begin(name, documentation, labelnames, namespace, subsystem, unit, states=states)
        self._end(registry, _labelvalues)

    def _has_own_child(self) -> bool:
        return True

    def state(self, state: str) -> None:
        """Set the state.

        Raises:
            ValueError: there is no such state.
        """
        self._raise_if_not_observable()
        self._value = self._states.index(state)

    def _child_samples(self) -> Iterable[Sample]:
        return [
            Sample("", {self._name: state}, int(place == self._value))
            for place, state in enumerate(self._states)
        ]

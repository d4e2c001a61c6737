"""Registries: collectors by the names of their series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Any, Protocol

from coati.prometheus.metrics_core import Metric

__all__ = [
    "REGISTRY",
    "Collector",
    "CollectorRegistry",
    "DuplicateTimeseries",
    "RestrictedRegistry",
]

#: What the lines of a family are called besides its name.
_SUFFIXES = {
    "counter": ("_total", "_created"),
    "summary": ("_sum", "_count", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "info": ("_info",),
}


class Collector(Protocol):
    """Whatever tells metrics."""

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now."""


class DuplicateTimeseries(ValueError):
    """Two collectors would tell the same series."""

    def __init__(self, duplicates: set[str]) -> None:
        super().__init__(f"Duplicated timeseries in CollectorRegistry: {duplicates}")
        self.duplicates = duplicates


class _Nothing:
    """Holds the place of a name."""

    def collect(self) -> Iterable[Metric]:
        """No metrics."""
        return []


class CollectorRegistry:
    """Collectors that are shown together.

    Args:
        auto_describe: whether a collector without ``describe`` is asked for its metrics when it is
            registered, so that its names are known.
        target_info: labels of a metric ``target_info``.
        support_collectors_without_names: whether collectors whose names are not known are part of
            restricted registries.
    """

    def __init__(
        self,
        auto_describe: bool = False,
        target_info: dict[str, str] | None = None,
        support_collectors_without_names: bool = False,
    ) -> None:
        self._collector_to_names: dict[Any, list[str]] = {}
        self._names_to_collectors: dict[str, Any] = {}
        self._auto_describe = auto_describe
        self._lock = Lock()
        self._target_info: dict[str, str] | None = {}
        self._support_collectors_without_names = support_collectors_without_names
        self._collectors_without_names: list[Any] = []
        self.set_target_info(target_info)

    def register(self, collector: Any) -> None:
        """Add a collector.

        Raises:
            DuplicateTimeseries: another one has a name of its.
        """
        with self._lock:
            names = self._get_names(collector)
            duplicates = set(self._names_to_collectors).intersection(names)
            if duplicates:
                raise DuplicateTimeseries(duplicates)
            for name in names:
                self._names_to_collectors[name] = collector
            self._collector_to_names[collector] = names
            if self._support_collectors_without_names and not names:
                self._collectors_without_names.append(collector)
            self._changed()

    def unregister(self, collector: Any) -> None:
        """Remove a collector."""
        with self._lock:
            for name in self._collector_to_names[collector]:
                del self._names_to_collectors[name]
            del self._collector_to_names[collector]
            if collector in self._collectors_without_names:
                self._collectors_without_names.remove(collector)
            self._changed()

    def _changed(self) -> None:
        """Runs with the lock held when there is another set of collectors."""

    def _get_names(self, collector: Any) -> list[str]:
        describe = getattr(collector, "describe", None)
        if not describe and self._auto_describe:
            describe = collector.collect
        names: list[str] = []
        for metric in describe() if describe else ():
            names.append(metric.name)
            names += [metric.name + suffix for suffix in _SUFFIXES.get(metric.type, ())]
        return names

    def _collectors(self) -> tuple[list[Any], Metric | None]:
        with self._lock:
            info = self._target_info_metric() if self._target_info else None
            return list(self._collector_to_names), info

    def collect(self) -> Iterable[Metric]:
        """The metrics of all collectors."""
        collectors, info = self._collectors()
        if info:
            yield info
        for collector in collectors:
            yield from collector.collect()

    def restricted_registry(self, names: Iterable[str]) -> RestrictedRegistry:
        """What of this registry has these names."""
        return RestrictedRegistry(names, self)

    def set_target_info(self, labels: dict[str, str] | None) -> None:
        """Set the labels of ``target_info``; none for no such metric."""
        with self._lock:
            if labels:
                if not self._target_info and "target_info" in self._names_to_collectors:
                    raise ValueError("CollectorRegistry already contains a target_info metric")
                self._names_to_collectors["target_info"] = _Nothing()
            elif self._target_info:
                self._names_to_collectors.pop("target_info", None)
            self._target_info = labels

    def get_target_info(self) -> dict[str, str] | None:
        """The labels of ``target_info``."""
        with self._lock:
            return self._target_info

    def _target_info_metric(self) -> Metric:
        metric = Metric("target", "Target metadata", "info")
        metric.add_sample("target_info", self._target_info or {}, 1)
        return metric

    def get_sample_value(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        """The value of a sample, ``None`` where there is none: for tests."""
        for metric in self.collect():
            for sample in metric.samples:
                if sample.name == name and sample.labels == (labels or {}):
                    return sample.value
        return None


class RestrictedRegistry:
    """Some names of a registry."""

    def __init__(self, names: Iterable[str], registry: CollectorRegistry) -> None:
        self._name_set = set(names)
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """The samples with these names."""
        registry = self._registry
        collectors = dict.fromkeys(registry._collectors_without_names)
        info = None
        with registry._lock:
            for name in self._name_set:
                if name == "target_info" and registry._target_info:
                    info = registry._target_info_metric()
                elif name in registry._names_to_collectors:
                    collectors[registry._names_to_collectors[name]] = None
        if info:
            yield info
        for collector in collectors:
            for metric in collector.collect():
                restricted = metric._restricted_metric(self._name_set)
                if restricted:
                    yield restricted


class _Shown(CollectorRegistry):
    """The registry that the engine shows, too."""

    def _changed(self) -> None:
        from coati.prometheus import _bridge  # noqa: PLC0415 - which needs the metrics' classes

        _bridge.publish(list(self._collector_to_names))


REGISTRY: CollectorRegistry = _Shown(auto_describe=True)

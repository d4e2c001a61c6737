"""What every process can tell of itself."""

from __future__ import annotations

import gc
import os
import platform as _platform
from collections.abc import Callable, Iterable
from typing import Any

from coati.prometheus.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from coati.prometheus.registry import REGISTRY, CollectorRegistry

__all__ = [
    "GC_COLLECTOR",
    "PLATFORM_COLLECTOR",
    "PROCESS_COLLECTOR",
    "GCCollector",
    "PlatformCollector",
    "ProcessCollector",
]


class ProcessCollector:
    """Memory, time and files of a process, where there is a ``/proc``.

    Args:
        namespace: first part of the names.
        pid: tells the process.
        proc: where the system tells of processes.
        registry: where it is registered; ``None`` for nowhere.
    """

    def __init__(
        self,
        namespace: str = "",
        pid: Callable[[], int | str] = lambda: "self",
        proc: str = "/proc",
        registry: CollectorRegistry | None = REGISTRY,
    ) -> None:
        self._prefix = f"{namespace}_process_" if namespace else "process_"
        self._pid = pid
        self._proc = proc
        self._ticks, self._pagesize = _system("SC_CLK_TCK", 100), _system("SC_PAGE_SIZE", 4096)
        try:
            self._btime = self._boot_time()
        except OSError:
            self._btime = 0.0
        if registry:
            registry.register(self)

    def _boot_time(self) -> float:
        with open(os.path.join(self._proc, "stat"), "rb") as stat:
            for line in stat:
                if line.startswith(b"btime "):
                    return float(line.split()[1])
        return 0.0

    def collect(self) -> Iterable[Metric]:
        """What the system tells now."""
        if not self._btime:
            return []
        folder = os.path.join(self._proc, str(self._pid()).strip())
        metrics: list[Metric] = []
        for tell in (self._usage, self._files):
            try:
                metrics += tell(folder)
            except OSError:
                # It is gone, or not ours.
                continue
        return metrics

    def _usage(self, folder: str) -> list[Metric]:
        with open(os.path.join(folder, "stat"), "rb") as stat:
            # The program's name may have spaces; what follows its bracket has none.
            parts = stat.read().rsplit(b")", 1)[-1].split()
        ticks, prefix = self._ticks, self._prefix
        return [
            GaugeMetricFamily(
                prefix + "virtual_memory_bytes", "Virtual memory size in bytes.", float(parts[20])
            ),
            GaugeMetricFamily(
                prefix + "resident_memory_bytes",
                "Resident memory size in bytes.",
                float(parts[21]) * self._pagesize,
            ),
            GaugeMetricFamily(
                prefix + "start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
                float(parts[19]) / ticks + self._btime,
            ),
            CounterMetricFamily(
                prefix + "cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
                float(parts[11]) / ticks + float(parts[12]) / ticks,
            ),
        ]

    def _files(self, folder: str) -> list[Metric]:
        metrics: list[Metric] = []
        with open(os.path.join(folder, "limits"), "rb") as limits:
            for line in limits:
                if line.startswith(b"Max open file"):
                    most = GaugeMetricFamily(
                        self._prefix + "max_fds",
                        "Maximum number of open file descriptors.",
                        float(line.split()[3]),
                    )
                    metrics.append(most)
                    break
        count = len(os.listdir(os.path.join(folder, "fd")))
        documentation = "Number of open file descriptors."
        return [GaugeMetricFamily(self._prefix + "open_fds", documentation, count), *metrics]


def _system(name: str, otherwise: int) -> float:
    try:
        return float(os.sysconf(name))
    except (ValueError, TypeError, AttributeError, OSError):
        return float(otherwise)


class PlatformCollector:
    """Which Python this is."""

    def __init__(self, registry: CollectorRegistry | None = REGISTRY, platform: Any = None) -> None:
        self._platform = _platform if platform is None else platform
        major, minor, patchlevel = self._platform.python_version_tuple()
        told = {
            "version": self._platform.python_version(),
            "implementation": self._platform.python_implementation(),
            "major": major,
            "minor": minor,
            "patchlevel": patchlevel,
        }
        if self._platform.system() == "Java":
            told.update(self._java())
        metric = GaugeMetricFamily("python_info", "Python platform information", labels=told)
        metric.add_metric(told.values(), 1)
        self._metrics = [metric]
        if registry:
            registry.register(self)

    def _java(self) -> dict[str, str]:
        version, _, machine, _ = self._platform.java_ver()
        name, release, vendor = machine
        return {
            "jvm_version": version,
            "jvm_release": release,
            "jvm_vendor": vendor,
            "jvm_name": name,
        }

    def collect(self) -> Iterable[Metric]:
        """One metric, always the same."""
        return self._metrics


class GCCollector:
    """What the garbage collector did."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        if hasattr(gc, "get_stats") and _platform.python_implementation() == "CPython":
            registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Its figures now."""
        told = {
            "collected": CounterMetricFamily(
                "python_gc_objects_collected",
                "Objects collected during gc",
                labels=["generation"],
            ),
            "uncollectable": CounterMetricFamily(
                "python_gc_objects_uncollectable",
                "Uncollectable objects found during GC",
                labels=["generation"],
            ),
            "collections": CounterMetricFamily(
                "python_gc_collections",
                "Number of times this generation was collected",
                labels=["generation"],
            ),
        }
        for generation, figures in enumerate(gc.get_stats()):
            for name, metric in told.items():
                metric.add_metric([str(generation)], figures[name])
        return list(told.values())


GC_COLLECTOR = GCCollector()
PLATFORM_COLLECTOR = PlatformCollector()
PROCESS_COLLECTOR = ProcessCollector()

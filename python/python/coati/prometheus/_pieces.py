"""A registry in pieces: text of what is native, families of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coati._native import _prometheus_text
from coati.prometheus import metrics
from coati.prometheus.metrics_core import Metric
from coati.prometheus.registry import CollectorRegistry

_ESCAPINGS = ("allow-utf-8", "underscores", "values")


def pieces(registry: Any, open_metrics: bool, escaping: str) -> Iterator[bytes | Metric]:
    """The text of each family whose names need no escape, else the family."""
    if not isinstance(registry, CollectorRegistry) or _is_own(registry):
        yield from registry.collect()
        return
    collectors, info = registry._collectors()
    if info:
        yield info
    for collector in collectors:
        text = None
        if is_native(collector) and escaping in _ESCAPINGS:
            collector._settle()
            text = _prometheus_text(collector, open_metrics, metrics.use_created())
        if text is None:
            yield from collector.collect()
        else:
            yield text


def is_native(collector: Any) -> bool:
    """Whether all that it shows is in native cells."""
    return isinstance(collector, metrics.MetricWrapperBase) and type(collector)._stock


def _is_own(registry: CollectorRegistry) -> bool:
    return type(registry).collect is not CollectorRegistry.collect


@contextmanager
def whose(metric: Metric) -> Iterator[None]:
    """Names the family in what goes wrong."""
    try:
        yield
    except Exception as error:
        error.args = (*(error.args or ("",)), metric)
        raise

"""The default registry among what the engine shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coati._native import _prometheus_publish
from coati.prometheus._pieces import is_native
from coati.prometheus.metrics_core import Metric
from coati.prometheus.samples import Sample

#: Collectors that are asked, as they are not read natively.
_asked: list[Any] = []
_native: list[Any] = []

#: A family as the native half takes it: name, kind, documentation, unit, bounds, and series of
#: labels and numbers.
_Row = tuple[str, str, str, str, list[float], list[tuple[dict[str, str], list[float]]]]


def publish(collectors: list[Any]) -> None:
    """Make these collectors the ones that the engine shows."""
    global _asked, _native  # noqa: PLW0603 - there is one engine
    _native = [collector for collector in collectors if is_native(collector)]
    _asked = [collector for collector in collectors if not is_native(collector)]
    _asked += [one for one in _native if one._type in {"info", "stateset"}]
    _prometheus_publish(_native, _collect)


def _collect() -> tuple[list[_Row], list[tuple[str, BaseException | None]]]:
    """Runs before the engine reads: what is not in native cells, and what went wrong."""
    rows: list[_Row] = []
    told: list[tuple[str, BaseException | None]] = []
    for collector in [*_native, *_asked]:
        name = str(collector) if is_native(collector) else type(collector).__qualname__
        try:
            if is_native(collector):
                collector._settle()
            if collector in _asked:
                rows += [row for metric in collector.collect() for row in _rows(metric)]
        except Exception as error:
            told.append((name, error))
        else:
            told.append((name, None))
    return rows, told


def _rows(metric: Metric) -> Iterable[_Row]:
    if metric.type in {"histogram", "gaugehistogram", "summary"}:
        yield from _histogram(metric)
        return
    suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
    kind = "counter" if metric.type == "counter" else "gauge"
    series = [
        (sample.labels, [float(sample.value)])
        for sample in metric.samples
        if sample.name == metric.name + suffix and sample.value is not None
    ]
    name = metric.name if kind == "counter" else metric.name + suffix
    yield (name, kind, metric.documentation, metric.unit, [], series)


def _histogram(metric: Metric) -> Iterable[_Row]:
    """One row for each set of bounds; a summary has none."""
    by_labels: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in metric.samples:
        others = (pair for pair in sample.labels.items() if pair[0] not in {"le", "quantile"})
        by_labels.setdefault(tuple(sorted(others)), []).append(sample)
    rows: dict[tuple[float, ...], list[tuple[dict[str, str], list[float]]]] = {}
    for labels, samples in by_labels.items():
        values = {sample.name.removeprefix(metric.name): sample.value for sample in samples}
        bounded = [sample for sample in samples if "le" in sample.labels]
        below = sorted((float(sample.labels["le"]), sample.value) for sample in bounded)
        count = values.get("_count", values.get("_gcount", below[-1][1] if below else 0))
        finite = [pair for pair in below if pair[0] != float("inf")]
        counts = [value for _, value in finite] + [count]
        parts = [now - before for now, before in zip(counts, [0, *counts], strict=False)]
        total = values.get("_sum", values.get("_gsum")) or 0
        bounds = tuple(bound for bound, _ in finite)
        rows.setdefault(bounds, []).append((dict(labels), [*map(float, parts), float(total)]))
    for bounds, series in rows.items():
        yield (metric.name, "histogram", metric.documentation, metric.unit, list(bounds), series)

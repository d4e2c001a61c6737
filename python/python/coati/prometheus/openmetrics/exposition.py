"""OpenMetrics' text."""

from __future__ import annotations

from typing import Any

from coati.prometheus._names import (
    ALLOWUTF8,
    DOTS,
    UNDERSCORES,
    VALUES,
    escape_text,
    go_float,
    label_name,
    metric_name,
)
from coati.prometheus._pieces import pieces, whose
from coati.prometheus.metrics_core import Metric
from coati.prometheus.samples import Exemplar, NativeHistogram, Sample
from coati.prometheus.validation import is_plain_metric_name

__all__ = [
    "ALLOWUTF8",
    "CONTENT_TYPE_LATEST",
    "CONTENT_TYPE_LATEST_2_0",
    "DOTS",
    "UNDERSCORES",
    "VALUES",
    "escape_label_name",
    "escape_metric_name",
    "generate_latest",
]

CONTENT_TYPE_LATEST = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CONTENT_TYPE_LATEST_2_0 = "application/openmetrics-text; version=2.0.0; charset=utf-8"

escape_metric_name = metric_name
escape_label_name = label_name


def generate_latest(registry: Any, escaping: str = UNDERSCORES, version: str = "1.0.0") -> bytes:
    """All metrics of a registry as OpenMetrics' text."""
    first = version.split(".", maxsplit=1)[0]
    native = first.isdigit() and int(first) >= 2
    out = []
    for piece in pieces(registry, True, escaping):
        if isinstance(piece, bytes):
            out.append(piece)
            continue
        with whose(piece):
            out.append(_family(piece, escaping, native).encode())
    out.append(b"# EOF\n")
    return b"".join(out)


def _family(metric: Metric, escaping: str, native: bool) -> str:
    name = metric_name(metric.name, escaping)
    lines = [f"# HELP {name} {escape_text(metric.documentation)}\n"]
    lines.append(f"# TYPE {name} {metric.type}\n")
    if metric.unit:
        lines.append(f"# UNIT {name} {metric.unit}\n")
    for sample in metric.samples:
        if native or not sample.native_histogram:
            lines.append(_line(metric, sample, escaping))
    return "".join(lines)


def _line(metric: Metric, sample: Sample, escaping: str) -> str:
    labels = [
        f'{label_name(key, escaping)}="{escape_text(value)}"'
        for key, value in sorted(sample.labels.items())
    ]
    name = metric_name(sample.name, escaping)
    if escaping == ALLOWUTF8 and not is_plain_metric_name(sample.name):
        # Names in quotes stand among the labels.
        labels.insert(0, name)
        name = ""
    if labels:
        name += "{" + ",".join(labels) + "}"
    value, exemplars = "", [sample.exemplar] if sample.exemplar else []
    if sample.native_histogram:
        value = _native(sample.native_histogram)
        exemplars += sample.native_histogram.nh_exemplars or ()
    elif sample.value is not None:
        value = go_float(sample.value)
    timestamp = "" if sample.timestamp is None else f" {sample.timestamp}"
    told = "".join(_exemplar(metric, sample, exemplar) for exemplar in exemplars)
    return f"{name} {value}{timestamp}{told}\n"


def _exemplar(metric: Metric, sample: Sample, exemplar: Exemplar) -> str:
    ending = {"counter": "_total", "gaugehistogram": "_bucket", "histogram": "_bucket"}
    fits = metric.type in ending and sample.name.endswith(ending[metric.type])
    if not fits and not (metric.type == "histogram" and sample.name == metric.name):
        raise ValueError(
            f"Metric {metric.name} has exemplars, but is not a histogram bucket or counter"
        )
    labels = ",".join(
        f'{key}="{escape_text(value)}"' for key, value in sorted(exemplar.labels.items())
    )
    timestamp = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    return f" # {{{labels}}} {go_float(exemplar.value)}{timestamp}"


def _native(histogram: NativeHistogram) -> str:
    parts = [
        f"count:{histogram.count_value}",
        f"sum:{histogram.sum_value}",
        f"schema:{histogram.schema}",
        f"zero_threshold:{histogram.zero_threshold}",
        f"zero_count:{histogram.zero_count}",
    ]
    for side, spans, deltas in (
        ("negative", histogram.neg_spans, histogram.neg_deltas),
        ("positive", histogram.pos_spans, histogram.pos_deltas),
    ):
        if spans:
            told = ",".join(f"{span[0]}:{span[1]}" for span in spans)
            parts.append(f"{side}_spans:[{told}]")
            parts.append(f"{side}_deltas:[{','.join(map(str, deltas or ()))}]")
    return "{" + ",".join(parts) + "}"

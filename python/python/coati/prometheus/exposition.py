"""Prometheus' text, and who hands it out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from coati.prometheus._names import (
    ALLOWUTF8,
    ESCAPINGS,
    UNDERSCORES,
    escape_text,
    go_float,
    label_name,
    metric_name,
)
from coati.prometheus._pieces import pieces, whose
from coati.prometheus.metrics_core import Metric
from coati.prometheus.openmetrics import exposition as openmetrics
from coati.prometheus.registry import REGISTRY
from coati.prometheus.samples import Sample
from coati.prometheus.validation import is_plain_metric_name

__all__ = [
    "CONTENT_TYPE_LATEST",
    "CONTENT_TYPE_PLAIN_0_0_4",
    "CONTENT_TYPE_PLAIN_1_0_0",
    "choose_encoder",
    "generate_latest",
    "write_to_textfile",
]

CONTENT_TYPE_PLAIN_0_0_4 = "text/plain; version=0.0.4; charset=utf-8"
CONTENT_TYPE_PLAIN_1_0_0 = "text/plain; version=1.0.0; charset=utf-8"
CONTENT_TYPE_LATEST = CONTENT_TYPE_PLAIN_1_0_0

#: What only OpenMetrics has as part of its family.
_APART = ("_created", "_gsum", "_gcount")
_TYPES = {
    "counter": ("_total", "counter"),
    "info": ("_info", "gauge"),
    "stateset": ("", "gauge"),
    "gaugehistogram": ("", "histogram"),
    "unknown": ("", "untyped"),
}


def generate_latest(registry: Any = REGISTRY, escaping: str = UNDERSCORES) -> bytes:
    """All metrics of a registry as Prometheus' text."""
    out = []
    for piece in pieces(registry, False, escaping):
        if isinstance(piece, bytes):
            out.append(piece)
            continue
        with whose(piece):
            out.append(_family(piece, escaping).encode())
    return b"".join(out)


def _family(metric: Metric, escaping: str) -> str:
    suffix, kind = _TYPES.get(metric.type, ("", metric.type))
    documentation = metric.documentation.replace("\\", r"\\").replace("\n", r"\n")

    def head(name: str, kind: str) -> list[str]:
        name = metric_name(name, escaping)
        return [f"# HELP {name} {documentation}\n", f"# TYPE {name} {kind}\n"]

    lines = head(metric.name + suffix, kind)
    apart: dict[str, list[str]] = {}
    for sample in metric.samples:
        ending = sample.name.removeprefix(metric.name)
        if ending in _APART and sample.name != ending:
            apart.setdefault(ending, []).append(_line(sample, escaping))
        else:
            lines.append(_line(sample, escaping))
    for ending, more in sorted(apart.items()):
        lines += head(metric.name + ending, "gauge") + more
    return "".join(lines)


def _line(sample: Sample, escaping: str) -> str:
    labels = [
        f'{label_name(key, escaping)}="{escape_text(value)}"'
        for key, value in sorted(sample.labels.items())
    ]
    name = metric_name(sample.name, escaping)
    if escaping == ALLOWUTF8 and not is_plain_metric_name(sample.name):
        labels.insert(0, name)
        name = ""
    if labels:
        name += "{" + ",".join(labels) + "}"
    timestamp = ""
    if sample.timestamp is not None:
        timestamp = f" {int(float(sample.timestamp) * 1000)}"
    return f"{name} {go_float(sample.value)}{timestamp}\n"


def choose_encoder(accept_header: str | None) -> tuple[Callable[[Any], bytes], str]:
    """What makes the text that a request asks for, and its content type."""
    for accepted in (accept_header or "").split(","):
        media, *parts = accepted.split(";")
        pairs = [part.strip().split("=", 1) for part in parts if "=" in part]
        parameters = {pair[0]: pair[1] for pair in reversed(pairs)}
        version = parameters.get("version", "")
        escaping = parameters.get("escaping", UNDERSCORES)
        escaping = escaping if escaping in ESCAPINGS else UNDERSCORES
        if media.strip() == "application/openmetrics-text":
            if not version:
                encoder = partial(openmetrics.generate_latest, escaping=UNDERSCORES)
                return encoder, openmetrics.CONTENT_TYPE_LATEST
            if _is_new(version):
                content = f"application/openmetrics-text; version={version}; charset=utf-8"
                encoder = partial(openmetrics.generate_latest, escaping=escaping, version=version)
                return encoder, f"{content}; escaping={escaping}"
        elif media.strip() == "text/plain" and version and _is_new(version):
            encoder = partial(generate_latest, escaping=escaping)
            return encoder, f"{CONTENT_TYPE_LATEST}; escaping={escaping}"
    return generate_latest, CONTENT_TYPE_PLAIN_0_0_4


def _is_new(version: str) -> bool:
    first = version.split(".", maxsplit=1)[0]
    return first.isdigit() and int(first) >= 1


def write_to_textfile(
    path: str, registry: Any, escaping: str = ALLOWUTF8, tmpdir: str | None = None
) -> None:
    """Write all metrics of a registry to a file, which is replaced as a whole.

    Args:
        path: the file, for the node exporter one that ends in ``.prom``.
        registry: what is written.
        escaping: how names are written.
        tmpdir: where the text is before it is whole; on the same file system.
    """
    name = f"{os.path.basename(path)}.{os.getpid()}.{threading.get_ident()}"
    whole = os.path.join(tmpdir or os.path.dirname(path), name)
    try:
        with open(whole, "wb") as file:
            file.write(generate_latest(registry, escaping))
        os.replace(whole, path)
    except BaseException:
        if os.path.exists(whole):
            os.remove(whole)
        raise

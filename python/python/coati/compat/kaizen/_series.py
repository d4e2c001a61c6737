"""One series of a collector: what it has, and the engine's series behind it."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import coati

__all__ = ["Series", "bounded", "exposed", "key"]

_NAME = re.compile(r"[^a-zA-Z0-9_:]")
#: Of the greatest float.
_BITS = 1023
_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def key(name: str, labels: Mapping[str, Any]) -> str:
    """Name and labels as they stand in Prometheus' text."""
    return name + block(labels)


def block(labels: Mapping[str, Any]) -> str:
    """The labels in braces, sorted; empty for none."""
    if not labels:
        return ""
    pairs = sorted((str(name), value) for name, value in labels.items())
    return "{" + ",".join(f'{_label(n)}="{str(v).translate(_ESCAPES)}"' for n, v in pairs) + "}"


def _label(name: str) -> str:
    name = _LABEL.sub("_", name)
    return "_" + name if not name or name[0].isdigit() else name


def exposed(name: str) -> str:
    """A name that Prometheus takes."""
    name = _NAME.sub("_", name)
    return "_" + name if not name or name[0].isdigit() else name


def bounded(value: Any) -> Any:
    """A number that can be written and reckoned with: integers beyond a float's are infinite."""
    if isinstance(value, int) and value.bit_length() > _BITS:
        return math.inf if value > 0 else -math.inf
    return value


class Series:
    """A counter's sum, a gauge's value, or a histogram's values, the latter a bounded sample.

    Adding to an attribute is one step for other threads: the interpreter looks for other threads
    only where a function is entered or left and where a loop turns.
    """

    __slots__ = ("block", "bound", "count", "labels", "mirror", "name", "samples", "value")

    def __init__(
        self,
        kind: Literal["counter", "gauge", "histogram"],
        name: str,
        labels: Mapping[str, Any],
        bound: int,
    ) -> None:
        self.name = name
        self.labels = dict(labels)
        self.block = block(labels)
        self.value: Any = 0.0
        #: How many measurements were made.
        self.count = 0
        self.samples: list[Any] = []
        self.bound = bound
        self.mirror = _mirror(kind, name, labels)

    def replace(self, count: int, value: Any) -> None:
        """Keep a histogram's value by chance, in the place of another, so that at any time each of
        the ``count`` values there were is kept with the same probability."""
        place = int(random.random() * count)
        if place < self.bound:
            self.samples[place] = value


def _mirror(kind: str, name: str, labels: Mapping[str, Any]) -> Callable[[Any], None]:
    """What records into the engine's metric of that name."""
    texts = {str(label): str(value) for label, value in labels.items()}
    try:
        if kind == "counter":
            return coati.counter(name).bind(**texts).add
        if kind == "gauge":
            return coati.gauge(name).bind(**texts).set
        return coati.histogram(name).bind(**texts).record
    except coati.MetricError:
        # The program has another metric of that name: the collector's own figures are right.
        return _nothing


def _nothing(value: Any) -> None:
    """No metric of the engine."""

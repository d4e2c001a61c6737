"""OpenTelemetry's instruments: its abstract classes over native ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from typing import Any

from opentelemetry import metrics

from coati import _native

__all__ = [
    "Counter",
    "Gauge",
    "Histogram",
    "ObservableCounter",
    "ObservableGauge",
    "ObservableUpDownCounter",
    "UpDownCounter",
]

#: Scope (name, version, schema, copy), name, unit, description and a histogram's bounds.
Described = tuple[tuple[str, str, str, int], str, str, str, tuple[float, ...] | None]

_OPTIONS = metrics.CallbackOptions()


class Counter(_native._OtelCounter, metrics.Counter):
    """A sum that only grows."""

    def __init__(self, *described: Any) -> None:
        """All of it has been read by the native half."""


class UpDownCounter(_native._OtelUpDownCounter, metrics.UpDownCounter):
    """A sum that goes up and down."""

    def __init__(self, *described: Any) -> None:
        """All of it has been read by the native half."""


class Gauge(_native._OtelGauge, metrics._Gauge):
    """The last value set."""

    def __init__(self, *described: Any) -> None:
        """All of it has been read by the native half."""


class Histogram(_native._OtelHistogram, metrics.Histogram):
    """A distribution."""

    def __init__(self, *described: Any) -> None:
        """All of it has been read by the native half."""


class _Asked:
    """A callback as the engine asks it: without arguments, for numbers that are finite."""

    def __init__(self, callback: Any) -> None:
        self._ask: Callable[[metrics.CallbackOptions], Iterable[metrics.Observation]]
        if isinstance(callback, Generator):
            # Up to its first `yield`, which is given the options.
            next(callback, None)
            self._ask = callback.send
        else:
            self._ask = callback

    def __call__(self) -> list[metrics.Observation]:
        try:
            told = self._ask(_OPTIONS)
        except StopIteration:
            return []
        return [one for one in told or () if math.isfinite(one.value)]


class _Observable:
    """What observable instruments have in common."""

    _KIND = 0

    def __init__(self, *described: Any) -> None:
        self._described: Described = described  # type: ignore[assignment]
        #: None until the callbacks of whoever made it first are asked.
        self._asked: list[_Asked] | None = None

    @property
    def name(self) -> str:
        """The name."""
        return self._described[1]

    @property
    def unit(self) -> str:
        """The unit, empty for none."""
        return self._described[2]

    @property
    def description(self) -> str:
        """For people."""
        return self._described[3]

    def _begin(self, callbacks: Iterable[Any] | None) -> None:
        """Have the callbacks asked from now on; those of the first call alone."""
        if self._asked is None:
            self._asked = [_Asked(callback) for callback in callbacks or ()]
            for asked in self._asked:
                _native._otel_observe(self._KIND, self._described, asked)

    def _end(self) -> None:
        """Ask them no more."""
        for asked in self._asked or ():
            _native._otel_forget(asked)
        self._asked = []


class ObservableCounter(_Observable, metrics.ObservableCounter):
    """A sum that callbacks tell."""


class ObservableUpDownCounter(_Observable, metrics.ObservableUpDownCounter):
    """A sum that goes up and down, told by callbacks."""

    _KIND = 1


class ObservableGauge(_Observable, metrics.ObservableGauge):
    """A value that callbacks tell."""

    _KIND = 2

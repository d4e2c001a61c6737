"""Instruments of coati's under the framework's names, and the series of one ``V2Metrics``."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import coati
from coati.compat.langswarm._config import ObservabilityConfig
from coati.compat.langswarm._engine import SAME, ensure, started

#: The label that keeps apart what several ``V2Metrics`` of one process count under equal names.
SCOPE = "langswarm.metrics"


class _Owners:
    """Who was first to use a name since the engine has been started: its series need no label."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(2)
        self._began = 0.0
        self._first: dict[str, int] = {}

    def number(self) -> int:
        """One that no store has had."""
        return next(self._numbers)

    def first(self, name: str, number: int) -> bool:
        """Whether the store of this number is the first to use the name."""
        began = started()
        with self._lock:
            if abs(began - self._began) > SAME:
                self._first.clear()
                self._began = began
            return self._first.setdefault(name, number) == number


_owners = _Owners()
#: The kinds, and what records a value of each.
_RECORDS = {"counter": "add", "gauge": "set", "histogram": "record", "timer": "record"}
#: Series of a kind that are remembered.
_ROOM = 10_000


def key_of(name: str, tags: Mapping[str, Any]) -> str:
    """The framework's key of a series."""
    if not tags:
        return name
    return f"{name}#{','.join(f'{key}={value}' for key, value in sorted(tags.items()))}"


class Store:
    """Instruments by kind and name; each call that records is in a dict of its own."""

    def __init__(self, config: ObservabilityConfig) -> None:
        self.config = config
        self._number = _owners.number()
        #: What the series of a kind and name have besides the program's labels.
        self._scopes: dict[tuple[str, str], dict[str, str]] = {}
        self.instruments: dict[str, dict[str, Any]] = {kind: {} for kind in _RECORDS}
        #: What records a value, by name, labels' names and their values, which are texts.
        self.calls: dict[str, dict[tuple[str, ...], Callable[[Any], None]]] = {
            kind: {} for kind in _RECORDS
        }
        #: What the last export has told of a series.
        self.exported: dict[tuple[str, str], Any] = {}

    def scope(self, kind: str, name: str) -> dict[str, str]:
        """What series of this kind and name have besides the program's labels."""
        found = self._scopes.get((kind, name))
        if found is None:
            instrument = self.get(kind, name)
            first = _owners.first(instrument.name, self._number)
            found = {} if first else {SCOPE: str(self._number)}
            self._scopes[kind, name] = found
        return found

    def reset(self) -> None:
        """Begin anew: series so far stay as they are, and are no longer this one's."""
        self._number = _owners.number()
        self._scopes.clear()
        self.exported.clear()
        self.forget()

    def get(self, kind: str, name: str, **details: Any) -> Any:
        """The instrument of this kind and name, made if need be."""
        found = self.instruments[kind].get(name)
        if found is None:
            ensure(self.config)
            found = self.instruments[kind][name] = self._make(kind, name, details)
        return found

    def _make(self, kind: str, name: str, details: dict[str, Any]) -> Any:
        if kind in {"histogram", "timer"}:
            make = coati.histogram
            details.setdefault("buckets", self.config.metrics.custom_buckets.get(name))
        else:
            make = coati.counter if kind == "counter" else coati.gauge  # type: ignore[assignment]
        if kind == "timer":
            details.setdefault("unit", "ms")
        details = {key: value for key, value in details.items() if value}
        proper = re.sub(r"[^\w.\-/:]", "_", name, flags=re.ASCII)[:200]
        if not re.match(r"[A-Za-z_]", proper):
            proper = "_" + proper
        try:
            return make(proper, **details)
        except coati.MetricError:
            # The framework has a name for each kind; here it is one kind's, or the program's.
            return make(f"{proper}.{kind}", **details)

    def call(
        self, kind: str, name: str, labels: dict[str, str], tags: Mapping[str, Any]
    ) -> Callable[[Any], None]:
        """What records a value in the series with these labels, which the program gave as tags."""
        calls = self.calls[kind]
        known = (name, *labels, *labels.values())
        call = calls.get(known)
        if call is None:
            bound = self.get(kind, name).bind(**labels, **self.scope(kind, name))
            call = getattr(bound, _RECORDS[kind])
            if len(calls) > _ROOM:
                calls.clear()
            calls[known] = call
        if labels.keys() != tags.keys() and all(type(value) is str for value in tags.values()):
            # Under the labels that are left out, too. Only texts are equal to nothing but texts.
            given = (name, *tags, *tags.values())
            calls[given] = call
        return call

    def forget(self) -> None:
        """Find series anew."""
        for calls in self.calls.values():
            calls.clear()

    def read(self, kind: str, name: str, tags: Mapping[str, Any]) -> Any:
        """The value or the figures of a series; None where there is none."""
        instrument, scope = self.instruments[kind].get(name), self._scopes.get((kind, name))
        if instrument is None or scope is None:
            return None
        if kind in {"counter", "gauge"}:
            value = instrument.value(**tags, **scope)
            if value:
                return value
        else:
            stats = instrument.stats(**tags, **scope)
            if stats.count:
                return stats
        # Nothing, or a value of nought.
        found = self.series(kind, name).get(key_of(name, tags))
        if found is None:
            return None
        return found[2].value if found[2].stats is None else found[2].stats

    def series(
        self, kind: str, name: str | None = None
    ) -> dict[str, tuple[str, dict[str, Any], Any]]:
        """Key to name, labels and the engine's metric, of those that this one has recorded."""
        mine = self.instruments[kind]
        wanted = {
            mine[given].name: (given, scope.get(SCOPE))
            for (of, given), scope in list(self._scopes.items())
            if of == kind and name in {None, given} and given in mine
        }
        found = {}
        for metric in coati.metrics.snapshot() if wanted else ():
            given, number = wanted.get(metric.name, ("", None))
            if given:
                labels = dict(metric.labels)
                if labels.pop(SCOPE, None) == number:
                    found[key_of(given, labels)] = (given, labels, metric)
        return found

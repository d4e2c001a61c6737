"""What the adapters of frameworks share: calls that cannot harm a program, and what is open."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from coati import Token, attach, counter, current_span, get_logger
from coati.genai import Operation

#: Operations of one framework that may be open; of more, the oldest are given up.
LIMIT = 10_000
_told: set[tuple[str, type]] = set()


def harmless(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose exceptions stay in it: they are counted, and the first of a kind told."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            _tell(function, error)
            return None

    return call


def _tell(function: Callable[..., Any], error: Exception) -> None:
    try:
        adapter = function.__module__
        kind = (f"{adapter}.{function.__qualname__}", type(error))
        if kind not in _told and len(_told) < LIMIT:
            _told.add(kind)
            get_logger(adapter)._emit(30, "the adapter failed", {"code.function": kind[0]}, error)
        errors = counter("coati.adapter.errors", unit="{error}", description="Errors of adapters")
        errors.add(1, adapter=adapter)
    except Exception:
        return


class Entry:
    """An operation under way, and how its span was made current."""

    __slots__ = ("current", "kind", "operation", "source", "token")

    def __init__(self, operation: Operation, kind: str = "", source: Any = None) -> None:
        self.operation = operation
        self.kind = kind
        self.source = source
        self.token: Token | None = None
        #: Whether its span has been made current.
        self.current = False

    def attach(self) -> None:
        """Make its span current here."""
        self.token = attach(self.operation.span)
        self.current = True

    def detach(self) -> None:
        """Make current what was so before."""
        if self.token is not None:
            self.token.detach()
            self.token = None

    def end(self) -> None:
        """End it."""
        self.detach()
        self.operation.end()

    def give_up(self) -> None:
        """End it where nobody else does, perhaps in another context."""
        self.operation.span.set_attribute("coati.adapter.abandoned", True)
        self.end()


class Hidden(Entry):
    """What has no span of its own: what is inside belongs to the operation around it."""

    __slots__ = ()

    def __init__(self, outer: Entry) -> None:
        super().__init__(outer.operation, outer.kind, outer.source)
        self.current = outer.current

    def end(self) -> None:
        """Nothing ends."""

    def give_up(self) -> None:
        """Nothing ends."""


class Open:
    """Operations under way by the framework's ids. Bounded: what never ends is ended in the end."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._entries: dict[Any, Entry] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, key: Any) -> Entry | None:
        return self._entries.get(key)

    def __setitem__(self, key: Any, entry: Entry) -> None:
        if len(self._entries) >= self._limit:
            self._give_up_oldest()
        self._entries[key] = entry

    def _give_up_oldest(self) -> None:
        try:
            key = next(iter(self._entries))
        # Another thread has changed it meanwhile: the next call will do.
        except (RuntimeError, StopIteration):
            return
        entry = self.pop(key)
        if entry is not None:
            entry.give_up()

    def pop(self, key: Any) -> Entry | None:
        """The operation, which is no longer under way."""
        return self._entries.pop(key, None)

    def clear(self) -> None:
        """End all that is under way."""
        while self._entries:
            self._give_up_oldest()


def around(entry: Entry | None, current: bool = True) -> dict[str, Any]:
    """Where a new operation belongs that the framework has put into ``entry``.

    A span of the program's own inside that is nearer, so that what is current in the same trace
    comes first; ``current`` says whether it may.
    """
    if entry is None:
        return {}
    operation = entry.operation
    if current and entry.current:
        here = current_span()
        if here is not operation.span and here.trace_id == operation.span.trace_id:
            return {"parent": here, "within": operation}
    return {"parent": operation}


def scalars(prefix: str, values: Any) -> dict[str, Any]:
    """Those of a mapping's values that can stand in attributes as they are."""
    if not isinstance(values, dict):
        return {}
    kinds = (str, bool, int, float)
    return {f"{prefix}{key}": value for key, value in values.items() if isinstance(value, kinds)}

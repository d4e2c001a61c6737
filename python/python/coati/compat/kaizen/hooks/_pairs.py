"""Which POST event belongs to which PRE event, and what runs inside what."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from itertools import count
from threading import get_ident
from typing import Any, TypeVar

from coati.compat.kaizen.hooks.types import HookContext, HookEvent

__all__ = ["Operation", "Pairs"]

#: What frameworks call the id of a call.
_IDS = ("tool_call_id", "call_id", "invocation_id", "operation_id", "request_id")
#: What tells operations of one kind apart.
_NAMES = ("tool_name", "specialist_name", "model")
#: Open operations; an older one is given up.
_LIMIT = 10_000
_numbers = count()
_KINDS = sorted({event.value.partition("_")[2] for event in HookEvent})
_K = TypeVar("_K")


class Operation:
    """What has begun and not ended."""

    __slots__ = (
        *("agent", "call", "kind", "loop", "name", "number", "open"),
        *("outer", "pairs", "start", "thread", "trace", "what"),
    )

    def __init__(self, pairs: Pairs, context: HookContext, what: Any) -> None:
        self.pairs = pairs
        self.agent = context.agent_id
        self.kind = kind_of(context)
        self.name = _first(context, _NAMES)
        self.call = _first(context, _IDS)
        self.trace = context.trace_id
        self.start = context.timestamp
        self.what = what
        self.number = next(_numbers)
        self.open = True
        self.thread = get_ident()
        self.loop = _loop()
        #: What it began inside of.
        self.outer: Operation | None = None


#: The innermost operation that this task, or the one that started it, began.
_current: ContextVar[Operation | None] = ContextVar("coati.compat.kaizen", default=None)


def kind_of(context: HookContext) -> str:
    """The event without its ``pre_`` or ``post_``."""
    return str(context.event_type.value).removeprefix("pre_").removeprefix("post_")


def _first(context: HookContext, names: tuple[str, ...]) -> Any:
    for place in (context.data, context.metadata):
        for name in names if place and isinstance(place, dict) else ():
            if place.get(name) is not None:
                return place[name]
    return None


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Pairs:
    """Open operations of a hook.

    A POST event ends the operation of the same agent and kind, and name where both have one, that
    has its call id; else one with its trace id; else one that this task began; else one of this
    thread; else the latest.
    """

    def __init__(self) -> None:
        #: By number, oldest first.
        self._open: dict[int, Operation] = {}
        self._kinds: dict[tuple[str, str], list[Operation]] = {}
        self._traces: dict[str, list[Operation]] = {}

    def begin(self, context: HookContext, what: Any) -> Operation | None:
        """Remember an operation; returns one that was given up for it."""
        operation = Operation(self, context, what)
        operation.outer = _nearest(None)
        self._open[operation.number] = operation
        _add(self._kinds, (operation.agent, operation.kind), operation)
        if operation.trace:
            _add(self._traces, operation.trace, operation)
        _current.set(operation)
        return self._give_up() if len(self._open) > _LIMIT else None

    def inside(self, context: HookContext) -> Operation | None:
        """What a new event happens inside of: the latest of its trace, else of this task, else of
        its agent and thread, if that began in a loop which has ended: who calls hooks from code
        that is not asynchronous runs a loop for each."""
        same = list(self._traces.get(context.trace_id or "", ()))
        if same:
            return same[-1]
        mine = _nearest(self)
        if mine is not None:
            return mine
        thread = get_ident()
        bridged = [
            one
            for kind in _KINDS
            for one in list(self._kinds.get((context.agent_id, kind), ()))
            if one.thread == thread and one.loop is not None and one.loop.is_closed()
        ]
        return max(bridged, key=lambda one: one.number, default=None)

    def end(self, context: HookContext) -> Operation | None:
        """The operation that ends, which is forgotten."""
        while True:
            found = self._match(context)
            # Another thread may be ending it.
            if found is None or self._close(found):
                return found

    def clear(self) -> None:
        """Forget all."""
        for one in list(self._open.values()):
            self._close(one)

    def _close(self, operation: Operation) -> bool:
        if self._open.pop(operation.number, None) is None:
            return False
        operation.open = False
        # Past those that have ended: in a long chain each would keep the one before.
        operation.outer = _open(operation.outer)
        if _current.get() is operation:
            _current.set(operation.outer)
        _remove(self._kinds, (operation.agent, operation.kind), operation)
        _remove(self._traces, operation.trace or "", operation)
        return True

    def _give_up(self) -> Operation | None:
        while True:
            try:
                oldest = next(iter(self._open.values()), None)
            except RuntimeError:
                # Another thread has changed it.
                continue
            if oldest is None or self._close(oldest):
                return oldest

    def _match(self, context: HookContext) -> Operation | None:
        ones = self._kinds.get((context.agent_id, kind_of(context)), [])
        name, call = _first(context, _NAMES), _first(context, _IDS)
        mine = self._mine()
        thread = get_ident()
        best: tuple[tuple[bool, ...], Operation] | None = None
        for one in reversed(list(ones)):
            if not one.open:
                continue
            if name is not None and one.name is not None and name != one.name:
                continue
            if call is not None and one.call is not None and call != one.call:
                continue
            score = (
                call is not None and call == one.call,
                context.trace_id is not None and context.trace_id == one.trace,
                one in mine,
                one.thread == thread,
            )
            if best is None or score > best[0]:
                best = score, one
        return best[1] if best else None

    def _mine(self) -> list[Operation]:
        found = []
        one = _current.get()
        while one is not None:
            if one.pairs is self and one.open:
                found.append(one)
            one = one.outer
        return found


def _add(places: dict[_K, list[Operation]], key: _K, operation: Operation) -> None:
    while True:
        ones = places.setdefault(key, [])
        ones.append(operation)
        # Another thread may have found the list empty and taken it away.
        if places.get(key) is ones:
            return


def _remove(places: dict[_K, list[Operation]], key: _K, operation: Operation) -> None:
    ones = places.get(key, [])
    while operation in ones:
        ones.remove(operation)
    if not ones:
        # What another thread has added meanwhile is put back.
        for one in places.pop(key, ()):
            _add(places, key, one)


def _nearest(pairs: Pairs | None) -> Operation | None:
    """The innermost open operation of this task, of all pairs or of these."""
    return _open(_current.get(), pairs)


def _open(one: Operation | None, pairs: Pairs | None = None) -> Operation | None:
    """The first open operation (of these pairs) from this one outwards."""
    while one is not None and not (one.open and pairs in {None, one.pairs}):
        one = one.outer
    return one

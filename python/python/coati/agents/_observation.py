"""What is to be observed, before it is called."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from coati import get_logger
from coati.agents._configuration import Names, failed
from coati.agents._run import Run, innermost
from coati.agents._wrap import wrap
from coati.genai import Operation

_F = TypeVar("_F", bound=Callable[..., Any])
#: A century in ns: what ends later has no time.
_LONGEST = 100 * 365 * 86_400 * 10**9
#: Makes the operation of one call: its name, start and attributes.
Begin = Callable[[str, "int | None", dict[str, Any]], Operation]


class Observation:
    """A component with what is known of its calls: made by ``coati.agents.tool(...)`` and others.

    In a ``with`` or ``async with`` statement, or as a decorator of a function, coroutine function,
    generator or asynchronous generator, each call is a :class:`Run` of its own, however many
    overlap. ``start`` begins a call that ``Run.end`` ends.
    """

    __slots__ = ("_attributes", "_begin", "_fields", "_last", "kind", "log", "metrics", "name")

    def __init__(
        self,
        kind: str,
        name: str | None,
        begin: Begin,
        attributes: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        metrics: tuple[Names, ...] = (),
    ) -> None:
        #: ``agent``, ``tool`` and so on.
        self.kind = kind
        #: What is called; a decorator takes the function's name where there is none.
        self.name = name
        #: Tells of its calls; ``logs.disabled`` switches them off by its name.
        self.log = get_logger(f"coati.agents.{kind}")
        self.metrics = metrics
        self._begin = begin
        self._attributes = {key: value for key, value in attributes.items() if value is not None}
        self._fields = {key: value for key, value in (fields or {}).items() if value is not None}
        self._last: Run | None = None

    def message(self, name: str) -> str:
        """The message of the line that tells of a call."""
        return f"{self.kind} {name}"

    def start(self, *, start_time: int | None = None) -> Run:
        """Begin a call, now or at ``start_time`` in ns since the epoch. Nothing becomes current."""
        name = self.name or self.kind
        attributes = dict(self._attributes)
        operation = None
        try:
            if self.log.is_enabled("critical"):
                operation = self._begin(name, start_time, attributes)
        except Exception as error:
            failed(f"the start of {self.kind}", error)
        return Run(self, name, operation, attributes, self._fields)

    def record(
        self,
        duration: float,
        *,
        start_time: int | None = None,
        error: BaseException | str | None = None,
        **answer: Any,
    ) -> None:
        """Record a call that is over.

        Args:
            duration: how long it took, in seconds.
            start_time: ns since the epoch when it began; unless given it has just ended.
            error: what it failed with.
            answer: what ``Run.response`` takes.
        """
        try:
            took = min(max(int(duration * 1e9), 0), _LONGEST)
        except Exception as wrong:  # Such as NaN.
            failed(f"the duration of {self.kind}", wrong)
            took = 0
        begun = max(time.time_ns() - took, 0) if start_time is None else start_time
        run = self.start(start_time=begun)
        if answer:
            run.response(**answer)
        if error is not None:
            run.fail(error)
        run.end(begun + took, seconds=duration)

    def __call__(self, function: _F, /) -> _F:
        """Observe each call of a function."""
        if self.name is None:
            self.name = getattr(function, "__name__", self.kind)
        return wrap(self, function)

    def __enter__(self) -> Run:
        run = self.start()
        current = run.current()
        current.__enter__()
        run._entered.append(current)  # type: ignore[arg-type]
        self._last = run
        return run

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        run = self._leaving()
        if run is None:
            return
        if error is not None:
            run.fail(error)
        run.end()
        run._entered.pop().__exit__()
        run._outer = None

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def _leaving(self) -> Run | None:
        """The innermost call of this one that was entered in this task or thread, else the last."""
        run = innermost()
        while run is not None and not (run._observation is self and run._entered):
            run = run._outer
        last = self._last
        return run or (last if last is not None and last._entered else None)

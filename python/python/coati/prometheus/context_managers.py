"""Counters, gauges and timers around a block or a function."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from timeit import default_timer
from types import TracebackType
from typing import Any, Literal, TypeVar

__all__ = ["ExceptionCounter", "InprogressTracker", "Timer"]

_F = TypeVar("_F", bound=Callable[..., Any])


def _around(function: _F, enter: Callable[[], AbstractContextManager[Any]]) -> _F:
    """``function`` inside of what ``enter`` makes; of a coroutine function, while it runs."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            with enter():
                return await function(*args, **kwargs)

        return _signed(wrapped, function)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with enter():
            return function(*args, **kwargs)

    return _signed(called, function)


def _signed(wrapper: Any, function: _F) -> _F:
    # Some look for the arguments of a function without looking behind a decorator.
    with contextlib.suppress(ValueError, TypeError):
        wrapper.__signature__ = inspect.signature(function)
    return wrapper  # type: ignore[no-any-return]


class ExceptionCounter:
    """Counts the exceptions that leave a block or a function."""

    def __init__(self, counter: Any, exception: Any) -> None:
        self._counter = counter
        self._exception = exception

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        if isinstance(value, self._exception):
            self._counter.inc()
        return False

    def __call__(self, f: _F) -> _F:
        return _around(f, lambda: self)


class InprogressTracker:
    """Raises a gauge while a block or a function runs."""

    def __init__(self, gauge: Any) -> None:
        self._gauge = gauge

    def __enter__(self) -> None:
        self._gauge.inc()

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._gauge.dec()

    def __call__(self, f: _F) -> _F:
        return _around(f, lambda: self)


class Timer:
    """Tells a metric how many seconds a block or a function took."""

    def __init__(self, metric: Any, callback_name: str) -> None:
        self._metric = metric
        self._callback_name = callback_name
        self.duration: float | None = None

    def _new_timer(self) -> Timer:
        return type(self)(self._metric, self._callback_name)

    def __enter__(self) -> Timer:
        self._start = default_timer()
        return self

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.duration = max(default_timer() - self._start, 0)
        getattr(self._metric, self._callback_name)(self.duration)

    def labels(self, *args: object, **kw: object) -> None:
        """Set the labels, which may become known inside of the block."""
        self._metric = self._metric.labels(*args, **kw)

    def __call__(self, f: _F) -> _F:
        # A timer for each call: they may be many at once.
        return _around(f, self._new_timer)

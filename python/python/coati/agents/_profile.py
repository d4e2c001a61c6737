"""What a piece of work spends its time on: a profile's summary on a span."""

from __future__ import annotations

import cProfile
import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, cast, overload

from coati import Span, Tracer, get_tracer

_F = TypeVar("_F", bound=Callable[..., Any])
Sort = Literal["cumulative", "tottime", "calls"]

#: From this release on a profiler is told of what all threads do, and there is one for all.
_OF_ALL_THREADS = sys.version_info >= (3, 12)
_COLUMN = {"cumulative": 3, "tottime": 2, "calls": 1}
_OTHER = "another profiler is active"
#: Profilers that could not be stopped: one that goes away stops whatever profiles its thread.
_left: list[cProfile.Profile] = []


class Profile:
    """A profile under way, in a ``with`` or ``async with`` statement, or of each call of a function
    that it decorates; made by ``coati.agents.profile``.
    """

    __slots__ = ("_most", "_name", "_sort", "_top", "_tracer", "_works")

    def __init__(self, name: str | None, top: int, sort: Sort, most: int, tracer: Tracer) -> None:
        if sort not in _COLUMN:
            raise ValueError(f"sort must be one of {', '.join(_COLUMN)}, not {sort!r}")
        if top < 1 or most < 100:
            raise ValueError("top must be at least 1, max_bytes at least 100")
        self._name = name
        self._top = top
        self._sort: Sort = sort
        self._most = most
        self._tracer = tracer
        self._works: list[_Work] = []

    def __call__(self, function: _F, /) -> _F:
        """Profile each call of a function or coroutine function."""
        name = self._name or f"{function.__module__}.{function.__qualname__}"

        def again() -> Profile:
            return Profile(name, self._top, self._sort, self._most, self._tracer)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def profiled_coroutine(*args: Any, **kwargs: Any) -> Any:
                async with again():
                    return await function(*args, **kwargs)

            return cast("_F", profiled_coroutine)

        @functools.wraps(function)
        def profiled(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return cast("_F", profiled)

    def __enter__(self) -> Span:
        return self._begin(False)

    def __exit__(self, *exc_info: Any) -> None:
        self._works.pop().end(*exc_info)

    async def __aenter__(self) -> Span:
        return self._begin(True)

    async def __aexit__(self, *exc_info: Any) -> None:
        self._works.pop().end(*exc_info)

    def _begin(self, asynchronous: bool) -> Span:
        span = self._tracer.start_span(self._name or "profile")
        work = _Work(self, span, asynchronous)
        self._works.append(work)
        # What comes after is the program's; this is the last of ours that runs.
        span.__enter__()
        work.start()
        return span


class _Work:
    """One statement."""

    def __init__(self, profile: Profile, span: Span, asynchronous: bool) -> None:
        self._profile = profile
        self._span = span
        self._asynchronous = asynchronous
        self._thread = threading.get_ident()
        self._profiler: cProfile.Profile | None = None
        self._why: str | None = None if span.is_recording() else "not sampled"

    def start(self) -> None:
        if self._why is not None:
            return
        if not _OF_ALL_THREADS and sys.getprofile() is not None:
            # It would be pushed aside without a word.
            self._why = _OTHER
            return
        _left.clear()
        profiler = cProfile.Profile()
        try:
            profiler.enable()
        except ValueError:
            self._why = _OTHER
            return
        self._profiler = profiler

    def end(self, *exc_info: Any) -> None:
        profiler = self._profiler
        active: object = sys.getprofile()
        if profiler is not None:
            if not _OF_ALL_THREADS and self._thread != threading.get_ident():
                # To stop it from here would stop whatever profiles this thread.
                self._why = "the statement was left in another thread"
            elif not _OF_ALL_THREADS and active is not profiler:
                self._why = "another profiler has taken over"
            else:
                profiler.disable()
                self._tell(profiler)
        if self._why is not None:
            if profiler is not None:
                _left.append(profiler)
            self._span.set_attribute("coati.profile.skipped", self._why)
        self._span.__exit__(*exc_info)

    def _tell(self, profiler: cProfile.Profile) -> None:
        # Its own methods are no part of the work.
        rows = [row for row in _rows(profiler.getstats()) if "_lsprof.Profiler" not in row[0]]
        column = _COLUMN[self._profile._sort]
        rows.sort(key=lambda row: (-float(row[column]), row[0]))
        shown: list[str] = []
        size = 0
        for where, calls, own, all_ in rows[: self._profile._top]:
            line = f"{all_:.6f} {own:.6f} {calls} {where}"
            size += len(line.encode("utf-8", "replace")) + 1
            if size > self._profile._most:
                break
            shown.append(line)
        covers = "all threads" if _OF_ALL_THREADS else "this thread"
        if self._asynchronous:
            covers += ", other tasks included"
        self._span.add_event(
            "profile",
            {
                "coati.profile.columns": "cumulative_s own_s calls function",
                "coati.profile.functions": shown,
                "coati.profile.sort": self._profile._sort,
                "coati.profile.calls": sum(row[1] for row in rows),
                "coati.profile.own_s": sum(row[2] for row in rows),
                "coati.profile.left_out": len(rows) - len(shown),
                "coati.profile.covers": covers,
            },
        )


def _rows(stats: Iterable[Any]) -> list[tuple[str, int, float, float]]:
    # Without what is called here to begin and end it.
    return [
        (_place(entry.code), entry.callcount, entry.inlinetime, entry.totaltime)
        for entry in stats
        if getattr(entry.code, "co_filename", None) != __file__
    ]


def _place(code: Any) -> str:
    if isinstance(code, str):
        return code
    name = getattr(code, "co_qualname", code.co_name)
    parts = code.co_filename.rsplit(os.sep, 2)[-2:]
    return f"{'/'.join(parts)}:{code.co_firstlineno}({name})"


@overload
def profile(
    name: str | None = None,
    /,
    *,
    top: int = 20,
    sort: Sort = "cumulative",
    max_bytes: int = 8192,
    tracer: str = "coati.agents.profile",
) -> Profile: ...
@overload
def profile(function: _F, /) -> _F: ...
def profile(
    name: Any = None,
    /,
    *,
    top: int = 20,
    sort: Sort = "cumulative",
    max_bytes: int = 8192,
    tracer: str = "coati.agents.profile",
) -> Any:
    """Profile a ``with`` or ``async with`` statement, or each call of a decorated function.

    A span is around it, with an event ``profile`` that tells the functions that took most, by the
    standard library's ``cProfile``. Costs a multiple of the calls it counts: for looking into, not
    for always. Where a profiler is active already, as inside another ``profile``, the work goes on
    with a span that says so in ``coati.profile.skipped``; so do spans that are not sampled.

    Python before 3.12 profiles the thread of the statement, later releases profile all threads,
    and one statement at a time. In an ``async with`` statement everything is counted that runs in
    the thread meanwhile, other tasks included. The event says which in ``coati.profile.covers``.

    Args:
        name: the span's name; a decorator takes ``module.qualname`` where there is none.
        top: how many functions at most.
        sort: ``cumulative`` time, ``tottime`` (without calls inside), or ``calls``.
        max_bytes: size of their lines at most.
        tracer: the tracer's name.

    Raises:
        ValueError: there is no such ``sort``, or a limit is too low.
    """
    if callable(name):
        return Profile(None, top, sort, max_bytes, get_tracer(tracer))(name)
    return Profile(name, top, sort, max_bytes, get_tracer(tracer))

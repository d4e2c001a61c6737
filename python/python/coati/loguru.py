"""loguru through coati: a sink, a patcher, and one call for both."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import Any

from loguru import logger

from coati import current_span, get_logger

__all__ = ["install", "patcher", "sink", "uninstall"]

_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_IDS = ("trace_id", "span_id")
_LOGGER: Any = type(logger)
_ADD, _REMOVE = _LOGGER.add, _LOGGER.remove
#: The level of a sink that gets nothing.
_NOTHING = sys.maxsize


class _Installed:
    """What is in force."""

    def __init__(self, handler: int, level: str | int, keep: bool, beside: bool) -> None:
        self.handler = handler
        self.level = level
        self.keep = keep
        self.beside = beside


_installed: _Installed | None = None


def sink(message: Any) -> None:
    """Record a message: ``logger.add(coati.loguru.sink, format="{message}")``.

    What is bound or given as a field becomes a field of the line; a level besides the standard ones
    counts as the one below it, its name is kept as ``level_name``.
    """
    record = message.record
    fields = dict(record["extra"])
    for name in _IDS:
        # From the patcher: every line inside a span has them anyway.
        fields.pop(name, None)
    number, level = record["level"].no, record["level"].name
    if _LEVELS.get(number) != level:
        fields["level_name"] = level
    caught = record["exception"]
    get_logger(record["name"] or "loguru")._emit(
        number,
        record["message"],
        fields,
        caught.value if caught else None,
        (record["file"].path, record["line"]),
    )


def patcher(record: Any) -> None:
    """Give other sinks the ids of the current span: ``logger.configure(patcher=...)``."""
    span = current_span()
    if span.is_recording() or span.trace_id.strip("0"):
        record["extra"].setdefault("trace_id", span.trace_id)
        record["extra"].setdefault("span_id", span.span_id)


def install(level: str | int = 0, *, keep: bool = False, beside: bool = False) -> int:
    """Make loguru's ``logger`` record through coati.

    Args:
        level: lowest level recorded, by name or number.
        keep: whether the sinks that were added before stay.
        beside: whether the program is to notice nothing: its sinks stay and are given no ids,
            coati's outlasts a ``logger.remove()`` of all, and what is below the levels of all of
            the program's sinks is not recorded: loguru looks at no argument of such calls.

    Returns:
        The sink's id, as ``logger.add`` gives it.

    Raises:
        ValueError: there is no such level.
    """
    global _installed  # noqa: PLW0603 - a program has one `logger`
    keep = keep or beside
    added = _add(level)
    if not keep:
        # Its own sinks cannot be listed, only removed all at once.
        _REMOVE(logger)
        added = _add(level)
    elif _installed is not None:
        with contextlib.suppress(ValueError):
            _REMOVE(logger, _installed.handler)
    _installed = _Installed(added, level, keep, beside)
    if beside:
        _LOGGER.add, _LOGGER.remove = _add_theirs, _remove
        _adjust()
    else:
        _LOGGER.add, _LOGGER.remove = _ADD, _REMOVE
        logger.configure(patcher=patcher)
    return added


def uninstall() -> None:
    """Take the sink and the patcher away.

    Where the program's own sinks were not kept, loguru writes to standard error again, as it
    begins.
    """
    global _installed  # noqa: PLW0603
    if _installed is None:
        return
    _LOGGER.add, _LOGGER.remove = _ADD, _REMOVE
    if _installed.keep:
        with contextlib.suppress(ValueError):
            _REMOVE(logger, _installed.handler)
    else:
        _REMOVE(logger)
        logger.add(sys.stderr)
    if not _installed.beside:
        logger.configure(patcher=lambda record: None)
    _installed = None


def _add(level: str | int) -> int:
    added: int = _ADD(logger, sink, level=level, format="{message}", colorize=False, diagnose=False)
    return added


def _adjust() -> None:
    """Keep the sink at the lowest level of the program's."""
    installed = _installed
    if installed is None or not installed.beside:
        return
    core: Any = logger._core  # type: ignore[attr-defined]
    level = installed.level
    own = logger.level(level).no if isinstance(level, str) else level
    with core.lock:
        handlers = dict(core.handlers)
        ours = handlers.pop(installed.handler, None)
        if ours is None:
            return
        lowest = min((handler.levelno for handler in handlers.values()), default=_NOTHING)
        ours._levelno = max(own, lowest)
        core.min_level = min(ours.levelno, lowest)


@functools.wraps(_ADD)
def _add_theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return _ADD(self, *args, **kwargs)
    finally:
        _adjust()


@functools.wraps(_REMOVE)
def _remove(self: Any, handler_id: int | None = None) -> None:
    try:
        _REMOVE(self, handler_id)
    finally:
        if _installed is not None and _installed.beside:
            if handler_id is None:
                with contextlib.suppress(ValueError):
                    # Still there where a sink of the program's could not be stopped.
                    _REMOVE(self, _installed.handler)
                _installed.handler = _add(_NOTHING)
            _adjust()

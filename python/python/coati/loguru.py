"""loguru through coati: a sink, a patcher, and one call for both."""

from __future__ import annotations

import sys
from typing import Any

from loguru import logger

from coati import current_span, get_logger

__all__ = ["install", "patcher", "sink", "uninstall"]

_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_IDS = ("trace_id", "span_id")
_handler: int | None = None


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


def install(level: str | int = 0, *, keep: bool = False) -> int:
    """Make loguru's ``logger`` record through coati.

    Args:
        level: lowest level recorded, by name or number.
        keep: whether the sinks that were added before stay.

    Returns:
        The sink's id, as ``logger.add`` gives it.

    Raises:
        ValueError: there is no such level.
    """
    global _handler  # noqa: PLW0603 - a program has one `logger`
    added = logger.add(sink, level=level, format="{message}", colorize=False, diagnose=False)
    if not keep:
        # Its own sinks cannot be listed, only removed all at once.
        logger.remove()
        added = logger.add(sink, level=level, format="{message}", colorize=False, diagnose=False)
    elif _handler is not None:
        logger.remove(_handler)
    logger.configure(patcher=patcher)
    _handler = added
    return added


def uninstall() -> None:
    """Take the sink and the patcher away; loguru writes to standard error again, as it begins."""
    global _handler  # noqa: PLW0603
    if _handler is None:
        return
    logger.remove()
    logger.add(sys.stderr)
    logger.configure(patcher=lambda record: None)
    _handler = None

"""A log line as JSON, and who gets it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from json.encoder import encode_basestring_ascii
from time import time_ns
from typing import TYPE_CHECKING, Any

from coati.compat.kaizen._plain import encode

__all__ = ["NO_IDS", "LineHandler", "hand_over", "make_line", "now"]

_Ids = tuple[str | None, str | None, str | None]
NO_IDS: _Ids = (None, None, None)
_NULLS = ("null", "null", "null")
_METHODS: dict[str, Any] = {
    level: getattr(logging.Logger, level.lower())
    for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
}
if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[Any]
else:
    # It takes no parameter before 3.11.
    _StreamHandler = logging.StreamHandler
_CALL_HANDLERS: Any = logging.Logger.callHandlers


def make_line(when: str, level: str, message: str, context: Mapping[str, Any], ids: _Ids) -> str:
    """The line: the framework's keys in their order."""
    agent, trace, span = _NULLS if ids is NO_IDS else map(encode, ids)
    text = encode_basestring_ascii(message) if type(message) is str else encode(message)
    return (
        f'{{"timestamp": "{when}", "level": "{level}", "message": {text}, '
        f'"context": {encode(context)}, '
        f'"agent_id": {agent}, "trace_id": {trace}, "span_id": {span}}}'
    )


def now() -> str:
    """The time as ``datetime.isoformat`` writes it, always with microseconds."""
    global _second  # noqa: PLW0603 - a tuple that is replaced as a whole
    seconds, rest = divmod(time_ns(), 1_000_000_000)
    known, text = _second
    if known != seconds:
        text = datetime.fromtimestamp(seconds, timezone.utc).isoformat()[:19]
        _second = seconds, text
    return f"{text}.{rest // 1000:06d}+00:00"


_second = (0, "")


class LineHandler(_StreamHandler):
    """Writes lines to the standard error, put where the program has no handler."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))

    @classmethod
    def only(cls, logger: logging.Logger, level: str, number: int) -> LineHandler | None:
        """The handler of this kind, if no one else sees what the logger gets at this level."""
        handlers = logger.handlers
        if len(handlers) != 1 or type(handlers[0]) is not cls:
            return None
        one = handlers[0]
        if logger.filters or one.filters or one.level > number:
            return None
        if getattr(getattr(logger, level.lower()), "__func__", None) is not _METHODS[level]:
            # The program watches it.
            return None
        above: logging.Logger | None = logger
        while above is not None and above.propagate:
            above = above.parent
            if above is not None and above.handlers:
                return None
        return one

    def write(self, line: str) -> None:
        """Write a line without a record around it."""
        self.acquire()
        try:
            self.stream.write(line + self.terminator)
            self.flush()
        except Exception:
            self.handleError(logging.makeLogRecord({"msg": line}))
        finally:
            self.release()


def hand_over(logger: logging.Logger, level: str, number: int, line: str) -> None:
    """Give the line to whoever listens to the logger, but not to coati, which has the call."""
    swapped = sys.modules.get("coati.logging")
    if swapped is None or not swapped.is_installed():
        getattr(logger, level.lower())(line)
        return
    record = logger.makeRecord(logger.name, number, "", 0, line, (), None)
    passed = logger.filter(record)
    if passed:
        # Releases since 3.12 may give another record.
        _CALL_HANDLERS(logger, passed if isinstance(passed, logging.LogRecord) else record)

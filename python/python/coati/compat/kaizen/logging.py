"""Loggers that write a line of JSON with the context they keep."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import coati
from coati.compat.kaizen._lines import NO_IDS, LineHandler, hand_over, make_line, now
from coati.compat.kaizen._plain import key_of
from coati.compat.kaizen.types import LogEntry, LogLevel

__all__ = ["LoggingManager", "StructuredLogger", "write_lines"]

logger = logging.getLogger("kaizen.core.autonomy.observability.logging")

_NUMBERS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_lines = True


def write_lines(on: bool) -> None:
    """Whether lines go to the standard error, too, while the engine runs and the program has no
    handler of its own for them. They do unless this says otherwise; without them, recording costs
    a tenth.
    """
    global _lines  # noqa: PLW0603 - as the engine, there is one
    _lines = on


class StructuredLogger:
    """A logger that keeps context, and records through coati.

    Each call also writes a line of JSON to what listens to ``logging.getLogger(name)``: to the
    standard error where the program has put nothing there (see :func:`write_lines`). Below the
    logger's level nothing is made.
    """

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)
        self.context: dict[str, Any] = {}
        self._name = name
        self._coati = coati.get_logger(name)
        self._records: dict[str, Callable[..., None]] = {
            level: getattr(self._coati, level.lower()) for level in _NUMBERS
        }
        if not self.logger.handlers:
            self.logger.addHandler(LineHandler())
            self.logger.setLevel(logging.INFO)

    def add_context(self, **kwargs: Any) -> None:
        """Add to what all lines from now on carry."""
        self.context.update(kwargs)

    def clear_context(self) -> None:
        """Forget the context."""
        self.context.clear()

    def get_context(self) -> dict[str, Any]:
        """A copy of the context."""
        return self.context.copy()

    def debug(self, message: str, **extra: Any) -> None:
        """Log at level debug."""
        if self.logger.isEnabledFor(10):
            self._log("DEBUG", message, extra)

    def info(self, message: str, **extra: Any) -> None:
        """Log at level info."""
        if self.logger.isEnabledFor(20):
            self._log("INFO", message, extra)

    def warning(self, message: str, **extra: Any) -> None:
        """Log at level warning."""
        if self.logger.isEnabledFor(30):
            self._log("WARNING", message, extra)

    def error(self, message: str, **extra: Any) -> None:
        """Log at level error."""
        if self.logger.isEnabledFor(40):
            self._log("ERROR", message, extra)

    def critical(self, message: str, **extra: Any) -> None:
        """Log at level critical."""
        if self.logger.isEnabledFor(50):
            self._log("CRITICAL", message, extra)

    def _log(self, level: str, message: str, extra: dict[str, Any]) -> None:
        own = self.context
        context = {**own, **extra} if own else extra
        # Before `init`, coati itself writes warnings to the standard error.
        running = self._coati.is_enabled("critical")
        if running:
            self._records[level](message, **context)
        handler = LineHandler.only(self.logger, level, _NUMBERS[level])
        if handler and running and not _lines:
            return
        ids = (own.get("agent_id"), own.get("trace_id"), own.get("span_id")) if own else NO_IDS
        line = make_line(now(), level, message, context, ids)
        if handler:
            handler.write(line)
        else:
            hand_over(self.logger, level, _NUMBERS[level], line)

    def log_entry(self, entry: LogEntry) -> None:
        """Log an entry made elsewhere."""
        number = _NUMBERS[entry.level]
        if not self.logger.isEnabledFor(number):
            return
        ids = (entry.agent_id, entry.trace_id, entry.span_id)
        if self._coati.is_enabled("critical"):
            named = zip(("agent_id", "trace_id", "span_id"), ids, strict=True)
            fields = {name: one for name, one in named if one is not None}
            context = {key_of(key): value for key, value in entry.context.items()}
            self._records[entry.level](entry.message, **{**context, **fields})
        line = make_line(
            entry.timestamp.isoformat(), entry.level, entry.message, entry.context, ids
        )
        hand_over(self.logger, entry.level, number, line)


class LoggingManager:
    """The loggers of a program, by name."""

    def __init__(self) -> None:
        self._loggers: dict[str, StructuredLogger] = {}

    def get_logger(self, name: str) -> StructuredLogger:
        """The logger of this name, the same one each time."""
        found = self._loggers.get(name)
        return found or self._loggers.setdefault(name, StructuredLogger(name))

    def get_all_loggers(self) -> dict[str, StructuredLogger]:
        """All loggers by name, in a dict of its own."""
        return self._loggers.copy()

    def clear_all_context(self) -> None:
        """Make all loggers forget their context."""
        for one in list(self._loggers.values()):
            one.clear_context()
        logger.info("Context cleared for %d loggers", len(self._loggers))

    def set_log_level(self, level: LogLevel) -> None:
        """Set the level of all loggers there are."""
        number = getattr(logging, level)
        for one in list(self._loggers.values()):
            one.logger.setLevel(number)
        logger.info("Log level set to %s for %d loggers", level, len(self._loggers))

    def get_logger_count(self) -> int:
        """How many loggers there are."""
        return len(self._loggers)

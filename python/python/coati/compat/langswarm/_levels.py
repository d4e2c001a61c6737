"""Levels, kinds and statuses, with what the engine calls them."""

from __future__ import annotations

from enum import Enum
from typing import Any

_RANKS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class LogLevel(Enum):
    """How severe a log line is."""

    #: As the standard library numbers it.
    rank: int

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    def __init__(self, value: str) -> None:
        self.rank = _RANKS[value]


class MetricType(Enum):
    """What a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    TIMER = "timer"


class SpanStatus(Enum):
    """How a span ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


_LEVELS = {level.value: level for level in LogLevel} | {
    "warn": LogLevel.WARNING,
    "fatal": LogLevel.CRITICAL,
    "exception": LogLevel.ERROR,
}
_STATUSES = {status.value: status for status in SpanStatus} | {
    "success": SpanStatus.OK,
    "unset": SpanStatus.OK,
    "failed": SpanStatus.ERROR,
    "failure": SpanStatus.ERROR,
    "timed_out": SpanStatus.TIMEOUT,
    "canceled": SpanStatus.CANCELLED,
}


def level_of(value: Any) -> LogLevel:
    """The level that ``value`` means: one of ours, of another enumeration, or its name."""
    if isinstance(value, LogLevel):
        return value
    return _LEVELS.get(str(getattr(value, "value", value)).lower(), LogLevel.INFO)


def status_of(value: Any) -> SpanStatus:
    """The status that ``value`` means: one of ours, of another enumeration, or its name."""
    if isinstance(value, SpanStatus):
        return value
    text = getattr(value, "value", None)
    if not isinstance(text, str):
        text = str(getattr(value, "name", value))
    return _STATUSES.get(text.lower(), SpanStatus.ERROR)

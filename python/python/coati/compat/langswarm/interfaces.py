"""What the other modules are built from: levels, records, the configuration, and the interfaces."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from coati.compat.langswarm._config import ObservabilityConfig
from coati.compat.langswarm._errors import (
    ConfigurationError,
    IntegrationError,
    LoggingError,
    MetricsError,
    ObservabilityError,
    TracingError,
)
from coati.compat.langswarm._levels import LogLevel, MetricType, SpanStatus

__all__ = [
    "ConfigurationError",
    "ILogger",
    "IMetrics",
    "IObservabilityProvider",
    "ITracer",
    "IntegrationError",
    "LogEvent",
    "LogLevel",
    "LoggingError",
    "MetricPoint",
    "MetricType",
    "MetricsError",
    "ObservabilityConfig",
    "ObservabilityError",
    "SpanStatus",
    "TraceSpan",
    "TracingError",
]


def utc(nanoseconds: int | None = None) -> datetime:
    """A moment in UTC without a zone, as the framework has it; now unless given."""
    if nanoseconds is None:
        return datetime.now(timezone.utc).replace(tzinfo=None)
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, timezone.utc)
    return moment.replace(microsecond=nanoseconds // 1000 % 1_000_000, tzinfo=None)


@dataclass
class LogEvent:
    """A log line."""

    timestamp: datetime
    level: LogLevel
    message: str
    component: str
    operation: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.timestamp is None:
            self.timestamp = utc()


@dataclass
class TraceSpan:
    """A unit of work."""

    span_id: str
    trace_id: str
    operation_name: str
    start_time: datetime
    end_time: datetime | None = None
    parent_span_id: str | None = None
    status: SpanStatus = SpanStatus.OK
    component: str | None = None
    tags: dict[str, Any] = field(default_factory=dict)
    logs: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.span_id:
            self.span_id = str(uuid.uuid4())
        if not self.trace_id:
            self.trace_id = str(uuid.uuid4())
        if self.start_time is None:
            self.start_time = utc()

    @property
    def duration_ms(self) -> float | None:
        """How long it took, in milliseconds; None while it is open."""
        if self.end_time and self.start_time:
            return (self.end_time - self.start_time).total_seconds() * 1000
        return None


@dataclass
class MetricPoint:
    """A value of a metric."""

    name: str
    value: float
    metric_type: MetricType
    timestamp: datetime
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.timestamp is None:
            self.timestamp = utc()


class ILogger(ABC):
    """Writes log lines."""

    @abstractmethod
    def debug(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level debug."""

    @abstractmethod
    def info(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level info."""

    @abstractmethod
    def warning(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level warning."""

    @abstractmethod
    def error(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level error."""

    @abstractmethod
    def critical(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level critical."""

    @abstractmethod
    def log(
        self, level: LogLevel, message: str, component: str | None = None, **kwargs: Any
    ) -> None:
        """Write a line at ``level``."""


class ITracer(ABC):
    """Makes spans."""

    @abstractmethod
    def start_span(
        self, operation_name: str, parent_span_id: str | None = None, **tags: Any
    ) -> AbstractContextManager[TraceSpan | None]:
        """Start a span."""

    @abstractmethod
    def get_current_span(self) -> TraceSpan | None:
        """The current span."""

    @abstractmethod
    def get_trace_id(self) -> str | None:
        """The id of the current trace."""

    @abstractmethod
    def add_span_tag(self, key: str, value: Any) -> None:
        """Set a tag of the current span."""

    @abstractmethod
    def add_span_log(self, message: str, **kwargs: Any) -> None:
        """Add a log entry to the current span."""


class IMetrics(ABC):
    """Measures."""

    @abstractmethod
    def increment_counter(self, name: str, value: float = 1.0, **tags: Any) -> None:
        """Add to a counter."""

    @abstractmethod
    def set_gauge(self, name: str, value: float, **tags: Any) -> None:
        """Set a gauge."""

    @abstractmethod
    def record_histogram(self, name: str, value: float, **tags: Any) -> None:
        """Record a value."""

    @abstractmethod
    def start_timer(self, name: str, **tags: Any) -> AbstractContextManager[Any]:
        """Time a ``with`` statement."""

    @abstractmethod
    def record_timer(self, name: str, duration_ms: float, **tags: Any) -> None:
        """Record a time."""


class IObservabilityProvider(ABC):
    """Logger, tracer and metrics in one."""

    @property
    @abstractmethod
    def logger(self) -> ILogger:
        """Writes log lines."""

    @property
    @abstractmethod
    def tracer(self) -> ITracer:
        """Makes spans."""

    @property
    @abstractmethod
    def metrics(self) -> IMetrics:
        """Measures."""

    @abstractmethod
    async def start(self) -> None:
        """Begin."""

    @abstractmethod
    async def stop(self) -> None:
        """Flush and end."""

    @abstractmethod
    async def flush(self) -> None:
        """Wait until everything has been written."""

    @abstractmethod
    def configure(self, config: ObservabilityConfig) -> None:
        """Take another configuration."""

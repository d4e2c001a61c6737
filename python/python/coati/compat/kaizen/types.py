"""What is recorded: a measurement, a log entry, an audit entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

__all__ = ["AuditEntry", "AuditResult", "LogEntry", "LogLevel", "Metric", "MetricType"]

MetricType = Literal["counter", "gauge", "histogram", "summary"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
AuditResult = Literal["success", "failure", "denied"]


@dataclass
class Metric:
    """One measurement."""

    name: str
    value: float
    type: MetricType
    timestamp: datetime
    labels: dict[str, str] = field(default_factory=dict)
    unit: str | None = None


@dataclass
class LogEntry:
    """One log line."""

    timestamp: datetime
    level: LogLevel
    message: str
    context: dict[str, Any] = field(default_factory=dict)
    agent_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


@dataclass
class AuditEntry:
    """One entry of an audit trail: who did what, and how it ended."""

    timestamp: datetime
    agent_id: str
    action: str
    details: dict[str, Any]
    result: AuditResult
    user_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

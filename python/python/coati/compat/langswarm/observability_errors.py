"""Errors that say what to do about them, as the framework's own errors."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

__all__ = [
    "LoggingError",
    "MetricsError",
    "MonitoringError",
    "ObservabilityError",
    "TracingError",
    "logging_failed",
    "metrics_failed",
    "monitoring_failed",
    "tracing_failed",
]


class _Alone(Exception):
    """What stands for the framework's own error, without the framework."""

    def __init__(self, message: str, context: Any = None, suggestion: str | None = None) -> None:
        super().__init__(f"{message}\n{suggestion}" if suggestion else message)
        self.message = message
        self.context = context
        self.suggestion = suggestion


def _theirs() -> tuple[Any, Any]:
    try:
        module = importlib.import_module("langswarm.core.errors")
    except ImportError:
        return SimpleNamespace, _Alone
    return module.ErrorContext, module.LangSwarmError


_Context, _Error = _theirs()
#: What to look at, by what failed with.
_CHECKS = {
    "opentelemetry": "the endpoint of the OTLP sink, and what `coati doctor` says of it",
    "jaeger": "that Jaeger receives OTLP on port 4317 or 4318, and that it can be reached",
    "zipkin": "the address of the Zipkin server, and that it can be reached",
    "console": "whether standard output is open and may be written",
    "prometheus": "the metric's name, the endpoint's address, and the scraper's targets",
    "datadog": "the agent's address and its key",
    "cloudwatch": "the credentials, their permissions and the namespace",
    "statsd": "the server's address and the metric's format",
    "file": "that the folder exists, may be written and has room",
    "syslog": "that the daemon runs, and the facility",
    "remote": "the endpoint, the network and the credentials",
    "structured": "the types of the fields, and references that go in circles",
    "health_check": "the endpoint of the check, and what it depends on",
    "performance": "the sampling rate and the machine's load",
    "error_tracking": "what is captured and where it is sent",
    "alerting": "the rules, their thresholds and who is told",
}
#: What else, by words in the original error.
_HINTS = {
    ("network", "connection"): "the network between here and the receiver",
    ("auth", "permission", "access"): "the credentials and their permissions",
    ("rate", "quota", "limit"): "how often is recorded and sent: batch, or sample",
    ("disk", "space"): "the room on the disk, and the rotation of files",
    ("timeout",): "the time allowed, and how fast the other side answers",
    ("threshold",): "the thresholds",
    ("format", "serialization", "name"): "names and types of what is recorded",
}


class ObservabilityError(_Error):  # type: ignore[misc,valid-type]
    """Observability failed."""

    _system = "ObservabilitySystem"

    def __init__(self, operation: str, kind: str, error: Any, message: str, **metadata: Any):
        self.operation = operation
        self.original_error = error
        checks = [_CHECKS[kind]] if kind in _CHECKS else []
        said = str(error).lower() if error else ""
        checks += [hint for words, hint in _HINTS.items() if any(word in said for word in words)]
        context = _Context(
            component=self._system,
            operation=operation,
            metadata={**metadata, "error_type": type(error).__name__ if error else None},
        )
        suggestion = "Check " + "; ".join(checks) if checks else None
        super().__init__(message, context=context, suggestion=suggestion)


class TracingError(ObservabilityError):
    """Tracing failed."""

    _system = "TracingSystem"

    def __init__(
        self,
        operation: str,
        tracer_type: str,
        error: Exception | None = None,
        span_name: str | None = None,
    ) -> None:
        self.tracer_type = tracer_type
        self.span_name = span_name
        message = f"Tracing {operation} failed with {tracer_type}"
        if span_name:
            message += f" (span: {span_name})"
        about = {"tracer_type": tracer_type, "span_name": span_name}
        super().__init__(operation, tracer_type, error, message, **about)


class MetricsError(ObservabilityError):
    """Metrics failed."""

    _system = "MetricsSystem"

    def __init__(
        self,
        operation: str,
        metrics_backend: str,
        metric_name: str | None = None,
        error: Exception | None = None,
    ) -> None:
        self.metrics_backend = metrics_backend
        self.metric_name = metric_name
        message = f"Metrics {operation} failed with {metrics_backend}"
        if metric_name:
            message += f" (metric: {metric_name})"
        about = {"backend": metrics_backend, "metric_name": metric_name}
        super().__init__(operation, metrics_backend, error, message, **about)


class LoggingError(ObservabilityError):
    """Logging failed."""

    _system = "LoggingSystem"

    def __init__(
        self,
        operation: str,
        logger_config: str,
        error: Exception | None = None,
        log_level: str | None = None,
    ) -> None:
        self.logger_config = logger_config
        self.log_level = log_level
        message = f"Logging {operation} failed with {logger_config}"
        if log_level:
            message += f" (level: {log_level})"
        about = {"logger_config": logger_config, "log_level": log_level}
        super().__init__(operation, logger_config, error, message, **about)


class MonitoringError(ObservabilityError):
    """Monitoring failed."""

    _system = "MonitoringSystem"

    def __init__(
        self,
        operation: str,
        monitor_type: str,
        component: str | None = None,
        error: Exception | None = None,
    ) -> None:
        self.monitor_type = monitor_type
        self.component = component
        message = f"Monitoring {operation} failed for {monitor_type}"
        if component:
            message += f" (component: {component})"
        about = {"monitor_type": monitor_type, "component": component}
        super().__init__(operation, monitor_type, error, message, **about)


def tracing_failed(
    operation: str, tracer_type: str, error: Exception | None = None
) -> TracingError:
    """An error of tracing."""
    return TracingError(operation, tracer_type, error)


def metrics_failed(operation: str, backend: str, error: Exception | None = None) -> MetricsError:
    """An error of metrics."""
    return MetricsError(operation, backend, error=error)


def logging_failed(operation: str, config: str, error: Exception | None = None) -> LoggingError:
    """An error of logging."""
    return LoggingError(operation, config, error)


def monitoring_failed(
    operation: str, monitor_type: str, error: Exception | None = None
) -> MonitoringError:
    """An error of monitoring."""
    return MonitoringError(operation, monitor_type, error=error)

"""What the package raises."""

from __future__ import annotations

from typing import Any


class ObservabilityError(Exception):
    """Observability failed."""

    def __init__(
        self,
        *args: object,
        component: str | None = None,
        error_code: str | None = None,
        context: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(*args)
        self.component = component
        self.error_code = error_code
        self.context = context or {}


class TracingError(ObservabilityError):
    """Tracing failed."""


class MetricsError(ObservabilityError):
    """Metrics failed."""


class LoggingError(ObservabilityError):
    """Logging failed."""


class ConfigurationError(ObservabilityError):
    """A configuration is no good."""


class IntegrationError(ObservabilityError):
    """An integration of a component failed."""

"""All of a program's observability behind one object."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from coati.compat.kaizen.audit import AuditTrailManager
from coati.compat.kaizen.logging import LoggingManager, StructuredLogger
from coati.compat.kaizen.metrics import MetricsCollector
from coati.compat.kaizen.types import AuditEntry, AuditResult, MetricType

if TYPE_CHECKING:
    from coati.compat.kaizen.tracing_manager import TracingManager

__all__ = ["ObservabilityManager"]

logger = logging.getLogger("kaizen.core.autonomy.observability.manager")


class ObservabilityManager:
    """Metrics, logs, traces and an audit trail; each may be off, and is None then.

    Args:
        service_name: whose they are.
        enable_metrics: whether there are metrics.
        enable_logging: whether there are loggers.
        enable_tracing: whether there is tracing.
        enable_audit: whether there is an audit trail, in ``.kaizen``.
        jaeger_host: see :class:`TracingManager`, as for the two that follow.
        jaeger_port: the port.
        insecure: whether without TLS.
    """

    def __init__(
        self,
        service_name: str = "kaizen-agent",
        enable_metrics: bool = True,
        enable_logging: bool = True,
        enable_tracing: bool = True,
        enable_audit: bool = True,
        jaeger_host: str = "localhost",
        jaeger_port: int = 4317,
        insecure: bool = True,
    ) -> None:
        self.service_name = service_name
        self.metrics = MetricsCollector() if enable_metrics else None
        self.logging = LoggingManager() if enable_logging else None
        self.tracing: TracingManager | None = None
        if enable_tracing:
            # It needs opentelemetry-api.
            from coati.compat.kaizen.tracing_manager import TracingManager  # noqa: PLC0415

            self.tracing = TracingManager(
                service_name, jaeger_host=jaeger_host, jaeger_port=jaeger_port, insecure=insecure
            )
        self.audit: AuditTrailManager | None = None
        if enable_audit:
            try:
                self.audit = AuditTrailManager()
            except OSError as error:
                logger.warning(
                    "Audit trail is enabled but its storage could not be opened, so NOTHING will "
                    "be recorded: %s: %s",
                    type(error).__name__,
                    error,
                )
        self._enabled_components = {
            "metrics": enable_metrics,
            "logging": enable_logging,
            "tracing": enable_tracing,
            "audit": self.audit is not None,
        }
        logger.info(
            "ObservabilityManager initialized for %s",
            service_name,
            extra={"enabled_components": self._enabled_components},
        )

    def get_logger(self, name: str) -> StructuredLogger | None:
        """A logger, None where logging is off."""
        if self.logging is None:
            logger.warning("Logging not enabled")
            return None
        return self.logging.get_logger(name)

    async def record_metric(
        self,
        name: str,
        value: float,
        type: MetricType = "counter",
        labels: dict[str, str] | None = None,
    ) -> None:
        """Record a measurement; nothing where metrics are off."""
        metrics = self.metrics
        if metrics is None:
            return
        if type == "counter":
            metrics.counter(name, value, labels)
        elif type == "gauge":
            metrics.gauge(name, value, labels)
        elif type == "histogram":
            metrics.histogram(name, value, labels)
        else:
            logger.warning("Unsupported metric type: %s", type)

    async def export_metrics(self) -> str:
        """All metrics in Prometheus' text, empty where they are off."""
        return await self.metrics.export() if self.metrics is not None else ""

    def get_tracing_manager(self) -> TracingManager | None:
        """The tracing, None where it is off."""
        if self.tracing is None:
            logger.warning("Tracing not enabled")
        return self.tracing

    async def record_audit(
        self,
        agent_id: str,
        action: str,
        details: dict[str, Any],
        result: AuditResult,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Record an audit entry of now; nothing where the trail is off."""
        if self.audit is not None:
            await self.audit.record(agent_id, action, details, result, user_id, metadata)

    async def query_audit_by_agent(self, agent_id: str) -> list[AuditEntry]:
        """What an agent did."""
        return await self.audit.query_by_agent(agent_id) if self.audit is not None else []

    async def query_audit_by_action(self, action: str) -> list[AuditEntry]:
        """Where an action was taken."""
        return await self.audit.query_by_action(action) if self.audit is not None else []

    def is_component_enabled(self, component: str) -> bool:
        """Whether metrics, logging, tracing or audit is on."""
        return self._enabled_components.get(component, False)

    def get_enabled_components(self) -> list[str]:
        """The names of what is on."""
        return [name for name, enabled in self._enabled_components.items() if enabled]

    def get_service_name(self) -> str:
        """Whose it is."""
        return self.service_name

    def shutdown(self) -> None:
        """Send the spans there are, and forget contexts of loggers."""
        if self.tracing is not None:
            try:
                self.tracing.shutdown()
            except Exception as error:
                logger.warning("Error shutting down tracing: %s", error)
        if self.logging is not None:
            self.logging.clear_all_context()
        logger.info("ObservabilityManager shutdown for %s", self.service_name)

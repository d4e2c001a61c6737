"""Logger, tracer and metrics in one: ``ObservabilityProvider``, and functions that make one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import coati
from coati.compat.langswarm._config import ObservabilityConfig
from coati.compat.langswarm._engine import ensure, flushed
from coati.compat.langswarm._levels import level_of
from coati.compat.langswarm._operation import TracedOperation
from coati.compat.langswarm.interfaces import IObservabilityProvider, LogLevel
from coati.compat.langswarm.logger import V2Logger, configure_logging
from coati.compat.langswarm.metrics import V2Metrics, configure_metrics
from coati.compat.langswarm.opentelemetry_exporter import (
    OpenTelemetryConfig,
    OpenTelemetryIntegration,
)
from coati.compat.langswarm.tracer import V2Tracer, configure_tracing

__all__ = [
    "IObservabilityProvider",
    "LogLevel",
    "ObservabilityConfig",
    "ObservabilityContext",
    "ObservabilityProvider",
    "OpenTelemetryConfig",
    "OpenTelemetryIntegration",
    "TracedOperation",
    "V2Logger",
    "V2Metrics",
    "V2Tracer",
    "configure_logging",
    "configure_metrics",
    "configure_tracing",
    "create_development_observability",
    "create_observability_provider",
    "create_production_observability",
]

_T = TypeVar("_T")


class ObservabilityProvider(IObservabilityProvider):
    """Logger, tracer and metrics of a program, on coati's engine.

    Where the program has started the engine, its sinks are used. Where it has not, the engine is
    started with this configuration, by ``start()`` or by the first record.
    """

    def __init__(
        self,
        config: ObservabilityConfig | Mapping[str, Any] | None = None,
        service_name: str | None = None,
        service_version: str | None = None,
    ) -> None:
        self.config = ObservabilityConfig.of(config)
        if service_name:
            self.config.opentelemetry_service_name = service_name
        if service_version:
            self.config.opentelemetry_service_version = service_version
        self._logger = V2Logger(self.config)
        self._tracer = V2Tracer(self.config)
        self._metrics = V2Metrics(self.config)
        self._started = False
        self._components: dict[tuple[str, str | None], Any] = {}
        self._lock = threading.Lock()
        self._otel_integration: OpenTelemetryIntegration | None = None
        if self.config.opentelemetry_enabled:
            exporter = OpenTelemetryConfig.of(self.config)
            self._otel_integration = OpenTelemetryIntegration(self, exporter)

    @classmethod
    def create_development(cls, service_name: str = "langswarm_v2") -> ObservabilityProvider:
        """Everything, as text on the console."""
        config = ObservabilityConfig.development()
        config.sectioned = True
        return cls(config, service_name)

    @classmethod
    def create_production(
        cls,
        service_name: str = "langswarm_v2",
        log_file: str = "logs/langswarm.log",
        tracing_endpoint: str | None = None,
    ) -> ObservabilityProvider:
        """Log lines in a file, and a tenth of all traces, sent on if there is an endpoint."""
        config = ObservabilityConfig(
            logging={
                "output": "file",
                "file_path": log_file,
                "rotation": {"max_size": "100MB", "backup_count": 10},
            },
            tracing={
                "sampling_rate": 0.1,
                "exporter": "otlp" if tracing_endpoint else "console",
                "endpoint": tracing_endpoint,
            },
        )
        return cls(config, service_name)

    @classmethod
    def create(
        cls, config: Mapping[str, Any] | ObservabilityConfig, service_name: str = "langswarm_v2"
    ) -> ObservabilityProvider:
        """With the guide's sections."""
        made = ObservabilityConfig.of(config)
        made.sectioned = True
        return cls(made, service_name)

    @property
    def logger(self) -> V2Logger:
        """Writes log lines."""
        return self._logger

    @property
    def tracer(self) -> V2Tracer:
        """Makes spans."""
        return self._tracer

    @property
    def metrics(self) -> V2Metrics:
        """Measures."""
        return self._metrics

    def get_logger(self, component: str | None = None) -> V2Logger:
        """A component's logger, the same one each time."""
        return self._component("logger", component, self._logger.for_component)

    def get_tracer(self, component: str | None = None) -> V2Tracer:
        """A component's tracer, the same one each time; all share what is current."""
        return self._component("tracer", component, self._tracer.for_component)

    def get_metrics(self, component: str | None = None) -> V2Metrics:
        """A component's metrics, the same each time; all share their values."""
        return self._component("metrics", component, self._metrics.for_component)

    def _component(self, kind: str, component: str | None, make: Callable[[Any], _T]) -> _T:
        found = self._components.get((kind, component))
        if found is None:
            with self._lock:
                found = self._components.setdefault((kind, component), make(component))
        return found  # type: ignore[no-any-return]

    async def start(self) -> None:
        """Begin: the engine runs from now on, if it did not."""
        if self._started:
            return
        ensure(self.config)
        configure_logging(self.config)
        configure_tracing(self.config)
        configure_metrics(self.config)
        if self._otel_integration:
            await self._otel_integration.start()
        self._started = True
        self._logger.info(
            "Observability provider started",
            component="observability",
            operation="start",
            config_enabled=self.config.enabled,
            tracing_enabled=self.config.tracing_enabled,
            metrics_enabled=self.config.metrics_enabled,
            opentelemetry_enabled=self.config.opentelemetry_enabled,
        )
        self._metrics.increment_counter("observability.provider.started")

    initialize = start

    async def stop(self) -> None:
        """Flush, and forget finished spans. The engine runs on, for whoever else uses it."""
        if not self._started:
            return
        self._logger.info(
            "Observability provider stopping", component="observability", operation="stop"
        )
        self._metrics.increment_counter("observability.provider.stopped")
        await self.flush()
        if self._otel_integration:
            await self._otel_integration.stop()
        self._tracer.clear_completed_spans()
        self._started = False

    shutdown = stop

    async def flush(self) -> None:
        """Wait until everything has been written."""
        await flushed()

    def configure(self, config: Any) -> None:
        """Take another configuration, from now on and for all components."""
        self.config = config = ObservabilityConfig.of(config)
        configure_logging(config)
        configure_tracing(config)
        configure_metrics(config)
        for part in (self._logger, self._tracer, self._metrics, *self._components.values()):
            part._reconfigure(config)
        self._logger.info(
            "Observability provider reconfigured", component="observability", operation="configure"
        )

    def get_health_status(self) -> dict[str, Any]:
        """Whether it runs, how it is configured, what is current, and how much is measured."""
        metrics = self._metrics.get_all_metrics()
        kinds = {"counters": "counters", "gauges": "gauges"}
        kinds |= {"histograms": "histogram_stats", "timers": "timer_stats"}
        return {
            "status": "healthy" if self._started else "stopped",
            "config": {
                "enabled": self.config.enabled,
                "log_level": self.config.log_level.value,
                "tracing_enabled": self.config.tracing_enabled,
                "metrics_enabled": self.config.metrics_enabled,
            },
            "current_trace": {
                "trace_id": self._tracer.get_trace_id(),
                "span_active": self._tracer.get_current_span() is not None,
            },
            "metrics_summary": {
                f"{shown}_count": len(metrics[name]) for shown, name in kinds.items()
            },
        }

    async def health_check(self) -> dict[str, Any]:
        """The same, with the engine's own report."""
        report = coati.health()
        return {**self.get_health_status(), "healthy": report["ok"], "engine": report}

    async def get_status(self) -> dict[str, Any]:
        """The same, with what was recorded, delivered and dropped."""
        memory = self.get_memory_usage()
        return {**await self.health_check(), "ledger": coati.ledger(), "memory": memory}

    def is_initialized(self) -> bool:
        """Whether it runs."""
        return self._started

    def get_configuration(self) -> ObservabilityConfig:
        """The configuration in force."""
        return self.config

    def get_memory_usage(self) -> dict[str, int]:
        """The engine's memory in bytes, and how many spans and metrics are held."""
        return {**self._tracer.get_memory_usage(), **self._metrics.get_memory_usage()}

    def log_with_trace_context(
        self, level: Any, message: str, component: str | None = None, **kwargs: Any
    ) -> None:
        """Write a line with the current span's ids, name and time so far."""
        span = self._tracer.get_current_span()
        if span is not None:
            kwargs["operation"] = span.operation_name
            kwargs["span_duration_ms"] = span.duration_ms
        if str(getattr(level, "value", level)).lower() in _NAMES:
            self._logger.log(level_of(level), message, component, **kwargs)

    def trace_and_log_operation(
        self, operation_name: str, component: str | None = None
    ) -> TracedOperation:
        """Around an operation: a span, log lines at its start and its end, and counters."""
        return TracedOperation(self, operation_name, component)

    def export_to_opentelemetry(
        self, spans: list[Any] | None = None, metrics: list[Any] | None = None
    ) -> None:
        """Record spans and metric points that were made by hand."""
        if self._otel_integration:
            for span in spans or ():
                self._otel_integration.export_span_manually(span)
            for metric in metrics or ():
                self._otel_integration.export_metric_manually(metric)

    @property
    def opentelemetry_enabled(self) -> bool:
        """Whether spans and metrics are sent on."""
        return self._otel_integration is not None and self._otel_integration._active

    async def __aenter__(self) -> ObservabilityProvider:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()


_NAMES = frozenset(level.value for level in LogLevel)


class ObservabilityContext:
    """A provider that runs inside an ``async with`` statement."""

    def __init__(self, provider: ObservabilityProvider) -> None:
        self.provider = provider

    async def __aenter__(self) -> ObservabilityProvider:
        return await self.provider.__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.provider.__aexit__(*exc_info)


def create_observability_provider(config: Any = None) -> ObservabilityProvider:
    """A provider with a configuration, or with a dict of its fields or sections."""
    return ObservabilityProvider(ObservabilityConfig.of(config))


def create_development_observability() -> ObservabilityProvider:
    """A provider for everything, as text on the console."""
    return ObservabilityProvider(ObservabilityConfig.development())


def create_production_observability(
    log_file_path: str = "/var/log/langswarm/app.log",
    trace_export_url: str | None = None,
    metrics_export_url: str | None = None,
    opentelemetry_enabled: bool = False,
    otlp_endpoint: str | None = None,
    jaeger_endpoint: str | None = None,
) -> ObservabilityProvider:
    """A provider that writes log lines into a file and keeps a tenth of all traces."""
    config = ObservabilityConfig.production()
    config.log_file_path = log_file_path
    config.trace_export_url = trace_export_url
    config.metrics_export_url = metrics_export_url
    config.opentelemetry_enabled = opentelemetry_enabled
    config.opentelemetry_otlp_endpoint = otlp_endpoint
    config.opentelemetry_jaeger_endpoint = jaeger_endpoint
    return ObservabilityProvider(config)

"""Spans and metric points made by hand, recorded into the engine, which sends them on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import coati
from coati.compat.langswarm._engine import flushed
from coati.compat.langswarm._levels import SpanStatus, status_of
from coati.compat.langswarm._trouble import tell
from coati.compat.langswarm.interfaces import MetricPoint, MetricType, TraceSpan

__all__ = ["OpenTelemetryConfig", "OpenTelemetryExporter", "OpenTelemetryIntegration"]


@dataclass
class OpenTelemetryConfig:
    """Where to send, as whom."""

    enabled: bool = False
    service_name: str = "langswarm"
    service_version: str = "2.0.0"
    service_namespace: str = "langswarm"
    otlp_endpoint: str | None = None
    otlp_headers: dict[str, str] = field(default_factory=dict)
    otlp_insecure: bool = True
    jaeger_endpoint: str | None = None
    jaeger_agent_host: str = "localhost"
    jaeger_agent_port: int = 6831
    prometheus_enabled: bool = False
    prometheus_port: int = 8000
    prometheus_host: str = "0.0.0.0"
    export_traces: bool = True
    export_metrics: bool = True
    export_logs: bool = False
    batch_span_processor_max_queue_size: int = 2048
    batch_span_processor_schedule_delay_millis: int = 5000
    batch_span_processor_export_timeout_millis: int = 30000
    batch_span_processor_max_export_batch_size: int = 512

    @classmethod
    def of(cls, config: Any) -> OpenTelemetryConfig:
        """What an ``ObservabilityConfig`` says of it."""
        return cls(
            enabled=config.opentelemetry_enabled,
            service_name=config.opentelemetry_service_name,
            service_version=config.opentelemetry_service_version,
            otlp_endpoint=config.opentelemetry_otlp_endpoint,
            otlp_headers=config.opentelemetry_otlp_headers,
            jaeger_endpoint=config.opentelemetry_jaeger_endpoint,
            prometheus_enabled=config.opentelemetry_prometheus_enabled,
            prometheus_port=config.opentelemetry_prometheus_port,
        )


def _nanoseconds(moment: datetime) -> int:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return int(zoned.timestamp() * 1_000_000) * 1000


class OpenTelemetryExporter:
    """Records spans and metric points that were made by hand.

    What tracers and metrics of this package record is in the engine already; sending it on is the
    matter of the engine's sinks.
    """

    def __init__(self, config: OpenTelemetryConfig) -> None:
        self.config = config
        self._initialized = config.enabled

    def export_span(self, span: TraceSpan) -> None:
        """Record a span that has ended."""
        if not (self._initialized and self.config.export_traces) or hasattr(span, "_native"):
            return
        try:
            attributes = dict(span.tags)
            if span.component:
                attributes.setdefault("component", span.component)
            tracer = coati.get_tracer(self.config.service_name)
            native = tracer.start_span(
                span.operation_name, start_time=_nanoseconds(span.start_time), attributes=attributes
            )
            for entry in span.logs:
                fields = {key: value for key, value in entry.items() if key != "message"}
                native.add_event(str(entry.get("message", "")), fields)
            status = status_of(span.status)
            native.set_status("ok" if status is SpanStatus.OK else "error")
            native.end(_nanoseconds(span.end_time) if span.end_time else None)
        except Exception as error:
            tell("record a span", error)

    def export_metric(self, metric: MetricPoint) -> None:
        """Record a metric point: a counter's is added, a gauge's set, another's recorded."""
        if not (self._initialized and self.config.export_metrics):
            return
        try:
            kind = MetricType(getattr(metric.metric_type, "value", metric.metric_type))
            tags: Mapping[str, Any] = metric.tags
            if kind is MetricType.COUNTER:
                coati.counter(metric.name).add(metric.value, **tags)
            elif kind is MetricType.GAUGE:
                coati.gauge(metric.name).set(metric.value, **tags)
            else:
                unit = "ms" if kind is MetricType.TIMER else ""
                coati.histogram(metric.name, unit=unit).record(metric.value, **tags)
        except Exception as error:
            tell("record a metric point", error)

    async def flush(self) -> None:
        """Wait until everything has been written or sent."""
        if self._initialized:
            await flushed()

    async def shutdown(self) -> None:
        """Flush, and record nothing more by hand."""
        await self.flush()
        self._initialized = False


class OpenTelemetryIntegration:
    """A provider and its exporter."""

    def __init__(self, observability_provider: Any, otel_config: OpenTelemetryConfig) -> None:
        self.observability_provider = observability_provider
        self.otel_config = otel_config
        self.exporter = OpenTelemetryExporter(otel_config)
        self._active = False

    async def start(self) -> None:
        """Begin."""
        if self.otel_config.enabled:
            self._active = True

    async def stop(self) -> None:
        """Flush and end."""
        if self._active:
            await self.exporter.shutdown()
            self._active = False

    def export_span_manually(self, span: TraceSpan) -> None:
        """Record a span that was made by hand."""
        if self._active:
            self.exporter.export_span(span)

    def export_metric_manually(self, metric: MetricPoint) -> None:
        """Record a metric point that was made by hand."""
        if self._active:
            self.exporter.export_metric(metric)

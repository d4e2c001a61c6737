"""Spans of hook events, as OpenTelemetry's API has them."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from opentelemetry import trace

import coati
from coati.compat.kaizen._scrub import scrub
from coati.compat.kaizen.hooks.types import HookContext, HookResult
from coati.otel import TracerProvider

__all__ = ["TracingManager"]

logger = logging.getLogger("kaizen.core.autonomy.observability.tracing_manager")

_DEFAULT = ("localhost", 4317)
_PLAIN = (str, int, float, bool)


class TracingManager:
    """Spans of an agent, through coati's tracer.

    They go where the engine's spans go. An ``exporter`` of OpenTelemetry's SDK gets them, too; and
    so does an OTLP receiver at ``jaeger_host`` and ``jaeger_port``, where the framework's exporter
    is installed and either the address is another than the default or the engine does not run.
    Exporters get spans also while the engine does not run.

    Args:
        service_name: what exporters see as the service.
        jaeger_host: where a receiver listens.
        jaeger_port: its port, for gRPC.
        insecure: whether without TLS.
        batch_size: spans that wait for an exporter at most.
        batch_timeout_ms: how long they wait.
        max_export_batch_size: spans in one export.
        exporter: an exporter of OpenTelemetry's SDK.
    """

    def __init__(
        self,
        service_name: str,
        jaeger_host: str = "localhost",
        jaeger_port: int = 4317,
        insecure: bool = True,
        batch_size: int = 512,
        batch_timeout_ms: int = 5000,
        max_export_batch_size: int = 512,
        exporter: Any | None = None,
    ) -> None:
        self.service_name = service_name
        self.jaeger_host = jaeger_host
        self.jaeger_port = jaeger_port
        self.insecure = insecure
        self.batch_size = batch_size
        self.batch_timeout_ms = batch_timeout_ms
        self.max_export_batch_size = min(max_export_batch_size, batch_size)
        self._resource = _resource(service_name)
        self._own = TracerProvider(resource=self._resource)
        self._without: Any = None
        if exporter is None and ((jaeger_host, jaeger_port) != _DEFAULT or not _running()):
            exporter = _otlp(f"{jaeger_host}:{jaeger_port}", insecure)
        self._processor = self._batching(exporter) if exporter is not None else None
        if self._processor is not None:
            self._own.add_span_processor(self._processor)
        self._tracer = self._own.get_tracer(logger.name)

    def _batching(self, exporter: Any) -> Any:
        sdk = importlib.import_module("opentelemetry.sdk.trace.export")
        return sdk.BatchSpanProcessor(
            exporter,
            max_queue_size=self.batch_size,
            schedule_delay_millis=self.batch_timeout_ms,
            max_export_batch_size=self.max_export_batch_size,
        )

    @property
    def tracer_provider(self) -> TracerProvider:
        """coati's; the SDK's while the engine does not run and there is an exporter."""
        if self._processor is None or _running():
            return self._own
        if self._without is None:
            sdk = importlib.import_module("opentelemetry.sdk.trace")
            self._without = sdk.TracerProvider(resource=self._resource, shutdown_on_exit=False)
            self._without.add_span_processor(self._processor)
        return self._without  # type: ignore[no-any-return]

    @property
    def tracer(self) -> trace.Tracer:
        """That provider's tracer."""
        provider = self.tracer_provider
        return self._tracer if provider is self._own else provider.get_tracer(logger.name)

    def create_span_from_context(
        self, context: HookContext, parent_span: trace.Span | None = None
    ) -> trace.Span:
        """Start a span for an event: its name, agent, trace id, and what is plain of its data.

        It is inside ``parent_span``, else inside what is current.
        """
        name = context.event_type.value
        attributes: dict[str, str | int | float] = {
            "agent_id": context.agent_id,
            "event_type": name,
            "trace_id": context.trace_id or "",
        }
        for more in (context.data, context.metadata):
            for key, value in (more or {}).items():
                if isinstance(value, _PLAIN) and not (
                    more is context.metadata and key == "parent_span_id"
                ):
                    attributes[key] = value
        around = None
        if parent_span is not None:
            around = trace.set_span_in_context(parent_span)
        return self.tracer.start_span(name, context=around, attributes=attributes)

    def update_span_from_result(self, span: trace.Span, result: HookResult) -> None:
        """Set a span's status by what a hook answered."""
        if result.success:
            span.set_status(trace.Status(trace.StatusCode.OK))
        else:
            why = result.error or "Hook execution failed"
            span.set_status(trace.Status(trace.StatusCode.ERROR, why))

    def record_exception(self, span: trace.Span, exception: Exception) -> None:
        """Put an exception on a span, and say that it failed."""
        span.record_exception(exception)
        span.set_status(trace.Status(trace.StatusCode.ERROR, str(exception)))

    def force_flush(self, timeout: int = 30) -> bool:
        """Send the spans there are: whether all went out within so many seconds."""
        try:
            return self.tracer_provider.force_flush(timeout_millis=timeout * 1000)
        except Exception as error:
            logger.error("Force flush failed: %s", scrub(error))
            return False

    def shutdown(self, timeout: int = 30) -> bool:
        """Send the spans there are, and shut the exporter down; the engine goes on."""
        try:
            self._own.shutdown()
        except Exception as error:
            logger.error("Shutdown failed: %s", scrub(error))
            return False
        return True


def _running() -> bool:
    return coati.get_logger().is_enabled("critical")


def _resource(service_name: str) -> Any:
    """What exporters see as the resource, where there can be any."""
    try:
        sdk = importlib.import_module("opentelemetry.sdk.resources")
    except ImportError:
        return None
    return sdk.Resource.create({"service.name": service_name})


def _otlp(endpoint: str, insecure: bool) -> Any:
    try:
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    except ImportError:
        logger.info("No spans go to %s: its exporter is not installed", endpoint)
        return None
    return otlp.OTLPSpanExporter(endpoint=endpoint, insecure=insecure)

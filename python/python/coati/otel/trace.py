"""Tracers of OpenTelemetry's API whose spans coati records."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import opentelemetry.trace as api

import coati
from coati import _otel_context
from coati._native import _otel_face
from coati._native import _OtelSpan as Span
from coati._native import _OtelTracer as Tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, SpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler

    from coati.otel._observed import Observer

__all__ = ["Scope", "Span", "Tracer", "TracerProvider"]

api.Span.register(Span)
api.Tracer.register(Tracer)

_logger = logging.getLogger("coati.otel")


class _Face(api.Tracer):
    """What tracers say is their class: its methods take what stands for one, too."""

    def start_span(self, *args: Any, **kwargs: Any) -> Any:
        """Start a span that ``end()`` ends."""
        return getattr(self, "__wrapped__", self).start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        """Start a span that is current inside a ``with`` statement."""
        return getattr(self, "__wrapped__", self).start_as_current_span(*args, **kwargs)


_otel_face(_Face)


class Scope(NamedTuple):
    """What a tracer was asked for with: an instrumentation scope."""

    name: str
    version: str | None = None
    schema_url: str | None = None
    attributes: Mapping[str, Any] | None = None


class TracerProvider(api.TracerProvider):
    """Gives tracers whose spans are coati's own.

    Without arguments a span costs what coati's cost, and the engine's configuration says what is
    sampled and what the limits are. What is given here is asked besides, at its own cost: it is the
    SDK's and needs ``opentelemetry-sdk``.

    Args:
        sampler: decides in place of the engine's sampler.
        resource: what processors see as the resource. coati's own output has the engine's.
        shutdown_on_exit: whether processors are shut down when the interpreter ends.
        active_span_processor: a first processor.
        id_generator: makes ids in place of the engine's.
        span_limits: limits of what processors see.
        meter_provider: not used.
    """

    def __init__(  # noqa: PLR0917 - as the SDK has it
        self,
        sampler: Sampler | None = None,
        resource: Resource | None = None,
        shutdown_on_exit: bool = True,
        active_span_processor: SpanProcessor | None = None,
        id_generator: IdGenerator | None = None,
        span_limits: SpanLimits | None = None,
        *,
        meter_provider: object = None,
        _tracer_configurator: object = None,
    ) -> None:
        _otel_context.put()
        self.sampler = sampler
        self.id_generator = id_generator
        self._resource = resource
        self._span_limits = span_limits
        self._shutdown_on_exit = shutdown_on_exit
        self._tracers: dict[Any, Tracer] = {}
        self._lock = threading.Lock()
        self._observer: Observer | None = None
        self._is_handed_over = False
        self._is_shut_down = False
        if active_span_processor is not None:
            self.add_span_processor(active_span_processor)
        elif sampler is not None or id_generator is not None:
            self._hand_over()

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> api.Tracer:
        """The tracer of an instrumentation scope, the same one each time."""
        if self._is_shut_down:
            return api.NoOpTracer()
        if not instrumenting_module_name:
            _logger.error("get_tracer was called without a name")
        name = str(instrumenting_module_name or "")
        scope = Scope(name, instrumenting_library_version, schema_url, attributes)
        key = (*scope[:3], repr(sorted(attributes.items(), key=str)) if attributes else None)
        with self._lock:
            tracer = self._tracers.get(key)
            if tracer is None:
                tracer = Tracer(name, scope)
                if self._is_handed_over:
                    tracer._instead(self._observer)
                self._tracers[key] = tracer
        return tracer  # type: ignore[return-value]

    @property
    def resource(self) -> Resource:
        """What processors see as the resource."""
        return self._observe().resource if self._resource is None else self._resource

    @property
    def _active_span_processor(self) -> SpanProcessor:
        """All processors as one, which takes more: some take the SDK's provider apart."""
        return self._observe().processors

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Let a processor of the SDK see each span from now on: it gets the SDK's own.

        Raises:
            ImportError: ``opentelemetry-sdk`` is not installed.
        """
        self._observe().processors.add_span_processor(span_processor)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the processors, then coati: whether all went out in time."""
        flushed = self._observer is None or self._observer.force_flush(timeout_millis)
        return coati.flush(timeout_millis / 1000) and flushed

    def shutdown(self) -> None:
        """Flush coati, which goes on, and shut the processors down: they see no more spans.

        Tracers that there are go on; those asked for afterwards record nothing.
        """
        self._is_shut_down = True
        if self._observer is not None:
            self._observer.shutdown()
        coati.flush()

    def _observe(self) -> Observer:
        with self._lock:
            if self._observer is None:
                from coati.otel._observed import Observer  # noqa: PLC0415 - it imports the SDK

                self._observer = Observer(
                    self.sampler,
                    self._resource,
                    self.id_generator,
                    self._span_limits,
                    self._shutdown_on_exit,
                    self._hand_over,
                )
        return self._observer

    def _hand_over(self) -> None:
        """Let the observer start the spans from now on."""
        observer = self._observe()
        with self._lock:
            self._is_handed_over = True
            for tracer in self._tracers.values():
                tracer._instead(observer)

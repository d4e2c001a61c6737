"""Spans that processors of OpenTelemetry's SDK see: the SDK's own, which pass on what they hear.

Only providers with a processor, a sampler or an id generator of the SDK's come here.
"""

from __future__ import annotations

import atexit
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from secrets import randbits
from time import monotonic, time_ns
from typing import Any

import opentelemetry.trace as api

try:
    import opentelemetry.sdk.trace as sdk
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
except ImportError as _error:
    raise ImportError(
        "span processors, samplers and id generators are OpenTelemetry's SDK's: "
        "pip install opentelemetry-sdk"
    ) from _error

from opentelemetry.context import Context

from coati._native import _OtelSpan, _OtelTracer, configuration

_logger = logging.getLogger("coati.otel")


def left(
    span: api.Span,
    exception: BaseException | None,
    record_exception: bool,
    set_status: bool,
    ends: bool,
) -> None:
    """What happens when a ``with`` statement over such a span is left."""
    try:
        if isinstance(exception, Exception) and span.is_recording():
            if record_exception:
                span.record_exception(exception)
            if set_status:
                description = f"{type(exception).__name__}: {exception}"
                span.set_status(api.Status(api.StatusCode.ERROR, description))
    # It may be unable to say what it is: the program's exception goes on, not that one's.
    except Exception:
        _logger.exception("An exception cannot be recorded")
        if set_status:
            span.set_status(api.Status(api.StatusCode.ERROR, type(exception).__name__))
    finally:
        if ends:
            span.end()


class Observed(sdk._Span):
    """A span of the SDK's over one of coati's, which is told the same."""

    def __init__(self, own: _OtelSpan, **given: Any) -> None:
        self._coati_span = own
        super().__init__(**given)

    def set_attribute(self, key: str, value: Any) -> None:
        if self._end_time is None:
            self._coati_span.set_attribute(key, value)
        super().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        if self._end_time is None:
            self._coati_span.set_attributes(attributes)
        super().set_attributes(attributes)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        if timestamp is None:
            timestamp = time_ns()
        if self._end_time is None:
            self._coati_span.add_event(name, attributes, timestamp)
        super().add_event(name, attributes, timestamp)

    def add_link(self, context: api.SpanContext, attributes: Any = None) -> None:
        if self._end_time is None:
            self._coati_span.add_link(context, attributes)
        super().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        if self._end_time is None:
            self._coati_span.update_name(name)
        super().update_name(name)

    def set_status(
        self, status: api.Status | api.StatusCode, description: str | None = None
    ) -> None:
        if self._end_time is None:
            self._coati_span.set_status(status, description)
        super().set_status(status, description)

    def end(self, end_time: int | None = None) -> None:
        if end_time is None:
            end_time = time_ns()
        if self._end_time is None:
            self._coati_span.end(end_time)
        super().end(end_time)


class _Processors(sdk.SynchronousMultiSpanProcessor):
    """Processors, none of which can make a program fail.

    Args:
        added: called when there is one more.
    """

    def __init__(self, added: Callable[[], object]) -> None:
        super().__init__()
        self._added = added

    def add_span_processor(self, span_processor: sdk.SpanProcessor) -> None:
        super().add_span_processor(span_processor)
        self._added()

    def on_start(self, span: sdk.Span, parent_context: Context | None = None) -> None:
        for processor in self._span_processors:
            _safely(processor.on_start, span, parent_context=parent_context)

    def _on_ending(self, span: sdk.Span) -> None:
        for processor in self._span_processors:
            _safely(processor._on_ending, span)

    def on_end(self, span: sdk.ReadableSpan) -> None:
        for processor in self._span_processors:
            _safely(processor.on_end, span)

    def shutdown(self) -> None:
        for processor in self._span_processors:
            _safely(processor.shutdown)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether all have sent what they had; each is asked, until the time is over."""
        deadline, flushed = monotonic() + timeout_millis / 1e3, True
        for processor in self._span_processors:
            left = int((deadline - monotonic()) * 1e3)
            if left <= 0:
                return False
            try:
                flushed &= processor.force_flush(left) is not False
            except Exception:
                _logger.exception("A span processor failed")
                flushed = False
        return flushed


def _safely(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except Exception:
        _logger.exception("A span processor failed")
        return None


def _engine_resource() -> Resource:
    """The engine's resource, as the configuration has it; the SDK's own where none runs."""
    known = {key: value for key, value, _ in configuration()}
    attributes = dict(known.get("resource") or {})
    if service := known.get("service"):
        attributes["service.name"] = service
    return Resource.create(attributes)


class Observer:
    """What starts the spans of a provider's tracers once somebody looks at them."""

    def __init__(  # noqa: PLR0917
        self,
        sampler: Sampler | None,
        resource: Resource | None,
        id_generator: IdGenerator | None,
        limits: sdk.SpanLimits | None,
        shutdown_on_exit: bool,
        hand_over: Callable[[], object],
    ) -> None:
        self._sampler = sampler
        self._resource = resource
        self._ids = id_generator
        self._limits = limits or sdk.SpanLimits()
        self.processors = _Processors(self._added)
        self._hand_over = hand_over
        self._at_exit = shutdown_on_exit
        self._scopes: dict[_OtelTracer, tuple[InstrumentationInfo, InstrumentationScope]] = {}

    @property
    def resource(self) -> Resource:
        """What the spans have as their resource."""
        if self._resource is None:
            self._resource = _engine_resource()
        return self._resource

    def _added(self) -> None:
        if self._at_exit:
            self._at_exit = False
            atexit.register(self.shutdown)
        self._hand_over()

    def force_flush(self, timeout_millis: int) -> bool:
        """Whether all processors have sent what they had."""
        return self.processors.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Shut the processors down and forget them."""
        atexit.unregister(self.shutdown)
        self.processors.shutdown()
        self.processors._span_processors = ()

    def __call__(  # noqa: PLR0917 - as the tracer calls it
        self,
        tracer: _OtelTracer,
        name: str,
        context: Context | None,
        kind: api.SpanKind,
        attributes: Any,
        links: Sequence[api.Link] | None,
        start_time: int | None,
        record_exception: bool,
        set_status_on_exception: bool,
    ) -> api.Span:
        """A span as the arguments of ``start_span`` say."""
        parent: api.SpanContext | None = api.get_current_span(context).get_span_context()
        if parent is None or not parent.is_valid:
            parent = None
        if start_time is None:
            start_time = time_ns()
        given = (name, context, kind)
        more: Any = (links, start_time, record_exception, set_status_on_exception)
        recording = True
        if self._sampler is None and self._ids is None:
            own = tracer._start(*given, attributes, *more)
            recording = own.is_recording()
        else:
            try:
                decided = self._decide(given, attributes, more, parent)
            except Exception:
                _logger.exception("A sampler or id generator failed: the engine decides")
                own = tracer._start(*given, attributes, *more)
                recording = own.is_recording()
            else:
                ids, sampling, attributes = decided
                start: Any = tracer._start
                own = start(*given, attributes, *more, ids)
                recording = own.is_recording() if sampling is None else sampling
        if not recording or not self.processors._span_processors:
            return own  # type: ignore[return-value]
        info, scope = self._scope(tracer)
        span = Observed(
            own,
            name=name,
            context=own.get_span_context(),
            parent=parent,
            resource=self.resource,
            attributes=attributes,
            links=links or (),
            kind=kind,
            span_processor=self.processors,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
            limits=self._limits,
            instrumentation_info=info,
            instrumentation_scope=scope,
        )
        span.start(start_time=start_time, parent_context=context)
        return span

    def _scope(self, tracer: _OtelTracer) -> tuple[InstrumentationInfo, InstrumentationScope]:
        """The scope of a tracer, as the SDK has it now and as it had it before."""
        known = self._scopes.get(tracer)
        if known is None:
            name, version, schema_url, attributes = tracer.instrumentation_scope
            version = version or ""
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                info = InstrumentationInfo(name, version, schema_url)
            known = info, InstrumentationScope(name, version, schema_url, attributes)
            self._scopes[tracer] = known
        return known

    def _decide(
        self,
        given: Any,
        attributes: Any,
        more: Any,
        parent: api.SpanContext | None,
    ) -> tuple[Any, bool | None, Any]:
        """What the id generator and the sampler say: ids, whether it records, and attributes."""
        name, context, kind = given
        trace_id = parent.trace_id if parent else None
        span_id = None
        if self._ids is not None:
            trace_id = trace_id or self._ids.generate_trace_id()
            span_id = self._ids.generate_span_id()
        trace_id = trace_id or randbits(128) or 1
        sampled, recording, state = None, None, parent.trace_state if parent else None
        if self._sampler is not None:
            result = self._sampler.should_sample(
                context, trace_id, name, kind, attributes, more[0] or ()
            )
            sampled, recording = result.decision.is_sampled(), result.decision.is_recording()
            attributes, state = result.attributes, result.trace_state
        decided = (trace_id, span_id, sampled, state.to_header() if state else "")
        return decided, recording, attributes

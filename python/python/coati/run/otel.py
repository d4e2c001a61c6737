"""OpenTelemetry's API in a program that may set providers of its own: they stay its own.

Until it does, coati's are the process's. A tracer provider of the SDK that the program sets works
as ever, and what it records, coati records too.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import Any

__all__ = ["attach", "detach"]

_PLACES = (
    ("opentelemetry.trace", "_TRACER_PROVIDER"),
    ("opentelemetry.metrics._internal", "_METER_PROVIDER"),
    ("opentelemetry._logs._internal", "_LOGGER_PROVIDER"),
)
_set_before: Any = None


def attach(adapter: ModuleType) -> None:
    """Install coati's providers, which those of the program may replace."""
    global _set_before  # noqa: PLW0603 - a process has one such API
    from opentelemetry import trace  # noqa: PLC0415

    api: Any = trace
    if _set_before is not None:
        return
    vacant = [place for place in _PLACES if not _once(place)._done]
    adapter.install()
    for place in vacant:
        # As if nobody had set one.
        _once(place)._done = False
    _set_before = api.set_tracer_provider

    @functools.wraps(_set_before)
    def set_tracer_provider(tracer_provider: Any) -> None:
        before(tracer_provider)
        add = getattr(tracer_provider, "add_span_processor", None)
        given = api._TRACER_PROVIDER is tracer_provider
        if given and add is not None and not isinstance(tracer_provider, adapter.TracerProvider):
            add(_Mirror())

    before = _set_before
    api.set_tracer_provider = set_tracer_provider


def detach(adapter: ModuleType) -> None:
    """Take back what :func:`attach` did."""
    global _set_before  # noqa: PLW0603
    from opentelemetry import trace  # noqa: PLC0415

    if _set_before is not None:
        trace.set_tracer_provider = _set_before
        _set_before = None
    adapter.uninstall()


def _once(place: tuple[str, str]) -> Any:
    module, name = place
    return getattr(importlib.import_module(module), f"{name}_SET_ONCE")


class _Mirror:
    """A span processor that records the spans of another provider, by the ids that they have."""

    def __init__(self) -> None:
        self._tracers: dict[Any, Any] = {}

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing is known yet."""

    def _on_ending(self, span: Any) -> None:
        """Nothing is changed."""

    def on_end(self, span: Any) -> None:
        """Record it."""
        from coati._adapter import harmless  # noqa: PLC0415

        harmless(self._record)(span)

    def _record(self, span: Any) -> None:
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.context import Context  # noqa: PLC0415

        own = span.get_span_context()
        if not own.trace_flags.sampled:
            return
        parent = trace.NonRecordingSpan(span.parent or trace.INVALID_SPAN_CONTEXT)
        context = trace.set_span_in_context(parent, Context())
        decided = own.trace_id, own.span_id, True, own.trace_state.to_header()
        copy = self._tracer(span.instrumentation_scope)._start(
            span.name,
            context,
            span.kind,
            span.attributes,
            span.links,
            span.start_time,
            False,
            False,
            decided,
        )
        for event in span.events:
            copy.add_event(event.name, event.attributes, event.timestamp)
        copy.set_status(span.status)
        copy.end(span.end_time)

    def _tracer(self, scope: Any) -> Any:
        from coati.otel.trace import Scope, Tracer  # noqa: PLC0415

        key = scope.name, scope.version, scope.schema_url
        if key not in self._tracers:
            self._tracers[key] = Tracer(scope.name, Scope(*key, scope.attributes))
        return self._tracers[key]

    def shutdown(self) -> None:
        """The engine ends by itself."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait until what is recorded is delivered."""
        import coati  # noqa: PLC0415

        return coati.flush(timeout_millis / 1000)

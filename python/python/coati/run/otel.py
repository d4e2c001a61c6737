"""OpenTelemetry's API in a program that may set providers of its own: they stay its own.

Until it does, coati's are the process's, and what libraries got from them by then follows. A tracer
provider of the SDK that the program sets works as ever, and what it records, coati records too.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["attach", "detach"]

#: Where the API keeps a provider, what it is called there, and how it is set.
_PLACES = (
    ("opentelemetry.trace", "_TRACER_PROVIDER", "set_tracer_provider", "TracerProvider"),
    ("opentelemetry.metrics", "_METER_PROVIDER", "set_meter_provider", "MeterProvider"),
    ("opentelemetry._logs", "_LOGGER_PROVIDER", "set_logger_provider", "LoggerProvider"),
)
#: What takes back what :func:`attach` did; None while nothing is attached.
_undo: list[Callable[[], None]] | None = None


def attach(adapter: ModuleType) -> None:
    """Install coati's providers, which those of the program may replace."""
    global _undo  # noqa: PLW0603 - a process has one such API
    if _undo is not None:
        return
    from coati.run import otel_late  # noqa: PLC0415 - it needs the API

    _undo = []
    vacant = [place for place in _PLACES if not _once(place)._done]
    adapter.install()
    for place in _PLACES:
        ours: Any = None
        if place in vacant:
            # As if nobody had set one.
            _once(place)._done = False
            ours = getattr(_keeper(place), place[1])
            _undo.append(_dress(ours, getattr(otel_late, place[3])))
        _undo.append(_follow(place, ours, adapter))


def detach(adapter: ModuleType) -> None:
    """Take back what :func:`attach` did."""
    global _undo  # noqa: PLW0603
    for undo in _undo or ():
        undo()
    _undo = None
    adapter.uninstall()


def _dress(ours: Any, kind: type) -> Callable[[], None]:
    """Make a provider one whose tracers, meters or loggers follow the program's."""
    before = type(ours)
    ours.__class__ = kind

    def undo() -> None:
        ours.__class__ = before

    return undo


def _follow(place: tuple[str, str, str, str], ours: Any, adapter: ModuleType) -> Callable[[], None]:
    """Be told of the provider that the program sets."""
    from coati._adapter import harmless  # noqa: PLC0415

    name = place[2]
    modules = [importlib.import_module(place[0]), _keeper(place)]
    before = getattr(modules[0], name)

    @functools.wraps(before)
    def setter(provider: Any) -> None:
        before(provider)
        if provider is ours or getattr(_keeper(place), place[1]) is not provider:
            return
        if ours is not None:
            harmless(ours.follow)(provider)
        add = getattr(provider, "add_span_processor", None)
        if add is not None and not isinstance(provider, adapter.TracerProvider):
            add(_Mirror())

    def undo() -> None:
        for module in modules:
            setattr(module, name, before)

    for module in modules:
        setattr(module, name, setter)
    return undo


def _keeper(place: tuple[str, str, str, str]) -> Any:
    """The module that has the variable."""
    module = importlib.import_module(place[0])
    if hasattr(module, place[1]):
        return module
    return importlib.import_module(place[0] + "._internal")


def _once(place: tuple[str, str, str, str]) -> Any:
    return getattr(_keeper(place), f"{place[1]}_SET_ONCE")


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

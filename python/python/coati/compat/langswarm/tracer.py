"""Spans: ``V2Tracer``, decorators, and the registry of named tracers."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Mapping
from typing import Any

import coati
from coati import current_span
from coati.compat.langswarm import _globals
from coati.compat.langswarm._book import Book
from coati.compat.langswarm._calls import with_attributes
from coati.compat.langswarm._config import ObservabilityConfig
from coati.compat.langswarm._engine import ensure
from coati.compat.langswarm._span import LiveSpan, Unsampled
from coati.compat.langswarm._trouble import tell
from coati.compat.langswarm.interfaces import ITracer, SpanStatus, TraceSpan

__all__ = [
    "ITracer",
    "LiveSpan",
    "ObservabilityConfig",
    "SpanStatus",
    "TraceSpan",
    "V2Tracer",
    "add_span_log",
    "add_span_tag",
    "configure_tracing",
    "create_tracer",
    "get_current_span",
    "get_current_trace_id",
    "get_or_create_tracer",
    "get_tracer",
    "start_span",
    "trace_async_function",
    "trace_function",
]

_KINDS = frozenset({"internal", "server", "client", "producer", "consumer"})
_TRACER = "langswarm"
_NO_ID = "0" * 16


class V2Tracer(ITracer):
    """Makes spans.

    What is current is coati's: right over asyncio's tasks, and over everything else in the process
    that traces. Whether a trace is kept is decided once, at its root; without a span to keep,
    ``start_span`` yields None, or in the guide's dialect (a tracer of a component, a configuration
    in sections) a span that is false and takes everything.
    """

    def __init__(
        self, config: Any = None, section: Any = None, *_: Any, component: str | None = None
    ) -> None:
        if isinstance(config, str):
            # As the guide has it: a component and its section.
            component, config = config, section
        self.config = ObservabilityConfig.of(config)
        self.component = component
        self._book = Book(self.config.buffer_size)
        self._start: Any = None
        self._reconfigure(self.config)

    def _reconfigure(self, config: ObservabilityConfig) -> None:
        self.config = config
        self._none = self.component is None and not config.sectioned
        self._limit = config.performance.max_spans_per_trace or config.tracing.max_spans_per_trace
        #: Seconds after which an open span is told of, and fails.
        self._timeout = (
            config.performance.span_timeout_seconds or config.tracing.span_timeout_seconds
        )
        self._sampling_rate = config.trace_sampling_rate
        self._by_operation: dict[str, float] = {}
        for rule in self.config.tracing.sampling_rules:
            if self.component is not None and rule.get("component") == self.component:
                self._sampling_rate = rule.get("rate", self._sampling_rate)
            elif "operation" in rule:
                self._by_operation[rule["operation"]] = rule.get("rate", 1.0)

    def for_component(self, component: str | None) -> V2Tracer:
        """A tracer whose spans say this component, with the same spans current."""
        other = V2Tracer(self.config, component=component or self.config.opentelemetry_service_name)
        other._book = self._book
        return other

    def start_span(  # type: ignore[override]  # noqa: PLR0912 - in one piece, as it is called often
        self, operation_name: str, parent_span_id: Any = None, **tags: Any
    ) -> LiveSpan | Unsampled:
        """Start a span, for a ``with`` statement or until its ``finish()``.

        Args:
            operation_name: its name.
            parent_span_id: the parent's id, or the parent; else the current span.
            tags: its tags; ``attributes`` (a mapping), ``kind`` (``"CLIENT"``) and ``parent_span``
                mean what the guide says.
        """
        start = self._start
        if not self.config.tracing_enabled:
            return Unsampled(None, self._none)
        if start is None:
            ensure(self.config)
            start = self._start = coati.get_tracer(self.component or _TRACER).start_span
        around = current_span()
        parent = self._book.open.get(around)
        how: dict[str, Any] | None = None
        if (
            parent_span_id is not None
            or "attributes" in tags
            or "kind" in tags
            or "parent_span" in tags
        ):
            how = {}
            parent_span_id = _take_special(tags, how) or parent_span_id
            if parent_span_id is not None:
                parent = self._parent(parent_span_id, how)
        outer = _NO_ID
        if parent is None:
            outer = around.span_id
            if outer != _NO_ID:
                # Part of a trace: whoever began it has decided, and says so in the flags.
                if not around.is_recording() and not around.context.trace_flags & 1:
                    return Unsampled(None, self._none)
            elif self._left_out(operation_name):
                return Unsampled(_context(), self._none)
        elif self._limit and self._full(parent):
            return Unsampled(None, self._none)
        if self.component is not None:
            tags.setdefault("component", self.component)
        if self._timeout:
            how = {**(how or {}), "timeout": self._timeout}
        if how:
            native = start(operation_name, attributes=tags, **how)
        else:
            native = with_attributes[(*tags,)](start, operation_name, *tags.values())
        if not native.is_recording():
            return Unsampled(native.context if native.span_id != _NO_ID else None, self._none)
        span = LiveSpan(self._book, native, operation_name, tags, parent)
        if self._limit and parent is not None:
            span._root = parent._root or parent
        if outer != _NO_ID:
            span._parent_id = outer
        if parent is None and isinstance(parent_span_id, str):
            span._parent_id = parent_span_id
        if self.component is not None:
            span.component = self.component
        return span

    start_trace = start_as_current_span = start_span

    def _parent(self, given: Any, how: dict[str, Any]) -> LiveSpan | None:
        found = given if isinstance(given, LiveSpan) else self._book.find(str(given))
        if found is not None:
            how["parent"] = found._native
        elif isinstance(given, Unsampled) and given._context is not None:
            how["parent"] = given._context
        return found

    def _full(self, parent: LiveSpan) -> bool:
        root = parent._root or parent
        if root._size >= self._limit:
            return True
        root._size += 1
        return False

    def _left_out(self, name: str) -> bool:
        rate = self._by_operation.get(name, self._sampling_rate)
        return rate < 1 and random.random() >= rate

    def get_current_span(self) -> LiveSpan | None:
        """The framework's span that is current here, None if there is none."""
        return self._book.current()

    def get_trace_id(self) -> str | None:
        """The id of the current trace, None outside any."""
        current = coati.current_span()
        return current.trace_id if current.span_id != _NO_ID else None

    get_current_trace_id = get_trace_id

    def get_current_span_id(self) -> str | None:
        """The id of the current span, None outside any."""
        span_id = coati.current_span().span_id
        return span_id if span_id != _NO_ID else None

    def add_span_tag(self, key: str, value: Any) -> None:
        """Set a tag of the current span."""
        span = self._book.current()
        if span is not None:
            span.tags[key] = value
        else:
            coati.current_span().set_attribute(key, value)

    def add_span_log(self, message: str, **kwargs: Any) -> None:
        """Add a log entry to the current span."""
        span = self._book.current()
        if span is not None:
            span.add_log(message, **kwargs)
        else:
            coati.current_span().add_event(message, kwargs)

    def get_span_by_id(self, span_id: str) -> LiveSpan | None:
        """The span with this id, open or among the last that ended."""
        return self._book.find(span_id)

    def get_spans_by_trace_id(self, trace_id: str) -> list[LiveSpan]:
        """The spans of a trace, open or among the last that ended, by their beginnings."""
        spans = [span for span in self._book.all() if span.trace_id == trace_id]
        return sorted(spans, key=lambda span: span._started)

    def get_finished_spans(self) -> list[LiveSpan]:
        """The last spans that ended, oldest first."""
        return self._book.ended()

    def clear_completed_spans(self) -> None:
        """Forget spans that have ended."""
        self._book.finished.clear()

    clear_finished_spans = clear_completed_spans

    async def export_spans(self) -> list[dict[str, Any]]:
        """The last spans that ended, as dicts."""
        return [span.to_dict() for span in self._book.ended()]

    def set_sampling_rate(self, rate: float) -> None:
        """Keep this share of the traces that begin from now on."""
        self._sampling_rate = rate

    def is_sampling(self) -> bool:
        """Whether the current trace is kept; outside any, whether any is."""
        current = coati.current_span()
        if current.span_id != _NO_ID:
            return current.is_recording()
        return bool(self.config.tracing_enabled and self._sampling_rate > 0)

    def trace_function(self, function: Any = None, /) -> Any:
        """Decorate a function: ``@tracer.trace_function``, with parentheses, or with a name."""
        if callable(function):
            return _traced(function, function.__qualname__, {}, lambda: self)
        name = function
        return lambda real: _traced(real, name or real.__qualname__, {}, lambda: self)

    trace_method = trace_function

    def get_memory_usage(self) -> dict[str, int]:
        """How many spans are held."""
        return {"open_spans": len(self._book.open), "finished_spans": len(self._book.finished)}


def _context() -> coati.SpanContext:
    """Ids for a trace that is left out, which what is in it shares."""
    return coati.SpanContext(
        f"{random.getrandbits(128) or 1:032x}",
        f"{random.getrandbits(64) or 1:016x}",
        trace_flags=0,
        is_remote=False,
    )


def _take_special(tags: dict[str, Any], how: dict[str, Any]) -> Any:
    """Take out of the tags what the guide gives as arguments of its own, and return the parent."""
    parent = None
    attributes = tags.pop("attributes") if isinstance(tags.get("attributes"), Mapping) else {}
    kind = tags.get("kind")
    if isinstance(kind, str) and kind.lower() in _KINDS:
        how["kind"] = tags.pop("kind").lower()
    if isinstance(tags.get("parent_span"), (LiveSpan, Unsampled, type(None))):
        parent = tags.pop("parent_span", None)
    tags.update(attributes)
    return parent


def _traced(function: Any, name: str, tags: dict[str, Any], tracer_of: Callable[[], Any]) -> Any:
    known = {"function.name": function.__name__, "function.module": function.__module__}

    def begin(args: Any, kwargs: Any) -> Any:
        tracer = tracer_of()
        if tracer is None:
            return Unsampled(None, none=True)
        counts = {"function.args_count": len(args), "function.kwargs_count": len(kwargs)}
        try:
            return tracer.start_span(name, attributes={**known, **tags, **counts})
        except Exception as error:
            tell("start a span", error)
            return Unsampled(None, none=True)

    if inspect.iscoroutinefunction(function):
        known["function.async"] = True

        @functools.wraps(function)
        async def traced_async(*args: Any, **kwargs: Any) -> Any:
            with begin(args, kwargs):
                return await function(*args, **kwargs)

        return traced_async

    @functools.wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs):
            return function(*args, **kwargs)

    return traced


def trace_function(operation_name: str | None = None, **span_tags: Any) -> Any:
    """Decorate a function: a span of the default tracer around each call."""

    def decorate(function: Any) -> Any:
        name = operation_name or f"{function.__module__}.{function.__qualname__}"
        return _traced(function, name, span_tags, get_tracer)

    return decorate


trace_async_function = trace_function

_tracers: dict[str, V2Tracer] = {}
_default_config: ObservabilityConfig | None = None


def configure_tracing(config: ObservabilityConfig) -> None:
    """Configure tracers that are made from now on without a configuration of their own."""
    global _default_config  # noqa: PLW0603 - the framework has one
    _default_config = ObservabilityConfig.of(config)


def create_tracer(name: str = "default", config: ObservabilityConfig | None = None) -> V2Tracer:
    """Make a tracer and register its name."""
    _tracers[name] = tracer = V2Tracer(config if config is not None else _default_config)
    return tracer


def get_tracer(name: str | None = "default") -> V2Tracer | None:
    """The tracer of this name, else the installed provider's for this component, else None."""
    found = _tracers.get(name or "default")
    if found is None and _globals.provider is not None:
        if name in {None, "default"}:
            return _globals.provider.tracer  # type: ignore[no-any-return]
        return _globals.provider.get_tracer(name)  # type: ignore[no-any-return]
    return found


def get_or_create_tracer(
    name: str = "default", config: ObservabilityConfig | None = None
) -> V2Tracer:
    """The tracer of this name, made if need be."""
    return get_tracer(name) or create_tracer(name, config)


def start_span(operation_name: str, /, **tags: Any) -> LiveSpan | Unsampled:
    """Start a span with the default tracer."""
    return get_or_create_tracer().start_span(operation_name, **tags)


def get_current_span() -> LiveSpan | None:
    """The default tracer's current span."""
    tracer = get_tracer()
    return tracer.get_current_span() if tracer else None


def get_current_trace_id() -> str | None:
    """The id of the current trace, as the default tracer sees it."""
    tracer = get_tracer()
    return tracer.get_trace_id() if tracer else None


def add_span_tag(key: str, value: Any) -> None:
    """Set a tag of the default tracer's current span."""
    tracer = get_tracer()
    if tracer:
        tracer.add_span_tag(key, value)


def add_span_log(message: str, **kwargs: Any) -> None:
    """Add a log entry to the default tracer's current span."""
    tracer = get_tracer()
    if tracer:
        tracer.add_span_log(message, **kwargs)

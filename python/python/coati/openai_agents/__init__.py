"""The OpenAI Agents SDK through coati: a trace processor.

Traces are ``invoke_workflow`` spans, agents ``invoke_agent``, tools ``execute_tool``, model calls
``chat``, each current where the SDK has its own span current. Contents, which the SDK has on its
spans, are kept only where ``coati.genai`` keeps contents.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from coati import SpanContext, genai, get_tracer
from coati._adapter import Entry, Open, around, harmless, scalars
from coati.openai_agents._spans import begin, complete

__all__ = ["Processor", "install", "uninstall"]

_TRACER = get_tracer("openai.agents")
#: Ended traces that are remembered.
_ENDED = 1000


class Processor:
    """A ``TracingProcessor`` that records: ``agents.add_trace_processor(Processor())``.

    :func:`install` does that, and keeps traces from OpenAI's own backend.
    """

    def __init__(self) -> None:
        self._current = _sdk().get_current_span
        self._open = Open()
        #: Traces that have ended, for spans of a run that is resumed.
        self._ended: OrderedDict[str, SpanContext] = OrderedDict()

    @harmless
    def on_trace_start(self, trace: Any) -> None:
        """A trace begins."""
        operation = genai.workflow(
            trace.name,
            conversation_id=getattr(trace, "group_id", None),
            tracer=_TRACER,
            attributes={
                "openai_agents.trace_id": trace.trace_id,
                **scalars("openai_agents.metadata.", getattr(trace, "metadata", None)),
            },
        )
        self._begin(trace.trace_id, Entry(operation, "trace", _raised()))

    @harmless
    def on_trace_end(self, trace: Any) -> None:
        """A trace ends."""
        entry = self._open.pop(trace.trace_id)
        if entry is None:
            return
        self._ended[trace.trace_id] = entry.operation.span.context
        while len(self._ended) > _ENDED:
            self._ended.popitem(last=False)
        _fail(entry, None)
        entry.end()

    @harmless
    def on_span_start(self, span: Any) -> None:
        """A span begins."""
        data = span.span_data
        operation = begin(data, {**self._around(span), "tracer": _TRACER})
        self._begin(span.span_id, Entry(operation, data.type, _raised()))

    @harmless
    def on_span_end(self, span: Any) -> None:
        """A span ends."""
        entry = self._open.pop(span.span_id)
        if entry is None:
            return
        try:
            complete(entry.operation, entry.kind, span.span_data)
            _fail(entry, span.error)
        finally:
            entry.end()

    def shutdown(self, timeout: float | None = None) -> None:
        """End what is under way."""
        self._open.clear()

    def force_flush(self) -> None:
        """Nothing waits here: coati's own thread writes."""

    def _begin(self, key: str, entry: Entry) -> None:
        self._open[key] = entry
        if _becomes_current():
            entry.attach()

    def _around(self, span: Any) -> dict[str, Any]:
        found = self._open[span.parent_id or span.trace_id]
        if found is not None:
            # A span that is given another parent by name is that one's child.
            current = self._current()
            innermost = current.span_id if current is not None else None
            return around(found, innermost == span.parent_id)
        found = self._open[span.trace_id]
        if found is not None:
            return around(found, False)
        ended = self._ended.get(span.trace_id)
        return {} if ended is None else {"parent": ended}


def _becomes_current() -> bool:
    """Whether the SDK makes what it starts now its current one, which only its own call says."""
    frame = sys._getframe(2)
    for _ in range(6):
        if frame.f_code.co_name == "start" and "mark_as_current" in frame.f_code.co_varnames:
            return bool(frame.f_locals.get("mark_as_current"))
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False


def _raised() -> BaseException | None:
    """The exception that is being handled."""
    return sys.exc_info()[1]


def _fail(entry: Entry, error: Mapping[str, Any] | None) -> None:
    """Tell of the exception that ends the span, and of the error that the SDK has put on it."""
    raised = _raised()
    description = _described(error)
    if raised is not None and raised is not entry.source and not isinstance(raised, GeneratorExit):
        entry.operation.fail(raised)
    elif error is not None:
        entry.operation.fail(_error_type(error), description)


def _described(error: Mapping[str, Any] | None) -> str | None:
    if not error:
        return None
    detail = (error.get("data") or {}).get("error")
    return f"{error.get('message')}: {detail}" if detail else str(error.get("message"))


def _error_type(error: Mapping[str, Any]) -> str:
    """The SDK says in words what went wrong; there is no name of a kind."""
    return str((error.get("data") or {}).get("error_type") or "_OTHER")


class _Installed:
    """What is in force, and what was so before."""

    def __init__(self, provider: Any, keep_others: bool) -> None:
        self.processor = Processor()
        self._provider = provider
        self._before = _processors(provider)
        self._set = provider.set_processors
        if keep_others:
            provider.register_processor(self.processor)
        else:
            provider.set_processors([self.processor])
        # Processors that a program sets later take the place of each other, not of this one.
        provider.set_processors = self._set_others

    def _set_others(self, processors: list[Any]) -> None:
        self._set([*(each for each in processors if each is not self.processor), self.processor])

    def remove(self) -> None:
        """Put back what was there, and leave what has come since."""
        if vars(self._provider).get("set_processors") == self._set_others:
            del self._provider.set_processors
        now = [each for each in _processors(self._provider) if each is not self.processor]
        before = [each for each in self._before if each not in now]
        self._set(before + now)
        self.processor.shutdown()


def _sdk() -> Any:
    """The SDK's tracing."""
    try:
        from agents import tracing  # noqa: PLC0415 - only where it is wanted
    except ImportError as error:
        needs = "coati.openai_agents needs the OpenAI Agents SDK: pip install openai-agents"
        raise ImportError(needs) from error
    return tracing


def _processors(provider: Any) -> tuple[Any, ...]:
    """What processors there are, which the SDK has no name for."""
    multi = getattr(provider, "_multi_processor", None)
    return tuple(getattr(multi, "_processors", ()))


_installed: _Installed | None = None


def install(*, keep_others: bool = False) -> Processor:
    """Record what the SDK traces.

    Args:
        keep_others: whether the processors that are there go on, such as the SDK's own, which
            sends traces with their contents to OpenAI where there is an API key. Without it nothing
            leaves the process but through coati.

    Returns:
        The processor in use; a second call gives the same one.

    Raises:
        ImportError: there is no OpenAI Agents SDK.
    """
    global _installed  # noqa: PLW0603 - the SDK has one provider
    if _installed is None:
        tracing = _sdk()
        genai.prepare()
        tracing.TracingProcessor.register(Processor)
        _installed = _Installed(tracing.get_trace_provider(), keep_others)
    return _installed.processor


def uninstall() -> None:
    """Take the processor away and put back those that it replaced."""
    global _installed  # noqa: PLW0603
    if _installed is not None:
        _installed.remove()
        _installed = None

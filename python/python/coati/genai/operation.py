"""One call of a model, tool, agent, retriever or workflow: its span, and its metrics at its end."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Literal

from coati import Span, SpanContext, Token, Tracer, attach, get_tracer
from coati.genai import metrics
from coati.genai.content import captures_content, kept, messages, safely
from coati.genai.names import UNKNOWN, provider_name
from coati.genai.names import text as _text
from coati.genai.prices import cost
from coati.genai.tally import Tally
from coati.genai.usage import Usage

_logger = logging.getLogger(__name__)

_INFERENCE = frozenset({"chat", "generate_content", "text_completion"})
_DURATIONS = {
    "execute_tool": "gen_ai.execute_tool.duration",
    "invoke_agent": "gen_ai.invoke_agent.duration",
    "invoke_workflow": "gen_ai.invoke_workflow.duration",
    **dict.fromkeys(_INFERENCE, f"{metrics.INFERENCE}.duration"),
}
#: The spans on which nobody's model is told of.
_INTERNAL = frozenset({"execute_tool", "invoke_agent", "invoke_workflow", "plan"})
#: Attributes that metrics have as labels too.
_LABELS = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.agent.name",
    "gen_ai.tool.name",
    "gen_ai.tool.type",
    "gen_ai.workflow.name",
    "server.address",
    "server.port",
)
_REQUEST = {
    "model": "model",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "stop": "stop_sequences",
    "stop_sequences": "stop_sequences",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "choice_count": "choice.count",
    "n": "choice.count",
    "stream": "stream",
}

_current: ContextVar[Operation | None] = ContextVar("coati.genai.operation", default=None)
#: Attributes that all operations inside have, such as those of a session.
_shared: ContextVar[Mapping[str, Any] | None] = ContextVar("coati.genai.shared", default=None)


class Operation:
    """An operation under way, with its span; ``end()`` ends it, once, from any thread.

    In a ``with`` or ``async with`` statement it is current, and fails with what leaves the
    statement. Else nothing is current: ``attach()`` makes it so. Nothing here raises because of
    what it is told.

    Args:
        operation: OpenTelemetry's name, such as ``chat`` or ``execute_tool``; empty for a step that
            has none, which has a span and no metrics.
        subject: what is called; the span is called ``{operation} {subject}``.
        kind: kind of the span.
        parent: the operation, span or context around it; the current one unless given.
        within: the operation that this is part of, where ``parent`` is a span that is in it.
        tracer: the tracer, or its name.
        start_time: ns since the epoch, where it began earlier than now.
        attributes: more attributes of the span; None values are left out.
    """

    __slots__ = (
        "__weakref__",
        "_agent",
        "_attributes",
        "_begun",
        "_chunk",
        "_chunks",
        "_error",
        "_first",
        "_inside",
        "_open",
        "_per_chunk",
        "_reset",
        "_response",
        "_started",
        "_token",
        "_usage",
        "cost_usd",
        "operation",
        "span",
    )

    def __init__(
        self,
        operation: str,
        subject: str | None = None,
        *,
        kind: Literal["internal", "client"] = "internal",
        parent: Operation | Span | SpanContext | None = None,
        within: Operation | None = None,
        tracer: str | Tracer = "coati.genai",
        start_time: int | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.operation = operation
        self._attributes: dict[str, Any] = dict(_shared.get() or ())
        if operation:
            self._attributes["gen_ai.operation.name"] = operation
        for name, value in _mapping(attributes).items():
            if value is not None:
                self._attributes[name] = value
        outer = parent if isinstance(parent, Operation) else within
        if parent is None and outer is None:
            outer = _current.get()
        self._agent: Operation | None = outer and outer._for_children()
        self._open = [True]
        #: What it cost in US dollars, an agent's model calls included; known once it has ended.
        self.cost_usd: float | None = None
        self._usage: Usage | None = None
        self._inside = Tally()
        self._response: str | None = None
        self._error: str | None = None
        self._chunks = 0
        self._chunk = self._first = 0
        self._per_chunk: Any = None
        self._token: Token | None = None
        self._reset: Any = None
        self._started = start_time = _when(start_time)
        named = None if subject is None else _text(subject)
        if not isinstance(tracer, Tracer):
            tracer = get_tracer(tracer)
        #: The span of the operation.
        self.span: Span = tracer.start_span(
            f"{operation} {named}" if operation and named else operation or str(named),
            parent=parent.span if isinstance(parent, Operation) else parent,
            kind=kind,
            start_time=start_time,
            attributes=self._attributes,
        )
        self._begun = time.perf_counter_ns()

    @property
    def usage(self) -> Usage | None:
        """Tokens: what it was told of, else those of the model calls inside."""
        return self._usage if self._usage is not None else self._inside.tokens

    def _for_children(self) -> Operation | None:
        """Whom model and tool calls inside count for."""
        return self if self.operation in ("invoke_agent", "invoke_workflow") else self._agent

    def attach(self) -> Token:
        """Make its span current, until the token is detached."""
        return attach(self.span)

    def set(self, attributes: Mapping[str, Any] | None = None, /, **more: Any) -> Operation:
        """Set attributes of its span, those that are not None."""
        for name, value in {**_mapping(attributes), **more}.items():
            if value is not None and isinstance(name, str):
                self._attributes[name] = value
                self.span.set_attribute(name, value)
        return self

    def request(self, parameters: Mapping[str, Any] | None = None, /, **more: Any) -> Operation:
        """Tell of what was asked for: ``temperature``, ``max_tokens``, ``top_p``, ``top_k``,
        ``seed``, ``stop``, ``frequency_penalty``, ``presence_penalty``, ``n``, ``stream``,
        ``model``. Other names and None values are passed over, so that all parameters of a call may
        be given as they are."""
        for name, value in {**_mapping(parameters), **more}.items():
            known = _REQUEST.get(name)
            if known is None or value is None or (known == "choice.count" and value == 1):
                continue
            if known == "stop_sequences" and isinstance(value, str):
                value = [value]  # noqa: PLW2901 - one or several
            self.set({f"gen_ai.request.{known}": value})
        return self

    def first_chunk(self) -> None:
        """Tell of the first chunk of an answer that comes as a stream; later calls do nothing."""
        if self._first == 0:
            self._first = self._chunk = time.perf_counter_ns()
            self._chunks = 1
            self.set(
                {
                    "gen_ai.request.stream": True,
                    "gen_ai.response.time_to_first_chunk": (self._first - self._begun) / 1e9,
                }
            )
            if self.operation in _INFERENCE:
                name = f"{metrics.INFERENCE}.time_per_output_chunk"
                self._per_chunk = metrics.recorder(name, self._labels())

    def chunk(self) -> None:
        """Tell of a chunk, the first one included."""
        if self._first == 0:
            return self.first_chunk()
        now = time.perf_counter_ns()
        self._chunks += 1
        if self._per_chunk is not None:
            self._per_chunk((now - self._chunk) / 1e9)
        self._chunk = now
        return None

    def response(
        self,
        *,
        model: str | None = None,
        id: str | None = None,
        finish_reasons: Any = None,
        usage: Any = None,
    ) -> Operation:
        """Tell of the answer. What is given later replaces what was given before.

        Args:
            model: the model that answered.
            id: the answer's id.
            finish_reasons: why each choice ended: a text or several.
            usage: a :class:`Usage`, or anything that ``Usage.of`` reads.
        """
        if isinstance(finish_reasons, str):
            finish_reasons = [finish_reasons]
        self.set(
            {
                "gen_ai.response.model": model,
                "gen_ai.response.id": id,
                "gen_ai.response.finish_reasons": finish_reasons or None,
            }
        )
        self._response = model or self._response
        if usage is not None:
            found = Usage.of(usage, self._attributes.get("gen_ai.provider.name"))
            self._usage = found or self._usage
        return self

    def input(self, content: Any | Callable[[], Any]) -> Operation:
        """Keep what the model or the agent was told, if contents are kept.

        Texts, dicts with ``role`` and ``content``, messages with ``parts``, one or several, or a
        function that gives them, which is called only then.
        """
        return self._keep("gen_ai.input.messages", content, "user")

    def output(self, content: Any | Callable[[], Any]) -> Operation:
        """Keep what it answered, if contents are kept; as ``input``."""
        return self._keep("gen_ai.output.messages", content, "assistant")

    def instructions(self, content: Any | Callable[[], Any]) -> Operation:
        """Keep the system's instructions, if contents are kept."""
        if captures_content():
            found = safely(kept, content)
            parts = [{"type": "text", "content": found}] if isinstance(found, str) else found
            self.set({"gen_ai.system_instructions": parts})
        return self

    def arguments(self, content: Any | Callable[[], Any]) -> Operation:
        """Keep the arguments of a tool call, if contents are kept."""
        if captures_content():
            self.set({"gen_ai.tool.call.arguments": safely(kept, content)})
        return self

    def result(self, content: Any | Callable[[], Any]) -> Operation:
        """Keep the result of a tool call, if contents are kept."""
        if captures_content():
            self.set({"gen_ai.tool.call.result": safely(kept, content)})
        return self

    def _keep(self, name: str, content: Any, role: str) -> Operation:
        if captures_content():
            found = safely(kept, content)
            if found is not None:
                self.set({name: safely(messages, found, role)})
        return self

    def fail(self, error: BaseException | str, description: str | None = None) -> None:
        """Tell of an error: an exception, or what kind of error it was and what it said."""
        if isinstance(error, BaseException):
            kind = type(error)
            plain = kind.__module__ in ("builtins", None)
            self._error = kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"
            self.span.record_exception(error)
            description = description if description is not None else _text(error)
        else:
            self._error = _text(error)
        self.span.set_attribute("error.type", self._error)
        self.span.set_status("error", _text(description) if description else None)

    def end(self, end_time: int | None = None) -> None:
        """End it, now or at ``end_time`` in ns since the epoch; later calls do nothing."""
        try:
            self._open.pop()
        except IndexError:
            return
        outer = self._agent
        if outer is not None and not outer._open and self._for_children() is self:
            # Past those that have ended: in a long chain each would keep the one before.
            while outer is not None and not outer._open:
                outer = outer._agent
            self._agent = outer
        end_time = _when(end_time)
        if not self.operation:
            self.span.end(end_time)
            return
        ended = time.perf_counter_ns()
        seconds = (ended - self._begun) / 1e9
        if self._started is not None:
            seconds = max((end_time or time.time_ns()) - self._started, 0) / 1e9
        labels = self._labels()
        try:
            self._tell_usage(labels)
            if self._chunks:
                self.span.set_attribute("coati.stream.chunks", self._chunks)
        except Exception:
            _logger.exception("the usage of %s cannot be told", self.operation)
        finally:
            self.span.end(end_time)
        if self._error is not None:
            labels["error.type"] = self._error
        if self._first and self.operation in _INFERENCE:
            first = (self._first - self._begun) / 1e9
            metrics.record(f"{metrics.INFERENCE}.time_to_first_chunk", first, labels)
        duration = _DURATIONS.get(self.operation, "gen_ai.client.operation.duration")
        metrics.record(duration, seconds, labels)
        if self.operation == "invoke_agent":
            inside = self._inside
            metrics.record("gen_ai.invoke_agent.inference_calls", inside.inference_calls, labels)
            metrics.record("gen_ai.invoke_agent.tool_calls", inside.tool_calls, labels)

    def _labels(self) -> dict[str, Any]:
        known = self._attributes
        labels = {name: known[name] for name in _LABELS if name in known}
        if self.operation not in _INTERNAL:
            labels.setdefault("gen_ai.provider.name", UNKNOWN)
        if self._response is not None:
            labels["gen_ai.response.model"] = self._response
        return labels

    def _tell_usage(self, labels: Mapping[str, Any]) -> None:
        inference = self.operation in _INFERENCE
        usage, dollars = self._usage, None
        provider = self._attributes.get("gen_ai.provider.name")
        model = self._response or self._attributes.get("gen_ai.request.model")
        if usage is not None and self.operation not in _INTERNAL:
            dollars = cost(provider, model, usage)
            if dollars is None and model != self._attributes.get("gen_ai.request.model"):
                dollars = cost(provider, self._attributes.get("gen_ai.request.model"), usage)
        self._count_for_agent(usage, dollars)
        if dollars is not None:
            self.span.set_attribute("coati.usage.cost_usd", dollars)
            metrics.add("coati.usage.cost_usd", dollars, labels)
        tokens, total = self._inside.tokens, self._inside.dollars
        if self.operation == "invoke_agent" and usage is None and tokens is not None:
            # Caches of different models are not added up.
            usage = Usage(tokens.input_tokens, tokens.output_tokens)
        self.cost_usd = dollars if total is None else total
        if total is not None:
            self.span.set_attribute("coati.usage.total_cost_usd", total)
        if usage is None:
            return
        told = usage.attributes()
        self.span.set_attributes(told)
        if not inference:
            return
        for name, count in told.items():
            metrics.add(f"{metrics.INFERENCE}.{name.removeprefix('gen_ai.')}", count, labels)
        for name in ("input_tokens", "output_tokens"):
            used = getattr(usage, name)
            if used is not None:
                metrics.record(f"{metrics.INFERENCE}.operation.{name}", used, labels)

    def _count_for_agent(self, usage: Usage | None, dollars: float | None) -> None:
        """Add to what those around it have used."""
        inference = self.operation in _INFERENCE
        outer = self._agent
        while outer is not None:
            if inference:
                outer._inside.add_inference(usage)
            elif self.operation == "execute_tool":
                outer._inside.add_tool_call()
            if dollars is not None:
                outer._inside.add_cost(dollars)
            outer = outer._agent

    def __enter__(self) -> Operation:
        self._token = attach(self.span)
        self._reset = _current.set(self)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        # Tokens keep what was current before.
        token, reset, self._token, self._reset = self._token, self._reset, None, None
        if token is not None:
            token.detach()
        if reset is not None:
            # It may be left in another context than entered, as by an abandoned generator.
            with contextlib.suppress(ValueError):
                _current.reset(reset)
        # A generator that is left early has not failed.
        if error is not None and not isinstance(error, GeneratorExit):
            self.fail(error)
        self.end()

    async def __aenter__(self) -> Operation:
        return self.__enter__()

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.__exit__(kind, error, trace)


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}


def _when(given: Any) -> int | None:
    """A time that spans take; None, which is now, for what is none."""
    try:
        when = int(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return when if 0 <= when < 2**63 else None


def provided(provider: object, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Attributes with the provider's name, which is required."""
    return {"gen_ai.provider.name": provider_name(provider), **(attributes or {})}

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
from urllib.parse import urlsplit

from coati import SpanContext, genai
from coati._adapter import Entry, Open, around, harmless, scalars

__all__ = ["Processor", "install", "uninstall"]

_TRACER = "openai.agents"
#: Spans of the SDK's own whose data have commands and their output; others say what their author
#: has put there to be told.
_WITH_CONTENTS = ("Codex ", "sandbox.")
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
        begin = _BEGIN.get(data.type, _other)
        operation = begin(data, {**self._around(span), "tracer": _TRACER})
        self._begin(span.span_id, Entry(operation, data.type, _raised()))

    @harmless
    def on_span_end(self, span: Any) -> None:
        """A span ends."""
        entry = self._open.pop(span.span_id)
        if entry is None:
            return
        try:
            complete = _END.get(entry.kind)
            if complete is not None:
                complete(entry.operation, span.span_data)
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


def _agent(data: Any, where: dict[str, Any]) -> Any:
    tools, handoffs = data.tools, data.handoffs
    return genai.agent(
        data.name,
        **where,
        attributes={
            "openai_agents.tools": list(tools) if tools else None,
            "openai_agents.handoffs": list(handoffs) if handoffs else None,
            "openai_agents.output_type": data.output_type,
        },
    )


def _agent_end(operation: Any, data: Any) -> None:
    # Known only once the agent's turn has begun.
    operation.set({"openai_agents.tools": list(data.tools) if data.tools else None})


def _function(data: Any, where: dict[str, Any]) -> Any:
    return genai.tool(data.name, **where)


def _function_end(operation: Any, data: Any) -> None:
    if data.mcp_data:
        operation.set({"gen_ai.tool.type": "extension"})
        operation.set(scalars("openai_agents.mcp.", data.mcp_data))
    if data.input is not None:
        operation.arguments(data.input)
    if data.output is not None:
        operation.result(lambda: str(data.output))


def _generation(data: Any, where: dict[str, Any]) -> Any:
    config = data.model_config or {}
    address = urlsplit(str(config.get("base_url") or ""))
    return genai.inference(
        data.model,
        provider=_provider(data.model, address.hostname),
        server_address=address.hostname,
        server_port=address.port,
        request=_settings(config),
        **where,
    )


def _generation_end(operation: Any, data: Any) -> None:
    if data.model is not None:
        operation.request(model=data.model)
        operation.span.update_name(f"chat {data.model}")
    operation.response(usage=data.usage)
    if data.input is not None:
        operation.input(data.input)
    if data.output is not None:
        operation.output(data.output)


def _response(data: Any, where: dict[str, Any]) -> Any:
    return genai.inference(None, provider="openai", **where)


def _response_end(operation: Any, data: Any) -> None:
    answer = data.response
    usage = data.usage if data.usage is not None else getattr(answer, "usage", None)
    if answer is not None:
        model = getattr(answer, "model", None)
        if model:
            operation.request(model=model)
            operation.span.update_name(f"chat {model}")
        operation.request(
            {
                name: getattr(answer, name, None)
                for name in ("temperature", "top_p", "max_output_tokens")
            }
        )
        operation.response(
            model=model,
            id=getattr(answer, "id", None),
            finish_reasons=_finish(answer),
            usage=usage,
        )
        operation.output(lambda: [_plain(item) for item in answer.output])
    else:
        operation.response(id=getattr(data, "_response_id", None), usage=usage)
    if data.input is not None:
        operation.input(data.input)


def _finish(answer: Any) -> str | None:
    incomplete = getattr(answer, "incomplete_details", None)
    return getattr(incomplete, "reason", None) or getattr(answer, "status", None)


def _plain(item: Any) -> Any:
    """An item of an answer as a message."""
    item = item.model_dump(exclude_unset=True) if hasattr(item, "model_dump") else item
    if isinstance(item, dict) and item.get("type") == "function_call":
        call = {"id": item.get("call_id"), **item}
        return {"role": "assistant", "tool_calls": [call]}
    return item


def _handoff(data: Any, where: dict[str, Any]) -> Any:
    return genai.step("handoff", **where, attributes=_ends(data))


def _handoff_end(operation: Any, data: Any) -> None:
    operation.set(_ends(data))
    if data.to_agent:
        operation.span.update_name(f"handoff {data.to_agent}")


def _ends(data: Any) -> dict[str, Any]:
    return {
        "openai_agents.handoff.from": data.from_agent,
        "openai_agents.handoff.to": data.to_agent,
    }


def _guardrail(data: Any, where: dict[str, Any]) -> Any:
    return genai.step(f"guardrail {data.name}", **where)


def _guardrail_end(operation: Any, data: Any) -> None:
    operation.set({"openai_agents.guardrail.triggered": bool(data.triggered)})


def _named(data: Any, where: dict[str, Any]) -> Any:
    return genai.step(f"{data.type} {data.name}", **where)


def _turn(data: Any, where: dict[str, Any]) -> Any:
    attributes = {"openai_agents.turn": data.turn, "gen_ai.agent.name": data.agent_name}
    return genai.step(f"turn {data.turn}", **where, attributes=attributes)


def _sum_end(operation: Any, data: Any) -> None:
    # Under names of their own: these tokens are those of the model calls inside.
    operation.set(scalars("openai_agents.usage.", data.usage))


def _custom(data: Any, where: dict[str, Any]) -> Any:
    return genai.step(data.name, **where)


def _custom_end(operation: Any, data: Any) -> None:
    found = scalars("openai_agents.data.", data.data)
    if str(data.name).startswith(_WITH_CONTENTS) and not genai.captures_content():
        found = {name: value for name, value in found.items() if not isinstance(value, str)}
    operation.set(found)


def _speech(data: Any, where: dict[str, Any]) -> Any:
    operation = {"speech": "text_to_speech", "transcription": "speech_to_text"}[data.type]
    return genai.inference(
        data.model,
        provider=_provider(data.model, None),
        operation=operation,
        request=_settings(data.model_config or {}),
        **where,
    )


def _speech_end(operation: Any, data: Any) -> None:
    operation.set({"openai_agents.first_content_at": getattr(data, "first_content_at", None)})
    # Sound itself is never kept.
    text = data.input if operation.operation == "text_to_speech" else data.output
    if text is not None:
        operation.input(text) if data.type == "speech" else operation.output(text)


def _mcp(data: Any, where: dict[str, Any]) -> Any:
    return genai.step("list_tools", **where, attributes={"openai_agents.mcp.server": data.server})


def _mcp_end(operation: Any, data: Any) -> None:
    operation.set({"openai_agents.mcp.server": data.server})
    operation.set({"openai_agents.mcp.tools": list(data.result) if data.result else None})


def _other(data: Any, where: dict[str, Any]) -> Any:
    return genai.step(str(getattr(data, "name", None) or data.type), **where)


_BEGIN = {
    "agent": _agent,
    "custom": _custom,
    "function": _function,
    "generation": _generation,
    "guardrail": _guardrail,
    "handoff": _handoff,
    "mcp_tools": _mcp,
    "response": _response,
    "speech": _speech,
    "task": _named,
    "transcription": _speech,
    "turn": _turn,
}
_END = {
    "agent": _agent_end,
    "custom": _custom_end,
    "function": _function_end,
    "generation": _generation_end,
    "guardrail": _guardrail_end,
    "handoff": _handoff_end,
    "mcp_tools": _mcp_end,
    "response": _response_end,
    "speech": _speech_end,
    "task": _sum_end,
    "transcription": _speech_end,
    "turn": _sum_end,
}


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a model's settings that conventions know."""
    return {name: value for name, value in config.items() if name not in {"model", "stop"}}


def _provider(model: str | None, host: str | None) -> str | None:
    """Whose model it is: by the host that is asked, or as a router's prefix says."""
    if host and host.endswith("openai.com"):
        return "openai"
    if host and host.endswith("azure.com"):
        return "azure.ai.openai"
    if model and "/" in model:
        return model.split("/", 1)[0]
    return None if host else "openai"


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
        tracing.TracingProcessor.register(Processor)
        _installed = _Installed(tracing.get_trace_provider(), keep_others)
    return _installed.processor


def uninstall() -> None:
    """Take the processor away and put back those that it replaced."""
    global _installed  # noqa: PLW0603
    if _installed is not None:
        _installed.remove()
        _installed = None

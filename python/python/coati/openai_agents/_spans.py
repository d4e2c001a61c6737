"""What the SDK's kinds of spans are here, and what their data tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from coati import genai
from coati._adapter import scalars
from coati.genai import Operation

#: Spans of the SDK's own whose data have commands and their output; others say what their author
#: has put there to be told.
_WITH_CONTENTS = ("Codex ", "sandbox.")


def begin(data: Any, where: dict[str, Any]) -> Operation:
    """The operation for a span that begins."""
    return _BEGIN.get(data.type, _other)(data, where)


def complete(operation: Operation, kind: str, data: Any) -> None:
    """Tell of what is known at the span's end."""
    tell = _END.get(kind)
    if tell is not None:
        tell(operation, data)


def _agent(data: Any, where: dict[str, Any]) -> Operation:
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


def _agent_end(operation: Operation, data: Any) -> None:
    # Known only once the agent's turn has begun.
    operation.set({"openai_agents.tools": list(data.tools) if data.tools else None})


def _function(data: Any, where: dict[str, Any]) -> Operation:
    return genai.tool(data.name, **where)


def _function_end(operation: Operation, data: Any) -> None:
    if data.mcp_data:
        operation.set({"gen_ai.tool.type": "extension"})
        operation.set(scalars("openai_agents.mcp.", data.mcp_data))
    if data.input is not None:
        operation.arguments(data.input)
    if data.output is not None:
        operation.result(lambda: str(data.output))


def _generation(data: Any, where: dict[str, Any]) -> Operation:
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


def _generation_end(operation: Operation, data: Any) -> None:
    if data.model is not None:
        operation.request(model=data.model)
        operation.span.update_name(f"chat {data.model}")
    operation.response(usage=data.usage)
    if data.input is not None:
        operation.input(data.input)
    if data.output is not None:
        operation.output(data.output)


def _response(data: Any, where: dict[str, Any]) -> Operation:
    return genai.inference(None, provider="openai", **where)


def _response_end(operation: Operation, data: Any) -> None:
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


def _handoff(data: Any, where: dict[str, Any]) -> Operation:
    return genai.step("handoff", **where, attributes=_ends(data))


def _handoff_end(operation: Operation, data: Any) -> None:
    operation.set(_ends(data))
    if data.to_agent:
        operation.span.update_name(f"handoff {data.to_agent}")


def _ends(data: Any) -> dict[str, Any]:
    return {
        "openai_agents.handoff.from": data.from_agent,
        "openai_agents.handoff.to": data.to_agent,
    }


def _guardrail(data: Any, where: dict[str, Any]) -> Operation:
    return genai.step(f"guardrail {data.name}", **where)


def _guardrail_end(operation: Operation, data: Any) -> None:
    operation.set({"openai_agents.guardrail.triggered": bool(data.triggered)})


def _named(data: Any, where: dict[str, Any]) -> Operation:
    return genai.step(f"{data.type} {data.name}", **where)


def _turn(data: Any, where: dict[str, Any]) -> Operation:
    attributes = {"openai_agents.turn": data.turn, "gen_ai.agent.name": data.agent_name}
    return genai.step(f"turn {data.turn}", **where, attributes=attributes)


def _sum_end(operation: Operation, data: Any) -> None:
    # Under names of their own: these tokens are those of the model calls inside.
    operation.set(scalars("openai_agents.usage.", data.usage))


def _custom(data: Any, where: dict[str, Any]) -> Operation:
    return genai.step(data.name, **where)


def _custom_end(operation: Operation, data: Any) -> None:
    found = scalars("openai_agents.data.", data.data)
    if str(data.name).startswith(_WITH_CONTENTS) and not genai.captures_content():
        found = {name: value for name, value in found.items() if not isinstance(value, str)}
    operation.set(found)


def _speech(data: Any, where: dict[str, Any]) -> Operation:
    operation = {"speech": "text_to_speech", "transcription": "speech_to_text"}[data.type]
    return genai.inference(
        data.model,
        provider=_provider(data.model, None),
        operation=operation,
        request=_settings(data.model_config or {}),
        **where,
    )


def _speech_end(operation: Operation, data: Any) -> None:
    operation.set({"openai_agents.first_content_at": getattr(data, "first_content_at", None)})
    # Sound itself is never kept.
    text = data.input if operation.operation == "text_to_speech" else data.output
    if text is not None:
        operation.input(text) if data.type == "speech" else operation.output(text)


def _mcp(data: Any, where: dict[str, Any]) -> Operation:
    return genai.step("list_tools", **where, attributes={"openai_agents.mcp.server": data.server})


def _mcp_end(operation: Operation, data: Any) -> None:
    operation.set({"openai_agents.mcp.server": data.server})
    operation.set({"openai_agents.mcp.tools": list(data.result) if data.result else None})


def _other(data: Any, where: dict[str, Any]) -> Operation:
    return genai.step(str(getattr(data, "name", None) or data.type), **where)


#: What begins a span, by its type.
_BEGIN: dict[str, Callable[[Any, dict[str, Any]], Operation]] = {
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
#: What completes it.
_END: dict[str, Callable[[Operation, Any], None]] = {
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

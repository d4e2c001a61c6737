"""Whether messages, arguments and results are kept, and the form in which they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from coati._native import _genai_content

_logger = logging.getLogger(__name__)

_BUILT = (str, bytes, Mapping)


def captures_content() -> bool:
    """Whether contents are kept: ``genai.capture_content`` of the configuration, which the variable
    ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` feeds. False unless asked for."""
    return _genai_content()


def kept(content: Any | Callable[[], Any]) -> Any:
    """The content, made now if it is a function."""
    return content() if callable(content) else content


def safely(make: Callable[..., Any], *given: Any) -> Any:
    """What it makes of these; None where it cannot, which is logged."""
    try:
        return make(*given)
    except Exception:
        _logger.warning("a content cannot be kept", exc_info=True)
        return None


def messages(given: Any, role: str = "user") -> list[dict[str, Any]]:
    """Messages as OpenTelemetry's schema has them: ``role`` and ``parts``.

    Takes a text, a message or several: dicts with ``role`` and ``content`` as OpenAI and Anthropic
    have them, or with ``parts`` already. ``role`` is that of what has none.
    """
    if isinstance(given, _BUILT) or not isinstance(given, Iterable):
        given = [given]
    return [_message(message, role) for message in given]


def _message(message: Any, role: str) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        return {"role": role, "parts": [{"type": "text", "content": message}]}
    if "parts" in message:
        return {"role": role, **message}
    found: list[dict[str, Any]] = []
    content = message.get("content")
    if message.get("tool_call_id") is not None:
        found.append(
            {"type": "tool_call_response", "id": message["tool_call_id"], "response": content}
        )
    elif content not in (None, "", []):
        blocks = content if isinstance(content, (list, tuple)) else [content]
        found.extend(_part(block) for block in blocks)
    calls = message.get("tool_calls") or ()
    found.extend(_call(call) for call in (calls if isinstance(calls, (list, tuple)) else [calls]))
    result = {"role": str(message.get("role", role)), "parts": found}
    reason = message.get("finish_reason")
    return result if reason is None else {**result, "finish_reason": reason}


def _part(block: Any) -> dict[str, Any]:
    if not isinstance(block, Mapping):
        return {"type": "text", "content": block}
    kind = block.get("type")
    if kind in ("text", "input_text", "output_text"):
        return {"type": "text", "content": block.get("text", block.get("content"))}
    if kind == "tool_use":
        return {
            "type": "tool_call",
            "id": block.get("id"),
            "name": block.get("name"),
            "arguments": block.get("input"),
        }
    if kind == "tool_result":
        return {
            "type": "tool_call_response",
            "id": block.get("tool_use_id"),
            "response": block.get("content"),
        }
    return dict(block)


def _call(call: Any) -> dict[str, Any]:
    if not isinstance(call, Mapping):
        return {"type": "tool_call", "name": str(call)}
    function = call.get("function")
    inner = function if isinstance(function, Mapping) else call
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": inner.get("name"),
        "arguments": inner.get("arguments", inner.get("args")),
    }

"""What LlamaIndex' events tell about the operation that is under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coati import genai
from coati._adapter import harmless
from coati.llama_index._kinds import Call


def model_starts(call: Call, event: Any) -> None:
    """A model is asked."""
    operation = call.operation
    known = getattr(event, "model_dict", None) or {}
    operation.request({k: v for k, v in known.items() if k != "model"})
    operation.request({k: v for k, v in (event.additional_kwargs or {}).items() if k != "model"})
    if hasattr(event, "messages"):
        operation.input(lambda: [message(each) for each in event.messages])
    else:
        operation.input(lambda: event.prompt)


def model_streams(call: Call, _: Any) -> None:
    """A chunk of an answer has come."""
    call.operation.chunk()


def model_answers(call: Call, event: Any) -> None:
    """A model has answered."""
    if event.response is not None:
        answer(call, event.response)


def answer(call: Call, response: Any) -> None:
    """Tell of a model's answer."""
    call.answered = True
    raw = getattr(response, "raw", None)
    extra = getattr(response, "additional_kwargs", None) or {}
    provider = None
    usage = genai.Usage.of(raw, provider) or genai.Usage.of(extra, provider)
    call.operation.response(
        model=_text(raw, "model"),
        id=_text(raw, "id"),
        finish_reasons=_finish(raw),
        usage=usage,
    )
    call.operation.output(lambda: _content(response))


def _value(raw: Any, name: str) -> Any:
    return raw.get(name) if isinstance(raw, dict) else getattr(raw, name, None)


def _text(raw: Any, name: str) -> str | None:
    found = _value(raw, name)
    return found if isinstance(found, str) else None


def _finish(raw: Any) -> list[str] | None:
    choices = _value(raw, "choices")
    if isinstance(choices, list):
        reasons = [_text(choice, "finish_reason") for choice in choices]
        return [reason for reason in reasons if reason] or None
    reason = _text(raw, "stop_reason") or _text(raw, "finish_reason")
    return [reason] if reason else None


def _content(response: Any) -> Any:
    found = getattr(response, "message", None)
    return message(found) if found is not None else getattr(response, "text", None)


def message(given: Any) -> dict[str, Any]:
    """A message as a dict with role and content."""
    role = getattr(given.role, "value", given.role)
    calls = [
        {"id": block.tool_call_id, "name": block.tool_name, "arguments": block.tool_kwargs}
        for block in getattr(given, "blocks", ())
        if getattr(block, "block_type", None) == "tool_call"
    ]
    found = {"role": str(role), "content": given.content, "tool_calls": calls}
    answers = (given.additional_kwargs or {}).get("tool_call_id")
    return found if answers is None else {**found, "tool_call_id": answers}


def fails(call: Call, event: Any) -> None:
    """A stream has broken off."""
    if not isinstance(event.exception, GeneratorExit):
        call.operation.fail(event.exception)


def embedded(call: Call, event: Any) -> None:
    """Embeddings have been made."""
    call.operation.set({"llama_index.embeddings": len(event.chunks)})
    call.operation.input(lambda: list(event.chunks))


def retrieved(call: Call, event: Any) -> None:
    """Nodes have been found."""
    call.operation.set({"llama_index.nodes": len(event.nodes)})


def reranks(call: Call, event: Any) -> None:
    """Nodes are put in order by a model."""
    call.operation.set({"gen_ai.request.model": event.model_name, "llama_index.top_n": event.top_n})


def cancelled(call: Call, event: Any) -> None:
    """A workflow or a step of it has been cancelled."""
    call.operation.set({"llama_index.cancelled": event.reason})


def told(call: Call, event: Any) -> None:
    """What a step or a workflow gave, in short."""
    call.operation.output(lambda: event.output)


#: By name, as some are of packages that need not be there.
EVENTS: dict[str, Callable[[Call, Any], None]] = {
    "EmbeddingEndEvent": embedded,
    "ExceptionEvent": fails,
    "LLMChatEndEvent": model_answers,
    "LLMChatInProgressEvent": model_streams,
    "LLMChatStartEvent": model_starts,
    "LLMCompletionEndEvent": model_answers,
    "LLMCompletionInProgressEvent": model_streams,
    "LLMCompletionStartEvent": model_starts,
    "ReRankStartEvent": reranks,
    "RetrievalEndEvent": retrieved,
    "SparseEmbeddingEndEvent": embedded,
    "SpanCancelledEvent": cancelled,
    "WorkflowRunOutputEvent": told,
    "WorkflowStepOutputEvent": told,
}
#: Those that concern model calls alone, and those after which a stream is over.
OF_MODELS = frozenset(name for name in EVENTS if name.startswith("LLM"))
LAST = frozenset({"LLMChatEndEvent", "LLMCompletionEndEvent", "ExceptionEvent"})

complete_answer = harmless(answer)

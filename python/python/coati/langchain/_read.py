"""What LangChain's arguments say, by the names of the conventions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coati import genai
from coati.genai import Usage

_MODEL = ("model", "model_name", "model_id", "deployment_name", "azure_deployment")
#: Metadata that frameworks add for themselves.
_INTERNAL = ("ls_", "lc_", "langgraph_", "__", "checkpoint_", "langchain_")
_INTERNAL_TAGS = ("seq:step:", "map:key:", "graph:step:", "langsmith:", "langgraph:")
_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}


def name_of(serialized: Any, name: Any, default: str) -> str:
    """What a run is called."""
    if name:
        return str(name)
    if isinstance(serialized, Mapping):
        path = serialized.get("id")
        found = serialized.get("name") or (path[-1] if path else None)
        if found:
            return str(found)
    return default


def conversation(metadata: Any) -> str | None:
    """The thread that a run is of."""
    found = (metadata or {}).get("thread_id")
    return None if found is None else str(found)


def told(run_id: Any, tags: Any, metadata: Any) -> dict[str, Any]:
    """Attributes of every run."""
    attributes: dict[str, Any] = {"langchain.run_id": str(run_id)}
    own = [tag for tag in tags or () if not str(tag).startswith(_INTERNAL_TAGS)]
    if own:
        attributes["langchain.tags"] = own
    for key, value in (metadata or {}).items():
        name = str(key)
        if isinstance(value, (str, int, float, bool)) and not name.startswith(_INTERNAL):
            attributes[f"langchain.metadata.{name}"] = value
    node = (metadata or {}).get("langgraph_node")
    if node is not None:
        attributes["langgraph.node"] = node
        attributes["langgraph.step"] = metadata.get("langgraph_step")
    return attributes


def model(metadata: Any, parameters: Any) -> str | None:
    """The model that is asked for."""
    found = (metadata or {}).get("ls_model_name")
    if found is None:
        found = next((v for name in _MODEL if (v := (parameters or {}).get(name))), None)
    return None if found is None else str(found)


def request(metadata: Any, parameters: Any) -> dict[str, Any]:
    """What is asked for."""
    given = {k: v for k, v in (parameters or {}).items() if k != "model"}
    for key in ("temperature", "max_tokens", "stop"):
        value = (metadata or {}).get(f"ls_{key}")
        if value is not None:
            given.setdefault(key, value)
    return given


def answer(operation: genai.Operation, response: Any, provider: str | None) -> None:
    """Tell of a model's answer: an ``LLMResult``."""
    output = response.llm_output if isinstance(response.llm_output, Mapping) else {}
    generations = [each for several in response.generations for each in several]
    reasons, usage, name, identity = [], None, output.get("model_name"), output.get("id")
    for generation in generations:
        message = getattr(generation, "message", None)
        about = getattr(message, "response_metadata", None) or {}
        info = {**about, **(generation.generation_info or {})}
        reason = info.get("finish_reason") or info.get("stop_reason")
        if reason is not None:
            reasons.append(str(reason))
        name = about.get("model_name") or about.get("model") or info.get("model_name") or name
        identity = about.get("id") or identity
        # Several choices of one answer share what it used.
        if usage is None:
            usage = Usage.of(getattr(message, "usage_metadata", None), "langchain")
        if usage is None and info:
            usage = Usage.of(info, provider)
    operation.response(
        model=name and str(name),
        id=identity and str(identity),
        finish_reasons=reasons,
        usage=usage if usage is not None else Usage.of(output, provider),
    )
    operation.output(lambda: [_generated(generation) for generation in generations])


def _generated(generation: Any) -> Any:
    found = getattr(generation, "message", None)
    return message(found) if found is not None else generation.text


def messages(given: Iterable[Any]) -> list[Any]:
    """Messages as ``Operation.input`` takes them."""
    return [message(each) for each in given]


def message(given: Any) -> Any:
    """One message."""
    if not hasattr(given, "content"):
        return given
    return {
        "role": _ROLES.get(given.type, given.type),
        "content": given.content,
        "tool_calls": getattr(given, "tool_calls", None),
        "tool_call_id": getattr(given, "tool_call_id", None),
    }


def steers(error: BaseException) -> bool:
    """Whether it is no error but how LangGraph leaves a node: an interrupt or a command."""
    return any(
        kind.__name__ == "GraphBubbleUp" and kind.__module__ == "langgraph.errors"
        for kind in type(error).__mro__
    )

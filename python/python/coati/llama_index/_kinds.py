"""What a function of LlamaIndex is, by its instance's class and its name, and its operation."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from coati import genai, get_tracer
from coati._adapter import Entry

TRACER = get_tracer("llama_index")
_MODEL_CALLS = {
    "chat": "chat",
    "achat": "chat",
    "stream_chat": "chat",
    "astream_chat": "chat",
    "complete": "text_completion",
    "acomplete": "text_completion",
    "stream_complete": "text_completion",
    "astream_complete": "text_completion",
}
_TOOL_CALLS = frozenset({"call", "acall", "__call__"})
_RETRIEVALS = frozenset({"retrieve", "aretrieve"})
#: Classes that say what an instance is, the nearest in its line first.
_KINDS = {
    "BaseLLM": "llm",
    "MultiModalLLM": "llm",
    "BaseEmbedding": "embedding",
    "BaseSparseEmbedding": "embedding",
    "BaseRetriever": "retriever",
    "BaseImageRetriever": "retriever",
    "BaseTool": "tool",
    "BaseWorkflowAgent": "agent",
    "Workflow": "workflow",
}


class Call(Entry):
    """A function of LlamaIndex under way."""

    __slots__ = ("answered", "made_of", "parent")

    def __init__(self, operation: Any, kind: str, source: Any, parent: str | None) -> None:
        super().__init__(operation, kind, source)
        self.parent = parent
        #: Whether its answer has been told of.
        self.answered = False
        #: What a stream that has not been read from may be made of.
        self.made_of: Any = None


@lru_cache(maxsize=4096)
def kind(of: type) -> str:
    """What the instances of a class are."""
    for base in of.__mro__:
        if base.__module__.startswith(("llama_index", "workflows")) and base.__name__ in _KINDS:
            return _KINDS[base.__name__]
    return ""


@lru_cache(maxsize=4096)
def provider(of: type) -> str | None:
    """Whose models a class asks, as its integration's package says."""
    for base in of.__mro__:
        parts = base.__module__.split(".")
        if parts[0] == "llama_index" and parts[1:2] in (["llms"], ["embeddings"]):
            return parts[2]
    return None


def begin(
    name: str, bound: Any, instance: Any, outer: Call | None, where: dict[str, Any]
) -> tuple[Any, str]:
    """The operation for a function called ``Class.method``, and its kind."""
    method = name.rpartition(".")[2]
    what = "" if instance is None else kind(type(instance))  # type: ignore[arg-type]
    make = _MAKE.get(what)
    if make is None:
        return _step(name, method, bound, outer, where)
    # One that calls another of its own counts once.
    inner = outer is not None and outer.source is instance and outer.kind.endswith(what)
    operation = None if inner else make(method, instance, bound, where)
    if operation is not None:
        return operation, what
    step, _ = _step(name, method, bound, outer, where)
    return step, f"inner {what}" if inner else ""


def _model(method: str, instance: Any, _: Any, where: dict[str, Any]) -> Any:
    operation = _MODEL_CALLS.get(method)
    if operation is None or _wraps(instance):
        return None
    return genai.inference(
        _model_name(instance),
        provider=provider(type(instance)),  # type: ignore[arg-type]
        operation=operation,
        request={
            name: getattr(instance, name, None) for name in ("temperature", "max_tokens", "top_p")
        },
        **where,
    )


def _model_name(instance: Any) -> str | None:
    for name in ("model", "model_name"):
        found = getattr(instance, name, None)
        if isinstance(found, str):
            return found
    try:
        found = instance.metadata.model_name
    # Some ask their provider, which may be away.
    except Exception:
        return None
    return found if isinstance(found, str) and found != "unknown" else None


def _wraps(instance: Any) -> bool:
    """Whether another model does the work, as for structured answers."""
    inner = getattr(instance, "llm", None)
    return inner is not None and kind(type(inner)) == "llm"  # type: ignore[arg-type]


def _embedding(method: str, instance: Any, _: Any, where: dict[str, Any]) -> Any:
    if "embedding" not in method or method[0] == "_":
        return None
    model = getattr(instance, "model_name", None)
    model = None if model == "unknown" else model
    return genai.embeddings(model, provider=provider(type(instance)), **where)  # type: ignore[arg-type]


def _retrieval(method: str, instance: Any, _: Any, where: dict[str, Any]) -> Any:
    if method not in _RETRIEVALS:
        return None
    index = getattr(getattr(instance, "_index", None), "index_id", None)
    attributes = {"llama_index.retriever": type(instance).__name__}
    if hasattr(instance, "similarity_top_k"):
        attributes["gen_ai.request.top_k"] = instance.similarity_top_k
    return genai.retrieval(
        index if isinstance(index, str) else None, **where, attributes=attributes
    )


def _tool(method: str, instance: Any, bound: Any, where: dict[str, Any]) -> Any:
    if method not in _TOOL_CALLS:
        return None
    about = instance.metadata
    operation = genai.tool(about.name, description=about.description, **where)
    operation.arguments(lambda: {**_positional(bound), **bound.kwargs})
    return operation


def _agent(method: str, instance: Any, _: Any, where: dict[str, Any]) -> Any:
    return genai.agent(getattr(instance, "name", None), **where) if method == "run" else None


def _workflow(method: str, instance: Any, _: Any, where: dict[str, Any]) -> Any:
    return genai.workflow(type(instance).__name__, **where) if method == "run" else None


_MAKE: dict[str, Callable[..., Any]] = {
    "agent": _agent,
    "embedding": _embedding,
    "llm": _model,
    "retriever": _retrieval,
    "tool": _tool,
    "workflow": _workflow,
}


def _positional(bound: Any) -> dict[str, Any]:
    return {str(number): value for number, value in enumerate(bound.args)}


def _step(
    name: str, method: str, bound: Any, outer: Call | None, where: dict[str, Any]
) -> tuple[Any, str]:
    agent = None
    event = None if bound is None else bound.arguments.get("kwargs", bound.arguments).get("ev")
    if event is not None:
        agent = getattr(event, "current_agent_name", None)
    of_several = outer is not None and outer.kind == "workflow"
    if agent is not None and method == "run_agent_step" and of_several:
        # The agent whose turn it is.
        return genai.agent(str(agent), **where), "turn"
    return genai.step(name, **where, attributes={"gen_ai.agent.name": agent}), ""

"""The operations that OpenTelemetry has conventions for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from coati import Span, SpanContext, Tracer
from coati.genai.operation import Operation, provided
from coati.genai.prices import prepare

_Parent = Operation | Span | SpanContext | None


def inference(
    model: str | None = None,
    *,
    provider: object = None,
    operation: str = "chat",
    parent: _Parent = None,
    within: Operation | None = None,
    tracer: str | Tracer = "coati.genai",
    start_time: int | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
    request: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Operation:
    """A model call: ``chat {model}``.

    Args:
        model: the model that is asked for.
        provider: whose it is, as libraries or OpenTelemetry call it; see ``provider_name``.
        operation: ``chat``, ``generate_content`` or ``text_completion``.
        parent: the operation, span or context around it; the current one unless given.
        within: the operation that this is part of, where ``parent`` is a span that is in it.
        tracer: the tracer, or its name.
        start_time: ns since the epoch, where it began earlier than now.
        server_address: host that is asked.
        server_port: its port.
        request: parameters of the request, as ``Operation.request`` takes them.
        attributes: more attributes of the span.
    """
    prepare()
    own = {
        "gen_ai.request.model": model,
        "server.address": server_address,
        "server.port": server_port,
        **(attributes or {}),
    }
    call = Operation(
        operation,
        model,
        kind="client",
        parent=parent,
        within=within,
        tracer=tracer,
        start_time=start_time,
        attributes=provided(provider, own),
    )
    return call.request(request) if request else call


def embeddings(
    model: str | None = None,
    *,
    provider: object = None,
    parent: _Parent = None,
    within: Operation | None = None,
    tracer: str | Tracer = "coati.genai",
    start_time: int | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Operation:
    """A call that makes embeddings: ``embeddings {model}``."""
    return inference(
        model,
        provider=provider,
        operation="embeddings",
        parent=parent,
        within=within,
        tracer=tracer,
        start_time=start_time,
        attributes=attributes,
    )


def retrieval(
    data_source: str | None = None,
    *,
    provider: object = None,
    parent: _Parent = None,
    within: Operation | None = None,
    tracer: str | Tracer = "coati.genai",
    start_time: int | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Operation:
    """A search for documents: ``retrieval {data_source}``."""
    return Operation(
        "retrieval",
        data_source,
        kind="client",
        parent=parent,
        within=within,
        tracer=tracer,
        start_time=start_time,
        attributes=provided(provider, {"gen_ai.data_source.id": data_source, **(attributes or {})}),
    )


def agent(
    name: str | None = None,
    *,
    id: str | None = None,
    description: str | None = None,
    version: str | None = None,
    conversation_id: str | None = None,
    model: str | None = None,
    provider: object = None,
    operation: Literal["invoke_agent", "create_agent", "plan"] = "invoke_agent",
    kind: Literal["internal", "client"] | None = None,
    parent: _Parent = None,
    within: Operation | None = None,
    tracer: str | Tracer = "coati.genai",
    start_time: int | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Operation:
    """An agent's work: ``invoke_agent {name}``.

    Its span tells the tokens of the model calls inside, unless it is told of a usage itself, and
    what they cost as ``coati.usage.total_cost_usd``.
    """
    own = {
        "gen_ai.agent.name": name,
        "gen_ai.agent.id": id,
        "gen_ai.agent.description": description,
        "gen_ai.agent.version": version,
        "gen_ai.conversation.id": conversation_id,
        "gen_ai.request.model": model,
        **(attributes or {}),
    }
    kind = kind or ("client" if operation == "create_agent" else "internal")
    if provider is not None or kind == "client":
        own = provided(provider, own)
    return Operation(
        operation,
        name,
        kind=kind,
        parent=parent,
        within=within,
        tracer=tracer,
        start_time=start_time,
        attributes=own,
    )


def tool(
    name: str | None = None,
    *,
    call_id: str | None = None,
    type: str | None = "function",
    description: str | None = None,
    parent: _Parent = None,
    within: Operation | None = None,
    tracer: str | Tracer = "coati.genai",
    start_time: int | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Operation:
    """A tool's work: ``execute_tool {name}``."""
    own = {
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.type": type,
        "gen_ai.tool.description": description,
        **(attributes or {}),
    }
    return Operation(
        "execute_tool",
        name,
        parent=parent,
        within=within,
        tracer=tracer,
        start_time=start_time,
        attributes=own,
    )


def workflow(
    name: str | None = None,
    *,
    conversation_id: str | None = None,
    parent: _Parent = None,
    within: Operation | None = None,
    tracer: str | Tracer = "coati.genai",
    start_time: int | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Operation:
    """A workflow, such as a graph: ``invoke_workflow {name}``."""
    own = {
        "gen_ai.workflow.name": name,
        "gen_ai.conversation.id": conversation_id,
        **(attributes or {}),
    }
    return Operation(
        "invoke_workflow",
        name,
        parent=parent,
        within=within,
        tracer=tracer,
        start_time=start_time,
        attributes=own,
    )


def step(
    name: str,
    *,
    parent: _Parent = None,
    within: Operation | None = None,
    tracer: str | Tracer = "coati.genai",
    start_time: int | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Operation:
    """A step that has no convention, such as a task or a node: a span without metrics.

    Calls inside count for the agent and the workflow around it.
    """
    return Operation(
        "",
        name,
        parent=parent,
        within=within,
        tracer=tracer,
        start_time=start_time,
        attributes=attributes,
    )

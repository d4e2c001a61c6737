"""What begins with an event of CrewAI, and what its end tells."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from coati import genai
from coati.genai import Operation

_Where = Mapping[str, Any]
_REQUEST = (
    "temperature",
    "top_p",
    "max_tokens",
    "stream",
    "seed",
    "stop_sequences",
    "frequency_penalty",
    "presence_penalty",
    "n",
)


def begin(source: Any, event: Any, where: _Where) -> Operation:
    """The operation that an event begins."""
    make = _BEGIN.get(event.type)
    if make is None:
        return genai.step(event.type.removesuffix("_started").replace("_", " "), **where)
    return make(source, event, where)


def _crew(_: Any, event: Any, where: _Where) -> Operation:
    crew = getattr(event, "crew", None)
    attributes = {"crewai.crew.id": _id(crew), "crewai.process": _value(crew, "process")}
    operation = genai.workflow(event.crew_name, **where, attributes=attributes)
    return operation.input(lambda: str(event.inputs)) if event.inputs else operation


def _flow(source: Any, event: Any, where: _Where) -> Operation:
    attributes = {"crewai.flow.id": getattr(source, "flow_id", None)}
    operation = genai.workflow(event.flow_name, **where, attributes=attributes)
    return operation.input(lambda: str(event.inputs)) if event.inputs else operation


def _method(_: Any, event: Any, where: _Where) -> Operation:
    return genai.step(f"{event.flow_name}.{event.method_name}", **where)


def _task(_: Any, event: Any, where: _Where) -> Operation:
    name = getattr(event.task, "name", None)
    attributes = {"crewai.task.id": _id(event.task), "crewai.task.name": name}
    # A task's description is what the model is told: no name.
    return genai.step(f"task {name}" if name else "task", **where, attributes=attributes)


def _agent(_: Any, event: Any, where: _Where) -> Operation:
    agent = event.agent
    model = getattr(getattr(agent, "llm", None), "model", None)
    operation = genai.agent(agent.role, id=_id(agent), model=_text(model), **where)
    return operation.input(event.task_prompt)


def _lite_agent(_: Any, event: Any, where: _Where) -> Operation:
    about = event.agent_info
    operation = genai.agent(about.get("role"), id=_text(about.get("id")), **where)
    return operation.input(lambda: event.messages)


def _plan(_: Any, event: Any, where: _Where) -> Operation:
    return genai.agent(event.agent_role, operation="plan", **where)


def _model(source: Any, event: Any, where: _Where) -> Operation:
    operation = genai.inference(
        event.model,
        provider=getattr(source, "provider", None),
        request={name: getattr(event, name, None) for name in _REQUEST},
        attributes={"gen_ai.agent.name": event.agent_role},
        **where,
    )
    return operation.input(lambda: event.messages)


def _tool(_: Any, event: Any, where: _Where) -> Operation:
    operation = genai.tool(
        event.tool_name, **where, attributes={"gen_ai.agent.name": event.agent_role}
    )
    return operation.arguments(lambda: event.tool_args)


def _mcp(_: Any, event: Any, where: _Where) -> Operation:
    tool = getattr(event, "tool_name", None)
    attributes = {"crewai.mcp.server": event.server_name, "crewai.mcp.tool": tool}
    name = f"mcp {tool}" if tool else f"mcp connect {event.server_name}"
    return genai.step(name, **where, attributes=attributes)


def _search(_: Any, event: Any, where: _Where) -> Operation:
    return Operation("search_memory", **where, attributes=_memory(event))


def _save(_: Any, event: Any, where: _Where) -> Operation:
    return Operation("upsert_memory", **where, attributes=_memory(event))


def _memory(event: Any) -> dict[str, Any]:
    return {"crewai.memory": event.source_type, "gen_ai.agent.name": event.agent_role}


def _knowledge(_: Any, event: Any, where: _Where) -> Operation:
    return genai.retrieval(None, **where, attributes={"gen_ai.agent.name": event.agent_role})


_BEGIN: dict[str, Callable[[Any, Any, _Where], Operation]] = {
    "agent_execution_started": _agent,
    "agent_reasoning_started": _plan,
    "crew_kickoff_started": _crew,
    "flow_started": _flow,
    "knowledge_search_query_started": _knowledge,
    "lite_agent_execution_started": _lite_agent,
    "llm_call_started": _model,
    "mcp_connection_started": _mcp,
    "mcp_tool_execution_started": _mcp,
    "memory_query_started": _search,
    "memory_retrieval_started": _search,
    "memory_save_started": _save,
    "method_execution_started": _method,
    "task_started": _task,
    "tool_usage_started": _tool,
}


def complete(operation: Operation, event: Any) -> None:
    """Tell of an end."""
    tell = _END.get(event.type)
    if tell is not None:
        tell(operation, event)
    error = getattr(event, "error", None)
    if event.type.endswith(("_failed", "_error")):
        _fail(operation, error, getattr(event, "error_type", None))
    elif event.type.endswith("_paused"):
        operation.set({"crewai.paused": True})


def _model_end(operation: Operation, event: Any) -> None:
    operation.response(id=event.response_id, finish_reasons=event.finish_reason, usage=event.usage)
    operation.output(lambda: _said(event.response))


def _said(response: Any) -> Any:
    if isinstance(response, list):
        return {"role": "assistant", "tool_calls": response}
    return response if isinstance(response, str) else str(response)


def _tool_end(operation: Operation, event: Any) -> None:
    operation.set({"crewai.tool.from_cache": True if event.from_cache else None})
    operation.result(lambda: str(event.output))
    failure = getattr(event, "failure", None)
    if failure is not None:
        operation.fail("tool_failure", str(getattr(failure, "message", failure)))


def _crew_end(operation: Operation, event: Any) -> None:
    operation.set({"crewai.total_tokens": getattr(event, "total_tokens", None) or None})
    operation.output(lambda: str(event.output))


def _output(operation: Operation, event: Any) -> None:
    operation.output(lambda: str(event.output))


def _found(operation: Operation, event: Any) -> None:
    if isinstance(event.results, list):
        operation.set({"crewai.results": len(event.results)})


def _guarded(operation: Operation, event: Any) -> None:
    operation.set({"crewai.guardrail.success": event.success})


_END: dict[str, Callable[[Operation, Any], None]] = {
    "agent_execution_completed": _output,
    "crew_kickoff_completed": _crew_end,
    "lite_agent_execution_completed": _output,
    "llm_call_completed": _model_end,
    "llm_guardrail_completed": _guarded,
    "memory_query_completed": _found,
    "tool_usage_finished": _tool_end,
}


def _fail(operation: Operation, error: Any, kind: Any) -> None:
    """Tell of an error, of which most events have the text only."""
    if isinstance(error, BaseException):
        return operation.fail(error)
    raised = sys.exc_info()[1]
    text = str(error)
    if raised is not None and str(raised) and str(raised) in text:
        return operation.fail(raised, text)
    name = kind.__qualname__ if isinstance(kind, type) else kind
    return operation.fail(str(name) if name else "_OTHER", text)


def _id(entity: Any) -> str | None:
    found = getattr(entity, "id", None)
    return None if found is None else str(found)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _value(entity: Any, name: str) -> str | None:
    found = getattr(entity, name, None)
    return _text(getattr(found, "value", found))

"""What a chain is: an agent, a graph, or a step such as a node."""

from __future__ import annotations

from typing import Any

from coati._adapter import Entry, Hidden


def kind(name: str, parent_id: Any, tags: Any, metadata: Any) -> str:
    """``agent``, ``workflow`` or ``step``."""
    metadata = metadata or {}
    if is_node(tags):
        return "step"
    integration = metadata.get("ls_integration")
    if name == "AgentExecutor":
        return "agent"
    if integration == "langchain_create_agent":
        return "agent" if parent_id is None or name == metadata.get("lc_agent_name") else "step"
    return "workflow" if integration == "langgraph" and parent_id is None else "step"


def is_node(tags: Any) -> bool:
    """Whether it is a node of a graph."""
    return any(str(tag).startswith("graph:step:") for tag in tags or ())


def make_workflow(entry: Entry) -> None:
    """Tell of a step that has nodes, and so is a graph inside another one."""
    if entry.kind != "step" or isinstance(entry, Hidden):
        return
    entry.kind = "workflow"
    operation = entry.operation
    operation.operation = "invoke_workflow"
    operation.set(
        {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": entry.source}
    )
    operation.span.update_name(f"invoke_workflow {entry.source}")


def make_passing(entry: Entry | None) -> None:
    """Tell of a model that asks another one: the tokens are the other's."""
    if entry is None or entry.kind != "model" or isinstance(entry, Hidden):
        return
    # Without a name it has no metrics, and counts for no agent.
    entry.operation.operation = ""

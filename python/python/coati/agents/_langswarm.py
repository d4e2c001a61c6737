"""The metrics that LangSwarm's integrations record, but for labels that name a session: each
session would be a series of its own."""

from __future__ import annotations

from typing import Any

from coati import counter, gauge, histogram
from coati.agents._finished import Finished


def record(finished: Finished) -> None:
    """Record what one call adds."""
    kind = _KINDS.get(finished.kind)
    if kind is not None:
        kind(finished, {"component": finished.kind})


def _ids(finished: Finished) -> dict[str, Any]:
    known = finished.attributes
    return {
        "provider": known.get("gen_ai.provider.name", "unknown"),
        "model": known.get("gen_ai.request.model", "unknown"),
    }


def _agent(finished: Finished, labels: dict[str, Any]) -> None:
    labels["agent_id"] = finished.attributes.get("gen_ai.agent.id") or finished.name
    labels |= _ids(finished)
    histogram("agent.response_time_ms").record(finished.seconds * 1e3, **labels)
    _errors(finished, labels)


def _model(finished: Finished, labels: dict[str, Any]) -> None:
    labels |= _ids(finished)
    usage, tokens = finished.usage, 0
    if usage is not None:
        of = {"agent_id": finished.agent or "unknown", "provider": labels["provider"]}
        for kind, amount in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            tokens += amount or 0
            if amount is not None:
                counter(f"agent.tokens.{kind}").add(amount, component="agent", **of)
                counter(f"tokens.{kind}").add(amount, **_ids(finished))
        counter("agent.tokens.total").add(tokens, component="agent", **of)
        counter("tokens.total").add(tokens, **_ids(finished))
        if finished.seconds > 0:
            gauge("tokens.rate").set(tokens / finished.seconds, **_ids(finished))
    if finished.cost_usd is not None:
        counter("tokens.cost").add(finished.cost_usd, **_ids(finished))
        if tokens:
            gauge("tokens.cost_per_token").set(finished.cost_usd / tokens, **_ids(finished))


def _tool(finished: Finished, labels: dict[str, Any]) -> None:
    method = finished.attributes.get("coati.tool.method", "execute")
    labels |= {"tool_name": finished.name, "method": method}
    _executions("tool", finished, labels)
    _errors(finished, labels)


def _session(finished: Finished, labels: dict[str, Any]) -> None:
    counter("session.created").add(1, **labels)
    histogram("session.duration_minutes").record(finished.seconds / 60, **labels)
    messages = finished.attributes.get("coati.session.messages")
    if messages is not None:
        gauge("session.message_count").set(messages, **labels)
    labels["operation"] = "session"
    _errors(finished, labels)


def _memory(finished: Finished, labels: dict[str, Any]) -> None:
    labels["backend"] = finished.attributes.get("gen_ai.memory.store.id", "unknown")
    if finished.name == "search":
        histogram("memory.search.query_time_ms").record(finished.seconds * 1e3, **labels)
        counter("memory.search.queries").add(1, **labels)
        results = finished.attributes.get("coati.memory.results")
        if results is not None:
            histogram("memory.search.results_count").record(results, **labels)
    labels["operation"] = finished.name
    both = {**labels, "status": finished.status}
    histogram("memory.operation_time_ms").record(finished.seconds * 1e3, **both)
    counter("memory.operations").add(1, **both)
    _errors(finished, labels)


def _workflow(finished: Finished, labels: dict[str, Any]) -> None:
    labels["workflow_id"] = finished.name
    _executions("workflow", finished, labels)
    _errors(finished, labels)


def _step(finished: Finished, labels: dict[str, Any]) -> None:
    known = finished.attributes
    labels |= {
        "component": "workflow",
        "workflow_id": known.get("gen_ai.workflow.name", "unknown"),
        "step_name": finished.name,
        "step_type": known.get("coati.step.type", "unknown"),
    }
    _executions("workflow.step", finished, labels)


def _component(finished: Finished, labels: dict[str, Any]) -> None:
    name = f"{finished.name}.{finished.attributes['coati.operation.name']}"
    histogram(f"{name}.duration_seconds").record(finished.seconds, status=finished.status)
    counter(f"{name}.calls_total").add(1, status=finished.status)
    if finished.error is not None:
        counter(f"{name}.errors_total").add(1, error_type=finished.error)


def _executions(prefix: str, finished: Finished, labels: dict[str, Any]) -> None:
    both = {**labels, "status": finished.status}
    histogram(f"{prefix}.execution_time_ms").record(finished.seconds * 1e3, **both)
    counter(f"{prefix}.executions").add(1, **both)


def _errors(finished: Finished, labels: dict[str, Any]) -> None:
    if finished.error is not None:
        counter(f"{finished.kind}.errors").add(1, error_type=finished.error, **labels)


_KINDS = {
    "agent": _agent,
    "component": _component,
    "memory": _memory,
    "model": _model,
    "session": _session,
    "step": _step,
    "tool": _tool,
    "workflow": _workflow,
}

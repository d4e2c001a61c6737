"""What agents, tools, sessions, memories and workflows record, each in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coati.compat.langswarm._config import ObservabilityConfig
from coati.compat.langswarm._trouble import tell
from coati.compat.langswarm.provider import ObservabilityProvider, create_observability_provider

__all__ = [
    "AgentObservability",
    "ComponentObservability",
    "MemoryObservability",
    "ObservabilityConfig",
    "ObservabilityProvider",
    "SessionObservability",
    "ToolObservability",
    "WorkflowObservability",
    "create_agent_observability",
    "create_all_observability_integrations",
    "create_memory_observability",
    "create_observability_provider",
    "create_session_observability",
    "create_tool_observability",
    "create_workflow_observability",
]


def _status(success: bool) -> str:
    return "success" if success else "failure"


class ComponentObservability:
    """What a kind of component records: its name stands before operations and metrics."""

    def __init__(self, component_name: str, provider: Any = None) -> None:
        self.component_name = component_name
        self.provider = provider or create_observability_provider()

    async def initialize(self) -> None:
        """Start the provider."""
        await self.provider.start()

    async def shutdown(self) -> None:
        """Flush the provider, which others may still use."""
        await self.provider.flush()

    def log_operation(self, operation: str, level: str = "info", /, **kwargs: Any) -> None:
        """Write a line."""
        kwargs.setdefault("operation", operation)
        self.provider.log_with_trace_context(
            level, f"{self.component_name}: {operation}", self.component_name, **kwargs
        )

    def trace_operation(self, operation: str, /, **tags: Any) -> Any:
        """A span around an operation."""
        name = f"{self.component_name}.{operation}"
        return self.provider.tracer.start_span(
            name, attributes={"component": self.component_name, **tags}
        )

    def record_metric(
        self, metric_name: str, value: float, metric_type: str = "counter", /, **tags: Any
    ) -> None:
        """Count, set or record a value."""
        metrics = self.provider.metrics
        call = {
            "counter": metrics.increment_counter,
            "gauge": metrics.set_gauge,
            "histogram": metrics.record_histogram,
            "timer": metrics.record_timer,
        }.get(metric_type)
        if call is not None:
            tags["component"] = self.component_name
            call(f"{self.component_name}.{metric_name}", value, labels=tags)

    def record_result(
        self, span: Any, result: Any, metrics: Mapping[str, Any] | None = None
    ) -> None:
        """Say on a span what came of the operation, and finish it if no statement does."""
        if span:
            span.set_attribute("result_type", type(result).__name__)
            if isinstance(result, (str, bytes, list, tuple, dict)):
                span.set_attribute("result_length", len(result))
            span.set_attributes(metrics or {})
            span.set_status("OK")
            self._finish(span)

    def record_failure(self, span: Any, error: BaseException) -> None:
        """Say on a span that the operation failed, count it, and finish the span if need be."""
        kind = type(error).__name__
        self.record_metric("errors", 1.0, "counter", error_type=kind)
        if span:
            span.record_exception(error)
            span.set_status("ERROR", str(error))
            self._finish(span)

    @staticmethod
    def _finish(span: Any) -> None:
        try:
            if not getattr(span, "_entered", 0):
                span.finish()
        except Exception as error:
            tell("finish a span", error)


class AgentObservability(ComponentObservability):
    """What agents record."""

    def __init__(self, provider: Any = None) -> None:
        super().__init__("agent", provider)

    def trace_agent_creation(
        self, agent_id: str, provider: Any = None, model: str | None = None
    ) -> None:
        """Tell of a new agent: with its provider and model, or with its configuration."""
        if isinstance(provider, Mapping):
            provider, model = provider.get("provider"), provider.get("model")
        about = {"provider": provider, "model": model}
        with self.trace_operation("create", agent_id=agent_id, **about):
            self.log_operation(f"Creating agent {agent_id}", "info", agent_id=agent_id, **about)
            self.record_metric("created", 1.0, "counter", **about)

    def trace_message_processing(self, agent_id: str, message_length: int) -> Any:
        """Around the processing of a message."""
        return self.provider.trace_and_log_operation("agent.process_message", self.component_name)

    def trace_agent_request(
        self, agent_id: str, request: str, context: Mapping[str, Any] | None = None
    ) -> Any:
        """A span over a request; of its text only the length is told."""
        about = {"agent_id": agent_id, "request_length": len(request), **(context or {})}
        return self.trace_operation("request", **about)

    record_agent_response = ComponentObservability.record_result
    record_agent_error = ComponentObservability.record_failure

    def record_response_time(
        self, agent_id: str, duration_ms: float, provider: str, model: str
    ) -> None:
        """Record how long an answer took."""
        about = {"agent_id": agent_id, "provider": provider, "model": model}
        self.record_metric("response_time_ms", duration_ms, "histogram", **about)

    def record_token_usage(
        self, agent_id: str, input_tokens: int, output_tokens: int, provider: str
    ) -> None:
        """Count tokens."""
        counts = {"input": input_tokens, "output": output_tokens}
        for name, count in {**counts, "total": input_tokens + output_tokens}.items():
            about = {"agent_id": agent_id, "provider": provider}
            self.record_metric(f"tokens.{name}", count, "counter", **about)

    def record_error(self, agent_id: str, error_type: str, provider: str, model: str) -> None:
        """Tell of an error."""
        about = {
            "agent_id": agent_id,
            "error_type": error_type,
            "provider": provider,
            "model": model,
        }
        self.log_operation(f"Agent error: {error_type}", "error", **about)
        self.record_metric("errors", 1.0, "counter", **about)


class ToolObservability(ComponentObservability):
    """What tools record."""

    def __init__(self, provider: Any = None) -> None:
        super().__init__("tool", provider)

    def trace_tool_execution(
        self, tool_name: str, method: str, parameters: Mapping[str, Any] | None = None
    ) -> Any:
        """A span over an execution; of the parameters only their number is told."""
        count = len(parameters) if parameters else 0
        return self.trace_operation(
            "execute", tool_name=tool_name, method=method, param_count=count
        )

    record_tool_result = ComponentObservability.record_result

    def record_execution_time(
        self, tool_name: str, method: str, duration_ms: float, success: bool
    ) -> None:
        """Record how long an execution took, and count it."""
        about = {"tool_name": tool_name, "method": method, "status": _status(success)}
        self.record_metric("execution_time_ms", duration_ms, "histogram", **about)
        self.record_metric("executions", 1.0, "counter", **about)

    def record_tool_error(self, tool_name: Any, method: Any, error_type: str | None = None) -> None:
        """Tell of an error: with tool, method and kind, or with the span and the exception."""
        if isinstance(method, BaseException):
            self.record_failure(tool_name, method)
            return
        about = {"tool_name": tool_name, "method": method, "error_type": error_type}
        self.log_operation(f"Tool execution failed: {tool_name}.{method}", "error", **about)
        self.record_metric("errors", 1.0, "counter", **about)

    def trace_tool_registry_operation(self, operation: str, tool_name: str) -> Any:
        """A span over an operation of the registry."""
        return self.trace_operation(f"registry.{operation}", tool_name=tool_name)


class SessionObservability(ComponentObservability):
    """What sessions record."""

    def __init__(self, provider: Any = None) -> None:
        super().__init__("session", provider)

    def trace_session_creation(
        self, session_id: str, user_id: str, provider: str, backend: str
    ) -> None:
        """Tell of a new session."""
        who = {"session_id": session_id, "user_id": user_id}
        about = {"provider": provider, "backend": backend}
        with self.trace_operation("create", **who, **about):
            self.log_operation(f"Creating session {session_id}", "info", **who, **about)
            self.record_metric("created", 1.0, "counter", **about)

    def trace_message_handling(self, session_id: str, role: str, message_length: int) -> Any:
        """A span over the handling of a message."""
        return self.trace_operation(
            "handle_message", session_id=session_id, role=role, message_length=message_length
        )

    def trace_message_processing(self, session_id: str, message: str, role: str = "user") -> Any:
        """The same; of the message's text only the length is told."""
        return self.trace_message_handling(session_id, role, len(message))

    record_message_response = ComponentObservability.record_result

    def record_session_duration(
        self, session_id: str, duration_minutes: float, provider: str
    ) -> None:
        """Record how long a session lasted."""
        about = {"session_id": session_id, "provider": provider}
        self.record_metric("duration_minutes", duration_minutes, "histogram", **about)

    def record_message_count(self, session_id: str, message_count: int, provider: str) -> None:
        """Set how many messages a session has."""
        about = {"session_id": session_id, "provider": provider}
        self.record_metric("message_count", message_count, "gauge", **about)

    def record_session_error(self, session_id: str, error_type: str, operation: str) -> None:
        """Tell of an error."""
        about = {"session_id": session_id, "error_type": error_type, "operation": operation}
        self.log_operation(f"Session error in {operation}: {error_type}", "error", **about)
        self.record_metric("errors", 1.0, "counter", **about)


class MemoryObservability(ComponentObservability):
    """What memories record."""

    def __init__(self, provider: Any = None) -> None:
        super().__init__("memory", provider)

    def trace_memory_operation(
        self, operation: str, backend: str | None = None, session_id: str | None = None
    ) -> Any:
        """A span over an operation."""
        return self.trace_operation(operation, backend=backend, session_id=session_id)

    record_memory_result = ComponentObservability.record_result

    def record_memory_usage(
        self, backend: str, sessions: int, messages: int, storage_mb: float
    ) -> None:
        """Set how much a memory holds."""
        held = {"sessions": sessions, "messages": messages, "storage_mb": storage_mb}
        for name, amount in held.items():
            self.record_metric(name, amount, "gauge", backend=backend)

    def record_operation_time(
        self, operation: str, backend: str, duration_ms: float, success: bool
    ) -> None:
        """Record how long an operation took, and count it."""
        about = {"operation": operation, "backend": backend, "status": _status(success)}
        self.record_metric("operation_time_ms", duration_ms, "histogram", **about)
        self.record_metric("operations", 1.0, "counter", **about)

    def record_search_performance(
        self, backend: str, query_time_ms: float, results_count: int
    ) -> None:
        """Record how long a search took and what it found, and count it."""
        self.record_metric("search.query_time_ms", query_time_ms, "histogram", backend=backend)
        self.record_metric("search.results_count", results_count, "histogram", backend=backend)
        self.record_metric("search.queries", 1.0, "counter", backend=backend)

    def record_memory_error(self, operation: str, backend: str, error_type: str) -> None:
        """Tell of an error."""
        about = {"operation": operation, "backend": backend, "error_type": error_type}
        self.log_operation(f"Memory operation failed: {operation}", "error", **about)
        self.record_metric("errors", 1.0, "counter", **about)


class WorkflowObservability(ComponentObservability):
    """What workflows record."""

    def __init__(self, provider: Any = None) -> None:
        super().__init__("workflow", provider)

    def trace_workflow_execution(
        self, workflow_id: str, workflow_type: str, step_count: Any = None
    ) -> Any:
        """A span over an execution; of input data only its size is told."""
        about = {"workflow_id": workflow_id, "workflow_type": workflow_type}
        count = {"step_count": step_count}
        if isinstance(step_count, Mapping):
            count = {"input_size": len(step_count)}
        return self.trace_operation("execute", **about, **count)

    def trace_step_execution(self, workflow_id: str, step_name: str, step_type: str) -> Any:
        """A span over a step."""
        return self.trace_operation(
            "execute_step", workflow_id=workflow_id, step_name=step_name, step_type=step_type
        )

    def trace_workflow_step(
        self,
        parent_span: Any,
        step_name: str,
        step_type: str,
        input_data: Mapping[str, Any] | None = None,
    ) -> Any:
        """A span over a step, under the workflow's span."""
        about = {"step_name": step_name, "step_type": step_type, "component": self.component_name}
        return self.provider.tracer.start_span(
            f"{self.component_name}.execute_step", parent_span=parent_span, attributes=about
        )

    record_workflow_result = ComponentObservability.record_result

    def record_workflow_duration(self, workflow_id: str, duration_ms: float, success: bool) -> None:
        """Record how long an execution took, and count it."""
        about = {"workflow_id": workflow_id, "status": _status(success)}
        self.record_metric("execution_time_ms", duration_ms, "histogram", **about)
        self.record_metric("executions", 1.0, "counter", **about)

    def record_step_performance(
        self, workflow_id: str, step_name: str, step_type: str, duration_ms: float, success: bool
    ) -> None:
        """Record how long a step took, and count it."""
        about = {"workflow_id": workflow_id, "step_name": step_name}
        about |= {"step_type": step_type, "status": _status(success)}
        self.record_metric("step.execution_time_ms", duration_ms, "histogram", **about)
        self.record_metric("step.executions", 1.0, "counter", **about)

    def record_workflow_error(
        self, workflow_id: str, step_name: str | None, error_type: str
    ) -> None:
        """Tell of an error."""
        where = f"step {step_name}" if step_name else "workflow"
        about = {"workflow_id": workflow_id, "step_name": step_name, "error_type": error_type}
        self.log_operation(f"Workflow error in {where}: {error_type}", "error", **about)
        self.record_metric("errors", 1.0, "counter", **about)


def create_agent_observability(provider: Any = None) -> AgentObservability:
    """What agents record."""
    return AgentObservability(provider)


def create_tool_observability(provider: Any = None) -> ToolObservability:
    """What tools record."""
    return ToolObservability(provider)


def create_session_observability(provider: Any = None) -> SessionObservability:
    """What sessions record."""
    return SessionObservability(provider)


def create_memory_observability(provider: Any = None) -> MemoryObservability:
    """What memories record."""
    return MemoryObservability(provider)


def create_workflow_observability(provider: Any = None) -> WorkflowObservability:
    """What workflows record."""
    return WorkflowObservability(provider)


def create_all_observability_integrations(
    provider: Any = None,
) -> dict[str, ComponentObservability]:
    """One for each kind of component."""
    return {
        "agent": AgentObservability(provider),
        "tool": ToolObservability(provider),
        "session": SessionObservability(provider),
        "memory": MemoryObservability(provider),
        "workflow": WorkflowObservability(provider),
    }

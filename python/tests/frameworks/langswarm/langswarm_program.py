"""A small system on LangSwarm: a model that answers by a list, a tool, an agent, a workflow."""

from __future__ import annotations

import json
from typing import Any

from langswarm.core.agents.base import (
    AgentConfiguration,
    AgentMessage,
    AgentResponse,
    AgentSession,
    BaseAgent,
)
from langswarm.core.agents.interfaces import AgentUsage, IAgentProvider, ProviderType
from langswarm.core.workflows.builder import create_workflow
from langswarm.tools.base import BaseTool, ToolMetadata
from langswarm.tools.interfaces import ToolSchema
from langswarm.tools.registry import ToolRegistry


class Model(IAgentProvider):
    """Gives the answers that it was made with: texts, tool calls, or errors."""

    provider_type = ProviderType.OPENAI
    supported_models = ("small",)
    supported_capabilities = ()

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def validate_configuration(self, config: Any) -> bool:
        return True

    async def create_session(self, config: Any) -> AgentSession:
        return AgentSession()

    async def send_message(self, message: Any, session: Any, config: Any) -> AgentResponse:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        usage = AgentUsage(prompt_tokens=5, completion_tokens=7, total_tokens=12)
        if isinstance(answer, str):
            return AgentResponse.success_response(answer, usage=usage)
        name, arguments = answer
        call = {"id": "c1", "name": name, "arguments": json.dumps(arguments)}
        said = AgentMessage(role="assistant", content="", tool_calls=[call])
        return AgentResponse.success_response("", usage=usage, message=said)

    async def stream_message(self, message: Any, session: Any, config: Any) -> Any:
        yield await self.send_message(message, session, config)

    async def call_tool(self, *args: Any) -> None:
        return None

    async def get_health(self) -> dict[str, Any]:
        return {}


class Calculator(BaseTool):
    """Adds and divides."""

    def __init__(self) -> None:
        made = ToolMetadata(id="calculator", name="Calculator", description="Counts")
        for name in ("add", "divide"):
            schema = ToolSchema(name, name, {"a": {}, "b": {}}, {}, ["a", "b"])
            made.add_method(schema)
        super().__init__(metadata=made)

    async def add(self, a: float, b: float) -> float:
        return a + b

    def divide(self, a: float, b: float) -> float:
        return a / b


class Agent(BaseAgent):
    """An agent of the framework's."""


def agent(*answers: Any) -> Agent:
    """An agent whose model gives these answers."""
    how = AgentConfiguration(
        provider=ProviderType.OPENAI, model="small", api_key="none", tools_enabled=True
    )
    return Agent("ada", how, Model(*answers))


def calculator() -> Calculator:
    """The tool, registered where agents look."""
    registry = ToolRegistry()
    tool = registry.get_tool("calculator")
    if tool is None:
        tool = Calculator()
        registry.register(tool)
    return tool


def workflow() -> Any:
    """Two steps without a model."""
    made = create_workflow("double", "Double")
    made.add_transform_step("twice", lambda value, context: value * 2)
    return made.build()

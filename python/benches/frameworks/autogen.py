"""What a turn on AutoGen costs with its spans on OpenTelemetry's SDK and on coati.

    python autogen.py [--rounds N]

A turn is a run of one agent that calls three tools side by side and then answers. The SDK's
pipeline is its `BatchSpanProcessor` with an exporter that writes each span as JSON to a file.
coati records the agent's two model calls besides.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import coati.autogen
from autogen_agentchat.agents import AssistantAgent
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, ModelFamily, ModelInfo, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from side_by_side import compare, recording

INFO = ModelInfo(
    vision=False,
    function_calling=True,
    json_output=False,
    family=ModelFamily.UNKNOWN,
    structured_output=False,
)


async def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def says(content: str | list[FunctionCall]) -> CreateResult:
    """An answer of the model."""
    usage = RequestUsage(prompt_tokens=120, completion_tokens=30)
    return CreateResult(finish_reason="stop", content=content, usage=usage, cached=False)


async def run() -> None:
    """One turn."""
    calls = [FunctionCall(f"call_{n}", '{"city": "Lisbon"}', "weather") for n in range(3)]
    model = ReplayChatCompletionClient([says(calls), says("By train.")], model_info=INFO)
    agent = AssistantAgent("planner", model, tools=[weather], reflect_on_tool_use=True)
    result = await agent.run(task="How do I travel?")
    assert result.messages[-1].content == "By train."


@contextlib.contextmanager
def nothing() -> Iterator[Callable[[], object]]:
    """Nobody has set a provider."""
    yield lambda: None


@contextlib.contextmanager
def coatis() -> Iterator[Callable[[], object]]:
    """Through coati, model calls and metrics included."""
    coati.autogen.install()
    yield coati.flush
    coati.autogen.uninstall()


def main() -> None:
    """Compare."""
    with recording() as folder, asyncio.Runner() as runner:

        @contextlib.contextmanager
        def sdk() -> Iterator[Callable[[], object]]:
            with (folder / "own.jsonl").open("a", encoding="utf-8") as file:
                trace._TRACER_PROVIDER = provider = TracerProvider()
                provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=file)))
                yield provider.force_flush
                trace._TRACER_PROVIDER = None
                provider.shutdown()

        cases = {
            "no provider": nothing,
            "OpenTelemetry's SDK, to a file": sdk,
            "coati, to a file": coatis,
        }
        compare("AutoGen", lambda: runner.run(run()), cases, turns=4, rounds=40)


if __name__ == "__main__":
    main()

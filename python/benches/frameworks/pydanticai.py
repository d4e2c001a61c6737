"""What a turn on pydantic-ai costs with its spans on OpenTelemetry's SDK and on coati.

    python pydanticai.py [--rounds N]

A turn is a run of one agent that calls three tools side by side and then answers. The SDK's
pipeline is its `BatchSpanProcessor` with an exporter that writes each span as JSON to a file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import coati.pydantic_ai
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace import NoOpTracerProvider
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from side_by_side import compare, recording


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Three calls of the tool, then the answer."""
    if len(messages) == 1:
        calls = [ToolCallPart("weather", {"city": "Lisbon"}, f"call_{n}") for n in range(3)]
        return ModelResponse(parts=calls)
    return ModelResponse(parts=[TextPart("By train.")])


agent = Agent(FunctionModel(answer), name="planner")


@agent.tool_plain
async def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


async def run() -> None:
    """One turn."""
    assert (await agent.run("How do I travel?")).output == "By train."


@contextlib.contextmanager
def nothing() -> Iterator[Callable[[], object]]:
    """Not instrumented."""
    yield lambda: None


@contextlib.contextmanager
def on(provider: Any) -> Iterator[None]:
    """Instrumented as coati would, on a provider of its own and without metrics."""
    metrics = NoOpMeterProvider()
    Agent.instrument_all(
        coati.pydantic_ai.settings(tracer_provider=provider, meter_provider=metrics)
    )
    yield
    Agent.instrument_all(False)


@contextlib.contextmanager
def unheard() -> Iterator[Callable[[], object]]:
    """Instrumented, and nobody listens."""
    with on(NoOpTracerProvider()):
        yield lambda: None


@contextlib.contextmanager
def coatis() -> Iterator[Callable[[], object]]:
    """Through coati, its metrics of tokens included."""
    coati.pydantic_ai.install()
    yield coati.flush
    coati.pydantic_ai.uninstall()


def main() -> None:
    """Compare."""
    with recording() as folder, asyncio.Runner() as runner:

        @contextlib.contextmanager
        def sdk() -> Iterator[Callable[[], object]]:
            with (folder / "own.jsonl").open("a", encoding="utf-8") as file:
                provider = TracerProvider()
                provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=file)))
                with on(provider):
                    yield provider.force_flush
                provider.shutdown()

        cases = {
            "not instrumented": nothing,
            "instrumented, nobody listens": unheard,
            "OpenTelemetry's SDK, to a file": sdk,
            "coati, to a file": coatis,
        }
        compare("pydantic-ai", lambda: runner.run(run()), cases, turns=4, rounds=20)


if __name__ == "__main__":
    main()

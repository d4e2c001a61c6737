"""What a turn on the OpenAI Agents SDK costs with its own traces and with coati's.

    python openai_agents.py [--rounds N]

A turn is a run of one agent that calls three tools side by side and then answers. The SDK's own
pipeline is its `BatchTraceProcessor` with an exporter that writes what it exports to a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coati.openai_agents
from agents import Agent, Runner, function_tool, set_trace_processors, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tracing.processor_interface import TracingExporter
from agents.tracing.processors import BatchTraceProcessor
from side_by_side import compare, recording


@function_tool
async def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def calls() -> list[Any]:
    """What the model asks for."""
    return [function_call("weather", {"city": "Lisbon"}, call_id=f"call_{n}") for n in range(3)]


async def run() -> None:
    """One turn."""
    model = ScriptedModel([calls(), [assistant_message("By train.")]], emit_traces=True)
    agent = Agent(name="planner", tools=[weather], model=model)
    result = await Runner.run(agent, "How do I travel?")
    assert result.final_output == "By train."


class File(TracingExporter):
    """Writes what is exported."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def export(self, items: list[Any]) -> None:
        """Write a line for each item."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(item.export()) + "\n" for item in items)


@contextlib.contextmanager
def nothing() -> Iterator[Callable[[], object]]:
    """Tracing is off."""
    set_tracing_disabled(True)
    yield lambda: None
    set_tracing_disabled(False)


@contextlib.contextmanager
def unheard() -> Iterator[Callable[[], object]]:
    """Tracing is on, and nobody listens."""
    set_trace_processors([])
    yield lambda: None


@contextlib.contextmanager
def coatis() -> Iterator[Callable[[], object]]:
    """Through coati."""
    coati.openai_agents.install()
    yield coati.flush
    coati.openai_agents.uninstall()


def main() -> None:
    """Compare."""
    with recording() as folder, asyncio.Runner() as runner:

        @contextlib.contextmanager
        def own() -> Iterator[Callable[[], object]]:
            processor = BatchTraceProcessor(File(folder / "own.jsonl"))
            set_trace_processors([processor])
            yield processor.force_flush
            processor.shutdown()

        cases = {
            "tracing off": nothing,
            "tracing on, nobody listens": unheard,
            "the SDK's own, to a file": own,
            "coati, to a file": coatis,
        }
        compare("OpenAI Agents", lambda: runner.run(run()), cases, turns=2, rounds=40)


if __name__ == "__main__":
    main()

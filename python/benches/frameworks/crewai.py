"""What a kickoff of CrewAI costs with a listener of its own kind and with coati's.

    python crewai.py [--rounds N]

A turn is a crew of one agent with one task, which calls three tools side by side and then answers.
CrewAI's own way is a `BaseEventListener` that writes each event as JSON. What CrewAI itself prints
and sends is switched off.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from side_by_side import compare, recording

os.environ |= {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
}
# This file has the package's name.
sys.path.pop(0)

import coati.crewai
from crewai import Agent, Crew, Task
from crewai.events import BaseEventListener
from crewai.events.base_events import BaseEvent
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.llm_events import LLMCallType
from crewai.llms.base_llm import BaseLLM, llm_call_context
from crewai.tools import tool

CALLS = [
    {
        "id": f"call_{n}",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Lisbon"}'},
    }
    for n in range(3)
]


class Scripted(BaseLLM):
    """Three tools, then an answer."""

    def call(self, messages: Any, *_: Any, **sender: Any) -> Any:
        """The next answer."""
        sender = {name: sender.get(name) for name in ("from_task", "from_agent")}
        answer: Any = CALLS if messages[-1]["role"] == "user" else "By train."
        with llm_call_context():
            self._emit_call_started_event(messages=messages, **sender)
            self._emit_call_completed_event(
                response=answer, call_type=LLMCallType.LLM_CALL, messages=messages, **sender
            )
        return answer

    def supports_function_calling(self) -> bool:
        """Tools are called as functions."""
        return True


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def run() -> None:
    """One turn."""
    agent = Agent(
        role="planner", goal="Plan.", backstory="-", llm=Scripted(model="m"), tools=[weather]
    )
    task = Task(description="Plan.", expected_output="A plan.", agent=agent)
    Crew(name="journey", agents=[agent], tasks=[task]).kickoff()


class Writer(BaseEventListener):
    """Writes all events to a file."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a", encoding="utf-8")
        super().__init__()

    def setup_listeners(self, crewai_event_bus: Any) -> None:
        """Listen to all there is."""
        kinds = [BaseEvent]
        while kinds:
            kind = kinds.pop()
            kinds += kind.__subclasses__()
            crewai_event_bus.on(kind)(self.write)

    def write(self, source: Any, event: Any) -> None:
        """Write one event."""
        self.file.write(json.dumps(event.to_json(), default=str) + "\n")


@contextlib.contextmanager
def nothing() -> Iterator[Callable[[], object]]:
    """CrewAI's own listeners alone."""
    yield crewai_event_bus.flush


@contextlib.contextmanager
def coatis() -> Iterator[Callable[[], object]]:
    """Through coati."""
    coati.crewai.install()
    yield flushed
    coati.crewai.uninstall()


def flushed() -> None:
    """Let all be written."""
    crewai_event_bus.flush()
    coati.flush()


def main() -> None:
    """Compare."""
    # It warns at each call that it does not know the model.
    logging.disable(logging.WARNING)
    with recording() as folder, Path(os.devnull).open("w", encoding="utf-8") as devnull:
        os.environ["CREWAI_STORAGE_DIR"] = str(folder)

        @contextlib.contextmanager
        def own() -> Iterator[Callable[[], object]]:
            before = {
                name: dict(getattr(crewai_event_bus, name))
                for name in ("_sync_handlers", "_async_handlers")
            }
            writer = Writer(folder / "own.jsonl")
            yield crewai_event_bus.flush
            writer.file.close()
            for name, handlers in before.items():
                setattr(crewai_event_bus, name, handlers)

        cases = {
            "no listener": nothing,
            "a BaseEventListener, to a file": own,
            "coati, to a file": coatis,
        }

        def quietly() -> None:
            with contextlib.redirect_stdout(devnull):
                run()

        compare("CrewAI", quietly, cases, turns=1, rounds=20)


if __name__ == "__main__":
    main()

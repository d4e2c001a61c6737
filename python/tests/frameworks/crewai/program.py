"""A program on CrewAI that knows of nothing else: a flow that kicks off a crew, tasks side by side,
tools that run in threads, a tool that fails, a streamed answer, a crew that fails.

Its model is scripted, so that it needs no network. It prints what came out as JSON.
"""

import json
import logging
import threading
import time
from typing import Any

from crewai import Agent, Crew, Process, Task
from crewai.events.types.llm_events import LLMCallType
from crewai.flow.flow import Flow, listen, start
from crewai.llms.base_llm import BaseLLM, llm_call_context
from crewai.tools import tool
from pydantic import PrivateAttr

log = logging.getLogger("travel")

USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 8},
}


class Scripted(BaseLLM):
    """Answers one after another, and tells of its calls as CrewAI's own models do."""

    _answers: list[Any] = PrivateAttr(default_factory=list)

    def __init__(self, *answers: Any, stream: bool = False) -> None:
        super().__init__(model="gpt-4o-mini", temperature=0.2, stream=stream)
        self._answers = list(answers)

    def call(  # noqa: PLR0917 - as CrewAI has it
        self,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: Any = None,
    ) -> Any:
        """The next answer."""
        sender = {"from_task": from_task, "from_agent": from_agent}
        with llm_call_context():
            self._emit_call_started_event(messages=messages, tools=tools, **sender)
            try:
                answer = self._answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
            except Exception as error:
                self._emit_call_failed_event(error=str(error), **sender)
                raise
            if self.stream:
                for chunk in answer.split():
                    self._emit_stream_chunk_event(chunk=chunk, **sender)
            self._emit_call_completed_event(
                response=answer,
                call_type=LLMCallType.LLM_CALL,
                messages=messages,
                usage=USAGE,
                finish_reason="stop",
                response_id="resp_1",
                **sender,
            )
            return answer

    def supports_function_calling(self) -> bool:
        """Tools are called as functions."""
        return True


def call(name: str, number: int, **arguments: Any) -> dict[str, Any]:
    """A call of a tool, as a model asks for it."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"call_{number}", "type": "function", "function": function}


together = threading.Barrier(2, timeout=300)


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    log.info("asking for the weather", extra={"city": city})
    together.wait()
    return "sunny"


@tool
def population(city: str) -> str:
    """How many live in a city."""
    log.info("counting people", extra={"city": city})
    time.sleep(0.02)
    together.wait()
    return "505000"


@tool
def flights(city: str) -> str:
    """Never has an answer."""
    log.warning("no flights today")
    raise TimeoutError("airport is closed")


def agent(role: str, *answers: Any, stream: bool = False, **more: Any) -> Agent:
    """An agent whose model answers so."""
    model = Scripted(*answers, stream=stream)
    return Agent(role=role, goal="Help.", backstory="Long.", llm=model, **more)


def journey() -> Crew:
    """Two tasks side by side, then one that waits for both."""
    scout = agent(
        "scout",
        [call("weather", 1, city="Lisbon"), call("population", 2, city="Lisbon")],
        "Sunny and large.",
        tools=[weather, population],
    )
    clerk = agent("clerk", [call("flights", 3, city="Lisbon")], "No flights.", tools=[flights])
    writer = agent("writer", "Go to Lisbon by train.", stream=True)
    about = {"expected_output": "A line."}
    look = Task(description="Look.", name="look", agent=scout, async_execution=True, **about)
    book = Task(description="Book.", name="book", agent=clerk, async_execution=True, **about)
    write = Task(description="Write.", name="write", agent=writer, context=[look, book], **about)
    return Crew(
        name="journey",
        agents=[scout, clerk, writer],
        tasks=[look, book, write],
        process=Process.sequential,
    )


def broken() -> Crew:
    """A crew whose model fails."""
    poor = agent("poor", ConnectionError("model is away"), max_retry_limit=0)
    task = Task(description="Answer.", name="answer", agent=poor, expected_output="A line.")
    return Crew(name="broken", agents=[poor], tasks=[task])


class Travel(Flow):
    """Plans, then has bad luck."""

    @start()
    def plan(self) -> str:
        """The crew's work."""
        log.info("planning")
        return str(journey().kickoff())

    @listen(plan)
    def fail(self, planned: str) -> dict[str, str]:
        """What becomes of a model that fails."""
        try:
            broken().kickoff()
        except ConnectionError as error:
            log.info("failed")
            return {"planned": planned, "failed": f"failed: {error}"}
        return {"planned": planned, "failed": "did not fail"}


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    print(json.dumps(Travel().kickoff()))

"""A program on the OpenAI Agents SDK that knows of nothing else: agents with tools that run side by
side, an agent used as a tool, a handoff, guardrails, streaming, a tool that fails, a run that does.

Its model is scripted, so that it needs no network. It prints what came out as JSON.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from agents import (
    Agent,
    GuardrailFunctionOutput,
    Runner,
    Usage,
    custom_span,
    function_tool,
    generation_span,
    handoff,
    input_guardrail,
    trace,
)
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

log = logging.getLogger("travel")


class Scripted(ScriptedModel):
    """Traces its calls as the SDK's own models do: with model, settings and token counts."""

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        """The next answer."""
        with generation_span(model="gpt-4o-mini", model_config={"temperature": 0.2}) as span:
            response = await super().get_response(*args, **kwargs)
            span.span_data.usage = counts(response.usage)
            return response

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """The next answer, bit by bit."""
        with generation_span(model="gpt-4o-mini", model_config={"temperature": 0.2}) as span:
            async for event in super().stream_response(*args, **kwargs):
                if event.type == "response.completed":
                    span.span_data.usage = counts(USAGE)
                yield event


USAGE = Usage(
    requests=1,
    input_tokens=120,
    output_tokens=30,
    total_tokens=150,
    input_tokens_details=InputTokensDetails(cached_tokens=100, cache_write_tokens=0),
    output_tokens_details=OutputTokensDetails(reasoning_tokens=8),
)


def counts(usage: Usage) -> dict[str, Any]:
    """Token counts as the SDK's own models put them on their spans."""
    return {
        "requests": usage.requests,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_details": usage.input_tokens_details.model_dump(),
        "output_tokens_details": usage.output_tokens_details.model_dump(),
    }


def scripted(*steps: Any) -> Scripted:
    """A model that answers with these one after another."""
    steps = tuple(s if isinstance(s, ModelStep | Exception) else ModelStep(output=s) for s in steps)
    return Scripted(steps, default_usage=USAGE)


class Together:
    """Lets nobody go on before all are there."""

    def __init__(self, number: int) -> None:
        self._missing = number
        self._complete = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the others."""
        self._missing -= 1
        if self._missing == 0:
            self._complete.set()
        await self._complete.wait()


together = Together(2)


@function_tool
async def weather(city: str) -> str:
    """The weather in a city."""
    log.info("asking for the weather", extra={"city": city})
    with custom_span("station", {"city": city}):
        await together.wait()
        log.info("station answered", extra={"city": city})
    return "sunny"


@function_tool
def population(city: str) -> str:
    """How many live in a city; runs in a thread."""
    log.info("counting people", extra={"city": city})
    time.sleep(0.02)
    return "505000"


@function_tool
async def flights(city: str) -> str:
    """Never has an answer."""
    log.warning("no flights today")
    await together.wait()
    raise TimeoutError("airport is closed")


@input_guardrail
async def polite(context: Any, agent: Any, text: Any) -> GuardrailFunctionOutput:
    """Lets everything pass but shouting."""
    log.info("listening")
    return GuardrailFunctionOutput(output_info="fine", tripwire_triggered=str(text).isupper())


historian = Agent(
    name="historian",
    instructions="Know the past.",
    model=scripted([assistant_message("Founded in 1143.")]),
)

planner = Agent(
    name="planner",
    instructions="Plan trips.",
    tools=[
        weather,
        population,
        flights,
        historian.as_tool(tool_name="history", tool_description="What happened there."),
    ],
    model=scripted(
        [
            function_call("weather", {"city": "Lisbon"}, call_id="call_1"),
            function_call("population", {"city": "Lisbon"}, call_id="call_2"),
            function_call("flights", {"city": "Lisbon"}, call_id="call_3"),
            function_call("history", {"input": "Lisbon?"}, call_id="call_4"),
        ],
        [assistant_message("Go to Lisbon by train.")],
    ),
)

front_desk = Agent(
    name="front desk",
    instructions="Hand over to whoever knows.",
    handoffs=[handoff(planner)],
    input_guardrails=[polite],
    model=scripted([function_call("transfer_to_planner", {}, call_id="call_0")]),
)


async def plan() -> str:
    """A run with a handoff, tools side by side and an agent as a tool."""
    result = await Runner.run(front_desk, "Where shall I go?")
    log.info("planned")
    return str(result.final_output)


async def stream() -> str:
    """A run whose answer comes bit by bit."""
    writer = Agent(name="writer", model=scripted([assistant_message("Dear traveller.")]))
    result = Runner.run_streamed(writer, "Write.")
    async for _ in result.stream_events():
        pass
    return str(result.final_output)


async def fail() -> str:
    """A run that ends in the model's error."""
    broken = Agent(name="broken", model=scripted(ConnectionError("model is away")))
    try:
        await Runner.run(broken, "Answer.")
    except ConnectionError as error:
        return f"failed: {error}"
    return "did not fail"


async def main() -> None:
    """All of it, in one trace."""
    with trace("journey", group_id="thread-7", metadata={"tenant": "acme"}):
        planned = await plan()
        streamed, failed = await asyncio.gather(stream(), fail())
    print(json.dumps({"planned": planned, "streamed": streamed, "failed": failed}))


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    asyncio.run(main())

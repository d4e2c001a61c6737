"""A planner with tools, one of them an agent that streams and one an agent that fails."""

import asyncio
import logging

from pydantic_ai import Agent, RunContext, models
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

models.ALLOW_MODEL_REQUESTS = False
log = logging.getLogger("trip")


def plan(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if len(messages) == 1:
        return ModelResponse(
            parts=[
                ToolCallPart("weather", {"city": "Bonn"}, "call-1"),
                ToolCallPart("weather", {"city": "Rome"}, "call-2"),
                ToolCallPart("research", {"topic": "trains"}, "call-3"),
                ToolCallPart("archive", {"year": 1899}, "call-4"),
            ]
        )
    return ModelResponse(parts=[TextPart("Go to Rome by train.")])


async def tell(messages: list[ModelMessage], info: AgentInfo):
    for word in ("Trains ", "run ", "every hour."):
        await asyncio.sleep(0.002)
        yield word


planner = Agent(FunctionModel(plan, model_name="planner-1"), name="planner")
researcher = Agent(FunctionModel(stream_function=tell, model_name="teller-1"), name="researcher")
archivist = Agent(TestModel(model_name="archive-1"), name="archivist")


@planner.tool
async def weather(context: RunContext[None], city: str) -> str:
    log.info("asking for %s", city)
    await asyncio.sleep(0.02)
    return f"{city}: sunny"


@planner.tool
async def research(context: RunContext[None], topic: str) -> str:
    async with researcher.run_stream(f"What about {topic}?") as answer:
        text = [piece async for piece in answer.stream_text(delta=True, debounce_by=None)]
    log.info("found %d pieces", len(text))
    return "".join(text)


@planner.tool
async def archive(context: RunContext[None], year: int) -> str:
    try:
        return (await archivist.run(f"Trains of {year}?")).output
    except LookupError:
        log.exception("the archive is closed")
        return "unknown"


@archivist.tool_plain
def shelf(label: str) -> str:
    log.warning("looking for a shelf")
    raise LookupError("no such shelf")


async def main() -> None:
    result = await planner.run("Where to this weekend?")
    usage = result.usage
    print(result.output, usage.input_tokens, usage.output_tokens)


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    asyncio.run(main())

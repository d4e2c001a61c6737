"""A program on LlamaIndex that knows of nothing else: a query engine over documents, agents that
hand over and call tools side by side, a tool that fails, a streamed answer, a model that fails.

Its models are LlamaIndex' own mocks, so that it needs no network. It prints what came out as JSON.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool
from pydantic import PrivateAttr

log = logging.getLogger("travel")

USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 8},
}


class Scripted(MockFunctionCallingLLM):
    """Answers with given messages one after another, and says what they cost as real models do."""

    _answers: list[Any] = PrivateAttr(default_factory=list)

    def __init__(self, *answers: Any) -> None:
        super().__init__(is_chat_model=True)
        self._answers = list(answers)

    @property
    def metadata(self) -> LLMMetadata:
        """What is known of the model."""
        return LLMMetadata(
            model_name="gpt-4o-mini", is_function_calling_model=True, is_chat_model=True
        )

    def _next(self) -> ChatMessage:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, ChatMessage):
            return answer
        return ChatMessage(role="assistant", content=str(answer))

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The next answer."""
        message = self._next()
        return ChatResponse(message=message, raw={"model": "gpt-4o-mini-2024", "usage": USAGE})

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The next answer."""
        await asyncio.sleep(0)
        return self.chat(messages, **kwargs)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        """The next answer, bit by bit."""

        async def bits() -> AsyncGenerator[ChatResponse, None]:
            message = self._next()
            text = message.content or ""
            yield ChatResponse(message=message, delta=text[:3])
            await asyncio.sleep(0)
            raw = {"model": "gpt-4o-mini-2024", "usage": USAGE}
            yield ChatResponse(message=message, delta=text[3:], raw=raw)

        return bits()


def call(name: str, number: int, **arguments: Any) -> ToolCallBlock:
    """A call of a tool, as a model asks for it."""
    return ToolCallBlock(tool_call_id=f"call_{number}", tool_name=name, tool_kwargs=arguments)


def calls(*blocks: ToolCallBlock) -> ChatMessage:
    """A message that asks for tools."""
    return ChatMessage(role="assistant", blocks=list(blocks))


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


async def weather(city: str) -> str:
    """The weather in a city."""
    log.info("asking for the weather", extra={"city": city})
    await together.wait()
    return "sunny"


def population(city: str) -> str:
    """How many live in a city; runs in a thread."""
    log.info("counting people", extra={"city": city})
    time.sleep(0.02)
    return "505000"


async def flights(city: str) -> str:
    """Never has an answer."""
    log.warning("no flights today")
    await together.wait()
    raise TimeoutError("airport is closed")


def ask() -> str:
    """Documents, an index and a question to them."""
    documents = [Document(text="Lisbon lies at the Tejo."), Document(text="Porto at the Douro.")]
    index = VectorStoreIndex.from_documents(documents)
    log.info("indexed")
    engine = index.as_query_engine(llm=Scripted("At the Tejo."), similarity_top_k=1)
    return str(engine.query("Where is Lisbon?"))


def tool(function: Callable[..., Any]) -> FunctionTool:
    """The function as a tool."""
    return FunctionTool.from_defaults(function)


async def plan() -> str:
    """Two agents: the first hands over, the second calls tools side by side."""
    desk = FunctionAgent(
        name="desk",
        description="Listens.",
        llm=Scripted(calls(call("handoff", 0, to_agent="planner", reason="It knows."))),
        can_handoff_to=["planner"],
    )
    planner = FunctionAgent(
        name="planner",
        description="Plans.",
        tools=[tool(weather), tool(population), tool(flights)],
        llm=Scripted(
            calls(
                call("weather", 1, city="Lisbon"),
                call("population", 2, city="Lisbon"),
                call("flights", 3, city="Lisbon"),
            ),
            "Go to Lisbon by train.",
        ),
    )
    team = AgentWorkflow(agents=[desk, planner], root_agent="desk")
    answer = await team.run(user_msg="Where shall I go?")
    log.info("planned")
    return str(answer)


async def stream() -> str:
    """An answer that comes bit by bit."""
    bits = await Scripted("Dear traveller.").astream_chat(
        [ChatMessage(role="user", content="Write.")]
    )
    return "".join([bit.delta async for bit in bits])


async def fail() -> str:
    """An agent whose model fails."""
    broken = FunctionAgent(
        name="broken", llm=Scripted(ConnectionError("model is away")), streaming=False
    )
    try:
        await broken.run(user_msg="Answer.")
    except Exception as error:
        return f"failed: {error}"
    return "did not fail"


@get_dispatcher(__name__).span
async def main() -> None:
    """All of it, in one trace."""
    asked = await asyncio.to_thread(ask)
    planned = await plan()
    streamed, failed = await asyncio.gather(stream(), fail())
    print(json.dumps({"asked": asked, "planned": planned, "streamed": streamed, "failed": failed}))


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    Settings.embed_model = MockEmbedding(embed_dim=8)
    asyncio.run(main())

"""What a turn on LlamaIndex costs with its own span handler and with coati's.

    python llama_index.py [--rounds N]

A turn is a run of one agent that calls three tools side by side and then answers. LlamaIndex' own
`SimpleSpanHandler` keeps spans in memory, which are thrown away after each turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from side_by_side import compare, recording

# This file has the package's name.
sys.path.pop(0)

import coati.llama_index
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation.span_handlers import SimpleSpanHandler

HANDLER = SimpleSpanHandler()


async def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def answer(messages: Sequence[ChatMessage], **_: Any) -> ChatMessage:
    """Three tools, then an answer."""
    if any(message.role == "tool" for message in messages):
        return ChatMessage(role="assistant", content="By train.")
    blocks = [
        ToolCallBlock(tool_call_id=f"call_{n}", tool_name="weather", tool_kwargs={"city": "Lisbon"})
        for n in range(3)
    ]
    return ChatMessage(role="assistant", blocks=blocks)


AGENT = FunctionAgent(
    name="planner",
    tools=[FunctionTool.from_defaults(async_fn=weather)],
    llm=MockFunctionCallingLLM(response_generator=answer, is_chat_model=True),
)


async def run() -> None:
    """One turn."""
    assert str(await AGENT.run(user_msg="How do I travel?")) == "By train."


@contextlib.contextmanager
def nothing() -> Iterator[Callable[[], object]]:
    """No handlers but LlamaIndex' empty one."""
    yield lambda: None


@contextlib.contextmanager
def own() -> Iterator[Callable[[], object]]:
    """LlamaIndex' own handler."""
    root = get_dispatcher()
    before = root.span_handlers
    root.span_handlers = [*before, HANDLER]
    yield lambda: None
    root.span_handlers = before
    HANDLER.completed_spans.clear()


@contextlib.contextmanager
def coatis() -> Iterator[Callable[[], object]]:
    """Through coati."""
    coati.llama_index.install()
    yield coati.flush
    coati.llama_index.uninstall()


def main() -> None:
    """Compare."""
    with recording(), asyncio.Runner() as runner:
        cases = {
            "no handler": nothing,
            "its SimpleSpanHandler, memory": own,
            "coati, to a file": coatis,
        }
        compare("LlamaIndex", lambda: runner.run(run()), cases, turns=2, rounds=25)


if __name__ == "__main__":
    main()

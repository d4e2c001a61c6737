"""A LangGraph program: parallel branches, tools, streaming, an error. It knows nothing of coati.

`python program.py` runs it in threads, `python program.py async` in asyncio.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode

log = logging.getLogger("research")


class Model(GenericFakeChatModel):
    """Answers from a list, in a stream with what it used at the end."""

    model_name: str = "gpt-4o"

    def _get_ls_params(self, *args: Any, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(*args, **kwargs), "ls_provider": "openai"}

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        log.info("asking the model")
        return super()._generate(*args, **kwargs)

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield from super()._stream(*args, **kwargs)
        usage = {"input_tokens": 30, "output_tokens": 6, "total_tokens": 36}
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage))

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(*args, **kwargs):
            yield chunk


def answering(*messages: AIMessage) -> Model:
    """A model that gives these answers."""
    return Model(messages=iter(messages))


CACHED = {
    "input_tokens": 1000,
    "output_tokens": 50,
    "total_tokens": 1050,
    "input_token_details": {"cache_read": 800},
    "output_token_details": {"reasoning": 20},
}


class State(TypedDict):
    """What nodes pass on."""

    messages: Annotated[list[AnyMessage], add_messages]
    notes: Annotated[list[str], operator.add]
    fails: bool


@tool
def search(query: str) -> str:
    """Look something up."""
    log.info("searching for %s", query)
    return f"three pages about {query}"


@tool
def read(page: int) -> str:
    """Read a page."""
    log.info("reading page %d", page)
    if page > 100:
        raise ValueError("no such page")
    return f"page {page}"


def plan(state: State) -> dict[str, Any]:
    """Asks for two tools at once."""
    log.info("planning")
    calls = [
        {"name": "search", "args": {"query": "coatis"}, "id": "call-1"},
        {"name": "read", "args": {"page": 7 if not state["fails"] else 700}, "id": "call-2"},
    ]
    asked = AIMessage("", tool_calls=calls, usage_metadata=CACHED)
    return {"messages": [answering(asked).invoke(state["messages"])]}


def habitat(state: State) -> dict[str, Any]:
    """One branch: a stream."""
    log.info("looking at the habitat")
    model = answering(AIMessage("forests of the Americas"))
    return {"notes": ["".join(chunk.content for chunk in model.stream("where?"))]}


def diet(state: State) -> dict[str, Any]:
    """The other branch: two questions at once."""
    log.info("looking at the diet")
    usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
    answers = [AIMessage(text, usage_metadata=usage) for text in ("fruit", "insects")]
    return {"notes": [m.content for m in answering(*answers).batch(["what?", "what else?"])]}


async def ahabitat(state: State) -> dict[str, Any]:
    """As `habitat`."""
    log.info("looking at the habitat")
    model = answering(AIMessage("forests of the Americas"))
    return {"notes": ["".join([chunk.content async for chunk in model.astream("where?")])]}


async def adiet(state: State) -> dict[str, Any]:
    """As `diet`."""
    log.info("looking at the diet")
    usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
    answers = [AIMessage(text, usage_metadata=usage) for text in ("fruit", "insects")]
    found = await answering(*answers).abatch(["what?", "what else?"])
    return {"notes": [message.content for message in found]}


def summary(state: State) -> dict[str, Any]:
    """What the branches found."""
    log.info("%d notes", len(state["notes"]))
    return {"messages": [AIMessage(", ".join(sorted(state["notes"])))]}


def build(*, asynchronous: bool = False) -> Any:
    """The graph."""
    graph = StateGraph(State)
    graph.add_node("plan", plan)
    graph.add_node("tools", ToolNode([search, read], handle_tool_errors=False))
    graph.add_node("habitat", ahabitat if asynchronous else habitat)
    graph.add_node("diet", adiet if asynchronous else diet)
    graph.add_node("summary", summary)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "tools")
    graph.add_edge("tools", "habitat")
    graph.add_edge("tools", "diet")
    graph.add_edge(["habitat", "diet"], "summary")
    graph.add_edge("summary", END)
    return graph.compile(name="research")


def question(fails: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Input and configuration of a run."""
    state = {"messages": [("user", "What about coatis?")], "notes": [], "fails": fails}
    config = {
        "configurable": {"thread_id": "thread-1"},
        "tags": ["zoo"],
        "metadata": {"tenant": "t1"},
    }
    return state, config


def main() -> None:
    """Two runs: one that ends well, one with a tool that fails."""
    graph = build()
    found = list(graph.stream(*question(False), stream_mode="values"))
    print(found[-1]["messages"][-1].content)
    try:
        graph.invoke(*question(True))
    except ValueError as error:
        print(f"failed: {error}")


async def amain() -> None:
    """The same in asyncio."""
    graph = build(asynchronous=True)
    found = [state async for state in graph.astream(*question(False), stream_mode="values")]
    print(found[-1]["messages"][-1].content)
    try:
        await graph.ainvoke(*question(True))
    except ValueError as error:
        print(f"failed: {error}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(amain()) if sys.argv[1:] == ["async"] else main()

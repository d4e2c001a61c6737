"""What a run of a LangGraph program costs with LangChain's own tracers and with coati.

    python langgraph.py [--rounds N]

A turn is a run of a graph with four nodes, two of them side by side, that ask a model, use a tool
and read a stream. LangChain's own are the tracer that keeps runs in memory, and the one for
LangSmith, whose requests go nowhere.
"""

# ruff: noqa: E402

from __future__ import annotations

import contextlib
import operator
import os
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict
from unittest.mock import MagicMock

from side_by_side import compare, recording

# This file is called as the package is.
del sys.path[0]
# No network, whatever the environment says.
os.environ.update(LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false")

import coati.langchain
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.tools import tool
from langchain_core.tracers import LangChainTracer
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langgraph.graph import END, START, StateGraph
from langsmith import Client


class State(TypedDict):
    """What nodes pass on."""

    notes: Annotated[list[str], operator.add]


@tool
def search(query: str) -> str:
    """Look something up."""
    return f"three pages about {query}"


MODEL = FakeListChatModel(responses=["one two three four"])


def plan(state: State) -> dict[str, Any]:
    """Asks a model."""
    return {"notes": [str(MODEL.invoke("which?").content)]}


def look(state: State) -> dict[str, Any]:
    """Uses a tool."""
    return {"notes": [search.invoke("coatis")]}


def read(state: State) -> dict[str, Any]:
    """Reads a stream."""
    return {"notes": ["".join(str(chunk.content) for chunk in MODEL.stream("what?"))]}


def end(state: State) -> dict[str, Any]:
    """Sums up."""
    return {"notes": [f"{len(state['notes'])} notes"]}


def build() -> Any:
    """The graph."""
    graph = StateGraph(State)
    for node in (plan, look, read, end):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "look")
    graph.add_edge("plan", "read")
    graph.add_edge(["look", "read"], "end")
    graph.add_edge("end", END)
    return graph.compile()


GRAPH = build()
HANDLERS: list[Any] = []


def turn() -> None:
    """A run of the graph."""
    GRAPH.invoke({"notes": []}, {"callbacks": list(HANDLERS)})


@contextlib.contextmanager
def told(handler: Any, finish: Callable[[], object] = lambda: None) -> Iterator[Any]:
    """With a handler."""
    HANDLERS[:] = [handler]
    yield finish
    HANDLERS.clear()


@contextlib.contextmanager
def nothing() -> Iterator[Callable[[], object]]:
    """The program alone."""
    yield lambda: None


class Idle(BaseCallbackHandler):
    """Does nothing: what LangChain itself does for any handler."""

    run_inline = True


CLIENT = Client(api_url="http://127.0.0.1:9", api_key="none", session=MagicMock(), info={})


@contextlib.contextmanager
def with_coati() -> Iterator[Callable[[], object]]:
    """coati is told of every run, and writes to a file."""
    coati.langchain.install()
    yield lambda: coati.flush(60)
    coati.langchain.uninstall()


if __name__ == "__main__":
    with recording():
        compare(
            "LangGraph",
            turn,
            {
                "nothing": nothing,
                "a handler that does nothing": lambda: told(Idle()),
                "LangChain's collector": lambda: told(RunCollectorCallbackHandler()),
                "LangSmith's tracer": lambda: told(LangChainTracer(client=CLIENT), CLIENT.flush),
                "coati": with_coati,
            },
            turns=20,
            rounds=15,
        )

"""What recording a LangGraph program costs: nothing, LangChain's own tracers, coati.

`python langgraph.py` runs the same graph in turn with each, in one process, and prints the least
and the median time of a run, and what one of its spans adds to it: two branches side by side, a
tool, a stream. `collector` is LangChain's tracer that keeps runs in memory, `langsmith` the one for
LangSmith, whose requests go nowhere, `handler` a callback handler that does nothing.
"""

# ruff: noqa: E402

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

# This file is called as the package is.
del sys.path[0]
# No network, whatever the environment says.
os.environ.update(LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false")

import operator
from unittest.mock import MagicMock

import coati
import coati.langchain
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.tools import tool
from langchain_core.tracers import LangChainTracer
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langgraph.graph import END, START, StateGraph
from langsmith import Client

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
#: Of each in a row.
RUNS = 10
#: Graph, four nodes, two model calls, a tool.
SPANS = 8


class State(TypedDict):
    """What nodes pass on."""

    notes: Annotated[list[str], operator.add]


@tool
def search(query: str) -> str:
    """Look something up."""
    return f"three pages about {query}"


MODEL = FakeListChatModel(responses=["one two three four"] * 2)


def plan(state: State) -> dict[str, Any]:
    return {"notes": [str(MODEL.invoke("which?").content)]}


def look(state: State) -> dict[str, Any]:
    return {"notes": [search.invoke("coatis")]}


def read(state: State) -> dict[str, Any]:
    return {"notes": ["".join(str(chunk.content) for chunk in MODEL.stream("what?"))]}


def end(state: State) -> dict[str, Any]:
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


CLIENT = Client(api_url="http://127.0.0.1:9", api_key="none", session=MagicMock(), info={})


class Handler(BaseCallbackHandler):
    """Does nothing."""

    run_inline = True


def nothing() -> list[Any]:
    """The program alone."""
    return []


def handler() -> list[Any]:
    """What LangChain itself does for any handler."""
    return [Handler()]


def collector() -> list[Any]:
    """LangChain's own tracer, which keeps the runs."""
    return [RunCollectorCallbackHandler()]


def langsmith() -> list[Any]:
    """LangSmith's tracer, up to its queue."""
    return [LangChainTracer(client=CLIENT)]


def with_coati() -> list[Any]:
    """coati, into a file: every run is told to it."""
    coati.langchain.install()
    return []


def main() -> None:
    graph = build()
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "out.jsonl")
        coati.init("bench", config={"sinks": [{"type": "file", "path": file}]})
        ways: list[Callable[[], list[Any]]] = [nothing, handler, collector, langsmith, with_coati]
        took: dict[str, list[float]] = {way.__name__: [] for way in ways}
        for turn in range(ROUNDS):
            for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
                config = {"callbacks": way()}
                graph.invoke({"notes": []}, config)
                gc.collect(0)
                for _ in range(RUNS):
                    begun = time.perf_counter_ns()
                    graph.invoke({"notes": []}, config)
                    took[way.__name__].append((time.perf_counter_ns() - begun) / 1e3)
                coati.langchain.uninstall()
        books = coati.shutdown(60)["spans"]
        assert books["recorded"] == ROUNDS * (RUNS + 1) * SPANS, books
        assert not books["dropped"], books
    base, least = took["nothing"], min(took["nothing"])
    print(f"{'us':12}{'min':>8}{'median':>8}{'a span, min':>14}{'a span, median':>16}")
    for name, times in took.items():
        more = (statistics.median(times) - statistics.median(base)) / SPANS
        fewest = (min(times) - least) / SPANS
        print(
            f"{name:12}{min(times):8.0f}{statistics.median(times):8.0f}{fewest:14.1f}{more:16.1f}"
        )


if __name__ == "__main__":
    main()

"""Programs in which each turn starts the next from within: none keeps those that have ended."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import Callable
from typing import Any

import coati
import pytest
from coati import agents, genai
from coati.agents._run import Run
from coati.compat.kaizen.hooks._pairs import Operation, Pairs
from coati.compat.kaizen.hooks.types import HookContext, HookEvent
from coati.compat.langswarm import ObservabilityConfig, V2Tracer
from coati.compat.langswarm._span import LiveSpan

TURNS = 300
KINDS = (Run, genai.Operation, LiveSpan, coati.Span)


def alive(kind: type) -> int:
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())


def chain(begin: Callable[[], Any], overlap: bool) -> None:
    """Turns that each start the next one: it begins before its turn has ended, or after."""

    before = {kind: alive(kind) for kind in KINDS}
    found: dict[type, int] = {}

    async def main() -> None:
        done = asyncio.Event()
        begun = [asyncio.Event() for _ in range(TURNS)]
        # No more than the loop itself keeps a task.
        tasks: set[asyncio.Task[None]] = set()

        async def turn(number: int) -> None:
            with begin():
                begun[number].set()
                if number + 1 < TURNS:
                    task = asyncio.get_running_loop().create_task(turn(number + 1))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                    if overlap:
                        await begun[number + 1].wait()
                else:
                    # The last turn would hold all others, if there were links.
                    found.update({kind: alive(kind) for kind in KINDS})
                    done.set()

        first = asyncio.get_running_loop().create_task(turn(0))
        await asyncio.wait_for(done.wait(), 60)
        await first
        await asyncio.gather(*tasks)

    asyncio.run(main())
    for kind in KINDS:
        assert found[kind] - before[kind] < 50, kind


@pytest.mark.parametrize("overlap", [False, True])
def test_agents(engine: Any, overlap: bool) -> None:
    chain(lambda: agents.agent("a"), overlap)


@pytest.mark.parametrize("overlap", [False, True])
def test_agents_without_an_engine(overlap: bool) -> None:
    chain(lambda: agents.agent("a"), overlap)


@pytest.mark.parametrize("overlap", [False, True])
def test_operations(engine: Any, overlap: bool) -> None:
    chain(lambda: genai.agent("a"), overlap)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("limit", [0, 10_000])
def test_langswarm(engine: Any, overlap: bool, limit: int) -> None:
    config = ObservabilityConfig(buffer_size=10)
    config.performance.max_spans_per_trace = limit
    tracer = V2Tracer(config)
    chain(lambda: tracer.start_span("a"), overlap)
    last = tracer.get_finished_spans()[-1]
    known = {span["span_id"]: span for span in engine.spans()}
    assert last.parent_span_id == known[last.span_id]["parent_span_id"]
    assert len({span["trace_id"] for span in known.values()}) == 1


def test_overlapping_hooks() -> None:
    pairs = Pairs()

    def context(event: HookEvent, number: int) -> HookContext:
        return HookContext(event, "a1", 0.0, {"call_id": number})

    def calls() -> None:
        pairs.begin(context(HookEvent.PRE_TOOL_USE, 0), None)
        for number in range(TURNS):
            pairs.begin(context(HookEvent.PRE_TOOL_USE, number + 1), None)
            ended = pairs.end(context(HookEvent.POST_TOOL_USE, number))
            assert ended is not None
            assert ended.call == number
        assert alive(Operation) - before < 10

    before = alive(Operation)
    contextvars.copy_context().run(calls)
    pairs.clear()
    assert alive(Operation) <= before


def test_what_runs_on_is_told_of_those_around(engine: Any) -> None:
    genai.set_prices({})
    told: list[Any] = []
    agents.configure(metric_names=told.append)
    try:
        with agents.workflow("flow"), agents.agent("outer") as outer:
            with agents.agent("inner"):
                late = agents.model("m").start()
            with genai.workflow("inside"):
                after = contextvars.copy_context()
            late.response(usage=genai.Usage(3, 4))
            late.end()
            after.run(lambda: agents.step("s").start().end())
        assert outer._operation is not None
        assert outer._operation._inside.inference_calls == 1
    finally:
        agents.configure(metric_names=None)
    named = {(one.kind, one.name): one.agent for one in told}
    assert named["model", "m"] == "inner"
    step = next(span for span in engine.spans() if span["span"] == "step s")
    assert step["attributes"]["gen_ai.workflow.name"] == "flow"

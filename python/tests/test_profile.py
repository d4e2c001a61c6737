"""Profiles on spans."""

from __future__ import annotations

import asyncio
import cProfile
import sys
import threading
from typing import Any

import coati
import pytest
from coati import agents

OF_ALL_THREADS = sys.version_info >= (3, 12)


def deep(n: int) -> int:
    return 0 if n == 0 else 1 + deep(n - 1)


def work() -> int:
    return sum(deep(10) for _ in range(20))


def event(span: dict[str, Any]) -> dict[str, Any]:
    (found,) = [event for event in span["events"] if event["name"] == "profile"]
    attributes: dict[str, Any] = found["attributes"]
    return attributes


def calls(span: dict[str, Any]) -> dict[str, int]:
    """How often each function was called, by its name."""
    rows = [line.split(" ", 3) for line in event(span)["coati.profile.functions"]]
    return {row[3].rpartition("(")[2].rstrip(")"): int(row[2]) for row in rows}


def test_a_statement(engine: Any) -> None:
    with agents.profile("report") as span:
        work()
        coati.get_logger("app").info("inside")
    line, found = engine.records()
    assert line["span_id"] == span.span_id == found["span_id"]
    assert found["span"] == "report"
    # One call for the recursion is another function's: 20 times 11.
    assert calls(found)["deep"] == 220
    assert calls(found)["work"] == 1
    told = event(found)
    assert told["coati.profile.sort"] == "cumulative"
    assert told["coati.profile.columns"] == "cumulative_s own_s calls function"
    assert told["coati.profile.left_out"] == 0
    assert told["coati.profile.covers"] == ("all threads" if OF_ALL_THREADS else "this thread")
    rows = [line.split(" ", 3) for line in told["coati.profile.functions"]]
    cumulative = [float(row[0]) for row in rows]
    assert cumulative == sorted(cumulative, reverse=True)
    assert all(float(own) <= float(whole) for whole, own, _, _ in rows)
    assert 0 < told["coati.profile.own_s"] <= found["duration_ns"] / 1e9
    assert not any("_lsprof" in row[3] for row in rows)


@pytest.mark.parametrize(("sort", "column"), [("cumulative", 0), ("tottime", 1), ("calls", 2)])
def test_orders_and_limits(engine: Any, sort: Any, column: int) -> None:
    with agents.profile("report", sort=sort, top=3):
        work()
    with agents.profile("report", sort=sort, max_bytes=100):
        work()
    top, short = engine.spans()
    rows = [line.split(" ", 3) for line in event(top)["coati.profile.functions"]]
    assert len(rows) == 3
    figures = [float(row[column]) for row in rows]
    assert figures == sorted(figures, reverse=True)
    assert event(top)["coati.profile.left_out"] > 0
    lines = event(short)["coati.profile.functions"]
    assert sum(len(line) + 1 for line in lines) <= 100
    assert event(short)["coati.profile.left_out"] > event(top)["coati.profile.left_out"]


def test_bad_limits() -> None:
    for bad in ({"sort": "size"}, {"top": 0}, {"max_bytes": 10}):
        with pytest.raises(ValueError, match=r"sort|least"):
            agents.profile("x", **bad)


def test_decorated_functions_and_coroutines(engine: Any) -> None:
    @agents.profile
    def bare(a: int, *, b: int) -> int:
        """Adds."""
        return deep(a) + b

    @agents.profile("named", top=100)
    async def coroutine(a: int) -> int:
        await asyncio.sleep(0)
        return deep(a)

    assert bare(3, b=4) == 7
    assert bare.__doc__ == "Adds."
    assert asyncio.run(coroutine(6)) == 6
    first, second = engine.spans()
    assert first["span"] == f"{__name__}.test_decorated_functions_and_coroutines.<locals>.bare"
    assert calls(first)["deep"] == 4
    assert second["span"] == "named"
    assert event(second)["coati.profile.covers"].endswith("other tasks included")
    assert "deep" in calls(second)


def test_exceptions_are_recorded_and_raised(engine: Any) -> None:
    def failing() -> None:
        deep(2)
        raise LookupError("no such thing")

    with pytest.raises(LookupError), agents.profile("failing"):
        failing()
    span = engine.span()
    assert span["status"]["code"] == "error"
    assert calls(span)["deep"] == 3
    assert nobody_profiles()


def nobody_profiles() -> bool:
    """Whether a profiler can start."""
    profiler = cProfile.Profile()
    before = sys.getprofile()
    profiler.enable()
    profiler.disable()
    return before is None


def test_inside_another_profile_the_work_goes_on(engine: Any) -> None:
    with agents.profile("outer"):
        with agents.profile("inner"):
            work()
        deep(3)
    inner, outer = engine.spans()
    assert inner["attributes"]["coati.profile.skipped"] == "another profiler is active"
    assert "events" not in inner
    assert inner["parent_span_id"] == outer["span_id"]
    # The outer one has counted what came after the inner one as well.
    assert calls(outer)["deep"] == 224
    assert nobody_profiles()


def test_beside_a_profiler_of_the_program(engine: Any) -> None:
    theirs = cProfile.Profile()
    theirs.enable()
    try:
        with agents.profile("ours"):
            work()
    finally:
        theirs.disable()
    assert engine.span()["attributes"]["coati.profile.skipped"] == "another profiler is active"
    counted = {
        entry.code.co_name: entry.callcount
        for entry in theirs.getstats()
        if not isinstance(entry.code, str)
    }
    assert counted["deep"] == 220


@pytest.mark.skipif(OF_ALL_THREADS, reason="there a profiler cannot be pushed aside")
def test_a_profiler_that_takes_over_is_left_alone(engine: Any) -> None:
    theirs = cProfile.Profile()
    with agents.profile("ours"):
        theirs.enable()
    try:
        active: object = sys.getprofile()
        assert active is theirs
    finally:
        theirs.disable()
    span = engine.span()
    assert span["attributes"]["coati.profile.skipped"] == "another profiler has taken over"


def test_other_threads(engine: Any) -> None:
    def elsewhere() -> None:
        deep(50)

    with agents.profile("ours", top=1000):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        deep(1)
    counted = calls(engine.span())["deep"]
    assert counted == (53 if OF_ALL_THREADS else 2)


@pytest.mark.skipif(OF_ALL_THREADS, reason="one profile at a time there")
def test_threads_profile_side_by_side(engine: Any) -> None:
    both = threading.Barrier(2)

    def profiled(n: int) -> None:
        with agents.profile(f"thread {n}"):
            both.wait(120)
            deep(n)
            both.wait(120)

    threads = [threading.Thread(target=profiled, args=(n,)) for n in (5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    counted = {span["span"]: calls(span)["deep"] for span in engine.spans()}
    assert counted == {"thread 5": 6, "thread 7": 8}


def test_tasks_side_by_side_say_what_became_of_them(engine: Any) -> None:
    async def task(name: str, go: asyncio.Event) -> None:
        async with agents.profile(name, top=1000):
            go.set()
            await asyncio.sleep(0)
            deep(5)

    async def main() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        await asyncio.gather(task("one", first), task("two", second))

    asyncio.run(main())
    one, two = sorted(engine.spans(), key=lambda span: str(span["span"]))
    assert "deep" in calls(one)
    assert event(one)["coati.profile.covers"].endswith("other tasks included")
    assert two["attributes"]["coati.profile.skipped"] == "another profiler is active"
    assert nobody_profiles()


def test_what_is_not_sampled_is_not_profiled(engine: Any) -> None:
    engine.start(spans={"sampler": "always_off"})
    with agents.profile("unseen"):
        assert sys.getprofile() is None
        work()
    coati.shutdown(60)
    with agents.profile("after the end"):
        assert work() == 200

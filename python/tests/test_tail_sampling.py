"""Tail sampling: traces with errors and slow ones, over threads, tasks, forks and shutdown."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import coati
import pytest
from conftest import wait_until

tracer = coati.get_tracer("tail")
LONG = {"grace": 3600, "decide_after": 3600}


def start(engine: Any, **tail: Any) -> None:
    engine.start(spans={"tail": {"keep": "never", **LONG, **tail}})


def report() -> dict[str, Any]:
    health: dict[str, Any] = coati.health()["tail_sampling"]
    return health


def test_traces_with_errors_and_slow_ones_are_kept_whole(engine: Any) -> None:
    start(engine, slow={"llm.*": "0s", "default": "1h"})
    with tracer.span("good"), tracer.span("inside good"):
        pass
    with tracer.span("bad"):
        with tracer.span("inside bad"):
            pass
        with suppress(ValueError), tracer.span("failed"):
            raise ValueError("on purpose")
    with tracer.span("agent"), tracer.span("llm.chat"):
        pass
    names = [span["span"] for span in engine.spans()]
    assert names == ["inside bad", "failed", "bad", "llm.chat", "agent"]
    told = report()
    assert told["kept"] == {"error": 1, "slow": 1, "rule": 0, "share": 0}
    assert told["dropped"] == 1
    books = coati.ledger()["spans"]
    assert books["dropped"] == {"tail_sampled": 2}
    # What was dropped is counted as well.
    assert (books["roots"], books["errors"]) == (3, 1)


def test_what_waits_is_in_flight_and_shutdown_decides(engine: Any) -> None:
    start(engine, keep="always")
    with tracer.span("one"), tracer.span("two"):
        pass
    wait_until(lambda: report()["undecided"]["spans"] == 2)
    books = coati.ledger()["spans"]
    assert (books["recorded"], books["in_flight"], books["delivered"]) == (2, 2, 0)
    books = coati.shutdown(60)["spans"]
    assert (books["recorded"], books["in_flight"], books["delivered"]) == (2, 0, 2)


def test_a_trace_over_tasks_and_threads_is_one(engine: Any) -> None:
    start(engine)

    async def task(number: int) -> None:
        with tracer.span("task"):
            await asyncio.sleep(0)
            if number == 7:
                coati.current_span().set_status("error", "on purpose")

    async def main() -> None:
        with tracer.span("main") as span:
            await asyncio.gather(*(task(number) for number in range(20)))
            threads = [
                threading.Thread(target=lambda: tracer.start_span("thread", parent=span).end())
                for _ in range(5)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    asyncio.run(main())
    spans = engine.spans()
    assert len(spans) == 26
    ids = {span["span_id"] for span in spans}
    assert all(span.get("parent_span_id", None) in {*ids, None} for span in spans)


def test_a_child_begins_empty_and_the_parent_keeps_its_own(program: Any) -> None:
    ran = program.run(
        """
        import os, sys
        import coati
        tail = {"keep": "always", "grace": 3600, "decide_after": 3600}
        coati.init("fork", config={"sinks": [SINK], "spans": {"tail": tail}})
        tracer = coati.get_tracer("fork")
        with tracer.span("parent's"):
            pass
        while coati.health()["tail_sampling"]["undecided"]["spans"] < 1:
            pass
        child = os.fork()
        if child == 0:
            with tracer.span("child's"):
                pass
            books = coati.shutdown(60)["spans"]
            os._exit(0 if (books["recorded"], books["delivered"]) == (1, 1) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert coati.health()["tail_sampling"]["undecided"]["spans"] == 1
        books = coati.shutdown(60)["spans"]
        assert (books["recorded"], books["delivered"]) == (1, 1), books
        """
    )
    assert sorted(record["span"] for record in ran.records()) == ["child's", "parent's"]


def test_it_changes_while_running(engine: Any) -> None:
    assert "tail_sampling" not in coati.health()
    coati.configure(spans={"tail": {"keep": "never", **LONG}})
    with tracer.span("dropped"):
        pass
    assert engine.spans() == []
    coati.configure(spans={"tail": None})
    with tracer.span("kept"):
        pass
    assert engine.span()["span"] == "kept"
    with pytest.raises(coati.ConfigError, match=r"spans\.tail\.keep"):
        coati.configure(spans={"tail": {"keep": 2}})

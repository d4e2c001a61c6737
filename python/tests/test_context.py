"""The context over asyncio, threads, executors and generators."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import coati
import pytest

log = coati.get_logger("tests.context")
tracer = coati.get_tracer("tests.context")


def test_tasks_inherit_and_do_not_disturb_each_other(engine: Any) -> None:
    async def child(number: int) -> None:
        with coati.context(child=number), tracer.span("child"):
            for _ in range(5):
                await asyncio.sleep(0)
                log.info("m", number=number)

    async def main() -> str:
        with coati.context(user="u1"), tracer.span("root") as root:
            await asyncio.gather(*[child(number) for number in range(20)])
            assert coati.current_span() is root
        return root.span_id

    root = asyncio.run(main())
    records = engine.records()
    spans = {line["span_id"]: line for line in records if line.get("span") == "child"}
    assert {line["parent_span_id"] for line in spans.values()} == {root}
    lines = [line for line in records if "message" in line]
    assert len(lines) == 100
    by_span: dict[str, set[int]] = {}
    for line in lines:
        assert line["child"] == line["number"]
        assert line["user"] == "u1"
        by_span.setdefault(line["span_id"], set()).add(line["number"])
    assert all(len(numbers) == 1 for numbers in by_span.values())
    assert set(by_span) == set(spans)


def test_a_task_that_starts_after_the_span_has_ended_is_still_its_child(engine: Any) -> None:
    async def late() -> None:
        log.info("late")

    async def main() -> str:
        with tracer.span("parent") as parent:
            task = asyncio.create_task(late())
        await task
        return parent.span_id

    parent = asyncio.run(main())
    line = next(record for record in engine.records() if "message" in record)
    assert line["span_id"] == parent


def test_threads_begin_without_a_context_and_executors_carry_it(engine: Any) -> None:
    seen: list[str] = []
    with tracer.span("s") as span, coati.context(user="u1"):
        thread = threading.Thread(target=lambda: seen.append(coati.current_span().span_id))
        thread.start()
        thread.join()
        assert seen == ["0" * 16]
        with coati.wrap_executor(ThreadPoolExecutor(2)) as executor:
            ids = executor.map(lambda _: coati.current_span().span_id, range(8))
            assert set(ids) == {span.span_id}
            executor.submit(log.info, "m", a=1).result()
            with pytest.raises(KeyError):
                executor.submit({}.__getitem__, "k").result()
            with tracer.span("inner") as inner:
                future = executor.submit(lambda: coati.current_span().span_id)
            assert future.result() == inner.span_id
    line = next(record for record in engine.records() if "message" in record)
    assert (line["user"], line["span_id"], line["a"]) == ("u1", span.span_id, 1)
    with ThreadPoolExecutor(1) as plain:
        assert plain.submit(lambda: coati.current_span().span_id).result() == "0" * 16


def test_run_in_executor(engine: Any) -> None:
    async def main() -> None:
        executor = coati.wrap_executor(ThreadPoolExecutor(1))
        with tracer.span("s") as span:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(executor, coati.current_span)
            assert found is span
            found = await asyncio.to_thread(coati.current_span)
            assert found is span
        executor.shutdown()

    asyncio.run(main())


def test_a_context_left_in_another_context_is_tolerated(engine: Any) -> None:
    span = tracer.span("s")
    contextvars.copy_context().run(span.__enter__)
    span.__exit__(None, None, None)
    assert not coati.current_span().is_recording()

    def generator() -> Iterator[int]:
        with tracer.span("in generator"):
            yield 1
            yield 2

    # A hand-written `with` around `yield` leaks to the caller by Python's own semantics.
    def leak() -> None:
        running = generator()
        next(running)
        thread = threading.Thread(target=lambda: list(running))
        thread.start()
        thread.join()
        assert coati.current_span().span_id != "0" * 16

    contextvars.copy_context().run(leak)
    assert {line["span"] for line in engine.spans()} == {"s", "in generator"}


def test_threads_record_in_parallel_and_nothing_is_lost(engine: Any) -> None:
    engine.start(ring={"bytes": 4194304})
    threads = 8
    lines = 2000

    def work(number: int) -> None:
        with coati.context(thread=number), tracer.span("work", number=number):
            for line in range(lines):
                log.info("m", line=line)

    all_threads = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in all_threads:
        thread.start()
    for thread in all_threads:
        thread.join()
    records = engine.logs()
    for number in range(threads):
        mine = [line["line"] for line in records if line["thread"] == number]
        assert mine == list(range(lines))


def test_blocking_waits_without_the_interpreters_lock(engine: Any) -> None:
    engine.start(ring={"bytes": 4096, "overflow": "block", "block_ms": 60_000})
    for number in range(5000):
        log.info("m", number=number)
    assert [line["number"] for line in engine.logs()] == list(range(5000))


def _traced_in_child(number: int) -> tuple[int, str]:
    return number, coati.current_span().trace_id


def test_process_pools_take_what_can_be_pickled(engine: Any) -> None:
    with tracer.span("s") as span:
        executor = coati.wrap_executor(ProcessPoolExecutor(1))
        with executor:
            assert executor.submit(_traced_in_child, 3).result() == (3, span.trace_id)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(span)
    assert pickle.loads(pickle.dumps(span.context)) == span.context


def test_fields_go_on_inside_an_attached_span(engine: Any) -> None:
    span = tracer.start_span("made before")
    with coati.context(user="u1"):
        with coati.attach(span), coati.context(more=1):
            log.info("inside")
        with coati.attach(span.context):
            log.info("inside")
    span.end()
    first, second = engine.logs()
    assert (first["user"], first["more"], first["span_id"]) == ("u1", 1, span.span_id)
    assert (second["user"], second["span_id"]) == ("u1", span.span_id)

"""`@coati.trace` on everything that can be called."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import coati
import pytest

log = coati.get_logger("tests.trace")
tracer = coati.get_tracer("tests.trace")


@coati.trace
def plain(first: int, second: int = 2, *rest: int, key: str = "k") -> int:
    """Adds."""
    log.info("inside")
    return first + second


class Agent:
    @coati.trace
    def method(self, value: int) -> tuple[Agent, int]:
        return self, value

    @coati.trace("named", agent="a1", tier=2)
    def named(self) -> str:
        return coati.current_span().span_id

    @coati.trace
    @classmethod
    def of_class(cls) -> type[Agent]:
        return cls

    @classmethod
    @coati.trace
    def below(cls) -> type[Agent]:
        return cls

    @staticmethod
    @coati.trace
    def static(value: int) -> int:
        return value


@coati.trace
def numbers(count: int) -> Iterator[int]:
    try:
        for number in range(count):
            log.info("step", number=number)
            yield number
    finally:
        log.info("finally")


@coati.trace
async def work(value: int) -> int:
    log.info("before")
    await asyncio.sleep(0)
    with tracer.span("inner"):
        await asyncio.sleep(0)
        log.info("after")
    if value < 0:
        raise ValueError("negative")
    return value


@coati.trace
async def stream(count: int) -> AsyncIterator[int]:
    try:
        for number in range(count):
            await asyncio.sleep(0)
            log.info("chunk", number=number)
            yield number
    finally:
        log.info("finally")


def test_a_function_looks_as_before(engine: Any) -> None:
    assert plain(1) == 3
    assert plain(1, key="x") == 3
    assert plain.__name__ == "plain"
    assert plain.__doc__ == "Adds."
    assert plain.__module__ == __name__
    assert list(inspect.signature(plain).parameters) == ["first", "second", "rest", "key"]
    assert inspect.unwrap(plain) is not plain
    assert pickle.loads(pickle.dumps(plain)) is plain
    with pytest.raises(TypeError):
        plain()
    lines = engine.spans()
    assert {line["span"] for line in lines} == {f"{__name__}.plain"}
    assert [line["status"]["code"] for line in lines] == ["unset", "unset", "error"]
    assert {line["tracer"] for line in lines} == {__name__}


def test_kinds_are_recognised() -> None:
    assert inspect.iscoroutinefunction(work)
    assert inspect.isgeneratorfunction(numbers)
    assert inspect.isasyncgenfunction(stream)
    assert not inspect.iscoroutinefunction(plain)


def test_methods_bind(engine: Any) -> None:
    agent = Agent()
    assert agent.method(4) == (agent, 4)
    assert Agent.method(agent, 5) == (agent, 5)
    assert functools.partial(agent.method, 6)() == (agent, 6)
    assert Agent.of_class() is Agent
    assert agent.below() is Agent
    assert Agent.static(7) == agent.static(7) == 7
    agent.named()
    lines = engine.spans()
    assert lines[0]["span"] == f"{__name__}.Agent.method"
    assert lines[-1]["span"] == "named"
    assert lines[-1]["attributes"] == {"agent": "a1", "tier": 2}


def test_an_exception_passes_and_is_recorded(engine: Any) -> None:
    @coati.trace
    def fails() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError) as caught:
        fails()
    assert caught.traceback[-1].name == "fails"
    line = engine.span()
    assert line["status"] == {"code": "error", "description": "LookupError: gone"}
    assert line["span"].endswith("test_an_exception_passes_and_is_recorded.<locals>.fails")


def test_other_callables_and_wrong_use(engine: Any) -> None:
    class Callable:
        def __call__(self) -> int:
            return 1

    assert coati.trace(Callable())() == 1
    assert coati.trace(len)([1, 2]) == 2
    for wrong in (3, object()):
        with pytest.raises(TypeError, match="trace needs"):
            coati.trace(wrong)
    with pytest.raises(TypeError):
        coati.trace("name")()
    with pytest.raises(TypeError):
        coati.trace(plain, plain)


def test_a_generators_span_is_current_only_while_it_runs(engine: Any) -> None:
    with tracer.span("outer") as outer:
        running = numbers(3)
        for _ in running:
            assert coati.current_span() is outer
    records = engine.records()
    span = next(line for line in records if line.get("span", "").endswith("numbers"))
    assert span["parent_span_id"] == outer.span_id
    lines = [line for line in records if "message" in line]
    assert {line["span_id"] for line in lines} == {span["span_id"]}
    assert len(lines) == 4


@pytest.mark.parametrize("ending", ["exhaust", "close", "collect", "throw"])
def test_a_generators_span_ends_however_it_ends(engine: Any, ending: str) -> None:
    running: Any = numbers(2)
    assert next(running) == 0
    if ending == "exhaust":
        assert list(running) == [1]
    elif ending == "close":
        running.close()
    elif ending == "collect":
        del running
        gc.collect()
    else:
        with pytest.raises(KeyError):
            running.throw(KeyError("k"))
    records = engine.records()
    (span,) = [line for line in records if "span" in line]
    assert span["status"]["code"] == ("error" if ending == "throw" else "unset")
    last = [line for line in records if "message" in line][-1]
    assert last["message"] == "finally"
    assert last["span_id"] == span["span_id"]
    assert not coati.current_span().is_recording()


def test_a_generator_that_never_began_has_no_span(engine: Any) -> None:
    numbers(3).close()
    del engine
    assert coati.flush(60)
    assert coati.memory_records() == []


def test_generators_send_and_return(engine: Any) -> None:
    @coati.trace
    def echo() -> Any:
        received = yield "ready"
        while received is not None:
            received = yield received
        return "done"

    def outer() -> Any:
        return (yield from echo())

    running = outer()
    assert next(running) == "ready"
    assert running.send(5) == 5
    with pytest.raises(StopIteration) as stop:
        running.send(None)
    assert stop.value.value == "done"
    assert engine.span()["status"]["code"] == "unset"


def test_a_context_manager_from_a_traced_generator(engine: Any) -> None:
    @contextlib.contextmanager
    @coati.trace
    def managed() -> Iterator[int]:
        try:
            yield 1
        except KeyError:
            log.info("seen")

    with managed() as value:
        assert value == 1
    with managed():
        raise KeyError
    assert [line["status"]["code"] for line in engine.spans()] == ["unset", "unset"]


def test_interleaved_generators_keep_apart(engine: Any) -> None:
    pairs = list(zip(numbers(3), numbers(3), strict=True))
    assert pairs == [(0, 0), (1, 1), (2, 2)]
    gc.collect()
    records = engine.records()
    spans = [line for line in records if "span" in line]
    assert len(spans) == 2
    assert all("parent_span_id" not in span for span in spans)


def test_coroutines(engine: Any) -> None:
    async def main() -> list[int]:
        with tracer.span("root") as root:
            assert await work(1) == 1
            assert coati.current_span() is root
            with pytest.raises(ValueError, match="negative"):
                await work(-1)
            task = asyncio.create_task(work(2))
            return [await task, *await asyncio.gather(work(3), work(4))]

    assert asyncio.run(main()) == [2, 3, 4]
    records = engine.records()
    spans = {line["span_id"]: line for line in records if "span" in line}
    parents = {
        (line["span"], spans.get(line.get("parent_span_id", ""), {}).get("span"))
        for line in spans.values()
    }
    name = f"{__name__}.work"
    assert parents == {("inner", name), (name, "root"), ("root", None)}
    for line in records:
        if "message" in line:
            inside = spans[line["span_id"]]["span"]
            assert inside == ("inner" if line["message"] == "after" else name)


def test_a_cancelled_coroutine(engine: Any) -> None:
    async def main() -> None:
        task = asyncio.create_task(work(1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    line = engine.span()
    assert line["status"]["code"] == "error"
    assert "CancelledError" in line["status"]["description"]


def test_a_coroutine_driven_by_hand(engine: Any) -> None:
    coroutine = work(1)
    coroutine.send(None)
    assert not coati.current_span().is_recording()
    coroutine.close()
    assert engine.span()["span"] == f"{__name__}.work"
    assert inspect.isawaitable(coroutine)


@pytest.mark.parametrize("ending", ["exhaust", "break", "aclose", "athrow"])
def test_async_generators(engine: Any, ending: str) -> None:
    async def main() -> None:
        with tracer.span("outer") as outer:
            running: Any = stream(3)
            if ending == "exhaust":
                assert [number async for number in running] == [0, 1, 2]
            elif ending == "break":
                async for _ in running:
                    assert coati.current_span() is outer
                    break
                del running
            else:
                assert await running.asend(None) == 0
                if ending == "aclose":
                    await running.aclose()
                else:
                    with pytest.raises(KeyError):
                        await running.athrow(KeyError("k"))
            assert coati.current_span() is outer

    asyncio.run(main())
    gc.collect()
    records = engine.records()
    (span,) = [line for line in records if line.get("span", "").endswith("stream")]
    assert span["status"]["code"] == ("error" if ending == "athrow" else "unset")
    chunks = [line for line in records if line.get("message") == "chunk"]
    assert {line["span_id"] for line in chunks} == {span["span_id"]}


def test_recursion_and_deep_nesting(engine: Any) -> None:
    @coati.trace
    def down(depth: int) -> int:
        return depth and down(depth - 1)

    down(50)
    spans = {line["span_id"]: line for line in engine.spans()}
    depths = []
    for line in spans.values():
        depth = 0
        while "parent_span_id" in line:
            line = spans[line["parent_span_id"]]  # noqa: PLW2901
            depth += 1
        depths.append(depth)
    assert sorted(depths) == list(range(51))

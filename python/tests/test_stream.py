"""Stream spans: each way a stream ends, once, with what was gathered so far, under gc stress."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import coati
import pytest
from coati import baggage

tracer = coati.get_tracer("tests.stream")
log = coati.get_logger("tests.stream")
FIRST = "gen_ai.response.time_to_first_chunk"


@pytest.fixture(autouse=True, params=["calm", "stress"])
def collector(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test as it is, and with a collection after nearly each allocation."""
    before = gc.get_threshold()
    if request.param == "stress":
        gc.set_threshold(1, 1, 1)
    yield
    gc.set_threshold(*before)


def chunks(count: int = 3) -> Iterator[int]:
    yield from range(count)


async def achunks(count: int = 3) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


def attributes(engine: Any) -> dict[str, Any]:
    return dict(engine.span()["attributes"])


def check(engine: Any, end: str, count: int) -> dict[str, Any]:
    span = engine.span()
    told = dict(span["attributes"])
    assert told["coati.stream.end"] == end
    assert told["coati.stream.chunks"] == count
    assert (FIRST in told) == (count > 0)
    assert ("coati.stream.gap.max" in told) == ("coati.stream.gap.mean" in told) == (count > 1)
    if count > 1:
        assert told["coati.stream.gap.max"] >= told["coati.stream.gap.mean"] >= 0
        assert told[FIRST] >= 0
    return dict(span)


def test_exhausted(engine: Any) -> None:
    with tracer.stream_span("s", kind="client", model="m") as s:
        assert list(s.wrap(chunks())) == [0, 1, 2]
        s.set_attribute("after", 1)
    span = check(engine, "exhausted", 3)
    assert (span["kind"], span["attributes"]["model"], span["attributes"]["after"]) == (
        "client",
        "m",
        1,
    )
    assert span["status"]["code"] == "unset"


def test_exhausted_async(engine: Any) -> None:
    async def main() -> list[int]:
        async with tracer.stream_span("s") as s:
            return [chunk async for chunk in s.wrap(achunks())]

    assert asyncio.run(main()) == [0, 1, 2]
    check(engine, "exhausted", 3)


def test_without_a_chunk(engine: Any) -> None:
    with tracer.stream_span("s") as s:
        assert list(s.wrap([])) == []
    check(engine, "exhausted", 0)


def test_any_iterable(engine: Any) -> None:
    for given in ([1, 2], "ab", {"a": 1, "b": 2}, range(2), iter([1, 2]), map(str, [1, 2])):
        with tracer.stream_span("s") as s:
            assert len(list(s.wrap(given))) == 2
        check(engine, "exhausted", 2)
    with tracer.stream_span("s") as s, pytest.raises(TypeError, match="not iterable"):
        s.wrap(42)
    assert "attributes" not in engine.span()


def test_break(engine: Any) -> None:
    with tracer.stream_span("s") as s:
        for chunk in s.wrap(chunks()):
            if chunk == 1:
                break
        s.set_attribute("after", 1)
    assert check(engine, "closed", 2)["attributes"]["after"] == 1


def test_break_async(engine: Any) -> None:
    async def main() -> None:
        async with tracer.stream_span("s") as s:
            async for chunk in s.wrap(achunks()):
                if chunk == 1:
                    break

    asyncio.run(main())
    check(engine, "closed", 2)


def test_closed(engine: Any) -> None:
    cleaned = []

    def body() -> Iterator[int]:
        try:
            yield from range(3)
        finally:
            cleaned.append(coati.current_span().span_id)

    s = tracer.stream_span("s")
    stream = s.wrap(body())
    assert next(stream) == 0
    stream.close()
    stream.close()
    assert list(stream) == []
    assert cleaned == [s.span_id]
    check(engine, "closed", 1)


def test_closed_by_a_statement(engine: Any) -> None:
    with tracer.stream_span("s") as s, s.wrap(chunks()) as stream:
        assert next(stream) == 0
    check(engine, "closed", 1)


def test_closed_async(engine: Any) -> None:
    async def main() -> None:
        s = tracer.stream_span("s")
        stream = s.wrap(achunks())
        assert await anext(stream) == 0
        await stream.aclose()
        async with tracer.stream_span("t") as t, t.wrap(achunks()) as other:
            assert await anext(other) == 0

    asyncio.run(main())
    for span in engine.spans():
        assert span["attributes"]["coati.stream.end"] == "closed"
        assert span["attributes"]["coati.stream.chunks"] == 1


def test_ended_by_hand(engine: Any) -> None:
    s = tracer.stream_span("s")
    stream = s.wrap(chunks())
    next(stream)
    s.end()
    s.end()
    assert list(stream) == [1, 2]
    check(engine, "closed", 1)


def fails() -> Iterator[int]:
    yield 1
    raise ValueError("no more")


async def afails() -> AsyncIterator[int]:
    yield 1
    raise ValueError("no more")


def events(span: dict[str, Any]) -> list[str]:
    return [event["attributes"]["exception.type"] for event in span.get("events", [])]


def test_the_stream_raises(engine: Any) -> None:
    with pytest.raises(ValueError, match="no more"), tracer.stream_span("s") as s:
        list(s.wrap(fails()))
    span = check(engine, "error", 1)
    assert span["status"] == {"code": "error", "description": "ValueError: no more"}
    assert events(span) == ["ValueError"]


def test_the_stream_raises_and_somebody_catches_it(engine: Any) -> None:
    with tracer.stream_span("s") as s:
        with pytest.raises(ValueError, match="no more"):
            list(s.wrap(fails()))
        s.set_attribute("after", 1)
    span = check(engine, "error", 1)
    assert span["status"]["description"] == "ValueError: no more"
    assert events(span) == ["ValueError"]


def test_the_stream_raises_after_the_statement(engine: Any) -> None:
    with tracer.stream_span("s") as s:
        stream = s.wrap(fails())
    with pytest.raises(ValueError, match="no more"):
        list(stream)
    span = check(engine, "error", 1)
    assert events(span) == ["ValueError"]


def test_the_stream_raises_async(engine: Any) -> None:
    async def main() -> None:
        async with tracer.stream_span("s") as s:
            async for _ in s.wrap(afails()):
                pass

    with pytest.raises(ValueError, match="no more"):
        asyncio.run(main())
    assert events(check(engine, "error", 1)) == ["ValueError"]


def test_the_consumer_raises(engine: Any) -> None:
    with suppress(KeyError), tracer.stream_span("s") as s:
        for _ in s.wrap(chunks()):
            raise KeyError("mine")
    span = check(engine, "error", 1)
    assert events(span) == ["KeyError"]


def test_the_consumer_raises_after_the_end(engine: Any) -> None:
    with suppress(KeyError), tracer.stream_span("s") as s:
        list(s.wrap(chunks()))
        raise KeyError("mine")
    assert check(engine, "exhausted", 3)["status"]["code"] == "error"


@pytest.mark.parametrize("where", ["stream", "consumer"])
def test_cancelled(engine: Any, where: str) -> None:
    async def slow() -> AsyncIterator[int]:
        yield 1
        if where == "stream":
            await asyncio.Event().wait()
        yield 2
        yield 3

    async def work(started: asyncio.Event) -> None:
        async with tracer.stream_span("s") as s:
            async for chunk in s.wrap(slow()):
                started.set()
                if chunk == 2:
                    await asyncio.Event().wait()

    async def main() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(work(started))
        await started.wait()
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    check(engine, "cancelled", 1 if where == "stream" else 2)


def test_cancelled_after_the_statement(engine: Any) -> None:
    async def slow() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    async def main() -> None:
        s = tracer.stream_span("s")
        stream = s.wrap(slow())
        assert await anext(stream) == 1

        async def more() -> int:
            return int(await anext(stream))

        task = asyncio.create_task(more())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    span = check(engine, "cancelled", 1)
    assert events(span) == ["asyncio.exceptions.CancelledError"]


def test_it_outlives_the_statement(engine: Any) -> None:
    def start() -> Iterator[int]:
        with tracer.stream_span("s") as s:
            return s.wrap(chunks())

    stream = start()
    assert engine.spans() == []
    assert list(stream) == [0, 1, 2]
    check(engine, "exhausted", 3)


def test_inside_the_iterator_its_span_is_current_later_too(engine: Any) -> None:
    def body() -> Iterator[int]:
        log.info("inside")
        with tracer.span("inner"):
            yield 1
            log.info("still inside")
        yield 2

    with tracer.stream_span("s") as s:
        stream = s.wrap(body())
    with tracer.span("other") as other:
        for _ in stream:
            assert coati.current_span().span_id != s.span_id
        assert coati.current_span() is other
    records = engine.records()
    by_name = {record["span"]: record for record in records if "span" in record}
    logs = [record["span_id"] for record in records if "message" in record]
    assert logs[0] == s.span_id
    assert by_name["inner"]["parent_span_id"] == s.span_id
    assert "parent_span_id" not in by_name["s"]


def test_abandoned(engine: Any) -> None:
    with tracer.stream_span("s") as s:
        stream = s.wrap(chunks())
    next(stream)
    del stream
    check(engine, "collected", 1)
    del s
    tracer.stream_span("t").wrap(chunks())
    assert engine.span()["attributes"]["coati.stream.end"] == "collected"


def test_abandoned_in_a_cycle(engine: Any) -> None:
    class Holder:
        pass

    holder: Any = Holder()
    holder.itself = holder
    holder.stream = tracer.stream_span("s").wrap(chunks())
    next(holder.stream)
    del holder
    gc.collect()
    check(engine, "collected", 1)


def test_a_generator_around_it_is_abandoned(engine: Any) -> None:
    def mine() -> Iterator[int]:
        with tracer.stream_span("s") as s:
            yield from s.wrap(chunks())

    generator = mine()
    assert next(generator) == 0
    del generator
    gc.collect()
    check(engine, "closed", 1)


def test_an_asynchronous_generator_around_it_is_abandoned(engine: Any) -> None:
    async def mine() -> AsyncIterator[int]:
        async with tracer.stream_span("s") as s:
            async for chunk in s.wrap(achunks()):
                yield chunk

    async def main() -> None:
        generator = mine()
        assert await anext(generator) == 0
        del generator
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(main())
    check(engine, "closed", 1)


def test_what_is_gathered_is_on_the_span_however_it_ends(engine: Any) -> None:
    def usage(chunk: int) -> dict[str, Any]:
        return {"gen_ai.usage.output_tokens": chunk, "last": f"c{chunk}"}

    with tracer.stream_span("s") as s:
        s.gather(usage)

        @s.gather
        def nothing(chunk: int) -> None:
            pass

        s.gather(lambda chunk: {"sum": chunk, "half": chunk / 2}, total=True)
        for chunk in s.wrap(iter([1, 2, 3, 4])):
            if chunk == 3:
                break
    span = check(engine, "closed", 3)
    told = span["attributes"]
    assert (told["gen_ai.usage.output_tokens"], told["last"]) == (3, "c3")
    assert (told["sum"], told["half"]) == (6, 3.0)


def test_what_a_gathering_function_raises_stays_there(engine: Any) -> None:
    def bad(chunk: int) -> None:
        raise ValueError("mine")

    with tracer.stream_span("s") as s:
        s.gather(bad)
        assert list(s.wrap(chunks())) == [0, 1, 2]
    check(engine, "exhausted", 3)
    (problem,) = coati.health()["problems"]
    assert problem["component"] == "stream gather"
    assert problem["reason"] == "ValueError: mine"
    with tracer.stream_span("s") as s, pytest.raises(TypeError, match="needs a function"):
        s.gather(1)  # type: ignore[type-var]


def test_several_iterators_are_one_stream(engine: Any) -> None:
    with tracer.stream_span("s") as s:
        assert list(s.wrap(chunks(2))) == [0, 1]
        rest = s.wrap(chunks(2))
    assert engine.spans() == []
    assert list(rest) == [0, 1]
    check(engine, "exhausted", 4)


def test_without_a_stream_it_is_a_span(engine: Any) -> None:
    with tracer.stream_span("s", a=1) as s:
        assert s.is_recording()
        assert coati.current_span() is s.span
        assert s.span_id == s.span.span_id == s.context.span_id
    assert attributes(engine) == {"a": 1}


def test_generators_keep_their_methods(engine: Any) -> None:
    def echo() -> Any:
        got = yield "ready"
        while True:
            try:
                got = yield got
            except KeyError:
                return "done"

    class Response:
        request_id = "r1"

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            raise StopIteration

    with tracer.stream_span("s") as s:
        stream = s.wrap(echo())
        assert next(stream) == "ready"
        assert stream.send("x") == "x"
        with pytest.raises(StopIteration) as stopped:
            stream.throw(KeyError())
        assert stopped.value.value == "done"
    check(engine, "exhausted", 2)
    with tracer.stream_span("s") as s:
        assert s.wrap(Response()).request_id == "r1"


def test_unsampled_and_before_init_it_only_passes(engine: Any) -> None:
    coati.configure(spans={"sampler": "always_off"})
    with tracer.stream_span("s") as s, baggage.set("k", "v"):
        s.gather(lambda chunk: 1 / 0)
        assert list(s.wrap(chunks())) == [0, 1, 2]
        coati.inject(headers := {})
        assert headers["traceparent"].split("-")[2] == s.span_id
    assert engine.spans() == []
    coati.shutdown(60)
    with tracer.stream_span("s") as s:
        assert list(s.wrap(chunks())) == [0, 1, 2]
    engine.start()

"""Baggage: current like spans and fields, and copied onto records where configured."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import coati
import pytest
from coati import baggage

log = coati.get_logger("tests.baggage")
tracer = coati.get_tracer("tests.baggage")


@pytest.fixture(autouse=True)
def no_baggage() -> Iterator[None]:
    """Nothing that a test leaves behind."""
    with baggage.clear():
        yield


def test_a_statement_ends_it() -> None:
    assert baggage.get("a") is None
    assert baggage.get("a", 7) == 7
    with baggage.set("a", 1), baggage.set("b", "é"):
        assert baggage.get_all() == {"a": "1", "b": "é"}
        with baggage.remove("a"):
            assert baggage.get_all() == {"b": "é"}
            with baggage.clear():
                assert baggage.get_all() == {}
        assert baggage.get("a") == "1"
    assert baggage.get_all() == {}


def test_a_token_ends_it() -> None:
    first = baggage.set("a", 1)
    second = baggage.set("b", 2)
    assert baggage.get_all() == {"a": "1", "b": "2"}
    second.detach()
    first.detach()
    first.detach()
    assert baggage.get_all() == {}


def test_without_either_it_lasts_as_long_as_the_span_around(engine: Any) -> None:
    with tracer.span("outer") as outer:
        with tracer.span("inner"):
            baggage.set("a", 1)
            baggage.set("b", 2)
            gc.collect()
            assert baggage.get_all() == {"a": "1", "b": "2"}
            with coati.context(c=3):
                baggage.set("d", 4)
                assert baggage.get("d") == "4"
            assert baggage.get_all() == {"a": "1", "b": "2"}
        assert baggage.get_all() == {}
        assert coati.current_span() is outer
        log.info("here")
    assert engine.logs()[0]["span_id"] == outer.span_id


def test_many_changes_hold_on_to_nothing(engine: Any) -> None:
    with tracer.span("outer"):
        for number in range(1000):
            baggage.set("n", number)
        gc.collect()
        kept = [o for o in gc.get_objects() if type(o).__name__ == "Scope"]
        assert len(kept) < 20


def test_over_await_and_into_tasks() -> None:
    async def child() -> str | None:
        await asyncio.sleep(0)
        baggage.set("a", "child")
        await asyncio.sleep(0)
        return baggage.get("a")

    async def main() -> None:
        with baggage.set("a", "main"):
            task = asyncio.create_task(child())
            await asyncio.sleep(0)
            assert baggage.get("a") == "main"
            assert await task == "child"
            assert baggage.get("a") == "main"
        async with baggage.set("a", "async"):
            assert baggage.get("a") == "async"
        assert baggage.get("a") is None

    asyncio.run(main())


def test_threads_have_their_own_and_executors_carry_it() -> None:
    with baggage.set("a", 1), ThreadPoolExecutor(1) as pool:
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(baggage.get("a")))
        thread.start()
        thread.join()
        assert seen == [None]
        assert coati.wrap_executor(pool).submit(baggage.get, "a").result() == "1"
        assert pool.submit(baggage.get, "a").result() is None


def test_headers_carry_it_with_and_without_a_span(engine: Any) -> None:
    headers: dict[str, str] = {}
    with baggage.set("user", "Zoë, 1", "ttl=5"):
        coati.inject(headers)
        assert headers == {"baggage": "user=Zo%C3%AB%2C%201;ttl=5"}
        with tracer.span("client") as span:
            coati.inject(headers)
            # A span that was never entered goes with what is current.
            coati.inject(other := {}, tracer.start_span("other"))
    assert headers["traceparent"].split("-")[2] == span.span_id
    assert other["baggage"] == headers["baggage"]


@pytest.mark.parametrize("name", ["", "a b", "a,b", "é", "a=b", 'a"'])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="accepted: letters"):
        baggage.set(name, 1)
    with pytest.raises(ValueError, match="accepted: visible ASCII"):
        baggage.set("a", 1, "x,y")
    assert baggage.get_all() == {}


def test_names_become_fields_where_configured(engine: Any) -> None:
    coati.configure(context={"baggage_fields": ["user.id", "tenant"]})
    with coati.context(a=1), baggage.set("user.id", "u1"), baggage.set("secret", "s"):
        log.info("in", b=2)
        with tracer.span("one"):
            log.info("in span")
        with tracer.span("own", **{"user.id": "mine"}):
            coati.trace("traced", **{"user.id": "deco"})(lambda: None)()
            coati.trace("bare")(lambda: None)()
        with baggage.remove("user.id"), tracer.span("two"):
            log.info("removed")
    remote = coati.extract(
        {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "baggage": "tenant=t1,user.id=u2"}
    )
    with tracer.span("server", parent=remote), tracer.span("three"):
        log.info("remote")
    records = engine.records()
    logs = {r["message"]: r for r in records if "message" in r}
    spans = {r["span"]: r.get("attributes", {}) for r in records if "span" in r}
    assert (logs["in"]["user.id"], logs["in"]["a"], logs["in"]["b"]) == ("u1", 1, 2)
    assert logs["in span"]["user.id"] == "u1"
    assert "secret" not in logs["in"]
    assert logs["remote"]["tenant"] == "t1"
    assert spans["one"] == {"user.id": "u1"}
    assert spans["two"] == {}
    assert spans["own"] == {"user.id": "mine"}
    assert (spans["traced"], spans["bare"]) == ({"user.id": "deco"}, {"user.id": "u1"})
    assert spans["server"] == spans["three"] == {"user.id": "u2", "tenant": "t1"}


def test_an_unsampled_trace_carries_it_too(engine: Any) -> None:
    remote = coati.extract(
        {"traceparent": f"00-{'1' * 32}-{'2' * 16}-00", "tracestate": "a=1", "baggage": "k=v"}
    )
    with tracer.span("server", parent=remote) as span, tracer.span("inside"):
        assert not span.is_recording()
        with baggage.set("l", "w"):
            coati.inject(headers := {})
    assert headers["tracestate"] == "a=1"
    assert headers["baggage"] == "k=v,l=w"


def test_without_an_engine_contexts_still_pass(program: Any) -> None:
    program.run(
        """
        import coati
        from coati import baggage
        sent = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "a=1"}
        sent["baggage"] = "k=v"
        context = coati.extract(sent)
        with coati.get_tracer("t").span("x", parent=context), baggage.set("l", 2):
            headers = {}
            coati.inject(headers)
        assert headers == {**sent, "baggage": "k=v,l=2"}, headers
        """
    )

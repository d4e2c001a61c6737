"""Recording from inside a recording: values, destructors under collection, signals."""

from __future__ import annotations

import gc
import signal
from typing import Any

import coati

log = coati.get_logger("tests.reentrancy")
tracer = coati.get_tracer("tests.reentrancy")


def test_a_value_that_logs_itself(engine: Any) -> None:
    class Talks:
        def __str__(self) -> str:
            log.info("from str", depth=1)
            with tracer.span("from str"), coati.context(a=1):
                coati.counter("from_str").add(1, label="x")
            return "talks"

    with tracer.span("outer", value=Talks()) as span:
        span.set_attribute("value", Talks())
        span.add_event("event", value=Talks())
        log.bind(bound=Talks()).info("outer", value=Talks())
    records = engine.records()
    line = next(record for record in records if record.get("message") == "outer")
    assert (line["value"], line["bound"]) == ("talks", "talks")
    assert [record.get("message") for record in records].count("from str") == 5
    outer = next(record for record in records if record.get("span") == "outer")
    assert outer["attributes"] == {"value": "talks"}


def test_a_value_that_recurses_without_end(engine: Any) -> None:
    class Endless:
        def __str__(self) -> str:
            log.info("again", value=Endless())
            return "never"

    log.info("outer", value=Endless())
    lines = engine.logs()
    assert lines[-1]["message"] == "outer"


def test_destructors_under_collection_record_whole_lines(engine: Any) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            log.info("collected", nested=[1, {"a": 2}])
            tracer.start_span("lost in a destructor")
            coati.counter("collected").add(1, kind="cycle")

    gc.disable()
    for number in range(300):
        Cycle()
        log.info("m", number=number, value=[number])
        if number % 50 == 0:
            gc.collect()
    gc.enable()
    gc.collect()
    records = engine.records()
    messages = [record["message"] for record in records if "message" in record]
    assert messages.count("m") == messages.count("collected") == 300
    assert sum(record.get("span") == "lost in a destructor" for record in records) == 300
    assert coati.counter("collected").value(kind="cycle") == 300


def test_collections_in_the_middle_of_everything(engine: Any) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            log.info("collected")

    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for number in range(200):
            Cycle()
            with tracer.span("s", number=number, value=(number,)) as span, coati.context(n=number):
                span.add_event("e", {"a": [1]})
                log.bind(b=number).info("m", value={"k": number})
                coati.counter("gc_counter").add(1, number=number)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    messages = [line["message"] for line in engine.logs()]
    assert messages.count("m") == messages.count("collected") == 200


def test_signal_handlers_record(engine: Any) -> None:
    engine.start(ring={"overflow": "block", "block_ms": 60_000})
    caught: list[int] = []

    def handler(number: int, _frame: object) -> None:
        log.info("signal")
        caught.append(number)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while len(caught) < 50:
            log.info("m", value=[1])
            with tracer.span("s", a=1):
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [line["message"] for line in engine.logs()].count("signal") == len(caught)


def test_callbacks_that_read_metrics(engine: Any) -> None:
    mine = True

    def callback() -> int:
        if mine:  # it stays registered for other tests
            log.info("asked")
            coati.metrics.reset()
        return len(coati.ledger())

    coati.observable_gauge("reentrant_gauge", callback)
    coati.metrics.snapshot()
    assert "reentrant_gauge" in coati.metrics.prometheus_text()
    mine = False
    assert len(engine.logs()) == 2

"""What the adapters of frameworks share."""

from __future__ import annotations

import threading
from typing import Any

import coati
import pytest
from coati import genai
from coati._adapter import Entry, Hidden, Open, around, harmless, scalars
from conftest import Engine


@harmless
def fragile(error: type[BaseException]) -> str:
    raise error("inside")


def test_errors_are_counted_and_the_first_of_a_kind_told(engine: Engine) -> None:
    for _ in range(3):
        assert fragile(LookupError) is None
    assert fragile(ArithmeticError) is None
    (errors,) = [m for m in coati.metrics.snapshot() if m.name == "coati.adapter.errors"]
    assert errors.labels == {"adapter": __name__}
    assert errors.value == 4
    told = engine.logs()
    assert [line["exception.type"] for line in told] == ["LookupError", "ArithmeticError"]
    assert {line["level"] for line in told} == {"warning"}
    assert {line["logger"] for line in told} == {__name__}


def test_what_ends_a_program_passes() -> None:
    for error in (KeyboardInterrupt, SystemExit):
        with pytest.raises(error):
            fragile(error)


def test_errors_without_an_engine_stay_inside() -> None:
    coati.shutdown(60)
    assert fragile(OSError) is None


def test_the_oldest_of_too_many_is_given_up(engine: Engine) -> None:
    table = Open(limit=3)
    for number in range(10):
        entry = Entry(genai.step(f"step {number}"))
        table[number] = entry
        entry.attach()
    assert len(table) == 3
    assert table[6] is None
    in_time = table.pop(7)
    assert in_time is not None
    in_time.end()
    table.clear()
    assert coati.current_span().span_id == "0" * 16
    given_up = [s for s in engine.spans() if "attributes" in s]
    assert all(s["attributes"] == {"coati.adapter.abandoned": True} for s in given_up)
    assert len(given_up) == 9


def test_many_threads_share_a_table(engine: Engine) -> None:
    table = Open(limit=16)

    def work(thread: int) -> None:
        for number in range(500):
            table[thread, number] = Entry(genai.step("step"))
            entry = table.pop((thread, number))
            if entry is not None:
                entry.end()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table.clear()
    assert len(table) == 0
    assert len(engine.spans()) == 8 * 500


def test_own_spans_of_the_same_trace_are_nearer(engine: Engine) -> None:
    tracer = coati.get_tracer("own")
    entry = Entry(genai.agent("planner"))
    assert around(None) == {}
    assert around(entry) == {"parent": entry.operation}
    entry.attach()
    with tracer.span("mine") as mine:
        nearer: dict[str, Any] = around(entry)
        assert nearer["parent"].span_id == mine.span_id
        assert nearer["within"] is entry.operation
        assert around(entry, current=False) == {"parent": entry.operation}
        assert around(Hidden(entry))["within"] is entry.operation
    entry.end()
    with tracer.span("elsewhere"):
        assert around(entry) == {"parent": entry.operation}
    Hidden(entry).end()
    assert len(engine.spans()) == 3


def test_scalars_of_a_mapping() -> None:
    given = {"text": "a", "number": 1, "none": None, "list": [1], "yes": True}
    assert scalars("x.", given) == {"x.text": "a", "x.number": 1, "x.yes": True}
    assert scalars("x.", ["a"]) == {}

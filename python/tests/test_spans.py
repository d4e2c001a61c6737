"""Spans: what is set on them, current ones, limits, sampling, links."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import re
import sys
import threading
from typing import Any

import coati
import pytest

tracer = coati.get_tracer("tests.spans")
log = coati.get_logger("tests.spans")


def test_a_span_line(engine: Any) -> None:
    with tracer.span("plan", agent="a1") as span:
        span.set_attribute("tokens", 12)
        span.set_attribute("tokens", 13)
        span.set_attributes({"model": "m", "ok": True})
        span.add_event("retry", attempt=2)
        span.add_event("with mapping", {"attributes": 1}, 1_700_000_000_000_000_000)
        span.set_status("error", "why")
        span.update_name("plan v2")
        assert span.is_recording()
    assert not span.is_recording()
    line = engine.span()
    assert next(iter(line)) == "span"
    assert line["span"] == "plan v2"
    assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
    assert "parent_span_id" not in line
    assert line["status"] == {"code": "error", "description": "why"}
    assert line["attributes"] == {"agent": "a1", "tokens": 13, "model": "m", "ok": True}
    assert [event["name"] for event in line["events"]] == ["retry", "with mapping"]
    assert line["events"][1]["timestamp"].startswith("2023-11-14T22:13:20")
    assert (line["kind"], line["tracer"]) == ("internal", "tests.spans")
    assert re.fullmatch("[0-9a-f]{32}", span.trace_id)
    assert re.fullmatch("[0-9a-f]{16}", span.span_id)


def test_children_and_siblings(engine: Any) -> None:
    with tracer.span("root") as root:
        assert coati.current_span() is root
        with tracer.start_as_current_span("child", attributes={"parent": 1}) as child:
            assert child.trace_id == root.trace_id
        loose = tracer.start_span("loose", kind="client")
        assert coati.current_span() is root
        loose.end()
        loose.end()
    lines = {line["span"]: line for line in engine.spans()}
    assert lines["child"]["parent_span_id"] == lines["loose"]["parent_span_id"] == root.span_id
    assert lines["child"]["attributes"] == {"parent": 1}
    assert lines["loose"]["kind"] == "client"


def test_outside_any_span_the_current_one_records_nothing(engine: Any) -> None:
    span = coati.current_span()
    assert span is coati.current_span()
    assert not span.is_recording()
    span.set_attribute("a", 1)
    span.end()
    assert span.trace_id == "0" * 32
    assert engine.records() == []


def test_an_exception_sets_the_status_and_is_recorded(engine: Any) -> None:
    with pytest.raises(KeyError), tracer.span("fails"):
        raise KeyError("k")
    line = engine.span()
    assert line["status"] == {"code": "error", "description": "KeyError: 'k'"}
    (event,) = line["events"]
    assert event["name"] == "exception"
    assert event["attributes"]["exception.type"] == "KeyError"
    assert "Traceback" in event["attributes"]["exception.stacktrace"]


def test_ok_is_final(engine: Any) -> None:
    with contextlib.suppress(ValueError), tracer.span("s") as span:
        span.set_status("ok")
        span.set_status("error", "no")
        raise ValueError("x")
    assert engine.span()["status"] == {"code": "ok"}
    with pytest.raises(ValueError, match="accepted: ok, error"):
        tracer.start_span("s").set_status("fine")


def test_record_exception_leaves_the_status(engine: Any) -> None:
    with tracer.span("s") as span:
        span.record_exception(ValueError("v"), attempt=1)
        with pytest.raises(TypeError, match="exception"):
            span.record_exception("no exception")
    line = engine.span()
    assert line["status"] == {"code": "unset"}
    assert line["events"][0]["attributes"]["attempt"] == 1


def test_links_parent_kind_and_start_time(engine: Any) -> None:
    other = tracer.start_span("other")
    with tracer.span(
        "s",
        parent=None,
        kind="producer",
        links=[other, (other.context, {"why": "batch"})],
        start_time=1_700_000_000_000_000_000,
        attributes={"kind": "attribute", "links": 2},
        plain=True,
    ) as span:
        span.add_link(other, why="late")
    line = next(line for line in engine.spans() if line["span"] == "s")
    other.end()
    assert line["kind"] == "producer"
    assert line["start"].startswith("2023-11-14T22:13:20")
    assert line["attributes"] == {"kind": "attribute", "links": 2, "plain": True}
    assert [link["span_id"] for link in line["links"]] == [other.span_id] * 3
    assert [link.get("attributes") for link in line["links"]] == [
        None,
        {"why": "batch"},
        {"why": "late"},
    ]
    with tracer.span("under", parent=other) as under:
        assert under.trace_id == other.trace_id
    for bad in ({"kind": "sideways"}, {"parent": "text"}):
        with pytest.raises((ValueError, TypeError)):
            tracer.span("bad", **bad)


def test_limits(engine: Any) -> None:
    engine.start(spans={"max_attributes": 2, "max_events": 1, "max_links": 1})
    with tracer.span("s", a=1, b=2, c=3) as span:
        span.set_attribute("d", 4)
        span.set_attribute("a", 5)
        for _ in range(3):
            span.add_event("e")
    line = engine.span()
    assert line["attributes"] == {"b": 2, "a": 5}
    assert line["dropped_attributes"] == 2
    assert line["dropped_events"] == 2
    assert len(line["events"]) == 1


def test_an_unsampled_span_records_nothing_and_its_ids_stand_on_logs(engine: Any) -> None:
    engine.start(spans={"sampler": "always_off"})
    with tracer.span("root") as root:
        assert not root.is_recording()
        log.info("in root")
        with tracer.span("child", a=1) as child:
            child.set_attribute("b", 2)
            child.add_event("e")
            assert coati.current_span().trace_id == root.trace_id
            log.info("in child")
        assert coati.current_span() is root
        log.info("in root")
    assert coati.current_span() is not root
    lines = engine.records()
    assert [line["message"] for line in lines] == ["in root", "in child", "in root"]
    assert {line["trace_id"] for line in lines} == {root.trace_id}
    assert [line["span_id"] for line in lines] == [root.span_id, child.span_id, root.span_id]
    assert coati.ledger()["spans"]["unsampled"] == 2


def test_a_trace_is_sampled_or_not_as_a_whole(engine: Any) -> None:
    engine.start(spans={"sampler": "parentbased_traceidratio", "sampler_arg": 0.5})
    for _ in range(200):
        with tracer.span("root"), tracer.span("child"), tracer.span("leaf"):
            pass
    traces: dict[str, int] = {}
    for line in engine.spans():
        traces[line["trace_id"]] = traces.get(line["trace_id"], 0) + 1
    assert set(traces.values()) == {3}
    assert 50 < len(traces) < 150


def test_a_span_that_is_lost_is_ended_and_marked(engine: Any) -> None:
    tracer.start_span("lost")
    gc.collect()
    line = engine.span()
    assert line["span"] == "lost"
    assert coati.ledger()["spans"]["open"] == 0


def test_a_span_left_open_in_a_thread_is_collected(engine: Any) -> None:
    def leave_open() -> None:
        tracer.span("left open").__enter__()

    thread = threading.Thread(target=leave_open)
    thread.start()
    thread.join()
    gc.collect()
    assert engine.span()["span"] == "left open"


def test_spans_may_end_out_of_order(engine: Any) -> None:
    first, second = tracer.span("first"), tracer.span("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert coati.current_span() is second
    second.__exit__(None, None, None)
    assert not coati.current_span().is_recording()
    assert [line["span"] for line in engine.spans()] == ["first", "second"]


def test_async_with(engine: Any) -> None:
    async def main() -> None:
        async with tracer.span("outer") as outer:
            await asyncio.sleep(0)
            with pytest.raises(ValueError, match="x"):
                async with tracer.span("inner"):
                    raise ValueError("x")
            assert coati.current_span() is outer

    asyncio.run(main())
    inner, outer = engine.spans()
    assert inner["status"]["code"] == "error"
    assert inner["parent_span_id"] == outer["span_id"]


def test_two_threads_touch_one_span(engine: Any) -> None:
    span = tracer.start_span("shared")

    def work(name: str) -> None:
        for number in range(500):
            span.set_attribute(name, number)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    span.end()
    assert engine.span()["attributes"] == {f"t{i}": 499 for i in range(4)}


def test_open_spans_are_bounded(engine: Any) -> None:
    engine.start(spans={"max_open": 2})
    spans = [tracer.start_span("s") for _ in range(5)]
    assert coati.ledger()["spans"]["open"] == 2
    for span in spans:
        span.end()
    assert len(engine.spans()) == 2
    assert coati.ledger()["spans"]["dropped"] == {"open_spans": 3}


def test_a_disabled_tracer_starts_nothing(engine: Any) -> None:
    coati.configure(logs={"disabled": ["noisy"]})
    with tracer.span("root") as root, coati.get_tracer("noisy.part").span("no") as noisy:
        assert noisy.span_id == root.span_id
        assert coati.current_span() is root
    assert [line["span"] for line in engine.spans()] == ["root"]


def test_entering_and_leaving_are_methods_like_any(engine: Any) -> None:
    tracer = coati.get_tracer("t")
    with contextlib.ExitStack() as stack:
        spans = [stack.enter_context(tracer.span(f"span {i}")) for i in range(20)]
        assert coati.current_span() is spans[-1]
        stack.enter_context(coati.context(user="u1"))
        coati.get_logger("t").info("inside")
    assert coati.current_span().span_id == "0" * 16
    records = engine.records()
    assert [record.get("user") for record in records if "message" in record] == ["u1"]
    assert sum("span" in record for record in records) == 20

    span = tracer.span("by hand")
    leave = span.__exit__
    assert span.__enter__() is span
    del span
    assert leave(None, None, None) is None
    assert engine.span()["span"] == "by hand"

    for wrong in ((), (object(),), (coati.context(),)):
        with pytest.raises(TypeError, match="needs a coati"):
            coati.Span.__enter__(*wrong)
    assert list(inspect.signature(coati.Span.__exit__).parameters) == ["self", "exc_info"]
    assert coati.Span.__enter__.__name__ == "__enter__"


def test_many_at_once_keep_what_they_belong_to(engine: Any) -> None:
    spans = [coati.get_tracer("t").span(str(i)) for i in range(100)]
    entering = [span.__enter__ for span in spans]
    leaving = [span.__exit__ for span in spans]

    def references() -> int:
        return sys.getrefcount(spans[0])

    before = references()
    assert [enter() for enter in entering] == spans
    for leave in reversed(leaving):
        leave(None, None, None)
    del leave
    assert references() == before
    entering.clear()
    leaving.clear()
    gc.collect()
    assert references() == before - 2
    assert [span["span"] for span in engine.spans()] == [str(i) for i in reversed(range(100))]


def test_spans_inside_an_unsampled_trace_are_counted(engine: Any) -> None:
    tracer = coati.get_tracer("t")
    before = coati.ledger()["spans"]["unsampled"]
    with tracer.span("root", parent=coati.SpanContext("1" * 32, "2" * 16, trace_flags=0)) as root:
        for _ in range(5):
            with tracer.span("inside", a=1) as inside, coati.context(user="u1"):
                assert inside is root
                with tracer.span("in a context") as deeper:
                    assert deeper is root
    assert coati.current_span().span_id == "0" * 16
    assert coati.ledger()["spans"]["unsampled"] == before + 11
    assert engine.spans() == []


def test_a_trace_state_stands_on_the_line(engine: Any) -> None:
    state = 'vendor=a b,other="1"\\'
    parent = coati.SpanContext("1" * 32, "2" * 16, 1, state)
    tracer = coati.get_tracer("tests.state")
    with tracer.span("outer", parent=parent, links=[parent], a=1), tracer.span("inner"):
        pass
    with tracer.span("root"):
        pass
    inner, outer, root = engine.spans()
    assert inner["trace_state"] == outer["trace_state"] == state
    assert outer["links"] == [{"trace_id": "1" * 32, "span_id": "2" * 16}]
    assert (outer["attributes"], "trace_state" in root) == ({"a": 1}, False)


def test_roots_and_errors_are_counted(engine: Any) -> None:
    tracer = coati.get_tracer("t")
    with tracer.span("root"):
        with tracer.span("inside") as inside:
            inside.set_status("error", "on purpose")
        with tracer.span("fine") as fine:
            fine.set_status("ok")
    with contextlib.suppress(KeyError), tracer.span("failed"):
        raise KeyError("x")
    with tracer.span("called", parent=coati.SpanContext("1" * 32, "2" * 16, 1)) as called:
        called.set_status("error", "on purpose")
    open_span = tracer.start_span("open")
    spans = engine.spans()
    books = coati.ledger()["spans"]
    assert books["roots"] == len([span for span in spans if "parent_span_id" not in span]) == 2
    assert books["errors"] == len([s for s in spans if s["status"]["code"] == "error"]) == 3
    open_span.end()
    books = coati.shutdown(60)["spans"]
    assert (books["recorded"], books["roots"], books["errors"]) == (6, 3, 3)


def test_each_engine_and_each_process_counts_its_own_roots_and_errors(program: Any) -> None:
    program.run(
        """
        import os, coati

        def counted():
            assert coati.flush(60)
            books = coati.ledger()["spans"]
            return books["recorded"], books["roots"], books["errors"]

        tracer = coati.get_tracer("t")
        assert coati.ledger()["spans"]["roots"] == coati.ledger()["spans"]["errors"] == 0
        coati.init(config={"sinks": [SINK]})
        with tracer.span("failed") as span:
            span.set_status("error", "on purpose")
        with tracer.span("root"):
            child = os.fork()
            with tracer.span("inside"):
                pass
            if child == 0:
                # The root is the parent's, which records it.
                assert counted() == (1, 0, 0), counted()
        if child == 0:
            with tracer.span("own"):
                pass
            assert counted() == (2, 1, 0), counted()
            os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        assert counted() == (3, 2, 1), counted()
        books = coati.shutdown(60)["spans"]
        assert (books["roots"], books["errors"]) == (2, 1)
        coati.init(config={"sinks": [SINK]})
        assert counted() == (0, 0, 0)
        """
    )

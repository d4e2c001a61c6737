"""Spans that stay open: starts, heartbeats and time-outs, told once and of real spans only."""

from __future__ import annotations

import threading
import time
from typing import Any

import coati
import pytest
from conftest import Record, wait_until

tracer = coati.get_tracer("tests.open")


class Seen:
    """All records so far."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def told(self, span_id: str | None = None) -> list[Record]:
        """What was told of open spans, or of one."""
        assert coati.flush(60)
        self.records += coati.memory_records()
        lines = [record for record in self.records if record.get("logger") == "coati.spans"]
        return [line for line in lines if span_id in (None, line["span_id"])]

    def spans(self) -> list[Record]:
        """The spans."""
        self.told()
        return [record for record in self.records if "span" in record]


def test_a_long_span_has_a_start_and_heartbeats(engine: Any) -> None:
    engine.start(spans={"heartbeat_seconds": 0.05})
    seen = Seen()
    with tracer.span("outer"):
        span = tracer.start_span("a call", kind="client", a=1)
        wait_until(lambda: len(seen.told(span.span_id)) >= 3)
        span.end()
    told = seen.told(span.span_id)
    assert [line["message"] for line in told] == ["span.start"] + ["span.heartbeat"] * (
        len(told) - 1
    )
    line = next(line for line in seen.spans() if line["span"] == "a call")
    for beat in told:
        assert (beat["trace_id"], beat["level"]) == (span.trace_id, "info")
        assert (beat["span.name"], beat["span.kind"]) == ("a call", "client")
        assert beat["span.tracer"] == "tests.open"
        assert beat["span.parent_id"] == line["parent_span_id"]
        assert beat["span.elapsed_s"] >= 0.05
        assert beat["timestamp"] <= line["end"]
    elapsed = [beat["span.elapsed_s"] for beat in told]
    assert elapsed == sorted(elapsed)
    # What has ended is silent.
    count = len(told)
    other = tracer.start_span("other")
    wait_until(lambda: len(seen.told(other.span_id)) >= 2)
    other.end()
    assert len(seen.told(span.span_id)) == count


def test_off_or_short_means_silence(engine: Any) -> None:
    seen = Seen()
    span = tracer.start_span("not watched")
    coati.configure(spans={"heartbeat_seconds": 0.02, "timeout_seconds": 0.02})
    watched = tracer.start_span("watched")
    wait_until(lambda: len(seen.told(watched.span_id)) >= 3)
    watched.end()
    assert seen.told(span.span_id) == []
    span.end()
    coati.configure(spans={"heartbeat_seconds": 60, "timeout_seconds": 60})
    for _ in range(1000):
        with tracer.span("short"):
            pass
    short = {line["span_id"] for line in seen.spans() if line["span"] == "short"}
    assert len(short) == 1000
    assert not [line for line in seen.told() if line["span_id"] in short]


def test_a_late_span_is_told_of_once_and_fails_when_it_ends(engine: Any) -> None:
    engine.start(spans={"timeout_seconds": 0.05})
    seen = Seen()
    span = tracer.start_span("late")
    wait_until(lambda: len(seen.told()) >= 1)
    assert span.is_recording()
    span.set_attribute("after", 1)
    time.sleep(0.2)
    span.end()
    (line,) = seen.told()
    assert (line["message"], line["level"]) == ("span.timeout", "warning")
    assert (line["span_id"], line["trace_id"]) == (span.span_id, span.trace_id)
    (ended,) = seen.spans()
    assert ended["status"] == {"code": "error", "description": "timed out"}
    assert ended["attributes"] == {"after": 1}
    (event,) = ended["events"]
    assert event["name"] == "span.timeout"
    assert ended["start"] <= event["timestamp"] <= ended["end"]


def test_a_time_out_of_its_own(engine: Any) -> None:
    seen = Seen()
    with tracer.span("late", timeout=0.02) as late, tracer.span("other") as other:
        wait_until(lambda: len(seen.told(late.span_id)) == 1)
        late.set_status("ok")
    with tracer.span("early", timeout=600.0):
        pass
    spans = {span["span"]: span for span in seen.spans()}
    assert [span["status"]["code"] for span in spans.values()] == ["unset", "ok", "unset"]
    assert [event["name"] for event in spans["late"]["events"]] == ["span.timeout"]
    assert "events" not in spans["other"]
    assert seen.told(other.span_id) == []
    assert len(seen.told()) == 1
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="accepted: seconds above 0"):
            tracer.span("x", timeout=wrong)
    with pytest.raises(TypeError):
        tracer.span("x", timeout="1")  # type: ignore[arg-type]


def test_what_is_not_sampled_is_not_told_of(engine: Any) -> None:
    engine.start(spans={"heartbeat_seconds": 0.02, "sampler": "always_off"})
    seen = Seen()
    with tracer.span("unsampled", timeout=0.01):
        time.sleep(0.2)
    assert seen.told() == []


def test_threads_and_the_watcher_agree(engine: Any) -> None:
    engine.start(spans={"heartbeat_seconds": 0.001, "timeout_seconds": 0.03})
    handed: list[coati.Span] = []

    def work() -> None:
        for number in range(200):
            with tracer.span(f"work {number % 7}"):
                if number % 50 == 0:
                    time.sleep(0.05)
                handed.append(tracer.start_span("handed over"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = Seen()
    wait_until(lambda: len({line["span_id"] for line in seen.told()}) >= 800)
    # Ended by another thread than has started them.
    for span in handed:
        span.end()
    spans = {span["span_id"]: span for span in seen.spans()}
    assert len(spans) == 1600
    starts = [line["span_id"] for line in seen.told() if line["message"] == "span.start"]
    late = [line["span_id"] for line in seen.told() if line["message"] == "span.timeout"]
    assert len(starts) == len(set(starts))
    assert len(late) == len(set(late))
    assert {s for s, span in spans.items() if "events" in span} == set(late)
    for line in seen.told():
        assert line["span.name"] == spans[line["span_id"]]["span"]
        assert line["timestamp"] <= spans[line["span_id"]]["end"]

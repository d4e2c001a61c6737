"""W3C trace context in headers."""

from __future__ import annotations

from typing import Any

import coati
import pytest

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"
tracer = coati.get_tracer("tests.propagation")


def test_there_and_back(engine: Any) -> None:
    headers: dict[str, str] = {}
    coati.inject(headers)
    assert headers == {}
    with tracer.span("client") as span:
        coati.inject(headers)
    version, trace, parent, flags = headers["traceparent"].split("-")
    assert (version, trace, parent) == ("00", span.trace_id, span.span_id)
    assert int(flags, 16) & 1
    context = coati.extract(headers)
    assert (context.trace_id, context.span_id) == (span.trace_id, span.span_id)
    assert context.is_remote
    with tracer.span("server", parent=context, kind="server") as server:
        assert server.trace_id == span.trace_id
    client_line, server_line = engine.spans()
    assert server_line["parent_span_id"] == client_line["span_id"]


class Getter:
    def get(self, name: str) -> str | None:
        return HEADER if name == "traceparent" else None


class Items:
    def items(self) -> list[tuple[str, str]]:
        return [("TRACEPARENT", HEADER)]


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": HEADER},
        {"TraceParent": HEADER, "other": 1},
        {b"traceparent": HEADER.encode()},
        {"traceparent": [HEADER]},
        [(b"traceparent", HEADER.encode())],
        Getter(),
        Items(),
        {"traceparent": f"01-{TRACE}-{SPAN}-01-more"},
    ],
    ids=repr,
)
def test_headers_come_in_many_forms(headers: Any) -> None:
    context = coati.extract(headers)
    assert (context.trace_id, context.span_id) == (TRACE, SPAN)
    assert context.trace_flags & 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        None,
        42,
        {"traceparent": None},
        {"traceparent": HEADER[:-1]},
        {"traceparent": HEADER.upper()},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"traceparent": HEADER + "-more"},
        {"traceparent": HEADER, "Traceparent": HEADER.replace("b7", "b8")},
        {"traceparent": "\ud800" * 55},
    ],
    ids=repr,
)
def test_bad_headers_say_nothing(engine: Any, headers: Any) -> None:
    context = coati.extract(headers)
    if isinstance(headers, dict) and "Traceparent" in headers:
        # The exact name is the one that counts.
        assert context.is_valid
        return
    assert not context.is_valid
    with tracer.span("outer") as outer, tracer.span("inner", parent=context) as inner:
        assert inner.trace_id == outer.trace_id


def test_tracestate_is_kept_and_sent_on(engine: Any) -> None:
    context = coati.extract({"traceparent": HEADER, "TraceState": " a=1 , b=2,"})
    assert context.trace_state == "a=1,b=2"
    headers: dict[str, str] = {}
    with tracer.span("server", parent=context), tracer.span("inside"):
        coati.inject(headers)
    assert headers["tracestate"] == "a=1,b=2"
    assert headers["traceparent"].split("-")[1] == TRACE


@pytest.mark.parametrize(
    "state", ["", "A=1", "a=1,a=2", "a", ",".join(f"k{i}=1" for i in range(40))]
)
def test_a_bad_tracestate_is_dropped_alone(state: str) -> None:
    context = coati.extract({"traceparent": HEADER, "tracestate": state})
    assert context.is_valid
    assert context.trace_state is None


def test_an_unsampled_parent_is_obeyed(engine: Any) -> None:
    context = coati.extract({"traceparent": HEADER[:-1] + "0"})
    headers: dict[str, str] = {}
    with tracer.span("server", parent=context) as span:
        assert not span.is_recording()
        coati.inject(headers)
    assert headers["traceparent"].endswith(("-00", "-02"))
    assert engine.spans() == []


def test_inject_a_given_context(engine: Any) -> None:
    headers: dict[str, str] = {}
    coati.inject(headers, coati.SpanContext(TRACE, SPAN))
    assert headers == {"traceparent": HEADER}
    with pytest.raises(ValueError, match="32 lower-case"):
        coati.SpanContext("no", SPAN)
    with pytest.raises(TypeError), tracer.span("s"):
        coati.inject(None)

"""W3C trace context in headers."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coati
import httpx
import multidict
import pytest
import requests.structures
import starlette.datastructures
import werkzeug.datastructures
from coati import baggage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"
CASES = json.loads(
    (Path(__file__).parents[2] / "export" / "tests" / "data" / "headers.json").read_text()
)
tracer = coati.get_tracer("tests.propagation")


@pytest.fixture(autouse=True)
def no_baggage() -> Iterator[None]:
    """Nothing that a test leaves behind."""
    with baggage.clear():
        yield
    coati.set_propagators(None)


def test_every_case_of_the_table() -> None:
    """The table that the Rust tests share, by pairs and where names are unique by a dict."""
    assert len(CASES) >= 120
    for case in CASES:
        coati.set_propagators(case.get("formats"))
        pairs = [(name, value) for name, value in case["headers"]]
        forms: list[Any] = [pairs, [(n.encode(), v.encode()) for n, v in pairs]]
        if len({name.lower() for name, _ in pairs}) == len(pairs):
            forms += [dict(pairs), requests.structures.CaseInsensitiveDict(pairs)]
        for form in forms:
            context = coati.extract(form)
            span = f"{context.trace_id}-{context.span_id}-{context.trace_flags:02x}"
            assert (span if context.is_valid else None) == case.get("span"), case["name"]
            assert context.trace_state == case.get("state"), case["name"]
            assert context.baggage == case.get("baggage", {}), case["name"]
            sent: dict[str, str] = {}
            coati.inject(sent, context)
            if "sent" in case:
                assert sent == case["sent"], case["name"]
            again: dict[str, str] = {}
            coati.inject(again, coati.extract(sent))
            assert again == sent, case["name"]


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


KEY = st.text("abcz019_-*/@", min_size=1, max_size=20).filter(lambda key: key[0] not in "_-*/@")
VALUE = st.text([chr(c) for c in range(33, 127) if chr(c) not in ",="], min_size=1, max_size=40)
TOKEN = st.text("azAZ09!#$%&'*+-.^_`|~", min_size=1, max_size=10)


@settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    state=st.dictionaries(KEY, VALUE, max_size=8),
    carried=st.dictionaries(TOKEN, st.text(st.characters(exclude_categories=["Cs"])), max_size=8),
    flags=st.integers(0, 3),
)
def test_extract_after_inject_is_the_identity(
    state: dict[str, str], carried: dict[str, str], flags: int
) -> None:
    text = ",".join(f"{key}={value}" for key, value in state.items()) or None
    context = coati.SpanContext(TRACE, SPAN, flags, text, True, carried)
    assert (context.trace_state, context.baggage) == (text, carried)
    headers: dict[str, str] = {}
    coati.inject(headers, context)
    assert coati.extract(headers) == context
    assert coati.extract([(k.upper(), v) for k, v in headers.items()]) == context
    assert pickle.loads(pickle.dumps(context)) == context


SENT = {"traceparent": HEADER, "tracestate": "a=1,b=2", "baggage": "k=%C3%A9"}
CARRIERS = {
    "httpx": httpx.Headers,
    "requests": requests.structures.CaseInsensitiveDict,
    "aiohttp": multidict.CIMultiDict,
    "werkzeug": werkzeug.datastructures.Headers,
    "starlette": lambda headers: starlette.datastructures.MutableHeaders(headers=headers),
    "pairs": lambda headers: list(headers.items()),
    "asgi": lambda headers: [(k.encode(), v.encode()) for k, v in headers.items()],
}


@pytest.mark.parametrize("make", CARRIERS.values(), ids=CARRIERS.keys())
def test_header_objects_of_frameworks(make: Any) -> None:
    carrier = make({"x-other": "1"})
    coati.inject(carrier, coati.extract(SENT))
    coati.inject(carrier, coati.extract(SENT))
    context = coati.extract(carrier)
    assert context == coati.extract(SENT)
    assert (context.trace_state, context.baggage) == ("a=1,b=2", {"k": "é"})


def test_several_headers_are_one() -> None:
    pairs = [("traceparent", HEADER), ("tracestate", "a=1"), ("tracestate", "b=2"),
             ("baggage", "k=1"), ("Baggage", "l=2")]  # fmt: skip
    for headers in (pairs, multidict.CIMultiDict(pairs), httpx.Headers(pairs)):
        context = coati.extract(headers)
        assert context.trace_state == "a=1,b=2"
        assert context.baggage == {"k": "1", "l": "2"}


def test_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SENT:
        monkeypatch.setenv(name.upper(), "")
    coati.inject(os.environ, coati.extract(SENT))
    assert os.environ["TRACEPARENT"] == HEADER
    assert os.environ["BAGGAGE"] == "k=%C3%A9"
    assert coati.extract(os.environ) == coati.extract(SENT)
    environ: dict[str, str] = {}
    coati.inject(environ, coati.extract(SENT), environ=True)
    assert environ == {name.upper(): value for name, value in SENT.items()}
    wsgi = {"HTTP_" + name.upper(): value for name, value in SENT.items()}
    assert coati.extract(wsgi) == coati.extract(SENT)


def test_a_remote_parent_brings_its_baggage(engine: Any) -> None:
    context = coati.extract(SENT)
    with baggage.set("own", "1"), baggage.set("k", "mine"):
        with tracer.span("server", parent=context) as span:
            assert baggage.get_all() == {"own": "1", "k": "é"}
            assert span.trace_state == span.context.trace_state == "a=1,b=2"
            assert span.context.baggage == {"own": "1", "k": "é"}
            headers: dict[str, str] = {}
            coati.inject(headers)
            assert headers["baggage"] == "own=1,k=%C3%A9"
            assert headers["tracestate"] == "a=1,b=2"
        assert baggage.get_all() == {"own": "1", "k": "mine"}
    with tracer.span("server", parent=coati.extract({"baggage": "k=1"})) as span:
        assert baggage.get("k") == "1"
        assert not span.trace_state


def test_attach_makes_a_context_current(engine: Any) -> None:
    with coati.attach(coati.extract(SENT)):
        assert coati.current_span().trace_id == TRACE
        assert baggage.get("k") == "é"
        with tracer.span("inside") as span:
            assert span.trace_id == TRACE
    assert baggage.get("k") is None
    token = coati.attach(coati.extract({"baggage": "k=2"}))
    assert baggage.get("k") == "2"
    token.detach()
    token.detach()
    assert baggage.get("k") is None
    with pytest.raises(TypeError, match="Span or SpanContext"):
        coati.attach(SENT)  # type: ignore[arg-type]


class Own:
    """Carries a context in a header of its own."""

    def inject(self, headers: Any, context: coati.SpanContext) -> None:
        headers["own"] = f"{context.trace_id}.{context.span_id}"

    def extract(self, headers: Any, context: coati.SpanContext) -> coati.SpanContext | None:
        if "own" not in headers:
            return None
        return coati.SpanContext(*headers["own"].split("."), baggage=context.baggage)


def test_propagators_of_the_program(engine: Any) -> None:
    coati.set_propagators(["baggage", Own()])
    headers: dict[str, str] = {}
    with baggage.set("k", "v"), tracer.span("client") as span:
        coati.inject(headers)
    assert headers == {"baggage": "k=v", "own": f"{span.trace_id}.{span.span_id}"}
    context = coati.extract(headers)
    assert (context.span_id, context.baggage) == (span.span_id, {"k": "v"})
    assert not coati.extract({"traceparent": HEADER}).is_valid


def test_what_a_propagator_raises_is_a_problem_and_no_more(engine: Any) -> None:
    class Bad(Own):
        good = False

        def inject(self, headers: Any, context: coati.SpanContext) -> None:
            if not self.good:
                raise ValueError("no")

        def extract(self, headers: Any, context: coati.SpanContext) -> Any:
            return context if self.good else 42

    bad = Bad()
    coati.set_propagators([bad, "tracecontext"])
    headers: dict[str, str] = {}
    with tracer.span("client"):
        coati.inject(headers)
    assert list(headers) == ["traceparent"]
    problems = [p for p in coati.health()["problems"] if p["component"] == "propagator Bad"]
    assert problems[0]["reason"] == "ValueError: no"
    assert coati.extract(headers).is_valid
    problems = [p for p in coati.health()["problems"] if p["component"] == "propagator Bad"]
    assert "instead of a SpanContext" in problems[0]["reason"]
    bad.good = True
    coati.extract(headers)
    assert coati.health()["ok"]
    with pytest.raises(ValueError, match='unknown propagator "xray"; accepted: tracecontext'):
        coati.set_propagators(["xray"])
    with pytest.raises(TypeError, match=r"needs inject\(\)"):
        coati.set_propagators([object()])  # type: ignore[list-item]


def test_propagators_are_configured(engine: Any) -> None:
    coati.configure(propagators=["b3"])
    headers: dict[str, str] = {}
    with tracer.span("client") as span:
        coati.inject(headers)
    assert headers == {"b3": f"{span.trace_id}-{span.span_id}-1"}
    assert coati.extract(headers).span_id == span.span_id
    assert not coati.extract({"traceparent": HEADER}).is_valid
    with pytest.raises(coati.ConfigError, match=r"propagators.*tracecontext, baggage, b3, b3multi"):
        coati.configure(propagators=["xray"])
    coati.configure(propagators=["none"])
    coati.inject(headers := {}, coati.SpanContext(TRACE, SPAN))
    assert headers == {}
    coati.configure(propagators=["tracecontext", "baggage"])
    assert coati.extract({"traceparent": HEADER}).is_valid


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

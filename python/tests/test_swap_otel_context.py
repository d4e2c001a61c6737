"""OpenTelemetry's context and coati's see one another."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import coati
import coati.otel
import pytest
from conftest import Engine, Program
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

REMOTE = SpanContext(0x11, 0x22, True, TraceFlags(1), TraceState([("vendor", "1")]))
HEADER = "00-00000000000000000000000000000011-0000000000000022-01"


@pytest.fixture(autouse=True)
def own_context() -> Iterator[None]:
    """Ours is in force during a test."""
    coati.otel.install()
    yield
    coati.otel.uninstall()
    assert context.get_current() == {}


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the API complains of."""
    seen: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("opentelemetry.context")
    logger.addHandler(handler)
    yield seen
    logger.removeHandler(handler)


def current() -> str:
    """The current span's id as both say it is."""
    ids = trace.get_current_span().get_span_context()
    assert coati.current_span().span_id == trace.format_span_id(ids.span_id)
    assert coati.current_span().trace_id == trace.format_trace_id(ids.trace_id)
    return coati.current_span().span_id


def id_of(span: Any) -> str:
    """The id of a span of either kind."""
    if isinstance(span, coati.Span):
        return span.span_id
    return trace.format_span_id(span.get_span_context().span_id)


def test_spans_of_both_are_each_others_parents(engine: Engine) -> None:
    theirs, ours = trace.get_tracer("otel"), coati.get_tracer("coati")
    with theirs.start_as_current_span("a") as a:
        assert current() == id_of(a)
        with ours.span("b") as b:
            assert current() == id_of(b)
            with theirs.start_as_current_span("c") as c:
                assert current() == id_of(c)
                coati.get_logger("l").info("inside")
            assert current() == id_of(b)
            # One view of it, as long as somebody has it.
            view = trace.get_current_span()
            assert view is trace.get_current_span()
            view.set_attribute("seen", "by the API")
        assert trace.get_current_span() is a
    log, *spans = engine.records()
    assert log["span_id"] == id_of(c)
    assert [(span["span"], span.get("parent_span_id")) for span in spans] == [
        ("c", id_of(b)),
        ("b", id_of(a)),
        ("a", None),
    ]
    assert spans[1]["attributes"] == {"seen": "by the API"}


def test_a_span_of_somebody_else_is_current_for_coati(engine: Engine) -> None:
    with trace.use_span(NonRecordingSpan(REMOTE)) as span:
        assert trace.get_current_span() is span
        assert current() == "0000000000000022"
        assert not coati.current_span().is_recording()
        coati.get_logger("l").info("inside")
        headers: dict[str, str] = {}
        coati.inject(headers)
        assert headers == {"traceparent": HEADER, "tracestate": "vendor=1"}
        with coati.context(user="u1"):
            assert trace.get_current_span() is span
            coati.get_tracer("t").span("child").end()
    log, child = engine.records()
    assert log["span_id"] == child["parent_span_id"] == "0000000000000022"


def test_headers_of_one_are_read_by_the_other(engine: Engine) -> None:
    headers = {"traceparent": HEADER, "tracestate": "vendor=1", "baggage": "user=u%201"}
    with coati.attach(coati.extract(headers)):
        assert trace.get_current_span().get_span_context() == REMOTE
        assert dict(baggage.get_all()) == {"user": "u 1"}
        with trace.get_tracer("t").start_as_current_span("s") as span:
            seen: dict[str, str] = {}
            propagate.inject(seen)
            assert id_of(span) in seen.pop("traceparent")
            assert seen == {"tracestate": "vendor=1", "baggage": "user=u+1"}
    token = context.attach(propagate.extract(headers))
    assert coati.baggage.get_all() == {"user": "u 1"}
    written: dict[str, str] = {}
    coati.inject(written)
    assert written == {**headers, "baggage": "user=u%201"}
    context.detach(token)
    assert coati.baggage.get_all() == {}


def test_baggage_goes_both_ways(engine: Engine) -> None:
    token = context.attach(baggage.set_baggage("a", "1"))
    assert coati.baggage.get("a") == "1"
    with coati.baggage.set("b", "2"):
        assert dict(baggage.get_all()) == {"a": "1", "b": "2"}
        with trace.get_tracer("t").start_as_current_span("s"):
            assert dict(baggage.get_all()) == {"a": "1", "b": "2"}
            inner = context.attach(baggage.remove_baggage("a"))
            assert coati.baggage.get_all() == {"b": "2"}
            context.detach(inner)
    assert coati.baggage.get_all() == {"a": "1"}
    # What only the API can hold stays what it is.
    odd = context.attach(baggage.set_baggage("not a token", [1]))
    with trace.get_tracer("t").start_as_current_span("s"):
        assert baggage.get_baggage("not a token") == [1]
    context.detach(odd)
    context.detach(token)


def test_other_values_stay(engine: Engine) -> None:
    token = context.attach(context.set_value("key", "value"))
    with coati.get_tracer("t").span("s"), coati.context(user="u1"):
        assert context.get_value("key") == "value"
        inner = context.attach(context.set_value("more", 2))
        assert context.get_value("key") == "value"
        coati.get_logger("l").info("with fields")
        context.detach(inner)
        assert context.get_value("more") is None
    context.detach(token)
    assert context.get_value("key") is None
    log, _ = engine.records()
    assert log["user"] == "u1"


def test_coati_takes_the_apis_spans(engine: Engine) -> None:
    ours = coati.get_tracer("coati")
    token = context.attach(context.set_value("key", "value"))
    span: Any = trace.get_tracer("otel").start_span("otel")
    ours.start_span("child", parent=span).end()
    ours.start_span("linked", links=[span]).end()
    headers: dict[str, str] = {}
    coati.inject(headers, span)
    with coati.attach(span):
        assert trace.get_current_span() is span
        assert current() == id_of(span)
        assert context.get_value("key") == "value"
    attached = ours.start_span("attached")
    with coati.attach(attached):
        assert context.get_value("key") == "value"
    attached.end()
    context.detach(token)
    span.end()
    spans = {one["span"]: one for one in engine.spans()}
    assert set(spans) == {"otel", "child", "linked", "attached"}
    assert spans["child"]["parent_span_id"] == id_of(span)
    assert spans["linked"]["links"][0]["span_id"] == id_of(span)
    assert id_of(span) in headers["traceparent"]


class Proxy:
    """A span of an instrumentation's own around another one."""

    def __init__(self, span: Any) -> None:
        self._self_span = span

    def __getattr__(self, name: str) -> Any:
        return getattr(self._self_span, name)


def test_a_proxy_stands_for_its_span(engine: Engine) -> None:
    span = trace.get_tracer("t").start_span("s")
    proxy: Any = Proxy(span)
    with trace.use_span(proxy, end_on_exit=True):
        assert context.get_value(trace._SPAN_KEY) is proxy
        coati.current_span().set_attribute("by", "coati")
    assert engine.span()["attributes"] == {"by": "coati"}


def test_a_context_carries_the_fields_to_another_thread(engine: Engine) -> None:
    def work(carried: context.Context) -> None:
        token = context.attach(carried)
        coati.get_logger("l").info("there")
        trace.get_tracer("t").start_span("there").end()
        context.detach(token)
        assert context.get_current() == {}

    with (
        ThreadPoolExecutor(1) as pool,
        trace.get_tracer("t").start_as_current_span("s") as span,
        coati.context(user="u1"),
    ):
        pool.submit(work, context.get_current()).result()
    log, there, _ = engine.records()
    assert (log["user"], log["span_id"]) == ("u1", id_of(span))
    assert there["parent_span_id"] == id_of(span)


def test_tasks_and_threads(engine: Engine) -> None:
    tracer = trace.get_tracer("t")

    async def task(number: int) -> None:
        with tracer.start_as_current_span(f"task {number}") as span:
            for _ in range(3):
                await asyncio.sleep(0)
                assert trace.get_current_span() is span
                assert current() == id_of(span)
                with coati.get_tracer("c").span(f"inside {number}"):
                    await asyncio.sleep(0)

    async def program() -> None:
        with tracer.start_as_current_span("root"):
            await asyncio.gather(*(task(number) for number in range(20)))

    asyncio.run(program())
    spans = engine.spans()
    by_id = {span["span_id"]: span for span in spans}
    assert len(spans) == 1 + 20 + 60
    for span in spans:
        parent = by_id.get(span.get("parent_span_id", ""))
        kind, _, number = span["span"].partition(" ")
        expected = {"root": None, "task": "root", "inside": f"task {number}"}[kind]
        assert (parent and parent["span"]) == expected

    seen = []
    with tracer.start_as_current_span("here"):
        thread = threading.Thread(target=lambda: seen.append(trace.get_current_span()))
        thread.start()
        thread.join()
    assert seen == [trace.INVALID_SPAN]


def test_detaching_out_of_order(engine: Engine, complaints: list[str]) -> None:
    base = context.get_current()
    first = context.attach(context.set_value("k", 1))
    second = context.attach(context.set_value("k", 2))
    context.detach(first)
    assert context.get_current() is base
    # Nothing that has been detached comes back.
    context.detach(second)
    assert context.get_value("k") is None
    assert complaints == []
    context.detach(second)
    assert complaints == ["Failed to detach context"]
    assert context.get_value("k") is None


def test_detaching_under_an_open_span(engine: Engine) -> None:
    tracer = trace.get_tracer("t")
    token = context.attach(context.set_value("k", 1))
    with tracer.start_as_current_span("s"):
        context.detach(token)
        assert context.get_value("k") is None
    assert context.get_current() == {}
    with tracer.start_as_current_span("outer") as outer:
        token = context.attach(context.set_value("k", 1))
    # It has not been detached yet.
    assert context.get_value("k") == 1
    context.detach(token)
    assert context.get_value("k") is None
    assert trace.get_current_span() is not outer


def test_a_token_of_another_context(engine: Engine, complaints: list[str]) -> None:
    token = contextvars.copy_context().run(context.attach, context.set_value("k", 1))
    context.detach(token)
    assert complaints == ["Failed to detach context"]
    assert context.get_current() == {}


def test_what_was_attached_before(engine: Engine, complaints: list[str]) -> None:
    coati.otel.uninstall()
    assert type(context._RUNTIME_CONTEXT) is ContextVarsRuntimeContext
    token = context.attach(context.set_value("early", 1))
    coati.otel.install()
    assert context.get_value("early") == 1
    with trace.get_tracer("t").start_as_current_span("s"):
        assert context.get_value("early") == 1
    context.detach(token)
    assert context.get_value("early") is None
    assert complaints == []


def test_what_is_still_attached(engine: Engine, complaints: list[str]) -> None:
    token = context.attach(context.set_value("k", 1))
    coati.otel.uninstall()
    assert context.get_value("k") == 1
    context.detach(token)
    assert context.get_value("k") is None
    assert complaints == []
    coati.otel.uninstall()
    assert type(context._RUNTIME_CONTEXT) is ContextVarsRuntimeContext


class Other(ContextVarsRuntimeContext):
    """A runtime context that somebody has chosen."""


def test_with_another_runtime_context(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    coati.otel.uninstall()
    monkeypatch.setattr(context, "_RUNTIME_CONTEXT", Other())
    coati.otel.install()
    assert type(context._RUNTIME_CONTEXT) is Other
    tracer = trace.get_tracer("t")
    with tracer.start_as_current_span("a") as a:
        assert trace.get_current_span() is a
        assert current() == id_of(a)
        with coati.get_tracer("c").span("b"), trace.use_span(NonRecordingSpan(REMOTE)):
            tracer.start_span("of the remote").end()
        with tracer.start_as_current_span("c"):
            pass
        assert trace.get_current_span() is a
    assert trace.get_current_span() is trace.INVALID_SPAN
    parents = {span["span"]: span.get("parent_span_id") for span in engine.spans()}
    assert parents == {
        "a": None,
        "b": id_of(a),
        "c": id_of(a),
        "of the remote": "0000000000000022",
    }


def test_nothing_is_kept_alive(engine: Engine) -> None:
    tracer = trace.get_tracer("t")
    with tracer.start_as_current_span("s") as span:
        gone = weakref.ref(span)
        carried = context.get_current()
        token = context.attach(carried)
        with tracer.start_as_current_span("inner"):
            pass
        context.detach(token)
    assert gone() is span
    del span, carried, token
    gc.collect()
    assert gone() is None
    # A span that is lost while it is current ends, and is marked so.
    lost = contextvars.copy_context()
    lost.run(lambda: context.attach(trace.set_span_in_context(tracer.start_span("lost"))))
    del lost
    gc.collect()
    inner, outer, lost_record = engine.spans()
    assert (inner["span"], outer["span"], lost_record["span"]) == ("inner", "s", "lost")
    assert lost_record["abandoned"] is True


def test_generators_leave_their_context(engine: Engine) -> None:
    tracer = trace.get_tracer("t")

    def numbers() -> Iterator[int]:
        with tracer.start_as_current_span("generator"):
            yield 1
            yield 2

    with tracer.start_as_current_span("outer") as outer:
        for _ in numbers():
            break
        gc.collect()
        tracer.start_span("after").end()
    spans = {span["span"]: span for span in engine.spans()}
    assert set(spans) == {"generator", "after", "outer"}
    assert spans["generator"]["status"]["code"] == "unset"
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert id_of(outer) == spans["after"]["parent_span_id"]


def test_the_api_need_not_be_there(program: Program) -> None:
    program.run(
        """
        import sys
        sys.modules["opentelemetry"] = None
        import coati
        coati.init("t", config={"sinks": [SINK]})
        with coati.get_tracer("t").span("s"):
            pass
        try:
            import coati.otel
        except ImportError as error:
            assert "opentelemetry-api" in str(error)
        coati.shutdown()
        """
    )
    assert [record["span"] for record in program.records()] == ["s"]


def test_importing_coati_does_not_import_the_api(program: Program) -> None:
    program.run("import coati, sys; assert 'opentelemetry' not in sys.modules")

"""OpenTelemetry's API through coati, beside the SDK: the same program gives the same spans."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import coati
import coati.otel
import pytest
from conftest import Engine, Program
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
)
from otlp_receiver import Receiver

START, END = 1_700_000_000_000_000_000, 1_700_000_001_500_000_000
STATE = TraceState([("vendor", "1"), ("other", "x")])
REMOTE = SpanContext(0x11, 0x22, True, TraceFlags(TraceFlags.SAMPLED), STATE)


@pytest.fixture(autouse=True)
def own_context() -> Iterator[None]:
    """The API's own runtime context is in force again afterwards."""
    yield
    coati.otel.uninstall()


def remote(state: SpanContext = REMOTE) -> context.Context:
    """A context with a remote parent."""
    return trace.set_span_in_context(NonRecordingSpan(state), context.Context())


def nested(tracer: Tracer) -> None:
    with tracer.start_as_current_span("root", kind=SpanKind.SERVER) as root:
        assert trace.get_current_span() is root
        with tracer.start_as_current_span("child", kind=SpanKind.CLIENT):
            tracer.start_span("leaf", kind=SpanKind.PRODUCER).end()
        tracer.start_span("second", kind=SpanKind.CONSUMER).end()
        assert trace.get_current_span() is root
    assert trace.get_current_span() is trace.INVALID_SPAN
    tracer.start_span("alone").end()


def attributes(tracer: Tracer) -> None:
    given: dict[str, Any] = {
        "text": "é",
        "true": True,
        "one": 1,
        "float": 1.5,
        "none": None,
        "list": ["a", "b"],
        "tuple": (1, 2, 3),
        "mixed": [1, "a", None, 2.5],
        "nested": [[1], [2]],
        "map": {"a": 1, "b": [True]},
        "large": 2**40,
        "": "no name",
    }
    with tracer.start_as_current_span("given", attributes=given) as span:
        span.set_attribute("one", 2)
        span.set_attributes({"text": "replaced", "more": [False]})
        span.set_attribute(key="by", value="name")
        span.set_attribute("", 1)
    tracer.start_span("none", attributes=None).end()
    tracer.start_span("empty", attributes={}).end()


def events(tracer: Tracer) -> None:
    with tracer.start_as_current_span("events") as span:
        span.add_event("plain")
        span.add_event("timed", timestamp=START)
        span.add_event("told", {"a": 1, "b": ["x", "y"]}, START + 5)
        span.add_event(name="named", attributes={"c": None})


def links(tracer: Tracer) -> None:
    other = tracer.start_span("other")
    given = [Link(other.get_span_context(), {"why": "given"}), Link(REMOTE)]
    with tracer.start_as_current_span("linked", links=given) as span:
        span.add_link(REMOTE, {"why": "added", "n": 3})
        span.add_link(trace.INVALID_SPAN_CONTEXT)
    other.end()


def statuses(tracer: Tracer) -> None:
    with tracer.start_as_current_span("ok is final") as span:
        span.set_status(Status(StatusCode.OK))
        span.set_status(Status(StatusCode.ERROR, "late"))
    with tracer.start_as_current_span("unset is ignored") as span:
        span.set_status(StatusCode.ERROR, "first")
        span.set_status(StatusCode.UNSET)
    with tracer.start_as_current_span("the last error counts") as span:
        span.set_status(StatusCode.ERROR, "first")
        span.set_status(Status(StatusCode.ERROR, "second"))
    with tracer.start_as_current_span("ok over error") as span:
        span.set_status(StatusCode.ERROR, "first")
        span.set_status(StatusCode.OK, "nobody asked")
    with tracer.start_as_current_span("a status takes no description") as span:
        span.set_status(Status(StatusCode.ERROR), "ignored")


class Lost(Exception):
    """An exception of the program's."""


def exceptions(tracer: Tracer) -> None:
    def fails(how: Any, error: BaseException) -> None:
        with pytest.raises(type(error)), how:
            raise error

    start = tracer.start_as_current_span
    fails(start("current"), Lost("in the park"))
    fails(start("no event", record_exception=False), ValueError("v"))
    fails(start("no status", set_status_on_exception=False), ValueError("v"))
    fails(start("neither", record_exception=False, set_status_on_exception=False), Lost())
    fails(start("no error"), KeyboardInterrupt())
    fails(tracer.start_span("ended by with"), ValueError("v"))
    fails(tracer.start_span("with, no event", record_exception=False), ValueError("v"))
    with tracer.start_as_current_span("outer") as outer:
        fails(trace.use_span(tracer.start_span("used"), end_on_exit=True), Lost("x"))
        outer.record_exception(Lost("told"), {"exception.message": "other", "n": 1}, START, True)
    with tracer.start_as_current_span("ok stays") as span:
        span.set_status(StatusCode.OK)
        fails(trace.use_span(span), Lost("x"))


def exits(tracer: Tracer) -> None:
    with tracer.start_as_current_span("open", end_on_exit=False) as span:
        pass
    assert span.is_recording()
    span.set_attribute("after", 1)
    span.end()
    assert not span.is_recording()
    with tracer.start_span("not current") as span:
        assert trace.get_current_span() is trace.INVALID_SPAN
    assert not span.is_recording()


def parents(tracer: Tracer) -> None:
    with tracer.start_as_current_span("current"):
        tracer.start_span("root all the same", context=context.Context()).end()
        with tracer.start_as_current_span("of the remote", context=remote()):
            tracer.start_span("its child").end()
        tracer.start_span("child").end()
    with trace.use_span(NonRecordingSpan(REMOTE)), tracer.start_as_current_span("inside") as span:
        assert span.get_span_context().trace_state == STATE


def times(tracer: Tracer) -> None:
    tracer.start_span("timed", start_time=START).end(END)
    with tracer.start_as_current_span("begun", start_time=START) as span:
        span.update_name("renamed")


def decorated(tracer: Tracer) -> None:
    @tracer.start_as_current_span("function", attributes={"a": 1})
    def function(n: int) -> int:
        tracer.start_span("inside").end()
        return n + 1

    @tracer.start_as_current_span("coroutine")
    async def coroutine() -> str:
        await asyncio.sleep(0)
        tracer.start_span("awaited").end()
        return "done"

    assert [function(1), function(2)] == [2, 3]
    assert function.__name__ == "function"
    assert asyncio.run(coroutine()) == "done"


def late(tracer: Tracer) -> None:
    span = tracer.start_span("ended")
    span.end()
    span.end()
    span.set_attribute("a", 1)
    span.set_attributes({"b": 1})
    span.add_event("e")
    span.add_link(REMOTE)
    span.set_status(StatusCode.ERROR)
    span.update_name("other")
    span.record_exception(Lost())


PROGRAMS = [
    nested,
    attributes,
    events,
    links,
    statuses,
    exceptions,
    exits,
    parents,
    times,
    decorated,
    late,
]


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "items"):
        return {key: plain(item) for key, item in value.items()}
    return value


def told(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes of an event; of a stack trace its last line."""
    if "exception.stacktrace" in attributes:
        last = attributes["exception.stacktrace"].strip().splitlines()[-1]
        attributes = {**attributes, "exception.stacktrace": last}
    return attributes


def by_sdk(play: Callable[[Tracer], None]) -> list[dict[str, Any]]:
    """What the SDK makes of a program."""
    provider, exporter = SdkProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    play(provider.get_tracer("tests"))
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    names[REMOTE.span_id] = "remote"
    return [
        {
            "span": span.name,
            "parent": span.parent and names[span.parent.span_id],
            "remote_trace": span.context.trace_id == REMOTE.trace_id,
            "kind": span.kind.name.lower(),
            "status": (span.status.status_code.name.lower(), span.status.description or None),
            "attributes": plain(span.attributes),
            "events": [(e.name, told(plain(e.attributes))) for e in span.events],
            "links": [(names[k.context.span_id], plain(k.attributes)) for k in span.links],
        }
        for span in spans
    ]


def by_coati(play: Callable[[Tracer], None], engine: Engine) -> list[dict[str, Any]]:
    """What coati makes of it."""
    play(coati.otel.TracerProvider().get_tracer("tests"))
    spans = engine.spans()
    names = {span["span_id"]: span["span"] for span in spans}
    names[trace.format_span_id(REMOTE.span_id)] = "remote"
    return [
        {
            "span": span["span"],
            "parent": names.get(span.get("parent_span_id", "")),
            "remote_trace": span["trace_id"] == trace.format_trace_id(REMOTE.trace_id),
            "kind": span["kind"],
            "status": (span["status"]["code"], span["status"].get("description")),
            "attributes": span.get("attributes", {}),
            "events": [(e["name"], told(e.get("attributes", {}))) for e in span.get("events", [])],
            "links": [
                (names[k["span_id"]], k.get("attributes", {})) for k in span.get("links", [])
            ],
        }
        for span in spans
    ]


@pytest.mark.parametrize("play", PROGRAMS, ids=lambda play: play.__name__)
def test_the_same_program_gives_the_same_spans(
    play: Callable[[Tracer], None], engine: Engine
) -> None:
    expected = by_sdk(play)
    assert expected
    assert by_coati(play, engine) == expected
    # The SDK's spans are current in coati's runtime context as in the API's own.
    assert type(context._RUNTIME_CONTEXT) is coati._native._OtelRuntime
    assert by_sdk(play) == expected


def test_times_are_those_given(engine: Engine) -> None:
    times(coati.otel.TracerProvider().get_tracer("tests"))
    timed, begun = engine.spans()
    assert timed["start"] == "2023-11-14T22:13:20.000000000Z"
    assert timed["duration_ns"] == END - START
    assert begun["start"] == timed["start"]


def test_late_calls_are_told(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    handler = logging.Handler()
    seen: list[str] = []
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("coati.otel").addHandler(handler)
    try:
        late(coati.otel.TracerProvider().get_tracer("tests"))
    finally:
        logging.getLogger("coati.otel").removeHandler(handler)
    methods = [message.split()[0] for message in seen]
    assert methods == [
        "end",
        "set_attribute",
        "set_attributes",
        "add_event",
        "add_link",
        "set_status",
        "update_name",
        "record_exception",
    ]
    assert engine.span()["span"] == "ended"


def test_a_span_is_the_apis(engine: Engine) -> None:
    provider = coati.otel.TracerProvider()
    assert isinstance(provider, trace.TracerProvider)
    tracer = provider.get_tracer("tests", "1.2")
    assert isinstance(tracer, Tracer)
    assert provider.get_tracer("tests", "1.2") is tracer
    assert provider.get_tracer("tests", "1.3") is not tracer
    with tracer.start_as_current_span("s", kind=SpanKind.CLIENT) as span:
        assert isinstance(span, trace.Span)
        assert isinstance(trace.get_current_span(), trace.Span)
        ids = span.get_span_context()
        assert type(ids) is SpanContext
        assert ids is span.get_span_context()
        assert ids.is_valid
        assert not ids.is_remote
        assert ids.trace_flags.sampled
        # Programs put things there.
        span.mine = 1  # type: ignore[attr-defined]
        assert span.mine == 1  # type: ignore[attr-defined]
    record = engine.span()
    assert record["trace_id"] == trace.format_trace_id(ids.trace_id)
    assert record["span_id"] == trace.format_span_id(ids.span_id)
    assert record["tracer"] == "tests"


def test_a_span_shows_itself(engine: Engine) -> None:
    tracer = coati.otel.TracerProvider().get_tracer("tests", "1.2")
    given = {"text": "é", "list": [1, [2.5, None]], "map": {"a": True}, "huge": 2**70, "b": b"x"}
    with tracer.start_as_current_span("parent") as parent:
        span: Any = tracer.start_span("s", kind=SpanKind.SERVER, attributes=given)
    span.set_status(StatusCode.ERROR, "why")
    assert span.name == "s"
    assert span.attributes == {**given, "list": (1, (2.5, None))}
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "why")
    assert span.parent == parent.get_span_context()
    assert span.instrumentation_scope.version == "1.2"
    span.end()
    # Instrumentations of servers ask for it whenever they like.
    assert span.kind is SpanKind.SERVER
    assert span.status.status_code is StatusCode.ERROR
    assert (span.name, span.attributes) == (None, {})
    assert tracer.start_span("root").parent is None  # type: ignore[attr-defined]


def test_wrong_arguments_of_calls_are_errors_and_wrong_values_are_not(engine: Engine) -> None:
    tracer: Any = coati.otel.TracerProvider().get_tracer("tests")
    for call in (
        tracer.start_span,
        lambda: tracer.start_span("x", nope=1),
        lambda: tracer.start_span("x", name="y"),
        lambda: tracer.start_as_current_span("x", *range(9)),
    ):
        with pytest.raises(TypeError):
            call()
    span = tracer.start_span(5, kind="nope", attributes=7, links=3, start_time="soon")
    span.set_attribute(1, object)
    span.set_attributes(None)
    span.add_event(None, "nope", "never")
    span.add_link("nope")
    span.set_status("nope")
    span.record_exception("nope")
    span.update_name(6)
    span.end("never")
    assert engine.span()["span"] == "6"


@pytest.mark.parametrize("sampled", [True, False])
def test_a_remote_parent_decides(engine: Engine, sampled: bool) -> None:
    engine.start(spans={"sampler": "parentbased_always_off" if sampled else "always_on"})
    if not sampled:
        engine.start(spans={"sampler": "parentbased_always_on"})
    tracer = coati.otel.TracerProvider().get_tracer("tests")
    parent = SpanContext(0x33, 0x44, True, TraceFlags(int(sampled)), STATE)
    with tracer.start_as_current_span("child", context=remote(parent)) as span:
        assert span.is_recording() is sampled
        ids = span.get_span_context()
        assert (ids.trace_id, ids.trace_flags.sampled) == (0x33, sampled)
        assert ids.trace_state == STATE
        assert ids.span_id != 0x44
        with tracer.start_as_current_span("grandchild") as inner:
            assert inner.is_recording() is sampled
    assert [span["span"] for span in engine.spans()] == ["grandchild", "child"] * sampled


def test_unsampled_spans_are_no_trouble(engine: Engine) -> None:
    engine.start(spans={"sampler": "always_off"})
    tracer = coati.otel.TracerProvider().get_tracer("tests")
    with tracer.start_as_current_span("a", attributes={"n": 1}) as span:
        assert not span.is_recording()
        assert span.get_span_context().is_valid
        assert trace.get_current_span() is span
        span.set_attribute("a", 1)
        with tracer.start_as_current_span("b") as inner:
            assert inner.get_span_context().trace_id == span.get_span_context().trace_id
        assert trace.get_current_span() is span
    span.end()
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert engine.records() == []


def test_limits(engine: Engine) -> None:
    engine.start(spans={"max_attributes": 3, "max_events": 2, "max_links": 1})
    tracer = coati.otel.TracerProvider().get_tracer("tests")
    links = [Link(REMOTE), Link(SpanContext(5, 6, True))]
    with tracer.start_as_current_span("s", attributes={"a": 1, "b": 2}, links=links) as span:
        span.set_attributes({"c": 3, "d": 4})
        span.set_attribute("a", 5)
        for number in range(4):
            span.add_event(str(number))
    record = engine.span()
    # What is beyond a limit is left out, as the specification says.
    assert record["attributes"] == {"b": 2, "c": 3, "a": 5}
    assert [event["name"] for event in record["events"]] == ["0", "1"]
    assert len(record["links"]) == 1
    assert (record["dropped_attributes"], record["dropped_events"]) == (1, 2)


def test_limits_of_the_environment(program: Program) -> None:
    program.run(
        """
        import coati, coati.otel
        from opentelemetry import trace
        coati.init("t", config={"sinks": [SINK]})
        coati.otel.install()
        given = {"a": 1, "b": "x" * 50, "c": 3}
        with trace.get_tracer("t").start_as_current_span("s", attributes=given) as span:
            span.add_event("e", {"a": 1, "b": 2})
        coati.shutdown()
        """,
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="2",
        OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT="1",
        OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT="10",
    )
    (span,) = program.records()
    assert span["attributes"] == {"a": 1, "b": "xxxxxxxxxx…[+40 bytes]"}
    assert span["events"][0]["attributes"] == {"a": 1}


def test_before_init_and_after_shutdown(program: Program) -> None:
    program.run(
        """
        import coati, coati.otel
        from opentelemetry import context, propagate, trace
        coati.otel.install()
        tracer = trace.get_tracer("t")

        def work(name):
            with tracer.start_as_current_span(name, attributes={"a": 1}) as span:
                assert isinstance(span, trace.Span)
                span.set_attribute("b", 2)
                span.record_exception(ValueError())
                headers = {}
                propagate.inject(headers)
                tracer.start_span(name + " child").end()
                context.detach(context.attach(context.set_value("k", 1)))
                return span.is_recording(), bool(headers)

        assert work("before") == (False, False)
        coati.init("t", config={"sinks": [SINK]})
        assert work("while") == (True, True)
        coati.shutdown()
        assert work("after") == (False, False)
        """
    )
    assert [record["span"] for record in program.records()] == ["while child", "while"]


def test_install_and_uninstall(engine: Engine) -> None:
    before, proxy = context._RUNTIME_CONTEXT, trace.get_tracer("early")
    assert not coati.otel.is_installed()
    coati.otel.install()
    coati.otel.install()
    assert coati.otel.is_installed()
    assert isinstance(trace.get_tracer_provider(), coati.otel.TracerProvider)
    # A tracer asked for before, and one of a framework that sets a provider of its own.
    with proxy.start_as_current_span("early"):
        pass
    trace.set_tracer_provider(SdkProvider())
    with trace.get_tracer("still").start_as_current_span("still"):
        pass
    assert [span["span"] for span in engine.spans()] == ["early", "still"]
    coati.otel.uninstall()
    coati.otel.uninstall()
    assert not isinstance(trace.get_tracer_provider(), coati.otel.TracerProvider)
    assert context._RUNTIME_CONTEXT is before


def test_a_provider_of_somebody_else_comes_back(engine: Engine) -> None:
    theirs = SdkProvider()
    trace._TRACER_PROVIDER = theirs
    try:
        coati.otel.install()
        assert trace.get_tracer_provider() is not theirs
        coati.otel.uninstall()
        assert trace.get_tracer_provider() is theirs
    finally:
        trace._TRACER_PROVIDER = None


def test_providers_side_by_side(engine: Engine) -> None:
    sdk, exporter = SdkProvider(), InMemorySpanExporter()
    sdk.add_span_processor(SimpleSpanProcessor(exporter))
    theirs = sdk.get_tracer("theirs")
    ours, others = (coati.otel.TracerProvider().get_tracer(name) for name in ("ours", "others"))
    with (
        ours.start_as_current_span("a") as a,
        theirs.start_as_current_span("b") as b,
        others.start_as_current_span("c") as c,
        theirs.start_as_current_span("d"),
    ):
        pass
    ids = [span.get_span_context().span_id for span in (a, b, c)]
    spans = {span["span"]: span for span in engine.spans()}
    assert spans["c"]["parent_span_id"] == trace.format_span_id(ids[1])
    assert spans["c"]["tracer"] == "others"
    parents = {span.name: span.parent.span_id for span in exporter.get_finished_spans()}
    assert parents == {"b": ids[0], "d": ids[2]}
    assert len({span.context.trace_id for span in exporter.get_finished_spans()}) == 1


def test_the_environment_chooses(program: Program) -> None:
    program.run(
        """
        from opentelemetry import context, trace
        import coati
        coati.init("t", config={"sinks": [SINK]})
        with trace.get_tracer("chosen").start_as_current_span("s"):
            assert coati.current_span().is_recording()
        assert "coati" in type(trace.get_tracer_provider()).__module__
        assert "coati" in type(context._RUNTIME_CONTEXT).__module__
        coati.shutdown()
        """,
        OTEL_PYTHON_TRACER_PROVIDER="coati",
        OTEL_PYTHON_CONTEXT="coati",
    )
    assert [record["span"] for record in program.records()] == ["s"]


def test_a_provider_that_is_shut_down(engine: Engine) -> None:
    provider = coati.otel.TracerProvider()
    tracer = provider.get_tracer("t")
    assert provider.force_flush()
    provider.shutdown()
    assert isinstance(provider.get_tracer("t"), trace.NoOpTracer)
    tracer.start_span("goes on").end()
    assert engine.span()["span"] == "goes on"


def test_a_scope_is_in_the_line(engine: Engine) -> None:
    engine.start(redaction={"enabled": False})
    provider = coati.otel.TracerProvider()
    given = {"kind": "library", "password": "secret", "list": [1, 2]}
    provider.get_tracer("plain").start_span("plain").end()
    provider.get_tracer("whole", "1.2", "https://schema", given).start_span("whole").end()
    provider.get_tracer("version", "1.2").start_span("version").end()
    plain, whole, version = engine.spans()
    assert "scope" not in plain
    assert whole["tracer"] == "whole"
    assert whole["scope"] == {
        "name": "whole",
        "version": "1.2",
        "schema_url": "https://schema",
        "attributes": given,
    }
    assert version["scope"] == {"name": "version", "version": "1.2"}
    coati.configure(redaction={"enabled": True})
    provider.get_tracer("whole", "1.2", "https://schema", given).start_span("masked").end()
    assert engine.span()["scope"]["attributes"] == {**given, "password": "[REDACTED]"}


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_a_scope_is_the_receivers(engine: Engine, protocol: str) -> None:
    receiver = Receiver()
    sink = {"type": "otlp", "endpoint": receiver.http, "protocol": protocol}
    engine.start(sinks=[sink], redaction={"enabled": True})
    provider = coati.otel.TracerProvider()
    given = {"kind": "library", "password": "secret"}
    tracers = [
        provider.get_tracer("whole", "1.2", "https://schema", given),
        provider.get_tracer("whole", "1.3"),
        provider.get_tracer("plain"),
    ]
    for number in range(2):
        for tracer in tracers:
            tracer.start_span(f"{tracer.name} {number}").end()  # type: ignore[attr-defined]
    assert coati.flush(60)
    (request,) = receiver.take("traces")
    receiver.close()
    scopes = [
        (
            one.scope.name,
            one.scope.version,
            one.schema_url,
            {pair.key: pair.value.string_value for pair in one.scope.attributes},
            [span.name for span in one.spans],
        )
        for one in request.resource_spans[0].scope_spans
    ]
    masked = {**given, "password": "[REDACTED]"}
    assert scopes == [
        ("whole", "1.2", "https://schema", masked, ["whole 0", "whole 1"]),
        ("whole", "1.3", "", {}, ["whole 0", "whole 1"]),
        ("plain", "", "", {}, ["plain 0", "plain 1"]),
    ]

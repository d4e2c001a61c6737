"""Processors, exporters, samplers and id generators of OpenTelemetry's SDK on coati's provider."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import coati
import coati.otel
import pytest
from conftest import Engine
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, sampling
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState


@pytest.fixture(autouse=True)
def own_context() -> Iterator[None]:
    """The API's own runtime context is in force again afterwards."""
    yield
    coati.otel.uninstall()


RESOURCE = Resource({"service.name": "tests"})


def play(tracer: trace.Tracer) -> None:
    """A program's spans."""
    with tracer.start_as_current_span("root", kind=SpanKind.SERVER, attributes={"a": (1, 2)}):
        span = trace.get_current_span()
        span.set_attribute("b", "text")
        span.add_event("event", {"n": 1})
        with suppress(ValueError), tracer.start_as_current_span("fails") as inner:
            inner.add_link(SpanContext(1, 2, True), {"why": "w"})
            raise ValueError("x")
        with tracer.start_span("ended", links=[Link(SpanContext(3, 4, True))]) as other:
            other.update_name("renamed")
            other.set_status(StatusCode.OK)

    @tracer.start_as_current_span("decorated")
    def call() -> None:
        trace.get_current_span().set_attributes({"c": 1.5})

    call()


def shown(span: ReadableSpan) -> dict[str, Any]:
    """A span as it shows itself, without what differs from run to run."""
    said = json.loads(span.to_json())
    for event in said["events"]:
        del event["timestamp"]
        event["attributes"].pop("exception.stacktrace", None)
    for key in ("context", "parent_id", "start_time", "end_time"):
        del said[key]
    scope = span.instrumentation_scope
    return {**said, "scope": (scope.name, scope.version, scope.schema_url, dict(scope.attributes))}


@pytest.mark.parametrize("make", [SimpleSpanProcessor, BatchSpanProcessor])
def test_exporters_get_what_the_sdk_gives_them(engine: Engine, make: Any) -> None:
    seen = []
    for provider_class in (SdkProvider, coati.otel.TracerProvider):
        provider, exporter = provider_class(resource=RESOURCE), InMemorySpanExporter()
        processor = make(exporter)
        provider.add_span_processor(processor)
        play(provider.get_tracer("scope", "1.0", "https://schema", {"k": "v"}))
        assert provider.force_flush()
        spans = exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in spans}
        parents = [span.parent and names[span.parent.span_id] for span in spans]
        seen.append((parents, [shown(span) for span in spans]))
        assert encode_spans(spans).resource_spans
        assert all(isinstance(span, ReadableSpan) for span in spans)
        provider.shutdown()
    assert seen[1] == seen[0]
    # The same ones are coati's.
    ids = {trace.format_span_id(span.context.span_id): span for span in spans}
    records = engine.spans()
    assert {record["span_id"]: record["span"] for record in records} == {
        key: span.name for key, span in ids.items()
    }
    for record in records:
        span = ids[record["span_id"]]
        parent = span.parent and trace.format_span_id(span.parent.span_id)
        assert record.get("parent_span_id") == parent
        assert record["duration_ns"] == span.end_time - span.start_time
        assert record["status"]["code"] == span.status.status_code.name.lower()
        assert list(record.get("attributes", {})) == list(span.attributes)
        assert len(record.get("events", [])) == len(span.events)
        assert len(record.get("links", [])) == len(span.links)


class Watching(SpanProcessor):
    """A processor that writes on spans as they start, as those of vendors do."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.parents: list[Any] = []

    def on_start(self, span: Span, parent_context: context.Context | None = None) -> None:
        assert isinstance(span, ReadableSpan)
        assert isinstance(span, trace.Span)
        self.parents.append(parent_context)
        self.calls.append(f"start {span.name} {dict(span.attributes or {})}")
        span.set_attribute("processor", "was here")

    def on_end(self, span: ReadableSpan) -> None:
        self.calls.append(f"end {span.name}")

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self.calls.append("flush")
        return False


def test_processors_write_on_spans(engine: Engine) -> None:
    provider, watching = coati.otel.TracerProvider(), Watching()
    tracer = provider.get_tracer("t")
    tracer.start_span("before").end()
    provider.add_span_processor(watching)
    with tracer.start_as_current_span("s", attributes={"a": 1}) as span:
        assert trace.get_current_span() is span
        # Spans of coati's own are not the provider's, but parents of its spans.
        with coati.get_tracer("own").span("own"):
            given = context.get_current()
            tracer.start_span("inner", context=given).end()
    assert not provider.force_flush()
    provider.shutdown()
    tracer.start_span("after").end()
    assert watching.calls == [
        "start s {'a': 1}",
        "start inner {}",
        "end inner",
        "end s",
        "flush",
        "shutdown",
    ]
    assert watching.parents == [None, given]
    spans = {span["span"]: span for span in engine.spans()}
    assert list(spans) == ["before", "inner", "own", "s", "after"]
    assert spans["s"]["attributes"] == {"a": 1, "processor": "was here"}
    assert spans["inner"]["parent_span_id"] == spans["own"]["span_id"]


class Failing(SpanProcessor):
    """A processor with a fault."""

    def on_start(self, span: Span, parent_context: context.Context | None = None) -> None:
        raise ValueError("on_start")

    def on_end(self, span: ReadableSpan) -> None:
        raise ValueError("on_end")

    def shutdown(self) -> None:
        raise ValueError("shutdown")

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        raise ValueError("flush")


def test_a_processor_that_fails_is_told_of(engine: Engine) -> None:
    seen = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(str(record.exc_info[1]))  # type: ignore
    logger = logging.getLogger("coati.otel")
    logger.addHandler(handler)
    provider, watching = coati.otel.TracerProvider(), Watching()
    provider.add_span_processor(Failing())
    provider.add_span_processor(watching)
    with provider.get_tracer("t").start_as_current_span("s"):
        pass
    assert not provider.force_flush()
    provider.shutdown()
    logger.removeHandler(handler)
    assert seen == ["on_start", "on_end", "flush", "shutdown"]
    assert watching.calls == ["start s {}", "end s", "flush", "shutdown"]
    assert engine.span()["span"] == "s"
    alone = coati.otel.TracerProvider(shutdown_on_exit=False)
    alone.add_span_processor(Failing())
    assert not alone.force_flush()


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_that_cannot_be_told_stays_the_programs(engine: Engine) -> None:
    provider, watching = coati.otel.TracerProvider(), Watching()
    provider.add_span_processor(watching)

    def fail() -> None:
        with provider.get_tracer("t").start_as_current_span("s"):
            raise UnprintableError

    with pytest.raises(UnprintableError):
        fail()
    assert watching.calls[-1] == "end s"
    assert engine.span()["status"] == {"code": "error", "description": "UnprintableError"}


class Undecided(sampling.Sampler, IdGenerator):
    """Fails at whatever it is asked."""

    def should_sample(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no")

    generate_span_id = generate_trace_id = should_sample

    def get_description(self) -> str:
        return "none"


@pytest.mark.parametrize("given", ["sampler", "id_generator"])
def test_a_sampler_that_fails_lets_the_engine_decide(engine: Engine, given: str) -> None:
    asked: dict[str, Any] = {given: Undecided()}
    tracer = coati.otel.TracerProvider(**asked).get_tracer("t")
    with tracer.start_as_current_span("outer", attributes={"a": 1}):
        tracer.start_span("inner").end()
    inner, outer = (record for record in engine.records() if "span" in record)
    assert inner["parent_span_id"] == outer["span_id"]
    assert outer["attributes"] == {"a": 1}


class Deciding(sampling.Sampler):
    """A sampler of the program's own."""

    def should_sample(  # noqa: PLR0917 - as the SDK has it
        self,
        parent_context: context.Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> sampling.SamplingResult:
        decision = {
            "drop": sampling.Decision.DROP,
            "record": sampling.Decision.RECORD_ONLY,
        }.get(name, sampling.Decision.RECORD_AND_SAMPLE)
        state = TraceState([("decided", name)])
        return sampling.SamplingResult(decision, {**(attributes or {}), "by": "sampler"}, state)

    def get_description(self) -> str:
        return "Deciding"


@pytest.mark.parametrize("engines", ["always_off", "always_on"])
def test_a_sampler_of_the_programs_own(engine: Engine, engines: str) -> None:
    engine.start(spans={"sampler": engines})
    provider, exporter = coati.otel.TracerProvider(sampler=Deciding()), InMemorySpanExporter()
    tracer = provider.get_tracer("t")
    for name in ("keep", "drop", "record"):
        with tracer.start_as_current_span(name, attributes={"a": 1}) as span:
            ids = span.get_span_context()
            assert ids.trace_state == TraceState([("decided", name)])
            assert ids.trace_flags.sampled is (name == "keep")
    assert [(s["span"], s["attributes"]) for s in engine.spans()] == [
        ("keep", {"a": 1, "by": "sampler"})
    ]
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    watching = Watching()
    provider.add_span_processor(watching)
    for name in ("keep", "drop", "record"):
        tracer.start_span(name).end()
    # What is recorded and not sampled is for processors, not for exporters.
    assert [span.name for span in exporter.get_finished_spans()] == ["keep"]
    assert [call for call in watching.calls if call.startswith("end")] == ["end keep", "end record"]


@pytest.mark.parametrize("sampled", [True, False])
def test_parent_based_sampling_of_the_sdk(engine: Engine, sampled: bool) -> None:
    provider = coati.otel.TracerProvider(sampler=sampling.ParentBased(sampling.ALWAYS_ON))
    tracer = provider.get_tracer("t")
    parent = SpanContext(7, 8, True, TraceFlags(int(sampled)))
    remote = trace.set_span_in_context(trace.NonRecordingSpan(parent))
    with tracer.start_as_current_span("child", context=remote) as span:
        assert span.is_recording() is sampled
    tracer.start_span("root").end()
    assert [span["span"] for span in engine.spans()] == ["child"] * sampled + ["root"]


class Counting(IdGenerator):
    """Ids of the program's own."""

    def __init__(self) -> None:
        self.next = 0

    def generate_span_id(self) -> int:
        self.next += 1
        return self.next

    def generate_trace_id(self) -> int:
        return 0xABC


def test_an_id_generator_of_the_programs_own(engine: Engine) -> None:
    tracer = coati.otel.TracerProvider(id_generator=Counting()).get_tracer("t")
    with tracer.start_as_current_span("a"), tracer.start_as_current_span("b"):
        pass
    b, a = engine.spans()
    assert int(a["trace_id"], 16) == int(b["trace_id"], 16) == 0xABC
    assert (a["span_id"], b["span_id"]) == ("0000000000000001", "0000000000000002")
    assert b["parent_span_id"] == a["span_id"]


def test_a_provider_that_is_taken_apart(engine: Engine) -> None:
    provider, watching = coati.otel.TracerProvider(), Watching()
    tracer = provider.get_tracer("t")
    assert provider.resource.attributes["service.name"] == "tests"
    every = provider._active_span_processor
    # Looking costs nothing.
    assert type(tracer.start_span("native")) is coati.otel.trace.Span
    every.add_span_processor(watching)
    tracer.start_span("seen").end()
    assert watching.calls == ["start seen {}", "end seen"]


def test_unsampled_spans_are_not_for_processors(engine: Engine) -> None:
    engine.start(spans={"sampler": "always_off"})
    provider, watching = coati.otel.TracerProvider(), Watching()
    provider.add_span_processor(watching)
    with provider.get_tracer("t").start_as_current_span("s") as span:
        assert not span.is_recording()
        assert trace.get_current_span() is span
    assert watching.calls == []


def test_limits_and_resource_of_a_provider(engine: Engine) -> None:
    provider = coati.otel.TracerProvider(span_limits=SpanLimits(max_events=1))
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("s") as span:
        span.add_event("a")
        span.add_event("b")
    (seen,) = exporter.get_finished_spans()
    assert len(seen.events) == 1
    assert seen.resource.attributes["service.name"] == "tests"
    assert provider.resource is seen.resource

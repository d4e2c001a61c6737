"""The same program, recorded by the official kit and by coati, looks the same to a receiver."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import coati
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from otlp_receiver import Receiver

PATIENCE = 60.0
RESOURCE = {"service.name": "same", "deployment.environment.name": "test", "replicas": 3}
ATTRIBUTES: dict[str, Any] = {
    "text": 'a "b"\n✓',
    "empty": "",
    "yes": True,
    "no": False,
    "zero": 0,
    "negative": -(2**63),
    "large": 2**63 - 1,
    "float": 0.1,
    "whole": 1.0,
    "texts": ["a", "b"],
    "numbers": [1, -2],
    "floats": [0.5, 2.0],
    "truths": [True, False],
    "bytes": b"\x00\xff",
    "none at all": [],
}
BODY = {"question": "why?", "scores": [1, 2.5, None, True], "nested": {"a": {"b": "c"}}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of its own for each test."""
    receiver = Receiver()
    yield receiver
    receiver.close()


def start(endpoint: str, protocol: str = "http/protobuf", **more: Any) -> None:
    """Start coati with one OTLP sink."""
    coati.shutdown()
    sink = {"type": "otlp", "endpoint": endpoint, "protocol": protocol, **more}
    resource = {key: value for key, value in RESOURCE.items() if key != "service.name"}
    config = {"sinks": [sink], "resource": resource, "logs": {"level": "debug"}}
    coati.init("same", config={**config, "redaction": {"enabled": False}})


class Kit:
    """What the official kit and coati say differently."""

    def __init__(self, tracer: Any) -> None:
        self.start = tracer.start_as_current_span
        self.kinds: dict[str, Any] = {kind.name.lower(): kind for kind in trace.SpanKind}

    def event(self, span: Any, name: str, attributes: dict[str, Any]) -> None:
        """Add an event."""
        span.add_event(name, attributes)

    def failed(self, span: Any, why: str) -> None:
        """Set the status to error."""
        span.set_status(trace.Status(trace.StatusCode.ERROR, why))

    def well(self, span: Any) -> None:
        """Set the status to ok."""
        span.set_status(trace.StatusCode.OK)

    def link(self, span: Any) -> Any:
        """A link to a span."""
        return trace.Link(span.get_span_context(), {"why": "because"})


class Ours(Kit):
    """The same on coati."""

    def __init__(self, tracer: Any) -> None:
        super().__init__(tracer)
        self.kinds = {name: name for name in self.kinds}

    def event(self, span: Any, name: str, attributes: dict[str, Any]) -> None:
        span.add_event(name, **attributes)

    def failed(self, span: Any, why: str) -> None:
        span.set_status("error", why)

    def well(self, span: Any) -> None:
        span.set_status("ok")

    def link(self, span: Any) -> Any:
        return (span, {"why": "because"})


def spans_by_the_kit(endpoint: str) -> None:
    """The program on the official kit."""
    provider = TracerProvider(resource=Resource.create(RESOURCE))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    spans(Kit(provider.get_tracer("planner")))
    provider.shutdown()


def spans_by_coati(endpoint: str, protocol: str = "http/protobuf", **more: Any) -> None:
    """The program on coati."""
    start(endpoint, protocol, **more)
    spans(Ours(coati.get_tracer("planner")))
    assert coati.flush(PATIENCE)


def spans(kit: Kit) -> None:
    """Spans with everything a span can have."""
    with kit.start("root", kind=kit.kinds["server"], attributes=ATTRIBUTES) as root:
        kit.event(root, "retry", {"attempt": 2, "ok": False})
        kit.event(root, "plain", {})
        root.set_attribute("text", "replaced")
        for name, kind in kit.kinds.items():
            with kit.start(name, kind=kind) as inner:
                inner.update_name(f"{name}!")
        with kit.start("linked", links=[kit.link(root)]) as linked:
            kit.well(linked)
        with kit.start("failed") as bad:
            kit.failed(bad, "no answer")
        try:
            with kit.start("raises"):
                raise ValueError("boom")
        except ValueError:
            pass


def plain(value: dict[str, Any]) -> Any:
    """An AnyValue as a Python value with its type."""
    if not value:
        return None
    ((kind, inner),) = value.items()
    if kind == "arrayValue":
        return [plain(item) for item in inner.get("values", [])]
    if kind == "kvlistValue":
        return attributes(inner.get("values", []))
    return (kind, inner)


def attributes(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Attributes by key; none stands twice."""
    found = {pair["key"]: plain(pair.get("value", {})) for pair in pairs}
    assert len(found) == len(pairs)
    return found


def resources(messages: list[Any], outer: str) -> list[dict[str, Any]]:
    """The elements of the outermost list."""
    return [one for message in messages for one in MessageToDict(message)[outer]]


def own(resource: dict[str, Any]) -> dict[str, Any]:
    """Resource attributes without the kit's own and without an instance's id."""
    found = attributes(resource["resource"]["attributes"])
    assert found.pop("telemetry.sdk.language") == ("stringValue", "python")
    assert found.pop("telemetry.sdk.name")
    assert found.pop("telemetry.sdk.version")
    found.pop("service.instance.id", None)
    return found


def seen_spans(receiver: Receiver) -> list[dict[str, Any]]:
    """What was received, in order of start, ids and times replaced by what they mean."""
    found = []
    for resource in resources(receiver.take("traces"), "resourceSpans"):
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span["resource"], span["scope"] = own(resource), scope["scope"]["name"]
                found.append(span)
    names = {span["spanId"]: span["name"] for span in found}
    assert len({span["traceId"] for span in found}) == 1
    found.sort(key=lambda span: int(span["startTimeUnixNano"]))
    for span in found:
        begin, end = int(span.pop("startTimeUnixNano")), int(span.pop("endTimeUnixNano"))
        assert begin <= end
        trace_id = span.pop("traceId")
        span.pop("spanId")
        span["parent"] = names[span.pop("parentSpanId")] if "parentSpanId" in span else None
        span["attributes"] = attributes(span.get("attributes", []))
        for event in span.get("events", []):
            # An event may be a clock's step off the span that holds it.
            assert abs(int(event.pop("timeUnixNano")) - begin) < 60 * 10**9
            event["attributes"] = attributes(event.get("attributes", []))
            if "exception.stacktrace" in event["attributes"]:
                _, stack = event["attributes"]["exception.stacktrace"]
                assert stack.startswith("Traceback")
                assert "ValueError: boom" in stack
                event["attributes"]["exception.stacktrace"] = "…"
        for link in span.get("links", []):
            assert link.pop("traceId") == trace_id
            link["to"] = names[link.pop("spanId")]
            link["attributes"] = attributes(link["attributes"])
    return found


def without_known_differences(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is listed in PROOF.md."""
    for span in spans:
        # The kit leaves out the trace flags: sampled and, by W3C level 2, random.
        span["flags"] &= ~0xFF
        for event in span.get("events", []):
            # Removed from the semantic conventions.
            event["attributes"].pop("exception.escaped", None)
        for link in span.get("links", []):
            link["flags"] &= ~0xFF
    return spans


WAYS = [
    ("http/protobuf", {}),
    ("http/protobuf", {"compression": "gzip"}),
    ("http/json", {}),
    ("grpc", {}),
    ("grpc", {"compression": "gzip"}),
]


@pytest.mark.parametrize(("protocol", "more"), WAYS)
def test_spans_are_equal_field_by_field(
    receiver: Receiver, protocol: str, more: dict[str, Any]
) -> None:
    spans_by_the_kit(receiver.http)
    expected = without_known_differences(seen_spans(receiver))
    spans_by_coati(receiver.grpc if protocol == "grpc" else receiver.http, protocol, **more)
    assert without_known_differences(seen_spans(receiver)) == expected
    assert coati.shutdown(PATIENCE)["spans"]["delivered"] == 9


def logs_by_the_kit(endpoint: str) -> None:
    """The program on the official kit."""
    provider = LoggerProvider(resource=Resource.create(RESOURCE))
    exporter = OTLPLogExporter(f"{endpoint}/v1/logs")
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("planner")
    levels = [
        ("DEBUG", SeverityNumber.DEBUG),
        ("INFO", SeverityNumber.INFO),
        ("WARN", SeverityNumber.WARN),
        ("ERROR", SeverityNumber.ERROR),
        ("CRITICAL", SeverityNumber.FATAL),
    ]
    for text, number in levels:
        logger.emit(
            body=f"at {text}", severity_text=text, severity_number=number, attributes={"n": 1}
        )
    for body in (BODY, ["a", 1], "plain"):
        logger.emit(
            body=body,
            severity_text="INFO",
            severity_number=SeverityNumber.INFO,
            attributes={**ATTRIBUTES, "nested": {"a": [1, {"b": None}]}},
        )
    tracer = TracerProvider().get_tracer("t")
    with tracer.start_as_current_span("around"):
        logger.emit(body="inside", severity_text="INFO", severity_number=SeverityNumber.INFO)
    provider.shutdown()


def logs_by_coati(endpoint: str, protocol: str, **more: Any) -> None:
    """The program on coati."""
    start(endpoint, protocol, **more)
    log = coati.get_logger("planner")
    for text, name in (
        ("DEBUG", "debug"),
        ("INFO", "info"),
        ("WARN", "warning"),
        ("ERROR", "error"),
        ("CRITICAL", "critical"),
    ):
        log.log(name, f"at {text}", n=1)
    for body in (BODY, ["a", 1], "plain"):
        log.info(body, **ATTRIBUTES, nested={"a": [1, {"b": None}]})  # type: ignore[arg-type]
    with coati.get_tracer("t").span("around"):
        log.info("inside")
    assert coati.flush(PATIENCE)


def seen_logs(receiver: Receiver) -> list[dict[str, Any]]:
    """What was received, ids and times checked and taken out."""
    found = []
    for resource in resources(receiver.take("logs"), "resourceLogs"):
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                record["resource"], record["scope"] = own(resource), scope["scope"]["name"]
                # The kit sets the observed time alone where nobody gives the other one.
                record.pop("timeUnixNano", None)
                record.pop("observedTimeUnixNano")
                record["inside a span"] = bool(record.pop("traceId", "")) and bool(
                    record.pop("spanId", "")
                )
                # The kit's ids are random too, but it does not say so.
                record["sampled"] = record.pop("flags", 0) & 1
                record["body"] = plain(record["body"])
                record["attributes"] = attributes(record.get("attributes", []))
                found.append(record)
    return found


@pytest.mark.parametrize(("protocol", "more"), WAYS)
def test_logs_are_equal_field_by_field(
    receiver: Receiver, protocol: str, more: dict[str, Any]
) -> None:
    logs_by_the_kit(receiver.http)
    expected = seen_logs(receiver)
    assert len(expected) == 9
    logs_by_coati(receiver.grpc if protocol == "grpc" else receiver.http, protocol, **more)
    assert seen_logs(receiver) == expected


VALUES = [0.25, 1.0, 3.0, 17.5, 17.5, 1000.0, 123456.0]
BOUNDS = [1.0, 10.0, 100.0]
# Measured inside a span: each in a bucket of its own, so that every kit keeps them all.
EXEMPLARS = [0.5, 5.0, 50.0, 500.0]

Ids = tuple[str, str]


def metrics_by_the_kit(endpoint: str) -> Ids:
    """The program on the official kit."""
    exporter = OTLPMetricExporter(f"{endpoint}/v1/metrics")
    exponential = View(
        instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation()
    )
    provider = MeterProvider(
        metric_readers=[PeriodicExportingMetricReader(exporter, export_interval_millis=86400000)],
        resource=Resource.create(RESOURCE),
        views=[exponential],
    )
    meter = provider.get_meter("coati")
    counter = meter.create_counter("runs", "1", "Agent runs")
    counter.add(3, {"agent": "a1", "ok": True, "n": 1, "x": 0.5})
    counter.add(4, {"agent": "a2"})
    floats = meter.create_counter("cost", "USD")
    floats.add(0.5)
    floats.add(0.25)
    open_tasks = meter.create_up_down_counter("open", "{task}")
    open_tasks.add(5)
    open_tasks.add(-7)
    meter.create_gauge("depth", "By").set(2.5, {"queue": "q"})
    explicit = meter.create_histogram("explicit", "ms", explicit_bucket_boundaries_advisory=BOUNDS)
    fine = meter.create_histogram("exponential", "s", "Time")
    for value in VALUES:
        explicit.record(value, {"agent": "a1"})
        fine.record(value)
    fine.record(0.0)
    with TracerProvider().get_tracer("coati").start_as_current_span("run") as span:
        counter.add(2, {"agent": "a2"})
        floats.add(0.125)
        open_tasks.add(-1)
        for value in EXEMPLARS:
            explicit.record(value, {"agent": "a1"})
            fine.record(value)
    provider.shutdown()
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def metrics_by_coati(endpoint: str, protocol: str, **more: Any) -> Ids:
    """The program on coati."""
    start(endpoint, protocol, **more)
    counter = coati.counter("runs", unit="1", description="Agent runs")
    counter.add(3, agent="a1", ok=True, n=1, x=0.5)
    counter.add(4, agent="a2")
    floats = coati.counter("cost", unit="USD")
    floats.add(0.5)
    floats.add(0.25)
    open_tasks = coati.up_down_counter("open", unit="{task}")
    open_tasks.add(5)
    open_tasks.add(-7)
    coati.gauge("depth", unit="By").set(2.5, queue="q")
    explicit = coati.histogram("explicit", unit="ms", buckets=BOUNDS)
    fine = coati.histogram("exponential", unit="s", description="Time")
    for value in VALUES:
        explicit.record(value, agent="a1")
        fine.record(value)
    fine.record(0.0)
    bound = explicit.bind(agent="a1")
    with coati.get_tracer("coati").span("run") as span:
        counter.add(2, agent="a2")
        floats.bind().add(0.125)
        open_tasks.add(-1)
        for value in EXEMPLARS:
            bound.record(value)
            fine.record(value)
    coati.shutdown(PATIENCE)
    return span.trace_id, span.span_id


def seen_metrics(receiver: Receiver, ids: Ids) -> dict[str, dict[str, Any]]:
    """What was received by name, times and ids checked and taken out."""
    found: dict[str, dict[str, Any]] = {}
    for resource in resources(receiver.take("metrics"), "resourceMetrics"):
        for scope in resource["scopeMetrics"]:
            for metric in scope["metrics"]:
                metric["resource"], metric["scope"] = own(resource), scope["scope"]["name"]
                (data,) = (
                    metric[kind]
                    for kind in metric
                    if isinstance(metric[kind], dict) and "dataPoints" in metric[kind]
                )
                for point in data["dataPoints"]:
                    begin = int(point.pop("startTimeUnixNano", 0))
                    assert begin <= int(point.pop("timeUnixNano"))
                    point["attributes"] = attributes(point.get("attributes", []))
                    for exemplar in point.get("exemplars", []):
                        assert begin <= int(exemplar.pop("timeUnixNano"))
                        found_ids = (exemplar.pop("traceId"), exemplar.pop("spanId"))
                        assert tuple(b64decode(one).hex() for one in found_ids) == ids
                    point.get("exemplars", []).sort(key=str)
                data["dataPoints"].sort(key=lambda point: str(point["attributes"]))
                found[metric["name"]] = metric
    return found


def coarsest(metrics: dict[str, dict[str, Any]], scale: int) -> dict[str, dict[str, Any]]:
    """Exponential histograms at one scale, as buckets by index: kits choose their own."""
    for metric in metrics.values():
        for point in metric.get("exponentialHistogram", {}).get("dataPoints", []):
            shift = point.pop("scale", 0) - scale
            assert shift >= 0
            for side in ("positive", "negative"):
                buckets = point.pop(side, {})
                counts: dict[int, int] = {}
                for place, count in enumerate(buckets.get("bucketCounts", [])):
                    index = (buckets.get("offset", 0) + place) >> shift
                    counts[index] = counts.get(index, 0) + int(count)
                point[side] = {index: count for index, count in counts.items() if count}
    return metrics


@pytest.mark.parametrize(("protocol", "more"), WAYS)
def test_metrics_are_equal_field_by_field(
    receiver: Receiver, protocol: str, more: dict[str, Any]
) -> None:
    expected = seen_metrics(receiver, metrics_by_the_kit(receiver.http))
    endpoint = receiver.grpc if protocol == "grpc" else receiver.http
    found = seen_metrics(receiver, metrics_by_coati(endpoint, protocol, **more))
    # Observable instruments of other tests are asked for ever.
    found = {name: metric for name, metric in found.items() if not name.startswith("m_")}
    points = found["exponential"]["exponentialHistogram"]["dataPoints"]
    assert len(points[0]["positive"]["bucketCounts"]) <= 160
    assert {"asDouble": 0.5} in points[0]["exemplars"]
    assert coarsest(found, 2) == coarsest(expected, 2)

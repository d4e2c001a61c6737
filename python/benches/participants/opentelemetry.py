"""opentelemetry-sdk with batch processors and exporters that cost next to nothing."""

from __future__ import annotations

from pathlib import Path

import orjson
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, ConsoleLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from rows import FIELDS, LABELS, TRACEPARENT, Participant, Row, fresh_strings, per_item

#: Room for a burst: a full queue drops.
QUEUE = {"max_queue_size": 1 << 18, "max_export_batch_size": 4096}


class Nowhere(SpanExporter):
    """Takes spans and does nothing with them."""

    def export(self, spans: object) -> SpanExportResult:
        """Says that all is well."""
        return SpanExportResult.SUCCESS


def calls(folder: Path) -> Participant:
    """All it has."""
    made = Participant()
    logs(made, folder)
    spans(made)
    metrics(made)
    return made


def line(readable: object) -> str:
    """What a line says, by orjson."""
    record = readable.log_record  # type: ignore[attr-defined]
    fields = {
        "timestamp": record.timestamp,
        "level": record.severity_text,
        "logger": "bench",
        "message": record.body,
        "service": "bench",
        **record.attributes,
    }
    return orjson.dumps(fields).decode() + "\n"


def logs(made: Participant, folder: Path) -> None:
    """Its own logger, which spares it the bridge from logging."""
    file = (folder / "lines.jsonl").open("w")
    provider = LoggerProvider()
    exporter = ConsoleLogRecordExporter(out=file, formatter=line)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, **QUEUE))
    emit = provider.get_logger("bench").emit
    info = SeverityNumber.INFO

    def loop(n: int) -> None:
        for _ in range(n):
            emit(
                severity_number=info,
                severity_text="info",
                body="plan ready",
                attributes={"steps": 4, "model": "gpt-4o", "cost": 0.25, "ok": True},
            )

    made.calls("py_log", loop, before=lambda _: provider.force_flush())
    made.lines(loop, provider.force_flush)


def spans(made: Participant) -> None:
    """Spans and their propagation."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), **QUEUE))
    start = provider.get_tracer("bench").start_as_current_span
    start_off = TracerProvider(sampler=ALWAYS_OFF).get_tracer("off").start_as_current_span
    propagator = TraceContextTextMapPropagator()
    headers: dict[str, str] = {}
    incoming = {"traceparent": TRACEPARENT}

    def span(n: int) -> None:
        for _ in range(n):
            with start("plan", attributes=FIELDS):
                pass

    def unsampled(n: int) -> None:
        for _ in range(n):
            with start_off("plan", attributes=FIELDS):
                pass

    def bare() -> None:
        pass

    traced = start("bare")(bare)

    def call_bare(n: int) -> None:
        for _ in range(n):
            bare()

    def call(n: int) -> None:
        for _ in range(n):
            traced()

    def inject(n: int) -> None:
        with start("request"):
            for _ in range(n):
                propagator.inject(headers)

    def extract(n: int) -> None:
        for _ in range(n):
            propagator.extract(incoming)

    def flush(_: int) -> None:
        provider.force_flush()

    made.calls("py_span", span, before=flush)
    made.calls("py_span_unsampled", unsampled)
    made.calls("py_traced", call, bare=call_bare, before=flush)
    made.calls("py_inject", inject)
    made.calls("py_extract", extract)


def metrics(made: Participant) -> None:
    """A counter and an exponential histogram."""
    view = View(instrument_name="*histogram", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([InMemoryMetricReader()], views=[view], shutdown_on_exit=False)
    meter = provider.get_meter("bench")
    counter, histogram = meter.create_counter("counter"), meter.create_histogram("histogram")

    def add_bare(n: int) -> None:
        for _ in range(n):
            counter.add(1)

    def add(n: int) -> None:
        for _ in range(n):
            counter.add(1, LABELS)

    def add_new(agents: list[str]) -> None:
        for agent in agents:
            counter.add(1, {"agent": agent, "ok": True, "tool": "search", "tier": 1})

    def record_bare(n: int) -> None:
        for _ in range(n):
            histogram.record(12.3)

    def record(n: int) -> None:
        for _ in range(n):
            histogram.record(12.3, LABELS)

    made.calls("py_counter", add_bare).note = "without labels: it binds none"
    made.calls("py_counter_4labels", add)
    made.rows["py_counter_new_labels"] = Row(
        lambda n: per_item(add_new, fresh_strings("agent-", n))
    )
    made.calls("py_histogram", record_bare).note = "without labels: it binds none"
    made.calls("py_histogram_4labels", record)


PARTS = {"calls": calls}

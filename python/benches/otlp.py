"""OTLP by the official Python kit: CPU per span, log record and data point.

Prints lines as ``coati-bench-otlp`` does; its receiver must listen at the URL given.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

BATCH = 512
COUNTERS = 448
ROUNDS = 15


def spans() -> Any:
    """A finished batch of spans."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("bench")
    for i in range(BATCH):
        with tracer.start_as_current_span("chat gpt-4o") as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.request.model", "gpt-4o")
            span.set_attribute("gen_ai.usage.input_tokens", i + 1000)
            span.set_attribute("temperature", 0.7)
    return memory.get_finished_spans()


def logs() -> Any:
    """A finished batch of logs."""
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    logger = provider.get_logger("bench")
    for i in range(BATCH):
        logger.emit(
            body="request finished",
            severity_text="INFO",
            severity_number=SeverityNumber.INFO,
            attributes={"step": i, "model": "gpt-4o", "ok": True},
        )
    return memory.get_finished_logs()


def metrics() -> Any:
    """As many data points."""
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader]).get_meter("bench")
    counter = meter.create_counter("runs", "1", "Runs")
    histogram = meter.create_histogram("time", "ms", "Time")
    for i in range(COUNTERS):
        counter.add(i + 1, {"agent": i, "model": "gpt-4o"})
        if i < BATCH - COUNTERS:
            histogram.record(float(i), {"agent": i, "model": "gpt-4o"})
    return reader.get_metrics_data()


def measure(row: str, work: Callable[[], object]) -> None:
    """Print the CPU time of all threads by item."""
    work()
    figures = []
    for _ in range(ROUNDS):
        begun = time.process_time_ns()
        work()
        figures.append((time.process_time_ns() - begun) / BATCH)
    least, median = min(figures), statistics.median(figures)
    print(f'{{"row":"{row}","who":"opentelemetry-python","min":{least:.1f},"median":{median:.1f}}}')


def main() -> None:
    """Measure every row."""
    url = sys.argv[1]
    batch, records, points = spans(), logs(), metrics()
    measure("span encoded", lambda: encode_spans(batch).SerializeToString())
    measure("log encoded", lambda: encode_logs(records).SerializeToString())
    measure("point encoded", lambda: encode_metrics(points).SerializeToString())
    to_spans = OTLPSpanExporter(f"{url}/v1/traces")
    to_logs = OTLPLogExporter(f"{url}/v1/logs")
    to_metrics = OTLPMetricExporter(f"{url}/v1/metrics")
    measure("span sent", lambda: to_spans.export(batch))
    measure("log sent", lambda: to_logs.export(records))
    measure("point sent", lambda: to_metrics.export(points))


if __name__ == "__main__":
    main()

"""Calls of OpenTelemetry's instruments and loggers, before and after the swap; see ``swap.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coati.otel
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, ConsoleLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

Calls = Callable[[int], None]


def _calls(meters: Any, loggers: Any) -> dict[str, Calls]:
    """Loops over calls of the API."""
    meter, logger = meters.get_meter("bench", "1"), loggers.get_logger("bench", "1")
    counter, histogram = meter.create_counter("runs"), meter.create_histogram("took", "ms")
    gauge = meter.create_gauge("depth")
    info = SeverityNumber.INFO

    def counted(n: int) -> None:
        for _ in range(n):
            counter.add(1, {"agent.name": "a1", "gen_ai.request.model": "gpt-4o", "ok": True})

    def plain(n: int) -> None:
        for _ in range(n):
            counter.add(1)

    def recorded(n: int) -> None:
        for _ in range(n):
            histogram.record(12.5, {"agent.name": "a1", "gen_ai.request.model": "gpt-4o"})

    def level(n: int) -> None:
        for _ in range(n):
            gauge.set(4.5, {"queue": "q1"})

    def emitted(n: int) -> None:
        for _ in range(n):
            logger.emit(
                severity_number=info,
                severity_text="INFO",
                body="plan ready",
                attributes={"agent": "a1", "steps": 4, "took": 1.5, "ok": True},
            )

    return {
        "opentelemetry, counter.add, 3 attributes": counted,
        "opentelemetry, counter.add, none": plain,
        "opentelemetry, histogram.record, 2 attributes": recorded,
        "opentelemetry, gauge.set, 1 attribute": level,
        "opentelemetry, logger.emit, 4 attributes, to a file": emitted,
    }


def cases(folder: Path) -> dict[str, tuple[Calls, Calls]]:
    """Each call on the SDK and on coati."""
    file = (folder / "opentelemetry").open("w")
    exporter = ConsoleLogRecordExporter(file, formatter=lambda one: one.to_json(None) + "\n")
    loggers = LoggerProvider()
    loggers.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=1 << 20))
    before = _calls(MeterProvider(metric_readers=[InMemoryMetricReader()]), loggers)
    after = _calls(coati.otel.MeterProvider(), coati.otel.LoggerProvider())
    return {name: (before[name], after[name]) for name in before}

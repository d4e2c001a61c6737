"""What a call costs before and after its library is swapped for coati, in one run.

    python swap.py [--rounds N] [--only NAME]

Each round plays every case in turn; the minimum and the median per call are printed, and the ratio
of the medians. Both sides of loggers write to files. Nothing may be dropped.
"""

from __future__ import annotations

import argparse
import io
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import coati.logging
import coati.loguru
import coati.otel
import coati.prometheus
import coati.structlog
import loguru
import prometheus_client
import structlog
import swap_otel
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import Tracer
from pythonjsonlogger.json import JsonFormatter

#: Calls in a row: fewer where the library is slow, so that rounds alternate quickly.
OURS, THEIRS = 5000, 500

Case = tuple[Callable[[], Callable[[int], None]], int]


def _logging(name: str, handler: logging.Handler | None) -> Callable[[], Callable[[int], None]]:
    logger = logging.getLogger(name)
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    if handler:
        logger.addHandler(handler)

    def prepare() -> Callable[[int], None]:
        coati.logging.uninstall()
        if not handler:
            coati.logging.install()

        def calls(n: int) -> None:
            info = logger.info
            for _ in range(n):
                info("plan ready", extra={"agent": "a1", "steps": 4, "took": 1.5, "ok": True})

        return calls

    return prepare


def _structlog(configuration: dict[str, Any]) -> Callable[[], Callable[[int], None]]:
    def prepare() -> Callable[[int], None]:
        structlog.configure(cache_logger_on_first_use=True, **configuration)
        logger = structlog.get_logger("bench").bind()

        def calls(n: int) -> None:
            info = logger.info
            for _ in range(n):
                info("plan ready", agent="a1", steps=4, took=1.5, ok=True)

        return calls

    return prepare


def _loguru(add: Callable[[], Any]) -> Callable[[], Callable[[int], None]]:
    def prepare() -> Callable[[int], None]:
        loguru.logger.remove()
        add()
        logger = loguru.logger.bind(agent="a1", steps=4, took=1.5, ok=True)

        def calls(n: int) -> None:
            info = logger.info
            for _ in range(n):
                info("plan ready")

        return calls

    return prepare


def _prometheus(lib: Any) -> dict[str, Callable[[int], None]]:
    """Loops over calls of ``prometheus_client`` or what stands in for it."""
    registry = lib.CollectorRegistry()
    runs = lib.Counter("runs", "Runs", ["agent", "model"], registry=registry)
    took = lib.Histogram("took", "Took", ["agent", "model"], registry=registry)
    depth = lib.Gauge("depth", "Depth", ["agent", "model"], registry=registry)
    many = lib.CollectorRegistry()
    for place in range(100):
        counter = lib.Counter(f"many_{place}", "Many", ["agent", "model"], registry=many)
        for agent in range(100):
            counter.labels(f"agent {agent}", "gpt-4o").inc(agent * 1.5)
    labels = {"agent": "planner", "model": "gpt-4o"}
    run, observed, set_to = (one.labels(**labels) for one in (runs, took, depth))

    def looked_up(n: int) -> None:
        for _ in range(n):
            runs.labels("planner", "gpt-4o").inc()

    def named(n: int) -> None:
        for _ in range(n):
            runs.labels(agent="planner", model="gpt-4o").inc()

    def bound(n: int) -> None:
        for _ in range(n):
            run.inc()

    def looked_up_histogram(n: int) -> None:
        for _ in range(n):
            took.labels("planner", "gpt-4o").observe(0.3)

    def bound_histogram(n: int) -> None:
        for _ in range(n):
            observed.observe(0.3)

    def gauge(n: int) -> None:
        for _ in range(n):
            set_to.set(4.5)

    def page(n: int) -> None:
        lib.enable_created_metrics()
        for _ in range(n):
            lib.generate_latest(many)

    def short_page(n: int) -> None:
        lib.disable_created_metrics()
        for _ in range(n):
            lib.generate_latest(many)

    return {
        "prometheus_client, labels(a, b).inc()": looked_up,
        "prometheus_client, labels(a=, b=).inc()": named,
        "prometheus_client, bound inc()": bound,
        "prometheus_client, labels(a, b).observe()": looked_up_histogram,
        "prometheus_client, bound observe()": bound_histogram,
        "prometheus_client, bound set()": gauge,
        "prometheus_client, page of 10,000 series and their beginnings": page,
        "prometheus_client, page of 10,000 series": short_page,
    }


def _prometheus_cases() -> dict[str, tuple[Case, Case]]:
    theirs, ours = _prometheus(prometheus_client), _prometheus(coati.prometheus)

    def case(calls: Callable[[int], None], n: int) -> Case:
        return (lambda: calls), n

    pages = [name for name in ours if "page" in name]
    return {
        name: (
            case(theirs[name], 1 if name in pages else THEIRS),
            case(ours[name], 5 if name in pages else OURS),
        )
        for name in ours
    }


class _Nowhere(SpanExporter):
    """Exports nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _spans(tracer: Tracer) -> dict[str, Callable[[int], None]]:
    """Loops over spans of the OpenTelemetry API."""

    def current(n: int) -> None:
        for _ in range(n):
            given = {"agent": "a1", "steps": 4, "took": 1.5, "ok": True}
            with tracer.start_as_current_span("plan", attributes=given):
                pass

    def by_hand(n: int) -> None:
        for _ in range(n):
            span = tracer.start_span("plan")
            span.set_attribute("agent", "a1")
            span.set_attribute("steps", 4)
            span.set_attribute("took", 1.5)
            span.set_attribute("ok", True)
            span.end()

    def bare(n: int) -> None:
        for _ in range(n):
            with tracer.start_as_current_span("plan"):
                pass

    def inside(n: int) -> None:
        with tracer.start_as_current_span("plans"):
            current(n)

    return {
        "start_as_current_span(attributes={4})": current,
        "the same inside another span": inside,
        "start_span, 4 set_attribute, end": by_hand,
        "start_as_current_span": bare,
    }


def _otel_cases(folder: Path) -> dict[str, tuple[Case, Case]]:
    def sdk(sampler: Sampler) -> dict[str, Callable[[int], None]]:
        provider = TracerProvider(sampler=sampler)
        provider.add_span_processor(BatchSpanProcessor(_Nowhere()))
        return _spans(provider.get_tracer("bench"))

    def theirs(calls: Callable[[int], None]) -> Case:
        def prepare() -> Callable[[int], None]:
            coati.otel.uninstall()
            return calls

        return prepare, THEIRS

    def ours(calls: Callable[[int], None], sampler: str) -> Case:
        def prepare() -> Callable[[int], None]:
            coati.otel.install()
            coati.configure(spans={"sampler": sampler})
            return calls

        return prepare, OURS

    swapped = _spans(coati.otel.TracerProvider().get_tracer("bench"))
    sampled, dropped = sdk(ALWAYS_ON), sdk(ALWAYS_OFF)
    return {
        **{
            f"opentelemetry, {name}": (theirs(sampled[name]), ours(swapped[name], "always_on"))
            for name in swapped
        },
        **{
            f"opentelemetry, unsampled {name}": (
                theirs(dropped[name]),
                ours(swapped[name], "always_off"),
            )
            for name in swapped
        },
        **{
            name: (theirs(before), ours(after, "always_on"))
            for name, (before, after) in swap_otel.cases(folder).items()
        },
    }


def _cases(folder: Path) -> dict[str, tuple[Case, Case]]:
    def file(name: str, formatter: logging.Formatter) -> logging.Handler:
        handler = logging.FileHandler(folder / name)
        handler.setFormatter(formatter)
        return handler

    keys = "%(asctime)s %(levelname)s %(name)s %(message)s"
    ours = _logging("bench.ours", None)
    before = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    lines: io.BufferedWriter = (folder / "structlog").open("ab")
    as_bytes: list[Any] = [
        *before,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
        lambda _logger, _method, line: line.encode(),
    ]
    filtering = structlog.make_filtering_bound_logger(logging.INFO)
    theirs = {
        "processors": as_bytes,
        "logger_factory": structlog.BytesLoggerFactory(lines),
        "wrapper_class": filtering,
    }
    swapped = {
        "processors": before[:1],
        "logger_factory": coati.structlog.LoggerFactory(),
        "wrapper_class": filtering,
    }
    serialized = folder / "loguru"
    return {
        "logging, plain file": (
            (_logging("bench.plain", file("plain", logging.Formatter(keys))), THEIRS),
            (ours, OURS),
        ),
        "logging, JSON file": (
            (_logging("bench.json", file("json", JsonFormatter(keys))), THEIRS),
            (ours, OURS),
        ),
        "structlog, JSON": ((_structlog(theirs), THEIRS), (_structlog(swapped), OURS)),
        "loguru, serialized file": (
            (_loguru(lambda: loguru.logger.add(serialized, serialize=True)), THEIRS),
            (_loguru(coati.loguru.install), OURS),
        ),
        **_prometheus_cases(),
        **_otel_cases(folder),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of all cases (15)")
    parser.add_argument("--only", default="", help="only cases whose name begins so")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sink = {"type": "file", "path": f"{folder}/coati.jsonl"}
        coati.init("swap", config={"sinks": [sink], "ring": {"bytes": 1 << 26}})
        every = _cases(Path(folder))
        cases = {name: case for name, case in every.items() if name.startswith(options.only)}
        took: dict[tuple[str, int], list[float]] = {}
        for _ in range(options.rounds):
            for name, sides in cases.items():
                for side, (prepare, n) in enumerate(sides):
                    calls = prepare()
                    calls(min(n, 10))
                    begun = time.perf_counter_ns()
                    calls(n)
                    took.setdefault((name, side), []).append((time.perf_counter_ns() - begun) / n)
                    coati.flush()
        books = coati.shutdown()
        assert not any(books[signal]["dropped"] for signal in ("logs", "spans")), books
    print("| library | before (min / median) | through coati | ratio |")
    print("|---|---|---|---|")
    for name in cases:
        before, after = took[name, 0], took[name, 1]
        medians = statistics.median(before), statistics.median(after)
        print(
            f"| {name} | {min(before):,.0f} / {medians[0]:,.0f} ns "
            f"| {min(after):,.0f} / {medians[1]:,.0f} ns | {medians[0] / medians[1]:.1f} x |"
        )


if __name__ == "__main__":
    main()

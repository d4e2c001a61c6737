"""Nanoseconds per call from Python, one row for each of the project's budgets.

Minimum and median over interleaved rounds that fit the ring, less an empty loop; no record may be
dropped. ``python cost.py [--rounds N] [--json]``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import coati

CALLS = 3000

Bench = Callable[[int], None]


def benches() -> dict[str, tuple[float | None, Bench]]:
    """The budget in nanoseconds and the loop of each row."""
    log = coati.get_logger("bench")
    off = coati.get_logger("off")
    tracer = coati.get_tracer("bench")
    unsampled = coati.SpanContext("1" * 32, "1" * 16, trace_flags=0)
    counter = coati.counter("bench_counter")
    bound_counter = counter.bind(agent="a1", ok=True, tool="search", tier=1)
    histogram = coati.histogram("bench_histogram", unit="ms")
    bound_histogram = histogram.bind(agent="a1", ok=True, tool="search", tier=1)
    headers: dict[str, str] = {}
    incoming = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    made_anew = [f"agent-{i}" for i in range(8)]

    def empty(n: int) -> None:
        for _ in range(n):
            pass

    def log_4_fields(n: int) -> None:
        for _ in range(n):
            log.info("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    def log_off(n: int) -> None:
        for _ in range(n):
            off.debug("plan ready")

    def log_off_4_fields(n: int) -> None:
        for _ in range(n):
            off.debug("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    def span_4_attributes(n: int) -> None:
        for _ in range(n):
            with tracer.span("plan", steps=4, model="gpt-4o", cost=0.25, ok=True):
                pass

    def span_not_sampled(n: int) -> None:
        with tracer.span("root", parent=unsampled):
            for _ in range(n):
                with tracer.span("plan", steps=4, model="gpt-4o", cost=0.25, ok=True):
                    pass

    def counter_bound(n: int) -> None:
        for _ in range(n):
            bound_counter.add()

    def counter_4_labels(n: int) -> None:
        for _ in range(n):
            counter.add(1, agent="a1", ok=True, tool="search", tier=1)

    def counter_labels_made_anew(n: int) -> None:
        for i in range(n):
            counter.add(1, agent=made_anew[i & 7], ok=True, tool="search", tier=1)

    def histogram_bound(n: int) -> None:
        for _ in range(n):
            bound_histogram.record(12.3)

    def histogram_4_labels(n: int) -> None:
        for _ in range(n):
            histogram.record(12.3, agent="a1", ok=True, tool="search", tier=1)

    def bare() -> None:
        pass

    traced = coati.trace(bare)

    def call_bare(n: int) -> None:
        for _ in range(n):
            bare()

    def call_traced(n: int) -> None:
        for _ in range(n):
            traced()

    async def bare_async() -> None:
        pass

    traced_async = coati.trace(bare_async)

    def call_async(n: int) -> None:
        async def loop() -> None:
            for _ in range(n):
                await bare_async()

        asyncio.run(loop())

    def call_traced_async(n: int) -> None:
        async def loop() -> None:
            for _ in range(n):
                await traced_async()

        asyncio.run(loop())

    def inject(n: int) -> None:
        with tracer.span("request"):
            for _ in range(n):
                coati.inject(headers)

    def extract(n: int) -> None:
        for _ in range(n):
            coati.extract(incoming)

    return {
        "empty loop": (None, empty),
        "log, 4 fields": (120, log_4_fields),
        "log, level off": (12, log_off),
        "log, level off, 4 fields": (20, log_off_4_fields),
        "span, 4 attributes, current": (420, span_4_attributes),
        "span, not sampled": (110, span_not_sampled),
        "counter, bound": (20, counter_bound),
        "counter, 4 labels": (40, counter_4_labels),
        "counter, 4 labels, one changing": (60, counter_labels_made_anew),
        "histogram, bound": (30, histogram_bound),
        "histogram, 4 labels": (65, histogram_4_labels),
        "bare call": (None, call_bare),
        "traced call over bare": (250, call_traced),
        "bare async call": (None, call_async),
        "traced async call over bare": (450, call_traced_async),
        "inject": (100, inject),
        "extract": (150, extract),
    }


BASELINES = {
    "traced call over bare": "bare call",
    "traced async call over bare": "bare async call",
    "empty loop": None,
}


def measure(rounds: int) -> dict[str, dict[str, float | None]]:
    """Minimum, median and budget of each row, in nanoseconds a call."""
    rows = benches()
    costs: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, (_budget, loop) in rows.items():
            coati.flush()
            start = time.perf_counter_ns()
            loop(CALLS)
            costs[name].append((time.perf_counter_ns() - start) / CALLS)
    result = {}
    for name, (budget, _loop) in rows.items():
        baseline = BASELINES.get(name, "empty loop")
        base_min = min(costs[baseline]) if baseline else 0.0
        base_median = statistics.median(costs[baseline]) if baseline else 0.0
        result[name] = {
            "min": min(costs[name]) - base_min,
            "median": statistics.median(costs[name]) - base_median,
            "budget": budget,
        }
    return result


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = {"type": "file", "path": str(Path(folder) / "bench.jsonl")}
        config = {"logs": {"level": "debug", "levels": {"off": "error"}}, "sinks": [file]}
        coati.init("bench", config=config)
        result = measure(options.rounds)
        books = coati.shutdown()
    dropped = [sum(books[signal]["dropped"].values()) for signal in ("logs", "spans")]
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": result}))
    else:
        print(f"{'ns a call':34} {'min':>8} {'median':>8} {'budget':>8}")
        for name, row in result.items():
            budget = "" if row["budget"] is None else f"{row['budget']:8.0f}"
            print(f"{name:34} {row['min']:8.1f} {row['median']:8.1f} {budget}")
        print(f"dropped: {dropped[0]} log lines, {dropped[1]} spans")
    return 1 if any(dropped) else 0


if __name__ == "__main__":
    sys.exit(main())

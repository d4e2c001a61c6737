"""What the package keeps resident: bounded by the defaults, not by what has been recorded."""

from __future__ import annotations

from typing import Any

import pytest

PROGRAM = """
import coati, gc, threading

coati.init("svc", config={{
    "sinks": [{{"type": "file", "path": "/dev/null"}}],
    "ring": {{"overflow": "block", "block_ms": 60000}},
}})
log, tracer = coati.get_logger("p"), coati.get_tracer("p")
requests = coati.counter("requests")
latency = coati.histogram("latency")


def resident():
    gc.collect()
    assert coati.flush(240)
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


def records(count):
    for number in range(count):
        log.info("a record like any other", number=number, model="gpt-4o", cost=0.25)


def converted(count):
    for number in range(count // 4):
        log.bind(a=number).info("m", value=[number, {{"a": b"x"}}])
        with coati.context(user=f"u{{number}}"):
            log.info("m")


def spans(count):
    for number in range(count // 4):
        with tracer.span("work", number=number) as span:
            span.add_event("event", n=number)


def names(count):
    for number in range(count // 5):
        log.info("m", **{{f"name{{number}}": 1}})
        coati.get_logger(f"logger{{number}}").info("m")


def labels(count):
    for number in range(count):
        requests.add(1, user=f"user-{{number}}", ok=True)


def histograms(count):
    for number in range(count // 4):
        latency.record(number, user=f"user-{{number}}")


def instruments(count):
    for number in range(count // 5):
        coati.counter(f"counter{{number}}").add(1)


def threads(count):
    for _ in range(count // 1000):
        workers = [threading.Thread(target=records, args=(10,)) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert coati.flush(240)


records(100)
for case in ({case},):
    before = resident()
    case({count})
    print(resident() - before)
    books = coati.shutdown(240)["logs"]
    assert books["recorded"] == books["delivered"]
"""

MIB = 1 << 20
RING = MIB
"""`ring.bytes`: every page of a thread's ring is used once it has been around."""
BESIDE = 3 * MIB
"""Batches, buffers and the interpreter's own."""


@pytest.mark.parametrize(
    ("case", "bound"),
    [
        ("records", RING + BESIDE),
        ("converted", RING + BESIDE),
        ("spans", RING + BESIDE),
        # The table of names has room for 87,000, and each is encoded twice by the drain; loggers
        # are kept by name as the standard library keeps them.
        ("names", RING + BESIDE + 87_000 * 400),
        # 2,000 series, `metrics.max_series`.
        ("labels", RING + BESIDE + 2_000 * 1024),
        # `metrics.shard_bytes` is the bound; 2,000 histograms of one value take far less.
        ("histograms", RING + BESIDE + 2_000 * 4096),
        # 10,000 instruments, `metrics.max_instruments`, with an object each.
        ("instruments", RING + BESIDE + 10_000 * 4096),
        # Eight at once.
        ("threads", 8 * (RING + 65536) + BESIDE),
    ],
)
def test_memory_is_bounded(program: Any, case: str, bound: int) -> None:
    program.run(PROGRAM.format(case=case, count=1_000_000))
    growth = int(program.stdout)
    print(f"{case}: {growth / MIB:.1f} MiB of {bound / MIB:.1f}")
    assert growth <= bound

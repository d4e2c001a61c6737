"""This project."""

from __future__ import annotations

import asyncio
from pathlib import Path

import coati
from rows import (
    METRICS,
    OBSERVED,
    SERIES,
    TRACEPARENT,
    Participant,
    Row,
    fresh_strings,
    per_item,
)


def start(folder: Path, **sections: object) -> Participant:
    """Writing JSON lines to a file, with one logger that is off below ERROR."""
    file = {"type": "file", "path": str(folder / "lines.jsonl")}
    logs = {"level": "info", "levels": {"off": "error"}}
    coati.init("bench", config={"logs": logs, "sinks": [file], **sections})
    return Participant(drops=dropped)


def dropped() -> int:
    """Records lost, logs and spans; nothing may be left in flight."""
    books = coati.shutdown(60)
    signals = [books["logs"], books["spans"]]
    if any(signal["recorded"] != signal["delivered"] for signal in signals):
        raise RuntimeError(f"the books do not balance: {books}")
    return sum(sum(signal["dropped"].values()) for signal in signals)


def flush(_: object = None) -> None:
    """Waits until everything is in the file."""
    if not coati.flush(60):
        raise RuntimeError("coati.flush() did not end in time")


def calls(folder: Path) -> Participant:
    """What a call costs its caller, in bursts that fit the default ring."""
    made = start(folder)
    logs(made)
    spans(made)
    counters(made)
    histograms(made)
    traced(made)
    propagation(made)
    return made


def lines(folder: Path) -> Participant:
    """Many lines at once, in rings that hold them."""
    made = start(folder, ring={"bytes": 1 << 25})
    made.lines(log_loop("bench"), flush)
    return made


def log_loop(name: str):
    """Four fields a call."""
    log = coati.get_logger(name)

    def loop(n: int) -> None:
        for _ in range(n):
            log.info("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    return loop


def logs(made: Participant) -> None:
    """A line, and one below its logger's level."""
    off = coati.get_logger("off")

    def log_off(n: int) -> None:
        for _ in range(n):
            off.info("plan ready")

    made.calls("py_log", log_loop("bench"), before=flush)
    made.calls("py_log_off", log_off)
    made.calls("py_log_off_4", log_loop("off"))


def spans(made: Participant) -> None:
    """Current while they last."""
    tracer = coati.get_tracer("bench")
    unsampled = coati.SpanContext("1" * 32, "1" * 16, trace_flags=0)

    def span(n: int) -> None:
        for _ in range(n):
            with tracer.span("plan", steps=4, model="gpt-4o", cost=0.25, ok=True):
                pass

    def nested(n: int) -> None:
        with tracer.span("root", parent=unsampled):
            span(n)

    made.calls("py_span", span, before=flush)
    made.calls("py_span_unsampled", nested).note = "inside an unsampled span"


def unsampled_roots(folder: Path) -> Participant:
    """Each a trace of its own, which the context variable has to know."""
    made = start(folder, spans={"sampler": "always_off"})
    tracer = coati.get_tracer("bench")

    def span(n: int) -> None:
        for _ in range(n):
            with tracer.span("plan", steps=4, model="gpt-4o", cost=0.25, ok=True):
                pass

    made.calls("py_span_unsampled", span).note = "a root: ids of its own, current in the context"
    return made


def counters(made: Participant) -> None:
    """Bound, by labels, and by a label that is a new object each time."""
    counter = coati.counter("bench_counter")
    bound = counter.bind(agent="a1", ok=True, tool="search", tier=1)

    def add_bound(n: int) -> None:
        for _ in range(n):
            bound.add()

    def add(n: int) -> None:
        for _ in range(n):
            counter.add(1, agent="a1", ok=True, tool="search", tier=1)

    def add_new(agents: list[str]) -> None:
        for agent in agents:
            counter.add(1, agent=agent, ok=True, tool="search", tier=1)

    made.calls("py_counter", add_bound)
    made.calls("py_counter_4labels", add)
    made.rows["py_counter_new_labels"] = Row(
        lambda n: per_item(add_new, fresh_strings("agent-", n)),
        "4 labels, one a new string each time, of 8 texts",
    )


def histograms(made: Participant) -> None:
    """Bound and by labels."""
    histogram = coati.histogram("bench_histogram", unit="ms")
    bound = histogram.bind(agent="a1", ok=True, tool="search", tier=1)

    def record_bound(n: int) -> None:
        for _ in range(n):
            bound.record(12.3)

    def record(n: int) -> None:
        for _ in range(n):
            histogram.record(12.3, agent="a1", ok=True, tool="search", tier=1)

    made.calls("py_histogram", record_bound)
    made.calls("py_histogram_4labels", record)


def traced(made: Participant) -> None:
    """A decorated function over the bare one."""

    def bare() -> None:
        pass

    async def bare_async() -> None:
        pass

    function = coati.trace(bare)
    coroutine = coati.trace(bare_async)

    def call_bare(n: int) -> None:
        for _ in range(n):
            bare()

    def call(n: int) -> None:
        for _ in range(n):
            function()

    async def await_bare(n: int) -> None:
        for _ in range(n):
            await bare_async()

    async def awaits(n: int) -> None:
        for _ in range(n):
            await coroutine()

    made.calls("py_traced", call, bare=call_bare, before=flush)
    made.calls(
        "py_traced_async",
        lambda n: asyncio.run(awaits(n)),
        bare=lambda n: asyncio.run(await_bare(n)),
        before=flush,
    )


def propagation(made: Participant) -> None:
    """A traceparent in a dict."""
    tracer = coati.get_tracer("bench")
    headers: dict[str, str] = {}
    incoming = {"traceparent": TRACEPARENT}

    def inject(n: int) -> None:
        with tracer.span("request"):
            for _ in range(n):
                coati.inject(headers)

    def extract(n: int) -> None:
        for _ in range(n):
            coati.extract(incoming)

    made.calls("py_inject", inject)
    made.calls("py_extract", extract)


def make_series() -> None:
    """Ten thousand counters."""
    for metric in range(METRICS):
        counter = coati.counter(f"agent_metric_{metric}")
        for i in range(SERIES):
            counter.add(i * 37, agent=f"agent-{i}", ok=True)


def series(folder: Path) -> Participant:
    """The text of ten thousand counters."""
    made = start(folder)
    make_series()
    made.scrape("prometheus_10k", coati.metrics.prometheus_text)
    return made


def many_histograms(folder: Path) -> Participant:
    """The text of a thousand histograms."""
    made = start(folder)
    histogram = coati.histogram("agent_metric", unit="ms")
    for i in range(SERIES):
        bound = histogram.bind(agent=f"agent-{i}", ok=True)
        for value in OBSERVED:
            bound.record(value)
    made.scrape("prometheus_1000h", coati.metrics.prometheus_text)
    return made


PARTS = {
    "calls": calls,
    "roots": unsampled_roots,
    "lines": lines,
    "series": series,
    "histograms": many_histograms,
}

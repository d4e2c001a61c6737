"""What a participant measures: nanoseconds per call, or another figure of a whole run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Barrier, Thread

Loop = Callable[[int], object]

#: The message and the four fields of every log line and span.
MESSAGE = "plan ready"
FIELDS = {"steps": 4, "model": "gpt-4o", "cost": 0.25, "ok": True}
LABELS = {"agent": "a1", "ok": True, "tool": "search", "tier": 1}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

WARM_UP = 200
#: Nanoseconds that a measurement of a whole run should take.
BULK = 60_000_000
MOST = 100_000


@dataclass
class Row:
    """A figure: ``measure`` takes it once, with a number of calls."""

    measure: Callable[[int], float]
    note: str = ""


@dataclass
class Participant:
    """Its rows by id, and how many records it has dropped."""

    rows: dict[str, Row] = field(default_factory=dict)
    drops: Callable[[], int | None] = lambda: None

    def calls(
        self, row: str, loop: Loop, *, bare: Loop | None = None, before: Loop | None = None
    ) -> Row:
        """Nanoseconds a call of ``loop`` over those of ``bare``, an empty loop if not given."""
        made = Row(lambda n: per_call(loop, bare or empty, n, before))
        self.rows[row] = made
        return made

    def lines(self, loop: Loop, flush: Callable[[], object], threads: bool = True) -> None:
        """Processor time of a line in all, lines a second, and four threads where it can."""
        many = Calibrated(loop, flush)
        self.rows["py_log_cpu"] = Row(lambda _: many.processor_time())
        self.rows["py_log_rate"] = Row(lambda _: many.rate())
        if threads:
            ratio = "a call's time with 4 threads at it over its time with one"
            self.rows["py_log_4t"] = Row(lambda _: many.contention(4), ratio)

    def scrape(self, row: str, text: Callable[[], str | bytes]) -> None:
        """Milliseconds of a scrape, the quickest of a few."""
        times = 5
        self.rows[row] = Row(
            lambda _: min(timed(lambda _: text(), 0) for _ in range(times)) / 1e6,
            f"{len(text())} characters",
        )


def empty(n: int) -> None:
    """The loop itself."""
    for _ in range(n):
        pass


def timed(loop: Loop, n: int) -> int:
    """Nanoseconds of ``n`` rounds."""
    start = time.perf_counter_ns()
    loop(n)
    return time.perf_counter_ns() - start


def per_call(loop: Loop, bare: Loop, n: int, before: Loop | None) -> float:
    """Nanoseconds a call, warm."""
    loop(WARM_UP)
    bare(WARM_UP)
    if before:
        before(n)
    base = min(timed(bare, n) for _ in range(2))
    return (timed(loop, n) - base) / n


class Calibrated:
    """Whole runs, as long as a first one says that they should be."""

    def __init__(self, loop: Loop, flush: Callable[[], object]) -> None:
        self.loop = loop
        self.flush = flush
        self.count = 0

    def calls(self) -> int:
        """How many calls make a run; what came before is flushed."""
        if not self.count:
            self.loop(WARM_UP)
            self.flush()
            once = 2000
            spent = timed(self.loop, once) + timed(lambda _: self.flush(), 0)
            self.count = max(32, min(MOST, BULK * once // spent) // 32 * 32)
        self.loop(WARM_UP)
        self.flush()
        return self.count

    def processor_time(self) -> float:
        """Nanoseconds of all threads for a line, until it is written."""
        n = self.calls()
        start = time.process_time_ns()
        self.loop(n)
        self.flush()
        spent = time.process_time_ns() - start
        start = time.process_time_ns()
        empty(n)
        return (spent - (time.process_time_ns() - start)) / n

    def rate(self) -> float:
        """Millions of lines a second from the first call until all are written."""
        n = self.calls()
        start = time.perf_counter_ns()
        self.loop(n)
        self.flush()
        return n * 1e3 / (time.perf_counter_ns() - start)

    def contention(self, count: int, times: int = 3) -> float:
        """How much longer a call takes when several threads call, each at its best."""
        alone = min(self.threads(1) for _ in range(times))
        return min(self.threads(count) for _ in range(times)) / alone

    def threads(self, count: int) -> float:
        """Nanoseconds a call where several threads share the calls."""
        n = self.calls() // count
        barrier = Barrier(count + 1)

        def work() -> None:
            self.loop(WARM_UP)
            barrier.wait()
            self.loop(n)

        workers = [Thread(target=work) for _ in range(count)]
        for worker in workers:
            worker.start()
        barrier.wait()
        start = time.perf_counter_ns()
        for worker in workers:
            worker.join()
        return (time.perf_counter_ns() - start) / (n * count)


def fresh_strings(prefix: str, n: int) -> list[str]:
    """``n`` strings of 8 texts, each an object of its own."""
    return ["".join((prefix, str(i % 8))) for i in range(n)]


def per_item(loop: Callable[[list[str]], object], items: list[str]) -> float:
    """Nanoseconds for each of ``items`` over those of an empty loop."""

    def nothing(items: list[str]) -> None:
        for _ in items:
            pass

    def spent(loop: Callable[[list[str]], object]) -> int:
        return timed(lambda _: loop(items), 0)

    base = min(spent(nothing), spent(nothing))
    return (spent(loop) - base) / len(items)


#: Ten metrics of a thousand series each; one histogram of a thousand series with these values.
METRICS, SERIES = 10, 1000
OBSERVED = [value * 1.5 for value in range(1, 200)]

"""prometheus_client in one process, without exemplars."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client import generate_latest as text
from rows import METRICS, OBSERVED, SERIES, Participant, Row, fresh_strings, per_item

NAMES = ("agent", "ok", "tool", "tier")


def calls(_: Path) -> Participant:
    """Bound and by labels, which it takes as strings by position quickest."""
    disable_created_metrics()
    registry = CollectorRegistry()
    counter = Counter("bench_counter", "", NAMES, registry=registry)
    histogram = Histogram("bench_histogram", "", NAMES, registry=registry)
    bound = counter.labels("a1", "true", "search", "1")
    bound_histogram = histogram.labels("a1", "true", "search", "1")

    def add_bound(n: int) -> None:
        for _ in range(n):
            bound.inc()

    def add(n: int) -> None:
        for _ in range(n):
            counter.labels("a1", "true", "search", "1").inc()

    def add_new(agents: list[str]) -> None:
        for agent in agents:
            counter.labels(agent, "true", "search", "1").inc()

    def record_bound(n: int) -> None:
        for _ in range(n):
            bound_histogram.observe(12.3)

    def record(n: int) -> None:
        for _ in range(n):
            histogram.labels("a1", "true", "search", "1").observe(12.3)

    made = Participant()
    made.calls("py_counter", add_bound)
    made.calls("py_counter_4labels", add)
    made.rows["py_counter_new_labels"] = Row(
        lambda n: per_item(add_new, fresh_strings("agent-", n))
    )
    made.calls("py_histogram", record_bound)
    made.calls("py_histogram_4labels", record)
    return made


REGISTRY = CollectorRegistry()


def make_series() -> None:
    """Ten thousand counters."""
    for metric in range(METRICS):
        counter = Counter(f"agent_metric_{metric}", "", ["agent", "ok"], registry=REGISTRY)
        for i in range(SERIES):
            counter.labels(f"agent-{i}", "true").inc(i * 37)


def series(_: Path) -> Participant:
    """The text of ten thousand counters."""
    disable_created_metrics()
    make_series()
    made = Participant()
    made.scrape("prometheus_10k", lambda: text(REGISTRY))
    return made


def histograms(_: Path) -> Participant:
    """The text of a thousand histograms with its default buckets."""
    disable_created_metrics()
    histogram = Histogram("agent_metric", "", ["agent", "ok"], registry=REGISTRY)
    for i in range(SERIES):
        bound = histogram.labels(f"agent-{i}", "true")
        for value in OBSERVED:
            bound.observe(value)
    made = Participant()
    made.scrape("prometheus_1000h", lambda: text(REGISTRY))
    return made


PARTS = {"calls": calls, "series": series, "histograms": histograms}

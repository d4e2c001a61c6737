"""pyotheus: prometheus-client of Rust behind PyO3, labels in a dict at each call."""

from __future__ import annotations

from pathlib import Path

import pyotheus
from rows import METRICS, OBSERVED, SERIES, Participant, Row, fresh_strings, per_item

LABELS = {"agent": "a1", "ok": "true", "tool": "search", "tier": "1"}
#: The default ones of prometheus_client.
BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]


def calls(_: Path) -> Participant:
    """It binds nothing."""
    registry = pyotheus.Registry()
    counter = pyotheus.Counter("bench_counter", "", registry)
    histogram = pyotheus.Histogram("bench_histogram", "", BUCKETS, registry)

    def add(n: int) -> None:
        for _ in range(n):
            counter.inc(LABELS)

    def add_new(agents: list[str]) -> None:
        for agent in agents:
            counter.inc({"agent": agent, "ok": "true", "tool": "search", "tier": "1"})

    def record(n: int) -> None:
        for _ in range(n):
            histogram.observe(LABELS, 12.3)

    made = Participant()
    made.calls("py_counter_4labels", add)
    made.rows["py_counter_new_labels"] = Row(
        lambda n: per_item(add_new, fresh_strings("agent-", n))
    )
    made.calls("py_histogram_4labels", record)
    return made


REGISTRY = pyotheus.Registry()


def make_series() -> None:
    """Ten thousand gauges: its counters only count up by one."""
    for metric in range(METRICS):
        gauge = pyotheus.Gauge(f"agent_metric_{metric}", "", REGISTRY)
        for i in range(SERIES):
            gauge.set({"agent": f"agent-{i}", "ok": "true"}, i * 37)


def series(_: Path) -> Participant:
    """The text of ten thousand gauges."""
    make_series()
    made = Participant()
    made.scrape("prometheus_10k", REGISTRY.encode)
    return made


def histograms(_: Path) -> Participant:
    """The text of a thousand histograms."""
    histogram = pyotheus.Histogram("agent_metric", "", BUCKETS, REGISTRY)
    for i in range(SERIES):
        labels = {"agent": f"agent-{i}", "ok": "true"}
        for value in OBSERVED:
            histogram.observe(labels, value)
    made = Participant()
    made.scrape("prometheus_1000h", REGISTRY.encode)
    return made


PARTS = {"calls": calls, "series": series, "histograms": histograms}

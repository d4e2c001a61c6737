"""``coati.compat.kaizen.MetricsCollector``: bounded, escaped, and right under threads."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import coati
import pytest
from coati.compat.kaizen import MetricsCollector
from conftest import Engine
from prometheus_client.parser import text_string_to_metric_families as families


def exported(collector: MetricsCollector) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What a scraper reads."""
    text = asyncio.run(collector.export())
    samples = [sample for family in families(text + "\n") for sample in family.samples]
    return {(one.name, frozenset(one.labels.items())): one.value for one in samples}


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*jobs: Callable[[], None]) -> None:
    """Run them in threads; the first exception is raised here."""
    failed: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_values_counts_and_reset() -> None:
    metrics = MetricsCollector()
    metrics.counter("calls", labels={"a": "1", "b": "2"})
    metrics.counter("calls", 2.5, {"b": "2", "a": "1"})
    metrics.gauge("memory", 3)
    metrics.gauge("memory", 1024000)
    metrics.histogram("took", 150)
    assert metrics.get_counter_value("calls", {"a": "1", "b": "2"}) == 3.5
    assert metrics.get_counter_value("calls") == 0.0
    assert metrics.get_gauge_value("memory") == 1024000
    assert metrics.get_gauge_value("other") is None
    assert metrics.get_histogram_values("took") == [150]
    assert metrics.get_histogram_values("other") == []
    assert metrics.get_metric_count() == 5
    assert asyncio.run(metrics.export()) == (
        'calls{a="1",b="2"} 3.5\nmemory 1024000\ntook_p50 150\ntook_p95 150\ntook_p99 150'
    )
    metrics.reset()
    assert metrics.get_metric_count() == 0
    assert asyncio.run(metrics.export()) == ""
    metrics.counter("calls", labels={"a": "1", "b": "2"})
    assert metrics.get_counter_value("calls", {"a": "1", "b": "2"}) == 1.0


def test_percentiles_are_interpolated() -> None:
    metrics = MetricsCollector()
    for value in range(100, 0, -1):
        metrics.histogram("took", float(value), {"tool": "x"})
    tool = frozenset({("tool", "x")})
    found = exported(metrics)
    assert found["took_p50", tool] == 50.5
    assert found["took_p95", tool] == pytest.approx(95.05)
    assert found["took_p99", tool] == pytest.approx(99.01)


def test_no_more_samples_are_kept_than_the_limit() -> None:
    random.seed(5)
    metrics = MetricsCollector(max_samples=500)
    for value in range(50_000):
        metrics.histogram("took", value)
    values = metrics.get_histogram_values("took")
    assert len(values) == len(set(values)) == 500
    assert metrics.get_metric_count() == 50_000
    # A sample of all there were: five standard deviations of a rank are 0.11.
    assert 0.39 < exported(metrics)["took_p50", frozenset()] / 50_000 < 0.61


def test_no_more_series_are_kept_than_the_limit() -> None:
    metrics = MetricsCollector(max_series=100)
    for number in range(1000):
        metrics.counter("calls", labels={"user": f"u{number}"})
    assert len(metrics._counters) == 100
    assert metrics.get_counter_value("calls", {"otel_metric_overflow": "true"}) == 901
    assert metrics.get_metric_count() == 1000


def test_labels_are_escaped() -> None:
    metrics = MetricsCollector()
    labels = {"path": 'C:\\temp\\"new"\nline', "what": "a,b={}"}
    metrics.counter("calls", 2, labels)
    metrics.histogram("took", 1.5, labels)
    assert exported(metrics) == {
        ("calls", frozenset(labels.items())): 2,
        **{(f"took_p{part}", frozenset(labels.items())): 1.5 for part in (50, 95, 99)},
    }
    assert metrics.get_counter_value("calls", labels) == 2


def test_names_are_made_what_a_scraper_takes() -> None:
    metrics = MetricsCollector()
    metrics.counter("agent.loop total", labels={"agent-id": "a"})
    assert exported(metrics) == {("agent_loop_total", frozenset({("agent_id", "a")})): 1}


def test_labels_are_told_apart_by_their_text() -> None:
    metrics = MetricsCollector()
    values: list[Any] = [True, 1, 1.0, "1", True]
    for value in values:
        metrics.counter("calls", labels={"v": value})
    found = {dict(labels)["v"]: value for (_, labels), value in exported(metrics).items()}
    assert found == {"True": 2, "1": 2, "1.0": 1}


@pytest.mark.usefixtures("hasty")
def test_export_while_metrics_grow() -> None:
    metrics = MetricsCollector()
    growing = threading.Event()

    def grow(thread: int) -> None:
        for number in range(400):
            labels = {"n": f"{thread}-{number}"}
            metrics.counter("calls", labels=labels)
            metrics.gauge("level", number, labels)
            metrics.histogram("took", number, labels)

    def export() -> None:
        while not growing.is_set():
            asyncio.run(metrics.export())
            metrics.get_metric_count()

    def grow_all() -> None:
        try:
            together(*(lambda n=n: grow(n) for n in range(3)))
        finally:
            growing.set()

    together(grow_all, export)
    assert len(exported(metrics)) == 3 * 400 * 5


@pytest.mark.usefixtures("hasty")
def test_nothing_is_lost_between_threads() -> None:
    metrics = MetricsCollector(max_samples=100_000)

    def count() -> None:
        for _ in range(5000):
            metrics.counter("calls", 1.0, {"a": "x"})
            metrics.histogram("took", 1.0, {"a": "x"})

    together(*[count] * 4)
    assert metrics.get_counter_value("calls", {"a": "x"}) == 20_000
    assert len(metrics.get_histogram_values("took", {"a": "x"})) == 20_000
    assert metrics.get_metric_count() == 40_000


def test_timers() -> None:
    metrics = MetricsCollector()

    async def work() -> None:
        async with metrics.timer("took", {"tool": "x"}):
            await asyncio.sleep(0)
        async with metrics.timer("took", {"tool": "x"}):
            raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(work())

    @metrics.timer_sync("took", {"tool": "y"})
    def decorated(depth: int) -> None:
        if depth:
            decorated(depth - 1)

    decorated(2)
    assert len(metrics.get_histogram_values("took", {"tool": "x"})) == 2
    outer = metrics.get_histogram_values("took", {"tool": "y"})
    assert outer == sorted(outer)
    assert len(outer) == 3


def test_measurements_reach_the_engine(engine: Engine) -> None:
    metrics = MetricsCollector()
    another = MetricsCollector()
    for collector in (metrics, another):
        collector.counter("kaizen_calls", 2.0, {"a": "x"})
        collector.gauge("kaizen_level", 5, {"a": "x"})
        collector.histogram("kaizen_took", 10.0, {"a": "x"})
    assert metrics.get_counter_value("kaizen_calls", {"a": "x"}) == 2
    assert coati.counter("kaizen_calls").value(a="x") == 4
    assert coati.gauge("kaizen_level").value(a="x") == 5
    stats = coati.histogram("kaizen_took").stats(a="x")
    assert (stats.count, stats.sum) == (2, 20)


def test_integers_beyond_a_float(engine: Engine) -> None:
    collector = MetricsCollector()
    for _ in range(2):
        collector.counter("sum", 10**400)
        collector.gauge("level", -(10**5000))
        collector.histogram("size", 10**400)
    collector.counter("sum", 1)
    assert collector.get_counter_value("sum") == float("inf")
    lines = asyncio.run(collector.export()).splitlines()
    assert lines[:2] == ["sum inf", "level -inf"]
    assert [line.split()[0] for line in lines[2:]] == ["size_p50", "size_p95", "size_p99"]


def test_another_metric_of_that_name_is_in_nobodys_way(engine: Engine) -> None:
    coati.gauge("kaizen_taken").set(7)
    metrics = MetricsCollector()
    metrics.counter("kaizen_taken", 3)
    assert metrics.get_counter_value("kaizen_taken") == 3
    assert coati.gauge("kaizen_taken").value() == 7

"""Instruments, series, statistics, snapshots, text."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import urllib.request
import uuid
from typing import Any

import coati
import pytest
from conftest import exemplars


def name() -> str:
    return f"m_{uuid.uuid4().hex}"


def text_of(metric: str) -> list[str]:
    return [line for line in coati.metrics.prometheus_text().splitlines() if metric in line]


def test_a_counter(engine: Any) -> None:
    counter = coati.counter(name(), unit="1", description="Runs")
    counter.add(1, agent="a1", ok=True)
    counter.add(2, ok=True, agent="a1")
    counter.add()
    bound = counter.bind(agent="a1", ok=True)
    bound.add()
    bound.add(3)
    assert counter.value(agent="a1", ok=True) == bound.value() == 7
    assert counter.value() == 1
    assert counter.value(agent="nobody") == 0
    counter.add(0.5)
    assert counter.value() == 1.5
    assert isinstance(counter.value(agent="a1", ok=True), int)


def test_true_one_and_one_point_zero_are_three_series(engine: Any) -> None:
    counter = coati.counter(name())
    for _ in range(3):
        for value in (True, 1, 1.0, "1", "True"):
            counter.add(1, value=value)
    assert [counter.value(value=value) for value in (True, 1, 1.0, "1", "True")] == [3] * 5


def test_labels_made_anew_find_their_series(engine: Any) -> None:
    counter = coati.counter(name())
    for number in range(3000):
        agent = "".join(["agent", "-", str(number % 5)])
        counter.add(1, agent=agent, big=10**9 + number % 5, ratio=float(number % 5))
        counter.add(1, **{"agent": agent, "other": "x"})
    for number in range(5):
        label = f"agent-{number}"
        assert counter.value(agent=label, big=10**9 + number, ratio=float(number)) == 600
        assert counter.value(other="x", agent=label) == 600


def test_labels_of_any_type(engine: Any) -> None:
    counter = coati.counter(name())
    identity = uuid.uuid4()
    counter.add(1, who=identity, none=None, big=2**80, nested=[1])
    assert counter.value(who=str(identity), none="None", big=str(2**80), nested="[1]") == 1


def test_ignored_values_are_counted(engine: Any) -> None:
    counter = coati.counter(name())
    before = coati.health()["ignored"]
    for amount in (-1, -0.5, math.nan, "text", None):
        counter.add(amount)
        counter.bind().add(amount)
    coati.histogram(name()).record(math.nan)
    assert counter.value() == 0
    assert coati.health()["ignored"] - before == 11


def test_up_down_counter_and_gauge(engine: Any) -> None:
    up_down = coati.up_down_counter(name())
    up_down.add(5)
    up_down.add(-7)
    up_down.bind().add(-1)
    assert up_down.value() == -3
    gauge = coati.gauge(name())
    gauge.set(3.2, agent="a1")
    gauge.bind(agent="a1").set(4.5)
    gauge.bind(agent="a1").add(1)
    assert gauge.value(agent="a1") == 5.5


def test_histogram_statistics(engine: Any) -> None:
    histogram = coati.histogram(name(), unit="ms")
    values = [float(number) for number in range(1, 1001)]
    for value in values:
        histogram.record(value, agent="a1")
    stats = histogram.stats(agent="a1")
    assert (stats.count, stats.sum) == (1000, sum(values))
    assert (stats.min, stats.max, stats.mean) == (1, 1000, 500.5)
    assert stats.stddev == pytest.approx(288.675, rel=1e-3)
    for quantile, true in [
        (stats.median, 500),
        (stats.p90, 900),
        (stats.p95, 950),
        (stats.p99, 990),
        (stats.p999, 999),
    ]:
        assert quantile == pytest.approx(true, rel=0.007)
    empty = histogram.stats(agent="nobody")
    assert empty.count == 0
    assert math.isnan(empty.mean)


def test_timing_follows_the_unit(engine: Any) -> None:
    async def timed(histogram: coati.Histogram) -> None:
        async with histogram.time(agent="a1"):
            await asyncio.sleep(0)

    means = {}
    for unit in ("ns", "us", "ms", "s", ""):
        histogram = coati.histogram(name(), unit=unit)
        timer = histogram.time(agent="a1")
        for _ in range(2):
            with timer, timer:
                sum(range(20_000))
        asyncio.run(timed(histogram))
        with pytest.raises(KeyError), histogram.bind(agent="a1").time():
            raise KeyError
        stats = histogram.stats(agent="a1")
        assert stats.count == 6
        means[unit] = stats.max
    assert 1 < means["ns"] / means["us"] / 1000 * 1000 < 1e7
    assert means["s"] < 1 < means["us"]


def test_the_same_name_gives_the_same_instrument() -> None:
    metric = name()
    counter = coati.counter(metric, unit="1", description="d")
    assert coati.counter(metric) is counter
    assert (counter.name, counter.unit, counter.description) == (metric, "1", "d")
    for other in (coati.gauge, coati.histogram, coati.up_down_counter):
        with pytest.raises(coati.MetricError, match="is a counter"):
            other(metric)
    with pytest.raises(coati.MetricError, match="unit"):
        coati.counter(metric, unit="ms")
    with pytest.raises(coati.MetricError, match="bad metric name"):
        coati.counter("no spaces allowed")
    with pytest.raises(coati.MetricError, match="ascending"):
        coati.histogram(name(), buckets=[2, 1])


def test_observables_are_asked_when_metrics_are_read(engine: Any) -> None:
    depth, queues, failing = name(), name(), name()
    coati.observable_gauge(depth, lambda: 7)
    coati.observable_counter(queues, lambda: [(3, {"queue": "a"}), ({"queue": "b"}, 4)])
    coati.observable_up_down_counter(failing, lambda: 1 / 0)
    values = {
        (metric.name, *metric.labels.values()): metric.value for metric in coati.metrics.snapshot()
    }
    assert values[depth,] == 7
    assert values[queues, "a"] == 3
    assert values[queues, "b"] == 4
    assert text_of(depth)[-1].endswith(" 7") or text_of(depth)[-1].endswith(" 7.0")
    (problem,) = [p for p in coati.health()["problems"] if failing in p["component"]]
    assert "ZeroDivisionError" in problem["reason"]


def test_a_scrape_asks_observables_too(engine: Any) -> None:
    metric = name()
    threads = set()

    def observe() -> int:
        threads.add(threading.get_ident())
        return 9

    coati.observable_gauge(metric, observe)
    running = engine.start(metrics={"prometheus": "127.0.0.1:0"})
    # The run before has asked at its end.
    threads.clear()
    with urllib.request.urlopen(
        f"http://{running.prometheus_address}/metrics", timeout=60
    ) as answer:
        text = answer.read().decode()
    assert metric in text
    assert threading.get_ident() not in threads


def test_a_snapshot_and_its_text(engine: Any) -> None:
    metric = name()
    histogram = coati.histogram(metric, unit="ms", description="Time", buckets=[1, 10])
    histogram.record(5, agent="a1", ok=True)
    (found,) = [m for m in coati.metrics.snapshot() if m.name == metric]
    assert (found.type, found.unit, found.description) == ("histogram", "ms", "Time")
    assert found.labels == {"agent": "a1", "ok": True}
    assert found.value is None
    assert found.stats is not None
    assert found.stats.count == 1
    lines = text_of(metric)
    assert f'{metric}_milliseconds_bucket{{agent="a1",ok="true",le="10.0"}} 1' in lines
    coati.metrics.reset()
    assert histogram.stats(agent="a1", ok=True).count == 0


def test_series_are_bounded(engine: Any) -> None:
    engine.start(metrics={"max_series": 10})
    counter = coati.counter(name())
    for number in range(100):
        counter.add(1, number=number)
    series = [m for m in coati.metrics.snapshot() if m.name == counter.name]
    assert len(series) == 10
    assert sum(m.value or 0 for m in series) == 100


def test_threads_count_exactly(engine: Any) -> None:
    counter = coati.counter(name())
    bound = counter.bind(kind="bound")
    histogram = coati.histogram(name())

    def work() -> None:
        for number in range(5000):
            bound.add()
            counter.add(1, kind="labels", even=number % 2 == 0)
            histogram.record(1.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bound.value() == 40_000
    assert counter.value(kind="labels", even=True) == 20_000
    assert histogram.stats().count == 40_000


def test_handles_outlive_the_engine(engine: Any) -> None:
    counter = coati.counter(name())
    bound = counter.bind(a=1)
    bound.add(5)
    counter.add(5, a=1)
    coati.shutdown(60)
    bound.add(5)
    counter.add(5, a=1)
    engine.start()
    assert counter.value(a=1) == 0
    bound.add(2)
    counter.add(1, a=1)
    assert counter.value(a=1) == 3


def test_the_interpreters_own_metrics_on_request(engine: Any) -> None:
    def shown() -> dict[int, dict[str, float]]:
        found: dict[int, dict[str, float]] = {}
        for metric in coati.metrics.snapshot():
            if metric.name.startswith("cpython.gc."):
                generation = metric.labels["cpython.gc.generation"]
                found.setdefault(generation, {})[metric.name] = metric.value
        return found

    engine.start()
    assert shown() == {}
    engine.start(metrics={"runtime": True})
    before = shown()
    assert set(before) == set(range(len(gc.get_stats())))
    loop: list[Any] = []
    loop.append(loop)
    del loop
    gc.collect()
    after = shown()
    oldest = max(after)
    for name in ("cpython.gc.collections", "cpython.gc.collected_objects"):
        assert after[oldest][name] > before[oldest][name]
    assert "cpython.gc.uncollectable_objects" in after[oldest]
    engine.start()
    assert shown() == {}


def test_a_name_the_program_has_taken_is_a_problem_and_no_error(program: Any) -> None:
    code = """
        import coati
        coati.gauge("cpython.gc.collections")
        coati.init("taken", config={"sinks": [], "metrics": {"runtime": True}})
        (problem,) = coati.health()["problems"]
        assert problem["component"] == "metrics.runtime", problem
        assert "cpython.gc.collections" in problem["reason"], problem
    """
    program.run(code)


def ids(span: Any) -> dict[str, str]:
    return {"trace_id": span.trace_id, "span_id": span.span_id}


def test_a_measurement_inside_a_sampled_span_is_an_exemplar(engine: Any) -> None:
    running = engine.start(metrics={"prometheus": "127.0.0.1:0"})
    tracer = coati.get_tracer("exemplars")
    metric = name()
    times = coati.histogram(metric, buckets=[1, 2])
    counter = coati.counter(metric + "_c")
    bound, held = times.bind(agent="a1"), counter.bind(agent="a1")
    bound.record(0.5)
    assert exemplars(running.prometheus_address, metric) == []
    with tracer.span("outer") as outer:
        times.record(0.5, agent="a1")
        counter.add(3, agent="a1")
        with tracer.span("inner") as inner:
            bound.record(1.5)

        async def task() -> None:
            with times.time(agent="timed"):
                pass

        asyncio.run(task())
    found = exemplars(running.prometheus_address, metric)
    assert (0.5, ids(outer)) in found
    assert (1.5, ids(inner)) in found
    assert (3.0, ids(outer)) in found
    assert len(found) == 4
    with tracer.span("later") as later:
        bound.record(0.75)
        held.add()
    found = exemplars(running.prometheus_address, metric)
    assert (0.75, ids(later)) in found
    assert (1.0, ids(later)) in found
    coati.metrics.reset()
    assert exemplars(running.prometheus_address, metric) == []


def test_exemplars_are_of_sampled_spans_or_of_all_or_none(engine: Any) -> None:
    metric = name()
    counter = coati.counter(metric)
    tracer = coati.get_tracer("exemplars")

    def measured(sampler: str, **metrics: Any) -> list[Any]:
        running = engine.start(
            spans={"sampler": sampler}, metrics={"prometheus": "127.0.0.1:0", **metrics}
        )
        with tracer.span("run"):
            counter.add()
        found = exemplars(running.prometheus_address, metric)
        counter.add(7)
        return [*found, *exemplars(running.prometheus_address, metric)]

    assert measured("always_off") == []
    assert measured("always_on", exemplars="always_off") == []
    (inside, still) = measured("always_on")
    assert inside == still
    (inside, outside) = measured("always_off", exemplars="always_on")
    assert outside == (7.0, {})
    assert set(inside[1]) == {"trace_id", "span_id"}

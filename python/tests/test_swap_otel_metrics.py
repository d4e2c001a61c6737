"""The same program on the SDK's meters and on coati's gives the same metrics."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from types import MappingProxyType
from typing import Any

import coati
import pytest
from coati.otel.metrics import MeterProvider
from conftest import Engine, Program
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter, UpDownCounter
from opentelemetry.sdk.metrics import MeterProvider as SdkProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    InMemoryMetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from otlp_receiver import Receiver

Seen = dict[Any, Any]
DELTA = dict.fromkeys(
    (Counter, Histogram, UpDownCounter, ObservableCounter), AggregationTemporality.DELTA
)


def seen(data: MetricsData | None) -> Seen:
    """What a reader was given, without times."""
    if data is None:
        return {}
    (of_resource,) = data.resource_metrics
    told: Seen = {}
    for of_scope in of_resource.scope_metrics:
        scope = of_scope.scope
        named = (scope.name, scope.version, scope.schema_url)
        for metric in of_scope.metrics:
            points = {attributes(p.attributes): value(p) for p in metric.data.data_points}
            assert len(points) == len(metric.data.data_points)
            kind = type(metric.data).__name__
            temporality = getattr(metric.data, "aggregation_temporality", None)
            monotonic = getattr(metric.data, "is_monotonic", None)
            how = (kind, temporality, monotonic, metric.unit, metric.description)
            told[named, metric.name] = (how, points)
    return told


def attributes(given: Any) -> Any:
    """Attributes in an order, True and 1 told apart."""
    return tuple(sorted((key, type(value).__name__, value) for key, value in given.items()))


def value(point: Any) -> Any:
    """A data point without its times."""
    if hasattr(point, "value"):
        return point.value
    told = (point.count, pytest.approx(point.sum), point.min, point.max)
    if hasattr(point, "explicit_bounds"):
        return (*told, tuple(point.bucket_counts), tuple(point.explicit_bounds))
    # Each kit has its own scale: what falls on each side is the same.
    sides = (sum(point.positive.bucket_counts), sum(point.negative.bucket_counts))
    return (*told, point.zero_count, sides)


def observing(options: CallbackOptions) -> Iterable[Observation]:
    """A function that yields."""
    assert options.timeout_millis > 0
    yield Observation(3, {"disk": "a"})
    yield Observation(4.5, {"disk": "b"})
    yield Observation(float("nan"), {"disk": "c"})


def generator() -> Generator[Iterable[Observation], CallbackOptions, None]:
    """A generator that is sent options."""
    options = yield  # type: ignore[misc]
    total = 0
    while True:
        assert isinstance(options, CallbackOptions)
        total += 10
        options = yield [Observation(total, {"state": "user"})]


def program(provider: metrics.MeterProvider, collect: Callable[[], Seen]) -> list[Seen]:
    """Uses every instrument."""
    meter = provider.get_meter("library", "1.2", "https://schema.example/1")
    other = provider.get_meter("other")
    runs = meter.create_counter("Runs", "1", "How often it ran")
    same_name = other.create_counter("runs", "1", "Of another scope")
    depth = meter.create_up_down_counter("queue.depth", "{item}")
    took = meter.create_histogram("took", "ms", "How long")
    sizes = meter.create_histogram("sizes", "By", explicit_bucket_boundaries_advisory=[10, 100])
    level = meter.create_gauge("level")
    meter.create_observable_gauge("disk.used", [observing], "By")
    meter.create_observable_counter("cpu.time", [generator()], "s")
    meter.create_observable_up_down_counter("threads", [lambda _: [Observation(-2)]])

    def turn() -> Seen:
        runs.add(1, {"agent": "a1", "ok": True, "http.method": "GET"})
        runs.add(2.5, attributes={"agent": "a1", "ok": True, "http.method": "GET"})
        runs.add(1, {"http.method": "GET", "ok": True, "agent": "a1"})
        runs.add(1, {"agent": "a1", "ok": 1})
        runs.add(1, {"agent": "a1", "ok": 1.5})
        runs.add(4)
        runs.add(-1)
        runs.add(amount=2, attributes=MappingProxyType({"agent": "proxy"}))
        same_name.add(7)
        depth.add(5, {"queue": "q"})
        depth.add(-7, {"queue": "q"})
        for number in (0, 5, 5.1, 12000, 0.25, 99):
            took.record(number, {"path": "/"})
            sizes.record(number)
        took.record(-1, {"path": "/"})
        took.record(float("inf"), {"path": "/"})
        level.set(2.5, {"room": "x"})
        level.set(float("nan"), {"room": "x"})
        return collect()

    return [turn(), turn()]


@pytest.mark.parametrize("delta", [False, True])
@pytest.mark.parametrize("exponential", [False, True])
def test_all_instruments(engine: Engine, delta: bool, exponential: bool) -> None:
    def run(kit: Any) -> list[Seen]:
        reader = InMemoryMetricReader(
            preferred_temporality=DELTA if delta else None,
            preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()}
            if exponential
            else None,
        )
        provider = kit(metric_readers=[reader])
        told = program(provider, lambda: seen(reader.get_metrics_data()))
        provider.shutdown()
        return told

    theirs, ours = run(SdkProvider), run(MeterProvider)
    for before, after in zip(theirs, ours, strict=True):
        # Of a part, the lowest and highest value of all are told.
        assert after == before


amounts = st.one_of(
    st.integers(-5, 2**40), st.floats(-1, 2**40), st.sampled_from([float("nan"), float("inf")])
)
labels = st.dictionaries(
    st.sampled_from(["a", "b.c", "d-e", "é"]),
    st.one_of(st.booleans(), st.integers(-3, 3), st.floats(-3, 3), st.text(max_size=3)),
    max_size=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls=st.lists(st.tuples(amounts, labels), max_size=30))
def test_any_measurements(engine: Engine, calls: list[tuple[float, dict[str, Any]]]) -> None:
    engine.start()

    def run(kit: Any) -> Seen:
        reader = InMemoryMetricReader()
        provider = kit(metric_readers=[reader])
        meter = provider.get_meter("any")
        counter, histogram = meter.create_counter("counter"), meter.create_histogram("histogram")
        both, gauge = meter.create_up_down_counter("both"), meter.create_gauge("gauge")
        for amount, labelled in calls:
            counter.add(amount, labelled)
            both.add(amount, labelled)
            histogram.record(amount, labelled)
            gauge.set(amount, labelled)
        told = seen(reader.get_metrics_data())
        provider.shutdown()
        return told

    theirs, ours = run(SdkProvider), run(MeterProvider)
    assert {name: how for name, (how, _) in ours.items()} == {
        name: how for name, (how, _) in theirs.items()
    }
    for name, (_, points) in theirs.items():
        told = ours[name][1]
        assert set(told) == set(points)
        for key, expected in points.items():
            assert told[key] == (
                expected if isinstance(expected, tuple) else pytest.approx(expected)
            )


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_what_a_receiver_gets(engine: Engine, protocol: str) -> None:
    receiver = Receiver()

    def received() -> Seen:
        told: Seen = {}
        for request in receiver.take("metrics"):
            for of_scope in request.resource_metrics[0].scope_metrics:
                scope = (of_scope.scope.name, of_scope.scope.version, of_scope.schema_url)
                for metric in of_scope.metrics:
                    kind = metric.WhichOneof("data")
                    data = getattr(metric, kind)
                    for point in data.data_points:
                        key = (scope, metric.name, kind, str(sorted(map(str, point.attributes))))
                        if kind == "histogram":
                            shown: Any = (point.count, point.sum, *point.bucket_counts)
                            shown = (*shown, *point.explicit_bounds)
                        else:
                            shown = getattr(point, point.WhichOneof("value"))
                        told[key] = shown
        return told

    exporter = OTLPMetricExporter(f"{receiver.http}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = SdkProvider(metric_readers=[reader])
    program(provider, dict)
    provider.shutdown()
    theirs = received()
    endpoint = receiver.grpc if protocol == "grpc" else receiver.http
    engine.start(sinks=[{"type": "otlp", "endpoint": endpoint, "protocol": protocol}])
    mine = MeterProvider()
    program(mine, dict)
    coati.shutdown(60)
    mine.shutdown()
    # What other tests have made belongs to other scopes.
    scopes = {key[0] for key in theirs}
    ours = {key: shown for key, shown in received().items() if key[0] in scopes}
    assert {key[:3] for key in ours} == {key[:3] for key in theirs}
    assert ours == theirs
    receiver.close()
    engine.start()


def test_instruments_are_the_api_s(engine: Engine) -> None:
    meter = MeterProvider().get_meter("kinds", "1", "schema")
    assert isinstance(meter, metrics.Meter)
    assert (meter.name, meter.version, meter.schema_url) == ("kinds", "1", "schema")
    assert isinstance(meter.create_counter("c"), metrics.Counter)
    assert isinstance(meter.create_up_down_counter("u"), metrics.UpDownCounter)
    assert isinstance(meter.create_histogram("h"), metrics.Histogram)
    assert isinstance(meter.create_gauge("g"), metrics._Gauge)
    assert isinstance(meter.create_observable_counter("oc"), metrics.ObservableCounter)
    assert isinstance(meter.create_observable_gauge("og"), metrics.ObservableGauge)
    observed = meter.create_observable_up_down_counter("ou", unit="s", description="d")
    assert isinstance(observed, metrics.ObservableUpDownCounter)
    made = meter.create_counter("named", "1", "d")
    for instrument, described in ((made, ("named", "1", "d")), (observed, ("ou", "s", "d"))):
        assert (instrument.name, instrument.unit, instrument.description) == described  # type: ignore[attr-defined]


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """What the module warns of."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, logger = Keep(), logging.getLogger("coati.otel.metrics")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_duplicates(engine: Engine, warned: list[str]) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    meter = provider.get_meter("duplicates")
    first = meter.create_counter("twice", "1")
    assert meter.create_counter("TWICE", "1", "other words") is first
    assert not warned
    meter.create_histogram("twice", "ms").record(3)
    meter.create_observable_counter("twice", [lambda _: [Observation(5)]], "1")
    assert len(warned) == 2
    first.add(1)
    histogram = meter.create_histogram("bounds", explicit_bucket_boundaries_advisory=[1, 2])
    assert meter.create_histogram("bounds", explicit_bucket_boundaries_advisory=[1]) is histogram
    assert len(warned) == 3
    data = reader.get_metrics_data()
    assert data is not None
    told = data.resource_metrics[0].scope_metrics[0].metrics
    assert [metric.name for metric in told] == ["twice"] * 3
    totals = [getattr(m.data.data_points[0], "value", None) for m in told]
    assert sorted(totals, key=str) == [1, 5, None]
    # All of them are in Prometheus' text, under names of their own.
    text = coati.metrics.prometheus_text()
    assert 'twice_total{otel_scope_name="duplicates"} 1' in text
    assert 'twice_milliseconds_count{otel_scope_name="duplicates"} 1' in text
    provider.shutdown()


def test_two_scopes_are_one_metric_of_prometheus(engine: Engine) -> None:
    provider = MeterProvider()
    for scope, version in (("requests", "1"), ("httpx", "2")):
        histogram = provider.get_meter(scope, version).create_histogram("client.took", "s")
        histogram.record(3, {"path": "/"})
    text = coati.metrics.prometheus_text()
    assert text.count("# TYPE client_took_seconds histogram") == 1
    for scope, version in (("requests", "1"), ("httpx", "2")):
        labels = f'otel_scope_name="{scope}",otel_scope_version="{version}",path="/"'
        assert f"client_took_seconds_count{{{labels}}} 1" in text


def test_nothing_is_raised_into_the_program(engine: Engine, warned: list[str]) -> None:
    meter = MeterProvider().get_meter("odd")
    meter.create_counter("1 bad name").add(1)
    meter.create_counter("x" * 256).add(1)
    meter.create_counter(None).add(1)  # type: ignore[arg-type]
    meter.create_histogram("h", "µs" * 70).record(1)
    meter.create_observable_gauge("", [observing])
    assert len(warned) == 5
    for bounds in ([3, 2], ["a"], [float("nan"), 1], 7):
        histogram = meter.create_histogram(
            f"h{len(warned)}",
            explicit_bucket_boundaries_advisory=bounds,  # type: ignore[arg-type]
        )
        histogram.record(1)
    assert len(warned) == 9
    counter = meter.create_counter("odd.values")

    class Broken:
        def items(self) -> Any:
            raise RuntimeError("no")

        def __str__(self) -> str:
            raise RuntimeError("no")

    anything: list[Any] = [{"a": Broken()}, Broken(), {1: 2}, {"a": [1, "b"]}, {"a": {"b": 1}}, 5]
    for given_ in anything:
        counter.add(1, given_)
    counter.add("many", {})  # type: ignore[arg-type]
    counter.add(10**30, {})
    assert not MeterProvider().get_meter("").create_counter("c").add(1)  # type: ignore[func-returns-value]


def test_what_is_not_observed_any_more(engine: Engine) -> None:
    def run(kit: Any) -> list[Seen]:
        reader, rounds = InMemoryMetricReader(), iter(range(9))
        provider = kit(metric_readers=[reader])
        meter = provider.get_meter("moving")
        asked = [-1]

        def moving(_: CallbackOptions) -> list[Observation]:
            return [Observation(asked[0], {"disk": asked[0] % 3}), Observation(7, {"disk": "all"})]

        meter.create_observable_gauge("used", [moving, lambda _: [Observation(asked[0])]])
        meter.create_observable_counter("read", [moving])
        meter.create_observable_up_down_counter("open", [moving])
        told = []
        for asked[0] in rounds:
            told.append(seen(reader.get_metrics_data()))
        provider.shutdown()
        return told

    assert run(MeterProvider) == run(SdkProvider)
    assert 'disk="all"' in coati.metrics.prometheus_text()


def test_callbacks_that_fail(engine: Engine) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    meter = provider.get_meter("failing")

    def fails(_: CallbackOptions) -> Iterable[Observation]:
        raise RuntimeError("no disk")

    def ends() -> Generator[Iterable[Observation], CallbackOptions, None]:
        yield []

    meter.create_observable_gauge("failing", [fails, lambda _: [Observation(1)], ends()])
    ((_, points),) = seen(reader.get_metrics_data()).values()
    assert points == {(): 1}
    asked = []

    def counting(_: CallbackOptions) -> list[Observation]:
        asked.append(1)
        return []

    meter.create_observable_gauge("asked", [counting])
    coati.metrics.snapshot()
    provider.shutdown()
    coati.metrics.snapshot()
    assert len(asked) == 1


def test_readers_of_the_sdk(engine: Engine) -> None:
    printed: list[MetricsData] = []

    class Exporter(ConsoleMetricExporter):
        def export(self, metrics_data: MetricsData, *_: Any, **__: Any) -> Any:
            printed.append(metrics_data)

    periodic = PeriodicExportingMetricReader(Exporter(), export_interval_millis=3_600_000)
    provider = MeterProvider(metric_readers=[periodic])
    reader = InMemoryMetricReader()
    counter = provider.get_meter("read").create_counter("reads")
    counter.add(1, {"a": 1})
    provider.add_metric_reader(reader)
    counter.add(2, {"a": 1})
    assert provider.force_flush()
    assert seen(printed[-1])[("read", None, ""), "reads"][1] == {(("a", "int", 1),): 3}
    # A reader that comes later is told what comes later.
    assert seen(reader.get_metrics_data())[("read", None, ""), "reads"][1] == {
        (("a", "int", 1),): 2
    }
    provider.remove_metric_reader(reader)
    provider.shutdown()
    assert len(printed) == 2


def test_a_provider_begins_at_zero(engine: Engine) -> None:
    for _ in range(2):
        reader = InMemoryMetricReader()
        provider = MeterProvider(metric_readers=[reader])
        assert reader.get_metrics_data() is None
        meter = provider.get_meter("again")
        meter.create_counter("c").add(3, {"a": "b"})
        meter.create_histogram("h").record(3)
        told = seen(reader.get_metrics_data())
        assert told[("again", None, ""), "c"][1] == {(("a", "str", "b"),): 3}
        assert told[("again", None, ""), "h"][1][()][0] == 1
        provider.shutdown()


def test_what_is_not_accepted_is_said() -> None:
    with pytest.raises(TypeError, match=r"metrics\.views"):
        MeterProvider(views=[View(instrument_name="*")])
    with pytest.raises(TypeError, match="InMemoryMetricReader"):
        MeterProvider(metric_readers=[object()])  # type: ignore[list-item]
    bounds = ExplicitBucketHistogramAggregation(boundaries=[1.0])
    with pytest.raises(ValueError, match=r"metrics\.views"):
        MeterProvider(
            metric_readers=[InMemoryMetricReader(preferred_aggregation={Histogram: bounds})]
        )


def test_threads_and_attributes_that_change(engine: Engine) -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader]).get_meter("threads")
    counter, histogram = meter.create_counter("c"), meter.create_histogram("h")
    shared: dict[str, Any] = {"shared": 0}

    def work(number: int) -> None:
        for turn in range(5000):
            counter.add(1, {"thread": number, "turn": turn % 3})
            histogram.record(turn, {"thread": str(number)})
            # Others change it meanwhile.
            counter.add(1, shared)
            shared["shared"] = turn % 5
            if turn % 1000 == 0:
                reader.collect()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = seen(reader.get_metrics_data())
    counted = told[("threads", None, ""), "c"][1]
    own = [count for labels, count in counted.items() if labels[0][0] == "thread"]
    assert sorted(own) == sorted([1667, 1667, 1666] * 4)
    assert sum(counted.values()) == 40_000
    assert [point[0] for point in told[("threads", None, ""), "h"][1].values()] == [5000] * 4


def test_before_init_and_after_shutdown(engine: Engine) -> None:
    coati.shutdown(60)
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    counter = provider.get_meter("early").create_counter("early")
    counter.add(1)
    assert reader.get_metrics_data() is None
    engine.start()
    for _ in range(4):
        counter.add(2, {"a": "b"})
    assert seen(reader.get_metrics_data())[("early", None, ""), "early"][1] == {
        (("a", "str", "b"),): 8
    }
    # A run of the engine begins at zero, and labels are looked up anew.
    engine.start()
    counter.add(5, {"a": "b"})
    (told,) = [metric for metric in coati.metrics.snapshot() if metric.name == "early"]
    assert told.value == 5
    coati.shutdown(60)
    counter.add(1)
    engine.start()


def test_exemplars_are_of_the_span_around(engine: Engine) -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader]).get_meter("exemplars")
    counter, histogram = meter.create_counter("c"), meter.create_histogram("h")
    elsewhere = trace.SpanContext(0xABC, 0xDEF, False, trace.TraceFlags(1))
    context = trace.set_span_in_context(trace.NonRecordingSpan(elsewhere))
    with coati.get_tracer("t").span("current") as span:
        counter.add(1, {"a": "b"})
        histogram.record(7.5, {"a": "b"}, context)
    data = reader.get_metrics_data()
    assert data is not None
    told = {
        metric.name: metric.data.data_points[0].exemplars
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    (here,) = told["c"]
    (there,) = told["h"]
    assert (here.value, here.trace_id, here.span_id) == (
        1,
        int(span.trace_id, 16),
        int(span.span_id, 16),
    )
    assert (there.value, there.trace_id, there.span_id) == (7.5, 0xABC, 0xDEF)
    # Each is told once.
    data = reader.get_metrics_data()
    assert data is not None
    points = [m.data.data_points[0] for m in data.resource_metrics[0].scope_metrics[0].metrics]
    assert all(not point.exemplars for point in points)


def test_readers_go_on_where_counting_begins_anew(engine: Engine) -> None:
    cumulative = InMemoryMetricReader()
    delta = InMemoryMetricReader(preferred_temporality=DELTA)
    provider = MeterProvider()
    ups = provider.get_meter("t").create_up_down_counter("ups")
    ups.add(10)
    provider = MeterProvider(metric_readers=[cumulative, delta])
    ups = provider.get_meter("t").create_up_down_counter("ups")

    def read(reader: InMemoryMetricReader) -> list[Any]:
        return [points for _, points in seen(reader.get_metrics_data()).values()]

    assert (read(cumulative), read(delta)) == ([], [])
    for more, total in ((5, 5), (-5, 0)):
        ups.add(more)
        assert (read(cumulative), read(delta)) == ([{(): total}], [{(): more}])
    coati.shutdown()
    engine.start()
    ups.add(1)
    assert (read(cumulative), read(delta)) == ([{(): 1}], [{(): 1}])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_readers_of_a_forked_child_tell_what_it_counts(program: Program) -> None:
    program.run(
        """
        import os, coati
        from coati.otel.metrics import MeterProvider
        from opentelemetry.sdk.metrics import Counter
        from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

        coati.init(config={'sinks': [SINK]})
        readers = [
            InMemoryMetricReader(),
            InMemoryMetricReader(preferred_temporality={Counter: AggregationTemporality.DELTA}),
        ]
        counter = MeterProvider(metric_readers=readers).get_meter("t").create_counter("k")
        def read(who):
            for reader in readers:
                (point,) = (
                    reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0]
                    .data.data_points
                )
                print(who, point.value, flush=True)

        counter.add(10)
        read("parent")
        pid = os.fork()
        counter.add(1)
        if pid:
            os.waitpid(pid, 0)
        read("parent" if pid else "child")
        """
    )
    told = program.stdout.splitlines()
    assert [line for line in told if "child" in line] == ["child 1", "child 1"]
    assert [line for line in told if "parent" in line][2:] == ["parent 11", "parent 1"]

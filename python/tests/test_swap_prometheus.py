"""One program played on ``prometheus_client`` and on ``coati.prometheus``."""

from __future__ import annotations

import asyncio
import doctest
import gc
import inspect
import math
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import coati.prometheus as ours
import coati.prometheus.core
import coati.prometheus.metrics
import coati.prometheus.openmetrics.exposition
import prometheus_client as theirs
import prometheus_client.core
import prometheus_client.openmetrics.exposition
import prometheus_client.openmetrics.parser
import prometheus_client.parser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.utils import floatToGoString
from prometheus_defaults import process_told  # noqa: F401 - a fixture

PATIENT = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
TEXTS = ["plain", 'quo"te', "back\\slash", "new\nline", "ünï", "", "a,b={}"]


class Custom:
    """A custom collector of every family."""

    def __init__(self, core: Any) -> None:
        self.core = core

    def collect(self) -> Iterator[Any]:
        core = self.core
        yield core.GaugeMetricFamily("custom_gauge", "A gauge", value=7)
        counter = core.CounterMetricFamily("custom_counter", "A counter", labels=["kind"])
        exemplar = core.Exemplar({"trace": "1"}, 0.5, 12.25)
        counter.add_metric(["a"], 1.5, created=123.456, exemplar=exemplar)
        counter.add_metric(["b"], 2, timestamp=core.Timestamp(12, 500))
        yield counter
        yield core.SummaryMetricFamily("custom_summary", "A summary", count_value=1, sum_value=2)
        buckets = [("0", 1), ("1.0", 2, core.Exemplar({"a": "b"}, 0.5)), ("+Inf", 3)]
        yield core.HistogramMetricFamily("custom_hist", "A histogram", buckets, 2.5)
        gauged = [("-1", 4), ("+Inf", 5)]
        yield core.GaugeHistogramMetricFamily("custom_ghist", "Both", gauged, gsum_value=7)
        yield core.InfoMetricFamily("custom_info_of", "An info", value={"a": "b", "c": "d"})
        yield core.StateSetMetricFamily("custom_states", "States", {"on": True, "off": False})
        untyped = core.UntypedMetricFamily("custom_any", "Any\nhelp \\ ", labels=["x"])
        untyped.add_metric(["y"], math.nan)
        yield untyped


def play(lib: ModuleType, core: Any, registry: Any) -> None:
    """A program that uses everything."""
    plain = lib.Counter("requests_total", 'Requests "made"\n\\', registry=registry)
    plain.inc()
    plain.inc(2.5)
    named = lib.Counter("errors", "Errors", ["method", "code"], registry=registry)
    for text in TEXTS:
        named.labels(text, 500).inc()
    named.labels(code="404", method="get").inc(1e7, exemplar={"trace_id": "ab", "n": "1"})
    named.labels("get", "404").inc(amount=1)
    named.labels("gone", "1").inc()
    named.remove("gone", 1)
    gauge = lib.Gauge("depth", "Depth", ["queue"], "app", "sub", "bytes", registry=registry)
    for at, value in enumerate([0, -0.0, 1.5, -1e7, 1e-7, math.inf, -math.inf, math.nan, "12"]):
        gauge.labels(at).set(value)
    gauge.labels("up").inc(3)
    gauge.labels("up").dec()
    gauge.labels("down").dec(1.25)
    asked = lib.Gauge("asked", "Asked", registry=registry)
    asked.set(3)
    asked.set_function(lambda: 42)
    summary = lib.Summary("size", "Size", ["path"], unit="bytes", registry=registry)
    summary.labels("/").observe(512)
    summary.labels("/").observe(0.5)
    took = lib.Histogram("took", "Took", unit="seconds", registry=registry)
    for value in (0.001, 0.005, 0.3, 7, 11, math.inf):
        took.observe(value)
    buckets = [-1, 0, 1e6, 2e15, "3e16"]
    odd = lib.Histogram("odd", "Odd", ["a", "z"], buckets=buckets, registry=registry)
    odd.labels("1", "2").observe(-2)
    odd.labels(z="2", a="1").observe(1, {"trace_id": "cd"})
    odd.labels("", "").observe(math.nan)
    lib.Histogram("le_first", "x", ["zz"], buckets=[1], registry=registry).labels("v").observe(3)
    build = lib.Info("build", "Build", registry=registry)
    build.info({"version": "1.2", "host": 'a"b'})
    lib.Info("by", "By", ["who"], registry=registry).labels("me").info({"x": "y"})
    states = ["starting", "running", "stopped"]
    state = lib.Enum("task_state", "State", ["task"], states=states, registry=registry)
    state.labels("a").state("running")
    state.labels("b")
    lib.Counter("empty", "No series", ["a"], registry=registry)
    cleared = lib.Counter("cleared", "Cleared", ["a"], registry=registry)
    cleared.labels("x").inc()
    cleared.clear()
    cleared.labels("y").inc()
    again = lib.Counter("again", "Reset", registry=registry)
    again.inc(5)
    again.reset()
    lib.Gauge("names.with dots", "UTF-8", ["lab.el"], registry=registry).labels("v").set(1)
    registry.register(Custom(core))


OURS = (ours, coati.prometheus.core)
THEIRS = (theirs, prometheus_client.core)
OPEN = (
    coati.prometheus.openmetrics.exposition.generate_latest,
    prometheus_client.openmetrics.exposition.generate_latest,
)


@pytest.fixture(params=[False, True], ids=["plain", "target"])
def played(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Our registry and theirs after the same program."""
    info = {"env": 'p"rod'} if request.param else None
    registries = []
    for lib, core in (OURS, THEIRS):
        registry = lib.CollectorRegistry(target_info=info)
        play(lib, core, registry)
        registries.append(registry)
    return registries[0], registries[1]


def without_times(text: bytes) -> list[str]:
    """The lines, but what changes from run to run."""
    lines = []
    for line in text.decode().split("\n"):
        begun = "_created" in line and not line.startswith("#")
        timed = (begun or " # {" in line) and "custom" not in line
        lines.append(line.rpartition(" ")[0] if timed else line)
    return lines


def families(parsed: Any) -> dict[str, Any]:
    """What their parser finds, but times."""
    found: dict[str, Any] = {}
    for family in parsed:
        samples = [
            (s.name, s.labels, repr(s.value), s.exemplar and (s.exemplar.labels, s.exemplar.value))
            for s in family.samples
            if not s.name.endswith("_created")
        ]
        assert family.name not in found
        found[family.name] = (family.type, family.documentation, family.unit, samples)
    return found


@pytest.mark.parametrize("escaping", ["underscores", "allow-utf-8", "dots", "values"])
def test_text_is_the_same(played: tuple[Any, Any], escaping: str) -> None:
    mine = ours.generate_latest(played[0], escaping)
    assert without_times(mine) == without_times(theirs.generate_latest(played[1], escaping))


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
@pytest.mark.parametrize("escaping", ["underscores", "allow-utf-8", "dots"])
def test_openmetrics_is_the_same(played: tuple[Any, Any], escaping: str, version: str) -> None:
    mine = OPEN[0](played[0], escaping, version)
    assert without_times(mine) == without_times(OPEN[1](played[1], escaping, version))


def test_values_escape_names_that_need_it_and_no_others(played: tuple[Any, Any]) -> None:
    # The library escapes the names of all samples here, so that they are no longer their family's.
    page = OPEN[0](played[0], "values").decode()
    assert 'U__names_2e_with_20_dots{U__lab_2e_el="v"} 1.0\n' in page
    assert "\nrequests_total 3.5\n" in page


def test_their_parser_finds_the_same_in_text(played: tuple[Any, Any]) -> None:
    parse = prometheus_client.parser.text_string_to_metric_families
    mine = families(parse(ours.generate_latest(played[0]).decode()))
    assert mine == families(parse(theirs.generate_latest(played[1]).decode()))
    assert len(mine) > 20


def test_their_parser_finds_the_same_in_openmetrics() -> None:
    def page(lib: ModuleType, generate: Any) -> str:
        registry = lib.CollectorRegistry(target_info={"env": "prod"})
        for kind, name in (("Counter", "c"), ("Gauge", "g"), ("Summary", "s"), ("Histogram", "h")):
            metric = getattr(lib, kind)(
                name, "Some " + name, ["l"], unit="bytes", registry=registry
            )
            for text in TEXTS:
                child = metric.labels(text)
                for value in (0.5, 3):
                    getattr(child, "inc" if hasattr(child, "inc") else "observe")(value)
        exemplar = {"trace_id": "ab" * 16}
        lib.Counter("e", "E", registry=registry).inc(1, exemplar)
        lib.Histogram("he", "HE", registry=registry).observe(0.3, exemplar)
        lib.Info("i", "I", registry=registry).info({"a": "b"})
        lib.Enum("n", "N", states=["x", "y"], registry=registry).state("y")
        return str(generate(registry).decode())

    parse = prometheus_client.openmetrics.parser.text_string_to_metric_families
    mine = families(parse(page(ours, OPEN[0])))
    assert mine == families(parse(page(theirs, OPEN[1])))
    assert mine["he"][3][7][3] == ({"trace_id": "ab" * 16}, 0.3)


def test_collected_samples_are_the_same(played: tuple[Any, Any]) -> None:
    def collected(registry: Any) -> list[Any]:
        return [
            (
                metric.name,
                metric.type,
                metric.documentation,
                metric.unit,
                sample.name,
                sample.labels,
            )
            + ((repr(float(sample.value)),) if not sample.name.endswith("_created") else ())
            for metric in registry.collect()
            for sample in metric.samples
        ]

    assert collected(played[0]) == collected(played[1])
    for registry in played:
        assert registry.get_sample_value("requests_total") == 3.5
        assert (
            registry.get_sample_value("errors_total", {"method": "get", "code": "404"}) == 1e7 + 1
        )
        assert registry.get_sample_value("errors_total", {"method": "gone", "code": "1"}) is None
        assert registry.get_sample_value("asked") == 42
    names = ["took_seconds_sum", "errors_total", "none"]
    restricted = [registry.restricted_registry(names) for registry in played]
    mine, wanted = ours.generate_latest(restricted[0]), theirs.generate_latest(restricted[1])
    assert sorted(without_times(mine)) == sorted(without_times(wanted))


def test_created_series_can_be_left_out() -> None:
    registry = ours.CollectorRegistry()
    ours.Counter("c", "C", registry=registry).inc()
    ours.Histogram("h", "H", registry=registry)
    ours.Summary("s", "S", registry=registry)
    begun = registry.get_sample_value("c_created")
    assert begun == registry._names_to_collectors["c"]._created > 1.7e9
    assert ours.generate_latest(registry).count(b"_created") == 9
    counter = registry._names_to_collectors["c"]
    counter.reset()
    assert counter._created > begun
    told = f"c_created {floatToGoString(counter._created)}\n".encode()
    assert told in ours.generate_latest(registry)
    assert told in OPEN[0](registry)
    ours.disable_created_metrics()
    try:
        assert b"_created" not in ours.generate_latest(registry) + OPEN[0](registry)
        assert registry.get_sample_value("c_created") is None
    finally:
        ours.enable_created_metrics()


@PATIENT
@given(st.floats())
def test_numbers_are_written_the_same(value: float) -> None:
    registry = ours.CollectorRegistry()
    gauge = ours.Gauge("g", "", registry=registry)
    gauge.set(value)
    wanted = f"g {floatToGoString(value)}\n".encode()
    assert ours.generate_latest(registry).splitlines(True)[2] == wanted
    assert coati.prometheus._names.go_float(value) == floatToGoString(value)


@PATIENT
@given(st.dictionaries(st.text("abklmz", min_size=1), st.text(), min_size=1, max_size=4))
def test_labels_are_written_the_same(labels: dict[str, str]) -> None:
    def page(lib: ModuleType) -> list[str]:
        registry = lib.CollectorRegistry()
        metric = lib.Histogram("h", "H", list(labels), buckets=[1, 2], registry=registry)
        metric.labels(**labels).observe(1.5)
        return without_times(lib.generate_latest(registry))

    assert page(ours) == page(theirs)


def wrong(lib: ModuleType) -> Iterator[Callable[[], Any]]:
    """Uses that are refused."""
    registry = lib.CollectorRegistry()
    labelled = lib.Counter("l", "L", ["a", "b"], registry=registry)
    plain = lib.Counter("p", "P", registry=registry)
    histogram = lib.Histogram("h", "H", registry=registry)
    gauge = lib.Gauge("g", "G", ["a"], registry=registry)
    summary = lib.Summary("s", "S", ["a"], registry=registry)
    info = lib.Info("i", "I", ["a"], registry=registry)
    enum = lib.Enum("e", "E", ["a"], states=["x"], registry=registry)
    recent = lib.Gauge("r", "R", registry=registry, multiprocess_mode="mostrecent")
    yield lambda: lib.Counter("l", "L", registry=registry)
    yield lambda: lib.Gauge("p_created", "", registry=registry)
    yield lambda: lib.Gauge("p_total", "", registry=registry)
    yield lambda: labelled.labels("1")
    yield labelled.labels
    yield lambda: labelled.labels("1", "2", "3")
    yield lambda: labelled.labels("1", b="2")
    yield lambda: labelled.labels(a="1")
    yield lambda: labelled.labels(a="1", c="2")
    yield lambda: labelled.labels(a="1", b="2", c="3")
    yield lambda: labelled.labels("1", "2").labels("3", "4")
    yield lambda: plain.labels("1")
    yield lambda: plain.labels(a="1")
    yield labelled.inc
    yield labelled.count_exceptions
    yield lambda: gauge.set(1)
    yield gauge.inc
    yield gauge.dec
    yield gauge.track_inprogress
    yield lambda: gauge.set_function(lambda: 1.0)
    yield lambda: summary.observe(1)
    yield lambda: lib.Histogram("hl", "", ["a"], registry=None).observe(1)
    yield lambda: enum.state("x")
    yield lambda: enum.labels("1").state("y")
    yield lambda: info.labels("1").info({"a": "1"})
    yield lambda: lib.Info("ii", "", registry=None).info({"a": None})
    yield lambda: plain.inc(-1)
    yield lambda: plain.inc(1, {"a" * 100: "b" * 29})
    yield lambda: plain.inc(1, {"__a": "b"})
    yield lambda: histogram.observe(1, {"__a": "b"})
    yield recent.inc
    yield recent.dec
    yield lambda: lib.Counter("", "", registry=None)
    yield lambda: lib.Counter("x", "", ["__a"], registry=None)
    yield lambda: lib.Histogram("x", "", ["le"], registry=None)
    yield lambda: lib.Summary("x", "", ["quantile"], registry=None)
    yield lambda: lib.Histogram("x", "", buckets=[2, 1], registry=None)
    yield lambda: lib.Histogram("x", "", buckets=[], registry=None)
    yield lambda: lib.Histogram("x", "", buckets=[math.inf], registry=None)
    yield lambda: lib.Enum("x", "", registry=None)
    yield lambda: lib.Enum("x", "", ["x"], states=["a"], registry=None)
    yield lambda: lib.Enum("x", "", states=["a"], unit="s", registry=None)
    yield lambda: lib.Info("x", "", unit="s", registry=None)
    yield lambda: lib.Gauge("x", "", registry=None, multiprocess_mode="no")
    yield lambda: labelled.remove("1")
    yield plain.remove
    yield lambda: plain.remove_by_labels({"a": "1"})
    yield lambda: labelled.remove_by_labels({"c": "1"})
    yield lambda: labelled.remove_by_labels([])
    yield lambda: registry.unregister(lib.Counter("other", "", registry=None))
    yield lambda: lib.Metric("x", "", "nothing")
    yield lambda: lib.Metric("", "", "gauge")
    yield lambda: lib.CollectorRegistry().restricted_registry(["a"]).nothing


def test_errors_are_the_same() -> None:
    mine, wanted = list(wrong(ours)), list(wrong(theirs))
    assert len(mine) == len(wanted) > 50
    for place, (ours_fails, theirs_fails) in enumerate(zip(mine, wanted, strict=True)):
        with pytest.raises(Exception) as want:  # noqa: PT011 - told by the library
            theirs_fails()
        with pytest.raises(want.type.__mro__[-3] if place < 3 else want.type) as got:
            ours_fails()
        if want.type is KeyError or want.type is AttributeError:
            continue
        # The library forgets to fill in a number.
        told = [str(error.value).replace("%d", "129") for error in (got, want)]
        assert told[0] == told[1], place
    with pytest.raises(coati.prometheus.core.DuplicateTimeseries) as duplicate:
        mine[0]()
    assert duplicate.value.duplicates == {"l", "l_total", "l_created"}


def test_names_can_be_held_to_the_old_rules() -> None:
    from coati.prometheus import validation  # noqa: PLC0415

    validation.enable_legacy_validation()
    try:
        for name, labels in (("a.b", []), ("a", ["x.y"]), ("0a", []), ("a", ["a:b"])):
            with pytest.raises(ValueError, match="nvalid"):
                ours.Counter(name, "", labels, registry=None)
        ours.Counter("a:b", "", ["c_d"], registry=None)
    finally:
        validation.disable_legacy_validation()


def test_what_a_call_may_be_given() -> None:
    counter = ours.Counter("c", "", ["a"], registry=None)
    for bad in ("1", None, [], object()):
        with pytest.raises(TypeError):
            counter.labels("x").inc(bad)
    with pytest.raises(TypeError):
        counter.labels("x").inc(1, None, 2)
    with pytest.raises(TypeError):
        counter.labels("x").inc(nothing=1)
    with pytest.raises(TypeError):
        ours.Histogram("h", "", registry=None).observe()
    with pytest.raises(ValueError, match="could not convert"):
        ours.Gauge("g", "", registry=None).set("much")

    class Broken:
        def __str__(self) -> str:
            raise LookupError("no text")

        __float__ = __str__

    with pytest.raises(LookupError):
        counter.labels(Broken())
    with pytest.raises(LookupError):
        counter.labels("x").inc(Broken())
    with pytest.raises(LookupError):
        counter.labels(a=Broken())
    assert counter.labels("x")._value.get() == 0
    assert list(counter._metrics) == [("x",)]
    assert counter.labels(1) is counter.labels("1") is counter.labels(a=1)
    assert counter.labels(True) is counter.labels("True") is not counter.labels(1)
    many = [f"l{place}" for place in range(40)]
    wide = ours.Gauge("wide", "", many, registry=None)
    for _ in range(2):
        child = wide.labels(**{name: name for name in reversed(many)})
        assert child is wide.labels(*many)
    assert child._labelvalues == tuple(many)
    lone = counter.labels("\ud800")
    lone.inc()
    assert lone is counter.labels("\ud800")


def test_classes_may_be_derived() -> None:
    class Loud(ours.Counter):
        def inc(self, amount: float = 1, exemplar: Any = None) -> None:
            super().inc(amount * 10, exemplar)

    class Built(ours.Gauge):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.built = True

    class Other(ours.Gauge):
        def collect(self) -> Any:
            return [coati.prometheus.core.GaugeMetricFamily("seen", "", 1)]

    registry = ours.CollectorRegistry()
    loud = Loud("loud", "", ["a"], registry=registry)
    loud.labels("x").inc(2)
    assert type(loud.labels("x")) is Loud
    built = Built("built", "", ["a"], registry=registry)
    built.labels("x").set(4)
    assert built.labels("x").built
    assert type(built.labels("x")) is Built
    Other("other", "", registry=registry)
    page = ours.generate_latest(registry)
    assert b'loud_total{a="x"} 20.0\n' in page
    assert b'built{a="x"} 4.0\n' in page
    assert b"seen 1.0\n" in page
    assert b"other" not in page
    assert repr(loud).endswith(".Loud(loud)")
    assert str(loud) == "counter:loud"


def test_nothing_is_kept_alive_by_itself() -> None:
    metric = ours.Counter("c", "", ["a"], registry=None)
    metric.cycle = metric
    child = weakref.ref(metric.labels("x"))
    gone = weakref.ref(metric)
    metric.remove("x")
    assert child() is None
    metric.labels("y").parent = metric
    metric.labels("z")
    assert len(metric._metrics) == 2
    del metric._metrics["z",]
    with pytest.raises(TypeError):
        metric._metrics["w",] = metric
    with pytest.raises(AttributeError):
        metric.labels("y")._metrics.clear()
    del metric
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("lib", [ours, theirs], ids=["ours", "theirs"])
def test_around_blocks_and_functions(lib: ModuleType) -> None:
    registry = lib.CollectorRegistry()
    failed = lib.Counter("failed", "", ["a"], registry=registry)
    running = lib.Gauge("running", "", registry=registry)
    took = lib.Histogram("took", "", ["a"], registry=registry)
    last = lib.Gauge("last", "", registry=registry)
    summed = lib.Summary("summed", "", registry=registry)

    levels: list[float] = []

    @failed.labels("f").count_exceptions((KeyError, OSError))
    @running.track_inprogress()
    @took.labels("f").time()
    @last.time()
    @summed.time()
    def work(depth: int, error: BaseException | None = None) -> int:
        """Work."""
        levels.append(running._value.get())
        if depth:
            return int(work(depth - 1, error))
        if error:
            raise error
        return 7

    assert work(2) == 7
    assert levels == [1, 2, 3]
    assert (work.__name__, work.__doc__) == ("work", "Work.")
    assert str(inspect.signature(work)).startswith("(depth: ")
    for error in (KeyError("k"), OSError(), ValueError()):
        with pytest.raises(type(error)):
            work(1, error)
    assert failed.labels("f")._value.get() == 4
    assert running._value.get() == 0
    assert registry.get_sample_value("took_count", {"a": "f"}) == 9
    assert registry.get_sample_value("summed_count") == 9
    assert 0 < registry.get_sample_value("last") <= registry.get_sample_value("summed_sum")

    with pytest.raises(ZeroDivisionError), failed.labels("g").count_exceptions():
        _ = 1 / 0
    with running.track_inprogress():
        assert running._value.get() == 1
    with took.time() as timer:
        timer.labels(a="late")
    assert timer.duration >= 0
    assert registry.get_sample_value("took_count", {"a": "late"}) == 1
    assert failed.labels("g")._value.get() == 1
    last.set_to_current_time()
    assert last._value.get() > 1.7e9


def test_coroutine_functions_are_timed_while_they_run() -> None:
    running = ours.Gauge("running", "", registry=None)
    failed = ours.Counter("failed", "", registry=None)

    @failed.count_exceptions()
    @running.track_inprogress()
    async def work() -> float:
        await asyncio.sleep(0)
        if running._value.get() == 2:
            raise KeyError
        return float(running._value.get())

    async def two() -> list[Any]:
        return await asyncio.gather(work(), work(), return_exceptions=True)

    assert inspect.iscoroutinefunction(work)
    first, second = asyncio.run(two())
    assert isinstance(first, KeyError)
    assert second == 1
    assert (failed._value.get(), running._value.get()) == (1, 0)


def test_threads_lose_nothing() -> None:
    registry = ours.CollectorRegistry()
    counter = ours.Counter("c", "", ["a"], registry=registry)
    histogram = ours.Histogram("h", "", ["a"], buckets=[1, 2], registry=registry)
    gauge = ours.Gauge("g", "", registry=registry)
    before, stop = sys.getswitchinterval(), threading.Event()
    sys.setswitchinterval(1e-5)

    def scrape() -> int:
        pages = 0
        while not pages or not stop.is_set():
            assert ours.generate_latest(registry).endswith(b"\n")
            pages += 1
        return pages

    def work(number: int) -> None:
        for step in range(2000):
            counter.labels(step % 50).inc()
            histogram.labels(a=step % 50).observe(step % 3)
            gauge.inc(2)
            gauge.dec()
            counter.labels(f"own {number} {step}").inc()
            counter.remove(f"own {number} {step}")

    try:
        with ThreadPoolExecutor(5) as pool:
            scraper = pool.submit(scrape)
            list(pool.map(work, range(4)))
            stop.set()
            assert scraper.result() > 0
    finally:
        sys.setswitchinterval(before)
    assert gauge._value.get() == 8000
    assert len(counter._metrics) == 50
    assert all(child._value.get() == 160 for child in counter._metrics.values())
    counts = [registry.get_sample_value("h_count", {"a": str(at)}) for at in range(50)]
    assert counts == [160] * 50
    assert ours.generate_latest(registry).count(b"c_total{") == 50


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    registry = ours.CollectorRegistry()
    ours.Gauge("g", "", registry=registry).set(1)
    path = tmp_path / "metrics.prom"
    (tmp_path / "elsewhere").mkdir()
    for folder in (None, str(tmp_path / "elsewhere")):
        ours.write_to_textfile(str(path), registry, tmpdir=folder)
        assert path.read_bytes() == ours.generate_latest(registry)
    failing = ours.CollectorRegistry()
    ours.Gauge("f", "", registry=failing).set_function(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ours.write_to_textfile(str(path), failing)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["elsewhere", "metrics.prom"]
    assert b"g 1.0\n" in path.read_bytes()


@pytest.mark.usefixtures("process_told")
def test_the_process_is_told() -> None:
    page = ours.generate_latest().decode()
    wanted = theirs.generate_latest().decode()
    heads = [line for line in wanted.splitlines() if line.startswith("# TYPE p")]
    assert [line for line in page.splitlines() if line.startswith("# TYPE p")] == heads
    assert len(heads) >= 9
    assert ours.REGISTRY.get_sample_value("process_cpu_seconds_total") > 0
    (python,) = [line for line in wanted.splitlines() if line.startswith("python_info")]
    assert python in page


def test_examples() -> None:
    assert doctest.testmod(coati.prometheus.metrics).failed == 0

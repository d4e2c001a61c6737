"""``coati.prometheus`` under the name ``prometheus_client``, served, and shown by the engine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coati
import coati.prometheus as ours
import coati.prometheus.core
import httpx
import prometheus_client
import prometheus_client.core
import prometheus_client.exposition
import prometheus_client.parser
import pytest
from conftest import Program
from otlp_receiver import Receiver
from prometheus_client import REGISTRY as THEIR_REGISTRY
from prometheus_client import Counter as TheirCounter
from prometheus_defaults import process_told  # noqa: F401 - a fixture

Parsed = dict[str, Any]


def parse(page: str) -> Parsed:
    """Values by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in prometheus_client.parser.text_string_to_metric_families(page)
        for sample in family.samples
    }


@pytest.fixture
def installed() -> Iterator[None]:
    """``prometheus_client`` as coati's."""
    ours.install()
    yield
    ours.uninstall()


@pytest.fixture
def metrics() -> Iterator[list[Any]]:
    """What a test puts into it is taken out of the default registry afterwards."""
    made: list[Any] = []
    yield made
    for metric in made:
        for registry in (ours.REGISTRY, THEIR_REGISTRY):
            if metric in registry._collector_to_names:
                registry.unregister(metric)


def test_a_registry_is_served(metrics: list[Any]) -> None:
    registry = ours.CollectorRegistry()
    counter = ours.Counter("served", "Served", ["a"], registry=registry)
    counter.labels("x").inc(3)
    ours.Gauge("other", "Other", registry=registry)
    server, thread = ours.start_http_server(0, "127.0.0.1", registry)
    try:
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        plain = httpx.get(url)
        assert plain.headers["content-type"] == ours.CONTENT_TYPE_PLAIN_0_0_4
        assert parse(plain.text)["served_total", (("a", "x"),)] == 3
        assert plain.headers["content-encoding"] == "gzip"
        with urllib.request.urlopen(url) as raw:
            assert raw.read() == plain.content
        newest = httpx.get(url, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert newest.text.endswith("# EOF\n")
        assert "version=1.0.0" in newest.headers["content-type"]
        some = httpx.get(url, params={"name[]": "served_total"})
        assert set(parse(some.text)) == {("served_total", (("a", "x"),))}
        assert httpx.post(url).status_code == 405
        assert httpx.options(url).headers["allow"] == "OPTIONS,GET"
        assert httpx.get(url.replace("metrics", "favicon.ico")).content == b""
        assert thread.daemon
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
    assert not thread.is_alive()


HEADERS: list[dict[str, str]] = [
    {},
    {"accept": "text/plain;version=0.0.4"},
    {"accept": "text/plain;version=1.0.0;escaping=allow-utf-8"},
    {"accept": "text/plain;version=1.0.0;escaping=nothing"},
    {"accept": "application/openmetrics-text"},
    {"accept": "application/openmetrics-text;version=0.0.1,text/plain;version=1.0.0"},
    {"accept": "application/openmetrics-text;version=1.0.0;escaping=dots"},
    {"accept": "application/openmetrics-text;version=2.0.0"},
    {"accept": "text/html", "accept-encoding": "br, GZIP;q=1"},
]


@pytest.mark.parametrize("headers", HEADERS, ids=str)
@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_applications_answer_as_theirs(kind: str, headers: dict[str, str]) -> None:
    async def ask(app: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            client.headers = httpx.Headers(headers)
            return await client.get("/metrics")

    answers = []
    for lib in (ours, prometheus_client):
        registry = lib.CollectorRegistry()
        lib.Gauge("a.b", "Help", ["l"], registry=registry).labels("v").set(1)
        lib.Gauge("plain", "Help", ["l"], registry=registry).labels("v").set(1)
        if kind == "asgi":
            answers.append(asyncio.run(ask(lib.make_asgi_app(registry))))
            continue
        with httpx.Client(transport=httpx.WSGITransport(lib.make_wsgi_app(registry))) as client:
            client.headers = httpx.Headers(headers)
            answers.append(client.get("http://a/metrics"))
    mine, wanted = answers
    assert mine.text == wanted.text
    assert mine.headers.get("content-type") == wanted.headers["content-type"]
    assert mine.headers.get("content-encoding") == wanted.headers.get("content-encoding")


@pytest.mark.usefixtures("process_told")
def test_the_engine_shows_the_default_registry(metrics: list[Any]) -> None:
    coati.shutdown(60)
    engine = coati.init(
        "tests",
        config={
            "sinks": [{"type": "memory"}],
            "metrics": {"prometheus": "127.0.0.1:0"},
            "redaction": {"enabled": True},
        },
    )

    class Custom:
        def collect(self) -> Any:
            core = coati.prometheus.core
            buckets = [("1", 2), ("+Inf", 5)]
            yield core.HistogramMetricFamily("custom_took", "", buckets, 9.5, unit="seconds")
            yield core.InfoMetricFamily("custom_build", "", {"version": "1"})

    try:
        runs = ours.Counter("agent_runs_total", "Runs", ["agent", "password"])
        runs.labels("a1", "hunter2").inc(2)
        runs.labels("a1", "letmein").inc(3)
        size = ours.Gauge("agent_size", "Size", unit="bytes")
        size.set(12)
        asked = ours.Gauge("agent_asked", "Asked")
        asked.set_function(lambda: 42)
        took = ours.Histogram("agent_took", "Took", unit="seconds", buckets=[0.1, 1])
        took.observe(0.5, {"trace_id": "ab" * 16, "span_id": "cd" * 8})
        took.observe(7)
        summary = ours.Summary("agent_summary", "Summary")
        summary.observe(1.5)
        state = ours.Enum("agent_state", "State", states=["on", "off"])
        custom = Custom()
        ours.REGISTRY.register(custom)
        metrics += [runs, size, asked, took, summary, state, custom]
        own = ours.CollectorRegistry()
        ours.Counter("agent_hidden", "In a registry of its own", registry=own).inc()
        coati.counter("agent.own", unit="1").add(1)

        page = httpx.get(f"http://{engine.prometheus_address}/metrics").text
        shown = parse(page)
        assert shown["agent_runs_total", (("agent", "a1"), ("password", "[REDACTED]"))] == 5
        assert shown["agent_size_bytes", ()] == 12
        assert shown["agent_asked", ()] == 42
        assert shown["agent_took_seconds_bucket", (("le", "1.0"),)] == 1
        assert shown["agent_took_seconds_count", ()] == 2
        assert shown["agent_took_seconds_sum", ()] == 7.5
        assert shown["agent_summary_count", ()] == 1
        assert shown["agent_summary_sum", ()] == 1.5
        assert shown["agent_state", (("agent_state", "on"),)] == 1
        assert shown["custom_took_seconds_bucket", (("le", "1.0"),)] == 2
        assert shown["custom_took_seconds_count", ()] == 5
        assert shown["custom_build_info", (("version", "1"),)] == 1
        assert shown["process_open_fds", ()] > 0
        assert shown["agent_own_total", ()] == 1
        assert "hidden" not in page
        assert "hunter2" not in page
        accept = {"Accept": "application/openmetrics-text"}
        newest = httpx.get(f"http://{engine.prometheus_address}/metrics", headers=accept).text
        assert f'# {{trace_id="{"ab" * 16}",span_id="{"cd" * 8}"}} 0.5 ' in newest
        assert parse(coati.metrics.prometheus_text())["agent_asked", ()] == 42

        by_name = {metric.name: metric for metric in coati.metrics.snapshot()}
        assert by_name["agent_runs"].value == 5
        assert by_name["agent_runs"].labels == {"agent": "a1", "password": "[REDACTED]"}
        took_stats = by_name["agent_took_seconds"].stats
        assert (took_stats.count, took_stats.sum, took_stats.mean) == (2, 7.5, 3.75)
        assert 0.1 <= took_stats.median <= 1
        assert by_name["agent_took_seconds"].unit == "s"
        assert by_name["agent_size_bytes"].type == "gauge"

        ours.REGISTRY.unregister(size)
        runs.remove("a1", "hunter2")
        assert "agent_size" not in coati.metrics.prometheus_text()
        assert {m.name: m for m in coati.metrics.snapshot()}["agent_runs"].value == 3
    finally:
        coati.shutdown(60)


def test_a_collector_that_fails_is_told_by_health(engine: Any, metrics: list[Any]) -> None:
    class Failing:
        fails = True

        def describe(self) -> list[Any]:
            return []

        def collect(self) -> Any:
            if self.fails:
                raise LookupError("nothing there")
            return [coati.prometheus.core.GaugeMetricFamily("agent_back", "", 4)]

    def problems() -> list[Any]:
        told = coati.health()["problems"]
        return [problem for problem in told if problem["component"].startswith("collector")]

    failing = Failing()
    ours.REGISTRY.register(failing)
    metrics.append(failing)
    gauge = ours.Gauge("agent_stays", "")
    gauge.set(1)
    metrics.append(gauge)
    assert "agent_stays 1" in coati.metrics.prometheus_text()
    (problem,) = problems()
    assert "Failing" in problem["component"]
    assert "LookupError: nothing there" in problem["reason"]
    failing.fails = False
    assert "agent_back 4" in coati.metrics.prometheus_text()
    assert problems() == []


def test_imports_get_ours_and_go_back(installed: None, metrics: list[Any]) -> None:
    before = TheirCounter("old_total", "Made before")
    before.inc(2)
    metrics.append(before)
    namespace: dict[str, Any] = {}
    exec(
        "import prometheus_client\n"
        "from prometheus_client import Counter, REGISTRY, generate_latest, start_http_server\n"
        "from prometheus_client.core import GaugeMetricFamily\n"
        "from prometheus_client.openmetrics.exposition import generate_latest as newest\n"
        "new = Counter('new_total', 'Made after', ['a'])\n"
        "new.labels('x').inc(3)\n"
        "page = generate_latest().decode()\n",
        namespace,
    )
    metrics.append(namespace["new"])
    assert namespace["Counter"] is ours.Counter
    assert namespace["REGISTRY"] is ours.REGISTRY
    assert namespace["start_http_server"] is ours.start_http_server
    assert prometheus_client.core.CollectorRegistry is ours.CollectorRegistry
    page = parse(namespace["page"])
    assert page["old_total", ()] == 2
    assert page["new_total", (("a", "x"),)] == 3
    # Who holds the library's registry sees both, and none twice.
    theirs = prometheus_client.exposition.generate_latest(THEIR_REGISTRY).decode()
    assert parse(theirs)["new_total", (("a", "x"),)] == 3
    assert parse(theirs)["old_total", ()] == 2
    for text in (namespace["page"], theirs):
        lines = [line for line in text.splitlines() if line.startswith("# TYPE")]
        assert len(lines) == len(set(lines))
    ours.install()
    assert ours.is_installed()
    ours.uninstall()
    ours.uninstall()
    assert not ours.is_installed()
    assert prometheus_client.Counter is TheirCounter
    assert prometheus_client.REGISTRY is THEIR_REGISTRY
    assert b"new_total" not in prometheus_client.generate_latest(THEIR_REGISTRY)
    assert b"old_total" not in ours.generate_latest()


@pytest.mark.usefixtures("installed")
def test_what_coati_has_not_works_with_its_registries() -> None:
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Counter("pushed", "Pushed", registry=registry).inc(4)
    pushed: list[bytes] = []

    def handler(url: str, method: str, timeout: float, headers: Any, data: bytes) -> Any:
        pushed.append(data)
        return lambda: None

    prometheus_client.push_to_gateway("localhost", "job", registry, handler=handler)
    assert pushed == [ours.generate_latest(registry)]
    (family,) = prometheus_client.parser.text_string_to_metric_families("g 1\n")
    assert isinstance(family, ours.Metric)


def test_a_name_made_before_stays_taken(metrics: list[Any]) -> None:
    metrics.append(TheirCounter("taken_total", "Made before"))
    ours.install()
    try:
        with pytest.raises(ValueError, match="Duplicated timeseries"):
            prometheus_client.Gauge("taken_created", "")
    finally:
        ours.uninstall()


def test_several_processes_are_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere")
    with pytest.raises(RuntimeError, match="multi-process"):
        ours.install()
    assert prometheus_client.Counter is TheirCounter


def test_without_the_library_ours_has_its_name(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Others:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if not name.startswith('prometheus_client'):\n"
        "            return PathFinder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = [Others() if f is PathFinder else f for f in sys.meta_path]\n"
        "import coati.prometheus\n"
        "try:\n"
        "    import prometheus_client\n"
        "    raise SystemExit('it is there')\n"
        "except ModuleNotFoundError:\n"
        "    pass\n"
        "coati.prometheus.install()\n"
        "import prometheus_client\n"
        "from prometheus_client import Counter, generate_latest\n"
        "from prometheus_client.core import REGISTRY, GaugeMetricFamily\n"
        "from prometheus_client.registry import CollectorRegistry\n"
        "from prometheus_client.openmetrics.exposition import generate_latest as newest\n"
        "from prometheus_client.exposition import CONTENT_TYPE_LATEST, start_http_server\n"
        "import prometheus_client.metrics as metrics\n"
        "assert metrics.Counter is Counter is prometheus_client.core.Counter\n"
        "Counter('c', 'C').inc()\n"
        "assert b'c_total 1.0' in generate_latest(REGISTRY)\n"
        "coati.prometheus.uninstall()\n"
        "assert 'prometheus_client' not in sys.modules\n"
        "print('fine')\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


def test_neither_engine_nor_library_is_needed() -> None:
    source = (
        "import sys, coati.prometheus as p\n"
        "assert 'prometheus_client' not in sys.modules\n"
        "c = p.Counter('c', 'C', ['a']); c.labels('x').inc(4)\n"
        "print(p.generate_latest().decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=300
    )
    assert parse(done.stdout)["c_total", (("a", "x"),)] == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_goes_on_by_itself(program: Program) -> None:
    program.run(
        """
        import os, coati.prometheus as p
        counter = p.Counter("c", "C", ["a"])
        counter.labels("x").inc(2)
        child = os.fork()
        counter.labels("x").inc(1)
        counter.labels("y").inc(5 if child else 7)
        page = p.generate_latest().decode()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            assert 'c_total{a="y"} 5.0' in page
        else:
            assert 'c_total{a="y"} 7.0' in page
        assert 'c_total{a="x"} 3.0' in page
        """
    )


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_otlp_sends_them_too(temporality: str, metrics: list[Any]) -> None:
    receiver = Receiver()
    sink = {"type": "otlp", "endpoint": receiver.http, "temporality": temporality}
    coati.shutdown(60)
    coati.init("tests", config={"sinks": [{**sink, "protocol": "http/protobuf"}]})
    runs = ours.Counter("agent_runs_total", "Runs", ["agent"])
    took = ours.Histogram("agent_took", "Took", unit="seconds", buckets=[0.1, 1])
    metrics += [runs, took]
    for amount in (3, 2):
        runs.labels("a1").inc(amount)
        took.observe(amount / 10)
        assert coati.flush(60)
    coati.shutdown(60)
    sent = [
        metric
        for request in receiver.take("metrics")
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    receiver.close()
    sums = [metric.sum for metric in sent if metric.name == "agent_runs"]
    points = [point for each in sums for point in each.data_points]
    times = [metric.histogram for metric in sent if metric.name == "agent_took_seconds"]
    counts = [list(point.bucket_counts) for each in times for point in each.data_points]
    delta = temporality == "delta"
    assert {each.aggregation_temporality for each in sums + times} == {1 if delta else 2}
    assert all(each.is_monotonic for each in sums)
    assert {point.attributes[0].value.string_value for point in points} == {"a1"}
    told = [point.as_double for point in points]
    assert (sum(told) if delta else told[-1]) == 5
    buckets = [sum(each) for each in zip(*counts, strict=True)]
    assert (buckets if delta else counts[-1]) == [0, 2, 0]
    assert {metric.unit for metric in sent if metric.name == "agent_took_seconds"} == {"s"}


def test_consoles_show_them_too(program: Program) -> None:
    program.run(
        """
        import coati, coati.prometheus as p
        sink = {"type": "console", "format": "json", "signals": ["metrics"], "stream": "stdout"}
        coati.init("tests", config={"sinks": [sink]})
        p.Counter("agent_runs", "Runs", ["a"]).labels("x").inc(3)
        p.Gauge("agent_asked", "Asked").set_function(lambda: 42)
        coati.shutdown(60)
        """
    )
    lines = [json.loads(line) for line in program.stdout.splitlines()]
    last = {line["metric"]: line for line in lines}
    assert (last["agent_runs"]["value"], last["agent_runs"]["labels"]) == (3, {"a": "x"})
    assert last["agent_asked"]["value"] == 42

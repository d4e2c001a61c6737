"""A real Prometheus scrapes a program in each of three formats, and says what was recorded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import free_port, wait_until
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

PATIENCE = 60.0
# What each job asks for: nothing of its own, which is protobuf, or what is here.
ACCEPT = {
    "protobuf": None,
    "openmetrics": "application/openmetrics-text;version=1.0.0",
    "text": "text/plain;version=0.0.4",
}

PROGRAM = """
    import json, random, sys
    import coati

    engine = coati.init("scraped", config={
        "sinks": [],
        "resource": {"deployment.environment.name": "test"},
        "metrics": {"prometheus": "127.0.0.1:0"},
    })
    tokens = coati.counter("agent.tokens", unit="{token}", description="Tokens by kind")
    tokens.add(40, kind="input")
    tokens.add(2, kind="output")
    coati.up_down_counter("agent.open", description="Open runs").add(-3)
    coati.gauge("agent.load", description="Load").set(0.25)
    chosen = random.Random(7)
    values = [chosen.lognormvariate(0, 1) for _ in range(2000)]
    answers = coati.histogram("agent.answer", unit="s", description="Time to an answer")
    tools = coati.histogram("agent.tool", unit="s", description="Tools", buckets=[0.1, 1, 10])
    ids = []
    with coati.get_tracer("scraped").span("run") as span:
        ids = [span.trace_id, span.span_id]
        tokens.add(1, kind="input")
        for value in values:
            answers.record(value, agent="a 1")
            tools.record(value)
    stats = answers.stats(agent="a 1")
    print(json.dumps({
        "address": engine.prometheus_address,
        "ids": ids,
        "values": values,
        "quantiles": {"0.5": stats.median, "0.9": stats.p90, "0.99": stats.p99},
    }), flush=True)
    sys.stdin.read()
"""


class Scraped:
    """A program that records and waits."""

    def __init__(self, folder: Path) -> None:
        path = folder / "scraped.py"
        path.write_text(textwrap.dedent(PROGRAM))
        self.process = subprocess.Popen(
            [sys.executable, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.told = json.loads(self.process.stdout.readline())

    def get(self, accept: str | None) -> tuple[str, bytes]:
        """Type and text of a page."""
        headers = {} if accept is None else {"Accept": accept}
        request = urllib.request.Request(f"http://{self.told['address']}/metrics", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.headers["Content-Type"], answer.read()

    def stop(self) -> None:
        """Let it end."""
        self.process.communicate(timeout=PATIENCE)


class Relay:
    """Hands scrapes on, `/metrics/<job>` with what the job asks for, and notes what came back."""

    def __init__(self, scraped: Scraped) -> None:
        relay = self
        self.types: dict[str, str] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                job = self.path.rsplit("/", 1)[1]
                kind, page = scraped.get(ACCEPT[job] or self.headers["Accept"])
                relay.types[job] = kind
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


class Prometheus:
    """A server of its own with three jobs."""

    def __init__(self, folder: Path, relay: Relay) -> None:
        jobs = [
            {
                "job_name": job,
                "metrics_path": f"/metrics/{job}",
                "static_configs": [{"targets": [f"127.0.0.1:{relay.port}"]}],
            }
            for job in ACCEPT
        ]
        config = folder / "prometheus.yml"
        # JSON is YAML.
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                    "scrape_configs": jobs,
                }
            )
        )
        self.port = free_port()
        self.output = (folder / "prometheus.txt").open("w")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--enable-feature=exemplar-storage,native-histograms",
            ],
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )

    def ask(self, what: str, **parameters: str) -> Any:
        """What its API answers; None while there is no answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except (OSError, urllib.error.URLError):
            assert self.process.poll() is None, Path(self.output.name).read_text()
            return None

    def value(self, query: str) -> float | None:
        """The one value of a query."""
        data = self.ask("query", query=query)
        found = data["result"] if data else []
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.output.close()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """The program."""
    scraped = Scraped(tmp_path_factory.mktemp("scraped"))
    yield scraped
    scraped.stop()


@pytest.fixture(scope="module")
def prometheus(scraped: Scraped, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """The server, once it has scraped all jobs."""
    if shutil.which("prometheus") is None:
        pytest.skip("there is no prometheus here (Debian: apt-get install prometheus)")
    relay = Relay(scraped)
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), relay)
    try:
        awaited(lambda: prometheus.value("count(up == 1)") == len(ACCEPT))
        awaited(lambda: set(relay.types) == set(ACCEPT))
        assert relay.types["protobuf"].startswith("application/vnd.google.protobuf;")
        assert relay.types["openmetrics"].startswith("application/openmetrics-text;")
        assert relay.types["text"].startswith("text/plain; version=0.0.4")
        yield prometheus
    finally:
        prometheus.stop()
        relay.stop()


def awaited(condition: Callable[[], bool]) -> None:
    """Wait for what another process does in its own time."""
    wait_until(condition, PATIENCE)


@pytest.mark.parametrize("job", ACCEPT)
def test_prometheus_says_what_was_recorded(
    scraped: Scraped, prometheus: Prometheus, job: str
) -> None:
    values = scraped.told["values"]
    wanted = {
        f'agent_tokens_total{{job="{job}",kind="input"}}': 41,
        f'agent_tokens_total{{job="{job}",kind="output"}}': 2,
        f'agent_open{{job="{job}"}}': -3,
        f'agent_load{{job="{job}"}}': 0.25,
        f'agent_tool_seconds_count{{job="{job}"}}': len(values),
        f'agent_tool_seconds_bucket{{job="{job}",le="1.0"}}': sum(v <= 1 for v in values),
        f'target_info{{job="{job}",service_name="scraped",deployment_environment_name="test"}}': 1,
    }
    if job == "protobuf":
        wanted[f'histogram_count(agent_answer_seconds{{job="{job}"}})'] = len(values)
    else:
        wanted[f'agent_answer_seconds_count{{job="{job}"}}'] = len(values)
        below = sum(v <= 0.5 for v in values)
        wanted[f'agent_answer_seconds_bucket{{job="{job}",le="0.5"}}'] = below
    for query, number in wanted.items():
        assert prometheus.value(query) == number, query
    total = prometheus.value(f'agent_tool_seconds_sum{{job="{job}"}}')
    assert total == pytest.approx(sum(values))


def test_a_quantile_of_the_native_histogram_is_ours_within_a_bucket(
    scraped: Scraped, prometheus: Prometheus
) -> None:
    values = sorted(scraped.told["values"])
    for quantile, ours in scraped.told["quantiles"].items():
        query = f'histogram_quantile({quantile}, agent_answer_seconds{{job="protobuf"}})'
        theirs = prometheus.value(query)
        assert theirs is not None
        true = values[int(float(quantile) * len(values)) - 1]
        assert ours == pytest.approx(true, rel=0.006)
        # These values span 10 octaves, which at scale 4 are at most 160 buckets of 4.5 %.
        assert theirs == pytest.approx(ours, rel=2 ** (2**-4) - 1)


@pytest.mark.parametrize("job", ["openmetrics", "protobuf"])
@pytest.mark.parametrize("metric", ["agent_tokens_total", "agent_tool_seconds_bucket"])
def test_exemplars_come_back_with_their_trace(
    scraped: Scraped, prometheus: Prometheus, job: str, metric: str
) -> None:
    found: list[Any] = []

    def are_there() -> bool:
        query = f'{metric}{{job="{job}"}}'
        # No bounds in time: a clock may be anywhere.
        found[:] = prometheus.ask("query_exemplars", query=query, start="0", end="4000000000")
        return bool(found)

    awaited(are_there)
    trace_id, span_id = scraped.told["ids"]
    recorded = {1, *scraped.told["values"]}
    exemplars = [exemplar for series in found for exemplar in series["exemplars"]]
    for exemplar in exemplars:
        assert exemplar["labels"] == {"trace_id": trace_id, "span_id": span_id}
        assert float(exemplar["value"]) in recorded


def test_the_classic_text_is_clean(scraped: Scraped) -> None:
    kind, page = scraped.get("text/plain")
    assert kind.startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in classic(page.decode())}
    assert families["agent_tokens"].type == "counter"
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool here (Debian: apt-get install prometheus)")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_official_parser_reads_openmetrics(scraped: Scraped) -> None:
    _, page = scraped.get("application/openmetrics-text")
    families = {family.name: family for family in openmetrics(page.decode())}
    assert families["target"].type == "info"
    assert families["agent_answer_seconds"].unit == "seconds"
    samples = [s for s in families["agent_tokens"].samples if s.labels == {"kind": "input"}]
    assert [sample.value for sample in samples] == [41]
    trace_id, span_id = scraped.told["ids"]
    buckets = families["agent_answer_seconds"].samples + samples
    exemplars = [sample.exemplar for sample in buckets if sample.exemplar is not None]
    assert len(exemplars) > 5
    for exemplar in exemplars:
        assert exemplar.labels == {"trace_id": trace_id, "span_id": span_id}

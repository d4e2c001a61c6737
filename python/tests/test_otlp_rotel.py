"""All three signals at a real receiver: Rotel, over HTTP and gRPC, plain and compressed."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import coati
import pytest
from conftest import free_port, wait_until

PATIENCE = 60.0


class Rotel:
    """A running agent that prints what it takes."""

    def __init__(self, folder: Path) -> None:
        spec = find_spec("rotel")
        assert spec is not None
        assert spec.origin is not None
        self.http, self.grpc = free_port(), free_port()
        self.output = folder / "rotel.txt"
        arguments = [
            f"--otlp-grpc-endpoint=127.0.0.1:{self.grpc}",
            f"--otlp-http-endpoint=127.0.0.1:{self.http}",
            "--exporter=blackhole",
            "--debug-log=traces",
            "--debug-log=metrics",
            "--debug-log=logs",
            "--debug-log-verbosity=detailed",
        ]
        with self.output.open("w") as output:
            agent = str(Path(spec.origin).with_name("rotel-agent"))
            self.process = subprocess.Popen(
                [agent, "start", *arguments], stdout=output, stderr=subprocess.STDOUT, cwd=folder
            )
        wait_until(self.listens)

    def listens(self) -> bool:
        """Whether both ports are open."""
        for port in (self.http, self.grpc):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                return False
        return True

    def text(self) -> str:
        """What it has printed."""
        return self.output.read_text()

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def rotel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotel]:
    """One agent for all ways."""
    rotel = Rotel(tmp_path_factory.mktemp("rotel"))
    yield rotel
    rotel.stop()


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_rotel_takes_all_three_signals(rotel: Rotel, protocol: str, compression: str) -> None:
    coati.shutdown()
    mark = f"{protocol.replace('/', '-')}-{compression}"
    port = rotel.grpc if protocol == "grpc" else rotel.http
    sink: dict[str, Any] = {
        "type": "otlp",
        "endpoint": f"http://127.0.0.1:{port}",
        "protocol": protocol,
        "compression": compression,
    }
    coati.init(f"service-{mark}", config={"sinks": [sink]})
    with coati.get_tracer("planner").span(f"span-{mark}", agent="a1") as span:
        span.add_event(f"event-{mark}", attempt=2)
        coati.get_logger("planner").info(f"log-{mark}", steps=4)
    coati.counter(f"counter-{mark}").add(3, agent="a1")
    coati.histogram(f"histogram-{mark}", unit="ms").record(12.5)
    assert coati.flush(PATIENCE), coati.health()
    books = coati.shutdown(PATIENCE)
    assert (books["spans"]["delivered"], books["logs"]["delivered"]) == (1, 1)
    expected = [
        f"{what}-{mark}" for what in ("service", "span", "event", "log", "counter", "histogram")
    ]
    wait_until(lambda: all(text in rotel.text() for text in expected))
    assert "ExponentialHistogram" in rotel.text()

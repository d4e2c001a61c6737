"""Fixtures: an engine with a memory sink in this process, and programs run in one of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coati
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

Record = dict[str, Any]
MEMORY = {"type": "memory"}


class Engine:
    """What tests do with the engine of their own process."""

    def start(self, **config: Any) -> coati.Engine:
        """Start it afresh with a memory sink and these sections."""
        coati.shutdown(60)
        config.setdefault("sinks", [MEMORY])
        config.setdefault("logs", {"level": "debug"})
        return coati.init("tests", config=config)

    def records(self) -> list[Record]:
        """All records since the last call."""
        assert coati.flush(60)
        return coati.memory_records()

    def logs(self) -> list[Record]:
        """All log lines since the last call."""
        return [record for record in self.records() if "span" not in record]

    def spans(self) -> list[Record]:
        """All spans since the last call."""
        return [record for record in self.records() if "span" in record]

    def log(self) -> Record:
        """The one log line since the last call."""
        (log,) = self.logs()
        return log

    def span(self) -> Record:
        """The one span since the last call."""
        (span,) = self.spans()
        return span


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A running engine with a memory sink."""
    engine = Engine()
    engine.start()
    coati.memory_records()
    yield engine
    books = coati.shutdown(60)
    for signal in ("logs", "spans"):
        account = books[signal]
        assert account["recorded"] == account["delivered"] + sum(account["dropped"].values())
        assert account["in_flight"] == 0


class Program:
    """A Python program run to its end, and what it recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stdout = ""
        self.stderr = ""
        self.status = 0

    def run(self, source: str, *arguments: str, status: int | None = 0, **env: str) -> Program:
        """Run ``source``, which finds ``SINK`` defined as a file sink."""
        path = self.folder / "program.py"
        sink = {"type": "file", "path": str(self.folder / "out.jsonl")}
        path.write_text(f"SINK = {sink!r}\n" + textwrap.dedent(source))
        return self.call([sys.executable, str(path), *arguments], status=status, **env)

    def call(self, command: list[str], status: int | None = 0, **env: str) -> Program:
        """Run a command."""
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=300,
            cwd=self.folder,
            env={**os.environ, **env},
            check=False,
        )
        self.stdout, self.stderr, self.status = done.stdout, done.stderr, done.returncode
        if status is not None:
            assert done.returncode == status, done.stderr
        return self

    def records(self) -> list[Record]:
        """All records of all its processes."""
        files = sorted(self.folder.glob("out*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def messages(self) -> list[str]:
        """The messages of all log lines."""
        return [record["message"] for record in self.records() if "message" in record]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A folder to run programs in."""
    return Program(tmp_path)


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for the condition, which must hold within a time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def exemplars(address: str, metric: str) -> list[tuple[float, dict[str, str]]]:
    """Value and labels of the exemplars of one metric."""
    accept = {"Accept": "application/openmetrics-text"}
    request = urllib.request.Request(f"http://{address}/metrics", headers=accept)
    with urllib.request.urlopen(request, timeout=60) as answer:
        families = openmetrics(answer.read().decode())
        samples = [s for f in families if f.name.startswith(metric) for s in f.samples]
    found = [sample.exemplar for sample in samples if sample.exemplar is not None]
    return [(exemplar.value, exemplar.labels) for exemplar in found]

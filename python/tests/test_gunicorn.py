"""An application loaded before its workers are forked, behind a real server."""

from __future__ import annotations

import collections
import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until

APPLICATION = """
import os
import coati

sink = {{"type": "file", "path": {path!r}, "per_process": {per_process}}}
coati.init("web", config={{
    "sinks": [{{**sink, "rotate_bytes": 20000}}],
    "ring": {{"overflow": "block", "block_ms": 60000}},
}})
log, tracer = coati.get_logger("web"), coati.get_tracer("web")
requests = coati.counter("requests").bind(path="/")
requests.add(1000)
log.info("loaded", pid=os.getpid())


def application(environ, start_response):
    number = int(environ["QUERY_STRING"])
    remote = coati.extract({{"traceparent": environ["HTTP_TRACEPARENT"]}})
    with tracer.span("request", parent=remote):
        requests.add(1)
        for part in range(3):
            log.info("handled", number=number, part=part)
    log.info("counted", pid=os.getpid(), value=requests.value())
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

REQUESTS = 300


def ask(port: int, number: int) -> int:
    """One request; the process that answered."""
    trace = f"00-{number + 1:032x}-{number + 1:016x}-01"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/?{number}", headers={"traceparent": trace}
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return int(response.read())


@pytest.mark.parametrize("per_process", [True, False], ids=["a file for each", "one file"])
def test_workers_of_a_preloaded_application(program: Any, per_process: bool) -> None:
    path = str(program.folder / "out.jsonl")
    source = APPLICATION.format(path=path, per_process=per_process)
    (program.folder / "web.py").write_text(source)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "3"]
        command += ["--worker-class", "gthread", "--threads", "2", "--timeout", "300"]
        command += ["--graceful-timeout", "300", "--bind", f"fd://{listener.fileno()}", "web"]
        with subprocess.Popen(
            command,
            cwd=program.folder,
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            try:
                with concurrent.futures.ThreadPoolExecutor(6) as pool:
                    first = list(pool.map(lambda n: ask(port, n), range(REQUESTS // 2)))
                    # One worker is replaced. Between requests: one that it has accepted but not
                    # begun to read is lost with it, which is the server's affair.
                    os.kill(first[0], signal.SIGTERM)
                    wait_until(lambda: not Path(f"/proc/{first[0]}").exists())
                    numbers = range(REQUESTS // 2, REQUESTS)
                    second = list(pool.map(lambda n: ask(port, n), numbers))
                server.send_signal(signal.SIGTERM)
                _, errors = server.communicate(timeout=300)
            finally:
                server.kill()
        assert server.returncode == 0, errors
    records = program.records()
    lines = [line for line in records if "message" in line]
    handled = collections.Counter(
        (line["number"], line["part"]) for line in lines if line["message"] == "handled"
    )
    assert handled == {(n, part): 1 for n in range(REQUESTS) for part in range(3)}
    traces = collections.Counter(line["trace_id"] for line in records if "span" in line)
    assert traces == {f"{n + 1:032x}": 1 for n in range(REQUESTS)}
    assert [line["pid"] for line in lines if line["message"] == "loaded"] == [server.pid]
    # Each worker has counted its own requests from zero.
    answered = collections.Counter(first + second)
    counted = collections.Counter(
        line["pid"] for line in lines if line["message"] == "counted" and line["value"]
    )
    assert counted == answered
    for pid, count in answered.items():
        values = [line["value"] for line in lines if line.get("pid") == pid]
        assert max(values) == count
    assert len(list(program.folder.glob("out*.jsonl"))) > 4

"""The command line."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from conftest import free_port
from otlp_receiver import Receiver

COATI = [sys.executable, "-m", "coati"]


def test_bad_usage_is_one_clear_line(program: Any) -> None:
    for arguments in (["nonsense"], [], ["run"], ["doctor", "too", "much"]):
        program.call([*COATI, *arguments], status=2)
        assert program.stdout == ""
        (line,) = program.stderr.splitlines()
        assert line.startswith("coati")
    program.call([*COATI, "run", "missing.py"], status=2)
    assert program.stderr == "coati run: no such file: missing.py\n"


def test_doctor(program: Any) -> None:
    program.call([*COATI, "doctor"], COATI_LOGS_LEVEL="warning", COATI_PRESET="production")
    for part in (
        "coati ",
        "clock: ",
        'logs.level = "warning"',
        "COATI_LOGS_LEVEL",
        "preset production",
        "health: ok",
        "ledger",
        "console",
    ):
        assert part in program.stdout
    program.call([*COATI, "doctor"], status=2, COATI_LOGS_LEVEL="loud")
    (line,) = program.stderr.splitlines()
    assert "loud" in line


def test_doctor_names_a_file_that_cannot_be_written(program: Any) -> None:
    path = program.folder / "taken"
    path.mkdir()
    for name, told in (
        ("taken", "failing: a directory is there"),
        ("program.py/out.jsonl", "program.py is not a directory"),
        ("new/out.jsonl", "new/out.jsonl: ok"),
    ):
        status = 1 if "ok" not in told else 0
        (program.folder / "program.py").touch()
        (program.folder / "coati.toml").write_text(f'[[sinks]]\ntype = "file"\npath = "{name}"\n')
        program.call([*COATI, "doctor"], status=status, COATI_CONFIG_FILE="coati.toml")
        assert told in program.stdout
    assert not (program.folder / "new").exists()


def test_doctor_asks_the_endpoints(program: Any) -> None:
    closed = f"http://127.0.0.1:{free_port()}/v1/logs"
    receiver = Receiver()
    try:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http,
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{closed}?key=s3cret",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": receiver.grpc,
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret",
            "OTEL_METRICS_EXPORTER": "otlp,prometheus",
            "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
            "OTEL_SPAN_LINK_COUNT_LIMIT": "many",
        }
        program.call([*COATI, "doctor"], status=1, **env)
        shown = program.stdout
        assert f"otlp traces {receiver.http}/v1/traces: answers (" in shown
        assert f"otlp metrics {receiver.grpc}: answers (" in shown
        assert f"otlp logs {closed}: failing: " in shown
        assert "/metrics: answers\n" in shown
        source = "(environment OTEL_EXPORTER_OTLP_ENDPOINT)"
        assert f'sinks[1].endpoint = "{receiver.http}"  {source}' in shown
        assert 'sinks[1].headers = {"authorization": "[REDACTED]"}' in shown
        assert "s3cret" not in shown + program.stderr
        assert "warning: " in shown
        assert "OTEL_SPAN_LINK_COUNT_LIMIT is ignored" in shown
        env["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] = f"{receiver.http}/v1/logs"
        program.call([*COATI, "doctor"], **env)
    finally:
        receiver.close()


def test_metrics_on_a_console(program: Any) -> None:
    program.run(
        """
        import coati
        coati.init("shown", preset="production")
        coati.counter("calls", unit="{call}").add(3, agent="a1")
        coati.histogram("took", unit="ms").record(2.0)
        coati.observable_gauge("depth", lambda: 7)
        """,
        OTEL_METRICS_EXPORTER="console",
    )
    lines = {line["metric"]: line for line in map(json.loads, program.stdout.splitlines())}
    assert lines["calls"]["value"] == 3
    assert lines["calls"]["labels"] == {"agent": "a1"}
    assert lines["calls"]["service"] == "shown"
    assert lines["took"]["stats"]["count"] == 1
    assert lines["took"]["stats"]["max"] == 2.0
    assert lines["depth"]["value"] == 7


@pytest.mark.parametrize("dashes", [["--"], []])
def test_run(program: Any, dashes: list[str]) -> None:
    (program.folder / "helper.py").write_text("ANSWER = 42\n")
    (program.folder / "app.py").write_text(
        "import sys, helper, coati\n"
        "print(__name__, sys.argv[1:], helper.ANSWER)\n"
        "coati.get_logger('app').info('hello')\n"
        "sys.exit(7)\n"
    )
    (program.folder / "coati.toml").write_text('[[sinks]]\ntype = "file"\npath = "out.jsonl"\n')
    program.call(
        [*COATI, "run", *dashes, "app.py", "--flag", "-x", "1"],
        status=7,
        COATI_CONFIG_FILE="coati.toml",
    )
    assert program.stdout == "__main__ ['--flag', '-x', '1'] 42\n"
    assert program.stderr == (
        "coati: 1 logs recorded, 1 delivered; 0 spans recorded, 0 delivered\n"
        "coati: written to file out.jsonl\n"
    )
    assert program.messages() == ["hello"]


def test_run_shows_an_exception_as_python_does(program: Any) -> None:
    (program.folder / "app.py").write_text("raise ValueError('app')\n")
    program.call([*COATI, "run", "app.py"], status=1)
    assert "ValueError: app" in program.stderr

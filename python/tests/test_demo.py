"""The demo, run as a person runs it, and its files, read as other programs read them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from coati.demo.check import Finding, check
from coati.demo.records import METRICS, RECORDS, REPORT, SUMMARY, Records, load, nanoseconds
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT = 900
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("COATI_")}


def demo(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coati", "demo", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
        env={**PLAIN, "PYTHONUTF8": "1", **environment},
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    out = tmp_path_factory.mktemp("demo") / "deep" / "out"
    return demo("--seconds", 600, "--files", 80, "--agents", 4, "--out", out, "--check"), out


@pytest.fixture
def copy(
    run: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> tuple[Path, list[str]]:
    """The files of a run to do harm to, and the lines of its records."""
    out = tmp_path / "copy"
    shutil.copytree(run[1], out)
    return out, (out / RECORDS).read_text(encoding="utf-8").splitlines()


def broken(out: Path, lines: list[str]) -> list[str]:
    """What no longer holds with these lines."""
    (out / RECORDS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [finding.what for finding in check(out) if not finding.ok]


def failed(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if not finding.ok]


def test_everything_holds(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    result, out = run
    assert result.returncode == 0, result.stdout + result.stderr
    findings = check(out)
    assert not failed(findings)
    for finding in findings:
        assert finding.what in result.stdout
        assert finding.numbers in result.stdout


def test_the_swarm_met_real_problems(
    run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    records = load(run[1])
    assert records.report["files"] == 80
    assert records.report["ended"] == "all files are read"
    assert records.total("agent_retries_total") > 0
    assert records.total("tool_calls_total", outcome="error") > 0
    names = Counter(span.name for span in records.spans)
    assert names["study"] >= 80
    assert names["running totals"] == names["studies"] == names["quality"] == names["job"]
    failures = [span for span in records.spans if span.failed and "tool" in span.attributes]
    for span in failures:
        [event] = [event for event in span.events if event["name"] == "exception"]
        assert event["attributes"]["exception.type"]


def test_prometheus_text_parses(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    text = (run[1] / METRICS).read_text(encoding="utf-8")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    kinds = {name: family.type for name, family in families.items()}
    assert kinds["agent_steps"] == "counter"
    assert kinds["jobs_in_flight"] == "gauge"
    assert kinds["queue_depth"] == "gauge"
    assert kinds["tool_time_milliseconds"] == "histogram"
    bounds = {
        float(sample.labels["le"])
        for sample in families["file_size_bytes"].samples
        if sample.name.endswith("_bucket")
    }
    assert bounds == {1e3, 3e3, 1e4, 3e4, 1e5, float("inf")}


def test_summary_is_plain_and_whole(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    result, out = run
    text = (out / SUMMARY).read_text(encoding="utf-8")
    assert "\x1b" not in text + result.stdout + result.stderr
    for title in ("What they found", "One trace", "Agents", "Slowest tools", "Throughput"):
        assert title in text
        assert title in result.stdout
    for title in ("Ledger", "Files", "What to type next", "p99", "summariser", "✓"):
        assert title in text
    assert str(out / RECORDS) in text


def test_the_same_seed_does_the_same(tmp_path: Path) -> None:
    def deeds(records: Records) -> tuple[object, ...]:
        spans = Counter(
            (span.name, span.attributes.get("file"), span.attributes.get("how"), span.failed)
            for span in records.spans
        )
        lines = Counter((line["level"], line["message"]) for line in records.logs)
        return spans, lines

    runs = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        result = demo("--seconds", 600, "--files", 60, "--seed", seed, "--out", tmp_path / name)
        assert result.returncode == 0, result.stderr
        runs.append(deeds(load(tmp_path / name)))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for files in (30, 5):
        assert demo("--files", files, "--seconds", 600, "--out", out).returncode == 0
    assert load(out).report["files"] == 5
    assert not failed(check(out))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seconds", "soon"],
        ["--seconds", "-1"],
        ["--seconds", "nan"],
        ["--agents", "0"],
        ["--agents", "many"],
        ["--out"],
        ["--prometheus", "nowhere"],
        ["--frobnicate"],
        ["extra"],
    ],
)
def test_bad_usage(arguments: list[str], tmp_path: Path) -> None:
    result = demo("--out", tmp_path / "out", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("coati demo: ")
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_twice_in_one_process(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from coati.demo import main\n"
        "for name in 'ab':\n"
        "    arguments = ['--files', '20', '--seconds', '60', '--check']\n"
        "    assert main([*arguments, '--out', f'{sys.argv[1]}/{name}']) == 0\n"
    )
    result = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program, str(tmp_path)],
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
        env=PLAIN,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_place_that_is_a_file(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    result = demo("--out", place)
    assert result.returncode == 2
    assert result.stderr.startswith(f"coati demo: cannot write to {place}")
    assert result.stderr.count("\n") == 1


def test_another_configuration_is_in_force(tmp_path: Path) -> None:
    program = (
        "import coati, sys\n"
        "coati.init('other', config={'sinks': [{'type': 'memory'}]})\n"
        "from coati.demo import main\n"
        "status = main(['--out', sys.argv[1]])\n"
        "coati.get_logger('mine').info('still mine')\n"
        "assert coati.flush(60)\n"
        "assert [r['message'] for r in coati.memory_records()] == ['still mine']\n"
        "sys.exit(status)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env=PLAIN,
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("coati demo: cannot start the engine: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send")
def test_ctrl_c_ends_early_with_the_summary(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "coati", "demo", "--seconds", "600", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**PLAIN, "PYTHONUTF8": "1"},
    )
    deadline = time.monotonic() + TIMEOUT
    records = out / RECORDS
    while not (records.exists() and '"summed up"' in records.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    text, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, errors
    assert "(interrupted)" in text
    assert load(out).report["elapsed_s"] < 600
    assert not failed(check(out))


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_colours_and_progress(no_color: str, tmp_path: Path) -> None:
    import pty  # noqa: PLC0415 - not on Windows

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "coati", "demo", "--seconds", "1", "--out", str(tmp_path / "out")],
        stdout=theirs,
        stderr=theirs,
        env={**PLAIN, "PYTHONUTF8": "1", "TERM": "xterm", "NO_COLOR": no_color},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    assert process.wait(TIMEOUT) == 0
    assert b"files," in shown
    assert (b"\x1b[1m" in shown) == (no_color == "")
    assert "\x1b" not in (tmp_path / "out" / SUMMARY).read_text(encoding="utf-8")


def test_output_in_ascii(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = demo(
        "--files", 20, "--seconds", 600, "--out", out, PYTHONUTF8="0", PYTHONIOENCODING="ascii"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.isascii()
    assert "✓" in (out / SUMMARY).read_text(encoding="utf-8")


# The checks themselves: harm done to the files is found.


def test_a_lost_span_is_found(copy: tuple[Path, list[str]]) -> None:
    out, lines = copy
    spans = [line for line in map(json.loads, lines) if "span" in line]
    parent = next(span["parent_span_id"] for span in spans if "parent_span_id" in span)
    lost = next(span for span in spans if span["span_id"] == parent)
    wrong = broken(out, [line for line in lines if json.loads(line) != lost])
    assert "spans: what was delivered is in the file" in wrong
    assert "every span's parent exists in its trace" in wrong


def test_a_log_astray_is_found(copy: tuple[Path, list[str]]) -> None:
    out, lines = copy
    at = next(n for n, line in enumerate(lines) if '"studied"' in line)
    line = json.loads(lines[at])
    spans = [each for each in map(json.loads, lines) if "span" in each]
    line["span_id"] = next(s["span_id"] for s in spans if s["span_id"] != line["span_id"])
    lines[at] = json.dumps(line)
    assert broken(out, lines) == ["every log inside a span carries its ids"]


def test_a_lost_log_is_found(copy: tuple[Path, list[str]]) -> None:
    out, lines = copy
    at = next(n for n, line in enumerate(lines) if '"studied"' in line)
    wrong = broken(out, lines[:at] + lines[at + 1 :])
    assert "agent_messages_total counts the log lines" in wrong
    assert "logs: what was delivered is in the file" in wrong


def test_a_torn_line_is_found(copy: tuple[Path, list[str]]) -> None:
    out, lines = copy
    lines[3] = lines[3][:-5]
    assert "every line is a log or a span" in broken(out, lines)


def test_a_wrong_count_is_found(copy: tuple[Path, list[str]]) -> None:
    out, _ = copy
    text = (out / METRICS).read_text(encoding="utf-8").splitlines()
    at = next(n for n, line in enumerate(text) if line.startswith("tool_calls_total{"))
    head, _, value = text[at].rpartition(" ")
    text[at] = f"{head} {float(value) + 1}"
    (out / METRICS).write_text("\n".join(text) + "\n", encoding="utf-8")
    [finding] = failed(check(out))
    assert finding.what == "tool_calls_total counts the spans"


def test_a_ledger_that_does_not_add_up_is_found(copy: tuple[Path, list[str]]) -> None:
    out, _ = copy
    report = json.loads((out / REPORT).read_text(encoding="utf-8"))
    report["ledger"]["logs"]["recorded"] += 1
    (out / REPORT).write_text(json.dumps(report), encoding="utf-8")
    [finding] = failed(check(out))
    assert finding.what == "logs: recorded = delivered + dropped"


def test_timestamps() -> None:
    assert nanoseconds("1970-01-01T00:00:01.000000002Z") == 1_000_000_002
    assert nanoseconds("2026-11-21T13:00:00.5Z") == 1_795_266_000_500_000_000
    assert nanoseconds("1970-01-01T00:00:00Z") == 0

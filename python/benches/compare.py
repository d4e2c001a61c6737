"""What calls from Python cost, beside a floor in C and the libraries people use today.

``python compare.py [--table] [--out FILE] [--rounds N] [--rows ID,…] [--only NAME,…]`` prints one
JSON object per figure; with a file they go there and a table is printed. Each participant runs in
a process of its own, as some change the interpreter for all (a profiling hook, patched modules,
threads); one measures at a time and they take turns, round after round, so that a slow moment of
the machine meets all of them. What cannot be imported is listed with the reason. The exit status
is 1 where a record of ours was dropped.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import platform
import select
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: Rows in their order, their units, and whether more is better.
UNITS = {
    "py_log": "ns",
    "py_log_cpu": "ns",
    "py_log_rate": "M/s",
    "py_log_4t": "x",
    "py_log_off": "ns",
    "py_log_off_4": "ns",
    "py_span": "ns",
    "py_span_unsampled": "ns",
    "py_counter": "ns",
    "py_counter_4labels": "ns",
    "py_counter_new_labels": "ns",
    "py_histogram": "ns",
    "py_histogram_4labels": "ns",
    "py_traced": "ns",
    "py_traced_async": "ns",
    "py_inject": "ns",
    "py_extract": "ns",
    "prometheus_10k": "ms",
    "prometheus_1000h": "ms",
    "py_import_ms": "ms",
    "py_memory": "MB",
    "py_10k_series_mb": "MB",
}

#: Module below `participants`, parts of it, what to import, what it is called, its distribution.
PARTICIPANTS = [
    ("coati", ["calls", "roots", "lines", "series", "histograms"], "coati", "coati", "coati"),
    ("floor", ["calls", "roots"], "floor", "floor", None),
    ("orjson_by_hand", ["calls"], "orjson", "orjson by hand", "orjson"),
    ("structlog", ["calls"], "structlog", "structlog", "structlog"),
    (
        "stdlib_json",
        ["calls"],
        "logging,pythonjsonlogger.orjson",
        "logging + python-json-logger",
        "python-json-logger",
    ),
    ("picologging", ["calls"], "picologging", "picologging", "picologging"),
    ("nexuslog", ["calls"], "nexuslog", "nexuslog", "nexuslog"),
    ("loguru", ["calls"], "loguru", "loguru", "loguru"),
    (
        "opentelemetry",
        ["calls"],
        "opentelemetry.sdk.trace,opentelemetry.sdk.metrics,opentelemetry.sdk._logs",
        "opentelemetry-sdk",
        "opentelemetry-sdk",
    ),
    ("ddtrace", ["calls"], "ddtrace.trace", "ddtrace", "ddtrace"),
    ("viztracer", ["calls"], "viztracer", "viztracer", "viztracer"),
    (
        "prometheus_client",
        ["calls", "series", "histograms"],
        "prometheus_client",
        "prometheus_client",
        "prometheus_client",
    ),
    ("pyotheus", ["calls", "series", "histograms"], "pyotheus", "pyotheus", "pyotheus"),
    ("ddsketch", ["calls"], "ddsketch", "ddsketch", "ddsketch"),
]

#: Rows taken from a fresh process each time, and how often.
PROBED = {"py_import_ms": "import", "py_memory": "memory", "py_10k_series_mb": "series"}
PROBES = 11
NOTES = {("coati", "py_memory"): "import, init, a first line; peers: import"}
#: Seconds after which a participant counts as stuck.
PATIENCE = 300
KINDS = {"coati": "ours", "floor": "floor"}


@dataclass
class Figure:
    """What was measured for one participant in one row."""

    row: str
    name: str
    kind: str
    note: str = ""
    drops: int | None = None
    values: list[float] = field(default_factory=list)

    def json(self) -> dict[str, object]:
        """As it is printed."""
        best = max if UNITS[self.row] == "M/s" else min
        said: dict[str, object] = {
            "row": self.row,
            "name": self.name,
            "kind": self.kind,
            "unit": UNITS[self.row],
            "min": round(best(self.values), 4),
            "median": round(statistics.median(self.values), 4),
            "rounds": len(self.values),
        }
        if self.drops is not None:
            said["drops"] = self.drops
        if self.note:
            said["note"] = self.note
        return said


class Worker:
    """A participant's process."""

    def __init__(self, module: str, part: str, folder: Path, rows: set[str]) -> None:
        folder.mkdir()
        command = [sys.executable, str(HERE / "worker.py"), module, part, str(folder)]
        self.name = f"{module} ({part})"
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        )
        first = self.answer()
        self.failed: str | None = first.get("failed")
        self.rows = {row: note for row, note in first.get("rows", {}).items() if row in rows}

    def answer(self) -> dict:
        """The next line that it says."""
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise SystemExit(f"{self.name} did not answer for {PATIENCE} s")
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, what: object) -> dict:
        """Demands and waits."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        """Ends the process, if it has not ended by itself."""
        self.process.kill()
        self.process.wait()


def version(distribution: str | None) -> str:
    """The installed version, with a blank before it."""
    return f" {importlib.metadata.version(distribution)}" if distribution else ""


def missing(imports: str) -> str | None:
    """Why it cannot be imported in this interpreter."""
    script = "import importlib, sys; [importlib.import_module(n) for n in sys.argv[1].split(',')]"
    tried = subprocess.run(
        [sys.executable, "-c", script, imports], capture_output=True, text=True, check=False
    )
    lines = tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"]
    return lines[-1] if tried.returncode else None


def probe(what: str, name: str, path: Path) -> float:
    """One figure of a fresh process."""
    command = [sys.executable, str(HERE / "probe.py"), what, name]
    environment = {"PYTHONPATH": str(path), "PATH": "/usr/bin:/bin"}
    out = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
    return float(out.stdout)


def build_floor(folder: Path) -> None:
    """Compiles the floor, for the figures of fresh processes."""
    folder.mkdir()
    sys.path.insert(0, str(HERE))
    from participants import floor  # noqa: PLC0415

    floor.build(folder)


def probes(present: list[tuple], rows: set[str], folder: Path) -> Iterator[Figure]:
    """The rows that take a fresh process."""
    figures = []
    for module, parts, imports, name, _ in present:
        for row, what in PROBED.items():
            if row in rows and (what != "series" or "series" in parts):
                subject = module if what == "series" else imports
                note = NOTES.get((module, row), "")
                figures.append((Figure(row, name, KINDS.get(module, "peer"), note), what, subject))
    build_floor(folder)
    for _ in range(PROBES):
        for figure, what, subject in figures:
            figure.values.append(probe(what, subject, folder))
    for figure, _, _ in figures:
        yield figure


def turns(workers: list[tuple[Worker, tuple]], options: argparse.Namespace) -> Iterator[Figure]:
    """Round after round, row after row, each participant in turn."""
    figures: list[tuple[Figure, Worker]] = []
    for row in UNITS:
        for worker, (module, _, _, name, _) in workers:
            if row in worker.rows:
                figure = Figure(row, name, KINDS.get(module, "peer"), worker.rows[row])
                figures.append((figure, worker))
    for done in range(options.rounds):
        for figure, worker in figures:
            said = worker.ask({"row": figure.row, "calls": options.calls})
            figure.values.append(said["value"])
        if sys.stderr.isatty():
            end = "\n" if done + 1 == options.rounds else ""
            print(f"\rround {done + 1} of {options.rounds}", end=end, file=sys.stderr)
    drops = {worker: worker.ask("end")["drops"] for worker, _ in workers}
    for figure, worker in figures:
        figure.drops = drops[worker]
        if figure.kind == "ours" and figure.row.startswith("prometheus"):
            figure.name += ", from Python"  # Rust has these rows too.
        if worker.name.endswith("(roots)"):
            figure.name += ", a root"
        yield figure


def compare(options: argparse.Namespace) -> tuple[list[Figure], dict[str, str]]:
    """All figures, and who is missing why."""
    rows = set(options.rows.split(",")) if options.rows else set(UNITS)
    if unknown := rows - set(UNITS):
        raise SystemExit(f"unknown rows: {', '.join(sorted(unknown))}")
    only = set(options.only.split(",")) if options.only else None
    wanted = [one for one in PARTICIPANTS if only is None or one[0] in only]
    reasons = {one[3]: missing(one[2]) for one in wanted if one[0] != "floor"}
    absent = {name: reason for name, reason in reasons.items() if reason}
    present = [one for one in wanted if one[3] not in absent]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as open_workers:
        place = Path(folder)
        workers = []
        for one in present:
            for part in one[1]:
                worker = Worker(one[0], part, place / f"{one[0]}-{part}", rows)
                open_workers.callback(worker.close)
                if worker.failed:
                    absent[f"{one[3]} ({part})"] = worker.failed
                else:
                    workers.append((worker, one))
        figures = list(turns(workers, options))
        if rows & set(PROBED):
            figures += probes(present, rows, place / "floor")
        for figure in figures:
            distribution = next((one[4] for one in PARTICIPANTS if one[3] == figure.name), None)
            figure.name += version(distribution) if figure.kind == "peer" else ""
    order = list(UNITS)
    return sorted(figures, key=lambda figure: order.index(figure.row)), absent


def table(figures: list[Figure], absent: dict[str, str]) -> None:
    """For people."""
    print(f"Python {platform.python_version()}, one process each, in turn")
    shown = ""
    for figure in figures:
        said = figure.json()
        if figure.row != shown:
            shown = figure.row
            print(f"\n{shown + ', ' + UNITS[shown]:38} {'best':>12} {'median':>12}")
        note = f"   {figure.note}" if figure.note else ""
        print(f"  {figure.name:36} {said['min']:12.2f} {said['median']:12.2f}{note}")
    for name, reason in absent.items():
        print(f"\nnot here: {name}: {reason}")


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=3000, help="calls in a measurement")
    parser.add_argument("--rows", help="only these, by id")
    parser.add_argument("--only", help="only these participants, by module")
    parser.add_argument("--table", action="store_true", help="print a table")
    parser.add_argument("--out", type=Path, help="write the JSON lines here and print a table")
    options = parser.parse_args()
    figures, absent = compare(options)
    said = [figure.json() for figure in figures]
    said += [{"missing": name, "note": reason} for name, reason in absent.items()]
    lines = "".join(json.dumps(one) + "\n" for one in said)
    if options.out:
        options.out.write_text(lines)
    if options.table or options.out:
        table(figures, absent)
    else:
        print(lines, end="")
    lost = sum(figure.drops or 0 for figure in figures if figure.kind == "ours")
    if lost:
        print(f"{lost} records of ours were dropped", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

"""Puts the benchmarks' JSON lines beside the budgets.

``report.py [--out RESULTS.md] FILE...`` reads one JSON object a line from each file: rows
(``row``, ``name``, ``kind``: ours, floor or peer, ``unit``, ``min``: the best round, ``median``,
``rounds``, and where it applies ``drops`` and ``note``) and latencies (``latency``: what was
called, ``producers``, ``calls``, ``timer_ns``, ``step_ns``,
``p50``, ``p99``, ``p999``,
``max``, ``drain_busy``). It prints the
table of budgets and, with ``--out``, writes the whole page. Needs Python 3.11.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# Crates whose version a reader wants to know.
CRATES = [
    "tracing",
    "tracing-subscriber",
    "tracing-appender",
    "fastrace",
    "opentelemetry_sdk",
    "prometheus",
    "prometheus-client",
    "metrics",
    "metrics-exporter-prometheus",
    "hdrhistogram",
    "sketches-ddsketch",
]


@dataclass
class Figure:
    """One candidate in one row."""

    name: str
    kind: str
    unit: str
    min: float
    median: float
    rounds: int
    drops: int = 0
    note: str = ""


@dataclass
class Budget:
    """One row of the table."""

    id: str
    operation: str
    budget: float | None = None
    floor: float | None = None
    elsewhere: str = ""
    better: str = "lower"

    def holds(self, value: float) -> bool:
        """Whether a figure is within the budget."""
        if self.budget is None:
            return True
        return value >= self.budget if self.better == "higher" else value <= self.budget

    def best(self, figures: list[Figure]) -> Figure | None:
        """The best of several; whoever dropped something is not."""
        whole = [figure for figure in figures if not figure.drops]
        pick = max if self.better == "higher" else min
        return pick(whole, key=lambda figure: figure.median, default=None)

    def verdict(self, ours: Figure) -> str:
        """Met by the median, by the best round only, or not."""
        if self.budget is None:
            return ""
        if self.holds(ours.median):
            return "met"
        return "best round only" if self.holds(ours.min) else "**not met**"


def read(paths: list[str]) -> tuple[dict[str, list[Figure]], list[dict[str, Any]]]:
    """The rows by id, and the latencies."""
    rows: dict[str, list[Figure]] = {}
    latencies = []
    for path in paths:
        for line in Path(path).read_text().splitlines():
            if not line.startswith("{"):
                continue
            entry = json.loads(line)
            if "missing" in entry:
                print(f"not measured: {entry['missing']}: {entry['note']}", file=sys.stderr)
                continue
            if "latency" in entry:
                latencies.append(entry)
                continue
            row = entry.pop("row")
            known = {field: entry[field] for field in Figure.__dataclass_fields__ if field in entry}
            rows.setdefault(row, []).append(Figure(**known))
    return rows, latencies


def number(value: float) -> str:
    """Three significant digits or so."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def both(figure: Figure) -> str:
    """Minimum and median with their unit."""
    return f"{number(figure.min)} / {number(figure.median)} {figure.unit}"


def ratio(over: float, under: float) -> str:
    """How many times more, of two figures."""
    return f"{number(over / under)} ×" if under else ""


def table(rows: dict[str, list[Figure]], budgets: list[Budget]) -> Iterator[list[str]]:
    """The cells of each line."""
    yield [
        "operation",
        "ours (min / median)",
        "floor",
        "ours : floor",
        "best peer (median)",
        "ours better by",
        "budget",
        "",
    ]
    for budget in budgets:
        figures = rows.get(budget.id, [])
        floors = [figure for figure in figures if figure.kind == "floor"]
        peer = budget.best([figure for figure in figures if figure.kind == "peer"])
        floor = budget.best(floors)
        limit = "" if budget.budget is None else f"{budget.budget:g}"
        ours = [figure for figure in figures if figure.kind == "ours"]
        if not ours:
            yield [budget.operation, "not measured", "", "", "", "", limit, ""]
        for one in ours:
            least = floor.median if floor else budget.floor
            shown = number(least) + ("" if floor else " (elsewhere)") if least else ""
            over = ""
            if peer:
                pair = (one.median, peer.median)
                over = ratio(*(pair if budget.better == "higher" else reversed(pair)))
            yield [
                f"{budget.operation} ({one.name})" if len(ours) > 1 else budget.operation,
                both(one),
                shown,
                ratio(one.median, least) if least else "",
                f"{peer.name} {number(peer.median)}" if peer else "",
                over,
                limit,
                budget.verdict(one) if not one.drops else f"**{one.drops} dropped**",
            ]


def markdown(cells: Iterator[list[str]]) -> str:
    """A table as text that is aligned too."""
    lines = list(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = []
    for index, line in enumerate(lines):
        text.append("| " + " | ".join(map(str.ljust, line, widths)) + " |")
        if index == 0:
            text.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def everybody(rows: dict[str, list[Figure]], budgets: list[Budget]) -> Iterator[list[str]]:
    """Every candidate of every row."""
    yield ["operation", "candidate", "min / median", "rounds", "dropped", "note"]
    names = {budget.id: budget for budget in budgets}
    for row in [*names, *(row for row in rows if row not in names)]:
        budget = names.get(row, Budget(row, row))
        figures = sorted(rows.get(row, []), key=lambda figure: figure.median)
        if budget.better == "higher":
            figures.reverse()
        for figure in figures:
            name = f"**{figure.name}**" if figure.kind == "ours" else figure.name
            name = f"*floor:* {name}" if figure.kind == "floor" else name
            yield [
                f"{budget.operation} (`{row}`)",
                name,
                both(figure),
                str(figure.rounds),
                str(figure.drops),
                figure.note,
            ]
        if figures and budget.elsewhere:
            yield [f"{budget.operation} (`{row}`)", budget.elsewhere, "", "", "", "elsewhere"]


def latency(latencies: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Percentiles of single calls."""
    yield [
        "called from",
        "producers",
        "calls",
        "timer, its step",
        "p50",
        "p99",
        "p99.9",
        "max",
        "p99.9 : p50",
        "drain at work",
    ]
    for entry in latencies:
        tail = entry["p999"] / max(entry["p50"], 0.1)
        yield [
            entry["latency"],
            str(entry["producers"]),
            f"{entry['calls']:,}",
            f"{number(entry['timer_ns'])}, {number(entry['step_ns'])} ns",
            *(f"{number(entry[key])} ns" for key in ("p50", "p99", "p999", "max")),
            f"{tail:.1f} × ({'met' if tail <= 10 else '**not met**'})",
            f"{entry['drain_busy']:.0%}",
        ]


def said(*command: str) -> str:
    """The first line that a command prints; nothing if there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return (done.stdout.splitlines() or [""])[0].strip()


def machine() -> Iterator[list[str]]:
    """What the figures were measured on and with."""
    yield ["", ""]
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    load = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    lock = (HERE.parent / "Cargo.lock").read_text()
    versions = {}
    for name, version in re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"', lock):
        # Of several versions the newest is ours.
        versions[name] = version
    yield ["date", datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")]
    yield ["commit", said("git", "describe", "--always", "--dirty")]
    yield ["processor", f"{cpu[1] if cpu else platform.processor()}, {os.cpu_count()} cores"]
    yield ["memory", f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "?"]
    yield ["system", f"{platform.system()} {platform.release()}, virtual machine, shared"]
    yield ["load at the end", load]
    yield ["Rust", f"{said('rustc', '--version')}, release, fat LTO"]
    yield ["C and C++", f"{said('gcc', '--version')}, -O2"]
    yield ["Python", platform.python_version()]
    yield ["spdlog", said("pkg-config", "--modversion", "spdlog") or "not installed"]
    yield ["crates", ", ".join(f"{name} {versions[name]}" for name in CRATES if name in versions)]


PAGE = """# Results

Written by `make bench`: run it again, never edit it. Each figure is the minimum and the median of
rounds in which all candidates take turns; a rate's minimum is its best round. Nobody may drop a
record. "met" goes by the median.

{machine}

## Budgets

{table}

{missing}## Single calls

The processor's time-stamp counter read around each call, with fences, less the median of two
readings with nothing between them ("timer"). Where the counter moves in steps larger than a
nanosecond ("step"), no figure is finer. The drain writes into a file meanwhile, that share of the
time on a processor. The budget is a p99.9 of at most ten times the p50.

{latency}

## Everybody

{everybody}
"""


def main() -> int:
    """Read, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    rows, latencies = read(options.files)
    with (HERE / "budgets.toml").open("rb") as file:
        budgets = [Budget(**row) for row in tomllib.load(file)["row"]]
    budgets_table = markdown(table(rows, budgets))
    print(budgets_table)
    print()
    print(markdown(latency(latencies)))
    if options.out:
        missing = [budget.id for budget in budgets if budget.id not in rows]
        text = f"Not measured in this run: {', '.join(missing)}.\n\n" if missing else ""
        options.out.write_text(
            PAGE.format(
                machine=markdown(machine()),
                table=budgets_table,
                missing=text,
                latency=markdown(latency(latencies)),
                everybody=markdown(everybody(rows, budgets)),
            )
        )
    ours = [figure for figures in rows.values() for figure in figures if figure.kind == "ours"]
    return 1 if any(figure.drops for figure in ours) else 0


if __name__ == "__main__":
    sys.exit(main())

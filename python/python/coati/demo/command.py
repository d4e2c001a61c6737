"""The command: arguments, the run, the files, the summary."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import coati

from . import library, pace, report, summary
from .check import findings
from .progress import Progress
from .records import METRICS, RECORDS, REPORT, SUMMARY, load
from .style import Style
from .swarm import Swarm


class Usage(Exception):
    """What is wrong with the command line."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Leaves the printing to `main`."""
        raise Usage(message)


def main(argv: list[str] | None = None) -> int:
    """Runs the demo; gives the exit status."""
    try:
        options = _options(argv)
        _prepare(options.out)
        _init(options)
        return _run(options)
    except Usage as error:
        print(f"coati demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("coati demo: interrupted", file=sys.stderr)
        return 130


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="coati demo",
        description="A swarm of agents reads Python's standard library, and is watched doing it.",
    )
    parser.add_argument("--seconds", type=_seconds, default=5.0, help="how long (default: 5)")
    parser.add_argument("--agents", type=_count, default=8, help="number of workers (default: 8)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("coati-demo"),
        help="where files go (default: ./coati-demo)",
    )
    parser.add_argument("--files", type=_count, help="stop after so many files")
    parser.add_argument(
        "--seed", type=int, default=1, help="another order of the files (default: 1)"
    )
    parser.add_argument("--prometheus", metavar="HOST:PORT", help="serve metrics there meanwhile")
    parser.add_argument("--check", action="store_true", help="show each property that was verified")
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0 < value <= 86_400):
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 86400")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and 1000")
    return value


def _prepare(out: Path) -> None:
    """Makes the directory and removes what an earlier demo left in it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (RECORDS, METRICS, REPORT, SUMMARY):
            (out / name).unlink(missing_ok=True)
        (out / RECORDS).touch()
    except OSError as error:
        raise Usage(f"cannot write to {out}: {error.strerror or error}") from None


def _init(options: argparse.Namespace) -> None:
    # All that matters is said: an environment made for another program changes nothing here.
    limits = {"max_attributes": 128, "max_events": 128, "max_links": 128, "max_open": 10_000}
    config: dict[str, Any] = {
        "enabled": True,
        "durability": "memory",
        "logs": {"level": "debug", "levels": {}, "disabled": [], "max_fields": 128},
        "spans": {"sampler": "parentbased_always_on", **limits},
        "metrics": {"max_series": 2000},
        "ring": {"bytes": 1 << 20, "total_bytes": 1 << 28},
        "sinks": [{"type": "file", "path": str(options.out / RECORDS)}],
    }
    if options.prometheus:
        config["metrics"]["prometheus"] = options.prometheus
    try:
        coati.init("coati-demo", config=config)
    except coati.ConfigError as error:
        raise Usage(f"cannot start the engine: {error}") from None


def _run(options: argparse.Namespace) -> int:
    home = library.root()
    jobs = library.jobs(library.find(home), options.seed)
    if not jobs:
        raise Usage(f"there are no Python source files in {home}")
    if options.files:
        jobs = library.limit(jobs, options.files)
    if options.prometheus:
        print(f"metrics: curl http://{options.prometheus}/metrics", file=sys.stderr)
    swarm = asyncio.run(_swarm(options, home, jobs))
    facts = report.circumstances(swarm, str(home), options.seed)
    facts["pace"] = pace.measure()
    facts["flushed"] = coati.flush(30)
    facts["problems"] = coati.health()["problems"]
    facts |= report.statistics(swarm, report.tools_used())
    (options.out / METRICS).write_text(coati.metrics.prometheus_text(), encoding="utf-8")
    facts["ledger"] = coati.shutdown(30)
    (options.out / REPORT).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return _tell(options)


async def _swarm(options: argparse.Namespace, home: Path, jobs: list[library.Job]) -> Swarm:
    swarm = Swarm(home, jobs, options.agents, options.seed)
    showing = asyncio.create_task(Progress(swarm, options.seconds).show())
    try:
        with warnings.catch_warnings():
            # The library's tests contain what compilers warn about, on purpose.
            warnings.simplefilter("ignore")
            await swarm.run(options.seconds)
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing
    return swarm


def _tell(options: argparse.Namespace) -> int:
    records = load(options.out)
    verdict = findings(records, (options.out / METRICS).read_text(encoding="utf-8"))
    text = summary.write(Style(None), records, verdict, options.out)
    (options.out / SUMMARY).write_text(text, encoding="utf-8")
    style = Style(sys.stdout)
    print(summary.write(style, records, verdict, options.out))
    if options.check:
        print(summary.verdicts(style, verdict))
    return 0 if all(finding.ok for finding in verdict) else 1

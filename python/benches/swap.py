"""What a call costs before and after its library is swapped for coati, in one run.

    python swap.py [--rounds N]

Each round plays every case in turn; the minimum and the median per call are printed, and the ratio
of the medians. Both sides write to files. Nothing may be dropped.
"""

from __future__ import annotations

import argparse
import io
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coati.logging
import coati.loguru
import coati.structlog
import loguru
import structlog
from pythonjsonlogger.json import JsonFormatter

#: Calls in a row: fewer where the library is slow, so that rounds alternate quickly.
OURS, THEIRS = 5000, 500

Case = tuple[Callable[[], Callable[[int], None]], int]


def _logging(name: str, handler: logging.Handler | None) -> Callable[[], Callable[[int], None]]:
    logger = logging.getLogger(name)
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    if handler:
        logger.addHandler(handler)

    def prepare() -> Callable[[int], None]:
        coati.logging.uninstall()
        if not handler:
            coati.logging.install()

        def calls(n: int) -> None:
            info = logger.info
            for _ in range(n):
                info("plan ready", extra={"agent": "a1", "steps": 4, "took": 1.5, "ok": True})

        return calls

    return prepare


def _structlog(configuration: dict[str, Any]) -> Callable[[], Callable[[int], None]]:
    def prepare() -> Callable[[int], None]:
        structlog.configure(cache_logger_on_first_use=True, **configuration)
        logger = structlog.get_logger("bench").bind()

        def calls(n: int) -> None:
            info = logger.info
            for _ in range(n):
                info("plan ready", agent="a1", steps=4, took=1.5, ok=True)

        return calls

    return prepare


def _loguru(add: Callable[[], Any]) -> Callable[[], Callable[[int], None]]:
    def prepare() -> Callable[[int], None]:
        loguru.logger.remove()
        add()
        logger = loguru.logger.bind(agent="a1", steps=4, took=1.5, ok=True)

        def calls(n: int) -> None:
            info = logger.info
            for _ in range(n):
                info("plan ready")

        return calls

    return prepare


def _cases(folder: Path) -> dict[str, tuple[Case, Case]]:
    def file(name: str, formatter: logging.Formatter) -> logging.Handler:
        handler = logging.FileHandler(folder / name)
        handler.setFormatter(formatter)
        return handler

    keys = "%(asctime)s %(levelname)s %(name)s %(message)s"
    ours = _logging("bench.ours", None)
    before = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    lines: io.BufferedWriter = (folder / "structlog").open("ab")
    as_bytes: list[Any] = [
        *before,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
        lambda _logger, _method, line: line.encode(),
    ]
    filtering = structlog.make_filtering_bound_logger(logging.INFO)
    theirs = {
        "processors": as_bytes,
        "logger_factory": structlog.BytesLoggerFactory(lines),
        "wrapper_class": filtering,
    }
    swapped = {
        "processors": before[:1],
        "logger_factory": coati.structlog.LoggerFactory(),
        "wrapper_class": filtering,
    }
    serialized = folder / "loguru"
    return {
        "logging, plain file": (
            (_logging("bench.plain", file("plain", logging.Formatter(keys))), THEIRS),
            (ours, OURS),
        ),
        "logging, JSON file": (
            (_logging("bench.json", file("json", JsonFormatter(keys))), THEIRS),
            (ours, OURS),
        ),
        "structlog, JSON": ((_structlog(theirs), THEIRS), (_structlog(swapped), OURS)),
        "loguru, serialized file": (
            (_loguru(lambda: loguru.logger.add(serialized, serialize=True)), THEIRS),
            (_loguru(coati.loguru.install), OURS),
        ),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of all cases (15)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        sink = {"type": "file", "path": f"{folder}/coati.jsonl"}
        coati.init("swap", config={"sinks": [sink], "ring": {"bytes": 1 << 26}})
        cases = _cases(Path(folder))
        took: dict[tuple[str, int], list[float]] = {}
        for _ in range(rounds):
            for name, sides in cases.items():
                for side, (prepare, n) in enumerate(sides):
                    calls = prepare()
                    calls(10)
                    begun = time.perf_counter_ns()
                    calls(n)
                    took.setdefault((name, side), []).append((time.perf_counter_ns() - begun) / n)
                    coati.flush()
        books = coati.shutdown()["logs"]
        assert not books["dropped"], books
    print("| library | before (min / median) | through coati | ratio |")
    print("|---|---|---|---|")
    for name in cases:
        before, after = took[name, 0], took[name, 1]
        medians = statistics.median(before), statistics.median(after)
        print(
            f"| {name} | {min(before):,.0f} / {medians[0]:,.0f} ns "
            f"| {min(after):,.0f} / {medians[1]:,.0f} ns | {medians[0] / medians[1]:.1f} x |"
        )


if __name__ == "__main__":
    main()

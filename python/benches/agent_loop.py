"""What telemetry adds to a realistic agent loop: processor time and latency per turn.

    python agent_loop.py [--rounds N] [--turns N] [--concurrent N]

A turn is a model call of 50 ms (a timer), 3 tools, 20 log lines of 4 fields, 12 spans of 2 or 3
attributes and 30 updates of metrics with 2 labels; so many turns are under way at once, each
followed by the next. Each variant runs in a process of its own, all variants in turn, for several
rounds. Processor time is the process's, all its threads', until everything has been flushed; the
receiver is another process. What arrived in files and at the receiver is counted: a variant that
lost anything fails.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "tests")]

LINES, SPANS = 20, 12
#: Rows of the table: what records, and where lines and spans go. All count metrics in memory.
VARIANTS = {
    "nothing": ("nothing", "", ""),
    "native": ("coati, its own calls", "file", "file"),
    "native-otlp": ("coati, its own calls", "file", "OTLP"),
    "swapped": ("coati in place of the three libraries", "file", "file"),
    "swapped-otlp": ("coati in place of the three libraries", "file", "OTLP"),
    "libraries": (
        "logging + python-json-logger, opentelemetry-sdk, prometheus_client",
        "file",
        "OTLP",
    ),
}
Turn = Callable[[int], Awaitable[None]]
#: Prepares a variant: what flushes it.
Prepare = Callable[[Path, str], Callable[[], None]]


def _coati(folder: Path, endpoint: str) -> Callable[[], None]:
    import coati  # noqa: PLC0415 - only where it is measured

    file = {"type": "file", "path": str(folder / "lines.jsonl")}
    sinks: list[dict[str, Any]] = [file]
    if endpoint:
        file["signals"] = ["logs"]  # type: ignore[assignment]
        otlp = {"type": "otlp", "endpoint": endpoint, "protocol": "http/protobuf"}
        sinks.append({**otlp, "signals": ["spans"]})
    coati.init(
        "loop", config={"sinks": sinks, "ring": {"bytes": 1 << 25}, "logs": {"level": "debug"}}
    )

    def flush() -> None:
        assert coati.flush(120)
        for signal in ("logs", "spans"):
            assert not coati.ledger()[signal]["dropped"], coati.ledger()

    return flush


def _swapped(folder: Path, endpoint: str) -> Callable[[], None]:
    import coati.logging  # noqa: PLC0415
    import coati.otel  # noqa: PLC0415
    import coati.prometheus  # noqa: PLC0415

    flush = _coati(folder, endpoint)
    coati.logging.install()
    logging.getLogger("agent").setLevel(logging.DEBUG)
    coati.otel.install()
    coati.prometheus.install()
    return flush


def _libraries(folder: Path, endpoint: str) -> Callable[[], None]:
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415

    handler = logging.FileHandler(folder / "lines.jsonl")
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger("agent").addHandler(handler)
    logging.getLogger("agent").setLevel(logging.DEBUG)
    provider = TracerProvider()
    exporter = OTLPSpanExporter(f"{endpoint}/v1/traces")
    # Its queue of 2,048 would lose spans here.
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=1 << 20))
    trace.set_tracer_provider(provider)

    def flush() -> None:
        assert provider.force_flush(120_000)
        handler.flush()

    return flush


PREPARE: dict[str, tuple[str, Prepare]] = {
    "nothing": ("nothing", lambda folder, endpoint: lambda: None),
    "native": ("native", lambda folder, _: _coati(folder, "")),
    "native-otlp": ("native", _coati),
    "swapped": ("standard", lambda folder, _: _swapped(folder, "")),
    "swapped-otlp": ("standard", _swapped),
    "libraries": ("standard", _libraries),
}


async def _loop(turn: Turn, concurrent: int, turns: int) -> list[float]:
    """How long each turn took, in seconds."""
    took: list[float] = []

    async def one_after_the_other(worker: int) -> None:
        for number in range(turns):
            begun = time.perf_counter()
            await turn(worker * turns + number)
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*(one_after_the_other(worker) for worker in range(concurrent)))
    return took


def _measure(variant: str, folder: Path, endpoint: str, concurrent: int, turns: int) -> None:
    """In a process of its own: print the figures."""
    spelling, prepare = PREPARE[variant]
    flush = prepare(folder, endpoint)
    turn: Turn = importlib.import_module(f"agent_loops.{spelling}").turn
    # What happens once, such as the first look for a name.
    asyncio.run(_loop(turn, concurrent, 1))
    flush()
    gc.collect()
    begun, cpu = time.perf_counter(), time.process_time()
    took = asyncio.run(_loop(turn, concurrent, turns))
    flush()
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - begun
    took.sort()
    count = len(took)
    figures = {
        "cpu_us": cpu / count * 1e6,
        "median_ms": took[count // 2] * 1e3,
        "p99_ms": took[int(count * 0.99)] * 1e3,
        "turns_per_s": count / seconds,
    }
    print(json.dumps(figures))


def _run(variant: str, receiver: Any, concurrent: int, turns: int) -> dict[str, float]:
    _, lines_to, spans_to = VARIANTS[variant]
    with tempfile.TemporaryDirectory() as folder:
        endpoint = receiver.http if spans_to == "OTLP" else ""
        arguments = [variant, folder, endpoint, str(concurrent), str(turns)]
        command = [sys.executable, __file__, "--measure", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{variant} failed:\n{done.stderr}")
        wanted = concurrent * (turns + 1)
        lines = spans = 0
        if lines_to:
            with (Path(folder) / "lines.jsonl").open(encoding="utf-8") as file:
                for line in file:
                    spans += '"span":"' in line[:60]
                    lines += 1
        lines -= spans
        if spans_to == "OTLP":
            spans = sum(
                len(scope.spans)
                for request in receiver.take("traces")
                for resource in request.resource_spans
                for scope in resource.scope_spans
            )
        expected = (LINES * wanted, SPANS * wanted) if lines_to else (0, 0)
        assert (lines, spans) == expected, (variant, lines, spans, expected)
        figures: dict[str, float] = json.loads(done.stdout)
        return figures


def _added(rounds: dict[str, list[dict[str, float]]], variant: str, figure: str) -> list[float]:
    """What a variant adds to nothing: by the minima of the rounds, and by their medians."""
    ours, nothing = ([run[figure] for run in rounds[name]] for name in (variant, "nothing"))
    return [min(ours) - min(nothing), statistics.median(ours) - statistics.median(nothing)]


def _print(rounds: dict[str, list[dict[str, float]]]) -> None:
    slowest = {
        figure: _added(rounds, "libraries", figure)[1]
        for figure in ("cpu_us", "median_ms", "p99_ms")
    }
    print("| a turn with | lines / spans to | processor time | median | p99 | turns/s |")
    print("|---|---|---|---|---|---|")
    for variant, (name, lines, spans) in VARIANTS.items():
        runs = rounds[variant]
        rate = statistics.median(run["turns_per_s"] for run in runs)
        if variant == "nothing":
            of = {f: statistics.median(run[f] for run in runs) for f in slowest}
            cells = [
                f"{of['cpu_us']:.0f} us",
                f"{of['median_ms']:.1f} ms",
                f"{of['p99_ms']:.1f} ms",
            ]
        else:
            cells = []
            for figure, unit, digits in (
                ("cpu_us", "us", 0),
                ("median_ms", "ms", 1),
                ("p99_ms", "ms", 1),
            ):
                least, middle = _added(rounds, variant, figure)
                text = f"{least:+.{digits}f} / {middle:+.{digits}f} {unit}"
                # Less than that is the machine's own noise.
                if variant != "libraries" and middle > 0.5:
                    text += f" ({slowest[figure] / middle:.0f} x less)"
                cells.append(text)
        where = f"{lines} / {spans}" if lines else "-"
        print(f"| {name} | {where} | {' | '.join(cells)} | {rate:,.0f} |")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all variants (5)")
    parser.add_argument("--turns", type=int, default=10, help="turns one after the other (10)")
    parser.add_argument("--concurrent", type=int, default=200, help="turns at once (200)")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        variant, folder, endpoint, concurrent, turns = options.measure
        return _measure(variant, Path(folder), endpoint, int(concurrent), int(turns))
    from otlp_receiver import Receiver  # noqa: PLC0415 - not in the processes that are measured

    receiver = Receiver()
    rounds: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for number in range(options.rounds):
        # Not always in the same order: who comes after whom matters on a busy machine.
        order = list(VARIANTS) if number % 2 == 0 else list(VARIANTS)[::-1]
        for variant in order:
            rounds[variant].append(_run(variant, receiver, options.concurrent, options.turns))
    receiver.close()
    print(
        f"{options.concurrent} turns at once, {options.concurrent * options.turns} a round, "
        f"{options.rounds} rounds; what is added to a turn with nothing: minimum / median of the "
        "rounds (how much less than the libraries add, by the medians)\n"
    )
    _print(rounds)
    return None


if __name__ == "__main__":
    main()

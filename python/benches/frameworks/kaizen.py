"""What Kaizen's observability costs, and what coati's in its place does, in one run.

    python kaizen.py [--rounds N] [--entries N]

Each round plays every case on both in turn; minimum and median are printed, and the ratio of the
medians. A turn is one run of a base agent on the framework's mock model, with no hooks, with its
own and with coati's. Logs go to files on both sides, spans to a processor that throws them away,
audit entries to files without fsync. The engine runs; coati drops nothing.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import asyncio
import importlib
import io
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ["KAIZEN_ALLOW_KEYLESS_MOCK"] = "1"
# This file has the package's name.
sys.path[:] = [path for path in sys.path if Path(path).resolve() != Path(__file__).parent]

import coati
from coati.compat import kaizen as ours
from coati.compat.kaizen._plain import encode
from coati.compat.kaizen._storage import fields_of
from kaizen.core.base_agent import BaseAgent
from kaizen.core.config import BaseAgentConfig
from kaizen.signatures import InputField, OutputField, Signature
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

CALLS = 300
LABELS = {"provider": "openai", "status": "success"}
START = datetime(2026, 5, 1, tzinfo=timezone.utc)
#: Something to be called so many times, and once it is over.
Case = tuple[Callable[[int], None], Callable[[], object]]


def _theirs() -> SimpleNamespace:
    found = SimpleNamespace(__name__="kaizen")
    for name in ("observability", "hooks", "hooks.builtin"):
        module = importlib.import_module(f"kaizen.core.autonomy.{name}")
        for attribute in module.__all__:
            setattr(found, attribute, getattr(module, attribute))
    return found


class Nowhere(SpanExporter):
    """An exporter that throws spans away."""

    def export(self, spans: Any) -> SpanExportResult:
        """All is well."""
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to close."""


class Question(Signature):
    """What is asked and answered."""

    question: str = InputField(description="what is asked")
    answer: str = OutputField(description="what is answered")


def metrics(k: Any, kind: str) -> Case:
    """A counter or a histogram with two labels, in a collector that begins anew each round."""
    collector = k.MetricsCollector()
    record, name = getattr(collector, kind), f"api_{kind}"

    def calls(n: int) -> None:
        for _ in range(n):
            record(name, 1.5, LABELS)

    return calls, collector.reset


def logs(k: Any, folder: Path, way: str) -> Case:
    """Four fields, to a file as to the standard error, or below the level."""
    name = f"bench.{k.__name__}.{way}"
    logging.getLogger(name).propagate = False
    logger = k.StructuredLogger(name)
    (handler,) = logging.getLogger(name).handlers
    handler.setStream((folder / f"{name}.log").open("w"))
    log = logger.debug if way == "off" else logger.info

    def calls(n: int) -> None:
        ours.write_lines(way != "quiet")
        for _ in range(n):
            log("plan ready", agent="a1", steps=4, took=1.5, ok=True)
        ours.write_lines(True)

    return calls, lambda: None


def spans(k: Any, exporter: Any) -> Case:
    """A span of a hook event with four attributes of its own."""
    tracing = k.TracingManager("bench", batch_size=1_000_000, exporter=exporter)
    data = {"tool_name": "search", "steps": 4, "took": 1.5, "ok": True}
    context = k.HookContext(k.HookEvent.PRE_TOOL_USE, "a1", 1.0, data, {}, "trace")

    def calls(n: int) -> None:
        for _ in range(n):
            tracing.create_span_from_context(context).end()

    return calls, lambda: None


def appends(k: Any, folder: Path) -> Case:
    """Entries of a growing trail."""
    storage = k.FileAuditStorage(str(folder / f"append-{k.__name__}.jsonl"))
    entry = _entry(k, 1)

    def calls(n: int) -> None:
        async def run() -> None:
            for _ in range(n):
                await storage.append(entry)

        asyncio.run(run())

    return calls, lambda: None


def _entry(k: Any, n: int) -> Any:
    when = START + timedelta(seconds=n)
    details = {"tool": "bash", "command": "ls -la", "n": n}
    return k.AuditEntry(when, f"a{n % 100}", "tool_execute", details, "success", "u1", {"m": "x"})


def queries(k: Any, folder: Path, entries: int, **wanted: Any) -> Case:
    """One query of a long trail."""
    path = folder / f"query-{k.__name__}.jsonl"
    if not path.exists():
        storage = ours.FileAuditStorage(folder / "chained.jsonl")
        if k is ours:
            for n in range(entries):
                storage._write(encode(fields_of(_entry(k, n))))
            (folder / "chained.jsonl").rename(path)
        else:
            k.FileAuditStorage(str(path))
            with path.open("w") as file:
                for n in range(entries):
                    file.write(encode(fields_of(_entry(k, n))) + "\n")
    storage = k.FileAuditStorage(str(path))

    def calls(n: int) -> None:
        for _ in range(n):
            asyncio.run(storage.query(**wanted))

    return calls, lambda: None


def turns(k: Any | None, folder: Path) -> Case:
    """Runs of an agent, with hooks that log, count, trace and audit."""
    manager = None
    if k is not None:
        manager = k.HookManager()
        storage = k.FileAuditStorage(str(folder / f"turn-{k.__name__}.jsonl"))
        for hook in (
            k.LoggingHook(),
            k.MetricsHook(),
            k.TracingHook(k.TracingManager("bench", exporter=Nowhere())),
            k.AuditTrailHook(k.AuditTrailManager(storage)),
        ):
            manager.register_hook(hook)
    config = BaseAgentConfig(llm_provider="mock", model="mock-model")
    agent = BaseAgent(config=config, signature=Question(), hook_manager=manager, mcp_servers=[])

    def calls(n: int) -> None:
        with redirect_stdout(io.StringIO()):
            for _ in range(n):
                agent.run(question="what is it?")

    return calls, lambda: None


def timed(case: Case, n: int) -> float:
    """Nanoseconds per call."""
    calls, after = case
    start = time.perf_counter_ns()
    calls(n)
    spent = (time.perf_counter_ns() - start) / n
    after()
    return spent


def main() -> None:
    """Print what each costs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--entries", type=int, default=10_000)
    given = options.parse_args()
    theirs: Any = _theirs()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sink = {"type": "file", "path": str(folder / "out.jsonl")}
        coati.init("bench", config={"sinks": [sink]})
        rows: list[tuple[str, Case, Case, int, int]] = []

        def row(what: str, make: Callable[[Any], Case], n: int = CALLS, every: int = 1) -> None:
            rows.append((what, make(theirs), make(ours), n, every))

        row("counter, 2 labels", lambda k: metrics(k, "counter"), 3000)
        row("histogram, 2 labels", lambda k: metrics(k, "histogram"), 2000)
        row("log, 4 fields, its line too", lambda k: logs(k, folder, "line"))
        row("log, 4 fields, engine alone", lambda k: logs(k, folder, "quiet"))
        row("log, level off", lambda k: logs(k, folder, "off"))
        row("span", lambda k: spans(k, Nowhere() if k is theirs else None))
        row("span, foreign exporter", lambda k: spans(k, Nowhere()))
        row("audit append", lambda k: appends(k, folder), 100)
        n = given.entries
        row(f"query of {n:,}: all", lambda k: queries(k, folder, n), 1, 8)
        row(f"query of {n:,}: agent", lambda k: queries(k, folder, n, agent_id="a7"), 1, 8)
        late = START + timedelta(seconds=n - 100)
        row(f"query of {n:,}: time", lambda k: queries(k, folder, n, start_time=late), 1, 8)
        row("agent turn, all hooks", lambda k: turns(k, folder), 5)
        rows.append(("agent turn, none / coati", turns(None, folder), rows[-1][2], 5, 1))
        found: dict[str, tuple[list[float], list[float]]] = {what: ([], []) for what, *_ in rows}
        for number in range(given.rounds):
            for what, other, mine, n, every in rows:
                if number % every == 0:
                    for case, times in zip((other, mine), found[what], strict=True):
                        times.append(timed(case, n))
        books = coati.shutdown(60)
        dropped = sum(sum(books[signal]["dropped"].values()) for signal in ("logs", "spans"))
    print(f"{'µs, min / median':28} {'kaizen':>23} {'coati':>23} {'ratio':>8}")
    for what, (other, mine) in found.items():
        middle = statistics.median(other), statistics.median(mine)
        columns = [
            f"{min(times) / 1000:,.2f} / {statistics.median(times) / 1000:,.2f}"
            for times in (other, mine)
        ]
        print(f"{what:28} {columns[0]:>23} {columns[1]:>23} {middle[0] / middle[1]:6.1f} x")
    print(f"dropped: {dropped}")


if __name__ == "__main__":
    main()

"""What LangSwarm's observability costs a call: its own and coati's, interleaved in one process.

Needs LangSwarm (`pip install --no-deps langswarm`, `aiohttp`, `pyyaml`) and the folder of its tests
beside this one. `python langswarm.py` prints nanoseconds a call, minimum and median of the rounds,
and at the end an agent's turn with and without coati; LangSwarm's own provider breaks agents.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Not this file, which has the package's name.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]

import coati  # noqa: E402
import coati.compat.langswarm as ours  # noqa: E402
import langswarm.core.observability as theirs  # noqa: E402

ROUNDS, CALLS, TURNS = 30, 2000, 40
PROGRAM = Path(__file__).parents[2] / "tests" / "frameworks" / "langswarm"


def calls(side: Any, file: Path) -> dict[str, Callable[[], None]]:
    """What is measured, on one side."""
    config = side.ObservabilityConfig(log_output="file", log_file_path=str(file))
    metrics, logger, tracer = side.V2Metrics(config), side.V2Logger(config), side.V2Tracer(config)
    clock = iter(range(10**9))

    def counter() -> None:
        metrics.increment_counter("requests", agent="a1", status="ok")

    def histogram() -> None:
        metrics.record_histogram("latency", 12.5, agent="a1", status="ok")

    def log() -> None:
        logger.info("step done", "agent", step=3, tokens=120, model="gpt-4o", ok=True)

    def off() -> None:
        logger.debug("step done", "agent", step=3, tokens=120, model="gpt-4o", ok=True)

    def span() -> None:
        with tracer.start_span("step", agent="a1", step=3, model="gpt-4o", ok=True):
            pass
        # Theirs keeps all of them.
        if next(clock) % 1000 == 0:
            tracer.clear_completed_spans()

    return {"counter": counter, "histogram": histogram, "log": log, "level off": off, "span": span}


def clock_of(call: Callable[[], None]) -> float:
    """Nanoseconds of this thread's processor time a call."""
    many = range(CALLS)
    began = time.thread_time_ns()
    for _ in many:
        call()
    return (time.thread_time_ns() - began) / CALLS


def turn(chat: Callable[[], Any]) -> float:
    """Microseconds of an agent's turn."""
    began = time.thread_time_ns()
    asyncio.run(chat())
    return (time.thread_time_ns() - began) / TURNS / 1000


def agent_turns() -> dict[str, list[float]]:
    """An agent's turns without a provider and with coati's."""
    sys.path.insert(0, str(PROGRAM))
    import langswarm_program  # noqa: PLC0415 - LangSwarm's agents take our names by then

    async def chat() -> None:
        agent = langswarm_program.agent(*["fine"] * TURNS)
        for _ in range(TURNS):
            await agent._execute_chat("hello")

    took: dict[str, list[float]] = {"nothing": [], "coati": []}
    provider = ours.ObservabilityProvider(ours.ObservabilityConfig())
    for _ in range(ROUNDS):
        for name, installed in (("nothing", None), ("coati", provider)):
            ours.set_observability_provider(installed)
            took[name].append(turn(chat))
    return took


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        sink = {"type": "file", "path": f"{folder}/ours.jsonl"}
        coati.init("bench", config={"sinks": [sink], "logs": {"level": "info"}})
        sides = {
            "theirs": calls(theirs, Path(folder, "theirs.log")),
            "ours": calls(ours, Path(folder, "unused.log")),
        }
        took: dict[tuple[str, str], list[float]] = {}
        for number in range(ROUNDS + 1):
            for what in sides["theirs"]:
                for side, table in sides.items():
                    gc.collect()
                    cost = clock_of(table[what])
                    coati.flush()
                    if number:
                        took.setdefault((what, side), []).append(cost)
        print("ns a call     theirs min   median  ours min   median   ratio")
        for what in sides["theirs"]:
            there, here = took[what, "theirs"], took[what, "ours"]
            low, mid = (min(there), min(here)), (statistics.median(there), statistics.median(here))
            print(
                f"{what:12}{low[0]:12.0f}{mid[0]:9.0f}{low[1]:10.0f}{mid[1]:9.0f}"
                f"{mid[0] / mid[1]:7.1f}x"
            )
        books = coati.ledger()
        assert not any(sum(books[signal]["dropped"].values()) for signal in ("logs", "spans"))
        ours.install()
        turns = agent_turns()
        for name, each in turns.items():
            low, mid = min(each), statistics.median(each)
            print(f"agent's turn, {name:8}{low:9.0f} us min {mid:9.0f} us median")
        added = statistics.median(turns["coati"]) - statistics.median(turns["nothing"])
        print(f"added by coati: {added:.0f} us for 2 spans, 2 lines and 5 measurements")
        coati.shutdown()


if __name__ == "__main__":
    main()

"""Plays the same turn with nothing, with a framework's own output and with coati, interleaved."""

from __future__ import annotations

import argparse
import contextlib
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import coati

#: Sets up what is measured, and gives what writes out the rest.
Case = Callable[[], AbstractContextManager[Callable[[], object]]]


@contextlib.contextmanager
def recording() -> Iterator[Path]:
    """An engine that writes to a file; nothing may have been dropped at its end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.jsonl"
        coati.init("bench", config={"sinks": [{"type": "file", "path": str(path)}]})
        yield Path(folder)
        books = coati.shutdown(60)
        for signal in ("logs", "spans"):
            assert not sum(books[signal]["dropped"].values()), books


def spans_of(turn: Callable[[], object], case: Case) -> int:
    """How many spans a turn has."""
    with case():
        before = coati.ledger()["spans"]["recorded"]
        turn()
        return int(coati.ledger()["spans"]["recorded"] - before)


def compare(
    title: str, turn: Callable[[], object], cases: Mapping[str, Case], *, turns: int, rounds: int
) -> None:
    """Play all cases in turn, round by round, and print what a turn takes in each.

    The first case is the one that the others are compared with, the last one is coati.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=rounds)
    rounds = parser.parse_args().rounds
    names = list(cases)
    spans = spans_of(turn, cases[names[-1]])
    times: dict[str, list[float]] = {name: [] for name in names}
    used: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name, case in cases.items():
            with case() as finish:
                turn()
                gc.collect()
                began, processor = time.perf_counter(), time.process_time()
                for _ in range(turns):
                    turn()
                finish()
                took, spent = time.perf_counter() - began, time.process_time() - processor
            # The first round warms up.
            if number:
                times[name].append(took / turns * 1e6)
                used[name].append(spent / turns * 1e6)
    print(f"{title}: {spans} spans a turn, {rounds} rounds of {turns} turns, microseconds")
    print(f"{'':30}{'turn min':>10}{'median':>8}{'CPU min':>10}{'median':>8}", end="")
    print(f"{'a span adds: min':>18}{'median':>8}")
    for name in names:
        least, middle = min(times[name]), statistics.median(times[name])
        cpu, cpu_middle = min(used[name]), statistics.median(used[name])
        # Each round's own difference: what else the machine does is in both.
        pairs = zip(used[name], used[names[0]], strict=True)
        adds = statistics.median(mine - nothing for mine, nothing in pairs) / spans
        low = (cpu - min(used[names[0]])) / spans
        print(
            f"{name:30}{least:10.0f}{middle:8.0f}{cpu:10.0f}{cpu_middle:8.0f}{low:18.1f}{adds:8.1f}"
        )

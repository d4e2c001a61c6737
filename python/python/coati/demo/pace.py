"""What one recording call costs here: small bursts, the best of a few."""

from __future__ import annotations

import time
from collections.abc import Callable

import coati

BURSTS = 8
CALLS = 32


def measure() -> dict[str, float]:
    """Nanoseconds a call, by kind of call. The lines and spans are real and in the file, too."""
    log = coati.get_logger("pace")
    tracer = coati.get_tracer("pace")
    counter = coati.counter("pace_calls", description="Counter calls made to time them")

    def one_log() -> None:
        log.info("pace", agent_id=7, tokens=812, model="none", cached=True)

    def one_span() -> None:
        with tracer.span("call", agent_id=7, tokens=812, model="none", cached=True):
            pass

    def one_count() -> None:
        counter.add(1, agent_id=7, cached=True)

    with tracer.span("pace"):
        empty = _best(lambda: None)
        return {
            "log": _best(one_log) - empty,
            "span": _best(one_span) - empty,
            "counter": _best(one_count) - empty,
        }


def _best(call: Callable[[], None]) -> float:
    times = []
    for _ in range(BURSTS):
        began = time.perf_counter_ns()
        for _ in range(CALLS):
            call()
        times.append((time.perf_counter_ns() - began) / CALLS)
    return min(times)

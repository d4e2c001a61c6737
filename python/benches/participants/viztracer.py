"""viztracer: what it adds to each call of a function while it runs; no ids, no context."""

from __future__ import annotations

from pathlib import Path

import viztracer
from rows import WARM_UP, Participant, Row, timed


def calls(_: Path) -> Participant:
    """A call with the tracer at work over one without."""
    tracer = viztracer.VizTracer(verbose=0, file_info=False, ignore_c_function=True)

    def bare() -> None:
        pass

    def call(n: int) -> None:
        for _ in range(n):
            bare()

    def measure(n: int) -> float:
        call(WARM_UP)
        base = min(timed(call, n), timed(call, n))
        tracer.start()
        call(WARM_UP)
        spent = timed(call, n)
        tracer.stop()
        tracer.clear()
        return (spent - base) / n

    return Participant({"py_traced": Row(measure, "every call of the program, no ids, no context")})


PARTS = {"calls": calls}

"""The least that the same calls cost: floor.c, compiled here."""

from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from rows import TRACEPARENT, Participant


def build(folder: Path) -> None:
    """Compiles the module and makes it importable."""
    source = Path(__file__).resolve().parent.parent / "floor.c"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    out = folder / f"floor{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = f"-I{sysconfig.get_path('include')}"
    flags = ["-O2", "-shared", "-fPIC", include, str(source), "-o", str(out)]
    subprocess.run([*compiler, *flags], check=True)
    sys.path.insert(0, str(folder))


def calls(folder: Path) -> Participant:
    """One method for each kind of call."""
    build(folder)
    import floor as native  # noqa: PLC0415

    floor = native.Floor()
    made = Participant()
    logs(made, floor)
    spans(made, floor)
    metrics(made, floor)
    return made


def logs(made: Participant, floor) -> None:
    """Arguments copied behind a clock; nothing done at all."""

    def log(n: int) -> None:
        for _ in range(n):
            floor.copied("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    def log_off(n: int) -> None:
        for _ in range(n):
            floor.empty("plan ready")

    def log_off_4(n: int) -> None:
        for _ in range(n):
            floor.empty("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    made.calls("py_log", log).note = "clock read, arguments copied"
    made.calls("py_log_off", log_off).note = "an empty method"
    made.calls("py_log_off_4", log_off_4).note = "an empty method with the same arguments"


def spans(made: Participant, floor) -> None:
    """Objects that are set in a context variable and reset."""

    def span(n: int) -> None:
        for _ in range(n):
            with floor.span("plan", steps=4, model="gpt-4o", cost=0.25, ok=True):
                pass

    def unsampled(n: int) -> None:
        for _ in range(n):
            with floor.same_span("plan", steps=4, model="gpt-4o", cost=0.25, ok=True):
                pass

    def bare() -> None:
        pass

    traced = floor.trace(bare)

    def call_bare(n: int) -> None:
        for _ in range(n):
            bare()

    def call(n: int) -> None:
        for _ in range(n):
            traced()

    headers: dict[str, str] = {}
    incoming = {"traceparent": TRACEPARENT}

    def inject(n: int) -> None:
        for _ in range(n):
            floor.inject(headers)

    def extract(n: int) -> None:
        for _ in range(n):
            floor.extract(incoming)

    made.calls("py_span", span).note = "clocks, arguments copied, context variable set and reset"
    made.calls("py_span_unsampled", unsampled).note = "`with` over one object that does nothing"
    made.calls("py_traced", call, bare=call_bare).note = "clocks, context variable set and reset"
    made.calls("py_inject", inject)
    made.calls("py_extract", extract)


def metrics(made: Participant, floor) -> None:
    """Plain memory written."""

    def add(n: int) -> None:
        for _ in range(n):
            floor.add()

    def add_labels(n: int) -> None:
        for _ in range(n):
            floor.add_labels(1, agent="a1", ok=True, tool="search", tier=1)

    def record(n: int) -> None:
        for _ in range(n):
            floor.record(12.3)

    def record_labels(n: int) -> None:
        for _ in range(n):
            floor.record_labels(12.3, agent="a1", ok=True, tool="search", tier=1)

    made.calls("py_counter", add)
    made.calls("py_counter_4labels", add_labels).note = "labels compared by identity"
    made.calls("py_histogram", record)
    made.calls("py_histogram_4labels", record_labels).note = "labels compared by identity"


def roots(folder: Path) -> Participant:
    """A span of its own that records nothing."""
    build(folder)
    import floor as native  # noqa: PLC0415

    floor = native.Floor()

    def root(n: int) -> None:
        for _ in range(n):
            with floor.root("plan", steps=4, model="gpt-4o", cost=0.25, ok=True):
                pass

    made = Participant()
    made.calls("py_span_unsampled", root).note = "a root: context variable set and reset"
    return made


PARTS = {"calls": calls, "roots": roots}

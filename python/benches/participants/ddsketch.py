"""ddsketch, which has no labels."""

from __future__ import annotations

from pathlib import Path

from ddsketch import DDSketch
from rows import Participant


def calls(_: Path) -> Participant:
    """A value into one sketch."""
    add = DDSketch(0.006).add

    def loop(n: int) -> None:
        for _ in range(n):
            add(12.3)

    made = Participant()
    made.calls("py_histogram", loop)
    return made


PARTS = {"calls": calls}

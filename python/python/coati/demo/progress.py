"""What is shown while the swarm works: one moving line on a terminal, else a few lines."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time

import coati

from .style import Style, cut
from .swarm import Swarm

TURN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Progress:
    """Shows how far a swarm is, on standard error."""

    def __init__(self, swarm: Swarm, seconds: float) -> None:
        self.swarm = swarm
        self.seconds = seconds
        self.style = Style(sys.stderr)
        self.moving = sys.stderr.isatty() and not self.style.ascii
        self.began = time.perf_counter()

    async def show(self) -> None:
        """Runs until cancelled."""
        turn = 0
        try:
            while True:
                await asyncio.sleep(0.1 if self.moving else max(1.0, self.seconds / 4))
                if self.moving:
                    self._rewrite(f"{self.style('cyan', TURN[turn % len(TURN)])} ", self._line())
                    turn += 1
                else:
                    print(self._line(), file=sys.stderr, flush=True)
        finally:
            if self.moving:
                self._rewrite("", "")

    def _line(self) -> str:
        tally = self.swarm.tally
        elapsed = time.perf_counter() - self.began
        spans = coati.ledger()["spans"]["recorded"]
        return (
            f"{elapsed:4.1f} of {self.seconds:g} s   {tally.files:,} files, "
            f"{tally.jobs:,} jobs done, {self.swarm.waiting()} letters waiting, "
            f"{tally.sent_back} sent back, {spans:,} spans"
        )

    def _rewrite(self, front: str, text: str) -> None:
        columns = shutil.get_terminal_size().columns - 3
        print(f"\r\x1b[2K{front}{cut(text, columns)}", end="", file=sys.stderr, flush=True)

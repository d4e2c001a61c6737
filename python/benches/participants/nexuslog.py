"""nexuslog, which takes a text: the fields as JSON by orjson."""

from __future__ import annotations

import time
from pathlib import Path

import nexuslog
import orjson
from rows import Participant

#: Lines that its writer gathers.
BATCH = 32
#: Seconds after which nothing more comes.
STILL = 1.0


def calls(folder: Path) -> Participant:
    """Timestamps as numbers, as is quickest."""
    nexuslog.basicConfig(filename=str(folder / "lines"), level=nexuslog.INFO, unix_ts=True)
    log = nexuslog.getLogger("bench")
    off = nexuslog.getLogger("off", nexuslog.ERROR)
    dumps = orjson.dumps
    written = Written(folder)

    def loop(n: int) -> None:
        for _ in range(n):
            log.info(
                dumps(
                    {
                        "message": "plan ready",
                        "service": "bench",
                        "steps": 4,
                        "model": "gpt-4o",
                        "cost": 0.25,
                        "ok": True,
                    }
                ).decode()
            )
        written.lines += n

    def log_off(n: int) -> None:
        for _ in range(n):
            off.info("plan ready")

    made = Participant()
    made.calls("py_log", loop)
    made.calls("py_log_off", log_off)
    made.lines(loop, written.wait)
    return made


class Written:
    """It has no flush: the file's lines, all of one length, say how far its writer is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines = 0
        self.length = 0

    def wait(self) -> None:
        """Until all but a batch are in the file, or nothing more comes: each thread has a batch."""
        moved, before = time.monotonic(), -1
        while (now := time.monotonic()) - moved < STILL:
            arrived = self.arrived()
            if self.lines - arrived < BATCH:
                return
            if arrived != before:
                moved, before = now, arrived
            time.sleep(0.0001)
        self.lines = before

    def arrived(self) -> int:
        """Lines in the file."""
        file = next(iter(self.folder.glob("lines*")), None)
        if file is None:
            return 0
        if not self.length:
            with file.open("rb") as first:
                self.length = len(first.readline())
        return file.stat().st_size // self.length if self.length else 0


PARTS = {"calls": calls}

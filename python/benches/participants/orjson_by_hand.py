"""A dict, orjson and a buffered file: what one would write without a library."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import orjson
from rows import Participant


def calls(folder: Path) -> Participant:
    """A function that a program would call."""
    file = (folder / "lines.jsonl").open("wb")
    write, dumps, now, utc = file.write, orjson.dumps, datetime.now, timezone.utc

    def info(message: str, **fields: object) -> None:
        line = {
            "timestamp": now(utc),
            "level": "info",
            "logger": "bench",
            "message": message,
            "service": "bench",
            **fields,
        }
        write(dumps(line) + b"\n")

    def loop(n: int) -> None:
        for _ in range(n):
            info("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    made = Participant()
    made.calls("py_log", loop)
    made.lines(loop, file.flush)
    return made


PARTS = {"calls": calls}

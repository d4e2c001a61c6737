"""loguru with a sink of its own that serializes by orjson, as its recipes advise."""

from __future__ import annotations

from pathlib import Path

import orjson
from loguru import logger
from rows import Participant


def calls(folder: Path) -> Participant:
    """A buffered file, no back traces."""
    file = (folder / "lines.jsonl").open("wb")

    def sink(message: object) -> None:
        record = message.record  # type: ignore[attr-defined]
        line = {
            "timestamp": record["time"].timestamp(),
            "level": record["level"].name,
            "logger": "bench",
            "message": record["message"],
            "service": "bench",
            **record["extra"],
        }
        file.write(orjson.dumps(line) + b"\n")

    logger.remove()
    logger.add(sink, level="INFO", format="", backtrace=False, diagnose=False, catch=False)

    def loop(n: int) -> None:
        for _ in range(n):
            logger.info("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    def log_off(n: int) -> None:
        for _ in range(n):
            logger.debug("plan ready")

    def log_off_4(n: int) -> None:
        for _ in range(n):
            logger.debug("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    made = Participant()
    made.calls("py_log", loop)
    made.calls("py_log_off", log_off)
    made.calls("py_log_off_4", log_off_4)
    made.lines(loop, file.flush)
    return made


PARTS = {"calls": calls}

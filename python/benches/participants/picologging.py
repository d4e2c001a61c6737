"""picologging with its own file handler; its formatter knows no JSON, so the line is a pattern."""

from __future__ import annotations

from pathlib import Path

import picologging
from rows import Participant

PATTERN = (
    '{"timestamp":"%(asctime)s","level":"%(levelname)s","logger":"%(name)s",'
    '"message":"%(message)s,"service":"bench"}'
)
FIELDS = 'plan ready","steps":%d,"model":"%s","cost":%s,"ok":%s'


def calls(folder: Path) -> Participant:
    """The fields as arguments of the message; nothing is escaped."""
    handler = picologging.FileHandler(str(folder / "lines.jsonl"))
    handler.setFormatter(picologging.Formatter(PATTERN))
    log = picologging.Logger("bench", picologging.INFO)
    log.addHandler(handler)

    def loop(n: int) -> None:
        for _ in range(n):
            log.info(FIELDS, 4, "gpt-4o", 0.25, True)

    def log_off(n: int) -> None:
        for _ in range(n):
            log.debug("plan ready")

    def log_off_4(n: int) -> None:
        for _ in range(n):
            log.debug("plan ready", extra={"steps": 4, "model": "gpt-4o", "cost": 0.25, "ok": True})

    made = Participant()
    made.calls("py_log", loop).note = "fields formatted into the message, nothing escaped"
    made.calls("py_log_off", log_off)
    made.calls("py_log_off_4", log_off_4)
    made.lines(loop, handler.flush, threads=False)  # They deadlock.
    return made


PARTS = {"calls": calls}

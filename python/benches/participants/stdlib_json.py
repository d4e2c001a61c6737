"""logging with python-json-logger on orjson, without what its documentation says to switch off."""

from __future__ import annotations

import logging
from pathlib import Path

from pythonjsonlogger.orjson import OrjsonFormatter
from rows import Participant


def calls(folder: Path) -> Participant:
    """A file handler of its own, no thread, process and task names, no call sites."""
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging.logAsyncioTasks = False
    logging._srcfile = None
    handler = logging.FileHandler(folder / "lines.jsonl")
    handler.setFormatter(
        OrjsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "timestamp", "levelname": "level", "name": "logger"},
            static_fields={"service": "bench"},
        )
    )
    log = logging.getLogger("bench")
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.INFO)
    info, debug = log.info, log.debug

    def loop(n: int) -> None:
        for _ in range(n):
            info("plan ready", extra={"steps": 4, "model": "gpt-4o", "cost": 0.25, "ok": True})

    def log_off(n: int) -> None:
        for _ in range(n):
            debug("plan ready")

    def log_off_4(n: int) -> None:
        for _ in range(n):
            debug("plan ready", extra={"steps": 4, "model": "gpt-4o", "cost": 0.25, "ok": True})

    made = Participant()
    made.calls("py_log", loop)
    made.calls("py_log_off", log_off)
    made.calls("py_log_off_4", log_off_4)
    made.lines(loop, handler.flush)
    return made


PARTS = {"calls": calls}

"""structlog as its performance guide advises."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson
import structlog
from rows import Participant


def calls(folder: Path) -> Participant:
    """Cached logger, level-filtering class, BytesLogger, orjson."""
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory((folder / "lines.jsonl").open("wb")),
    )
    log = structlog.get_logger().bind(logger="bench", service="bench")

    def loop(n: int) -> None:
        for _ in range(n):
            log.info("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    def log_off(n: int) -> None:
        for _ in range(n):
            log.debug("plan ready")

    def log_off_4(n: int) -> None:
        for _ in range(n):
            log.debug("plan ready", steps=4, model="gpt-4o", cost=0.25, ok=True)

    made = Participant()
    made.calls("py_log", loop)
    made.calls("py_log_off", log_off)
    made.calls("py_log_off_4", log_off_4)
    made.lines(loop, lambda: None)
    return made


PARTS = {"calls": calls}

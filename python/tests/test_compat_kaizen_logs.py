"""``coati.compat.kaizen.StructuredLogger``: lines, and what is recorded."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import coati
import coati.logging
import pytest
from coati.compat.kaizen import LogEntry, LoggingManager, StructuredLogger, write_lines
from conftest import Engine, Program

KEYS = ["timestamp", "level", "message", "context", "agent_id", "trace_id", "span_id"]


class Noted:
    """Notes that it was looked at."""

    def __init__(self) -> None:
        self.seen = 0

    def __str__(self) -> str:
        self.seen += 1
        return "noted"


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the logger called as the test writes."""
    stream = io.StringIO()
    logger = logging.getLogger(request.node.name)
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)


@pytest.fixture
def logger(request: pytest.FixtureRequest, stream: io.StringIO) -> StructuredLogger:
    """That logger."""
    return StructuredLogger(request.node.name)


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_the_keys_in_their_order(logger: StructuredLogger, stream: io.StringIO) -> None:
    logger.info("plan ready", steps=4)
    logger.add_context(agent_id="a1", trace_id="t1", span_id="s1")
    logger.warning('more "text"', steps=5, agent_id="a2")
    logger.clear_context()
    logger.critical("end")
    first, second, third = parsed(stream)
    assert list(first) == list(second) == KEYS
    when = datetime.fromisoformat(first.pop("timestamp"))
    assert when.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - when) < timedelta(minutes=10)
    assert list(first.values()) == ["INFO", "plan ready", {"steps": 4}, None, None, None]
    context = {"agent_id": "a2", "trace_id": "t1", "span_id": "s1", "steps": 5}
    assert list(second.values())[1:] == ["WARNING", 'more "text"', context, "a1", "t1", "s1"]
    assert third["context"] == {}


def test_below_the_level_nothing_is_made(logger: StructuredLogger, stream: io.StringIO) -> None:
    noted = Noted()
    logger.debug("x", value=noted)
    assert (noted.seen, stream.getvalue()) == (0, "")
    logger.info("x", value=noted)
    assert noted.seen == 1
    assert parsed(stream)[0]["context"] == {"value": "noted"}


def test_any_value_makes_a_valid_line(logger: StructuredLogger, stream: io.StringIO) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    circle: list[Any] = []
    circle.append(circle)
    logger.info("x", nan=float("nan"), what=Broken(), raw=b"ab", keys={(1, 2): {3}, None: 1})
    logger.info("x", circle=circle, big=10**5000, lone="\ud800")
    first, second = parsed(stream)
    assert first["context"]["nan"] == "NaN"
    assert first["context"]["what"] == "<unprintable Broken>"
    assert first["context"]["raw"] == "YWI="
    assert first["context"]["keys"] == {"(1, 2)": "{3}", "null": 1}
    assert set(second["context"]) == {"circle", "big", "lone"}


def test_entries_made_elsewhere(logger: StructuredLogger, stream: io.StringIO) -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    logger.log_entry(LogEntry(when, "ERROR", "failed", {"a": 1}, "a1", "t1"))
    assert list(parsed(stream)[0].items()) == list(
        zip(KEYS, [when.isoformat(), "ERROR", "failed", {"a": 1}, "a1", "t1", None], strict=True)
    )


def test_entries_whose_names_are_no_texts(
    engine: Engine, logger: StructuredLogger, stream: io.StringIO
) -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    context: dict[Any, Any] = {1: "one", None: "none", "message": "m"}
    logger.log_entry(LogEntry(when, "ERROR", "failed", context))
    line = engine.log()
    assert (line["message"], line["1"], line["null"]) == ("failed", "one", "none")
    assert parsed(stream)[0]["context"] == {"1": "one", "null": "none", "message": "m"}


def test_it_is_recorded_once(engine: Engine, logger: StructuredLogger, stream: io.StringIO) -> None:
    for swapped in (False, True):
        if swapped:
            coati.logging.install()
        logger.add_context(agent_id="a1", trace_id="t1")
        logger.info("plan ready", steps=4)
        coati.logging.uninstall()
        line = engine.log()
        assert (line["level"], line["message"]) == ("info", "plan ready")
        assert (line["logger"], line["steps"], line["agent_id"]) == (logger._name, 4, "a1")
        assert line["field.trace_id"] == "t1"
    assert len(parsed(stream)) == 2


def test_the_standard_error_unless_it_is_not_wanted(program: Program) -> None:
    program.run(
        """
        import coati
        from coati.compat.kaizen import StructuredLogger, write_lines
        logger = StructuredLogger("agent")
        logger.warning("before init")
        coati.init("t", config={"sinks": [SINK]})
        logger.info("with engine", a=1)
        write_lines(False)
        logger.info("quiet", a=1)
        coati.shutdown()
        logger.warning("after shutdown")
        """
    )
    lines = [json.loads(line) for line in program.stderr.splitlines()]
    assert [line["message"] for line in lines] == ["before init", "with engine", "after shutdown"]
    assert program.messages() == ["with engine", "quiet"]


def test_the_manager(engine: Engine) -> None:
    manager = LoggingManager()
    one = manager.get_logger("kaizen-manager-one")
    assert manager.get_logger("kaizen-manager-one") is one
    two = manager.get_logger("kaizen-manager-two")
    assert manager.get_logger_count() == 2
    assert manager.get_all_loggers() == {"kaizen-manager-one": one, "kaizen-manager-two": two}
    one.add_context(a=1)
    assert one.get_context() == {"a": 1}
    manager.clear_all_context()
    assert one.get_context() == {}
    manager.set_log_level("ERROR")
    write_lines(False)
    try:
        one.warning("no")
        two.error("yes")
    finally:
        write_lines(True)
    assert engine.log()["message"] == "yes"

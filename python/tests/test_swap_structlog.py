"""structlog through coati, beside its own JSON output."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
from collections.abc import Iterator
from typing import Any

import coati.logging
import coati.structlog
import pytest
import structlog

BEFORE = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.StackInfoRenderer(),
    structlog.processors.TimeStamper(fmt="iso"),
]


@pytest.fixture(autouse=True)
def reset() -> Iterator[None]:
    """Leave structlog as it was."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def reset_logging() -> Iterator[None]:
    """Leave the root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    coati.structlog.uninstall()
    coati.logging.uninstall()
    logging.setLoggerClass(logging.Logger)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("quiet").setLevel("NOTSET")


STANDARD = {"rendered", "formatter"}
TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ][0-9:.]+Z?")


def play(log: Any) -> None:
    """A program's calls of every kind."""
    log.debug("plain")
    log.info("fields", a=1, b="two", c=3.5, d=True, e=None, f=[1, {"g": 2}])
    bound = log.bind(session="s1")
    bound.warning("bound", step=2)
    bound.unbind("session").error("unbound")
    with structlog.contextvars.bound_contextvars(user="u1"):
        log.critical("context")
    log.info("formatted %s %d", "one", 2)
    try:
        raise KeyError("missing")
    except KeyError:
        log.exception("failed", step=3)
        log.error("told", exc_info=True)


@pytest.mark.parametrize("way", ["factory", "processor"])
def test_records_are_those_of_structlog(engine: Any, way: str) -> None:
    stream = io.StringIO()
    render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(BEFORE + render, logger_factory=structlog.PrintLoggerFactory(stream))
    play(structlog.get_logger("planner"))
    theirs = [json.loads(line) for line in stream.getvalue().splitlines()]
    if way == "factory":
        structlog.configure(BEFORE, logger_factory=coati.structlog.LoggerFactory())
    else:
        factory = structlog.PrintLoggerFactory(stream)
        structlog.configure([*BEFORE, coati.structlog.Processor()], logger_factory=factory)
    play(structlog.get_logger("planner"))
    ours = engine.logs()
    assert len(ours) == len(theirs) == 8
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["message"] == other.pop("event")
        assert mine["level"] == other.pop("level")
        assert mine["logger"] == ("planner" if way == "factory" else "structlog")
        del other["timestamp"]
        trace = other.pop("exception", None)
        if trace:
            assert mine["exception.stacktrace"].strip() == trace.strip()
            assert mine["exception.type"] == "KeyError"
        standard = {"timestamp", "level", "logger", "message", "service"}
        fields = {key: mine[key] for key in mine if key not in standard}
        assert {k: v for k, v in fields.items() if not k.startswith("exception.")} == other
    assert stream.getvalue().count("\n") == 8, "nothing more was printed"


def test_names_stacks_and_rendered_exceptions(engine: Any) -> None:
    processors = [*BEFORE, structlog.processors.format_exc_info]
    structlog.configure(processors, logger_factory=coati.structlog.LoggerFactory())
    structlog.get_logger().info("here", stack_info=True)
    try:
        raise ValueError("bad")
    except ValueError:
        structlog.get_logger("named").exception("failed")
    line, failed = engine.logs()
    assert line["logger"] == __name__
    assert "test_names_stacks" in line["code.stacktrace"]
    assert failed["logger"] == "named"
    assert any("ValueError: bad" in str(value) for value in failed.values())


def test_spans_and_the_standard_librarys_wrapper(engine: Any) -> None:
    structlog.configure(
        [structlog.stdlib.add_log_level, structlog.stdlib.PositionalArgumentsFormatter()],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=coati.structlog.LoggerFactory(),
    )
    with coati.get_tracer("t").span("s") as span:
        structlog.get_logger("std").info("a %s", "b", step=1)
    (line,) = engine.logs()
    assert (line["message"], line["step"]) == ("a b", 1)
    assert line["span_id"] == span.span_id


WRAP = structlog.stdlib.ProcessorFormatter.wrap_for_formatter


@pytest.mark.parametrize("way", ["print", "default", "rendered", "formatter"])
def test_beside_what_the_program_does(engine: Any, way: str, reset_logging: Any) -> None:
    before = structlog.BoundLoggerBase._process_event
    stream = io.StringIO()
    if way == "default":
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(stream))
    elif way == "print":
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        structlog.configure(BEFORE + render, logger_factory=structlog.PrintLoggerFactory(stream))
    else:
        handler = logging.StreamHandler(stream)
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if way == "formatter":
            renderer = structlog.processors.JSONRenderer()
            handler.setFormatter(structlog.stdlib.ProcessorFormatter(renderer))
            render = [structlog.processors.format_exc_info, WRAP]
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel("DEBUG")
        structlog.configure(
            [*BEFORE, *render],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        coati.logging.install()
    play(structlog.get_logger("planner"))
    alone = stream.getvalue()
    stream.truncate(0)
    stream.seek(0)
    engine.logs()
    coati.structlog.install()
    coati.structlog.install()
    play(structlog.get_logger("planner"))
    assert TIMES.sub("", stream.getvalue()) == TIMES.sub("", alone)
    ours = engine.logs()
    # By way of `logging` structlog leaves arguments to a processor that is not there.
    formatted = "formatted %s %d" if way in STANDARD else "formatted one 2"
    messages = ["plain", "fields", "bound", "unbound", "context", formatted, "failed", "told"]
    assert [line["message"] for line in ours] == messages
    assert (ours[1]["a"], ours[1]["f"]) == (1, [1, {"g": 2}])
    assert (ours[2]["session"], ours[2]["step"]) == ("s1", 2)
    assert ours[4]["level"] == "critical"
    assert ours[4]["user"] == "u1"
    assert ours[6]["exception.type"] == ours[7]["exception.type"] == "KeyError"
    assert ours[6]["step"] == 3
    name = "planner" if way in STANDARD else __name__
    assert {line["logger"] for line in ours} == {name}
    for line in ours:
        assert not {"_name", "_logger", "exception"} & set(line)
    coati.structlog.uninstall()
    assert structlog.BoundLoggerBase._process_event is before
    play(structlog.get_logger("planner"))
    assert all("session" not in line for line in engine.logs())


def test_places_are_the_callers(engine: Any, reset_logging: Any) -> None:
    coati.configure(logs={"call_sites": True})
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(filename)s %(message)s"))
    logging.getLogger().addHandler(handler)
    # It gives `logging` a class of loggers that look for their callers themselves.
    structlog.configure([WRAP], logger_factory=structlog.stdlib.LoggerFactory())
    coati.logging.install("INFO")
    logging.getLogger("made now").info("here")
    assert stream.getvalue() == f"{os.path.basename(__file__)} here\n"
    assert engine.log()["code.file"] == __file__


def test_methods_that_are_awaited(engine: Any, reset_logging: Any) -> None:
    coati.structlog.install()

    async def main() -> None:
        await structlog.get_logger().ainfo("awaited", a=1)

    with coati.get_tracer("t").span("s") as span:
        asyncio.run(main())
    line = next(line for line in engine.records() if "message" in line)
    assert (line["message"], line["a"], line["logger"]) == ("awaited", 1, __name__)
    assert line["span_id"] == span.span_id


def test_levels_and_drops_are_the_programs(engine: Any, reset_logging: Any) -> None:
    coati.structlog.install()
    with structlog.testing.capture_logs() as captured:
        structlog.get_logger().info("captured")
    assert [line["event"] for line in captured] == ["captured"]
    structlog.configure(
        [structlog.stdlib.filter_by_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(20),
    )
    logging.getLogger("quiet").setLevel("ERROR")
    engine.logs()
    for _ in range(2):
        structlog.get_logger("quiet").debug("below structlog's")
        structlog.get_logger("quiet").warning("below the logger's")
        structlog.get_logger("quiet").error("kept", a=1)
        coati.logging.install()
    kept, again = engine.logs()
    for line in (kept, again):
        assert (line["message"], line["a"], line["logger"]) == ("kept", 1, "quiet")

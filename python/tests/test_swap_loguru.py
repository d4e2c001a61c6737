"""loguru through coati, beside its own serialized output."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import coati.loguru
import pytest
from loguru import logger


@pytest.fixture(autouse=True)
def reset() -> Iterator[None]:
    """Leave loguru as it begins."""
    yield
    coati.loguru.uninstall()


def play() -> None:
    """A program's calls of every kind."""
    logger.trace("below debug")
    logger.debug("plain")
    logger.info("arguments {} {name}", 1, name="two")
    logger.success("between")
    logger.bind(session="s1", step=2).warning("bound")
    with logger.contextualize(user="u1"):
        logger.error("context", f=[1, {"g": 2}])
    try:
        raise KeyError("missing")
    except KeyError:
        logger.exception("failed")
        logger.opt(exception=True).critical("told")


def test_records_are_those_of_loguru(engine: Any) -> None:
    stream = io.StringIO()
    coati.loguru.install()
    logger.add(stream, level=0, serialize=True, diagnose=False)
    play()
    theirs = [json.loads(line)["record"] for line in stream.getvalue().splitlines()]
    ours = engine.logs()
    assert len(ours) == len(theirs) == 8
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["message"] == other["message"]
        assert mine["logger"] == other["name"] == __name__
        name = other["level"]["name"]
        expected = {"TRACE": "debug", "SUCCESS": "info"}.get(name, name.lower())
        assert mine["level"] == expected
        assert mine.get("level_name", name) == name
        assert ("level_name" in mine) == (name in {"TRACE", "SUCCESS"})
        assert {key: mine.get(key) for key in other["extra"]} == other["extra"]
        if other["exception"]:
            assert mine["exception.type"] == other["exception"]["type"] == "KeyError"
            assert "KeyError: 'missing'" in mine["exception.stacktrace"]


def test_ids_for_other_sinks_and_places(engine: Any) -> None:
    coati.configure(logs={"call_sites": True})
    coati.loguru.install("INFO")
    others: list[Any] = []
    logger.add(lambda message: others.append(message.record["extra"]))
    with coati.get_tracer("t").span("s") as span:
        logger.debug("below")
        logger.info("inside")
    logger.info("outside")
    inside, outside = engine.logs()
    assert others[-2:] == [{"trace_id": span.trace_id, "span_id": span.span_id}, {}]
    assert inside["trace_id"] == span.trace_id
    assert not [key for key in inside if key.startswith("field.")]
    assert "trace_id" not in outside
    assert inside["code.file"] == __file__
    with pytest.raises(ValueError, match="LOUD"):
        coati.loguru.install("LOUD")


def test_sinks_may_stay(engine: Any) -> None:
    stream = io.StringIO()
    logger.remove()
    logger.add(stream, format="{message}")
    coati.loguru.install(keep=True)
    coati.loguru.install(keep=True)
    logger.info("twice")
    assert stream.getvalue() == "twice\n"
    assert [line["message"] for line in engine.logs()] == ["twice"]


def test_beside_sinks_of_the_program(engine: Any) -> None:
    extras: list[Any] = []
    own_methods = type(logger).add, type(logger).remove
    coati.loguru.install(beside=True)
    coati.loguru.install(beside=True)
    logger.remove()
    own = logger.add(lambda message: extras.append(message.record["extra"]))
    logger.info("once")
    logger.configure(handlers=[])
    logger.info("nobody listens")
    with coati.get_tracer("t").span("s"):
        own = logger.add(lambda message: extras.append(message.record["extra"]))
        logger.info("third")
    assert extras == [{}, {}]
    coati.loguru.uninstall()
    assert (type(logger).add, type(logger).remove) == own_methods
    logger.info("unseen")
    logger.remove(own)
    lines = [line for line in engine.records() if "message" in line]
    assert [line["message"] for line in lines] == ["once", "third"]
    assert "trace_id" in lines[1]


class Breaks:
    """A sink that cannot be stopped."""

    def write(self, message: str) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Never."""
        raise OSError("busy")


def test_beside_what_no_sink_of_the_program_gets_is_not_looked_at(engine: Any) -> None:
    looked: list[str] = []
    lazy = logger.opt(lazy=True).patch(lambda record: looked.append(record["message"]))
    coati.loguru.install(beside=True)
    logger.remove()
    for no in (1, 2):
        logger.debug("json {'a': 1}", no)
        lazy.info("nobody {}", lambda given=no: given)
        higher = logger.add(lambda _: None, level="WARNING")
        lower = logger.add(lambda _: None, level="INFO")
        logger.debug("json {'a': 1}", no)
        lazy.info("info {}", lambda given=no: given)
        logger.remove(lower)
        lazy.info("json {a}", lambda given=no: given)
        lazy.warning("warning {}", lambda given=no: given)
        coati.loguru.install(beside=True)
        lazy.info("json {a}", lambda given=no: given)
        logger.remove(higher)
        lazy.error("nobody {}", lambda given=no: given)
    assert "level" in repr(logger)
    logger.configure(handlers=[{"sink": lambda _: None, "level": 0}])
    coati.loguru.install("INFO", beside=True)
    lazy.debug("below {}", lambda: "ours")
    logger.info("ours")
    with pytest.raises(ValueError, match="LOUD"):
        logger.add(print, level="LOUD")
    logger.add(Breaks(), level="INFO")
    with pytest.raises(OSError, match="busy"):
        logger.remove()
    last = logger.add(lambda _: None)
    logger.info("goes on")
    logger.remove(last)
    expected = ["info 1", "warning 1", "info 2", "warning 2"]
    assert looked == [*expected, "below ours"]
    lines = [line["message"] for line in engine.records() if "message" in line]
    assert lines == [*expected, "ours", "goes on"]

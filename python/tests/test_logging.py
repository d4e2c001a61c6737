"""Loggers: levels, bound and contextual fields, exceptions, limits, call sites."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import coati
import pytest

log = coati.get_logger("tests.logging")


def test_each_level_has_its_method(engine: Any) -> None:
    levels = ["debug", "info", "warning", "error", "critical"]
    for level in levels:
        getattr(log, level)("by method")
        log.log(level, "by name", n=1)
    assert [line["level"] for line in engine.logs()] == [lv for lv in levels for _ in range(2)]


def test_the_line_has_its_keys_in_order(engine: Any) -> None:
    with coati.get_tracer("t").span("s") as span:
        log.info("plan ready", steps=4, model="gpt-4o")
    line = next(record for record in engine.records() if "message" in record)
    keys = ["timestamp", "level", "logger", "message", "service", "trace_id", "span_id"]
    assert list(line) == [*keys, "steps", "model"]
    assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
    assert (line["service"], line["logger"]) == ("tests", "tests.logging")


def test_loggers_are_cached_by_name() -> None:
    assert coati.get_logger("a") is coati.get_logger("a")
    assert coati.get_logger("a") is not coati.get_logger("b")
    assert pickle.loads(pickle.dumps(log)) is log
    assert log.name == "tests.logging"


def test_levels_change_while_running(engine: Any) -> None:
    child = coati.get_logger("tests.logging.child")
    coati.configure(logs={"level": "error", "levels": {"tests.logging": "warning"}})
    assert not log.is_enabled("info")
    assert child.is_enabled("warning")
    assert not coati.get_logger("other").is_enabled("warning")
    log.info("no")
    log.warning("yes")
    coati.configure(logs={"disabled": ["tests.logging.child"]})
    child.critical("no")
    assert [line["message"] for line in engine.logs()] == ["yes"]
    assert coati.ledger()["logs"]["filtered"] == 2


def test_call_fields_beat_bound_fields_beat_context_fields(engine: Any) -> None:
    with coati.context(a="context", b="context", c="context"):
        log.bind(a="bound", b="bound").bind(d=1).info("m", a="call")
    line = engine.log()
    assert (line["a"], line["b"], line["c"], line["d"]) == ("call", "bound", "context", 1)
    log.info("m")
    assert "a" not in engine.log()


def test_contexts_nest_and_may_be_used_again(engine: Any) -> None:
    outer = coati.context(user="u1", step=1)
    for _ in range(2):
        with outer, coati.context(step=2), coati.context(step=3):
            log.info("m")
        line = engine.log()
        assert (line["user"], line["step"]) == ("u1", 3)
    with outer, outer:
        log.info("m")
    log.info("m")
    inside, outside = engine.logs()
    assert inside["user"] == "u1"
    assert "user" not in outside


def test_leaving_contexts_out_of_order_is_tolerated(engine: Any) -> None:
    first, second = coati.context(a=1), coati.context(b=2)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    log.info("m")
    line = engine.log()
    assert line["b"] == 2
    second.__exit__(None, None, None)
    second.__exit__(None, None, None)
    log.info("m")
    line = engine.log()
    assert "a" not in line
    assert "b" not in line


def test_exception_tells_of_the_one_being_handled(engine: Any) -> None:
    try:
        raise LookupError("gone")
    except LookupError:
        log.exception("failed", step=3)
    line = engine.log()
    assert (line["level"], line["step"]) == ("error", 3)
    assert line["exception.type"] == "LookupError"
    assert line["exception.message"] == "gone"
    assert line["exception.stacktrace"].startswith("Traceback")
    assert list(line)[-3:] == ["exception.type", "exception.message", "exception.stacktrace"]
    log.exception("nothing is being handled")
    assert "exception.type" not in engine.log()


def test_exc_info_is_read_as_in_the_standard_library(engine: Any) -> None:
    error = ZeroDivisionError("z")
    log.error("m", exc_info=error)
    assert engine.log()["exception.type"] == "ZeroDivisionError"
    try:
        raise error
    except ZeroDivisionError:
        log.error("m", exc_info=True)
    assert engine.log()["exception.message"] == "z"
    log.error("m", exc_info=False)
    assert "exc_info" not in engine.log()
    log.error("m", exc_info="text")
    assert engine.log()["exc_info"] == "text"


def test_fields_called_like_the_exception_are_kept_apart(engine: Any) -> None:
    log.error("m", exc_info=KeyError("k"), **{"exception.type": "mine"})
    line = engine.log()
    assert line["exception.type"] == "KeyError"
    assert line["field.exception.type"] == "mine"


def test_long_strings_are_cut_on_a_character_boundary(engine: Any) -> None:
    coati.configure(logs={"max_string": 10})
    log.info("ä" * 20, ascii="x" * 25, exact="y" * 10, nested=["€" * 5])
    line = engine.log()
    assert line["message"] == "ä" * 5 + "…[+30 bytes]"
    assert line["ascii"] == "x" * 10 + "…[+15 bytes]"
    assert line["exact"] == "y" * 10
    assert line["nested"] == ["€€€…[+6 bytes]"]


def test_fields_over_the_limit_are_counted(engine: Any) -> None:
    coati.configure(logs={"max_fields": 3})
    with coati.context(c1=1):
        log.bind(b1=1).info("m", f1=1, f2=2, f3=3)
    line = engine.log()
    assert line["dropped_fields"] == 2
    assert [key for key in ("c1", "b1", "f1", "f2", "f3") if key in line] == ["c1", "b1", "f1"]
    log.info("m", **{f"k{i}": i for i in range(40)})
    assert engine.log()["dropped_fields"] == 37


def test_many_fields_take_the_long_way(engine: Any) -> None:
    fields = {f"k{i}": i for i in range(100)}
    log.info("m", **fields)
    line = engine.log()
    assert {key: line[key] for key in fields} == fields


def test_call_sites(engine: Any) -> None:
    coati.configure(logs={"call_sites": True})
    frame = inspect.currentframe()
    assert frame is not None
    log.info("m")
    line = engine.log()
    assert line["code.file"] == __file__
    assert line["code.line"] == frame.f_lineno - 3


def test_redaction_masks_fields_of_every_layer(engine: Any) -> None:
    engine.start(redaction={"enabled": True, "keys": ["x-internal-token"]})
    with coati.context(password="p"):
        log.bind(api_key="k").info("m", Authorization="a", tokens=3, nested={"password": "n"})
        log.info("m", **{"X-Internal-Token": "t"})
    first, second = engine.logs()
    assert first["password"] == first["api_key"] == first["Authorization"] == "[REDACTED]"
    assert first["nested"] == {"password": "[REDACTED]"}
    assert first["tokens"] == 3
    assert second["X-Internal-Token"] == "[REDACTED]"


def test_classes_cannot_be_made_by_hand() -> None:
    for made_by_functions in (coati.Logger, coati.Tracer, coati.Span, coati.Counter):
        with pytest.raises(TypeError):
            made_by_functions()

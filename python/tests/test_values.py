"""What fields may be, and how they come out."""

from __future__ import annotations

import base64
import datetime
import enum
import pathlib
import uuid
from typing import Any

import coati
import pytest

log = coati.get_logger("values")


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


UTC = datetime.timezone.utc
IDENTITY = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        ("text", "text"),
        ("", ""),
        ("äöü€😀", "äöü€😀"),
        ('nul\0\n"\\', 'nul\0\n"\\'),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        (0, 0),
        (-(2**63), -(2**63)),
        (2**64 - 1, 2**64 - 1),
        (2**64, 2**64),
        (-(10**100), -(10**100)),
        (1.5, 1.5),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (True, True),
        (None, None),
        (b"\x00\xff", base64.b64encode(b"\x00\xff").decode()),
        (bytearray(b"ab"), "YWI="),
        (datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "2024-01-02T03:04:05+00:00"),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        (IDENTITY, str(IDENTITY)),
        (Colour.RED, "red"),
        (Colour.PAIR, [1, 2]),
        (Number.ONE, 1),
        (Text("sub"), "sub"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        ([1, "a", None], [1, "a", None]),
        ((1, (2, (3,))), [1, [2, [3]]]),
        ({"a": {"b": [1.5]}, 2: True}, {"a": {"b": [1.5]}, "2": True}),
        ([], []),
        ({}, {}),
        (complex(1, 2), "(1+2j)"),
        (KeyError("k"), "'k'"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_value_comes_out_as_documented(engine: Any, value: object, recorded: object) -> None:
    log.info("m", value=value)
    assert engine.log()["value"] == recorded
    with coati.get_tracer("values").span("s", value=value) as span:
        span.set_attribute("set", value)
        span.add_event("e", value=value)
    line = engine.span()
    assert line["attributes"] == {"value": recorded, "set": recorded}
    assert line["events"][0]["attributes"] == {"value": recorded}


def test_a_naive_datetime_is_local_time(engine: Any) -> None:
    now = datetime.datetime(2024, 5, 6, 7, 8, 9)
    log.info("m", at=now)
    told = datetime.datetime.fromisoformat(engine.log()["at"])
    assert told == now.astimezone()


def test_all_digits_of_a_huge_integer_are_kept(engine: Any) -> None:
    log.info("m", big=-(7**9000))
    assert engine.log()["big"] == -(7**9000)


@pytest.mark.parametrize("error", [ValueError, RecursionError, MemoryError])
def test_a_value_that_cannot_be_printed_names_its_type(engine: Any, error: type[Exception]) -> None:
    class Awkward:
        def __str__(self) -> str:
            raise error

    log.info("m", value=Awkward(), other=1, nested=[Awkward()])
    line = engine.log()
    assert line["value"] == "<unprintable Awkward>"
    assert line["nested"] == ["<unprintable Awkward>"]
    assert line["other"] == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_other_exceptions_pass_through_str(engine: Any, error: type[BaseException]) -> None:
    class Awkward:
        def __str__(self) -> str:
            raise error

    with pytest.raises(error):
        log.info("m", value=Awkward())
    assert engine.logs() == []


def test_cycles_and_depth_end(engine: Any) -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    deep: Any = 0
    for _ in range(10_000):
        deep = [deep]
    log.info("m", cycle=cycle, deep=deep)
    line = engine.log()
    assert line["cycle"] == [1, "<cycle>"]
    assert "<too deep>" in str(line["deep"])


def test_a_dict_that_changes_while_it_is_read(engine: Any) -> None:
    changing: dict[Any, Any] = {}

    class Adds:
        def __str__(self) -> str:
            changing[len(changing)] = 1
            return "adds"

    changing["a"] = Adds()
    changing["b"] = Adds()
    log.info("m", value=changing)
    assert engine.log()["value"] == {"a": "adds", "b": "adds"}


def test_a_message_may_be_anything(engine: Any) -> None:
    for message in (12, None, ValueError("why"), "\ud800", b"raw"):
        log.info(message)
    told = [line["message"] for line in engine.logs()]
    assert told == ["12", "None", "why", "\ufffd", "b'raw'"]


def test_fields_may_be_called_like_parameters_and_reserved_names_are_kept_apart(
    engine: Any,
) -> None:
    log.info("m", message="a", level="b", self="c", name="d", timestamp=1, args=2, span="s")
    line = engine.log()
    assert (line["message"], line["level"]) == ("m", "info")
    assert line["field.message"] == "a"
    assert line["field.level"] == "b"
    assert line["field.timestamp"] == 1
    assert line["field.span"] == "s"
    assert (line["self"], line["name"], line["args"]) == ("c", "d", 2)


def test_names_may_be_any_text(engine: Any) -> None:
    fields = {"ünï cödé": 1, "": 2, "a.b": 3, "lone \ud800": 4, "x" * 1000: 5}
    log.info("m", **fields)
    line = engine.log()
    assert line["ünï cödé"] == 1
    assert line["a.b"] == 3
    assert line["lone \ufffd"] == 4
    assert line["x" * 1000] == 5


def test_a_dict_of_fields_made_anew_each_time(engine: Any) -> None:
    for number in range(2000):
        log.info("m", **{f"key{number % 7}": number, "same": True})
    lines = engine.logs()
    assert [line[f"key{n % 7}"] for n, line in enumerate(lines)] == list(range(2000))


def test_wrong_numbers_of_arguments_are_errors(engine: Any) -> None:
    for call in (log.info, lambda: log.info("a", "b"), lambda: log.log("info")):
        with pytest.raises(TypeError, match="positional argument"):
            call()
    with pytest.raises(ValueError, match="accepted: debug, info"):
        log.log("loud", "m")
    assert engine.logs() == []

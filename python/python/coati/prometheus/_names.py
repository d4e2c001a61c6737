"""Names and numbers as they stand in a text."""

from __future__ import annotations

import math

from coati.prometheus.validation import is_plain_label_name, is_plain_metric_name

ALLOWUTF8 = "allow-utf-8"
UNDERSCORES = "underscores"
DOTS = "dots"
VALUES = "values"
ESCAPINGS = (ALLOWUTF8, UNDERSCORES, DOTS, VALUES)


def go_float(value: object) -> str:
    """A number as Go writes it, which has an exponent from a million on."""
    number = float(value)  # type: ignore[arg-type]
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if math.isnan(number):
        return "NaN"
    text = repr(number)
    point = text.find(".")
    if number <= 0 or point <= 6:
        return text
    digits = (text[:point] + text[point + 1 :]).rstrip("0")
    fraction = "." + digits[1:] if digits[1:] else ""
    return f"{digits[0]}{fraction}e+{point - 1:02d}"


def escape_text(text: str) -> str:
    """The inside of a text in quotes."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def metric_name(name: str, escaping: str = UNDERSCORES) -> str:
    """A metric's name, in quotes where it may stay as it is and needs them."""
    return _name(name, escaping, is_plain_metric_name(name), ":")


def label_name(name: str, escaping: str = UNDERSCORES) -> str:
    """A label's name, in quotes where it may stay as it is and needs them."""
    return _name(name, escaping, is_plain_label_name(name), "")


def _name(name: str, escaping: str, plain: bool, also: str) -> str:
    if not name or escaping not in ESCAPINGS:
        return name
    if escaping == ALLOWUTF8:
        return name if plain else f'"{escape_text(name)}"'
    if plain and escaping != DOTS:
        return name
    start = "U__" if escaping == VALUES else ""
    return start + "".join(_character(c, at, escaping, also) for at, c in enumerate(name))


def _character(c: str, place: int, escaping: str, also: str) -> str:
    known = c == "_" or c in also or (c.isascii() and (c.isalpha() or (c.isdigit() and place > 0)))
    if escaping == UNDERSCORES:
        return c if known else "_"
    if c == "_":
        return "__"
    if known:
        return c
    if escaping == DOTS:
        return "_dot_" if c == "." else "__"
    return "_FFFD_" if "\ud800" <= c <= "\udfff" else f"_{ord(c):x}_"

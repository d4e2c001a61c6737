"""Colours and boxes for people, plain text for everything else."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from typing import TextIO

WIDE = 100
CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
ASCII = str.maketrans(
    {
        "│": "|",
        "├": "|",
        "└": "`",
        "─": "-",
        "█": "#",
        "▏": "|",
        "✓": "v",
        "✗": "x",
        "↻": "~",
        "↩": "<",
        "·": "-",
        "…": "~",
        "→": ">",
        "—": "-",
        "≤": "<",
        "µ": "u",
    }
)


class Style:
    """How text looks on one stream."""

    def __init__(self, stream: TextIO | None) -> None:
        terminal = stream is not None and stream.isatty()
        self.color = (
            terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )
        encoding = getattr(stream, "encoding", None) or "ascii"
        self.columns = shutil.get_terminal_size((WIDE, 24)).columns if terminal else WIDE
        self.ascii = stream is not None and not encoding.lower().startswith("utf")

    def __call__(self, look: str, text: str) -> str:
        """The text in one or more looks, such as `bold red`."""
        if not self.color or not text:
            return text
        codes = ";".join(CODES[word] for word in look.split())
        return f"\x1b[{codes}m{text}\x1b[0m"

    def fit(self, text: str) -> str:
        """The text, in characters that the stream can show."""
        return text.translate(ASCII).encode("ascii", "replace").decode() if self.ascii else text


def width(text: str) -> int:
    """The columns a text takes, colours not counted."""
    return len(ESCAPE.sub("", text))


def pad(text: str, columns: int, right: bool = False) -> str:
    """The text, filled up with blanks."""
    blanks = " " * max(0, columns - width(text))
    return blanks + text if right else text + blanks


def table(style: Style, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, numbers to the right."""
    columns = [max(width(row[at]) for row in (head, *rows)) for at in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [pad(cell, columns[at], right=at > 0) for at, cell in enumerate(cells)]
        return "  ".join(padded).rstrip()

    return [style("dim", line(head)), *map(line, rows)]


def cut(text: str, columns: int) -> str:
    """The text, or as much of it as fits."""
    return text if len(text) <= columns else text[: columns - 1] + "…"


def duration(ns: float) -> str:
    """A time as people say it."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            value = ns / size
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{ns:.0f} ns"


def size(count: float) -> str:
    """A number of bytes as people say it."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def milliseconds(value: float) -> str:
    """Three digits of a time in ms, or what is left of them after three places."""
    places = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{places}f}"

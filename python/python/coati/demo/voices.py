"""What agents said in a trace: some of its log lines, found by their trace id."""

from __future__ import annotations

from typing import Any

from .records import Records, Span, nanoseconds
from .style import Style, cut, duration, pad

LINES = 5
# What a line has anyway, or is shown in a column of its own.
KNOWN = {
    "timestamp",
    "level",
    "logger",
    "message",
    "service",
    "trace_id",
    "span_id",
    "agent",
    "job",
}
LOOKS = {"warning": "yellow", "error": "red"}


def hear(style: Style, records: Records, spans: list[Span]) -> list[str]:
    """The lines with most to tell, in the order they were said."""
    trace = spans[0].trace_id
    began = min(span.start for span in spans)
    said = [line for line in records.logs if line.get("trace_id") == trace]
    loud = sorted(said, key=lambda line: line["level"] not in LOOKS)[:LINES]
    loud.sort(key=lambda line: nanoseconds(line["timestamp"]))
    return [_line(style, line, began) for line in loud]


def _line(style: Style, line: dict[str, Any], began: int) -> str:
    after = duration(nanoseconds(line["timestamp"]) - began)
    fields = [
        f"{key}={value}"
        for key, value in line.items()
        if key not in KNOWN and not key.startswith(("exception.", "code."))
    ]
    text = f"{line['message']}  {' '.join(fields)}"
    level = style(LOOKS.get(line["level"], "dim"), pad(line["level"], 7))
    front = f"{pad(after, 8, right=True)}  {level}  {pad(line.get('agent', ''), 10)}"
    return f"{front}  {cut(text, style.columns - 33)}"

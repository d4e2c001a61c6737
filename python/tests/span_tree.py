"""Recorded spans as a tree, to be held against what a framework tells of the same run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from run_checks import SLACK, nanoseconds

Record = dict[str, Any]
Path = tuple[str, ...]


class Tree:
    """Spans of records, with the logs in them."""

    def __init__(self, records: Iterable[Record]) -> None:
        records = list(records)
        self.spans = [record for record in records if "span" in record]
        self.logs = [record for record in records if "span" not in record]
        self.by_id = {span["span_id"]: span for span in self.spans}

    def path(self, span_id: str) -> Path:
        """The names from the root down to a span."""
        span = self.by_id[span_id]
        parent = span.get("parent_span_id")
        return (*(self.path(parent) if parent in self.by_id else ()), span["span"])

    def paths(self) -> Counter[Path]:
        """How often there is a span with such names above it."""
        return Counter(self.path(span_id) for span_id in self.by_id)

    def named(self, name: str) -> list[Record]:
        """The spans called so."""
        return [span for span in self.spans if span["span"] == name]

    def one(self, name: str) -> Record:
        """The one span called so."""
        (span,) = self.named(name)
        return span

    def log_place(self, message: str) -> str:
        """The name of the span in which the one log line with this message was made."""
        (line,) = [line for line in self.logs if line["message"] == message]
        span = self.by_id[line["span_id"]]
        assert span["trace_id"] == line["trace_id"]
        return str(span["span"])

    def check_lasts(self, name: str, seconds: float) -> None:
        """The one span called so, and all above it, last at least so long."""
        span: Record | None = self.one(name)
        while span is not None:
            took = nanoseconds(span["end"]) - nanoseconds(span["start"])
            assert took == span["duration_ns"] >= seconds * 1e9
            span = self.by_id.get(span.get("parent_span_id", ""))

    def check_connected(self) -> None:
        """There is one root, all is in its trace, and each span lies within its parent's time."""
        assert len({span["trace_id"] for span in self.spans}) == 1
        roots = [span for span in self.spans if span.get("parent_span_id") not in self.by_id]
        assert [root.get("parent_span_id") for root in roots] == [None]
        for span in self.spans:
            outer = self.by_id.get(span.get("parent_span_id", ""))
            if outer is not None:
                assert nanoseconds(outer["start"]) <= nanoseconds(span["start"]) + SLACK, span
                assert nanoseconds(span["end"]) <= nanoseconds(outer["end"]) + SLACK, span

"""Reads back what the demo wrote, without coati: any program could."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

RECORDS = "coati.jsonl"
METRICS = "metrics.prom"
REPORT = "report.json"
SUMMARY = "summary.txt"

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass
class Span:
    """A line that is a span."""

    name: str
    trace_id: str
    span_id: str
    parent: str | None
    start: int
    end: int
    duration: int
    failed: bool
    raw: dict[str, Any]
    children: list[Span] = field(default_factory=list)
    told: bool = False

    @property
    def attributes(self) -> dict[str, Any]:
        """Its attributes, if it has any."""
        found: dict[str, Any] = self.raw.get("attributes", {})
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its events, if it has any."""
        found: list[dict[str, Any]] = self.raw.get("events", [])
        return found


@dataclass
class Records:
    """All of one run's files."""

    spans: list[Span] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    bad_lines: int = 0
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)
    bad_samples: int = 0
    report: dict[str, Any] = field(default_factory=dict)

    def total(self, metric: str, **labels: str) -> int:
        """The sum over the series that have these labels."""
        wanted = labels.items()
        return int(
            sum(
                value
                for (name, has), value in self.samples.items()
                if name == metric and has >= wanted
            )
        )

    def label_values(self, metric: str, label: str) -> list[str]:
        """The values that a label has in a metric."""
        found = {
            v
            for (name, has), _ in self.samples.items()
            if name == metric
            for k, v in has
            if k == label
        }
        return sorted(found)

    def traces(self) -> dict[str, list[Span]]:
        """Spans by trace."""
        by_id: dict[str, list[Span]] = {}
        for span in self.spans:
            by_id.setdefault(span.trace_id, []).append(span)
        return by_id


def nanoseconds(timestamp: str) -> int:
    """RFC 3339 in UTC with up to nine digits, as nanoseconds since the epoch."""
    whole, _, fraction = timestamp.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)


def load(out: Path) -> Records:
    """Everything in a directory that `coati demo` wrote."""
    records = Records()
    with (out / RECORDS).open(encoding="utf-8") as lines:
        for line in lines:
            try:
                _take(records, json.loads(line))
            except (ValueError, KeyError, TypeError):
                records.bad_lines += 1
    for line in (out / METRICS).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            _sample(records, line)
    records.report = json.loads((out / REPORT).read_text(encoding="utf-8"))
    return records


def _take(records: Records, line: dict[str, Any]) -> None:
    if "span" not in line:
        nanoseconds(line["timestamp"])
        records.logs.append(line)
        return
    records.spans.append(
        Span(
            name=line["span"],
            trace_id=line["trace_id"],
            span_id=line["span_id"],
            parent=line.get("parent_span_id"),
            start=nanoseconds(line["start"]),
            end=nanoseconds(line["end"]),
            duration=line["duration_ns"],
            failed=line["status"]["code"] == "error",
            raw=line,
        )
    )


def _sample(records: Records, line: str) -> None:
    found = SAMPLE.match(line)
    if found is None:
        records.bad_samples += 1
        return
    name, labels, value = found.groups()
    key = (name, frozenset(LABEL.findall(labels or "")))
    records.samples[key] = float(value.replace("Inf", "inf"))

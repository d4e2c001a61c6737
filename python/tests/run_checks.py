"""A program that knows nothing of coati, run by ``coati run``, and what its records must be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

Record = dict[str, Any]
#: Nanoseconds by which a span may seem to leave its parent: wall times are slewed.
SLACK = 1_000_000


class Run:
    """One run: what the program said, and what was recorded.

    Args:
        folder: an empty folder for configuration and records.
        program: the program.
        arguments: its arguments.
        status: the exit status that it must have.
        env: variables besides the process's own.
    """

    def __init__(
        self, folder: Path, program: Path, *arguments: str, status: int = 0, **env: str
    ) -> None:
        config = folder / "coati.toml"
        out = folder / "out.jsonl"
        config.write_text(
            f'[logs]\nlevel = "debug"\n[[sinks]]\ntype = "file"\npath = {json.dumps(str(out))}\n'
        )
        command = [sys.executable, "-m", "coati", "run", "--config", str(config), str(program)]
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=folder,
            env={**os.environ, **env},
            check=False,
        )
        assert done.returncode == status, done.stderr
        self.stdout, self.stderr = done.stdout, done.stderr
        lines = done.stderr.splitlines()
        #: The summary, line by line.
        self.summary = [
            line.removeprefix("coati: ") for line in lines if line.startswith("coati: ")
        ]
        records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        self.spans = [record for record in records if "span" in record]
        self.logs = [record for record in records if "span" not in record]
        self._ids = {span["span_id"]: span for span in self.spans}
        assert self.summary[0] == (
            f"{len(self.logs)} logs recorded, {len(self.logs)} delivered; "
            f"{len(self.spans)} spans recorded, {len(self.spans)} delivered"
        )
        roots = [span for span in self.spans if "parent_span_id" not in span]
        errors = [span for span in self.spans if span["status"]["code"] == "error"]
        told = [f"traces: {len(roots)}, failed spans: {len(errors)}"] if self.spans else []
        assert [line for line in self.summary if line.startswith("traces: ")] == told

    def root(self, beside: Iterable[Record] = ()) -> Record:
        """The root of the one trace, which is connected, and in which durations nest.

        Args:
            beside: spans that are known to stand alone, each in a trace of its own.
        """
        assert len(self._ids) == len(self.spans)
        alone = {span["span_id"] for span in beside}
        spans = [span for span in self.spans if span["span_id"] not in alone]
        assert len({span["trace_id"] for span in spans}) == 1, self.tree()
        (root,) = [span for span in spans if "parent_span_id" not in span]
        for span in self.spans:
            parent = self.parent(span)
            if parent is not None:
                assert nanoseconds(parent["start"]) <= nanoseconds(span["start"]) + SLACK, span
                assert nanoseconds(span["end"]) <= nanoseconds(parent["end"]) + SLACK, span
        return root

    def parent(self, span: Record) -> Record | None:
        """The parent, which must be recorded."""
        return self._ids[span["parent_span_id"]] if "parent_span_id" in span else None

    def path(self, span: Record) -> list[str]:
        """Names from the root to the span."""
        parent = self.parent(span)
        return [*(self.path(parent) if parent else []), span["span"]]

    def named(self, name: str) -> list[Record]:
        """All spans of this name, by their start."""
        found = [span for span in self.spans if span["span"] == name]
        return sorted(found, key=lambda span: str(span["start"]))

    def one(self, name: str) -> Record:
        """The one span of this name."""
        (span,) = self.named(name)
        return span

    def children(self, span: Record) -> list[str]:
        """Names of the spans right below, by their start."""
        below = [each for each in self.spans if each.get("parent_span_id") == span["span_id"]]
        return [each["span"] for each in sorted(below, key=lambda each: str(each["start"]))]

    def logged_in(self, message: str) -> Record:
        """The span that was current where the one line with this message was logged."""
        (line,) = [line for line in self.logs if line["message"] == message]
        span = self._ids[line["span_id"]]
        assert line["trace_id"] == span["trace_id"]
        return span

    def tokens(self) -> tuple[int, int]:
        """Input and output tokens of all model calls, by the conventions' names."""
        calls = [each["attributes"] for each in self.spans if is_model_call(each)]
        return (
            sum(call.get("gen_ai.usage.input_tokens", 0) for call in calls),
            sum(call.get("gen_ai.usage.output_tokens", 0) for call in calls),
        )

    def tree(self) -> str:
        """The trace, to be looked at."""
        lines = sorted(" > ".join(self.path(span)) for span in self.spans)
        return "\n".join(lines)


def is_model_call(span: Record) -> bool:
    """Whether a span is a call of a model, by the conventions' names."""
    operation = span.get("attributes", {}).get("gen_ai.operation.name")
    return operation in {"chat", "text_completion", "generate_content"}


def failed(span: Record) -> str:
    """The type of the error that a span tells of: by its status, and its event or attribute."""
    assert span["status"]["code"] == "error"
    told = [span.get("attributes", {}).get("error.type")]
    events = [event for event in span.get("events", ()) if event["name"] == "exception"]
    told += [event["attributes"]["exception.type"] for event in events]
    (kind,) = {str(each).rpartition(".")[2] for each in told if each is not None}
    return kind


def overlap(first: Record, second: Record) -> bool:
    """Whether two spans ran at the same time."""
    return str(first["start"]) < str(second["end"]) and str(second["start"]) < str(first["end"])


def nanoseconds(time: str) -> int:
    """A timestamp of a record, since the epoch."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))

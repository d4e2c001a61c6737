"""What must hold between the files of a run. Uses the files alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .records import METRICS, Records, load, nanoseconds


@dataclass(frozen=True)
class Finding:
    """Whether a property holds, and the numbers that show it."""

    ok: bool
    what: str
    numbers: str


def check(out: Path) -> list[Finding]:
    """Checks the files in a directory that `coati demo` wrote."""
    return findings(load(out), (out / METRICS).read_text(encoding="utf-8"))


def findings(records: Records, prometheus: str) -> list[Finding]:
    """Checks what was read back."""
    return [
        _lines(records),
        _parents(records),
        _roots(records),
        _links(records),
        _log_ids(records),
        _context(records),
        *_metrics(records),
        _prometheus(records, prometheus),
        *_ledger(records),
    ]


def _lines(records: Records) -> Finding:
    good = len(records.logs) + len(records.spans)
    numbers = f"{good:,} lines, {records.bad_lines} bad"
    return Finding(good > 0 and not records.bad_lines, "every line is a log or a span", numbers)


def _parents(records: Records) -> Finding:
    known = {(span.trace_id, span.span_id) for span in records.spans}
    children = [span for span in records.spans if span.parent]
    orphans = sum((span.trace_id, span.parent) not in known for span in children)
    numbers = f"{len(children):,} children, {orphans} orphans"
    unique = len(known) == len(records.spans)
    return Finding(unique and not orphans, "every span's parent exists in its trace", numbers)


def _roots(records: Records) -> Finding:
    traces = records.traces()
    roots = Counter(span.trace_id for span in records.spans if not span.parent)
    ok = all(roots[trace] == 1 for trace in traces)
    numbers = f"{len(traces):,} traces, {sum(roots.values()):,} roots"
    return Finding(ok, "every trace has one root", numbers)


def _links(records: Records) -> Finding:
    known = {(span.trace_id, span.span_id) for span in records.spans}
    links = [link for span in records.spans for link in span.raw.get("links", [])]
    lost = sum((link["trace_id"], link["span_id"]) not in known for link in links)
    return Finding(not lost, "every link leads to a span", f"{len(links):,} links, {lost} lost")


def _log_ids(records: Records) -> Finding:
    """An agent only speaks inside its own step: the line must point at a span of that agent, and
    lie between its start and end."""
    by_id = {(span.trace_id, span.span_id): span for span in records.spans}
    spoken = [line for line in records.logs if "agent" in line]
    wrong = 0
    for line in spoken:
        span = by_id.get((line.get("trace_id", ""), line.get("span_id", "")))
        inside = span is not None and span.start <= nanoseconds(line["timestamp"]) <= span.end
        wrong += not (inside and span is not None and span.attributes.get("agent") == line["agent"])
    numbers = f"{len(spoken):,} lines inside spans, {wrong} astray"
    return Finding(bool(spoken) and not wrong, "every log inside a span carries its ids", numbers)


def _context(records: Records) -> Finding:
    """The context's field `job` is that of the trace's root, over queues, tasks and threads."""
    roots = {span.trace_id: span for span in records.spans if not span.parent}
    jobs = {trace: span.attributes.get("job") for trace, span in roots.items()}
    spoken = [line for line in records.logs if "agent" in line]
    wrong = sum(line.get("job") != jobs.get(line.get("trace_id", ""), "") for line in spoken)
    numbers = f"{len(spoken):,} lines, {wrong} with another job"
    return Finding(bool(spoken) and not wrong, "context fields follow the work", numbers)


def _metrics(records: Records) -> Iterator[Finding]:
    """Each metric that counts spans or lines, against the spans and lines."""
    steps = Counter[tuple[str, ...]]()
    tools = Counter[tuple[str, ...]]()
    retries = Counter[tuple[str, ...]]()
    for span in records.spans:
        outcome = "error" if span.failed else "ok"
        if span.raw["kind"] == "consumer":
            steps[span.attributes["agent"], outcome] += 1
        if "tool" in span.attributes:
            tools[span.attributes["agent"], span.attributes["tool"], outcome] += 1
        for event in span.events:
            if event["name"] == "retry":
                retries[span.attributes["agent"], event["attributes"]["reason"]] += 1
    messages = Counter[tuple[str, ...]](
        (line["agent"], line["level"]) for line in records.logs if "agent" in line
    )
    yield _same(records, "agent_steps_total", ("agent", "outcome"), steps, "spans")
    yield _same(records, "tool_calls_total", ("agent", "tool", "outcome"), tools, "spans")
    yield _same(records, "agent_retries_total", ("agent", "reason"), retries, "span events")
    yield _same(records, "agent_messages_total", ("agent", "level"), messages, "log lines")
    by_agent = _narrow(steps, 0)
    by_tool = _narrow(tools, 1)
    yield _same(records, "agent_step_time_milliseconds_count", ("agent",), by_agent, "spans")
    yield _same(records, "tool_time_milliseconds_count", ("tool",), by_tool, "spans")
    flying = records.total("jobs_in_flight")
    yield Finding(not flying, "jobs_in_flight is back at zero", f"{flying} in flight")


def _narrow(counts: Counter[tuple[str, ...]], at: int) -> Counter[tuple[str, ...]]:
    narrow = Counter[tuple[str, ...]]()
    for key, count in counts.items():
        narrow[(key[at],)] += count
    return narrow


def _same(
    records: Records,
    metric: str,
    labels: tuple[str, ...],
    counted: Counter[tuple[str, ...]],
    of: str,
) -> Finding:
    """Every series of the metric, against what was counted in the lines, in both directions."""
    measured = Counter[tuple[str, ...]]()
    for (name, has), value in records.samples.items():
        if name == metric:
            values = dict(has)
            measured[tuple(values.get(label, "") for label in labels)] += int(value)
    numbers = f"{measured.total():,} = {counted.total():,} in {len(measured)} series"
    if measured != counted:
        numbers = f"{measured.total():,} in the metric, {counted.total():,} in the file"
    return Finding(+measured == +counted, f"{metric} counts the {of}", numbers)


def _prometheus(records: Records, text: str) -> Finding:
    what = "the Prometheus text parses"
    try:
        from prometheus_client.parser import (  # noqa: PLC0415 - may not be there
            text_string_to_metric_families,
        )
    except ImportError:
        numbers = f"{len(records.samples):,} samples, {records.bad_samples} bad; own parser"
        return Finding(bool(records.samples) and not records.bad_samples, what, numbers)
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError as error:
        return Finding(False, what, f"prometheus_client: {error}")
    samples = sum(len(family.samples) for family in families)
    numbers = f"{len(families)} metrics, {samples:,} samples; prometheus_client"
    return Finding(samples == len(records.samples), what, numbers)


def _ledger(records: Records) -> Iterator[Finding]:
    ledger = records.report["ledger"]
    for signal, lines in (("logs", len(records.logs)), ("spans", len(records.spans))):
        books = ledger[signal]
        recorded, delivered = books["recorded"], books["delivered"]
        dropped = sum(books["dropped"].values())
        adds_up = recorded == delivered + dropped and not books["in_flight"]
        numbers = f"{recorded:,} = {delivered:,} + {dropped:,}"
        yield Finding(adds_up, f"{signal}: recorded = delivered + dropped", numbers)
        numbers = f"{delivered:,} delivered, {lines:,} in the file"
        yield Finding(delivered == lines, f"{signal}: what was delivered is in the file", numbers)

"""What a person reads at the end. Everything in it comes from the files."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from . import tree, voices
from .check import Finding
from .records import METRICS, RECORDS, REPORT, SUMMARY, Records, Span
from .style import Style, cut, duration, milliseconds, size, table

ROWS = 6


def write(style: Style, records: Records, findings: list[Finding], out: Path) -> str:
    """The whole summary."""
    parts = [
        _headline(style, records),
        _found(style, records),
        _trace(style, records),
        _agents(style, records),
        _tools(style, records),
        _throughput(style, records),
        _ledger(style, records),
        _holds(style, records, findings),
        _files(style, records, out),
        _next(style, records, out),
    ]
    lines = [line for part in parts for line in (*part, "")]
    return style.fit("\n".join(lines))


def verdicts(style: Style, findings: list[Finding]) -> str:
    """Each property with its numbers."""
    columns = max(len(finding.what) for finding in findings)
    lines = [
        f"  {_tick(style, finding.ok)} {finding.what:<{columns}}  {finding.numbers}"
        for finding in findings
    ]
    return style.fit("\n".join(lines))


def _tick(style: Style, ok: bool) -> str:
    return style("green", "✓") if ok else style("bold red", "✗")


def _title(style: Style, title: str, aside: str = "") -> str:
    return style("bold cyan", title) + (style("dim", f"  {aside}") if aside else "")


def _indent(lines: list[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]


def _studies(records: Records) -> list[Span]:
    return [s for s in records.spans if s.name == "study" and "lines" in s.attributes]


def _headline(style: Style, records: Records) -> list[str]:
    report = records.report
    text = (
        f"{len(report['agents'])} agents read {report['files']:,} files of Python "
        f"{report['python']}'s library in {report['elapsed_s']:.1f} s"
    )
    return ["", style("bold", text) + style("dim", f"  ({report['ended']})")]


def _found(style: Style, records: Records) -> list[str]:
    studies = _studies(records)
    if not studies:
        return [_title(style, "What they found"), "  nothing: there was no time"]
    totals = Counter[str]()
    imported = Counter[str]()
    for span in studies:
        for name in ("lines", "bytes", "functions", "markers", "public", "documented"):
            totals[name] += span.attributes[name]
        imported.update(span.attributes.get("imports", []))
    hardest = max(studies, key=lambda span: span.attributes["complexity"]).attributes
    reasons = Counter(
        f"{event['attributes']['reason']}, then {event['attributes']['then']}"
        for span in studies
        for event in span.events
        if event["name"] == "retry"
    )
    lost = sorted(span.attributes["file"] for span in studies if span.failed)
    rows = [
        (
            "in all",
            f"{totals['lines']:,} lines, {size(totals['bytes'])}, {totals['functions']:,} "
            f"functions, {totals['markers']:,} TODO, FIXME, XXX or HACK",
        ),
        ("docstrings", f"{totals['documented'] / max(totals['public'], 1):.0%} of public names"),
        (
            "hardest function",
            f"{hardest['hardest']} in {hardest['file']}, {hardest['complexity']} branches",
        ),
        ("imported most", " · ".join(f"{name} {n}" for name, n in imported.most_common(6))),
        *(
            ("tried again", f"{n} {reason}")
            for reason, n in sorted(reasons.items(), key=lambda r: -r[1])[:5]
        ),
        ("sent back", f"{records.report['sent_back']} studies by the critic"),
    ]
    if lost:
        names = ", ".join(name.rpartition("/")[2] for name in lost)
        rows.append(("not parsed", f"{len(lost)}: {names}"))
    lines, before = [_title(style, "What they found")], ""
    for label, text in rows:
        shown = "" if label == before else label
        lines.append(f"  {style('dim', f'{shown:<18}')}{cut(text, style.columns - 20)}")
        before = label
    return lines


def _trace(style: Style, records: Records) -> list[str]:
    spans = tree.choose(records)
    if not spans:
        return [_title(style, "One trace"), "  no job was finished"]
    aside = f"{spans[0].trace_id}, {len(spans)} spans"
    said = voices.hear(style, records, spans)
    heading = ["", style("dim", "what was said in it, by its trace id")] if said else []
    return [_title(style, "One trace", aside), *_indent(tree.draw(style, spans) + heading + said)]


def _agents(style: Style, records: Records) -> list[str]:
    elapsed = max(records.report["elapsed_s"], 1e-9)
    rows = []
    for name, stats in records.report["agents"].items():
        errors = records.total("agent_steps_total", agent=name, outcome="error")
        failed = records.total("tool_calls_total", agent=name, outcome="error")
        busy = min(1.0, (stats["sum"] or 0) / 1000 / elapsed)
        rows.append(
            [
                name,
                f"{records.total('agent_steps_total', agent=name):,}",
                _bad(style, errors),
                f"{records.total('tool_calls_total', agent=name):,}",
                _bad(style, failed),
                f"{records.total('agent_retries_total', agent=name):,}",
                *_times(stats),
                f"{busy:.0%}",
            ]
        )
    head = [
        "agent",
        "steps",
        "errors",
        "tools",
        "errors",
        "retry",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "busy",
    ]
    return [_title(style, "Agents"), *_indent(table(style, head, rows))]


def _tools(style: Style, records: Records) -> list[str]:
    slowest = sorted(records.report["tools"].items(), key=lambda item: -(item[1]["p95"] or 0))
    rows = [
        [
            name,
            f"{stats['count']:,}",
            _bad(style, records.total("tool_calls_total", tool=name, outcome="error")),
            *_times(stats),
            duration((stats["sum"] or 0) * 1e6),
        ]
        for name, stats in slowest[:ROWS]
    ]
    head = ["tool", "calls", "errors", "p50 ms", "p95 ms", "p99 ms", "in all"]
    return [_title(style, "Slowest tools"), *_indent(table(style, head, rows))]


def _times(stats: dict[str, float]) -> list[str]:
    if not stats["count"]:
        return ["-", "-", "-"]
    return [milliseconds(stats[name]) for name in ("median", "p95", "p99")]


def _bad(style: Style, count: int) -> str:
    return style("red", f"{count:,}") if count else "0"


def _throughput(style: Style, records: Records) -> list[str]:
    elapsed = max(records.report["elapsed_s"], 1e-9)
    spans = sum(span.raw["tracer"] != "pace" for span in records.spans)
    lines = sum(line["logger"] != "pace" for line in records.logs)
    calls = int(sum(v for (name, _), v in records.samples.items() if name.endswith("_total")))
    pace = records.report["pace"]
    cost = ", ".join(f"{what} {ns:.0f} ns" for what, ns in pace.items())
    spent = lines * pace["log"] + spans * pace["span"] + calls * pace["counter"]
    return [
        _title(style, "Throughput"),
        f"  {spans / elapsed:,.0f} spans/s, {lines / elapsed:,.0f} log lines/s, "
        f"{records.report['files'] / elapsed:,.1f} files/s, {calls:,} counted events",
        f"  per call: {cost}; together {spent / 1e7 / elapsed:.2f} % of the time",
    ]


def _ledger(style: Style, records: Records) -> list[str]:
    rows = []
    found = {"logs": len(records.logs), "spans": len(records.spans)}
    for signal, lines in found.items():
        books = records.report["ledger"][signal]
        dropped = sum(books["dropped"].values())
        good = books["recorded"] == books["delivered"] + dropped and lines == books["delivered"]
        numbers = (books["recorded"], books["delivered"], dropped, books["in_flight"], lines)
        rows.append([signal, *(f"{number:,}" for number in numbers), _tick(style, good)])
    head = ["signal", "recorded =", "delivered +", "dropped", "in flight", "lines in file", ""]
    return [_title(style, "Ledger"), *_indent(table(style, head, rows))]


def _holds(style: Style, records: Records, findings: list[Finding]) -> list[str]:
    good = sum(finding.ok for finding in findings)
    line = f"{_tick(style, good == len(findings))} {good} of {len(findings)} properties hold"
    aside = "between these files (--check shows each)"
    bad = [finding for finding in findings if not finding.ok]
    lines = [f"{line} {style('dim', aside)}", *(verdicts(style, bad).splitlines() if bad else [])]
    for problem in records.report["problems"]:
        lines.append(style("red", f"  {problem['component']}: {problem['reason']}"))
    return lines


def _files(style: Style, records: Records, out: Path) -> list[str]:
    lines = len(records.logs) + len(records.spans)
    about = {
        RECORDS: f"{lines:,} lines: logs and spans, in order",
        METRICS: f"{len(records.samples):,} samples for Prometheus",
        REPORT: "statistics and ledger",
        SUMMARY: "this text",
    }
    rows = []
    for name, text in about.items():
        path = out / name
        bytes_there = size(path.stat().st_size) if path.exists() else ""
        rows.append(f"  {path!s:<{len(str(out)) + 14}}{bytes_there:>9}  {style('dim', text)}")
    return [_title(style, "Files"), *rows]


def _next(style: Style, records: Records, out: Path) -> Iterator[str]:
    file = shlex.quote(str(out / RECORDS))
    spans = tree.choose(records)
    yield _title(style, "What to type next")
    slowest = (
        'select(.span == "study") | [.duration_ns, .attributes.file, .attributes.agent] | @tsv'
    )
    wrong = 'select(.level == "error") | [.agent, .message, ."exception.message"]'
    commands = [
        ("the slowest studies, in nanoseconds", f"jq -r '{slowest}' {file} | sort -rn | head"),
        ("what went wrong", f"jq -c '{wrong}' {file}"),
    ]
    if spans:
        lines = "[.start // .timestamp, .span // .message, .attributes.file // .file] | @tsv"
        one = f"grep {spans[0].trace_id} {file} | jq -r '{lines}' | sort"
        commands.append(("that trace, logs and spans", one))
    commands.append(("how this program would be watched", "coati doctor"))
    commands.append(("your own program", "coati run your_program.py"))
    for what, command in commands:
        yield f"  {style('dim', '# ' + what)}"
        yield f"  {style('green', command)}"

"""One trace as a tree, with a bar where each span lies in time."""

from __future__ import annotations

from .records import Records, Span
from .style import Style, cut, duration, pad, width

SHOWN = 4  # of studies side by side
TOLD = 1  # of those, with their tools


def choose(records: Records) -> list[Span]:
    """The trace that has most to tell: failures, retries, work sent back, and not too long."""
    jobs = [
        spans
        for spans in records.traces().values()
        if any(span.name == "job" and not span.parent for span in spans)
    ]
    return max(jobs, key=_interest, default=[])


def _interest(spans: list[Span]) -> float:
    studies = [span for span in spans if span.name == "study"]
    return (
        20 * any("links" in span.raw for span in spans)
        + 15 * any(study.failed for study in studies)
        + 2 * min(4, sum(_count(study, "retry") > 0 for study in studies))
        - abs(len(studies) - 5)
    )


def draw(style: Style, spans: list[Span]) -> list[str]:
    """The lines of the tree."""
    drawing = _Drawing(style, _link(spans))
    drawing.add(drawing.root, "", "")
    return drawing.lines


def _link(spans: list[Span]) -> Span:
    """Ties children to parents, and marks the studies that are told in full."""
    by_id = {span.span_id: span for span in spans}
    root = spans[0]
    for span in spans:
        span.children = []
    for span in sorted(spans, key=lambda span: span.start):
        if not span.parent:
            root = span
        elif span.parent in by_id:
            by_id[span.parent].children.append(span)
    studies = [span for span in spans if span.name == "study"]
    for study in studies:
        study.told = "links" in study.raw
    for study in sorted(studies, key=lambda s: (s.told, -_trouble(s), s.start))[:TOLD]:
        study.told = True
    return root


class _Drawing:
    def __init__(self, style: Style, root: Span) -> None:
        self.style = style
        self.root = root
        self.name = 58 if style.columns >= 90 else 48
        self.bars = min(26, max(8, style.columns - self.name - 14))
        self.lines: list[str] = []

    def add(self, span: Span, branch: str, indent: str) -> None:
        """Draws a span and what is below it."""
        style = self.style
        note = self.note(span)
        label = cut(_label(span), max(8, self.name - len(branch) - width(note) - 1))
        name = style("red" if span.failed else "bold", label)
        left = pad(f"{style('dim', branch)}{name} {note}", self.name)
        self.lines.append(f"{left} {pad(duration(span.duration), 8, right=True)}  {self.bar(span)}")
        if span.name == "study" and not span.told:
            return
        shown, hidden = _shown(span.children)
        for at, child in enumerate(shown):
            last = at == len(shown) - 1 and not hidden
            here, below = ("└─ ", "   ") if last else ("├─ ", "│  ")
            self.add(child, indent + here, indent + below)
        if hidden:
            slowest = duration(max(child.duration for child in hidden))
            text = f"{indent}└─ … {len(hidden)} more of these, none over {slowest}"
            self.lines.append(style("dim", text))

    def note(self, span: Span) -> str:
        """What happened in a span, in a few signs."""
        style = self.style
        notes = []
        if span.name == "study" and not span.told:
            notes.append(style("dim", f"{len(span.children)} tools"))
        if span.failed:
            notes.append(style("red", f"✗ {_exception(span)}".rstrip()))
        if tries := _count(span, "retry"):
            notes.append(style("yellow", f"↻ {tries}"))
        if back := _count(span, "sent back"):
            notes.append(style("yellow", f"↩ {back} sent back"))
        if span.name == "study" and "links" in span.raw:
            notes.append(style("yellow", "↩ again"))
        return " ".join(notes)

    def bar(self, span: Span) -> str:
        """Where the span lies in its trace."""
        per_cell = max(self.root.duration, 1) / self.bars
        begin = min(self.bars - 1, max(0, int((span.start - self.root.start) / per_cell)))
        cells = max(0, min(self.bars - begin, round(span.duration / per_cell)))
        bar = "█" * cells if cells else "▏"
        return " " * begin + self.style("red" if span.failed else "cyan", bar)


def _shown(children: list[Span]) -> tuple[list[Span], list[Span]]:
    """Of many studies, those with most to tell; in the order they began."""
    studies = [child for child in children if child.name == "study"]
    ranked = sorted(studies, key=lambda study: (-_trouble(study), study.start))
    hidden = {id(study) for study in ranked[SHOWN:]}
    return (
        [child for child in children if id(child) not in hidden],
        [child for child in children if id(child) in hidden],
    )


def _trouble(span: Span) -> int:
    return 4 * span.failed + _count(span, "retry") + sum(_trouble(c) for c in span.children)


def _count(span: Span, event: str) -> int:
    return sum(each["name"] == event for each in span.events)


def _exception(span: Span) -> str:
    events = (each for each in span.events if each["name"] == "exception")
    kinds = [each["attributes"]["exception.type"] for each in events]
    return str(kinds[-1]).rpartition(".")[2] if kinds else ""


def _label(span: Span) -> str:
    who = span.attributes.get("agent", "") if span.raw["kind"] == "consumer" else ""
    file = span.attributes.get("file", "").rpartition("/")[2]
    job = "" if who else span.attributes.get("job", "")
    return " ".join(
        part for part in (span.name, job, file, span.attributes.get("how"), who) if part
    )

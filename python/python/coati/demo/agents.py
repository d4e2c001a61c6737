"""The four kinds of agents."""

from __future__ import annotations

import ast
import random
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import coati

from . import instruments, tools
from .agent import Agent
from .library import Job
from .mail import Inbox, here

# Tried in this order. Most files are ASCII and written for old Pythons: the first try is cheap, and
# the rest of the library makes it fail for real.
ENCODINGS = ("ascii", "declared", "latin-1")
GRAMMARS = ((3, 7), (sys.version_info[0], sys.version_info[1]))
OLDEST, NEWEST = (f"{major}.{minor}" for major, minor in GRAMMARS)


@dataclass
class Assignment:
    """A file for a worker, or an earlier study whose count is to be made exact."""

    file: Path
    before: Study | None = None


@dataclass
class Study:
    """What a worker found out about a file."""

    file: Path
    source: str
    tree: ast.Module | None
    shape: tools.Shape
    documented: tuple[int, int] = (0, 0)
    imports: list[str] = field(default_factory=list)
    markers: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Totals:
    """What a job or the whole run adds up to."""

    files: int = 0
    lines: int = 0
    functions: int = 0
    markers: int = 0
    documented: int = 0
    public: int = 0
    complexity: int = 0
    hardest: str = ""

    def add(self, study: Study) -> None:
        """Adds one file."""
        self.files += 1
        self.lines += study.source.count("\n")
        self.functions += study.shape.functions
        self.markers += study.markers
        self.documented += study.documented[0]
        self.public += study.documented[1]
        if study.shape.complexity > self.complexity:
            self.complexity = study.shape.complexity
            self.hardest = f"{study.file.as_posix()}:{study.shape.hardest}"


class Planner(Agent):
    """Looks at the files of a job and decides who reads what first."""

    step = "plan"

    def __init__(self, name: str, inbox: Inbox, pool: Executor, library: Path) -> None:
        super().__init__(name, inbox, pool)
        self.library = library

    async def handle(self, content: Job) -> tuple[list[Assignment], bool]:
        """Assignments, the largest file first so that nobody waits for it at the end."""
        sizes = await self.use(weigh, self.library, content.files)
        order = sorted(content.files, key=lambda file: (-sizes[file], file))
        total = sum(sizes.values())
        coati.current_span().set_attributes({"files": len(order), "bytes": total})
        self.say("info", "plan ready", files=len(order), bytes=total, first=order[0])
        return [Assignment(file) for file in order], True


class Worker(Agent):
    """Reads a file and calls the tools on it; what fails is tried in another way."""

    step = "study"

    def __init__(self, name: str, inbox: Inbox, pool: Executor, library: Path) -> None:
        super().__init__(name, inbox, pool)
        self.library = library

    async def handle(self, content: Assignment) -> tuple[Study, bool]:
        """The study of a file; without a tree when nothing could parse it."""
        span = coati.current_span()
        span.set_attribute("file", content.file.as_posix())
        if content.before is not None:
            span.set_attribute("attempt", 2)
            span.add_link(coati.extract(content.before.headers))
            return await self.correct(content.before), True
        source = await self.read(content.file)
        tree = await self.parse(source, content.file.as_posix())
        markers = await self.use(tools.search, source)
        if tree is None:
            study = Study(content.file, source, None, await self.use(tools.scan, source))
        else:
            study = Study(content.file, source, tree, await self.use(tools.measure, tree))
            study.documented = await self.use(tools.docstrings, tree)
            study.imports = await self.use(tools.imports, tree)
        study.markers, study.headers = markers, here()
        self.report(study)
        return study, tree is not None

    async def correct(self, study: Study) -> Study:
        """Counts markers again, exactly."""
        found = await self.use(tools.recount, study.source)
        self.say("info", "corrected", file=study.file, claimed=study.markers, found=found)
        study.markers = found
        return study

    async def read(self, file: Path) -> str:
        """The text, in the first encoding that works; the last one takes every byte."""
        path = self.library / file
        for encoding, then in pairwise(ENCODINGS):
            try:
                return await self.use(tools.read, path, encoding, how=encoding)
            except (UnicodeDecodeError, SyntaxError, LookupError) as error:
                self.retry(file.as_posix(), error, f"read as {then}")
        return await self.use(tools.read, path, ENCODINGS[-1], how=ENCODINGS[-1])

    async def parse(self, source: str, name: str) -> ast.Module | None:
        """The tree, by the oldest grammar that takes it; None when no grammar does."""
        try:
            return await self.use(tools.parse, source, name, GRAMMARS[0], how=OLDEST)
        except (SyntaxError, ValueError) as error:
            self.retry(name, error, f"parse as Python {NEWEST}")
        try:
            return await self.use(tools.parse, source, name, GRAMMARS[1], how=NEWEST)
        except (SyntaxError, ValueError) as error:
            self.complain("no grammar takes this file", file=name)
            span = coati.current_span()
            span.record_exception(error)
            span.set_status("error", "no grammar takes this file")
            return None

    def report(self, study: Study) -> None:
        """Says what was found, on the span and in the log."""
        size = len(study.source.encode("utf-8", "replace"))
        instruments.file_size.record(size)
        facts = {
            "lines": study.source.count("\n"),
            "bytes": size,
            "functions": study.shape.functions,
            "complexity": study.shape.complexity,
            "hardest": study.shape.hardest,
            "markers": study.markers,
            "imports": study.imports,
            "public": study.documented[1],
            "documented": study.documented[0],
        }
        coati.current_span().set_attributes(facts)
        self.say(
            "info",
            "studied",
            file=study.file,
            lines=facts["lines"],
            functions=study.shape.functions,
        )
        if self.log.is_enabled("debug") and study.documented[1]:
            self.say("debug", "docstrings", file=study.file, documented=study.documented)


class Critic(Agent):
    """Checks studies by other means, and sends back those that do not hold."""

    step = "review"

    def __init__(self, name: str, inbox: Inbox, pool: Executor, seed: int) -> None:
        super().__init__(name, inbox, pool)
        self.seed = seed

    async def handle(self, content: list[Study]) -> tuple[list[Study], bool]:
        """The studies to be done again."""
        wrong = [study for study in content if not await self.holds(study)]
        coati.current_span().set_attributes({"studies": len(content), "sent_back": len(wrong)})
        self.say("info", "reviewed", studies=len(content), sent_back=len(wrong))
        return wrong, True

    async def holds(self, study: Study) -> bool:
        """Whether markers are counted right; some trees are compiled, too."""
        if study.tree is None:
            self.say("warning", "accepted in part", file=study.file, reason="not parsed")
            return True
        if random.Random(f"{self.seed} {study.file.as_posix()}").random() < 0.25:
            await self.recompile(study)
        if study.markers == 0:
            return True
        found = await self.use(tools.recount, study.source)
        if found != study.markers:
            fields: dict[str, Any] = {"file": study.file.as_posix(), "claimed": study.markers}
            coati.current_span().add_event("sent back", found=found, **fields)
            self.say("warning", "sent back", found=found, **fields)
        return found == study.markers

    async def recompile(self, study: Study) -> None:
        """Notes a file that parses and yet does not compile."""
        assert study.tree is not None
        try:
            await self.use(tools.recompile, study.tree, study.file.name)
        except (SyntaxError, ValueError) as error:
            coati.current_span().record_exception(error)
            self.complain("parses but does not compile", file=study.file)


class Summariser(Agent):
    """Adds studies up, in a thread."""

    step = "summarise"

    async def handle(self, content: list[Study]) -> tuple[Totals, bool]:
        """The totals of a job."""
        totals = await self.use(add_up, content)
        span = coati.current_span()
        span.set_attributes({name: getattr(totals, name) for name in ("files", "lines", "markers")})
        if totals.public:
            instruments.coverage.set(totals.documented / totals.public, agent=self.name)
        self.say(
            "info", "summed up", files=totals.files, lines=totals.lines, hardest=totals.hardest
        )
        return totals, True


def weigh(library: Path, files: Iterable[Path]) -> dict[Path, int]:
    """The sizes of files."""
    return {file: (library / file).stat().st_size for file in files}


def add_up(studies: list[Study]) -> Totals:
    """The last of the running totals."""
    last = deque(running(studies), maxlen=1)
    return last.pop() if last else Totals()


@coati.trace("running totals")
def running(studies: list[Study]) -> Iterator[Totals]:
    """Totals after each study: a generator, whose span stays current inside it only."""
    totals = Totals()
    for study in studies:
        totals.add(study)
        yield totals

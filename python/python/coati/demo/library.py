"""The input: the standard library's source files, grouped into jobs."""

from __future__ import annotations

import random
import sysconfig
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import coati

FILES_PER_JOB = 10
LARGEST = 200_000  # bytes; a bigger file would keep one thread busy past the end of a short run
SKIPPED = {"site-packages", "dist-packages", "__pycache__", "node_modules"}
# Where the standard library keeps files that are broken or oddly encoded on purpose.
TROUBLE = ("test/tokenizedata", "test/encoded_modules", "lib2to3/tests/data")


@dataclass(frozen=True)
class Job:
    """Some files of one directory: what one trace is about."""

    name: str
    files: tuple[Path, ...]


def root() -> Path:
    """The directory of the running interpreter's standard library."""
    return Path(sysconfig.get_paths()["stdlib"])


@coati.trace("find files")
def find(library: Path) -> list[Path]:
    """All Python files of the library worth reading, in a fixed order."""
    found = []
    for path in sorted(library.rglob("*.py")):
        inside = path.relative_to(library)
        if SKIPPED.isdisjoint(inside.parts) and 0 < path.stat().st_size <= LARGEST:
            found.append(inside)
    coati.current_span().set_attributes({"library": library, "files": len(found)})
    return found


def jobs(files: list[Path], seed: int) -> list[Job]:
    """Groups files by directory: the odd ones first, tests last, else in an order by `seed`."""
    by_folder: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        by_folder[file.parent.as_posix()].append(file)
    made = [job for folder, group in by_folder.items() for job in _split(folder, group)]
    random.Random(seed).shuffle(made)
    made.sort(key=lambda job: _rank(job.files[0].parent.as_posix()))
    return made


def limit(made: list[Job], files: int) -> list[Job]:
    """The first jobs, until they have `files` files."""
    kept = []
    for job in made:
        if files <= 0:
            break
        kept.append(Job(job.name, job.files[:files]))
        files -= len(job.files)
    return kept


def _split(folder: str, files: list[Path]) -> list[Job]:
    parts = [files[at : at + FILES_PER_JOB] for at in range(0, len(files), FILES_PER_JOB)]
    title = "top level" if folder == "." else folder
    if len(parts) == 1:
        return [Job(title, tuple(files))]
    return [Job(f"{title} {n}/{len(parts)}", tuple(part)) for n, part in enumerate(parts, 1)]


def _rank(folder: str) -> int:
    if folder in TROUBLE:
        return 0
    return 2 if {"test", "tests", "idle_test"} & set(folder.split("/")) else 1

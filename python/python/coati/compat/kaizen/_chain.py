"""The hash chain of an audit trail: how lines are linked, and how that is checked."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["GENESIS", "Break", "Head", "Verification", "before", "find_head", "link", "verify"]

#: What stands before the first entry.
GENESIS = "0" * 64
_PIECE = 1 << 16


class Head(NamedTuple):
    """The last entry of a chain."""

    sequence: int
    hash: str


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold, and why."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Verification:
    """What was found in a trail.

    Entries cut off at the end leave no trace in the trail itself: compare ``head`` with one that
    was kept elsewhere.
    """

    #: Linked entries, and the number of the first: above 1 where older files have been removed.
    entries: int
    first: int | None
    head: Head
    #: Lines before the chain began, which its first entry covers.
    unchained: int
    #: Lines that are no entries, as a process killed while writing leaves one.
    torn: list[Break] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the chain holds."""
        return not self.breaks


def link(entry: Mapping[str, Any], previous: str, key: bytes | None) -> str:
    """The hash of an entry: SHA-256, or HMAC-SHA-256 with a key, over the hash before it and its
    own canonical JSON, which has sorted keys and no spaces and leaves the hashes out."""
    rest = {name: one for name, one in entry.items() if name not in {"hash", "prev_hash"}}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    content = f"{previous}{text}".encode("ascii")
    if key is None:
        return hashlib.sha256(content).hexdigest()
    return hmac.new(key, content, "sha256").hexdigest()


def before(lines: Iterable[bytes]) -> str:
    """What a chain begins with behind lines that are in none."""
    digest, some = hashlib.sha256(), False
    for line in lines:
        if line.strip():
            some = True
            digest.update(line.rstrip(b"\r\n") + b"\n")
    return digest.hexdigest() if some else GENESIS


def parse(line: bytes) -> dict[str, Any] | None:
    """The object of a line, if it is one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _chained(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("hash"), str) and type(entry.get("sequence")) is int


def find_head(file: int, size: int) -> Head | None:
    """The last linked entry among the first bytes of an open file."""
    rest, place = b"", size
    while place:
        step = min(_PIECE, place)
        place -= step
        os.lseek(file, place, os.SEEK_SET)
        lines = (os.read(file, step) + rest).split(b"\n")
        rest = lines[0] if place else b""
        for line in reversed(lines[1:] if place else lines):
            entry = parse(line) if b'"hash"' in line else None
            if entry and _chained(entry):
                return Head(entry["sequence"], entry["hash"])
    return None


def verify(files: Iterable[tuple[Path, Iterator[bytes]]], key: bytes | None) -> Verification:
    """Go through all lines, oldest first."""
    torn: list[Break] = []
    breaks: list[Break] = []
    entries = unchained = 0
    first: int | None = None
    head = Head(0, GENESIS)
    loose = False
    digest = hashlib.sha256()
    for path, lines in files:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            entry = parse(line)
            if entry is None:
                torn.append(Break(str(path), number, "no entry"))
            if entry is None or not _chained(entry):
                if first is None:
                    digest.update(line.rstrip(b"\r\n") + b"\n")
                    loose = True
                    unchained += entry is not None
                elif entry is not None:
                    breaks.append(Break(str(path), number, "not in the chain"))
                continue
            if first is None:
                first = entry["sequence"]
                known = digest.hexdigest() if loose else GENESIS
                # Older files may have been removed.
                head = Head(first - 1, known if first == 1 else entry.get("prev_hash", ""))
            reason = _fault(entry, head, key)
            if reason:
                breaks.append(Break(str(path), number, reason))
            head = Head(entry["sequence"], entry["hash"])
            entries += 1
    return Verification(entries, first, head, unchained, torn, breaks)


def _fault(entry: Mapping[str, Any], head: Head, key: bytes | None) -> str:
    if entry.get("prev_hash") != head.hash:
        return "does not follow the entry before it"
    if entry["sequence"] != head.sequence + 1:
        return f"has number {entry['sequence']} behind {head.sequence}"
    if not hmac.compare_digest(entry["hash"].encode(), link(entry, head.hash, key).encode()):
        return "was changed, or the key is another"
    return ""

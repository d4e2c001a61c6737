"""The hash chain of an audit trail: how lines are linked, and how that is checked."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

__all__ = [
    "CHANGED",
    "GENESIS",
    "Break",
    "Chain",
    "Head",
    "Repeated",
    "Verification",
    "before",
    "find_head",
    "link",
    "parse",
    "verify",
]

#: What stands before the first entry.
GENESIS = "0" * 64
#: Of an entry that follows the one before it, but is not as it was written.
CHANGED = "was changed, or the key is another"
_PIECE = 1 << 16
_HASH = re.compile(r"[0-9a-f]{64}")


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


class Repeated(ValueError):
    """An object has a key twice: of two values, readers may take one or the other."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Repeated("a key stands twice")
    return found


_decode = json.JSONDecoder(object_pairs_hook=_unique).decode


def parse(text: str | bytes) -> Any:
    """The value of a line, no object of which has a key twice.

    Raises:
        ValueError: it is no JSON; :class:`Repeated` for such a key.
        RecursionError: it is too deep.
    """
    return _decode(text if isinstance(text, str) else text.decode())


def _object(line: bytes) -> dict[str, Any] | None:
    """The object of a line, if it is one."""
    try:
        found = parse(line)
    except Repeated:
        raise
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _claims(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("hash"), str) and type(entry.get("sequence")) is int


def _chained(entry: Mapping[str, Any]) -> bool:
    hashes = entry.get("hash"), entry.get("prev_hash")
    whole = all(isinstance(one, str) and _HASH.fullmatch(one) for one in hashes)
    return whole and type(entry.get("sequence")) is int


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
            try:
                entry = _object(line) if b'"hash"' in line else None
            except Repeated:
                continue
            if entry and _chained(entry):
                return Head(entry["sequence"], entry["hash"])
    return None


class Chain:
    """A trail that is gone through line by line, oldest first."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._loose: Any = None
        self.head = Head(0, GENESIS)
        self.first: int | None = None
        self.entries = 0
        self.unchained = 0

    def step(self, line: bytes) -> tuple[dict[str, Any] | None, str]:
        """The entry of the next line, if it is in the chain, and why the chain does not hold."""
        try:
            entry = _object(line)
        except Repeated:
            self._pass(line)
            return None, "has a key twice"
        if entry is None:
            self._pass(line)
            return None, ""
        if not _chained(entry):
            self.unchained += self.first is None
            self._pass(line)
            if _claims(entry):
                return None, "has no whole hash"
            return None, "" if self.first is None else "not in the chain"
        reason = self._begin(entry) or self._fault(entry)
        self.head = Head(entry["sequence"], entry["hash"])
        self.entries += 1
        return entry, reason

    def _pass(self, line: bytes) -> None:
        if self.first is None:
            self._loose = self._loose or hashlib.sha256()
            self._loose.update(line.rstrip(b"\r\n") + b"\n")

    def _begin(self, entry: Mapping[str, Any]) -> str:
        if self.first is not None:
            return ""
        first = self.first = entry["sequence"]
        if first == 1:
            self.head = Head(0, self._loose.hexdigest() if self._loose else GENESIS)
            return ""
        # Older files may have been removed, but lines that no entry covers are no part of them.
        self.head = Head(first - 1, entry["prev_hash"])
        return f"has number {first} behind lines in no chain" if self.unchained else ""

    def _fault(self, entry: Mapping[str, Any]) -> str:
        head = self.head
        if entry["prev_hash"] != head.hash:
            return "does not follow the entry before it"
        if entry["sequence"] != head.sequence + 1:
            return f"has number {entry['sequence']} behind {head.sequence}"
        try:
            known = link(entry, head.hash, self._key)
        except RecursionError:
            return CHANGED
        return "" if hmac.compare_digest(entry["hash"], known) else CHANGED


def verify(files: Iterable[tuple[Path, Iterator[bytes]]], key: bytes | None) -> Verification:
    """Go through all lines, oldest first."""
    torn: list[Break] = []
    breaks: list[Break] = []
    chain = Chain(key)
    for path, lines in files:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            unchained = chain.unchained
            entry, reason = chain.step(line)
            if reason:
                breaks.append(Break(str(path), number, reason))
            elif entry is None and chain.unchained == unchained:
                torn.append(Break(str(path), number, "no entry"))
    return Verification(chain.entries, chain.first, chain.head, chain.unchained, torn, breaks)

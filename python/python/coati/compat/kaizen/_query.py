"""Which lines of an audit trail are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from coati.compat.kaizen._chain import parse
from coati.compat.kaizen.types import AuditEntry

__all__ = ["Filter"]

#: What JSON writes in one way only, but for escapes.
_PLAIN = re.compile(r"[ !#-\[\]-~]*")
_BEGINNING = b'{"timestamp": "'


def moment(when: datetime) -> datetime:
    """With a zone, UTC where there is none, so that all can be compared."""
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def _time(text: str) -> datetime:
    # Releases before 3.11 do not know the letter.
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


@dataclass
class Filter:
    """What must be equal, and between which times; empty for whatever it is."""

    equal: dict[str, str | None]
    start: datetime | None = None
    end: datetime | None = None
    #: Lines that are no entries: file, line, why.
    malformed: list[tuple[str, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.equal = {name: value for name, value in self.equal.items() if value}
        self.start = moment(self.start) if self.start else None
        self.end = moment(self.end) if self.end else None
        texts = [value for value in self.equal.values() if value and _PLAIN.fullmatch(value)]
        self._needles = [f'"{text}"'.encode() for text in texts]

    def entries(self, files: Iterable[tuple[Path, Iterator[bytes]]]) -> list[AuditEntry]:
        """The entries asked for, by time."""
        found: list[AuditEntry] = []
        for path, lines in files:
            for number, line in enumerate(lines, 1):
                if self._hopeless(line):
                    continue
                try:
                    entry = _entry(parse(line))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                    if line.strip():
                        why = f"{type(error).__name__}: {error}"
                        self.malformed.append((str(path), number, why))
                    continue
                if self._wanted(entry):
                    found.append(entry)
        found.sort(key=lambda entry: moment(entry.timestamp))
        return found

    def _hopeless(self, line: bytes) -> bool:
        """Whether a line need not be parsed, by its bytes: a value that stands nowhere in it, as
        long as nothing in it is escaped, or a time out of range."""
        for needle in self._needles:
            if needle not in line and b"\\" not in line and line.endswith(b"}\n"):
                return True
        if (self.start or self.end) and line.startswith(_BEGINNING):
            try:
                when = moment(_time(line[15 : line.index(b'"', 15)].decode()))
            except ValueError:
                return False
            return not self._within(when) and line.endswith(b"}\n")
        return False

    def _within(self, when: datetime) -> bool:
        return not (self.start and when < self.start) and not (self.end and when > self.end)

    def _wanted(self, entry: AuditEntry) -> bool:
        for name, value in self.equal.items():
            if getattr(entry, name) != value:
                return False
        return self._within(moment(entry.timestamp))


def _entry(line: dict[str, Any]) -> AuditEntry:
    return AuditEntry(
        timestamp=_time(line["timestamp"]),
        agent_id=line["agent_id"],
        action=line["action"],
        details=line.get("details") or {},
        result=line["result"],
        user_id=line.get("user_id"),
        metadata=line.get("metadata") or {},
    )

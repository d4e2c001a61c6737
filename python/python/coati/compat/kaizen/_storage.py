"""An audit trail in files: what is appended, read and checked."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import stat
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import coati
from coati.compat.kaizen._chain import (
    Head,
    Repeated,
    Verification,
    before,
    find_head,
    link,
    parse,
    verify,
)
from coati.compat.kaizen._files import Files
from coati.compat.kaizen._plain import encode
from coati.compat.kaizen._query import Filter
from coati.compat.kaizen.types import AuditEntry, AuditResult

__all__ = ["FileAuditStorage", "fields_of"]

logger = logging.getLogger("kaizen.core.autonomy.observability.audit")

#: Trails up to this size are read without a thread of their own.
_SMALL = 1 << 16
_R = TypeVar("_R")


class FileAuditStorage:
    """An audit trail in JSON lines, each linked to the one before it.

    A line has the keys of :class:`AuditEntry` in their order, then ``trace_id`` and ``span_id``
    inside a span, then ``sequence``, ``prev_hash`` and ``hash`` (see :meth:`verify`). Trails
    without links are read and continued. Several threads, tasks and processes may write to one
    file, on systems with ``flock``. Files are their owner's alone. What a killed process has left
    of a line is passed over, with a warning.

    Args:
        file_path: the file that grows.
        key: secret of HMAC-SHA-256 links; SHA-256 without.
        rotate_bytes: size that a file is closed before; the next one goes on with its chain.
            Closed files are never removed.
        fsync: whether an entry is on the disk, not only with the system, when ``append`` returns.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(
        self,
        file_path: str | os.PathLike[str] = ".kaizen/audit.jsonl",
        *,
        key: bytes | str | None = None,
        rotate_bytes: int = 64 << 20,
        fsync: bool = False,
    ) -> None:
        self.file_path = Path(file_path)
        self._key = key.encode() if isinstance(key, str) else key
        self._rotate = rotate_bytes
        self._fsync = fsync
        self._files = Files(self.file_path)
        #: The last entry, and inode and size of the file when it was written.
        self._known: tuple[tuple[int, int], Head] | None = None
        parent = self.file_path.parent
        if not parent.exists():
            parent.mkdir(parents=True, exist_ok=True)
            parent.chmod(0o700)
        if not self.file_path.exists():
            self.file_path.touch(mode=0o600)
        _own(self.file_path)

    def get_file_path(self) -> Path:
        """The file that grows."""
        return self.file_path

    async def append(self, entry: AuditEntry) -> None:
        """Write an entry.

        Raises:
            OSError: it could not be written; nothing of it is in the file.
        """
        text = encode(fields_of(entry))
        if not self._fsync:
            try:
                return self._write(text, wait=False)
            except BlockingIOError:
                # Someone else is writing.
                pass
        return await _in_thread(self._write, text)

    def _write(self, text: str, wait: bool = True) -> None:
        # As it will be read.
        try:
            entry = parse(text)
        except Repeated:
            # Keys that become equal as texts are one.
            entry = json.loads(text)
            text = encode(entry)
        while True:
            with self._files.locked(wait) as file:
                status = os.fstat(file)
                head = self._head(file, status)
                entry["sequence"] = head.sequence + 1
                new = Head(head.sequence + 1, link(entry, head.hash, self._key))
                line = (
                    f'{text[:-1]}, "sequence": {new.sequence}, '
                    f'"prev_hash": "{head.hash}", "hash": "{new.hash}"}}\n'
                ).encode()
                size = status.st_size
                if size and size + len(line) > self._rotate:
                    self._files.close_current()
                    continue
                if size and not _ends(file, size):
                    line = b"\n" + line
                self._put(file, line, size)
                self._known = (status.st_ino, size + len(line)), new
                return

    def _put(self, file: int, line: bytes, size: int) -> None:
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(file, rest) :]
            if self._fsync:
                os.fsync(file)
        except BaseException:
            os.ftruncate(file, size)
            raise

    def _head(self, file: int, status: os.stat_result) -> Head:
        known = self._known
        if known and known[0] == (status.st_ino, status.st_size):
            return known[1]
        head = find_head(file, status.st_size)
        closed = [] if head else self._files.closed()
        for path in reversed(closed):
            with path.open("rb") as one:
                head = find_head(one.fileno(), path.stat().st_size)
            if head:
                return head
        if head:
            return head
        with self.file_path.open("rb") as current:
            older = (line for path in closed for line in path.open("rb"))
            return Head(0, before(line for lines in (older, current) for line in lines))

    async def query(
        self,
        agent_id: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        action: str | None = None,
        user_id: str | None = None,
        result: AuditResult | None = None,
    ) -> list[AuditEntry]:
        """The entries that match all that is given, by time, those of closed files too."""
        equal = {"agent_id": agent_id, "action": action, "user_id": user_id, "result": result}
        return await self._reading(self._query, Filter(equal, start_time, end_time))

    def _query(self, wanted: Filter) -> list[AuditEntry]:
        with self._files.snapshot() as files:
            entries = wanted.entries(files)
        if wanted.malformed:
            logger.warning(
                "Skipping %d malformed audit entries, the first in %s, line %d: %s",
                len(wanted.malformed),
                *wanted.malformed[0],
            )
        return entries

    async def count(self) -> int:
        """How many entries there are, closed files included."""
        return await self._reading(self._count)

    def _count(self) -> int:
        with self._files.snapshot() as files:
            whole = (line.strip() for _, lines in files for line in lines)
            return sum(line.startswith(b"{") and line.endswith(b"}") for line in whole)

    def verify(self) -> Verification:
        """Check the chain over all files, and tell where it breaks.

        ``hash`` is SHA-256 over ``prev_hash`` and the entry as canonical JSON (sorted keys, no
        spaces, without the two hashes), or HMAC-SHA-256 with the key; ``prev_hash`` is the hash of
        the line before, 64 zeros for the first, or SHA-256 over the lines that were there before.
        A trail whose oldest files were removed holds, and so does one whose oldest lines were cut
        off: ``first`` tells the number that it begins with.
        """
        with self._files.snapshot() as files:
            return verify(files, self._key)

    async def _reading(self, function: Callable[..., _R], *args: Any) -> _R:
        size = self.file_path.stat().st_size if self.file_path.exists() else 0
        if size <= _SMALL and not self._files.closed():
            return function(*args)
        return await _in_thread(function, *args)


def fields_of(entry: AuditEntry) -> dict[str, Any]:
    """What a line says before the chain's keys."""
    fields: dict[str, Any] = {
        "timestamp": entry.timestamp.isoformat(),
        "agent_id": entry.agent_id,
        "action": entry.action,
        "details": entry.details,
        "result": entry.result,
        "user_id": entry.user_id,
        "metadata": entry.metadata,
    }
    span = coati.current_span().get_span_context()
    if span.is_valid:
        fields["trace_id"] = span.trace_id
        fields["span_id"] = span.span_id
    return fields


def _own(path: Path) -> None:
    """Make a file its owner's alone, and tell if it was not."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode != 0o600:
        logger.warning(
            "Audit path %s was %s%s; setting 0o600",
            path,
            oct(mode),
            " (group/world accessible)" if mode & 0o077 else "",
        )
        path.chmod(0o600)


def _ends(file: int, size: int) -> bool:
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"


async def _in_thread(function: Callable[..., _R], *args: Any) -> _R:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # Another library's loop.
        to_thread = importlib.import_module("anyio.to_thread")
        return await to_thread.run_sync(partial(function, *args))  # type: ignore[no-any-return]
    return await asyncio.to_thread(function, *args)

"""The files of an audit trail: one that grows, closed ones beside it, and a lock over processes."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # No such locks: one process only.
    fcntl = None  # type: ignore[assignment]

__all__ = ["Files"]

_MODE = 0o600
_alone = threading.Lock()


class Files:
    """``audit.jsonl`` and, numbered upwards as they were closed, ``audit.jsonl.000001`` and so on.

    What reads and what writes holds the lock of the file that grows. Whoever closes it renames it
    under the lock, so that others who waited for it see that it is no longer the one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = re.compile(re.escape(path.name) + r"\.(\d{6,})")

    def closed(self) -> list[Path]:
        """The closed files, oldest first."""
        names = [name for name in os.listdir(self.path.parent) if self._closed.fullmatch(name)]
        return [self.path.parent / name for name in sorted(names, key=lambda n: (len(n), n))]

    @contextmanager
    def locked(self, wait: bool = True) -> Iterator[int]:
        """The file that grows, opened and locked.

        Raises:
            BlockingIOError: someone else has the lock, and ``wait`` is false.
        """
        if fcntl is None and not _alone.acquire(blocking=wait):
            raise BlockingIOError
        try:
            file = self._open(wait)
            try:
                yield file
            finally:
                # Not by closing it alone: a copy of it may be open, here or in a child.
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_UN)
                os.close(file)
        finally:
            if fcntl is None:
                _alone.release()

    def _open(self, wait: bool) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        while True:
            file = os.open(self.path, flags, _MODE)
            try:
                if fcntl is None:
                    return file
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                with suppress(FileNotFoundError):
                    if os.fstat(file).st_ino == os.stat(self.path).st_ino:
                        return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def close_current(self) -> None:
        """Make the file that grows a closed one; for who has its lock."""
        closed = self.closed()
        number = int(closed[-1].name.rpartition(".")[2]) + 1 if closed else 1
        os.rename(self.path, self.path.with_name(f"{self.path.name}.{number:06d}"))

    @contextmanager
    def snapshot(self) -> Iterator[list[tuple[Path, Iterator[bytes]]]]:
        """The lines that there are now, file by file, oldest first; what is added is not seen."""
        with self.locked() as current:
            closed = self.closed()
            size = os.fstat(current).st_size
            own = os.fdopen(os.dup(current), "rb")
        with own:
            yield [*((path, _lines(path)) for path in closed), (self.path, _some(own, size))]


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _some(file: BinaryIO, size: int) -> Iterator[bytes]:
    file.seek(0)
    for line in file:
        size -= len(line)
        if size < 0:
            return
        yield line

"""Results that may be awaited or not: the framework's page leaves open which of its methods are."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


class Answer(int):
    """A truth value; awaiting gives True or False."""

    def __await__(self) -> Generator[Any, None, bool]:
        yield from ()
        return bool(self)

    def __repr__(self) -> str:
        return repr(bool(self))


class Text(str):
    """A text; awaiting gives it, too."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, str]:
        yield from ()
        return str(self)


class Entries(list[dict[str, Any]]):
    """Entries; awaiting gives them, too."""

    def __await__(self) -> Generator[Any, None, list[dict[str, Any]]]:
        yield from ()
        return list(self)

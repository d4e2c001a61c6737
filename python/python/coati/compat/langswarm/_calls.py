"""Calls with keywords that are only known at run time, as fast as if they stood in the program.

The engine knows keywords again by the tuple in which the interpreter hands them over. That is the
same one for each call of one place in a program, and a new one each time for ``call(**keywords)``,
which costs ten times as much. So each set of names gets a place of its own.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any

#: Sets of names that are remembered.
_ROOM = 2000


class Calls(dict[tuple[str, ...], Callable[..., Any]]):
    """By names: what calls a function with one argument and with keywords of these names.

    Args:
        instead: makes what is called where a name is a parameter's of the function or no name.
        taken: the function's own parameters.
    """

    def __init__(
        self,
        instead: Callable[[tuple[str, ...]], Callable[..., Any]],
        taken: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self._instead = instead
        self._taken = taken

    def __missing__(self, names: tuple[str, ...]) -> Callable[..., Any]:
        if all(map(self._good, names)) and len(self) < _ROOM:
            places = [f"v{number}" for number in range(len(names))]
            given = ", ".join(f"{name}={place}" for name, place in zip(names, places, strict=True))
            source = f"lambda call, first, {', '.join(places)}: call(first, {given})"
            # Of names that are checked, and nothing else.
            self[names] = made = eval(source, {})
            return made  # type: ignore[no-any-return]
        return self._instead(names)

    def _good(self, name: str) -> bool:
        return name.isidentifier() and not keyword.iskeyword(name) and name not in self._taken


def _as_attributes(names: tuple[str, ...]) -> Callable[..., Any]:
    return lambda call, first, *values: call(
        first, attributes=dict(zip(names, values, strict=True))
    )


#: For tracers: a name, and attributes.
with_attributes = Calls(
    _as_attributes,
    frozenset({"parent", "kind", "links", "start_time", "timeout", "attributes"}),
)

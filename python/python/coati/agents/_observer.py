"""What observers have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, overload

from coati.agents._observation import Observation

_F = TypeVar("_F", bound=Callable[..., Any])
_Make = Callable[..., Observation]


class Observer:
    """Makes observations of one kind: ``with tool("search"):``, ``@tool``, ``@tool("search")``,
    ``tool.record("search", duration=0.2)``. What else it takes stands in its own documentation."""

    def __init__(self, make: _Make) -> None:
        self._make = make
        functools.update_wrapper(self, make)

    @overload
    def __call__(self, name: str | None = None, /, **options: Any) -> Observation: ...
    @overload
    def __call__(self, function: _F, /) -> _F: ...
    def __call__(self, name: Any = None, /, **options: Any) -> Any:
        """An observation, or with a function alone the function, observed."""
        if callable(name):
            return self._make(None, **options)(name)
        return self._make(name, **options)

    def record(
        self,
        name: str | None = None,
        /,
        *,
        duration: float,
        start_time: int | None = None,
        error: BaseException | str | None = None,
        response: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Record a call that is over.

        Args:
            name: as in a call.
            duration: how long it took, in seconds.
            start_time: ns since the epoch when it began; unless given it has just ended.
            error: what it failed with.
            response: of a model call: ``usage``, ``model``, ``id``, ``finish_reasons``.
            options: as in a call.
        """
        self._make(name, **options).record(
            duration, start_time=start_time, error=error, **(response or {})
        )

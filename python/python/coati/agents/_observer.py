"""What observers have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from coati.agents._observation import Observation

_P = ParamSpec("_P")
_F = TypeVar("_F", bound=Callable[..., Any])


class Observer(Generic[_P]):
    """Makes observations of one kind: ``with tool("search"):``, ``@tool``, ``@tool("search")``,
    ``tool.record("search", duration=0.2)``. What else it takes stands in its own documentation."""

    def __init__(self, make: Callable[_P, Observation]) -> None:
        self._make: Callable[..., Observation] = make
        functools.update_wrapper(self, make)

    @overload
    def __call__(self, function: _F, /) -> _F: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *args: _P.args, **options: _P.kwargs) -> Observation: ...
    def __call__(self, *args: Any, **options: Any) -> Any:
        """An observation, or with a function alone the function, observed."""
        if len(args) == 1 and callable(args[0]):
            return self._make(None, **options)(args[0])
        return self._make(*args, **options)

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

"""Where the API keeps the provider that is the process's own."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any


class Global:
    """One such place: a module's variable, and the flag that says that it has been set.

    Args:
        module: the module.
        name: the variable, such as ``_TRACER_PROVIDER``; its flag is called ``…_SET_ONCE``.
        make: makes the provider, once.
        told: called with the provider whenever it has been put there.
        untold: called with what was there before whenever that has been put back.
    """

    def __init__(
        self,
        module: ModuleType,
        name: str,
        make: Callable[[], Any],
        told: Callable[[Any], object] | None = None,
        untold: Callable[[Any], object] | None = None,
    ) -> None:
        self.is_put = False
        self._module = module
        self._name = name
        self._make = make
        self._told = told
        self._untold = untold
        self._provider: Any = None
        self._before: Any = None
        self._done = False

    def put(self) -> None:
        """Put the provider there, in place of what is there."""
        if self.is_put:
            return
        if self._provider is None:
            self._provider = self._make()
        once = getattr(self._module, self._name + "_SET_ONCE")
        self._before = getattr(self._module, self._name)
        self._done = once._done
        once._done = True
        setattr(self._module, self._name, self._provider)
        self.is_put = True
        if self._told is not None:
            self._told(self._provider)

    def take_back(self) -> None:
        """Put back what was there, unless somebody has replaced ours meanwhile."""
        if not self.is_put:
            return
        self.is_put = False
        if getattr(self._module, self._name) is self._provider:
            setattr(self._module, self._name, self._before)
            getattr(self._module, self._name + "_SET_ONCE")._done = self._done
            if self._untold is not None:
                self._untold(self._before)
        self._before = None

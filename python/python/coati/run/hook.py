"""Tells when a program imports one of the packages that are waited for.

A finder at the head of `sys.meta_path` asks the finders behind it, as the import system would, and
has the loader they give tell when it has run the module. Programs meet their own loaders: one that
belongs to a single module only gets a method, another has a stand-in, and both are gone before the
module's first line runs.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import (
    ExtensionFileLoader,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import ModuleType
from typing import Any

__all__ = ["Hook"]

#: Loaders of which each module has its own.
_OWN = (SourceFileLoader, SourcelessFileLoader, ExtensionFileLoader)


class Hook:
    """Waits for imports.

    Args:
        names: the modules waited for, as they are imported.
        before: called with the name before a module that has been told of is run again.
        after: called with the name when a module has been run and is in `sys.modules`.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        before: Callable[[str], None],
        after: Callable[[str], None],
    ) -> None:
        self._names = frozenset(names)
        self._before = before
        self._after = after
        self._finding = threading.local()
        #: What has been told of.
        self._told: dict[str, ModuleType] = {}

    def install(self) -> None:
        """Wait from now on; what is imported already is told of at once."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        for name in sorted(self._names):
            module = sys.modules.get(name)
            if module is not None and not getattr(module.__spec__, "_initializing", False):
                self.done(module, name)

    def remove(self) -> None:
        """Wait no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self._told.clear()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders find, prepared if it is waited for."""
        if name not in self._names:
            return None
        # Other hooks of this kind may ask all finders, and so come back.
        finding: set[str] = self._finding.__dict__.setdefault("names", set())
        if name in finding:
            return None
        finding.add(name)
        try:
            spec = self._ask(name, path, target)
        finally:
            finding.discard(name)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            _prepare(spec, self)
        return spec

    def _ask(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        finders = list(sys.meta_path)
        # Those before have been asked.
        behind: list[Any] = finders[finders.index(self) + 1 :] if self in finders else []
        for finder in behind:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find is not None else None
            if spec is not None:
                return spec
        return None

    def begins(self, module: ModuleType, name: str) -> None:
        """A module is about to be run."""
        if self._told.get(name) is module and self in sys.meta_path:
            del self._told[name]
            self._before(name)

    def done(self, module: ModuleType, name: str) -> None:
        """A module has been run."""
        if sys.modules.get(name) is module and self in sys.meta_path:
            self._told[name] = module
            self._after(name)


def _prepare(spec: ModuleSpec, hook: Hook) -> None:
    loader: Any = spec.loader
    if type(loader) in _OWN:
        own = True
    else:
        own = False
        stand_in: Any = _StandIn(loader)
        spec.loader = stand_in

    def exec_module(module: ModuleType) -> None:
        if own:
            loader.__dict__.pop("exec_module", None)
        else:
            spec.loader = loader
            with contextlib.suppress(AttributeError):
                module.__loader__ = loader
        hook.begins(module, spec.name)
        loader.exec_module(module)
        hook.done(module, spec.name)

    _unseen(exec_module)
    vars(spec.loader)["exec_module"] = exec_module


def _unseen(function: Any) -> None:
    """Tracebacks leave out importing, and so this."""
    function.__code__ = function.__code__.replace(co_filename="<frozen importlib._bootstrap>")


class _StandIn:
    """A loader that serves several modules, for one of them."""

    def __init__(self, loader: Any) -> None:
        self.__loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader has it."""
        create = getattr(self.__loader, "create_module", None)
        module: ModuleType | None = create(spec) if create is not None else None
        return module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__loader, name)

"""Kaizen's own modules, and what stands in their place."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

__all__ = ["install", "is_installed", "uninstall"]

_OURS = "coati.compat.kaizen"
_PARENT = "kaizen.core.autonomy"
#: Their packages, which stay what they are but for the names that ours have.
_PACKAGES = [f"{_PARENT}.{name}" for name in ("observability", "hooks", "hooks.builtin")]
#: Their modules, which ours replace.
_MODULES = {
    **{
        f"{_PARENT}.observability.{name}": f".{name}"
        for name in ("types", "metrics", "logging", "audit", "tracing_manager", "manager")
    },
    **{f"{_PARENT}.hooks.{name}": f".hooks.{name}" for name in ("types", "protocol", "manager")},
    **{
        f"{_PARENT}.hooks.builtin.{name}": f".hooks.builtin.{name}"
        for name in (
            *("audit_hook", "audit_trail_hook", "cost_tracking_hook", "logging_hook"),
            *("metrics_hook", "performance_profiler_hook", "tracing_hook"),
        )
    },
}
_MISSING = object()


class _Installed:
    """What is in force."""

    def __init__(self) -> None:
        #: Their modules, as far as they had been imported.
        self.modules: dict[str, ModuleType] = {}
        #: What stood where: a module, a name, the value.
        self.replaced: list[tuple[ModuleType, str, Any]] = []


_installed: _Installed | None = None


def install() -> None:
    """Put coati's classes in the place of Kaizen's observability and hooks.

    Whatever imports them from now on gets coati's, and whatever has imported them gets coati's
    under the same names. Objects made before stay what they are.

    Raises:
        ImportError: ``kailash-kaizen``, or ``opentelemetry-api``, is not installed.
    """
    global _installed  # noqa: PLW0603 - a program has one `kaizen`
    if _installed is not None:
        return
    try:
        importlib.import_module(_PARENT)
    except ImportError as error:
        raise ImportError(
            "coati.compat.kaizen.install() needs Kaizen: "
            "pip install 'kailash-kaizen[observability]'"
        ) from error
    ours = {name: importlib.import_module(_OURS + own) for name, own in _MODULES.items()}
    fresh = _Installed()
    instead: dict[int, Any] = {}
    for name, module in ours.items():
        theirs = sys.modules.get(name)
        if theirs is not None:
            fresh.modules[name] = theirs
            instead.update({id(one): own for one, own in _pairs(theirs, module)})
        sys.modules[name] = module
    _installed = fresh
    for name in _PACKAGES:
        importlib.import_module(name)
    for name, module in ours.items():
        parent, _, child = name.rpartition(".")
        _put(fresh, sys.modules[parent], child, module)
    for module, name, value in _names(instead):
        _put(fresh, module, name, instead[id(value)])


def uninstall() -> None:
    """Take back what :func:`install` did; objects made meanwhile stay with coati."""
    global _installed
    if _installed is None:
        return
    done, _installed = _installed, None
    for module, name, value in reversed(done.replaced):
        if value is _MISSING:
            vars(module).pop(name, None)
        else:
            setattr(module, name, value)
    for name in _MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(done.modules)
    _give_back()


def is_installed() -> bool:
    """Whether Kaizen's observability is coati's."""
    return _installed is not None


def _give_back() -> None:
    """Kaizen's own modules may have imported ours meanwhile."""
    instead: dict[int, Any] = {}
    for name, own in _MODULES.items():
        try:
            theirs = importlib.import_module(name)
        except ImportError:
            # A part of it that is not installed.
            continue
        module = sys.modules[_OURS + own]
        instead.update({id(mine): one for one, mine in _pairs(theirs, module)})
    for module, name, value in _names(instead):
        if module.__name__.partition(".")[0] == "kaizen":
            setattr(module, name, instead[id(value)])


def _pairs(theirs: ModuleType, ours: ModuleType) -> Iterator[tuple[Any, Any]]:
    """Classes and functions of theirs, and ours of the same name."""
    for name in getattr(ours, "__all__", ()):
        value = vars(theirs).get(name)
        if callable(value) and getattr(value, "__module__", None) == theirs.__name__:
            yield value, getattr(ours, name)


def _names(values: Mapping[int, Any]) -> Iterator[tuple[ModuleType, str, Any]]:
    """Where these objects stand in modules, but for coati's."""
    for name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType) or name.partition(".")[0] == "coati":
            continue
        # Those of ours stand under their names, too.
        if module.__name__.partition(".")[0] == "coati":
            continue
        for attribute, value in list(vars(module).items()):
            if id(value) in values:
                yield module, attribute, value


def _put(done: _Installed, module: ModuleType, name: str, value: Any) -> None:
    before = vars(module).get(name, _MISSING)
    if before is not value:
        done.replaced.append((module, name, before))
        setattr(module, name, value)

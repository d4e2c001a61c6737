"""``langswarm.core.observability``, and what gets it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

from coati.compat.langswarm import _globals
from coati.compat.langswarm._trouble import tell

__all__ = ["install", "is_installed", "uninstall"]

_THEIRS = "langswarm.core.observability"
_OURS = "coati.compat.langswarm"
_MODULES = (
    "",
    ".auto_config",
    ".auto_instrumentation",
    ".cost_estimator",
    ".integrations",
    ".interfaces",
    ".logger",
    ".metrics",
    ".observability_errors",
    ".opentelemetry_exporter",
    ".provider",
    ".token_tracking",
    ".tracer",
)
#: Names of ours that are no part of theirs.
_KEPT = frozenset(__all__)
_MISSING = object()


class _Installed:
    """What is in force."""

    def __init__(self) -> None:
        #: What stood where: an attribute of a module or a class, or a module.
        self.replaced: list[tuple[Any, str, Any]] = []
        self.modules: dict[str, Any] = {}

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Put a value in an attribute's place."""
        self.replaced.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, value)


_installed: _Installed | None = None


def install() -> None:
    """Make whoever uses ``langswarm.core.observability`` record through coati.

    Names that modules have taken from there already are replaced as well, agents and tools that
    are defined already included. An installed provider is followed by one of coati's with its
    configuration; objects made before otherwise stay what they are. Where LangSwarm is not
    installed, these modules are imported under its names.
    """
    global _installed  # noqa: PLW0603 - a program has one `langswarm`
    if _installed is not None:
        return
    fresh = _Installed()
    if _there():
        _replace(fresh)
    else:
        _stand_in(fresh)
    _installed = fresh


def _there() -> bool:
    try:
        return _THEIRS in sys.modules or importlib.util.find_spec(_THEIRS) is not None
    except ImportError:
        return False


def _public(name: str) -> dict[str, Any]:
    module = importlib.import_module(_OURS + name)
    return {each: getattr(module, each) for each in module.__all__ if each not in _KEPT}


def _stand_in(fresh: _Installed) -> None:
    parts = _THEIRS.split(".")
    above = [".".join(parts[: count + 1]) for count in range(len(parts) - 1)]
    for name in [*above, *(_THEIRS + each for each in _MODULES)]:
        if name in above and name in sys.modules:
            continue
        fresh.modules[name] = sys.modules.get(name, _MISSING)
        module = sys.modules[name] = ModuleType(name)
        module.__path__ = []
        if name not in above:
            vars(module).update(_public(name[len(_THEIRS) :]))
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)


def _replace(fresh: _Installed) -> None:
    ours_for: dict[int, Any] = {}
    for name in _MODULES:
        try:
            theirs = importlib.import_module(_THEIRS + name)
        except ImportError:
            # Another release, or a requirement of theirs is missing.
            continue
        for each, ours in _public(name).items():
            value = vars(theirs).get(each, _MISSING)
            if value is _MISSING:
                fresh.put(theirs, each, ours)
            elif str(getattr(value, "__module__", "")).startswith(_THEIRS):
                ours_for[id(value)] = (value, ours)
    _carry_over()
    for name, module in list(sys.modules.items()):
        if module is not None and not name.startswith("coati"):
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if id(value) in ours_for:
                    fresh.put(module, attribute, ours_for[id(value)][1])
    for theirs, ours in list(ours_for.values()):
        if isinstance(theirs, type) and theirs.__name__ == "AutoInstrumentedMixin":
            # Agents that are defined already inherit from theirs.
            for name in [each for each in vars(ours) if each.startswith("_auto_")]:
                fresh.put(theirs, name, vars(ours)[name])


def _carry_over() -> None:
    """Install a provider where theirs has one, with its configuration."""
    make = importlib.import_module(_OURS + ".provider").ObservabilityProvider
    places = (("", "_global_provider"), (".auto_instrumentation", "_global_observability_provider"))
    for name, variable in places:
        module = sys.modules.get(_THEIRS + name)
        provider = getattr(module, variable, None)
        if provider is not None and _globals.provider is None:
            try:
                _globals.install(make(provider.config))
            except Exception as error:
                tell("take over a provider", error)


def uninstall() -> None:
    """Take back what :func:`install` did."""
    global _installed  # noqa: PLW0603
    if _installed is None:
        return
    for owner, name, value in reversed(_installed.replaced):
        if value is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, value)
    for name, module in _installed.modules.items():
        if module is _MISSING:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module
    _installed = None


def is_installed() -> bool:
    """Whether ``langswarm.core.observability`` is coati's."""
    return _installed is not None

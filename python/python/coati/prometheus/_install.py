"""``import prometheus_client``, and what it gets."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from coati.prometheus.metrics_core import Metric
from coati.prometheus.registry import REGISTRY

__all__ = ["install", "is_installed", "uninstall"]

_THEIRS = "prometheus_client"
#: Their modules, and ours with the same names in them.
_MODULES = {
    "": ("",),
    ".asgi": (".server",),
    ".context_managers": (".context_managers",),
    ".core": (".core",),
    ".exposition": (".exposition", ".server"),
    ".gc_collector": (".collectors",),
    ".metrics": (".metrics",),
    ".metrics_core": (".metrics_core",),
    ".openmetrics": (),
    ".openmetrics.exposition": (".openmetrics.exposition",),
    ".platform_collector": (".collectors",),
    ".process_collector": (".collectors",),
    ".registry": (".registry",),
    ".samples": (".samples",),
    ".validation": (".validation",),
}
#: Names of ours that theirs does not have.
_KEPT = frozenset({"install", "is_installed", "uninstall"})
#: Their collectors of which ours has its own.
_OWN = frozenset({"GCCollector", "PlatformCollector", "ProcessCollector"})
_MISSING = object()


class _Installed:
    """What is in force."""

    def __init__(self) -> None:
        #: What stood where: an attribute of a module, or a module.
        self.replaced: list[tuple[ModuleType, str, Any]] = []
        self.modules: dict[str, Any] = {}
        self.collectors: list[tuple[Any, Any]] = []


_installed: _Installed | None = None


class _Other:
    """What the other registry shows, but for its process's and what is of this one."""

    def __init__(self, registry: Any, known: Any) -> None:
        self._registry = registry
        #: Where it is registered, if its names are to be known there.
        self._known = known

    def _collectors(self) -> list[Any]:
        return [
            collector
            for collector in list(self._registry._collector_to_names)
            if not isinstance(collector, _Other) and type(collector).__name__ not in _OWN
        ]

    def describe(self) -> Iterable[Any]:
        """The families that are there now, so that no other takes their names."""
        if self._known is None:
            return []
        owned = (self._registry._collector_to_names[one] for one in self._collectors())
        names = {name for each in owned for name in each} - set(self._known._names_to_collectors)
        return [Metric(name, "", "unknown") for name in sorted(names)]

    def collect(self) -> Iterable[Any]:
        """All its families."""
        for collector in self._collectors():
            yield from collector.collect()


def install() -> None:
    """Make whoever uses ``prometheus_client`` record through coati.

    Metrics made before go on as they are, and are shown by this registry, too; whoever still holds
    the library's registry sees there what is made from now on. Names that a module has taken by
    ``from prometheus_client import ...`` before stay what they were. Where the library is not
    installed, coati is imported under its name.

    Raises:
        RuntimeError: the library is to gather what several processes count, which coati does not.
    """
    global _installed  # noqa: PLW0603 - a program has one `prometheus_client`
    if _installed is not None:
        return
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ or "prometheus_multiproc_dir" in os.environ:
        raise RuntimeError("coati.prometheus has no multi-process mode (PROMETHEUS_MULTIPROC_DIR)")
    fresh = _Installed()
    if _THEIRS in sys.modules or importlib.util.find_spec(_THEIRS) is not None:
        _replace(fresh)
    else:
        for theirs, ours in _MODULES.items():
            name = _THEIRS + theirs
            fresh.modules[name] = sys.modules.get(name, _MISSING)
            module = sys.modules[name] = ModuleType(name)
            module.__path__ = []
            for attribute, value in _public(ours).items():
                setattr(module, attribute, value)
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, module)
    _installed = fresh


def _public(modules: Iterable[str]) -> dict[str, Any]:
    """The public names of modules of ours, but what only ours has."""
    found = {}
    for name in modules:
        module = importlib.import_module("coati.prometheus" + name)
        found.update({name: getattr(module, name) for name in module.__all__})
    return {name: value for name, value in found.items() if name not in _KEPT}


def _replace(fresh: _Installed) -> None:
    ours_for: dict[int, Any] = {}
    registries: tuple[Any, Any] | None = None
    for theirs_name, ours_names in _MODULES.items():
        try:
            theirs = importlib.import_module(_THEIRS + theirs_name)
        except ImportError:
            # An older release.
            continue
        for name, ours in _public(ours_names).items():
            value = getattr(theirs, name, _MISSING)
            if value is not _MISSING and not isinstance(value, str):
                ours_for[id(value)] = ours
        if theirs_name == ".registry":
            registries = (theirs.REGISTRY, REGISTRY)
    for name, module in list(sys.modules.items()):
        if name == _THEIRS or name.startswith(_THEIRS + "."):
            for attribute, value in list(vars(module).items()):
                ours = ours_for.get(id(value), _MISSING)
                if ours is not _MISSING:
                    fresh.replaced.append((module, attribute, value))
                    setattr(module, attribute, ours)
    if registries:
        theirs, ours = registries
        for registry, collector in ((ours, _Other(theirs, ours)), (theirs, _Other(ours, None))):
            registry.register(collector)
            fresh.collectors.append((registry, collector))


def uninstall() -> None:
    """Take back what :func:`install` did; metrics made meanwhile stay with coati."""
    global _installed  # noqa: PLW0603
    if _installed is None:
        return
    for module, name, value in _installed.replaced:
        setattr(module, name, value)
    for name, module in _installed.modules.items():
        if module is _MISSING:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module
    for registry, collector in _installed.collectors:
        registry.unregister(collector)
    _installed = None


def is_installed() -> bool:
    """Whether ``prometheus_client`` is coati's."""
    return _installed is not None

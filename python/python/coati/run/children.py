"""Processes that ``multiprocessing`` spawns: recorded as the one that spawned them.

Children that are forked have everything already. Others are sent, with what the library sends them
before anything of the program's, something that starts coati as it is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from multiprocessing import spawn
from typing import Any

import coati
from coati.run import engine, forks, signals
from coati.run.attach import Attachments
from coati.run.table import ADAPTERS

__all__ = ["begin", "install", "uninstall"]

_SPAWN: Any = spawn
_PREPARE: Callable[[str], dict[str, Any]] = spawn.get_preparation_data
#: Where coati is not to be found, a child does without.
_BEGIN = """
try:
    from coati.run import children
except ImportError:
    pass
else:
    children.begin(*{!r})
"""


class _Begin:
    """Begins as it is unpickled."""

    def __init__(self, *settings: Any) -> None:
        self._settings = settings

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (_BEGIN.format(self._settings), {})


def begin(names: Sequence[str], service: str | None, config_file: str | None) -> None:
    """Record this process; what fails leaves it as it is."""
    with contextlib.suppress(Exception):
        adapters = [adapter for adapter in ADAPTERS if adapter.name in names]
        engine.Starter(service, config_file, names, lambda books: None)
        signals.install(coati.flush)
        forks.install()
        Attachments(adapters).install()


def install() -> None:
    """Send it to children from now on, while the engine is the one of the command line."""
    if _SPAWN.get_preparation_data is _PREPARE:
        _SPAWN.get_preparation_data = _get_preparation_data


def uninstall() -> None:
    """Send it no longer."""
    _SPAWN.get_preparation_data = _PREPARE


def _get_preparation_data(name: str) -> dict[str, Any]:
    data = _PREPARE(name)
    starter = engine.starter
    if starter is not None and starter.ours:
        data["coati"] = _Begin(*starter.settings)
    return data

"""Attaches adapters when the program imports what they are for."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from coati import get_logger
from coati.run.hook import Hook
from coati.run.table import Adapter

__all__ = ["Attachments"]


class Attachments:
    """The adapters of one run, and what has become of each.

    An adapter that fails is told in :attr:`failed` and in a log line; the program does not see it.
    """

    def __init__(self, adapters: Iterable[Adapter]) -> None:
        self._adapters = tuple(adapters)
        #: Names of adapters in force, in the order in which they were attached.
        self.attached: list[str] = []
        #: Why others are not.
        self.failed: dict[str, str] = {}
        #: Those that are being attached, which may import more of what is waited for.
        self._begun: set[str] = set()
        names = {name for adapter in self._adapters for name in adapter.waits_for.split()}
        self._hook = Hook(names, before=self._detach, after=self._attach)

    def install(self) -> None:
        """Attach what is imported already, and the others when they are."""
        self._hook.install()

    def remove(self) -> None:
        """Take everything back."""
        self._hook.remove()
        for adapter in reversed(self._adapters):
            self._take_away(adapter)

    def _attach(self, name: str) -> None:
        for adapter in self._adapters:
            if name not in adapter.waits_for.split() or adapter.name in self._begun:
                continue
            if adapter.known_by and not hasattr(sys.modules.get(name), adapter.known_by):
                # Somebody else's module.
                continue
            self._begun.add(adapter.name)
            try:
                # One that waits for several modules is told of each.
                adapter.attach(adapter.load())
            except Exception as error:
                self._fail(adapter, error)
            else:
                self.failed.pop(adapter.name, None)
                if adapter.name not in self.attached:
                    self.attached.append(adapter.name)
            finally:
                self._begun.discard(adapter.name)

    def _detach(self, name: str) -> None:
        for adapter in self._adapters:
            if name in adapter.waits_for.split():
                self._take_away(adapter)

    def _take_away(self, adapter: Adapter) -> None:
        if adapter.name not in self.attached:
            return
        self.attached.remove(adapter.name)
        try:
            adapter.detach(adapter.load())
        except Exception as error:
            self._fail(adapter, error)

    def _fail(self, adapter: Adapter, error: Exception) -> None:
        self.failed[adapter.name] = f"{type(error).__name__}: {error}"
        log = get_logger("coati.run")
        log._emit(30, "an adapter failed", {"adapter": adapter.name}, error)

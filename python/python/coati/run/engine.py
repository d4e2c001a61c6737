"""The engine of a run, until the program starts its own."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import coati
from coati import _native

__all__ = ["Starter"]


#: The one of this process.
starter: Starter | None = None


class Starter:
    """Starts the engine as the command line says, and lets the program's ``coati.init`` replace it.

    Args:
        service: the service's name, if it is given.
        config_file: the configuration file, if it is given.
        adapters: names of the adapters that are to be attached.
        ended: called with the books of each engine that another one replaces.

    Raises:
        coati.ConfigError: the configuration is bad.
    """

    def __init__(
        self,
        service: str | None,
        config_file: str | None,
        adapters: Sequence[str],
        ended: Callable[[dict[str, Any]], None],
    ) -> None:
        #: Whether the engine that runs is the one that the command line has started.
        self.ours = True
        file = config_file or os.environ.get("COATI_CONFIG_FILE")
        #: What a child is told that is to have the same, wherever it begins.
        self.settings = list(adapters), service, os.path.abspath(file) if file else None
        self._lock = threading.Lock()
        self._given: dict[str, Any] = {"service": service, "config_file": config_file}
        self._ended = ended
        _native.init(**self._given)

        @functools.wraps(_native.init)
        def init(*args: Any, **kwargs: Any) -> coati.Engine:
            with self._lock:
                return self._init(args, kwargs)

        global starter  # noqa: PLW0603 - a process has one engine
        coati.init = init
        starter = self

    def _init(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> coati.Engine:
        if self.ours and all(value is None for value in (*args, *kwargs.values())):
            # It asks for nothing that the command line would not know better.
            return _native.init(**self._given)
        books, age = _native.ledger(), _native.health()["uptime_s"]
        try:
            engine = _native.init(*args, **kwargs)
        except coati.ConfigError:
            if not self.ours:
                raise
            return self._replace(args, kwargs)
        if _native.health()["uptime_s"] < age:
            # The program had ended the one before.
            self._ended(books)
            self.ours = False
        return engine

    def _replace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> coati.Engine:
        self._ended(_native.shutdown())
        try:
            engine = _native.init(*args, **kwargs)
        except BaseException:
            # Bad in itself, and not only another configuration.
            _native.init(**self._given)
            raise
        self.ours = False
        return engine

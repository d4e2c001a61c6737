"""The engine of a run, until the program starts its own."""

from __future__ import annotations

import functools
import threading
from typing import Any

import coati
from coati import _native
from coati.run.summary import Summary

__all__ = ["start"]


def start(summary: Summary, service: str | None, config_file: str | None) -> None:
    """Start the engine, and let ``coati.init`` in the program have its way.

    Raises:
        coati.ConfigError: the configuration is bad.
    """
    _native.init(service, config_file=config_file)
    lock = threading.Lock()
    ours = True

    @functools.wraps(_native.init)
    def init(*args: Any, **kwargs: Any) -> coati.Engine:
        nonlocal ours
        with lock:
            if ours and not args and not any(value is not None for value in kwargs.values()):
                # What the command line says holds.
                return _native.init(service, config_file=config_file)
            before = _native.ledger(), _native.health()["uptime_s"]
            try:
                engine = _native.init(*args, **kwargs)
            except coati.ConfigError:
                if not ours:
                    raise
                before = _native.shutdown(), before[1]
                try:
                    engine = _native.init(*args, **kwargs)
                except BaseException:
                    _native.init(service, config_file=config_file)
                    raise
                finally:
                    summary.add(before[0])
                ours = False
                return engine
            if _native.health()["uptime_s"] < before[1]:
                # The program had ended the one before.
                summary.add(before[0])
                ours = False
            return engine

    coati.init = init

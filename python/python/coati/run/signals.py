"""What comes before a signal ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["install"]


def install(last: Callable[[], object]) -> None:
    """Do this before SIGTERM ends the process, as long as the program has no handler of its own.

    The process, and a forked child, still ends by the signal.
    """

    def end(number: int, frame: Any) -> None:
        try:
            last()
        finally:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return
    signal.signal(signal.SIGTERM, end)
    if hasattr(os, "register_at_fork"):
        _keep_over_forks(end)


def _keep_over_forks(handler: Callable[[int, Any], None]) -> None:
    """The interpreter forgets signals that it has caught as a child begins: hold them back."""
    masks = threading.local()

    def before() -> None:
        masks.before = None
        if signal.getsignal(signal.SIGTERM) is handler:
            masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after() -> None:
        mask, masks.before = getattr(masks, "before", None), None
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)

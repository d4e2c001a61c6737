"""What comes before a signal ends the process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

__all__ = ["install"]


def install(last: Callable[[], None]) -> None:
    """Do this before SIGTERM ends the process, as long as the program has no handler of its own.

    The process, and a forked child, still ends by the signal.
    """

    def end(number: int, frame: Any) -> None:
        try:
            last()
        finally:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)

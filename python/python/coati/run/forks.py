"""The interpreter's warning of forks in a process with threads, where the only threads are ours."""

from __future__ import annotations

import os
import sys
import threading
import warnings

__all__ = ["install"]

_MESSAGE = r"This process .* is multi-threaded, use of fork"


def install() -> None:
    """Let a program without threads of its own fork without being warned of ours.

    They are none of the child's concern: it has threads afresh.
    """
    if sys.version_info >= (3, 12) and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before)


def _before() -> None:
    present = [
        entry for entry in warnings.filters if getattr(entry[1], "pattern", entry[1]) == _MESSAGE
    ]
    if threading.active_count() > 1:
        for entry in present:
            warnings.filters.remove(entry)  # type: ignore[attr-defined]
    elif not present:
        warnings.filterwarnings("ignore", _MESSAGE, DeprecationWarning)

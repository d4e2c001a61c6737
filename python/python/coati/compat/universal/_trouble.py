"""What went wrong inside the adapter: told, never raised into the program."""

from __future__ import annotations

import sys
import time
from typing import Any

from coati import get_logger

#: Seconds between two words on standard error.
_PAUSE = 60.0
_last: dict[str, float] = {}


def text_of(value: Any) -> str:
    """As it is shown, as far as it can be."""
    try:
        return str(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"


def tell(action: str, error: BaseException, lost: str = "") -> None:
    """Record that ``action`` failed; what is ``lost`` by it is said on standard error, too."""
    get_logger("coati.compat.universal").error(
        "could not " + action,
        error_type=type(error).__name__,
        error=text_of(error),
        lost=lost or None,
    )
    now = time.monotonic()
    if lost and now - _last.get(action, -_PAUSE) >= _PAUSE:
        _last[action] = now
        print(f"coati: could not {action}: {text_of(error)}; lost: {lost}", file=sys.stderr)

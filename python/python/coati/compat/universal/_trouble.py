"""What went wrong inside the adapter: told, never raised into the program."""

from __future__ import annotations

import sys
import time

from coati import get_logger

#: Seconds between two words on standard error.
_PAUSE = 60.0
_last: dict[str, float] = {}


def tell(action: str, error: BaseException, lost: str = "") -> None:
    """Record that ``action`` failed; what is ``lost`` by it is said on standard error, too."""
    get_logger("coati.compat.universal").error(
        "could not " + action, error_type=type(error).__name__, error=str(error), lost=lost or None
    )
    now = time.monotonic()
    if lost and now - _last.get(action, -_PAUSE) >= _PAUSE:
        _last[action] = now
        print(f"coati: could not {action}: {error}; lost: {lost}", file=sys.stderr)

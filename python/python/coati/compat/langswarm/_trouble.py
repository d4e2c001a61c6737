"""What went wrong inside the adapter: told once of each kind, never raised into the program."""

from __future__ import annotations

from coati import get_logger

_told: set[tuple[str, type[BaseException]]] = set()


def tell(action: str, error: BaseException) -> None:
    """Warn that ``action`` failed, the first time it fails in this way."""
    kind = (action, type(error))
    if kind in _told:
        return
    _told.add(kind)
    get_logger("coati.compat.langswarm").warning(
        "could not " + action, error_type=type(error).__name__, error=str(error)
    )

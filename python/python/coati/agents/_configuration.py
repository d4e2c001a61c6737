"""What is recorded beside spans and the metrics of OpenTelemetry's conventions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from coati import get_logger
from coati.agents import _kaizen, _langswarm
from coati.agents._finished import Finished

Names = Callable[[Finished], object]

_KNOWN: dict[str, Names | None] = {
    "genai": None,
    "kaizen": _kaizen.record,
    "langswarm": _langswarm.record,
}
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_KEEP: Any = object()


class _Settings:
    """What is in force."""

    def __init__(self) -> None:
        self.names: tuple[Names, ...] = ()
        self.level = 20


settings = _Settings()


def configure(
    *,
    metric_names: str | Names | Iterable[str | Names] | None = _KEEP,
    log_level: str | None = _KEEP,
) -> None:
    """Choose what observers record beside spans and OpenTelemetry's metrics.

    Args:
        metric_names: further metrics: ``"kaizen"`` and ``"langswarm"`` are those that these
            frameworks' dashboards read; a function is called with each :class:`Finished` and
            records what it likes. Several at once, or ``"genai"`` or ``None`` for no others.
        log_level: level of the line that tells of a success, ``None`` for none. What fails is told
            of as an error whatever this is.

    Raises:
        ValueError: there is no such name or level. Nothing is changed then.
    """
    names, level = settings.names, settings.level
    if metric_names is not _KEEP:
        wanted = [metric_names] if isinstance(metric_names, str) else metric_names
        if wanted is None or callable(wanted):
            wanted = [wanted] if wanted else []
        found: list[Names] = []
        for one in wanted:
            if isinstance(one, str) and one not in _KNOWN:
                known = ", ".join(sorted(_KNOWN))
                raise ValueError(f"metric_names: {one!r} is not one of {known}, or a function")
            record = _KNOWN[one] if isinstance(one, str) else one
            if record is not None:
                found.append(record)
        names = tuple(found)
    if log_level is not _KEEP:
        if log_level is not None and log_level not in _LEVELS:
            raise ValueError(f"log_level: {log_level!r} is not one of {', '.join(_LEVELS)}")
        level = _LEVELS[log_level] if log_level else 0
    settings.names, settings.level = names, level
    _kaizen.show(_kaizen.record in names)


_told: set[str] = set()


def failed(where: str, error: Exception) -> None:
    """Tell once for each place that observing went wrong; the program goes on without."""
    if where not in _told:
        _told.add(where)
        get_logger("coati.agents").warning(f"{where} could not be recorded", exc_info=error)

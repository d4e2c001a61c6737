"""Metrics of the interpreter, shown where `metrics.runtime` is on."""

from __future__ import annotations

import gc
from collections.abc import Callable

from coati._native import observable_counter

_METRICS = {
    "collections": ("cpython.gc.collections", "{collection}", "Collections of a generation"),
    "collected": ("cpython.gc.collected_objects", "{object}", "Objects collected"),
    "uncollectable": ("cpython.gc.uncollectable_objects", "{object}", "Objects never collected"),
}
_on = False


def _reader(figure: str) -> Callable[[], list[tuple[int, dict[str, int]]] | None]:
    def read() -> list[tuple[int, dict[str, int]]] | None:
        if not _on:
            return None
        generations = enumerate(gc.get_stats())
        return [(stats[figure], {"cpython.gc.generation": number}) for number, stats in generations]

    return read


_READERS = {figure: _reader(figure) for figure in _METRICS}


def switch(on: bool) -> None:
    """Show them, or no longer."""
    global _on  # noqa: PLW0603
    _on = on
    if on:
        for figure, (name, unit, description) in _METRICS.items():
            observable_counter(name, _READERS[figure], unit, description)

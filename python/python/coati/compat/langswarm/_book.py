"""What tracers of one provider share: spans that are open, and the last that have ended."""

from __future__ import annotations

from collections import deque
from typing import Any

import coati
from coati.compat.langswarm._span import LiveSpan

#: Finished spans kept for being asked for.
_KEPT = 1000


class Book:
    """Open spans by coati's, and finished ones, the oldest of which make room."""

    def __init__(self, kept: int = _KEPT) -> None:
        self.open: dict[Any, LiveSpan] = {}
        self.finished: deque[LiveSpan] = deque(maxlen=max(kept, 1))

    def close(self, span: LiveSpan) -> None:
        """Move a span that has ended."""
        self.open.pop(span._native, None)
        self.finished.append(span)

    def current(self) -> LiveSpan | None:
        """The framework's span that is current here."""
        return self.open.get(coati.current_span())

    def all(self) -> list[LiveSpan]:
        """Open spans, then finished ones."""
        # A span that ends in between is in both.
        return list({id(one): one for one in [*list(self.open.values()), *self.ended()]}.values())

    def ended(self) -> list[LiveSpan]:
        """Finished spans, oldest first."""
        while True:
            try:
                return list(self.finished)
            except RuntimeError:  # another thread's span has ended meanwhile
                continue

    def find(self, span_id: str) -> LiveSpan | None:
        """The span with this id, if it is known."""
        return next((span for span in self.all() if span.span_id == span_id), None)

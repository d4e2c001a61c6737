"""What the calls inside an agent or a workflow have used, told by whatever thread makes them."""

from __future__ import annotations

import os
import threading

from coati.genai.usage import Usage

_lock = threading.Lock()


def _renew() -> None:
    """A child must not wait for a thread that it does not have."""
    global _lock  # noqa: PLW0603 - there is one for the process
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew)


class Tally:
    """Calls, tokens and dollars."""

    __slots__ = ("dollars", "inference_calls", "tokens", "tool_calls")

    def __init__(self) -> None:
        self.inference_calls = 0
        self.tool_calls = 0
        self.tokens: Usage | None = None
        self.dollars: float | None = None

    def add_tool_call(self) -> None:
        """A tool has been called."""
        with _lock:
            self.tool_calls += 1

    def add_inference(self, usage: Usage | None) -> None:
        """A model has been asked."""
        with _lock:
            self.inference_calls += 1
            if usage is not None:
                self.tokens = usage + self.tokens

    def add_cost(self, dollars: float) -> None:
        """Something has been paid."""
        with _lock:
            self.dollars = dollars + (self.dollars or 0.0)

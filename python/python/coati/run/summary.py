"""What is told at a program's end."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import coati
from coati.run.attach import Attachments

__all__ = ["Summary"]

#: Metrics of model calls by the newest names, which coati's own adapters use.
_CALLS = "gen_ai.client.inference.duration"
_TOKENS = {
    "gen_ai.client.inference.usage.input_tokens": "input",
    "gen_ai.client.inference.usage.output_tokens": "output",
}
_COST = "coati.usage.cost_usd"
#: By older names, which instrumentation packages use: the first may be missing.
_OLD_CALLS = "gen_ai.client.operation.duration"
_OLD_TOKENS = "gen_ai.client.token.usage"
_MODELS = frozenset({"chat", "generate_content", "text_completion"})


class Summary:
    """Tells, once, in the process that it was made in."""

    def __init__(self, attachments: Attachments, *, wanted: bool) -> None:
        self._attachments = attachments
        self._wanted = wanted
        self._process = os.getpid()
        #: Books of engines that ended before the one that runs.
        self._earlier: list[dict[str, Any]] = []

    def add(self, books: dict[str, Any]) -> None:
        """An engine has ended."""
        self._earlier.append(books)

    def tell(self) -> None:
        """Deliver what is recorded, and write the summary to standard error."""
        coati.flush()
        if not self._wanted or os.getpid() != self._process:
            return
        self._wanted = False
        books = [*self._earlier, coati.ledger()]
        lines = [self._books(books), *self._traces([book["spans"] for book in books])]
        lines += [*self._models(), *self._adapters(), *self._places()]
        text = "".join(f"coati: {line}\n" for line in lines)
        # The program may have replaced or closed what it writes to itself.
        with contextlib.suppress(OSError, ValueError):
            if sys.__stderr__ is not None:
                os.write(sys.__stderr__.fileno(), text.encode())

    def _books(self, books: list[dict[str, Any]]) -> str:
        parts = []
        for signal in ("logs", "spans"):
            recorded = sum(book[signal]["recorded"] for book in books)
            delivered = sum(book[signal]["delivered"] for book in books)
            dropped = sum(sum(book[signal]["dropped"].values()) for book in books)
            parts.append(f"{recorded} {signal} recorded, {delivered} delivered")
            if dropped:
                parts[-1] += f", {dropped} dropped"
        return "; ".join(parts)

    def _traces(self, spans: list[dict[str, Any]]) -> list[str]:
        if not any(book["recorded"] for book in spans):
            return []
        roots = sum(book["roots"] for book in spans)
        errors = sum(book["errors"] for book in spans)
        return [f"traces: {roots}, failed spans: {errors}"]

    def _models(self) -> list[str]:
        calls = failed = older = 0
        tokens = {"input": 0.0, "output": 0.0}
        told = {"input": 0, "output": 0}
        dollars = 0.0
        for metric in coati.metrics.snapshot():
            name, stats, value = metric.name, metric.stats, metric.value or 0
            of_models = metric.labels.get("gen_ai.operation.name") in _MODELS
            if stats is not None and (name == _CALLS or (name == _OLD_CALLS and of_models)):
                failed += stats.count if "error.type" in metric.labels else 0
                if name == _CALLS:
                    calls += stats.count
                else:
                    older += stats.count
            elif stats is not None and name == _OLD_TOKENS and of_models:
                kind = str(metric.labels.get("gen_ai.token.type"))
                tokens[kind] = tokens.get(kind, 0) + stats.sum
                told[kind] = told.get(kind, 0) + stats.count
            elif name in _TOKENS:
                tokens[_TOKENS[name]] += value
            elif name == _COST:
                dollars += value
        calls += max(older, told["input"])
        if not calls and not any(tokens.values()):
            return []
        spent = f"{tokens['input']:.0f} input and {tokens['output']:.0f} output tokens"
        cost = f", {dollars:.4f} USD" if dollars else ""
        of_them = f" ({failed} failed)" if failed else ""
        return [f"{calls} model calls{of_them}, {spent}{cost}"]

    def _adapters(self) -> list[str]:
        lines = []
        if self._attachments.attached:
            lines.append(f"attached to {', '.join(self._attachments.attached)}")
        for name, reason in self._attachments.failed.items():
            lines.append(f"not attached to {name}: {reason}")
        return lines

    def _places(self) -> list[str]:
        health = coati.health()
        lines = []
        if health["sinks"]:
            lines.append(f"written to {', '.join(sink['name'] for sink in health['sinks'])}")
        for problem in health["problems"]:
            lines.append(f"{problem['component']}: {problem['reason']}, {problem['lost']} lost")
        return lines

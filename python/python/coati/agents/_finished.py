"""What has been observed, as metrics of other names are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coati.genai import Usage


@dataclass(frozen=True, slots=True)
class Finished:
    """A call of a component that is over.

    Attributes:
        kind: ``agent``, ``tool``, ``model``, ``memory``, ``workflow``, ``step``, ``session``, or
            ``component`` for operations of observable components.
        name: of the agent, tool, model, memory operation, workflow, step or component.
        seconds: how long it took.
        error: the kind of error, None where it succeeded.
        attributes: attributes that its span was given.
        usage: tokens, of an agent those of its model calls.
        cost_usd: what the model calls cost.
        agent: name of the agent around it, or its own.
    """

    kind: str
    name: str
    seconds: float
    error: str | None
    attributes: Mapping[str, Any]
    usage: Usage | None = None
    cost_usd: float | None = None
    agent: str | None = None

    @property
    def status(self) -> str:
        """``success`` or ``failure``."""
        return "success" if self.error is None else "failure"

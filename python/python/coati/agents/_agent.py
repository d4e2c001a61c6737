"""Work of agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coati import genai
from coati.agents._observation import Observation
from coati.agents._observer import Observer


@Observer
def agent(
    name: str | None = None,
    /,
    *,
    id: str | None = None,
    description: str | None = None,
    version: str | None = None,
    model: str | None = None,
    provider: object = None,
    attributes: Mapping[str, Any] | None = None,
) -> Observation:
    """Work of an agent: spans ``invoke_agent {name}``, which tell the tokens and the cost of the
    model calls inside.

    Args:
        name: the agent.
        id: its id.
        description: what it is for.
        version: its version.
        model: the model it uses.
        provider: whose model that is.
        attributes: more attributes of the span.
    """
    known = {
        "gen_ai.agent.id": id,
        "gen_ai.agent.version": version,
        "gen_ai.request.model": model,
        "gen_ai.provider.name": genai.provider_name(provider) if provider else None,
        **(attributes or {}),
    }

    def begin(name: str, start_time: int | None, given: dict[str, Any]) -> genai.Operation:
        given["gen_ai.agent.name"] = name
        return genai.agent(
            name,
            description=description,
            tracer="coati.agents.agent",
            start_time=start_time,
            attributes=given,
        )

    return Observation("agent", name, begin, known)

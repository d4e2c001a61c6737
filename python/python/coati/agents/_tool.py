"""Calls of tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coati import genai
from coati.agents._observation import Observation
from coati.agents._observer import Observer


@Observer
def tool(
    name: str | None = None,
    /,
    *,
    call_id: str | None = None,
    type: str = "function",
    description: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Observation:
    """Calls of a tool: spans ``execute_tool {name}``.

    Args:
        name: the tool.
        call_id: the call's id, as the model gave it.
        type: ``function``, ``extension`` or ``datastore``.
        description: what it is for.
        attributes: more attributes of the span.
    """
    known = {"gen_ai.tool.call.id": call_id, **(attributes or {})}

    def begin(name: str, start_time: int | None, given: dict[str, Any]) -> genai.Operation:
        given["gen_ai.tool.name"] = name
        return genai.tool(
            name,
            type=type,
            description=description,
            tracer="coati.agents.tool",
            start_time=start_time,
            attributes=given,
        )

    return Observation("tool", name, begin, known)

"""Operations on an agent's memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coati import genai
from coati.agents._observation import Observation
from coati.agents._observer import Observer

_OPERATIONS = {"save": "upsert", "load": "search", "get": "search", "add": "create"}


@Observer
def memory(
    name: str | None = None,
    /,
    *,
    store: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Observation:
    """Operations on a memory: spans ``search_memory {store}`` and the like.

    Args:
        name: ``create``, ``update``, ``upsert``, ``delete`` or ``search``; ``add`` is ``create``,
            ``save`` is ``upsert``, ``load`` and ``get`` are ``search``.
        store: the memory, or what keeps it.
        attributes: more attributes of the span.
    """
    known = {"gen_ai.memory.store.id": store, **(attributes or {})}

    def begin(name: str, start_time: int | None, given: dict[str, Any]) -> genai.Operation:
        return genai.Operation(
            f"{_OPERATIONS.get(name, name)}_memory",
            store,
            tracer="coati.agents.memory",
            start_time=start_time,
            attributes=given,
        )

    return Observation("memory", name, begin, known)

"""Calls of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coati import genai
from coati.agents._observation import Observation
from coati.agents._observer import Observer


@Observer
def model(
    name: str | None = None,
    /,
    *,
    provider: object = None,
    operation: str = "chat",
    attributes: Mapping[str, Any] | None = None,
    **request: Any,
) -> Observation:
    """Calls of a model: spans ``chat {name}``, with tokens and cost where the answer is told of.

    A decorated function's result is read for them as ``Run.response`` reads it.

    Args:
        name: the model that is asked for.
        provider: whose it is.
        operation: ``chat``, ``generate_content``, ``text_completion`` or ``embeddings``.
        attributes: more attributes of the span.
        request: parameters of the request, such as ``temperature``.
    """
    whose = genai.provider_name(provider)
    known = {"gen_ai.provider.name": whose, **(attributes or {})}

    def begin(name: str, start_time: int | None, given: dict[str, Any]) -> genai.Operation:
        given["gen_ai.request.model"] = name
        return genai.inference(
            name,
            provider=whose,
            operation=operation,
            tracer="coati.agents.model",
            start_time=start_time,
            request=request,
            attributes=given,
        )

    return Observation("model", name, begin, known)

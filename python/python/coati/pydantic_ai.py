"""pydantic-ai through coati: its own OpenTelemetry instrumentation, on coati's provider.

Agents that are not instrumented otherwise record agent runs, model requests and tools, without
contents unless ``coati.genai`` keeps them.
"""

from __future__ import annotations

from typing import Any

try:
    from pydantic_ai import Agent
    from pydantic_ai.models.instrumented import InstrumentationSettings
except ImportError as _error:
    raise ImportError(
        "coati.pydantic_ai needs pydantic-ai: pip install pydantic-ai-slim"
    ) from _error

from coati import genai, otel

__all__ = ["install", "is_installed", "settings", "uninstall"]

_AGENT: Any = Agent
_installed: InstrumentationSettings | None = None
_before: Any = False


def settings(**more: Any) -> InstrumentationSettings:
    """Settings for ``Agent(..., instrument=...)``: coati's provider, and contents as elsewhere.

    Args:
        more: other arguments of ``InstrumentationSettings``, which go first.
    """
    content = genai.captures_content()
    given = {
        "tracer_provider": otel.TracerProvider(),
        "include_content": content,
        "include_binary_content": content,
        "include_model_request_parameters": content,
        **more,
    }
    return InstrumentationSettings(**given)


def install() -> None:
    """Instrument every agent that says nothing else itself.

    Where ``Agent.instrument_all`` has been called already, what was asked for there stays; called
    later, it has its way.
    """
    global _before, _installed  # noqa: PLW0603 - a program has one `Agent`
    if _installed is None:
        _before = _AGENT._instrument_default
        _installed = settings()
        if _before is False:
            Agent.instrument_all(_installed)


def uninstall() -> None:
    """Take back what :func:`install` did, unless the program has called ``instrument_all`` since."""
    global _installed  # noqa: PLW0603
    if _installed is not None and _AGENT._instrument_default is _installed:
        Agent.instrument_all(_before)
    _installed = None


def is_installed() -> bool:
    """Whether agents are instrumented by default."""
    return _installed is not None and _AGENT._instrument_default is _installed

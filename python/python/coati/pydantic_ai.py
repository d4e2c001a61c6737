"""pydantic-ai through coati: its own OpenTelemetry instrumentation, on coati's provider.

Agents that are not instrumented otherwise record agent runs, model requests and tools, without
contents unless ``coati.genai`` keeps them.
"""

from __future__ import annotations

from typing import Any

from coati import genai

__all__ = ["install", "is_installed", "settings", "uninstall"]

_installed: Any = None
_before: Any = False


def _agent() -> Any:
    try:
        from pydantic_ai import Agent  # noqa: PLC0415 - only who uses it has it
    except ImportError as error:
        raise ImportError(
            "coati.pydantic_ai needs pydantic-ai: pip install pydantic-ai-slim"
        ) from error
    return Agent


def settings(**more: Any) -> Any:
    """``InstrumentationSettings`` for ``Agent(..., instrument=...)``: coati's providers, and
    contents as elsewhere.

    Args:
        more: other arguments of ``InstrumentationSettings``, which go first.
    """
    from pydantic_ai.models.instrumented import InstrumentationSettings  # noqa: PLC0415

    from coati import otel  # noqa: PLC0415

    content = genai.captures_content()
    given = {
        "tracer_provider": otel.TracerProvider(),
        "meter_provider": otel.MeterProvider(),
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
    agent = _agent()
    if _installed is None:
        _before = agent._instrument_default
        _installed = settings()
        if _before is False:
            agent.instrument_all(_installed)


def uninstall() -> None:
    """Take back what :func:`install` did, unless ``instrument_all`` has been called since."""
    global _installed  # noqa: PLW0603
    if is_installed():
        _agent().instrument_all(_before)
    _installed = None


def is_installed() -> bool:
    """Whether agents are instrumented by default."""
    return _installed is not None and _agent()._instrument_default is _installed

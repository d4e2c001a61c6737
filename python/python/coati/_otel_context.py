"""OpenTelemetry's runtime context and coati's, as one.

Apart from ``coati.otel``: the API asks for a runtime context in the middle of its own import.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from opentelemetry.context.context import _RuntimeContext
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

from coati._native import _otel_runtime, _OtelRuntime

_RuntimeContext.register(_OtelRuntime)

#: What ours stands over.
_previous: Any = None


def runtime_context() -> Any:
    """The runtime context, for ``OTEL_PYTHON_CONTEXT=coati``."""
    return _otel_runtime()


def put() -> None:
    """Put it in force over the API's own. Another one, which somebody has chosen, stays."""
    global _previous  # noqa: PLW0603 - a process has one
    api: Any = import_module("opentelemetry.context")
    if type(api._RUNTIME_CONTEXT) is ContextVarsRuntimeContext:
        own = _otel_runtime()
        _previous = api._RUNTIME_CONTEXT
        own._over(_previous)
        api._RUNTIME_CONTEXT = own


def take_back() -> None:
    """Put in force again what :func:`put` has replaced.

    Ours stays where somebody has yet to detach what was attached to it: it does the same.
    """
    global _previous  # noqa: PLW0603
    api: Any = import_module("opentelemetry.context")
    own = _otel_runtime()
    if _previous is not None and api._RUNTIME_CONTEXT is own:
        if own._attached():
            return
        api._RUNTIME_CONTEXT = _previous
    _previous = None

"""OpenTelemetry's API on coati: what is written against ``opentelemetry-api`` records through it.

:func:`install` makes the providers of this package the process's own, so that every
instrumentation package finds them; providers may also be made and handed over one by one, beside
those of other SDKs.
"""

from __future__ import annotations

try:
    import opentelemetry._logs._internal as _logs_api
    import opentelemetry.metrics._internal as _metrics_api
    import opentelemetry.trace as _trace_api
except ImportError as _error:
    raise ImportError(
        "coati.otel needs the OpenTelemetry API: pip install opentelemetry-api"
    ) from _error

from coati import _otel_context
from coati.otel._global import Global
from coati.otel._proxies import release, resolve
from coati.otel.logs import LoggerProvider
from coati.otel.metrics import MeterProvider
from coati.otel.trace import TracerProvider

__all__ = [
    "LoggerProvider",
    "MeterProvider",
    "TracerProvider",
    "install",
    "is_installed",
    "uninstall",
]

#: What :func:`install` puts in place, in this order.
_GLOBALS: list[Global] = [
    Global(_trace_api, "_TRACER_PROVIDER", TracerProvider),
    Global(_metrics_api, "_METER_PROVIDER", MeterProvider, resolve, release),
    Global(_logs_api, "_LOGGER_PROVIDER", LoggerProvider),
]


def install() -> None:
    """Make coati's providers the process's own: what asks the API for one gets them.

    What was set before, by whomever, is set again by :func:`uninstall`.
    """
    _otel_context.put()
    for place in _GLOBALS:
        place.put()


def uninstall() -> None:
    """Take back what :func:`install` did."""
    for place in reversed(_GLOBALS):
        place.take_back()
    _otel_context.take_back()


def is_installed() -> bool:
    """Whether coati's providers are the process's own."""
    return any(place.is_put for place in _GLOBALS)

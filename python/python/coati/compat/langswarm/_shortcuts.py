"""Functions of the package itself, which use the installed provider and do nothing without one."""

from __future__ import annotations

import contextlib
from typing import Any

from coati.compat.langswarm import _globals
from coati.compat.langswarm.provider import create_observability_provider


def get_observability_provider() -> Any:
    """The installed provider, or None."""
    return _globals.provider


def set_observability_provider(provider: Any) -> None:
    """Install a provider for the whole program, as ``set_global_observability_provider`` does."""
    _globals.install(provider)


def initialize_observability(config: Any = None) -> None:
    """Install a provider with this configuration, if there is none."""
    if _globals.provider is None:
        _globals.install(create_observability_provider(config))


def log_info(message: str, **kwargs: Any) -> None:
    """Write a line at level info."""
    if _globals.provider is not None:
        _globals.provider.logger.info(message, **kwargs)


def log_error(message: str, **kwargs: Any) -> None:
    """Write a line at level error."""
    if _globals.provider is not None:
        _globals.provider.logger.error(message, **kwargs)


def log_debug(message: str, **kwargs: Any) -> None:
    """Write a line at level debug."""
    if _globals.provider is not None:
        _globals.provider.logger.debug(message, **kwargs)


def trace_operation(operation_name: str) -> Any:
    """A span around an operation."""
    if _globals.provider is not None:
        return _globals.provider.tracer.start_span(operation_name)
    return contextlib.nullcontext()


def record_metric(name: str, value: float, metric_type: str = "gauge", **tags: Any) -> None:
    """Count, set or record a value."""
    if _globals.provider is None:
        return
    metrics = _globals.provider.metrics
    if metric_type == "counter":
        metrics.increment_counter(name, value, **tags)
    elif metric_type == "gauge":
        metrics.set_gauge(name, value, **tags)
    elif metric_type == "histogram":
        metrics.record_histogram(name, value, **tags)

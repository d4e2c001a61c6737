"""What the framework's agents, tools and workflows call: traces, counts and lines by themselves.

Nothing here raises into an agent, and all of it does nothing while no provider is installed.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Generator
from typing import Any

from coati.compat.langswarm import _globals
from coati.compat.langswarm._config import ObservabilityConfig
from coati.compat.langswarm._span import Unsampled
from coati.compat.langswarm._trouble import tell
from coati.compat.langswarm.provider import ObservabilityProvider

__all__ = [
    "AutoInstrumentedMixin",
    "ObservabilityConfig",
    "ObservabilityProvider",
    "auto_instrument_function",
    "auto_log_operation",
    "auto_record_metric",
    "auto_trace_async_operation",
    "auto_trace_operation",
    "get_global_observability_provider",
    "initialize_auto_instrumentation",
    "instrument_agent_operation",
    "instrument_memory_operation",
    "instrument_session_operation",
    "instrument_tool_operation",
    "instrument_workflow_operation",
    "is_auto_instrumentation_enabled",
    "set_global_observability_provider",
    "start_auto_instrumentation",
    "stop_auto_instrumentation",
]


def set_global_observability_provider(provider: Any) -> None:
    """Install a provider for the whole program, as ``set_observability_provider`` does."""
    _globals.install(provider)


def get_global_observability_provider() -> Any:
    """The installed provider, or None."""
    return _globals.provider


def is_auto_instrumentation_enabled() -> bool:
    """Whether a provider is installed, and on."""
    return _globals.provider is not None and _globals.provider.config.enabled


class _Operation:
    """A span for ``with`` and ``async with``; awaiting it gives itself."""

    __slots__ = ("_span",)

    def __init__(self, span: Any) -> None:
        self._span = span

    def __enter__(self) -> Any:
        return self._span.__enter__()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._span.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Any:
        return self._span.__enter__()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._span.__exit__(kind, error, traceback)

    def __await__(self) -> Generator[Any, None, _Operation]:
        yield from ()
        return self


def _trace(name: str, component: str | None, tags: dict[str, Any]) -> _Operation:
    provider = _globals.provider
    if provider is None or not provider.config.tracing_enabled:
        return _Operation(Unsampled(None, none=True))
    try:
        given = {"component": component, **tags, "auto_instrumented": True}
        # As a mapping: a tag may be called like one of the function's own arguments.
        return _Operation(provider.tracer.start_span(name, attributes=given))
    except Exception as error:
        tell("start a span", error)
        return _Operation(Unsampled(None, none=True))


def auto_trace_operation(operation_name: str, component: str | None = None, **tags: Any) -> Any:
    """A span around an operation; yields None where there is none."""
    return _trace(operation_name, component, tags)


auto_trace_async_operation = auto_trace_operation


def auto_record_metric(
    metric_name: str, value: float, metric_type: str = "counter", **tags: Any
) -> None:
    """Count, set or record a value."""
    provider = _globals.provider
    if provider is None or not provider.config.metrics_enabled:
        return
    _measure(provider, metric_name, value, metric_type, tags)


def _measure(provider: Any, name: str, value: float, kind: str, tags: dict[str, Any]) -> None:
    try:
        metrics = provider.metrics
        call = {
            "counter": metrics.increment_counter,
            "gauge": metrics.set_gauge,
            "histogram": metrics.record_histogram,
            "timer": metrics.record_timer,
        }.get(str(getattr(kind, "value", kind)))
        if call is not None:
            call(name, value, labels={**tags, "auto_instrumented": "true"})
    except Exception as error:
        tell("record a metric", error)


def auto_log_operation(
    level: str, message: str, component: str | None = None, **kwargs: Any
) -> None:
    """Write a line with the current span's ids."""
    _log(level, message, component, kwargs)


#: What a line's fields cannot be called, as the functions that write it have arguments so called.
_TAKEN = frozenset({"self", "level", "message", "component"})


def _log(level: str, message: str, component: str | None, fields: dict[str, Any]) -> None:
    provider = _globals.provider
    if provider is None:
        return
    try:
        given = {f"{name}_" if name in _TAKEN else name: fields[name] for name in fields}
        provider.log_with_trace_context(
            level, message, component, **{**given, "auto_instrumented": True}
        )
    except Exception as error:
        tell("write a log line", error)


class AutoInstrumentedMixin:
    """Gives a class traces, metrics and lines of its component, ``_component_name``."""

    _component_name: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._component_name = getattr(self, "_component_name", type(self).__name__.lower())

    def _auto_trace(self, operation_name: str, /, **tags: Any) -> Any:
        """A span around an operation of this component."""
        name = self._component_name
        return _trace(f"{name}.{operation_name}", name, tags)

    def _auto_trace_async(self, operation_name: str, /, **tags: Any) -> Any:
        """The same for ``async with``, awaited first or not."""
        name = self._component_name
        return _trace(f"{name}.{operation_name}", name, tags)

    def _auto_record_metric(
        self, metric_name: str, value: float, metric_type: str = "counter", /, **tags: Any
    ) -> None:
        """Count, set or record a value of this component."""
        provider = _globals.provider
        if provider is not None and provider.config.metrics_enabled:
            name = self._component_name
            tags["component"] = name
            _measure(provider, f"{name}.{metric_name}", value, metric_type, tags)

    def _auto_log(
        self, level: str | None = None, message: str | None = None, /, **kwargs: Any
    ) -> None:
        """Write a line of this component; a field called like an argument gets a ``_`` behind."""
        if level is None:
            level = kwargs.pop("level", "info")
        if message is None:
            message = kwargs.pop("message", "")
        kwargs.pop("component", None)
        _log(str(level), str(message), self._component_name, kwargs)


class _Call:
    """One call of an instrumented function: its span, and its figures at the end."""

    def __init__(self, function: Any, name: str, component: str, given: tuple[Any, Any]) -> None:
        self.name = name
        self.component = component
        self.began = time.perf_counter()
        args, kwargs = given
        tags = {
            "function.name": function.__name__,
            "function.module": function.__module__,
            "function.args_count": len(args),
            "function.kwargs_count": len(kwargs),
        }
        self.operation = _trace(name, component, tags)
        self.span: Any = None

    def __enter__(self) -> None:
        self.span = self.operation.__enter__()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            self._measure(error)
        except Exception as trouble:  # the program's own __str__
            tell("tell of a call", trouble)
        finally:
            self.operation.__exit__(kind, error, traceback)

    def _measure(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, Exception):
            # A cancelled call has neither succeeded nor failed.
            return
        took = time.perf_counter() - self.began
        about = {"component": self.component, "status": "success" if error is None else "error"}
        auto_record_metric(f"{self.name}.duration_seconds", took, "histogram", **about)
        auto_record_metric(f"{self.name}.calls_total", 1.0, "counter", **about)
        if self.span:
            self.span.add_tag("success", error is None)
            self.span.add_tag("duration_ms", took * 1000)
        if error is not None:
            kind = type(error).__name__
            auto_record_metric(
                f"{self.name}.errors_total", 1.0, component=self.component, error_type=kind
            )
            auto_log_operation(
                "error",
                f"Function {self.name} failed: {error}",
                self.component,
                error_type=kind,
                error_message=str(error),
            )


def auto_instrument_function(
    operation_name: str | None = None, component: str | None = None
) -> Callable[[Any], Any]:
    """Decorate a function: a span, its duration and its result's kind, and a line if it fails."""

    def decorate(function: Any) -> Any:
        name = operation_name or function.__name__
        part = component or "unknown"
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def instrumented_async(*args: Any, **kwargs: Any) -> Any:
                with _Call(function, name, part, (args, kwargs)):
                    return await function(*args, **kwargs)

            return instrumented_async

        @functools.wraps(function)
        def instrumented(*args: Any, **kwargs: Any) -> Any:
            with _Call(function, name, part, (args, kwargs)):
                return function(*args, **kwargs)

        return instrumented

    return decorate


def initialize_auto_instrumentation(config: Any = None) -> Any:
    """Install a provider: one with this configuration, or the one that is given."""
    if hasattr(config, "tracer") and hasattr(config, "metrics") and hasattr(config, "logger"):
        provider = config
    else:
        provider = ObservabilityProvider(config)
    _globals.install(provider)
    return provider


async def start_auto_instrumentation() -> None:
    """Start the installed provider."""
    if _globals.provider is not None:
        await _globals.provider.start()


async def stop_auto_instrumentation() -> None:
    """Stop the installed provider."""
    if _globals.provider is not None:
        await _globals.provider.stop()


def instrument_agent_operation(operation_name: str) -> Callable[[Any], Any]:
    """Decorate a function of an agent."""
    return auto_instrument_function(operation_name, "agent")


def instrument_tool_operation(operation_name: str) -> Callable[[Any], Any]:
    """Decorate a function of a tool."""
    return auto_instrument_function(operation_name, "tool")


def instrument_workflow_operation(operation_name: str) -> Callable[[Any], Any]:
    """Decorate a function of a workflow."""
    return auto_instrument_function(operation_name, "workflow")


def instrument_memory_operation(operation_name: str) -> Callable[[Any], Any]:
    """Decorate a function of a memory."""
    return auto_instrument_function(operation_name, "memory")


def instrument_session_operation(operation_name: str) -> Callable[[Any], Any]:
    """Decorate a function of a session."""
    return auto_instrument_function(operation_name, "session")

"""Log lines: ``V2Logger``, and the registry of named loggers."""

from __future__ import annotations

import sys
import uuid
from contextvars import ContextVar
from typing import Any

import coati
from coati.compat.langswarm import _formats, _globals
from coati.compat.langswarm._config import ObservabilityConfig
from coati.compat.langswarm._engine import ensure, flushed
from coati.compat.langswarm._levels import level_of
from coati.compat.langswarm._trouble import tell
from coati.compat.langswarm.interfaces import ILogger, LogEvent, LogLevel

__all__ = [
    "ILogger",
    "LogEvent",
    "LogLevel",
    "ObservabilityConfig",
    "V2Logger",
    "configure_logging",
    "create_logger",
    "critical",
    "debug",
    "error",
    "get_logger",
    "get_or_create_logger",
    "info",
    "warning",
]

_DEBUG, _INFO, _WARNING, _ERROR, _CRITICAL = 10, 20, 30, 40, 50
#: What has a place of its own in a line; the rest is its metadata.
_OWN = ("operation", "user_id", "session_id")
#: Components that are remembered.
_ROOM = 1000
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
#: What ``set_trace_context`` has set: for whom, the span it was set in, and the two ids.
_set: ContextVar[tuple[object, str, str | None, str | None] | None] = ContextVar(
    "coati.compat.langswarm.trace_context", default=None
)


class V2Logger(ILogger):
    """Writes log lines.

    A line has the framework's keys ``component``, ``operation``, ``user_id``, ``session_id`` and
    ``metadata`` among coati's; the ids are those of the span that is current when it is written.
    """

    def __init__(
        self, config: Any = None, section: Any = None, *_: Any, component: str | None = None
    ) -> None:
        if isinstance(config, str):
            # As the guide has it: a component and its section.
            component, config = config, section
        self.component = component
        self._bound: dict[str, Any] = {}
        self._reconfigure(ObservabilityConfig.of(config))
        #: Whose ids ``set_trace_context`` sets.
        self._owner: object = self

    def _reconfigure(self, config: ObservabilityConfig) -> None:
        self.config = config
        self._emits: dict[str | None, Any] = {}
        filters = {**self.config.logging.extra, **(self.config.logging.filters or {})}
        lowest = filters.get("min_level_by_component") or {}
        self._lowest = {name: level_of(level).rank for name, level in lowest.items()}

    def for_component(self, component: str | None) -> V2Logger:
        """A logger whose lines are of this component."""
        other = V2Logger(self.config, component=component or self.config.opentelemetry_service_name)
        other._owner = self._owner
        return other

    def bind_context(self, **kwargs: Any) -> V2Logger:
        """A logger whose lines say this, too."""
        other = V2Logger(self.config, component=self.component)
        other._owner = self._owner
        other._bound = {**self._bound, **kwargs}
        return other

    bind = bind_context

    def set_correlation_id(self, correlation_id: str) -> None:
        """Add a correlation id to the lines from now on."""
        self._bound = {**self._bound, "correlation_id": correlation_id}

    def get_correlation_id(self) -> str | None:
        """The correlation id."""
        return self._bound.get("correlation_id")

    def set_trace_context(self, trace_id: str | None, span_id: str | None) -> None:
        """Give lines these ids until another span begins or this one ends."""
        inside = coati.current_span().span_id
        _set.set((self._owner, inside, trace_id, span_id) if trace_id or span_id else None)

    def _explicit(self) -> tuple[str | None, str | None] | None:
        given = _set.get()
        if given is None or given[0] is not self._owner:
            return None
        return given[2:] if coati.current_span().span_id == given[1] else None

    @property
    def _current_trace_id(self) -> str | None:
        given = self._explicit()
        trace_id = given[0] if given else coati.current_span().trace_id
        return trace_id if trace_id != _NO_TRACE else None

    @property
    def _current_span_id(self) -> str | None:
        given = self._explicit()
        span_id = given[1] if given else coati.current_span().span_id
        return span_id if span_id != _NO_SPAN else None

    def debug(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level debug."""
        config = self.config
        if config.enabled and config.log_level.rank <= _DEBUG:
            self._write(_DEBUG, message, component, kwargs)

    def info(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level info."""
        config = self.config
        if config.enabled and config.log_level.rank <= _INFO:
            self._write(_INFO, message, component, kwargs)

    def warning(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level warning."""
        config = self.config
        if config.enabled and config.log_level.rank <= _WARNING:
            self._write(_WARNING, message, component, kwargs)

    def error(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level error."""
        config = self.config
        if config.enabled and config.log_level.rank <= _ERROR:
            self._write(_ERROR, message, component, kwargs)

    def critical(self, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at level critical."""
        config = self.config
        if config.enabled and config.log_level.rank <= _CRITICAL:
            self._write(_CRITICAL, message, component, kwargs)

    warn, fatal = warning, critical

    def log(self, level: Any, message: str, component: str | None = None, **kwargs: Any) -> None:
        """Write a line at ``level``: a ``LogLevel``, its name, or the standard library's number."""
        config = self.config
        rank = level if isinstance(level, int) else level_of(level).rank
        if config.enabled and config.log_level.rank <= rank:
            self._write(rank, message, component, kwargs)

    def exception(
        self, message: str, component: str | None = None, exc_info: Any = True, **kwargs: Any
    ) -> None:
        """Write a line at level error that tells of an exception, the current one unless given."""
        config = self.config
        if config.enabled and config.log_level.rank <= _ERROR:
            if isinstance(exc_info, tuple):
                exc_info = exc_info[1]
            error = exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1]
            self._write(_ERROR, message, component, kwargs, error)

    def _write(
        self,
        rank: int,
        message: str,
        component: str | None,
        kwargs: dict[str, Any],
        error: BaseException | None = None,
    ) -> None:
        try:
            try:
                emit = self._emits[component]
            except KeyError:
                emit = self._emit_of(component)
            if emit is None or (self._lowest and rank < self._lowest.get(self._name(component), 0)):
                return
            if self._bound:
                kwargs = {**self._bound, **kwargs}
            fields: dict[str, Any] = {"component": component or self.component or "unknown"}
            if not kwargs.keys().isdisjoint(_OWN):
                for name in _OWN:
                    value = kwargs.pop(name, None)
                    if value:
                        fields[name] = value
            if kwargs:
                fields["metadata"] = kwargs
            if _set.get() is None:
                emit(rank, message, fields, error)
            else:
                self._emit_in(self._explicit(), emit, (rank, message, fields, error))
        except Exception as trouble:
            tell("write a log line", trouble)

    def _name(self, component: str | None) -> str:
        return component or self.component or "unknown"

    def _emit_of(self, component: str | None) -> Any:
        ensure(self.config)
        name = self._name(component)
        shown = not (component or self.component) or self._is_component_enabled(name)
        emit = coati.get_logger(name)._emit if shown else None
        if len(self._emits) >= _ROOM:
            self._emits.clear()
        self._emits[component] = emit
        return emit

    def _is_component_enabled(self, component: str | None) -> bool:
        if not component:
            return True
        if self.config.disabled_components and component in self.config.disabled_components:
            return False
        return not self.config.enabled_components or component in self.config.enabled_components

    @staticmethod
    def _emit_in(given: Any, emit: Any, line: tuple[Any, ...]) -> None:
        """Write a line with ids that somebody has set: as ids if they are any, else as metadata."""
        if given is None:
            emit(*line)
            return
        ids = (_hex(given[0], 32), _hex(given[1], 16))
        if all(ids):
            with coati.attach(coati.SpanContext(*ids, is_remote=False)):
                emit(*line)
            return
        metadata = line[2].setdefault("metadata", {})
        metadata.update(
            {key: value for key, value in zip(("trace_id", "span_id"), given, strict=True) if value}
        )
        emit(*line)

    def _format_structured(self, log_event: LogEvent) -> str:
        return _formats.structured(log_event)

    def _format_text(self, log_event: LogEvent) -> str:
        return _formats.text(log_event)

    async def flush(self) -> None:
        """Wait until the lines have been written."""
        await flushed()

    def close(self) -> None:
        """Write what is to be written; lines may follow."""
        coati.flush()

    def get_memory_usage(self) -> dict[str, int]:
        """The engine's memory in bytes: lines are held by nobody else."""
        return {"engine_bytes": coati.health()["memory_bytes"]}


def _hex(given: Any, digits: int) -> str | None:
    """An id of the right length, out of one or of a UUID."""
    text = str(given or "").lower()
    try:
        text = text if len(text) == digits and int(text, 16) else uuid.UUID(text).hex[:digits]
        return text if int(text, 16) else None
    except ValueError:
        return None


_loggers: dict[str, V2Logger] = {}
_default_config: ObservabilityConfig | None = None


def configure_logging(config: ObservabilityConfig) -> None:
    """Configure loggers that are made from now on without a configuration of their own."""
    global _default_config  # noqa: PLW0603 - the framework has one
    _default_config = ObservabilityConfig.of(config)


def create_logger(name: str = "default", config: ObservabilityConfig | None = None) -> V2Logger:
    """Make a logger and register its name."""
    _loggers[name] = logger = V2Logger(config if config is not None else _default_config)
    return logger


def get_logger(name: str | None = "default") -> V2Logger | None:
    """The logger of this name, else the installed provider's for this component, else None."""
    found = _loggers.get(name or "default")
    if found is None and _globals.provider is not None:
        if name in {None, "default"}:
            return _globals.provider.logger  # type: ignore[no-any-return]
        return _globals.provider.get_logger(name)  # type: ignore[no-any-return]
    return found


def get_or_create_logger(
    name: str = "default", config: ObservabilityConfig | None = None
) -> V2Logger:
    """The logger of this name, made if need be."""
    return get_logger(name) or create_logger(name, config)


def debug(message: str, component: str | None = None, **kwargs: Any) -> None:
    """Write a line at level debug to the default logger."""
    get_or_create_logger().debug(message, component, **kwargs)


def info(message: str, component: str | None = None, **kwargs: Any) -> None:
    """Write a line at level info to the default logger."""
    get_or_create_logger().info(message, component, **kwargs)


def warning(message: str, component: str | None = None, **kwargs: Any) -> None:
    """Write a line at level warning to the default logger."""
    get_or_create_logger().warning(message, component, **kwargs)


def error(message: str, component: str | None = None, **kwargs: Any) -> None:
    """Write a line at level error to the default logger."""
    get_or_create_logger().error(message, component, **kwargs)


def critical(message: str, component: str | None = None, **kwargs: Any) -> None:
    """Write a line at level critical to the default logger."""
    get_or_create_logger().critical(message, component, **kwargs)

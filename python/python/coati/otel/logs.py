"""OpenTelemetry's ``LoggerProvider`` over coati."""

from __future__ import annotations

import atexit
import logging
import os
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs

import coati
from coati import _native, _otel_context

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    from coati.otel._processors import Processors

__all__ = ["Logger", "LoggerProvider"]

_logger = logging.getLogger(__name__)


class Logger(_native._OtelLogger, _logs.Logger):
    """Records lines under the name of its scope.

    A text as body is the message; anything else is kept as a value. The severity says the level;
    severity text, event name and times are kept where they say more.
    """

    _provider: LoggerProvider

    def __init__(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> None:
        _logs.Logger.__init__(self, name, version, schema_url, attributes)


class _Shared(Logger):
    """A logger whose records go to foreign processors as well."""

    def emit(self, record: Any = None, **given: Any) -> None:
        """Record a line, and hand it on."""
        super().emit(record, **given)
        processors = self._provider._processors
        if processors is not None:
            processors.emit(self, record, given)


def _kept(attributes: Any) -> Any:
    """Attributes as a part of a key; True, 1 and 1.0 are not the same."""
    return repr(sorted(attributes.items(), key=str)) if attributes else None


class LoggerProvider(_logs.LoggerProvider):
    """Gives loggers that record through coati.

    Args:
        resource: what foreign processors are told the records belong to.
        shutdown_on_exit: whether those processors are shut down when the interpreter exits.
    """

    def __init__(self, resource: Resource | None = None, shutdown_on_exit: bool = True) -> None:
        _otel_context.put()
        self._resource = resource
        self._shutdown_on_exit = shutdown_on_exit
        self._disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        self._loggers: dict[Any, Logger] = {}
        self._processors: Processors | None = None
        self._is_shut_down = False

    def get_logger(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> _logs.Logger:
        """The logger of a scope, the same one each time."""
        if self._disabled or self._is_shut_down:
            return _logs.NoOpLogger(name, version, schema_url, attributes)
        key = (str(name or ""), str(version or ""), str(schema_url or ""), _kept(attributes))
        known = self._loggers.get(key)
        if known is not None:
            return known
        kind = Logger if self._processors is None else _Shared
        made = kind(key[0], version, schema_url, attributes)
        made._provider = self
        return self._loggers.setdefault(key, made)

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Hand each record to a processor of the SDK as well, at its own cost.

        Raises:
            TypeError: it is none.
        """
        from coati.otel._processors import Processors  # noqa: PLC0415 - it needs the SDK

        if self._processors is None:
            self._processors = Processors(self._resource)
            if self._shutdown_on_exit:
                atexit.register(self.shutdown)
        self._processors.add(log_record_processor)
        for made in list(self._loggers.values()):
            made.__class__ = _Shared

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything recorded is in its sinks and with its processors."""
        flushed = coati.flush(timeout_millis / 1e3)
        processors = self._processors
        return (processors is None or processors.force_flush(timeout_millis)) and flushed

    def shutdown(self) -> None:
        """Shut the processors down. coati itself goes on."""
        self._is_shut_down = True
        processors, self._processors = self._processors, None
        if processors is not None:
            atexit.unregister(self.shutdown)
            processors.shutdown()

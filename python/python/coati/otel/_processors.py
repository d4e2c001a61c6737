"""Records for the SDK's log record processors."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs._internal._exceptions import (
    _copy_log_record_with_exception,
    _create_log_record_with_exception,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

if TYPE_CHECKING:
    from coati.otel.logs import Logger

_logger = logging.getLogger(__name__)


class Processors:
    """The processors of one provider, in the order in which they came."""

    def __init__(self, resource: Resource | None) -> None:
        self._resource = resource or Resource.create({})
        self._all: tuple[LogRecordProcessor, ...] = ()
        #: Whether this thread is inside of one: what that logs is not handed on.
        self._inside = threading.local()

    def add(self, processor: LogRecordProcessor) -> None:
        """Add one."""
        if not isinstance(processor, LogRecordProcessor):
            raise TypeError(
                "coati.otel.LoggerProvider takes LogRecordProcessor objects of opentelemetry-sdk, "
                f"not {type(processor).__name__}"
            )
        self._all += (processor,)

    def emit(self, logger: Logger, record: Any, given: dict[str, Any]) -> None:
        """Hand a record to all of them."""
        if getattr(self._inside, "yes", False):
            return
        self._inside.yes = True
        try:
            shown = self._shown(logger, record, given)
            for processor in self._all:
                try:
                    processor.on_emit(shown)
                except Exception:
                    _logger.exception("%r did not take a record", processor)
        except Exception:
            _logger.exception("a record cannot be handed on")
        finally:
            self._inside.yes = False

    def _shown(self, logger: Logger, record: Any, given: dict[str, Any]) -> ReadWriteLogRecord:
        if isinstance(record, ReadWriteLogRecord):
            return record
        if record is None:
            record = _create_log_record_with_exception(**given)
        elif getattr(record, "exception", None) is not None:
            record = _copy_log_record_with_exception(record)
        assert isinstance(record, LogRecord)
        scope = InstrumentationScope(
            *(logger._name, logger._version, logger._schema_url, logger._attributes)
        )
        return ReadWriteLogRecord(record, self._resource, scope)

    def force_flush(self, timeout_millis: int) -> bool:
        """Flush all; whether all did in time."""
        deadline = time.monotonic() + timeout_millis / 1e3
        flushed = True
        for processor in self._all:
            left = max(0, int((deadline - time.monotonic()) * 1e3))
            try:
                flushed &= processor.force_flush(left) is not False
            except Exception:
                _logger.exception("%r did not flush", processor)
                flushed = False
        return flushed

    def shutdown(self) -> None:
        """Shut all down."""
        for processor in self._all:
            try:
                processor.shutdown()
            except Exception:
                _logger.exception("%r did not shut down", processor)

"""Logs each event: what it is, and the keys of its payload."""

from __future__ import annotations

import importlib
import logging
from typing import Any, ClassVar

from coati.compat.kaizen.hooks._payload import (
    render_scrubbed_payload,
    should_log_full_payload,
    summarize_payload,
)
from coati.compat.kaizen.hooks.protocol import BaseHook
from coati.compat.kaizen.hooks.types import HookContext, HookEvent, HookResult

__all__ = ["LoggingHook"]

logger = logging.getLogger("kaizen.core.autonomy.hooks.builtin.logging_hook")


class LoggingHook(BaseHook):
    """A line for each event, as a text or through structlog as JSON.

    Args:
        log_level: level of the lines.
        include_data: whether keys of payloads are shown.
        format: ``text`` or ``json``.
        redact_sensitive: whether the framework's redactor sees events first: False for not, True
            for always, None where it is there.
        log_full_payloads: whether values are shown, at level debug and scrubbed.

    Raises:
        RuntimeError: redaction is asked for, and the framework that has it is not installed.
        ImportError: JSON is asked for, and structlog is not installed.
    """

    events: ClassVar[list[HookEvent]] = list(HookEvent)

    def __init__(
        self,
        log_level: str = "INFO",
        include_data: bool = True,
        format: str = "text",
        redact_sensitive: bool | None = None,
        log_full_payloads: bool = False,
    ) -> None:
        super().__init__("logging_hook")
        self.log_level = log_level
        self.include_data = include_data
        self.format = format
        self.log_full_payloads = log_full_payloads
        self.redact_sensitive = redact_sensitive is not False
        self.redactor: Any = None
        if self.redact_sensitive:
            self._find_redactor(asked=redact_sensitive is True)
        self.logger: Any = _structlog() if format == "json" else logger

    def _find_redactor(self, asked: bool) -> None:
        try:
            theirs = importlib.import_module("kaizen.core.autonomy.hooks.security.redaction")
            self.redactor = theirs.SensitiveDataRedactor()
        except ImportError as error:
            if asked:
                raise RuntimeError(
                    "redact_sensitive=True was requested, but there is no redaction, as "
                    "SensitiveDataRedactor could not be imported: install kailash-kaizen, or pass "
                    "redact_sensitive=False"
                ) from error
            logger.warning(
                "SensitiveDataRedactor not available, disabling redaction AND payload-value logging"
            )
            self.redact_sensitive = False
            self.log_full_payloads = False

    async def handle(self, context: HookContext) -> HookResult:
        """Log an event."""
        try:
            seen = self.redactor.redact_hook_context(context) if self.redactor else context
            level = self.log_level.lower()
            data, metadata = summarize_payload(seen.data), summarize_payload(seen.metadata)
            if self.format == "json":
                fields = {
                    "event_type": seen.event_type.value,
                    "agent_id": seen.agent_id,
                    "trace_id": seen.trace_id,
                    "timestamp": seen.timestamp,
                    "level": level,
                }
                if self.include_data:
                    fields["context_keys"] = data["keys"]
                    fields["context_field_count"] = data["count"]
                    fields["metadata_keys"] = metadata["keys"]
                getattr(self.logger, level)("hook_event", **fields)
            else:
                line = f"{_head(seen)} TraceID={seen.trace_id}"
                if self.include_data:
                    line += f" DataKeys={data['keys']} ({data['count']} field(s))"
                getattr(self.logger, level)(line)
            self._log_full_payload(seen)
            return HookResult(True)
        except Exception as error:
            return HookResult(False, error=str(error))

    def _log_full_payload(self, context: HookContext) -> None:
        if not should_log_full_payload(self.log_full_payloads, logger):
            return
        payload = render_scrubbed_payload(context.data)
        if self.format == "json":
            self.logger.debug("hook_event_payload", payload=payload)
        else:
            self.logger.debug(f"{_head(context)} Payload={payload}")

    async def on_error(self, error: Exception, context: HookContext) -> None:
        """Log it."""
        logger.error("LoggingHook failed for %s: %s", context.event_type.value, error)


def _head(context: HookContext) -> str:
    return f"[{context.event_type.value}] Agent={context.agent_id}"


def _structlog() -> Any:
    try:
        structlog = importlib.import_module("structlog")
    except ImportError as error:
        raise ImportError(
            "LoggingHook(format='json') requires structlog: "
            "pip install 'kailash-kaizen[observability]'"
        ) from error
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.stdlib.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.processors.UnicodeDecoder(),
            structlog.processors.JSONRenderer(),
        ],
        context_class=dict,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger(logger.name)

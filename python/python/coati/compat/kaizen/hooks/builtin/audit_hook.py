"""Tells an audit provider of each event, with its data."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from coati.compat.kaizen.hooks.protocol import BaseHook
from coati.compat.kaizen.hooks.types import HookContext, HookEvent, HookResult

__all__ = ["AuditHook"]

logger = logging.getLogger("kaizen.core.autonomy.hooks.builtin.audit_hook")


class AuditHook(BaseHook):
    """Calls ``log_event(user, action, result, metadata)`` of a provider.

    Args:
        audit_provider: the provider.
        event_filter: events to tell of; all if there are none.
    """

    events: ClassVar[list[HookEvent]] = list(HookEvent)

    def __init__(self, audit_provider: Any, event_filter: list[HookEvent] | None = None) -> None:
        super().__init__("audit_hook")
        self.audit_provider = audit_provider
        self.event_filter = event_filter

    async def handle(self, context: HookContext) -> HookResult:
        """Tell of an event."""
        if self.event_filter and context.event_type not in self.event_filter:
            return HookResult(True, {"skipped": True, "reason": "event_filter"})
        data = context.data
        result = data.get("result", "success")
        if data.get("error"):
            result = "error"
        elif data.get("success") is False:
            result = "failure"
        try:
            event = self.audit_provider.log_event(
                user=context.agent_id,
                action=context.event_type.value,
                result=result,
                metadata={
                    "trace_id": context.trace_id,
                    "timestamp": context.timestamp,
                    "event_type": context.event_type.value,
                    "data": data,
                    "metadata": context.metadata,
                },
            )
        except Exception as error:
            await self.on_error(error, context)
            return HookResult(False, error=str(error))
        return HookResult(True, {"audit_event_id": event})

    async def on_error(self, error: Exception, context: HookContext) -> None:
        """Log it."""
        logger.error("AuditHook failed for %s: %s", context.event_type.value, error)

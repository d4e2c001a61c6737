"""Writes each event into an audit trail, without the values of its payload."""

from __future__ import annotations

import logging
from typing import ClassVar

from coati.compat.kaizen.audit import AuditTrailManager
from coati.compat.kaizen.hooks._payload import summarize_payload
from coati.compat.kaizen.hooks.protocol import BaseHook
from coati.compat.kaizen.hooks.types import HookContext, HookEvent, HookResult
from coati.compat.kaizen.types import AuditResult

__all__ = ["AuditTrailHook"]

logger = logging.getLogger("kaizen.core.autonomy.hooks.builtin.audit_trail_hook")


class AuditTrailHook(BaseHook):
    """One entry for each event: agent, event, trace, outcome, and the keys of its payload.

    Args:
        audit_manager: where entries go.
        events_to_audit: events to record; all if there are none.
    """

    events: ClassVar[list[HookEvent]] = list(HookEvent)

    def __init__(
        self, audit_manager: AuditTrailManager, events_to_audit: list[HookEvent] | None = None
    ) -> None:
        super().__init__("audit_trail_hook")
        self.audit_manager = audit_manager
        self.events_to_audit = events_to_audit or []

    async def handle(self, context: HookContext) -> HookResult:
        """Record an event."""
        if self.events_to_audit and context.event_type not in self.events_to_audit:
            return HookResult(True, {"audited": False, "reason": "event_filter"})
        failed = context.data.get("error") or context.data.get("success") is False
        result: AuditResult = "failure" if failed else "success"
        await self.audit_manager.record(
            agent_id=context.agent_id,
            action=context.event_type.value,
            details={
                "event": context.event_type.value,
                "data_keys": summarize_payload(context.data)["keys"],
                "trace_id": context.trace_id,
            },
            result=result,
            metadata=summarize_payload(context.metadata) if context.metadata else None,
        )
        return HookResult(True, {"audited": True, "result": result})

    async def on_error(self, error: Exception, context: HookContext) -> None:
        """Log that an entry is missing."""
        logger.warning(
            "audit_trail_hook.append_failed event=%s agent_id=%s error=%s error_type=%s",
            context.event_type.value,
            context.agent_id,
            error,
            type(error).__name__,
        )

"""Audit trails: what agents did, who asked, how it ended."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any, Protocol

from coati.compat.kaizen._scrub import scrub
from coati.compat.kaizen._storage import FileAuditStorage
from coati.compat.kaizen.types import AuditEntry, AuditResult

__all__ = ["AuditStorage", "AuditTrailManager", "FileAuditStorage"]

logger = logging.getLogger("kaizen.core.autonomy.observability.audit")


class AuditStorage(Protocol):
    """Where an audit trail is kept."""

    async def append(self, entry: AuditEntry) -> None:
        """Keep an entry for good."""

    async def query(
        self,
        agent_id: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        action: str | None = None,
        user_id: str | None = None,
        result: AuditResult | None = None,
    ) -> list[AuditEntry]:
        """The entries that match all that is given, by time."""
        ...


class AuditTrailManager:
    """Records what agents do.

    Args:
        storage: where; a :class:`FileAuditStorage` in ``.kaizen`` by default.
        canonical_store: a second store with ``append_sync``, told as well.
    """

    def __init__(
        self, storage: AuditStorage | None = None, canonical_store: Any | None = None
    ) -> None:
        self.storage = storage or FileAuditStorage()
        self._canonical_store = canonical_store

    async def record(
        self,
        agent_id: str,
        action: str,
        details: dict[str, Any],
        result: AuditResult,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Record an entry of now."""
        now = datetime.now(timezone.utc)
        more = metadata or {}
        entry = AuditEntry(now, agent_id, action, details, result, user_id, more)
        await self.storage.append(entry)
        if self._canonical_store is not None:
            try:
                self._canonical_store.append_sync(
                    actor=agent_id,
                    action=action,
                    resource=f"kaizen.observability:{agent_id}",
                    details={"result": str(result), **details, **more},
                )
            except Exception as error:
                logger.warning(
                    "audit.canonical_forward_failed agent_id=%s action=%s error=%s error_type=%s",
                    agent_id,
                    action,
                    scrub(error),
                    type(error).__name__,
                )
        if logger.isEnabledFor(logging.INFO):
            extra = {"agent_id": agent_id, "action": action, "result": result}
            logger.info("Audit recorded: %s - %s - %s", agent_id, action, result, extra=extra)

    async def query_by_agent(self, agent_id: str) -> list[AuditEntry]:
        """What an agent did."""
        return await self.storage.query(agent_id=agent_id)

    async def query_by_action(self, action: str) -> list[AuditEntry]:
        """Where an action was taken."""
        return await self.storage.query(action=action)

    async def query_by_user(self, user_id: str) -> list[AuditEntry]:
        """What was done for a user."""
        return await self.storage.query(user_id=user_id)

    async def query_by_result(self, result: AuditResult) -> list[AuditEntry]:
        """What ended in this way."""
        return await self.storage.query(result=result)

    async def query_by_timerange(
        self, start_time: datetime, end_time: datetime
    ) -> list[AuditEntry]:
        """What was done between two times, both included."""
        return await self.storage.query(start_time=start_time, end_time=end_time)

    async def query_all(self) -> list[AuditEntry]:
        """All entries."""
        return await self.storage.query()

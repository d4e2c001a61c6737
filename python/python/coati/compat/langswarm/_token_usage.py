"""Totals of tokens by session and user, and what can be told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from coati.compat.langswarm._token_records import TokenUsageEvent
from coati.compat.langswarm._trouble import tell
from coati.compat.langswarm.interfaces import utc

#: How long single events are kept, and how many at most.
_KEPT_DAYS = 30
_KEPT = 100_000


def _day(event: TokenUsageEvent) -> str:
    return event.timestamp.strftime("%Y-%m-%d")


def _fresh(event: TokenUsageEvent, **more: Any) -> dict[str, Any]:
    return {
        "total_tokens": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "total_cost": 0.0,
        "event_count": 0,
        "first_event": event.timestamp,
        "last_event": event.timestamp,
        "models_used": set(),
        "providers_used": set(),
        **more,
    }


def _count(totals: dict[str, Any], event: TokenUsageEvent) -> None:
    totals["total_tokens"] += event.total_tokens
    totals["input_tokens"] += event.input_tokens
    totals["output_tokens"] += event.output_tokens
    totals["total_cost"] += event.cost_estimate
    totals["event_count"] += 1
    totals["last_event"] = event.timestamp
    totals["models_used"].add(event.model)
    totals["providers_used"].add(event.provider)


def _count_small(totals: dict[str, dict[str, Any]], key: str, event: TokenUsageEvent) -> None:
    entry = totals.setdefault(key, {"tokens": 0, "cost": 0.0, "events": 0})
    entry["tokens"] += event.total_tokens
    entry["cost"] += event.cost_estimate
    entry["events"] += 1


def _moment(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


_GROUPS: dict[str, Callable[[TokenUsageEvent], str]] = {
    "model": lambda event: event.model,
    "provider": lambda event: event.provider,
    "day": _day,
}


class TokenUsageAggregator:
    """Adds up what model calls use, and records it as metrics."""

    def __init__(self, metrics: Any = None) -> None:
        self.metrics = metrics
        self._usage_events: list[TokenUsageEvent] = []
        self._session_totals: dict[str, dict[str, Any]] = {}
        self._user_totals: dict[str, dict[str, Any]] = {}
        self._last_cleanup = utc()
        self._retention_days = _KEPT_DAYS

    async def record_usage(self, event: TokenUsageEvent) -> None:
        """Add a call."""
        try:
            self._usage_events.append(event)
            session = self._session_totals.get(event.session_id)
            if session is None:
                session = self._session_totals[event.session_id] = _fresh(event)
            _count(session, event)
            if event.user_id:
                user = self._user_totals.get(event.user_id)
                if user is None:
                    user = _fresh(event, session_count=0, daily_usage={})
                    self._user_totals[event.user_id] = user
                _count(user, event)
                _count_small(user["daily_usage"], _day(event), event)
            if self.metrics:
                self._record(event)
            self._clean_up()
        except Exception as error:
            tell("add up tokens", error)

    def _record(self, event: TokenUsageEvent) -> None:
        metrics = self.metrics
        tags = {
            "provider": event.provider,
            "model": event.model,
            "event_type": event.event_type.value,
        }
        metrics.increment_counter("tokens.input", event.input_tokens, **tags)
        metrics.increment_counter("tokens.output", event.output_tokens, **tags)
        metrics.increment_counter("tokens.total", event.total_tokens, **tags)
        if event.cost_estimate > 0:
            metrics.increment_counter("tokens.cost", event.cost_estimate, **tags)
            each = event.cost_estimate / event.total_tokens if event.total_tokens > 0 else 0
            metrics.set_gauge("tokens.cost_per_token", each, **tags)
        if event.tokens_per_second > 0:
            metrics.set_gauge("tokens.rate", event.tokens_per_second, **tags)
        if event.max_context_size > 0:
            metrics.set_gauge("context.utilization", event.context_utilization, **tags)
            metrics.set_gauge("context.size", event.context_size, **tags)

    def _clean_up(self) -> None:
        if len(self._usage_events) > _KEPT:
            del self._usage_events[: _KEPT // 10]
        now = utc()
        if (now - self._last_cleanup).days >= 1:
            oldest = now - timedelta(days=self._retention_days)
            self._usage_events = [one for one in self._usage_events if one.timestamp > oldest]
            self._last_cleanup = now

    async def get_session_usage(self, session_id: str) -> dict[str, Any]:
        """A session's totals, empty if there are none."""
        return self._session_totals.get(session_id, {})

    async def get_user_usage(self, user_id: str) -> dict[str, Any]:
        """A user's totals, empty if there are none."""
        return self._user_totals.get(user_id, {})

    async def get_usage_analytics(
        self,
        user_id: str | None = None,
        session_id: str | None = None,
        time_range: tuple[Any, Any] | None = None,
        group_by: str | None = None,
    ) -> dict[str, Any]:
        """Totals and means of the calls that match, by ``model``, ``provider`` or ``day``."""
        events = list(self._matching(user_id, session_id, time_range))
        if not events:
            return {}
        tokens = sum(event.total_tokens for event in events)
        cost = sum(event.cost_estimate for event in events)
        times = [event.timestamp for event in events]
        groups: dict[str, dict[str, Any]] = {}
        if group_by in _GROUPS:
            for event in events:
                _count_small(groups, _GROUPS[group_by](event), event)
        return {
            "total_tokens": tokens,
            "total_cost": cost,
            "total_events": len(events),
            "avg_tokens_per_event": tokens / len(events),
            "avg_cost_per_event": cost / len(events),
            "cost_per_token": cost / tokens if tokens > 0 else 0,
            "time_range": {"start": min(times), "end": max(times)},
            "models_used": list({event.model for event in events}),
            "providers_used": list({event.provider for event in events}),
            "grouped_data": groups,
        }

    def _matching(
        self, user_id: str | None, session_id: str | None, time_range: tuple[Any, Any] | None
    ) -> Iterable[TokenUsageEvent]:
        start, end = map(_moment, time_range) if time_range else (None, None)
        for event in self._usage_events:
            if user_id and event.user_id != user_id:
                continue
            if session_id and event.session_id != session_id:
                continue
            if start is not None and end is not None and not start <= event.timestamp <= end:
                continue
            yield event

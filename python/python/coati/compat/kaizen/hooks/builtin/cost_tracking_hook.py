"""Adds up what calls are said to cost."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

from coati.compat.kaizen.hooks.protocol import BaseHook
from coati.compat.kaizen.hooks.types import HookContext, HookEvent, HookResult

__all__ = ["CostTrackingHook"]


class CostTrackingHook(BaseHook):
    """Sums ``estimated_cost_usd`` of events by tool, agent and specialist."""

    events: ClassVar[list[HookEvent]] = [
        HookEvent.POST_TOOL_USE,
        HookEvent.POST_AGENT_LOOP,
        HookEvent.POST_SPECIALIST_INVOKE,
    ]

    def __init__(self) -> None:
        super().__init__("cost_tracking_hook")
        self.total_cost_usd = 0.0
        self.costs_by_tool: dict[str, float] = defaultdict(float)
        self.costs_by_agent: dict[str, float] = defaultdict(float)
        self.costs_by_specialist: dict[str, float] = defaultdict(float)

    async def handle(self, context: HookContext) -> HookResult:
        """Add an event's cost."""
        try:
            cost = context.data.get("estimated_cost_usd", 0.0)
            if cost > 0:
                self.total_cost_usd += cost
                self.costs_by_agent[context.agent_id] += cost
                if context.event_type == HookEvent.POST_TOOL_USE:
                    self.costs_by_tool[context.data.get("tool_name", "unknown")] += cost
                elif context.event_type == HookEvent.POST_SPECIALIST_INVOKE:
                    name = context.data.get("specialist_name", "unknown")
                    self.costs_by_specialist[name] += cost
            return HookResult(
                True,
                {
                    "total_cost_usd": self.total_cost_usd,
                    "event_cost_usd": cost,
                    "agent_cost_usd": self.costs_by_agent[context.agent_id],
                },
            )
        except Exception as error:
            return HookResult(False, error=str(error))

    def get_total_cost(self) -> float:
        """The sum, in US dollars."""
        return self.total_cost_usd

    def get_cost_breakdown(self) -> dict[str, Any]:
        """The sum, and its parts by tool, agent and specialist."""
        return {
            "total_cost_usd": self.total_cost_usd,
            "by_tool": dict(self.costs_by_tool),
            "by_agent": dict(self.costs_by_agent),
            "by_specialist": dict(self.costs_by_specialist),
        }

    def reset_costs(self) -> None:
        """Begin at zero."""
        self.total_cost_usd = 0.0
        self.costs_by_tool.clear()
        self.costs_by_agent.clear()
        self.costs_by_specialist.clear()

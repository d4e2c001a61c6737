"""What users may use, and whether they may use more."""

from __future__ import annotations

from typing import Any

from coati.compat.langswarm._token_records import BudgetCheckResult, TokenBudgetConfig
from coati.compat.langswarm._token_usage import TokenUsageAggregator
from coati.compat.langswarm.interfaces import utc

#: From when on a call is worth a word: its tokens, its cost in US dollars.
_MANY_TOKENS, _MUCH = 5000, 0.10


def _today(usage: dict[str, Any]) -> int:
    entry = usage.get("daily_usage", {}).get(utc().strftime("%Y-%m-%d"), {})
    return int(entry.get("tokens", 0))


def _over(reason: str, usage: dict[str, Any], limit: dict[str, Any]) -> BudgetCheckResult:
    return BudgetCheckResult(False, reason, current_usage=usage, limit_details=limit)


class TokenBudgetManager:
    """Keeps users within their budgets."""

    def __init__(self, aggregator: TokenUsageAggregator) -> None:
        self.aggregator = aggregator
        self._user_budgets: dict[str, TokenBudgetConfig] = {}

    async def set_budget(self, user_id: str, budget_config: TokenBudgetConfig) -> None:
        """Give a user a budget."""
        self._user_budgets[user_id] = budget_config

    async def check_budget_limit(
        self,
        user_id: str,
        session_id: str | None = None,
        projected_tokens: int = 0,
        projected_cost: float = 0.0,
    ) -> BudgetCheckResult:
        """Whether a call fits: its tokens and cost, on top of what was used."""
        budget = self._user_budgets.get(user_id)
        if budget is None:
            return BudgetCheckResult(within_limit=True)
        user = await self.aggregator.get_user_usage(user_id)
        session = await self.aggregator.get_session_usage(session_id) if session_id else {}
        today, of_session = _today(user), session.get("total_tokens", 0)
        spent = user.get("total_cost", 0.0)
        daily, per_session = budget.daily_token_limit, budget.session_token_limit
        limit = budget.cost_limit_usd
        if daily and today + projected_tokens > daily:
            used = today + projected_tokens
            reason = f"Daily token limit exceeded ({used} > {daily})"
            return _over(reason, {"daily_tokens": used}, {"daily_limit": daily})
        if per_session and session_id and of_session + projected_tokens > per_session:
            used = of_session + projected_tokens
            reason = f"Session token limit exceeded ({used} > {per_session})"
            return _over(reason, {"session_tokens": used}, {"session_limit": per_session})
        if limit and spent + projected_cost > limit:
            cost = spent + projected_cost
            reason = f"Cost limit exceeded (${cost:.2f} > ${limit:.2f})"
            return _over(reason, {"total_cost": cost}, {"cost_limit": limit})
        recommendations = []
        if daily and today / daily > budget.token_alert_threshold:
            recommendations.append(f"Daily token usage at {today / daily * 100:.1f}% of limit")
        return BudgetCheckResult(
            within_limit=True,
            current_usage={
                "daily_tokens": today,
                "total_cost": spent,
                "session_tokens": of_session,
            },
            limit_details={
                "daily_limit": daily,
                "session_limit": per_session,
                "cost_limit": limit,
            },
            recommendations=recommendations,
        )

    async def enforce_token_limit(
        self,
        user_id: str,
        session_id: str | None = None,
        projected_tokens: int = 0,
        projected_cost: float = 0.0,
    ) -> bool:
        """Whether a call may be made: it fits, or nothing says that it must."""
        budget = self._user_budgets.get(user_id)
        if budget is None or not budget.enforce_limits:
            return True
        check = await self.check_budget_limit(user_id, session_id, projected_tokens, projected_cost)
        return check.within_limit

    async def get_budget_status(self, user_id: str) -> dict[str, Any]:
        """A user's budget, and how much of it is used."""
        budget = self._user_budgets.get(user_id)
        if budget is None:
            return {"has_budget": False}
        usage = await self.aggregator.get_user_usage(user_id)
        utilization = {}
        used = {
            "daily_tokens": (_today(usage), budget.daily_token_limit),
            "cost": (usage.get("total_cost", 0.0), budget.cost_limit_usd),
        }
        for name, (amount, limit) in used.items():
            if limit:
                percentage = amount / limit * 100
                utilization[name] = {"used": amount, "limit": limit, "percentage": percentage}
        return {
            "has_budget": True,
            "config": {
                "daily_token_limit": budget.daily_token_limit,
                "session_token_limit": budget.session_token_limit,
                "cost_limit_usd": budget.cost_limit_usd,
            },
            "utilization": utilization,
        }

    async def get_budget_recommendations(
        self, user_id: str, usage_pattern: dict[str, Any] | None = None
    ) -> list[str]:
        """What could be done to use less."""
        usage = await self.aggregator.get_user_usage(user_id)
        if not usage:
            return ["No usage data available for recommendations"]
        found = []
        calls = usage.get("event_count", 0)
        if calls > 0:
            tokens = usage.get("total_tokens", 0) / calls
            cost = usage.get("total_cost", 0.0) / calls
            models = usage.get("models_used", set())
            if tokens > _MANY_TOKENS:
                found.append(
                    f"High average token usage ({tokens:.0f} tokens/request). "
                    "Consider enabling context compression."
                )
            if cost > _MUCH:
                found.append(
                    f"High average cost (${cost:.3f}/request). "
                    "Consider using less expensive models for simple tasks."
                )
            if "gpt-4" in models and "gpt-3.5-turbo" not in models:
                found.append("Consider using GPT-3.5-turbo for simpler tasks to reduce costs.")
        return found

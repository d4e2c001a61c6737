"""Tokens: what model calls use, how full contexts are, and who may use more."""

from coati.compat.langswarm._token_budget import TokenBudgetManager
from coati.compat.langswarm._token_context import ContextSizeMonitor
from coati.compat.langswarm._token_records import (
    BudgetCheckResult,
    CompressionUrgency,
    ContextSizeInfo,
    TokenBudgetConfig,
    TokenEventType,
    TokenUsageEvent,
)
from coati.compat.langswarm._token_usage import TokenUsageAggregator

__all__ = [
    "BudgetCheckResult",
    "CompressionUrgency",
    "ContextSizeInfo",
    "ContextSizeMonitor",
    "TokenBudgetConfig",
    "TokenBudgetManager",
    "TokenEventType",
    "TokenUsageAggregator",
    "TokenUsageEvent",
]

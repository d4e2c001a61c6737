"""Hooks of autonomous agents: the events, what handles them, and the hooks that come along."""

from __future__ import annotations

from coati.compat.kaizen.hooks.builtin import (
    AuditHook,
    AuditTrailHook,
    CostTrackingHook,
    LoggingHook,
    MetricsHook,
    PerformanceProfilerHook,
    TracingHook,
)
from coati.compat.kaizen.hooks.manager import HookManager
from coati.compat.kaizen.hooks.protocol import BaseHook, HookHandler
from coati.compat.kaizen.hooks.types import HookContext, HookEvent, HookPriority, HookResult

__all__ = [
    "AuditHook",
    "AuditTrailHook",
    "BaseHook",
    "CostTrackingHook",
    "HookContext",
    "HookEvent",
    "HookHandler",
    "HookManager",
    "HookPriority",
    "HookResult",
    "LoggingHook",
    "MetricsHook",
    "PerformanceProfilerHook",
    "TracingHook",
]

"""Hooks that log, count, time, trace and audit what agents do."""

from __future__ import annotations

from coati.compat.kaizen.hooks.builtin.audit_hook import AuditHook
from coati.compat.kaizen.hooks.builtin.audit_trail_hook import AuditTrailHook
from coati.compat.kaizen.hooks.builtin.cost_tracking_hook import CostTrackingHook
from coati.compat.kaizen.hooks.builtin.logging_hook import LoggingHook
from coati.compat.kaizen.hooks.builtin.metrics_hook import MetricsHook
from coati.compat.kaizen.hooks.builtin.performance_profiler_hook import PerformanceProfilerHook
from coati.compat.kaizen.hooks.builtin.tracing_hook import TracingHook

__all__ = [
    "AuditHook",
    "AuditTrailHook",
    "CostTrackingHook",
    "LoggingHook",
    "MetricsHook",
    "PerformanceProfilerHook",
    "TracingHook",
]

"""Kaizen's observability and hooks on coati's engine.

    from coati.compat import kaizen
    kaizen.install()

makes a program on ``kailash-kaizen`` record through coati; or its classes are taken from here.
What needs ``opentelemetry-api`` is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from coati.compat.kaizen._chain import Break, Head, Verification
from coati.compat.kaizen._install import install, is_installed, uninstall
from coati.compat.kaizen.audit import AuditStorage, AuditTrailManager, FileAuditStorage
from coati.compat.kaizen.hooks import (
    AuditHook,
    AuditTrailHook,
    BaseHook,
    CostTrackingHook,
    HookContext,
    HookEvent,
    HookHandler,
    HookManager,
    HookPriority,
    HookResult,
    LoggingHook,
    MetricsHook,
    PerformanceProfilerHook,
    TracingHook,
)
from coati.compat.kaizen.logging import LoggingManager, StructuredLogger, write_lines
from coati.compat.kaizen.manager import ObservabilityManager
from coati.compat.kaizen.metrics import MetricsCollector
from coati.compat.kaizen.types import (
    AuditEntry,
    AuditResult,
    LogEntry,
    LogLevel,
    Metric,
    MetricType,
)

if TYPE_CHECKING:
    from coati.compat.kaizen.tracing_manager import TracingManager

__all__ = [
    "AuditEntry",
    "AuditHook",
    "AuditResult",
    "AuditStorage",
    "AuditTrailHook",
    "AuditTrailManager",
    "BaseHook",
    "Break",
    "CostTrackingHook",
    "FileAuditStorage",
    "Head",
    "HookContext",
    "HookEvent",
    "HookHandler",
    "HookManager",
    "HookPriority",
    "HookResult",
    "LogEntry",
    "LogLevel",
    "LoggingHook",
    "LoggingManager",
    "Metric",
    "MetricType",
    "MetricsCollector",
    "MetricsHook",
    "ObservabilityManager",
    "PerformanceProfilerHook",
    "StructuredLogger",
    "TracingHook",
    "TracingManager",
    "Verification",
    "install",
    "is_installed",
    "uninstall",
    "write_lines",
]


def __getattr__(name: str) -> Any:
    if name == "TracingManager":
        return importlib.import_module("coati.compat.kaizen.tracing_manager").TracingManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

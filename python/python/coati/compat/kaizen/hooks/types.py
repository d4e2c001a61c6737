"""When hooks run, what they are told, and what they answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ["HookContext", "HookEvent", "HookPriority", "HookResult"]


class _Alike(Enum):
    """Equal to the framework's own of that name and value, which programs may have taken before
    coati stood in its place."""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Enum) or type(other).__name__ != type(self).__name__:
            return NotImplemented
        return bool(other.value == self.value)

    def __hash__(self) -> int:
        # As any Enum's.
        return hash(self._name_)

    @classmethod
    def _missing_(cls, value: object) -> Enum | None:
        if isinstance(value, Enum) and type(value).__name__ == cls.__name__:
            return cls(value.value)
        return None


class HookEvent(_Alike):
    """A point in an agent's life."""

    PRE_TOOL_USE = "pre_tool_use"
    POST_TOOL_USE = "post_tool_use"
    PRE_AGENT_LOOP = "pre_agent_loop"
    POST_AGENT_LOOP = "post_agent_loop"
    PRE_SPECIALIST_INVOKE = "pre_specialist_invoke"
    POST_SPECIALIST_INVOKE = "post_specialist_invoke"
    PRE_PERMISSION_CHECK = "pre_permission_check"
    POST_PERMISSION_CHECK = "post_permission_check"
    PRE_CHECKPOINT_SAVE = "pre_checkpoint_save"
    POST_CHECKPOINT_SAVE = "post_checkpoint_save"
    PRE_INTERRUPT = "pre_interrupt"
    POST_INTERRUPT = "post_interrupt"
    PRE_PLAN_GENERATION = "pre_plan_generation"
    POST_PLAN_GENERATION = "post_plan_generation"
    PRE_MEMORY_SAVE = "pre_memory_save"
    POST_MEMORY_SAVE = "post_memory_save"
    PRE_MEMORY_LOAD = "pre_memory_load"
    POST_MEMORY_LOAD = "post_memory_load"


class HookPriority(_Alike):
    """Which hooks of an event run first: the lower ones."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


@dataclass
class HookContext:
    """What a hook is told."""

    event_type: HookEvent
    agent_id: str
    timestamp: float
    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    trace_id: str | None = None

    def __post_init__(self) -> None:
        if self.timestamp is None:
            self.timestamp = time.time()


@dataclass
class HookResult:
    """What a hook answers.

    Raises:
        ValueError: it failed and does not say why.
    """

    success: bool
    data: dict[str, Any] | None = None
    error: str | None = None
    duration_ms: float = 0.0

    def __post_init__(self) -> None:
        if not self.success and self.error is None:
            raise ValueError("Unsuccessful hook result must include error message")

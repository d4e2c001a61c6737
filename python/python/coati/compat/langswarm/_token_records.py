"""What is known of tokens: a model call's use, a context's size, a budget and how it stands."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from coati.compat.langswarm.interfaces import utc

_numbers = itertools.count(1)


def _event_id() -> str:
    # A number, as many calls end in the same millisecond.
    return f"token_{time.time_ns() // 1_000_000}_{next(_numbers)}"


class TokenEventType(Enum):
    """What tokens were used for."""

    CHAT = "chat"
    TOOL_CALL = "tool_call"
    FUNCTION_CALL = "function_call"
    STREAM = "stream"
    CONTEXT_COMPRESSION = "context_compression"


class CompressionUrgency(Enum):
    """How soon a context should be made smaller."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass
class TokenUsageEvent:
    """What one model call has used."""

    event_id: str = field(default_factory=_event_id)
    session_id: str = ""
    agent_id: str = ""
    user_id: str | None = None
    request_id: str | None = None
    model: str = ""
    provider: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    context_size: int = 0
    max_context_size: int = 0
    context_utilization: float = 0.0
    messages_count: int = 0
    cost_estimate: float = 0.0
    processing_time_ms: float = 0.0
    tokens_per_second: float = 0.0
    event_type: TokenEventType = TokenEventType.CHAT
    timestamp: datetime = field(default_factory=utc)
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.max_context_size > 0:
            self.context_utilization = self.context_size / self.max_context_size
        if self.processing_time_ms > 0 and self.total_tokens > 0:
            self.tokens_per_second = self.total_tokens / self.processing_time_ms * 1000


#: From how many per cent on a context is how urgent, and which share of its limit to aim at.
_URGENCIES = (
    (95, CompressionUrgency.CRITICAL, 0.7),
    (85, CompressionUrgency.HIGH, 0.75),
    (75, CompressionUrgency.MEDIUM, 0.8),
    (65, CompressionUrgency.LOW, 0.85),
)


@dataclass
class ContextSizeInfo:
    """How large a context is, and whether it should be made smaller."""

    current_size: int
    max_size: int
    utilization_percent: float
    messages_count: int
    compression_recommended: bool = False
    compression_urgency: CompressionUrgency = CompressionUrgency.NONE
    recommended_target_size: int | None = None
    compression_strategy: str | None = None
    tokens_per_message: float = 0.0
    context_efficiency: float = 0.0

    def __post_init__(self) -> None:
        if self.messages_count > 0:
            self.tokens_per_message = self.current_size / self.messages_count
        if self.max_size > 0:
            self.context_efficiency = self.current_size / self.max_size
        for percent, urgency, share in _URGENCIES:
            if self.utilization_percent >= percent:
                self.compression_urgency = urgency
                self.recommended_target_size = int(self.max_size * share)
                if urgency is not CompressionUrgency.LOW:
                    self.compression_recommended = True
                break


@dataclass
class TokenBudgetConfig:
    """What may be used."""

    daily_token_limit: int | None = None
    session_token_limit: int | None = None
    hourly_token_limit: int | None = None
    cost_limit_usd: float | None = None
    token_alert_threshold: float = 0.8
    cost_alert_threshold: float = 0.8
    context_alert_threshold: float = 0.9
    enforce_limits: bool = True
    auto_compress_context: bool = True
    compression_threshold: float = 0.85


@dataclass
class BudgetCheckResult:
    """Whether something fits in a budget."""

    within_limit: bool
    reason: str | None = None
    current_usage: dict[str, Any] = field(default_factory=dict)
    limit_details: dict[str, Any] = field(default_factory=dict)
    recommendations: list[str] = field(default_factory=list)

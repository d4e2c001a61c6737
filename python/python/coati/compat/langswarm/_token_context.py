"""How full a model's context is, and what to do when it fills."""

from __future__ import annotations

from typing import Any

from coati.compat.langswarm._token_records import CompressionUrgency, ContextSizeInfo
from coati.compat.langswarm._trouble import tell

_UNKNOWN = 4096
#: Tokens by model, as LangSwarm 0.1.0 has them.
_LIMITS = {
    4096: ("gpt-3.5-turbo", "default"),
    8192: ("gpt-4",),
    16384: ("gpt-3.5-turbo-16k",),
    128000: (
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4-turbo",
        "gpt-4-vision-preview",
        "o1-preview",
        "o1-mini",
    ),
    200000: ("claude-3-opus", "claude-3-sonnet", "claude-3-haiku", "claude-3-5-sonnet"),
}
_STRATEGIES = {
    CompressionUrgency.CRITICAL: "aggressive_summarization",
    CompressionUrgency.HIGH: "smart_truncation",
    CompressionUrgency.MEDIUM: "message_pruning",
}
#: An estimate: characters of a token, and tokens of a message besides its text.
_CHARACTERS, _MESSAGE = 4, 10


class ContextSizeMonitor:
    """Tells how full the context of a session is."""

    def __init__(self) -> None:
        self._model_limits = {model: size for size, models in _LIMITS.items() for model in models}

    async def calculate_context_info(
        self, session: Any, model: str, additional_tokens: int = 0
    ) -> ContextSizeInfo:
        """How full a session's context is, with tokens that are to be added."""
        limit = self._model_limits.get(model, self._model_limits["default"])
        try:
            messages = await session.get_context()
            texts = [getattr(message, "content", str(message)) for message in messages]
            size = sum(len(text) // _CHARACTERS + _MESSAGE for text in texts) + additional_tokens
            percent = size / limit * 100 if limit > 0 else 0
            info = ContextSizeInfo(size, limit, percent, len(messages))
        except Exception as error:
            tell("tell a context's size", error)
            return ContextSizeInfo(0, self._model_limits.get(model, _UNKNOWN), 0.0, 0)
        if info.compression_recommended:
            info.compression_strategy = _STRATEGIES.get(info.compression_urgency, "sliding_window")
        return info

    async def should_compress_context(self, context_info: ContextSizeInfo) -> bool:
        """Whether a context should be made smaller."""
        return context_info.compression_recommended

    async def get_compression_recommendation(self, context_info: ContextSizeInfo) -> dict[str, Any]:
        """Whether, how urgently, how and by how much a context should be made smaller."""
        if not context_info.compression_recommended:
            return {"compress": False, "reason": "No compression needed"}
        target = context_info.recommended_target_size
        return {
            "compress": True,
            "urgency": context_info.compression_urgency.value,
            "current_size": context_info.current_size,
            "target_size": target,
            "strategy": context_info.compression_strategy,
            "reduction_needed": context_info.current_size - (target or 0),
            "reason": f"Context utilization at {context_info.utilization_percent:.1f}%",
        }

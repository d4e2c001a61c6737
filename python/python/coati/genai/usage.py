"""Tokens of a call, told one way whoever counted them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

#: Whose input tokens leave out those read from or written to a cache.
_APART = frozenset({"anthropic", "aws.bedrock", "gcp.vertex_ai", "unknown"})
#: Where an answer keeps what it used.
_WITHIN = (
    "usage_metadata",
    "usage",
    "usageMetadata",
    "token_usage",
    "tokens",
    "model_usage",
    "models_usage",
)

_INPUT = (
    "input_tokens",
    "prompt_tokens",
    "prompt_token_count",
    "promptTokenCount",
    "inputTokens",
    "request_tokens",
    "prompt_eval_count",
    "prompt_llm_token_count",
    "gen_ai.usage.input_tokens",
)
_OUTPUT = (
    "output_tokens",
    "completion_tokens",
    "outputTokens",
    "response_tokens",
    "eval_count",
    "completion_llm_token_count",
    "gen_ai.usage.output_tokens",
)
#: Gemini tells the answer and the thoughts before it apart.
_ANSWER = ("candidates_token_count", "candidatesTokenCount", "response_token_count")
_THOUGHTS = ("thoughts_token_count", "thoughtsTokenCount")
_READ = (
    "cache_read_tokens",
    "cached_content_token_count",
    "cachedContentTokenCount",
    "cached_prompt_tokens",
    "cached_tokens",
    "prompt_cache_hit_tokens",
    "gen_ai.usage.cache_read.input_tokens",
)
_WRITTEN = (
    "cache_write_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
)
#: Anthropic's names, and Bedrock's.
_READ_APART = ("cache_read_input_tokens", "cacheReadInputTokens")
_WRITTEN_APART = ("cache_creation_input_tokens", "cacheWriteInputTokens")
_REASONING = ("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens")
_INPUT_DETAILS = ("input_token_details", "input_tokens_details", "prompt_tokens_details")
_OUTPUT_DETAILS = ("output_token_details", "output_tokens_details", "completion_tokens_details")
_KEPT_FOR = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call or of several. None is what nobody told.

    ``input_tokens`` includes those read from a cache and those written to one, ``output_tokens``
    those of reasoning.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    @classmethod
    def of(cls, source: Any, provider: str | None = None) -> Usage | None:
        """What ``source`` tells: a dict or an object of a provider's or a framework's library.

        That is the usage itself or an answer that has it: of OpenAI, Anthropic, Bedrock, Gemini,
        Mistral, DeepSeek, Ollama, LangChain, LlamaIndex, litellm, pydantic-ai, AutoGen, CrewAI, or
        with OpenTelemetry's names. None where nothing is known.

        Args:
            source: what tells of tokens.
            provider: who counted. Anthropic's and Bedrock's own counts of input leave out cached
                tokens, which are added here; they are known by their names even without this.
        """
        if source is None or isinstance(source, cls):
            return source
        found = _read(source, provider)
        if found is not None:
            return found
        for name in _WITHIN:
            inside = _value(source, name)
            if inside is not None and not isinstance(inside, (int, str)):
                found = cls.of(inside, provider) if isinstance(inside, cls) else None
                found = found or _read(inside, provider)
                if found is not None:
                    return found
        return None

    def attributes(self) -> dict[str, int]:
        """What is known, by OpenTelemetry's names."""
        names = zip(_ATTRIBUTES, (getattr(self, field.name) for field in fields(self)), strict=True)
        return {name: value for name, value in names if value is not None}

    def __add__(self, other: Usage | None) -> Usage:
        """Both together."""
        if other is None:
            return self
        if not isinstance(other, Usage):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Usage(*(_sum(pair) for pair in pairs))

    def __radd__(self, other: Any) -> Usage:
        """So that ``sum`` works."""
        return self if other in (0, None) else NotImplemented

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return any(getattr(self, field.name) is not None for field in fields(self))


_ATTRIBUTES = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
)


def _read(source: Any, provider: str | None) -> Usage | None:
    """The usage that ``source`` itself is."""
    given = _first(source, _INPUT)
    output = _first(source, _OUTPUT)
    thoughts = _first(source, _THOUGHTS)
    if output is None:
        output = _sum((_first(source, _ANSWER), thoughts))
    before, after = _inside(source, _INPUT_DETAILS), _inside(source, _OUTPUT_DETAILS)
    more = _value(source, "details")
    read_apart, written_apart = _first(source, _READ_APART), _first(source, _WRITTEN_APART)
    read = _or(_first(source, _READ), _first(before, ("cache_read", "cached_tokens")), read_apart)
    written = _or(
        _first(source, _WRITTEN),
        # Zero where the parts are told instead.
        _first(before, ("cache_creation", "cache_write_tokens", "cache_creation_tokens")) or None,
        _sum(_count(before, name) for name in _KEPT_FOR),
        _first(before, ("cache_creation",)),
        written_apart,
    )
    if _apart(source, provider, read_apart, written_apart, before):
        given = _sum((given, read_apart, written_apart))
    reasoning = _or(
        _first(source, _REASONING),
        _first(after, ("reasoning", "reasoning_tokens")),
        thoughts,
        _first(more, _REASONING),
    )
    usage = Usage(given, output, read, written, reasoning)
    return usage if usage else None


def _apart(
    source: Any, provider: str | None, read: int | None, written: int | None, details: Any
) -> bool:
    """Whether cached tokens are not among the input's."""
    if read is None and written is None:
        return False
    if provider is not None and provider not in _APART:
        return False
    # litellm has both spellings, and counts as OpenAI does.
    return details is None and _count(source, "prompt_tokens") is None


def _value(source: Any, name: str) -> Any:
    if isinstance(source, Mapping):
        return source.get(name)
    try:
        return getattr(source, name, None)
    except Exception:
        return None


def _count(source: Any, name: str) -> int | None:
    value = _value(source, name) if source is not None else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < 2**63 else None


def _first(source: Any, names: Iterable[str]) -> int | None:
    return _or(*(_count(source, name) for name in names))


def _inside(source: Any, names: Iterable[str]) -> Any:
    return next((v for name in names if (v := _value(source, name)) is not None), None)


def _or(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None

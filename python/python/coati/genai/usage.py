"""Tokens of a call, told one way whoever counted them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    "cache_creation_tokens",
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
        told = _fields(source)
        found = _read(told, provider)
        for name in _WITHIN:
            if found is not None:
                break
            inside = told.get(name)
            if isinstance(inside, cls):
                found = inside
            elif inside is not None and not isinstance(inside, (int, str)):
                found = _read(_fields(inside), provider)
        return found

    def attributes(self) -> dict[str, int]:
        """What is known, by OpenTelemetry's names."""
        told = zip(_ATTRIBUTES, self._counts(), strict=True)
        return {name: value for name, value in told if value is not None}

    def _counts(self) -> tuple[int | None, ...]:
        return (
            self.input_tokens,
            self.output_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens,
        )

    def __add__(self, other: Usage | None) -> Usage:
        """Both together."""
        if other is None:
            return self
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(*map(_sum, zip(self._counts(), other._counts(), strict=True)))

    def __radd__(self, other: Any) -> Usage:
        """So that ``sum`` works."""
        return self if other in (0, None) else NotImplemented

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return any(count is not None for count in self._counts())


_ATTRIBUTES = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
)


#: All that may tell of tokens, or have what does.
_READ_FROM = frozenset(
    (
        *_INPUT,
        *_OUTPUT,
        *_ANSWER,
        *_THOUGHTS,
        *_READ,
        *_WRITTEN,
        *_READ_APART,
        *_WRITTEN_APART,
        *_REASONING,
    )
)
_KNOWN = _READ_FROM | {*_INPUT_DETAILS, *_OUTPUT_DETAILS, *_WITHIN, "details"}
_NOTHING: Mapping[str, Any] = {}


def _fields(source: Any) -> Mapping[str, Any]:
    """What a dict or an object has, by name."""
    if isinstance(source, Mapping):
        return source
    if source is None or isinstance(source, (str, int, float, list, tuple)):
        return _NOTHING
    own = getattr(source, "__dict__", None)
    if isinstance(own, dict) and not _KNOWN.isdisjoint(own):
        return own
    found = {}
    # Slots and properties.
    for name in _KNOWN.intersection(dir(source)):
        try:
            found[name] = getattr(source, name)
        except Exception:
            continue
    return found


def _read(told: Mapping[str, Any], provider: str | None) -> Usage | None:
    """The usage that these fields themselves are."""
    if _READ_FROM.isdisjoint(told):
        return None
    given = _first(told, _INPUT)
    output = _first(told, _OUTPUT)
    thoughts = _first(told, _THOUGHTS)
    if output is None:
        output = _sum((_first(told, _ANSWER), thoughts))
    before, after = _inside(told, _INPUT_DETAILS), _inside(told, _OUTPUT_DETAILS)
    more = _fields(told.get("details"))
    read_apart, written_apart = _first(told, _READ_APART), _first(told, _WRITTEN_APART)
    read = _or(_first(told, _READ), _first(before, ("cache_read", "cached_tokens")), read_apart)
    written = _or(
        _first(told, _WRITTEN),
        # Zero where the parts are told instead.
        _first(before, ("cache_creation", "cache_write_tokens", "cache_creation_tokens")) or None,
        _sum(_count(before, name) for name in _KEPT_FOR),
        _first(before, ("cache_creation",)),
        written_apart,
    )
    if _apart(told, provider, read_apart, written_apart, before):
        given = _sum((given, read_apart, written_apart))
    reasoning = _or(
        _first(told, _REASONING),
        _first(after, ("reasoning", "reasoning_tokens")),
        thoughts,
        _first(more, _REASONING),
    )
    usage = Usage(given, output, read, written, reasoning)
    return usage if usage else None


def _apart(
    told: Mapping[str, Any],
    provider: str | None,
    read: int | None,
    written: int | None,
    details: Mapping[str, Any],
) -> bool:
    """Whether cached tokens are not among the input's."""
    if read is None and written is None:
        return False
    if provider is not None and provider not in _APART:
        return False
    # litellm has both spellings, and counts as OpenAI does.
    return not details and _count(told, "prompt_tokens") is None


def _count(told: Mapping[str, Any], name: str) -> int | None:
    value = told.get(name)
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < 2**63 else None


def _first(told: Mapping[str, Any], names: Iterable[str]) -> int | None:
    for name in names:
        if name in told:
            value = _count(told, name)
            if value is not None:
                return value
    return None


def _inside(told: Mapping[str, Any], names: Iterable[str]) -> Mapping[str, Any]:
    for name in names:
        value = told.get(name)
        if value is not None:
            return _details(value)
    return _NOTHING


def _details(value: Any) -> Mapping[str, Any]:
    """Fields of any name."""
    if isinstance(value, Mapping):
        return value
    own = getattr(value, "__dict__", None)
    return own if isinstance(own, dict) else _NOTHING


def _or(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None

"""The metrics of operations, by the newest names; export shows them by older ones where asked to.

Instruments are made when they are first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coati import MetricError, counter, histogram

_TOKENS = [float(4**power) for power in range(14)]
_SECONDS = [0.01 * 2**power for power in range(14)]
_AGENT = [0.1 * 2**power for power in range(13)]
_WORKFLOW = [1.0, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]
_CALLS = [float(2**power) for power in range(11)]

INFERENCE = "gen_ai.client.inference"
#: Name → unit, buckets, description.
_HISTOGRAMS: dict[str, tuple[str, list[float], str]] = {
    f"{INFERENCE}.duration": ("s", _SECONDS, "Duration of model calls"),
    f"{INFERENCE}.time_to_first_chunk": ("s", _SECONDS, "Time to the first chunk of a stream"),
    f"{INFERENCE}.time_per_output_chunk": ("s", _SECONDS, "Time between chunks of a stream"),
    f"{INFERENCE}.operation.input_tokens": ("{token}", _TOKENS, "Input tokens of a model call"),
    f"{INFERENCE}.operation.output_tokens": ("{token}", _TOKENS, "Output tokens of a model call"),
    "gen_ai.client.operation.duration": ("s", _SECONDS, "Duration of calls other than of models"),
    "gen_ai.invoke_agent.duration": ("s", _AGENT, "Duration of agents' work"),
    "gen_ai.invoke_agent.inference_calls": ("{call}", _CALLS, "Model calls of an agent's work"),
    "gen_ai.invoke_agent.tool_calls": ("{call}", _CALLS, "Tool calls of an agent's work"),
    "gen_ai.invoke_workflow.duration": ("s", _WORKFLOW, "Duration of workflows"),
    "gen_ai.execute_tool.duration": ("s", _SECONDS, "Duration of tools' work"),
}
_COUNTERS = {
    f"{INFERENCE}.usage.input_tokens": ("{token}", "Input tokens, cached ones included"),
    f"{INFERENCE}.usage.output_tokens": ("{token}", "Output tokens, those of reasoning included"),
    f"{INFERENCE}.usage.cache_read.input_tokens": ("{token}", "Input tokens read from a cache"),
    f"{INFERENCE}.usage.cache_write.input_tokens": ("{token}", "Input tokens written to a cache"),
    f"{INFERENCE}.usage.reasoning.output_tokens": ("{token}", "Output tokens of reasoning"),
    "coati.usage.cost_usd": ("{USD}", "What model calls cost, in US dollars"),
}


_made: dict[str, Any] = {}


def _instrument(name: str) -> Any:
    """The instrument, or None where a program has given its name to another kind."""
    if name not in _made:
        _made[name] = _make(name)
    return _made[name]


def _make(name: str) -> Any:
    try:
        if name in _COUNTERS:
            unit, description = _COUNTERS[name]
            return counter(name, unit=unit, description=description)
        unit, buckets, description = _HISTOGRAMS[name]
        return histogram(name, unit=unit, description=description, buckets=buckets)
    except MetricError:
        return None


def record(name: str, value: float, labels: Mapping[str, Any]) -> None:
    """Record into a histogram."""
    instrument = _instrument(name)
    if instrument is not None:
        instrument.record(value, **labels)


def add(name: str, amount: float, labels: Mapping[str, Any]) -> None:
    """Add to a counter."""
    instrument = _instrument(name)
    if instrument is not None:
        instrument.add(amount, **labels)


def recorder(name: str, labels: Mapping[str, Any]) -> Any:
    """What records into a histogram with these labels, again and again."""
    instrument = _instrument(name)
    return None if instrument is None else instrument.bind(**labels).record

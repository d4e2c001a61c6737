"""Model calls, tools, agents and workflows by OpenTelemetry's conventions for generative AI.

Spans and metrics are recorded once, by the newest names; the configuration's ``genai.names``
chooses the names that leave the process.
"""

from coati.genai.calls import agent, embeddings, inference, retrieval, step, tool, workflow
from coati.genai.content import captures_content
from coati.genai.names import provider_name
from coati.genai.operation import Operation
from coati.genai.prices import Price, cost, prepare, set_prices
from coati.genai.usage import Usage

__all__ = [
    "Operation",
    "Price",
    "Usage",
    "agent",
    "captures_content",
    "cost",
    "embeddings",
    "inference",
    "prepare",
    "provider_name",
    "retrieval",
    "set_prices",
    "step",
    "tool",
    "workflow",
]

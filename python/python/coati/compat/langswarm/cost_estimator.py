"""What a model call costs by the framework's own list of prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["CostEstimator", "ModelPricing"]


@dataclass
class ModelPricing:
    """Prices in US dollars for a thousand tokens."""

    input_cost_per_1k: float
    output_cost_per_1k: float


#: US dollars for a million tokens, in and out, as LangSwarm 0.1.0 has them.
_PER_MILLION = {
    (2.5, 10.0): ("gpt-4o", "gpt-4o-2024-08-06"),
    (5.0, 15.0): ("gpt-4o-2024-05-13", "chatgpt-4o-latest"),
    (0.15, 0.6): ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    (15.0, 60.0): ("o1", "o1-preview"),
    (3.0, 12.0): ("o1-mini",),
    (10.0, 30.0): ("gpt-4-turbo", "gpt-4-turbo-preview"),
    (0.5, 1.5): ("gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
    (3.0, 15.0): ("claude-3-5-sonnet-20240620", "claude-3-sonnet-20240229"),
    (15.0, 75.0): ("claude-3-opus-20240229",),
    (0.25, 1.25): ("claude-3-haiku-20240307",),
}


class CostEstimator:
    """Estimates costs, for the framework's own totals."""

    _RATES: ClassVar[dict[str, ModelPricing]] = {
        model: ModelPricing(price[0] / 1000, price[1] / 1000)
        for price, models in _PER_MILLION.items()
        for model in models
    }

    @classmethod
    def estimate_cost(cls, model: str, input_tokens: int, output_tokens: int) -> float:
        """US dollars for these tokens; 0.0 where the model's price is not known.

        A model that is not listed costs what the longest listed beginning of its name costs.
        """
        pricing = cls.get_pricing(model) if model else None
        if model and pricing is None:
            beginnings = [name for name in cls._RATES if model.startswith(name)]
            pricing = cls._RATES[max(beginnings, key=len)] if beginnings else None
        if pricing is None:
            return 0.0
        spent = (
            input_tokens * pricing.input_cost_per_1k + output_tokens * pricing.output_cost_per_1k
        )
        return spent / 1000

    @classmethod
    def get_pricing(cls, model: str) -> ModelPricing | None:
        """The prices of a listed model."""
        return cls._RATES.get(model)

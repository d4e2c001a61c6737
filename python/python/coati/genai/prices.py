"""What calls cost, in US dollars: by the program's own table, by the configuration's, else by
`genai-prices`."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

from coati._native import _genai_prices
from coati.genai.names import text
from coati.genai.usage import Usage


class Price(TypedDict, total=False):
    """US dollars for a million tokens. Cached tokens without a price of their own cost as others.

    What is asked for but has no price makes the cost unknown.
    """

    input: float
    output: float
    cache_read: float
    cache_write: float


_own: dict[str, Price] = {}


def set_prices(prices: Mapping[str, Price | Mapping[str, float]]) -> None:
    """Use these prices from now on, in place of those set before; they beat the configuration's
    ``genai.prices``, and those beat ``genai-prices``.

    A name is a model or ``provider/model``; a ``*`` at its end stands for any rest. The longest
    that fits counts, one with a provider before one without.

    Raises:
        ValueError: a price is negative, no number, or for nothing known.
    """
    table: dict[str, Price] = {}
    for name, price in prices.items():
        if not isinstance(price, Mapping):
            raise ValueError(f"the price of {name} must be a table of dollars for a million tokens")
        for part, dollars in price.items():
            if part not in Price.__annotations__:
                accepted = ", ".join(Price.__annotations__)
                raise ValueError(f"the price of {name} has {part!r}: accepted: {accepted}")
            if (
                isinstance(dollars, bool)
                or not isinstance(dollars, (int, float))
                or not 0 <= dollars < math.inf
            ):
                raise ValueError(f"the price of {name} for {part} is {dollars!r}: not an amount")
        table[name] = Price(**price)  # type: ignore[typeddict-item]
    global _own  # noqa: PLW0603 - replaced as a whole, so that readers see one table or the other
    _own = table


def cost(provider: str | None, model: str | None, usage: Usage | Any) -> float | None:
    """What a call cost in US dollars; None where the model, the usage or a price is unknown.

    Tokens read from a cache or written to one are counted once, at their own price.
    """
    used = Usage.of(usage, provider)
    if not model or used is None or (used.input_tokens is None and used.output_tokens is None):
        return None
    model, provider = text(model), provider and text(provider)
    price = _find(_own, provider, model)
    if price is None:
        price = _find(_genai_prices() or {}, provider, model)
    return _by_table(price, used) if price is not None else _by_package(provider, model, used)


def _find(table: Mapping[str, Price], provider: str | None, model: str) -> Price | None:
    if not table:
        return None
    for name in (f"{provider}/{model}", model):
        if name in table:
            return table[name]
        fitting = [n for n in table if n.endswith("*") and name.startswith(n[:-1])]
        if fitting:
            return table[max(fitting, key=len)]
    return None


def _by_table(price: Price, used: Usage) -> float | None:
    given, output = used.input_tokens or 0, used.output_tokens or 0
    read, written = used.cache_read_tokens or 0, used.cache_write_tokens or 0
    fresh = max(given - read - written, 0)
    plain = price.get("input")
    parts = (
        (fresh, plain),
        (read, price.get("cache_read", plain)),
        (written, price.get("cache_write", plain)),
        (output, price.get("output")),
    )
    dollars = 0.0
    for tokens, million in parts:
        if tokens:
            if million is None:
                return None
            dollars += tokens * million
    return dollars / 1e6


#: Where the package's own name for a provider is not found by OpenTelemetry's.
_PROVIDERS = {
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
}
_package: Any = None


class _Said(NamedTuple):
    """What the package has said of a model, which takes it a tenth of a millisecond each time."""

    asked: float
    #: None where it knows no such model, or asks for more than for tokens.
    price: Price | None = None
    #: Up to so many tokens of input.
    limit: float = math.inf
    known: bool = True


_said: dict[tuple[str | None, str], _Said] = {}
_PARTS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
}
_KEPT_SECONDS = 60.0
_KEPT_MODELS = 1000


def _by_package(provider: str | None, model: str, used: Usage) -> float | None:
    package = _prices()
    if not package:
        return None
    if provider in (None, "unknown", "litellm"):
        provider, _, rest = model.rpartition("/")
        provider, model = provider or None, rest
    said, now = _said.get((provider, model)), time.monotonic()
    if said is not None and now - said.asked < _KEPT_SECONDS:
        cached = (used.cache_read_tokens or 0) + (used.cache_write_tokens or 0)
        given = used.input_tokens or 0
        if not said.known:
            return None
        if said.price is not None and cached <= given < said.limit:
            return _by_table(said.price, used)
    try:
        found = package.calc_price(
            package.Usage(
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
                cache_read_tokens=used.cache_read_tokens,
                cache_write_tokens=used.cache_write_tokens,
            ),
            model,
            provider_id=_PROVIDERS.get(provider, provider) if provider else None,
        )
        _keep(provider, model, _simple(now, vars(found.model_price)))
        return float(found.total_price)
    except LookupError:
        _keep(provider, model, _Said(now, known=False))
        return None
    # Counts that contradict each other, such as more cached tokens than tokens.
    except Exception:
        return None


def _keep(provider: str | None, model: str, said: _Said) -> None:
    if len(_said) >= _KEPT_MODELS:
        _said.clear()
    _said[provider, model] = said


def _simple(now: float, told: Mapping[str, Any]) -> _Said:
    """The package's price as a table, where it depends on tokens alone."""
    if told.get("requests_kcount") is not None:
        return _Said(now)
    price, limit = {"input": 0.0, "output": 0.0}, math.inf
    for name, part in _PARTS.items():
        value = told.get(name)
        if value is None:
            continue
        for tier in getattr(value, "tiers", ()):
            limit = min(limit, tier.start)
        price[part] = float(getattr(value, "base", value))
    return _Said(now, Price(**price), limit)  # type: ignore[typeddict-item]


def _prices() -> Any:
    """The package, or False where there is none."""
    global _package  # noqa: PLW0603 - looked for once
    if _package is None:
        try:
            import genai_prices  # noqa: PLC0415 - optional, and slow to import
        except ImportError:
            _package = False
        else:
            with contextlib.suppress(Exception):
                # Its table is read at the first question.
                genai_prices.calc_price(genai_prices.Usage(input_tokens=1), "gpt-4o")
            _package = genai_prices
    return _package


def prepare() -> None:
    """Load `genai-prices`, which takes half a second, before the first model is asked.

    A program that calls this at its start spares its first model call the wait. No thread does it
    meanwhile: a process that forks while a thread imports has children that wait for ever.
    """
    if not _own:
        _prices()

"""Dollars from the maintained list of `genai-prices`, whose data is part of the package: no network."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from importlib import metadata
from typing import Any

from nullgrad.core.chat import Usage

MILLION = Decimal(1_000_000)

Rate = Callable[[Usage], Decimal | None]


@dataclass(frozen=True, slots=True)
class Prices:
    """The price list.

    Attributes:
        as_of: date of the newest price in it and the package's version, for display.
    """

    as_of: str
    _rates: dict[tuple[str, str], Rate | None] = field(default_factory=dict)

    def price(self, name: str, base_url: str, usage: Usage) -> Decimal | None:
        """Dollars of a usage; None where the price or the usage is unknown, never 0 for unknown.

        Args:
            name: the model as the user wrote it. `local:` and `script:` models cost nothing.
            base_url: of its endpoint, "" where there is none; an endpoint of one's own has no known price.
        """
        if name.startswith(("local:", "script:", "sim:")):
            return Decimal(0)
        key = (name, base_url)
        if key not in self._rates:
            self._rates[key] = _rate(name, base_url)
        rate = self._rates[key]
        if rate is None or usage.prompt is None or usage.completion is None:
            return None
        return rate(usage)

    def per_million(self, name: str, base_url: str = "") -> tuple[Decimal, Decimal] | None:
        """Dollars per million prompt and completion tokens, None where unknown."""
        one = self.price(name, base_url, Usage(1_000_000, 0)), self.price(name, base_url, Usage(0, 1_000_000))
        return None if one[0] is None or one[1] is None else (one[0], one[1])


@lru_cache(maxsize=1)
def price_table() -> Prices:
    """The list that is installed."""
    from genai_prices.data import providers
    from genai_prices.types import ConditionalPrice

    starts = [
        start
        for provider in providers
        for model in provider.models
        if isinstance(model.prices, list)
        for price in model.prices
        if isinstance(price, ConditionalPrice)
        and isinstance(start := getattr(price.constraint, "start_date", None), datetime.date)
        and start <= datetime.date.today()
    ]
    version = metadata.version("genai-prices")
    return Prices(
        f"genai-prices {version}, newest dated price {max(starts)}" if starts else f"genai-prices {version}"
    )


def _rate(name: str, base_url: str) -> Rate | None:
    """How a model's usage is priced, None if the list does not know it."""
    import genai_prices

    where: dict[str, Any]
    if name.startswith("litellm/"):
        provider, _, model = name.removeprefix("litellm/").partition("/")
        where = {"provider_id": provider} if model else {}
        model = model or provider
    else:
        model = name.removeprefix("openai/")
        where = {"provider_api_url": base_url} if base_url else {"provider_id": "openai"}

    def ask(usage: Usage) -> Any:
        return genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=usage.prompt, output_tokens=usage.completion, cache_read_tokens=usage.cached or 0
            ),
            model_ref=model,
            **where,
        )

    try:
        sample = ask(Usage(1000, 1000)).model_price
    except LookupError:
        return None
    flat = [sample.input_mtok, sample.output_mtok, sample.cache_read_mtok]
    if not all(isinstance(one, Decimal) or one is None for one in flat) or flat[0] is None or flat[1] is None:
        # Prices in tiers: the list's own arithmetic, at about 0.6 ms a call.
        return lambda usage: Decimal(ask(usage).total_price)
    prompt, completion = flat[0] / MILLION, flat[1] / MILLION
    cached = prompt if flat[2] is None else flat[2] / MILLION

    def linear(usage: Usage) -> Decimal:
        hits = min(usage.cached or 0, usage.prompt or 0)
        return prompt * ((usage.prompt or 0) - hits) + cached * hits + completion * (usage.completion or 0)

    return linear

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

FREE = ("local:", "script:", "sim:")
"""Models that cost nothing: they run in this process."""

MILLION = Decimal(1_000_000)
SAMPLE = 1000
"""Tokens by which a rate is asked for: below every tier for long prompts."""

ALIASES = {"fireworks_ai": "fireworks", "azure_ai": "azure"}
"""Providers that litellm and the list call by different names."""

OWN = frozenset(
    {"custom_openai", "openai_like", "hosted_vllm", "llamafile", "lm_studio", "ollama", "ollama_chat"}
)
"""Providers of litellm that stand for a server of one's own, whose price nobody lists."""

Rate = Callable[[Usage], Decimal | None]


@dataclass(frozen=True, slots=True)
class Prices:
    """The price list.

    Attributes:
        as_of: the package's version and the date of the newest dated price in it, for display.
    """

    as_of: str
    _rates: dict[tuple[str, str], Rate | None] = field(default_factory=dict)

    def price(self, name: str, base_url: str, usage: Usage) -> Decimal | None:
        """Dollars of a usage; None where the price or the usage is unknown, never 0 for unknown.

        Cached tokens are priced apart where the list knows how; where `usage.cached` is None, none are assumed.

        Args:
            name: the model as the user wrote it. `local:` and `script:` models cost nothing.
            base_url: of its endpoint, "" where there is none; an endpoint of one's own has no known price.
        """
        if name.startswith(FREE):
            return Decimal(0)
        key = (name, base_url)
        if key not in self._rates:
            self._rates[key] = _rate(name, base_url)
        rate = self._rates[key]
        if rate is None or usage.prompt is None or usage.completion is None:
            return None
        return rate(usage)

    def per_million(self, name: str, base_url: str = "") -> tuple[Decimal, Decimal] | None:
        """Dollars per million prompt and completion tokens of short requests, None where unknown."""
        prompt = self.price(name, base_url, Usage(SAMPLE, 0))
        completion = self.price(name, base_url, Usage(0, SAMPLE))
        if prompt is None or completion is None:
            return None
        return prompt * (1_000_000 // SAMPLE), completion * (1_000_000 // SAMPLE)


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


def _where(name: str, base_url: str) -> tuple[str, dict[str, Any]] | None:
    """The model and its provider as the list names them; None where there can be no list price."""
    if name.startswith("litellm/"):
        provider, _, model = name.removeprefix("litellm/").partition("/")
        if provider in OWN:
            return None
        return (model, {"provider_id": ALIASES.get(provider, provider)}) if model else (provider, {})
    model = name.removeprefix("openai/")
    return model, {"provider_api_url": base_url} if base_url else {"provider_id": "openai"}


def _rate(name: str, base_url: str) -> Rate | None:
    """How a model's usage is priced, None if the list does not know it."""
    import genai_prices

    found = _where(name, base_url)
    if found is None:
        return None
    model, where = found

    def ask(usage: Usage) -> Any:
        return genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=usage.prompt,
                output_tokens=usage.completion,
                cache_read_tokens=min(usage.cached or 0, usage.prompt or 0),
            ),
            model_ref=model,
            **where,
        )

    try:
        listed = ask(Usage(SAMPLE, SAMPLE)).model_price
    except LookupError:
        return None
    prompt, completion, cached = listed.input_mtok, listed.output_mtok, listed.cache_read_mtok
    if prompt is None or completion is None:
        # Either half unlisted would count as 0. Only what calls itself free is.
        free = prompt is None and completion is None and model.endswith(":free")
        return (lambda usage: Decimal(0)) if free else None
    if not all(isinstance(one, Decimal) for one in (prompt, completion, cached or Decimal(0))):
        # Prices in tiers: the list's own arithmetic, at about 0.6 ms a call.
        return lambda usage: Decimal(ask(usage).total_price)
    by_prompt, by_completion = Decimal(prompt) / MILLION, Decimal(completion) / MILLION
    by_cached = by_prompt if cached is None else Decimal(cached) / MILLION

    def linear(usage: Usage) -> Decimal:
        total = usage.prompt or 0
        hits = min(usage.cached or 0, total)
        return by_prompt * (total - hits) + by_cached * hits + by_completion * (usage.completion or 0)

    return linear

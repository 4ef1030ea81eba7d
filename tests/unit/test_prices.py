"""Prices: known ones to the digit, unknown ones never 0."""

from __future__ import annotations

import socket
from decimal import Decimal

import pytest

from nullgrad.core.chat import Usage
from nullgrad.edges.models.prices import Prices, price_table

OFFICIAL = "https://api.openai.com/v1"
SMALL = "openai/gpt-4o-mini"


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> Prices:
    """The list, read without a network."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("prices need no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return Prices(price_table().as_of)


def test_a_known_price_is_that_of_the_list(prices: Prices) -> None:
    from genai_prices import Usage as Counted
    from genai_prices import calc_price

    for cached in (None, 0, 700):
        listed = calc_price(
            Counted(input_tokens=1234, output_tokens=56, cache_read_tokens=cached or 0),
            SMALL[7:],
            provider_id="openai",
        )
        assert prices.price(SMALL, OFFICIAL, Usage(1234, 56, cached)) == listed.total_price
    assert prices.price(SMALL, "", Usage(1000, 1000)) == prices.price(SMALL, OFFICIAL, Usage(1000, 1000))


def test_cached_tokens_cost_less_and_never_more_than_there_are(prices: Prices) -> None:
    full, half, all_of_it, beyond = (
        prices.price(SMALL, "", Usage(1000, 10, cached)) for cached in (0, 500, 1000, 9999)
    )
    assert full is not None and half is not None and all_of_it is not None
    assert full > half > all_of_it
    assert all_of_it == beyond


@pytest.mark.parametrize(
    ("name", "base_url"),
    [
        ("openai/no-such-model", OFFICIAL),
        (SMALL, "http://127.0.0.1:8000/v1"),
        ("litellm/ollama/llama3", ""),
        ("litellm/hosted_vllm/gpt-4o", ""),
        ("litellm/custom_openai/gpt-4o", ""),
        ("litellm/openai/text-embedding-3-small", ""),
    ],
    ids=["unknown model", "own endpoint", "ollama", "vllm", "compatible", "half a price"],
)
def test_an_unknown_price_is_none(name: str, base_url: str, prices: Prices) -> None:
    assert prices.price(name, base_url, Usage(1000, 1000)) is None
    assert prices.per_million(name, base_url) is None


def test_an_unknown_usage_is_none(prices: Prices) -> None:
    assert prices.price(SMALL, "", Usage(None, 10)) is None
    assert prices.price(SMALL, "", Usage(10, None)) is None
    assert prices.price(SMALL, "", Usage()) is None


@pytest.mark.parametrize("name", ["local:smollm2-135m", "script:model.py"])
def test_what_runs_here_costs_nothing(name: str, prices: Prices) -> None:
    assert prices.price(name, "", Usage()) == Decimal(0)


def test_providers_of_litellm(prices: Prices) -> None:
    anthropic = prices.price("litellm/anthropic/claude-3-5-haiku-20241022", "", Usage(1000, 1000))
    assert anthropic is not None and anthropic > 0
    assert prices.price("litellm/openai/gpt-4o-mini", "", Usage(1000, 1000)) == prices.price(
        SMALL, "", Usage(1000, 1000)
    )


def test_a_long_prompt_falls_into_its_tier(prices: Prices) -> None:
    name = "litellm/gemini/gemini-2.5-pro"
    short, long = prices.price(name, "", Usage(100_000, 0)), prices.price(name, "", Usage(300_000, 0))
    assert short is not None and long is not None
    assert long > 3 * short
    listed = prices.per_million(name)
    assert listed is not None
    assert listed[0] == 10 * short, "what is shown is the price of short prompts"


def test_per_million(prices: Prices) -> None:
    listed = prices.per_million(SMALL)
    assert listed is not None
    assert prices.price(SMALL, "", Usage(1_000_000, 1_000_000)) == sum(listed)


def test_the_list_says_how_old_it_is() -> None:
    assert "genai-prices " in price_table().as_of
    assert price_table() is price_table()

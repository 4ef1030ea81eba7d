"""From what is written after --model to a model; and litellm, by a fake of it."""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nullgrad.core.chat import Message, Reply, Request, Sampling, Usage
from nullgrad.edges.models.litellm_model import LiteLLMModel
from nullgrad.edges.models.named import default_pack, list_models, open_model
from nullgrad.edges.models.openai import OpenAIModel
from nullgrad.edges.models.prices import price_table
from nullgrad.edges.models.script import ScriptModel
from nullgrad.errors import CallError, EndpointError, NullgradError, UserError


def test_every_kind_is_opened(tmp_path: Path) -> None:
    script = tmp_path / "model.jsonl"
    script.write_text('{"match": "", "reply": "x"}')
    url = "http://localhost:8000/v1"
    model = open_model(
        "openai/org/name",
        base_url=url,
        endpoint_name="mine",
        send_seed=False,
        constrain="vllm",
        logprobs=False,
    )
    assert isinstance(model, OpenAIModel)
    assert (
        model.identity
        == OpenAIModel(
            "org/name", base_url=url, endpoint_name="mine", send_seed=False, constrain="vllm"
        ).identity
    )
    assert (model.name, model.max_logprobs) == ("openai/org/name", 0)
    assert isinstance(open_model("litellm/anthropic/claude"), LiteLLMModel)
    scripted = open_model(f"script:{script}")
    assert isinstance(scripted, ScriptModel)
    assert scripted.name == f"script:{script}"


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("opnai/gpt", "openai/gpt?"),
        ("openai:gpt", "openai/gpt?"),
        ("openai/", "openai/NAME?"),
        ("litellm/", "litellm/PROVIDER/MODEL?"),
        ("LOCAL:smollm2-135m", "local:smollm2-135m?"),
        ("gpt-4o-mini", "openai/gpt-4o-mini?"),
        ("smollm2-135m", "local:smollm2-135m?"),
        ("weights.gguf", "local:weights.gguf?"),
        ("model.py", "script:model.py?"),
        ("anthropic/claude", "litellm/anthropic/claude,"),
        ("http://localhost:8000/v1", "--base-url http://localhost:8000/v1?"),
        ("sim:world", "gradient"),
        ("", "openai/NAME"),
    ],
)
def test_an_unknown_form_gets_the_nearest(spec: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        open_model(spec)
    assert hint in caught.value.ways_out


def test_a_script_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"absent\.jsonl"):
        open_model("script:absent.jsonl")


def test_the_list_names_every_form_and_its_price() -> None:
    rows = {row.name: row for row in list_models()}
    assert {
        "openai/NAME",
        "litellm/PROVIDER/MODEL",
        "script:FILE",
        "local:FILE.gguf",
        "local:smollm2-135m",
    } <= set(rows)
    assert rows["local:smollm2-135m"].price == "no charge"
    assert rows["openai/NAME"].price == "", "no price is made up"
    rate = price_table().per_million("openai/gpt-4o-mini")
    assert rate is not None
    shown = rows["openai/gpt-4o-mini"].price.replace("$", "").split()
    assert (Decimal(shown[0]), Decimal(shown[2])) == rate
    assert price_table().as_of in rows["openai/gpt-4o-mini"].note


def test_the_pack_goes_with_the_size(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    assert default_pack("local:smollm2-135m") == "compact"
    assert default_pack(f"local:{tmp_path / 'small.gguf'}") == "compact"
    assert default_pack("openai/gpt-4o-mini") == "standard"
    assert default_pack("script:model.py") == "standard"


class APIError(Exception):
    """The root of the fake's errors."""

    litellm_response_headers: Any = None
    status_code = 500


class RateLimitError(APIError):
    status_code = 429


class BadRequestError(APIError):
    status_code = 400


class ContextWindowExceededError(BadRequestError):
    pass


class UnsupportedParamsError(BadRequestError):
    pass


class AuthenticationError(APIError):
    status_code = 401


class Timeout(APIError):
    status_code = 408


class MidStreamFallbackError(APIError):
    """One that the table does not name, as litellm adds them: it goes with its parent."""


class Fake(ModuleType):
    """litellm as far as it is used."""

    def __init__(self) -> None:
        super().__init__("litellm")
        self.asked: dict[str, Any] = {}
        self.error: Exception | None = None

    async def acompletion(self, **options: Any) -> Any:
        self.asked = options
        if self.error is not None:
            raise self.error

        class Response:
            def model_dump_json(self) -> str:
                message = {"content": "hello", "role": "assistant"}
                usage = {
                    "prompt_tokens": 7,
                    "completion_tokens": 2,
                    "prompt_tokens_details": {"cached_tokens": 4},
                }
                choices = [{"message": message, "finish_reason": "stop"}]
                return json.dumps({"choices": choices, "model": "served", "usage": usage})

        return Response()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setitem(sys.modules, "litellm", made)
    return made


ASKED = Request("m", (Message("user", "hi"),), Sampling(temperature=0.5), stop=("\n",), draw=2**40 + 3)


def through_litellm(request: Request = ASKED, **options: Any) -> Reply:
    async def scenario() -> Reply:
        model = LiteLLMModel("litellm/anthropic/claude", **options)
        await model.open()
        try:
            return await model.call(request)
        finally:
            await model.close()

    return asyncio.run(scenario())


def test_litellm_is_asked_for_what_was_set(fake: Fake) -> None:
    assert through_litellm(timeout=7.0) == Reply("hello", "stop", Usage(7, 2, 4), "served")
    assert fake.asked == {
        "model": "anthropic/claude", "messages": [{"role": "user", "content": "hi"}], "num_retries": 0, "max_retries": 0,
        "timeout": 7.0, "temperature": 0.5, "stop": ["\n"], "seed": ASKED.seed,
    }  # fmt: skip
    through_litellm(Request("m", ASKED.messages), send_seed=False)
    assert set(fake.asked) == {"model", "messages", "num_retries", "max_retries", "timeout"}


@pytest.mark.parametrize(
    ("error", "kind", "retryable", "overloaded"),
    [
        (RateLimitError("slow down"), "rate-limit", True, True),
        (Timeout("too late"), "timeout", True, False),
        (MidStreamFallbackError("x"), "server", True, False),
        (BadRequestError("the content was filtered"), "rejected", False, False),
        (ContextWindowExceededError("unsupported parameter 'max_tokens'"), "rejected", False, False),
    ],
)
def test_errors_of_litellm_that_are_the_calls_own(
    error: APIError, kind: str, retryable: bool, overloaded: bool, fake: Fake
) -> None:
    error.litellm_response_headers = {"retry-after": "3"}
    fake.error = error
    with pytest.raises(CallError) as caught:
        through_litellm()
    assert (caught.value.kind, caught.value.retryable, caught.value.overloaded) == (
        kind,
        retryable,
        overloaded,
    )
    assert (caught.value.status, caught.value.retry_after) == (error.status_code, 3.0)


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (AuthenticationError("Incorrect API key sk-abc***"), UserError, "key"),
        (UnsupportedParamsError("does not support parameters: ['seed']"), UserError, "--no-seed"),
        (BadRequestError("Unsupported parameter: 'temperature'"), UserError, "--temperature"),
        (BadRequestError("LLM Provider NOT provided."), UserError, "PROVIDER/MODEL"),
        (RateLimitError("You exceeded your quota: insufficient_quota"), EndpointError, "quota"),
        (KeyError("a bug"), EndpointError, "litellm"),
    ],
)
def test_errors_of_litellm_that_end_the_run(
    error: Exception, expected: type[NullgradError], said: str, fake: Fake
) -> None:
    fake.error = error
    with pytest.raises(expected) as caught:
        through_litellm()
    assert said in caught.value.ways_out
    assert "abc" not in str(caught.value)


def test_litellm_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(UserError, match="litellm") as caught:
        through_litellm()
    assert "pip install 'nullgrad[litellm]'" in caught.value.ways_out


def test_litellm_is_asked_after_open_only() -> None:
    with pytest.raises(UserError, match="not open"):
        asyncio.run(LiteLLMModel("litellm/anthropic/claude").call(ASKED))


def test_two_servers_behind_litellm_are_two_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(**options: Any) -> str:
        return LiteLLMModel("litellm/ollama/llama3", **options).identity

    plain = identity()
    monkeypatch.setenv("OLLAMA_API_BASE", "http://127.0.0.1:1")
    first = identity()
    monkeypatch.setenv("OLLAMA_API_BASE", "http://127.0.0.1:2")
    assert len({plain, first, identity()}) == 3
    assert identity(endpoint_name="mine") == identity(endpoint_name="mine") != identity()
    named = identity(endpoint_name="mine")
    monkeypatch.delenv("OLLAMA_API_BASE")
    assert identity(endpoint_name="mine") == named, "a server that moves keeps its replies under its name"

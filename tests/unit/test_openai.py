"""The OpenAI-compatible endpoint: what is sent, what comes back, what each failure means."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nullgrad.core.chat import Message, Reply, Request, Sampling, Usage
from nullgrad.edges.openai import OpenAIModel, _retry_after, read_reply
from nullgrad.errors import CallError, EndpointError, UserError
from tests.support.endpoint import Endpoint, Faults

HELLO = Request("m", (Message("system", "Be brief."), Message("user", 'Say "hi" {x} \u00e9 \x00.')), draw=2**40 + 7)


def call(endpoint: Endpoint, request: Request = HELLO, **options: Any) -> Reply:
    async def scenario() -> Reply:
        model = OpenAIModel("gpt-test", base_url=endpoint.url, **options)
        await model.open()
        try:
            return await model.call(request)
        finally:
            await model.close()
            await model.close()

    return asyncio.run(scenario())


def sent(endpoint: Endpoint) -> dict[str, Any]:
    (body,) = endpoint.bodies.values()
    return body


def test_only_what_was_set_is_sent() -> None:
    with Endpoint() as endpoint:
        reply = call(endpoint)
    assert reply.text in ("yes", "no")
    assert reply.usage == Usage(40, 3, None, None)
    assert (reply.finish_reason, reply.served_model, reply.fingerprint) == ("stop", "served-model", "fp")
    body = sent(endpoint)
    assert set(body) == {"model", "messages", "seed"}
    assert body["seed"] == HELLO.seed
    assert body["messages"] == [{"role": one.role, "content": one.content} for one in HELLO.messages]


def test_everything_that_was_set_is_sent() -> None:
    request = Request("m", HELLO.messages, Sampling(0.5, 0.95, 100), (), ("\n", "END"), 5, 3)
    with Endpoint() as endpoint:
        call(endpoint, request)
    body = sent(endpoint)
    assert {key: body[key] for key in body if key not in ("model", "messages")} == {
        "temperature": 0.5, "top_p": 0.95, "max_tokens": 100, "stop": ["\n", "END"],
        "logprobs": True, "top_logprobs": 5, "seed": 3,
    }  # fmt: skip


def test_no_seed() -> None:
    with Endpoint() as endpoint:
        call(endpoint, send_seed=False)
    assert "seed" not in sent(endpoint)


@pytest.mark.parametrize(
    ("faults", "kind", "overloaded"),
    [
        (Faults(rate_limit=1), "rate-limit", True),
        (Faults(rate_limit_after=1, retry_after=7), "rate-limit", True),
        (Faults(error_500=1), "server", False),
        (Faults(error_503=1), "overloaded", True),
        (Faults(reset=1), "connection", False),
        (Faults(truncated=1), "connection", False),
        (Faults(malformed=1), "malformed", False),
        (Faults(empty_choices=1), "malformed", False),
        (Faults(wrong_type=1), "malformed", False),
        (Faults(hang=1), "timeout", False),
    ],
)
def test_failures_that_may_pass(faults: Faults, kind: str, overloaded: bool) -> None:
    with Endpoint(faults=faults) as endpoint, pytest.raises(CallError) as caught:
        call(endpoint, timeout=0.3)
    assert caught.value.kind == kind
    assert caught.value.retryable
    assert caught.value.overloaded == overloaded
    assert caught.value.retry_after == (7 if faults.rate_limit_after else None)


def test_a_rejected_body_is_not_retried() -> None:
    with Endpoint(faults=Faults(rejected=1)) as endpoint, pytest.raises(CallError) as caught:
        call(endpoint)
    assert (caught.value.kind, caught.value.retryable, caught.value.status) == ("rejected", False, 400)


def test_a_wrong_key_is_the_users_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with Endpoint(key="sk-right") as endpoint, pytest.raises(UserError) as caught:
        call(endpoint)
    assert "OPENAI_API_KEY" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "sk-" not in str(caught.value)


def test_the_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right")
    with Endpoint(key="sk-right") as endpoint:
        assert call(endpoint).text


def test_no_key_for_the_official_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        asyncio.run(OpenAIModel("gpt-test").open())


def test_an_unknown_model() -> None:
    with Endpoint(model="another") as endpoint, pytest.raises(UserError, match="gpt-test"):
        call(endpoint)


def test_nobody_there() -> None:
    async def scenario() -> None:
        model = OpenAIModel("m", base_url="http://127.0.0.1:9/v1")
        await model.open()
        try:
            await model.call(HELLO)
        finally:
            await model.close()

    with pytest.raises(CallError) as caught:
        asyncio.run(scenario())
    assert caught.value.kind == "connection"
    assert caught.value.retryable


def refused(status: int, error: object) -> Exception:
    model = OpenAIModel("gpt-test", base_url="http://localhost/v1")
    return model._refused(status, json.dumps({"error": error}).encode(), {})


@pytest.mark.parametrize(
    ("error", "flag"),
    [
        ({"message": "Unsupported parameter: 'max_tokens' is not supported with this model.", "param": "max_tokens"}, "--max-completion"),
        ({"message": "Unsupported value: 'temperature' does not support 0.5 with this model.", "param": "temperature"}, "--temperature"),
        ({"message": "Unrecognized request argument supplied: seed"}, "--no-seed"),
        ({"message": "body.top_p: Extra inputs are not permitted"}, "--top-p"),
        ("Unknown field: seed", "--no-seed"),
    ],
)
def test_a_refused_parameter_names_the_flag(error: object, flag: str) -> None:
    found = refused(400, error)
    assert isinstance(found, UserError)
    assert flag in found.ways_out


def test_a_400_about_something_else_is_the_requests_own() -> None:
    found = refused(400, {"message": "This model's maximum context length is 8192 tokens; reduce max_tokens.", "code": "context_length_exceeded"})
    assert isinstance(found, CallError)
    assert not found.retryable


def test_a_spent_quota_is_not_retried() -> None:
    assert isinstance(refused(429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}), EndpointError)


def test_retry_after_in_every_form() -> None:
    assert _retry_after({"Retry-After": "2.5"}) == 2.5
    assert _retry_after({"retry-after-ms": "1500"}) == 1.5
    assert _retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    later = _retry_after({"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"})
    assert later is not None and later > 1e8
    assert _retry_after({"Retry-After": "soon"}) is None
    assert _retry_after({}) is None


def body(message: object, **more: object) -> bytes:
    return json.dumps({"choices": [{"message": message, **more}]}).encode()


def test_replies_without_content() -> None:
    assert read_reply(body({"content": None}), "").text == ""
    refusal = read_reply(body({"content": None, "refusal": "I can't."}), "")
    assert (refusal.text, refusal.finish_reason) == ("I can't.", "refusal")
    assert read_reply(body({"content": "x"}), "").usage == Usage()
    assert read_reply(body({"content": [{"type": "text", "text": "a"}, {"text": "b"}]}), "").text == "ab"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"null", b'{"choices": null}', b'{"choices": [1]}', body(None), body({"content": 5})])
def test_what_is_no_reply_is_malformed(raw: bytes) -> None:
    with pytest.raises(CallError):
        read_reply(raw, "application/json")


def test_details_of_usage_and_logprobs() -> None:
    raw = json.dumps(
        {
            "choices": [
                {
                    "message": {"content": "yes"},
                    "logprobs": {"content": [{"token": "yes", "logprob": -0.1, "top_logprobs": [{"token": "no", "logprob": -2.0}]}]},
                }
            ],
            "usage": {
                "prompt_tokens": 9, "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 4},
            },
        }
    ).encode()  # fmt: skip
    reply = read_reply(raw, "application/json; charset=utf-8")
    assert reply.usage == Usage(9, 1, 8, 4)
    assert reply.logprobs[0].top == (("no", -2.0),)


def test_identity_is_the_declared_name() -> None:
    one = OpenAIModel("m", base_url="http://127.0.0.1:1234/v1/")
    assert one.identity == OpenAIModel("m", base_url="http://127.0.0.1:1234/v1").identity
    assert one.identity != OpenAIModel("m", base_url="http://127.0.0.1:1235/v1").identity
    moved = [OpenAIModel("m", base_url=f"http://127.0.0.1:{port}/v1", endpoint_name="mine").identity for port in (1, 2)]
    assert moved[0] == moved[1]
    assert OpenAIModel("n", base_url="http://127.0.0.1:1234/v1").identity != one.identity


def test_the_environment_names_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:4321/v1")
    assert OpenAIModel("m").base_url == "http://127.0.0.1:4321/v1"


def test_a_base_url_that_is_none() -> None:
    with pytest.raises(UserError, match="base URL"):
        OpenAIModel("m", base_url="localhost:8000")

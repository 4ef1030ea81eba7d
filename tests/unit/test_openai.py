"""The OpenAI-compatible endpoint: what is sent, what comes back, what each failure means."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nullgrad.core.chat import Message, Reply, Request, Sampling, Usage
from nullgrad.edges.models.openai import OpenAIModel, _retry_after, read_reply, refused_parameter
from nullgrad.errors import CallError, EndpointError, UserError
from tests.support.endpoint import Body, Endpoint, Faults, Refusal

HELLO = Request(
    "m", (Message("system", "Be brief."), Message("user", 'Say "hi" {x} \u00e9 \x00.')), draw=2**40 + 7
)


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
    assert reply.usage == Usage(10, 1, None, None)
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
        (
            {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model.",
                "param": "max_tokens",
            },
            "--max-completion",
        ),
        (
            {
                "message": "Unsupported value: 'temperature' does not support 0.5 with this model.",
                "param": "temperature",
            },
            "--temperature",
        ),
        ({"message": "Unrecognized request argument supplied: seed"}, "--no-seed"),
        ({"message": "body.top_p: Extra inputs are not permitted"}, "--top-p"),
        ("Unknown field: seed", "--no-seed"),
        ({"message": "property 'seed' is unsupported"}, "--no-seed"),
        (
            {"message": "Unsupported parameter: 'stop' is not supported with this model.", "param": "stop"},
            "--words standard",
        ),
        (
            {"message": "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"},
            "--max-completion",
        ),
        ({"message": "`temperature` and `top_p` cannot both be specified for this model."}, "--temperature"),
        (
            {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "seed"],
                        "msg": "Extra inputs are not permitted",
                    }
                ]
            },
            "--no-seed",
        ),
    ],
)
def test_a_refused_parameter_names_the_flag(error: object, flag: str) -> None:
    found = refused(400, error)
    assert isinstance(found, UserError)
    assert flag in found.ways_out


def test_a_400_about_something_else_is_the_requests_own() -> None:
    found = refused(
        400,
        {
            "message": "This model's maximum context length is 8192 tokens; reduce max_tokens.",
            "code": "context_length_exceeded",
        },
    )
    assert isinstance(found, CallError)
    assert not found.retryable


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Content not allowed: 'the seed of the temperature' and more.", "code": "content_filter"},
        {"message": "The prompt was flagged: unsupported parameter 'seed'."},
        {"message": "Unknown failure " + "while reading the prompt " * 5 + "which says 'seed' and 'stop'."},
        {"message": "Invalid value: the messages mention a seed and a stop."},
    ],
)
def test_an_echoed_prompt_names_no_parameter(error: object) -> None:
    found = refused(400, error)
    assert isinstance(found, CallError), "one bad example must not end the run"
    assert (found.kind, found.retryable) == ("rejected", False)


def test_gemini_wraps_its_errors_in_a_list() -> None:
    raw = json.dumps(
        [{"error": {"code": 400, "message": 'Unknown name "seed": Cannot find field.'}}]
    ).encode()
    found = OpenAIModel("m", base_url="http://localhost/v1")._refused(400, raw, {})
    assert isinstance(found, UserError)
    assert "--no-seed" in found.ways_out
    assert "'code'" not in found.what


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}),
        (402, {"message": "Insufficient Balance"}),
    ],
)
def test_a_spent_quota_is_neither_retried_nor_the_requests_own(status: int, error: object) -> None:
    assert isinstance(refused(status, error), EndpointError)


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, {"message": "no"}, "OPENAI_API_KEY"),
        (403, {"message": "no"}, "OPENAI_API_KEY"),
        (400, {"message": "API key not valid. Please pass a valid API key."}, "OPENAI_API_KEY"),
        (404, {"message": "no"}, "--model"),
        (405, {"message": "no"}, "--base-url"),
        (400, {"message": "no", "code": "model_not_found"}, "--model"),
    ],
)
def test_what_no_call_can_mend_is_the_users(status: int, error: object, said: str) -> None:
    found = refused(status, error)
    assert isinstance(found, UserError)
    assert said in found.ways_out


def test_moderation_is_the_requests_own() -> None:
    found = refused(403, {"message": "Your input was flagged by moderation."})
    assert isinstance(found, CallError)
    assert not found.retryable


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (408, True),
        (409, True),
        (413, False),
        (500, True),
        (501, False),
        (502, True),
        (504, True),
        (524, True),
        (529, True),
    ],
)
def test_which_statuses_may_pass(status: int, retryable: bool) -> None:
    found = refused(status, {"message": "x"})
    assert isinstance(found, CallError)
    assert found.retryable == retryable
    assert found.overloaded == (status == 529)


def test_no_part_of_a_key_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "gsk_0123456789")

    def echo(body: Body) -> Refusal:
        return 500, {"error": {"message": "failed for gsk_0123456789, gsk_01******89 and sk-abc*"}}, {}

    with Endpoint(refuse=echo) as endpoint, pytest.raises(CallError) as caught:
        call(endpoint)
    assert "0123" not in str(caught.value)
    assert "gsk_01" not in str(caught.value)
    assert "abc" not in str(caught.value)
    assert str(caught.value).count("[key]") == 3


@pytest.mark.parametrize("key", ["sk-a\nX-Evil: 1", "sk-a b", "sk-ä"])
def test_a_key_that_cannot_be_sent(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match="OPENAI_API_KEY") as caught:
        asyncio.run(OpenAIModel("m", base_url="http://localhost/v1").open())
    assert key not in str(caught.value)


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right")
    with Endpoint() as other:

        def away(body: Body) -> Refusal:
            return 307, {}, {"Location": f"{other.url}/chat/completions"}

        with Endpoint(refuse=away) as endpoint, pytest.raises(UserError, match=str(other.port)):
            call(endpoint)
        assert other.log == []


def newer(body: Body) -> Refusal | None:
    """As the models that reason: the limit has another name."""
    if "max_tokens" not in body:
        return None
    message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    return 400, {"error": {"message": message, "param": "max_tokens", "code": "unsupported_parameter"}}, {}


def test_a_limit_is_sent_under_the_name_that_the_model_takes() -> None:
    async def scenario(url: str) -> OpenAIModel:
        model = OpenAIModel("m", base_url=url)
        await model.open()
        for draw in range(3):
            await model.call(Request("m", HELLO.messages, Sampling(max_tokens=9), draw=draw))
        await model.close()
        return model

    with Endpoint(refuse=newer) as endpoint:
        model = asyncio.run(scenario(endpoint.url))
    assert [one.status for one in endpoint.log] == [400, 200, 200, 200]
    assert model.limit_parameter == "max_completion_tokens"
    assert [body.get("max_completion_tokens") for body in endpoint.bodies.values()] == [None, 9, 9, 9]


def test_calls_in_flight_learn_the_name_each() -> None:
    async def scenario(url: str) -> list[Reply]:
        model = OpenAIModel("m", base_url=url)
        await model.open()
        asked = [Request("m", HELLO.messages, Sampling(max_tokens=9), draw=draw) for draw in range(8)]
        replies = await asyncio.gather(*map(model.call, asked))
        await model.close()
        return replies

    with Endpoint(refuse=newer, latency=0.02) as endpoint:
        replies = asyncio.run(scenario(endpoint.url))
    assert len(replies) == 8
    assert sum(endpoint.served().values()) == 8


def test_a_limit_that_fits_no_context_does_not_change_the_name() -> None:
    message = (
        "'max_tokens' or 'max_completion_tokens' is too large: 9. This model's maximum context length is 8."
    )

    def too_long(body: Body) -> Refusal:
        return 400, {"error": {"message": message}}, {}

    with Endpoint(refuse=too_long) as endpoint, pytest.raises(CallError) as caught:
        call(endpoint, Request("m", HELLO.messages, Sampling(max_tokens=9)))
    assert (caught.value.kind, caught.value.retryable, len(endpoint.log)) == ("rejected", False, 1)


CHOOSE = Request("m", HELLO.messages, choices=("yes", "no"))


@pytest.mark.parametrize(
    ("constrain", "field", "value"),
    [
        ("vllm", "structured_outputs", {"choice": ["yes", "no"]}),
        ("llamacpp", "grammar", 'root ::= "yes" | "no"'),
    ],
)
def test_choices_are_sent_as_the_server_takes_them(constrain: str, field: str, value: object) -> None:
    with Endpoint() as endpoint:
        call(endpoint, CHOOSE, constrain=constrain)
    assert sent(endpoint)[field] == value


def test_a_server_that_ignores_the_choices_is_found_out() -> None:
    with Endpoint(answers=["perhaps"]) as endpoint, pytest.raises(UserError, match="perhaps"):
        call(endpoint, CHOOSE, constrain="vllm")


def test_constraining_is_declared() -> None:
    free, held = (OpenAIModel("m", base_url="http://localhost/v1", constrain=one) for one in ("none", "vllm"))
    assert (free.constrains, held.constrains) == (False, True)
    assert free.identity != held.identity
    assert OpenAIModel("m", base_url="http://localhost/v1", logprobs=False).max_logprobs == 0
    with pytest.raises(UserError, match="grammar"):
        OpenAIModel("m", base_url="http://localhost/v1", constrain="grammar")  # type: ignore[arg-type]


def test_a_prefill_is_sent_as_it_is() -> None:
    prefilled = Request("m", (Message("user", "Go on."), Message("assistant", "Instruction:")))
    with Endpoint() as endpoint:
        call(endpoint, prefilled)
    assert sent(endpoint)["messages"][-1] == {"role": "assistant", "content": "Instruction:"}


def test_a_lone_surrogate_survives_the_way_out_and_back() -> None:
    with Endpoint(responder=lambda body, number: body["messages"][0]["content"]) as endpoint:
        assert (
            call(endpoint, Request("m", (Message("user", "half \ud83d of it"),))).text == "half \ud83d of it"
        )


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint() as endpoint:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{endpoint.port}")
        monkeypatch.setenv("no_proxy", "")

        async def scenario(base_url: str) -> Reply:
            model = OpenAIModel("m", base_url=base_url)
            await model.open()
            try:
                return await model.call(HELLO)
            finally:
                await model.close()

        assert asyncio.run(scenario("http://models.invalid/v1")).text in ("yes", "no")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        assert asyncio.run(scenario(endpoint.url)).text in ("yes", "no"), "loopback goes through no proxy"


def test_retry_after_in_every_form() -> None:
    assert _retry_after({"Retry-After": "2.5"}) == 2.5
    assert _retry_after({"retry-after-ms": "1500"}) == 1.5
    assert _retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    later = _retry_after({"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"})
    assert later is not None and later > 1e8
    assert _retry_after({"Retry-After": "soon"}) is None
    assert _retry_after({"Retry-After": "nan"}) is None
    assert _retry_after({"Retry-After": "inf"}) is None
    assert _retry_after({"retry-after-ms": "soon", "Retry-After": "3"}) == 3.0
    assert _retry_after({}) is None


def body(message: object, **more: object) -> bytes:
    return json.dumps({"choices": [{"message": message, **more}]}).encode()


def test_replies_without_content() -> None:
    assert read_reply(body({"content": None}), "").text == ""
    refusal = read_reply(body({"content": None, "refusal": "I can't."}), "")
    assert (refusal.text, refusal.finish_reason) == ("I can't.", "refusal")
    assert read_reply(body({"content": "x"}), "").usage == Usage()
    assert read_reply(body({"content": [{"type": "text", "text": "a"}, {"text": "b"}]}), "").text == "ab"


NO_REPLIES = [
    b"", b"[]", b"{}", b"null", b"[" * 200_000, b'{"choices": null}', b'{"choices": [1]}', body(None), body({"content": 5}),
    body({"content": "x"}, logprobs={"content": [{"token": "x", "logprob": None}]}),
    body({"content": "x"}, logprobs={"content": [{"token": "x"}]}),
    body({"content": "x"}, logprobs={"content": [{"token": "x", "logprob": -1, "top_logprobs": [None]}]}),
    body({"content": "x"}, logprobs={"content": ["x"]}),
]  # fmt: skip


@pytest.mark.parametrize("raw", NO_REPLIES, ids=range(len(NO_REPLIES)))
def test_what_is_no_reply_is_malformed(raw: bytes) -> None:
    with pytest.raises(CallError) as caught:
        read_reply(raw, "application/json")
    assert (caught.value.kind, caught.value.retryable) == ("malformed", True)


def test_an_error_within_a_reply_counts_by_its_status() -> None:
    raw = json.dumps({"error": {"code": 429, "message": "slow down"}}).encode()
    with pytest.raises(CallError) as caught:
        read_reply(raw, "application/json")
    assert (caught.value.kind, caught.value.overloaded, caught.value.status) == ("rate-limit", True, 429)


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
    moved = [
        OpenAIModel("m", base_url=f"http://127.0.0.1:{port}/v1", endpoint_name="mine").identity
        for port in (1, 2)
    ]
    assert moved[0] == moved[1]
    assert OpenAIModel("n", base_url="http://127.0.0.1:1234/v1").identity != one.identity


def test_the_environment_names_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:4321/v1")
    assert OpenAIModel("m").base_url == "http://127.0.0.1:4321/v1"


@pytest.mark.parametrize(
    "base_url",
    ["localhost:8000", "ftp://localhost/v1", "http://", "http://localhost:port/v1", "http://[::1/v1"],
)
def test_a_base_url_that_is_none(base_url: str) -> None:
    with pytest.raises(UserError, match="base URL"):
        OpenAIModel("m", base_url=base_url)


@pytest.mark.parametrize("base_url", ["https://me:s3cr3t@host/v1", "https://host/v1?key=s3cr3t"])
def test_a_base_url_holds_no_secret(base_url: str) -> None:
    with pytest.raises(UserError, match="more than an address") as caught:
        OpenAIModel("m", base_url=base_url)
    assert "s3cr3t" not in str(caught.value)


def test_the_host_is_written_in_one_way() -> None:
    assert OpenAIModel("m", base_url="HTTP://LocalHost:8000/V1/").base_url == "http://localhost:8000/V1"


def test_no_call_before_open() -> None:
    with pytest.raises(UserError, match="not open"):
        asyncio.run(OpenAIModel("m", base_url="http://localhost/v1").call(HELLO))


def test_a_named_parameter_that_nothing_sets_is_none() -> None:
    assert refused_parameter(b'{"error": {"param": "messages[0].role"}}', "Unsupported value") is None

"""Requests as clients send them, and replies as clients read them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nullgrad.core.chat import Message, Reply, Sampling, TokenLogprob, Usage
from nullgrad.core.foreign import Order, Refused
from nullgrad.edges.gateway.reply import completion, error_body, events
from nullgrad.edges.gateway.request import Wanted, read_order

HI = [{"role": "user", "content": "hi"}]


def order(most_logprobs: int = 20, **body: Any) -> tuple[Order, Wanted]:
    return read_order(json.dumps({"model": "m", "messages": HI, **body}).encode(), most_logprobs)


def refusal(most_logprobs: int = 20, **body: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        order(most_logprobs, **body)
    return caught.value


def test_a_plain_request_sends_nothing_that_the_client_did_not() -> None:
    found, wanted = order()
    assert found == Order("m", (Message("user", "hi"),))
    assert found.sampling == Sampling()
    assert wanted == Wanted()


def test_parameters_reach_the_request() -> None:
    found, wanted = order(
        temperature=1, top_p=0.5, max_tokens=7, stop="x", n=3, seed=-5, logprobs=True, top_logprobs=4, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    assert found.sampling == Sampling(1.0, 0.5, 7)
    assert (found.stop, found.n, found.seed, found.logprobs) == (("x",), 3, -5, 4)
    assert wanted == Wanted(True, True, 4)


def test_a_temperature_of_0_is_one_identity_however_it_is_written() -> None:
    whole, point = order(temperature=0)[0], order(temperature=0.0)[0]
    assert whole.request("m", 1).identity() == point.request("m", 1).identity()


def test_both_names_of_the_limit_mean_one_thing() -> None:
    assert (
        order(max_completion_tokens=9)[0]
        == order(max_tokens=9)[0]
        == order(max_tokens=9, max_completion_tokens=9)[0]
    )
    assert refusal(max_tokens=9, max_completion_tokens=8).param == "max_tokens"


def test_texts_in_parts_and_the_newer_word_for_system() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    found, _ = order(messages=[{"role": "developer", "content": "d"}, {"role": "user", "content": parts}])
    assert found.messages == (Message("system", "d"), Message("user", "ab"))


def test_log_probabilities_without_alternatives_ask_for_one_and_show_none() -> None:
    found, wanted = order(logprobs=True)
    assert found.logprobs == 1
    assert wanted.alternatives == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_format", {"type": "json_object"}),
        ("tools", [{"type": "function"}]),
        ("frequency_penalty", 0.5),
        ("logit_bias", {"1": 2}),
        ("reasoning_effort", "low"),
        ("whatever", 1),
    ],
)
def test_what_changes_replies_and_is_no_part_of_a_request_is_refused_by_its_name(
    name: str, value: Any
) -> None:
    refused = refusal(**{name: value})
    assert (refused.status, refused.code, refused.param) == (400, "unsupported_parameter", name)
    assert name in refused.message


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": {"type": "text"}},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}},
        {"user": "me", "metadata": {"a": "b"}, "store": False, "service_tier": "auto"},
        {"temperature": None, "tools": None, "seed": None, "response_format": None},
    ],
)
def test_what_means_nothing_is_dropped(body: dict[str, Any]) -> None:
    assert order(**body)[0] == order()[0]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": "x", "tool_calls": [1]}]}, "messages[0].tool_calls"),
        ({"model": ""}, "model"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": 1.5}, "n"),
        ({"seed": 2**64}, "seed"),
        ({"stop": [1]}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"top_logprobs": 3}, "top_logprobs"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_place(body: dict[str, Any], param: str) -> None:
    assert refusal(**body).param == param
    assert refusal(**body).status == 400


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"nan", b'{"model": "m"}', b"[" * 100_000])
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        read_order(raw, 0)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(Refused):
        read_order(b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 0)


def test_log_probabilities_that_the_model_has_not_are_refused() -> None:
    assert refusal(0, logprobs=True).code == "unsupported_parameter"
    assert refusal(2, logprobs=True, top_logprobs=3).param == "top_logprobs"


REPLIES = [
    Reply("first é\ud800", "", Usage(10, 2, cached=4), "served", "fp"),
    Reply("I cannot.", "refusal", Usage(10, 3, cached=0)),
]


def test_a_completion_holds_every_reply_and_the_sum_of_what_was_counted() -> None:
    value = json.loads(completion("id", "m", REPLIES, Wanted()))
    assert value["object"] == "chat.completion"
    assert (value["model"], value["system_fingerprint"]) == ("served", "fp")
    first, second = value["choices"]
    assert first["message"] == {"role": "assistant", "content": "first é\ud800", "refusal": None}
    assert (first["index"], first["finish_reason"], first["logprobs"]) == (0, "stop", None)
    assert second["message"] == {"role": "assistant", "content": None, "refusal": "I cannot."}
    assert value["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 5,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 4},
    }


def test_an_unknown_usage_is_left_out_and_never_0() -> None:
    assert "usage" not in json.loads(completion("id", "m", [Reply("x", "stop", Usage(None, 2))], Wanted()))


def chunks(payload: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix(b"data: ") for line in payload.split(b"\n\n") if line]
    assert lines.pop() == b"[DONE]"
    return [json.loads(line) for line in lines]


def test_a_stream_adds_up_to_the_completion() -> None:
    long = Reply("word " * 100, "length", Usage(1, 100))
    found = chunks(events("id", "m", [long, REPLIES[0]], Wanted(stream=True, usage=True)))
    texts = ["", ""]
    for chunk in found[:-1]:
        assert chunk["usage"] is None
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
    assert texts == [long.text, REPLIES[0].text]
    finishes = [
        choice["finish_reason"] for chunk in found for choice in chunk["choices"] if choice["finish_reason"]
    ]
    assert finishes == ["length", "stop"]
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["total_tokens"] == 113


def test_a_stream_without_the_option_has_no_usage_at_all() -> None:
    assert all("usage" not in chunk for chunk in chunks(events("id", "m", REPLIES, Wanted(stream=True))))


def test_log_probabilities_show_as_many_alternatives_as_were_asked_for() -> None:
    token = TokenLogprob("é", -0.5, (("é", -0.5), ("e", -2.0)))
    reply = Reply("é", "stop", Usage(1, 1), logprobs=(token,))
    shown = json.loads(completion("id", "m", [reply], Wanted(alternatives=1)))["choices"][0]["logprobs"]
    assert shown["content"] == [
        {
            "token": "é",
            "logprob": -0.5,
            "bytes": [195, 169],
            "top_logprobs": [{"token": "é", "logprob": -0.5, "bytes": [195, 169]}],
        }
    ]
    streamed = chunks(events("id", "m", [reply], Wanted(True, False, 0)))
    assert [one["choices"][0]["logprobs"] is not None for one in streamed] == [False, True, False]


def test_an_error_is_openais() -> None:
    error = json.loads(error_body(Refused(400, "code", "what", "n")))["error"]
    assert error == {"message": "what", "type": "invalid_request_error", "param": "n", "code": "code"}
    assert json.loads(error_body(Refused(502, "code", "what")))["error"]["type"] == "server_error"

"""What clients are sent: OpenAI's chat completions, streams, models and errors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from nullgrad.core.chat import Reply, TokenLogprob
from nullgrad.core.foreign import Refused
from nullgrad.edges.gateway.request import Wanted

_PIECE = 80
"""Characters of one chunk of a stream."""


def completion(identity: str, model: str, replies: Sequence[Reply], wanted: Wanted) -> bytes:
    """The body of a chat completion."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", **_content(reply)},
            "logprobs": _shown(reply.logprobs, wanted.alternatives),
            "finish_reason": _finish(reply),
        }
        for index, reply in enumerate(replies)
    ]
    value = {**_head(identity, model, replies, "chat.completion"), "choices": choices}
    usage = _usage(replies)
    if usage is not None:
        value["usage"] = usage
    return json.dumps(value).encode("ascii")


def events(identity: str, model: str, replies: Sequence[Reply], wanted: Wanted) -> bytes:
    """The same as server-sent events.

    A reply is passed on once it is recorded, so that the whole of it is there when its stream begins.
    """
    head = _head(identity, model, replies, "chat.completion.chunk")
    chunks: list[dict[str, Any]] = []

    def say(index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> None:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        chunks.append({**head, "choices": [choice], **({"usage": None} if wanted.usage else {})})

    for index, reply in enumerate(replies):
        content = _content(reply)
        say(index, {"role": "assistant", "content": "", "refusal": content["refusal"]})
        text = content["content"] or ""
        logprobs = _shown(reply.logprobs, wanted.alternatives)
        for start in range(0, max(len(text), 1 if logprobs else 0), _PIECE):
            say(index, {"content": text[start : start + _PIECE]}, None, logprobs if start == 0 else None)
        say(index, {}, _finish(reply))
    if wanted.usage:
        chunks.append({**head, "choices": [], "usage": _usage(replies)})
    return b"".join(b"data: %s\n\n" % json.dumps(one).encode("ascii") for one in chunks) + b"data: [DONE]\n\n"


def error_body(refused: Refused) -> bytes:
    """The body of an error."""
    kind = "invalid_request_error" if refused.status < 500 else "server_error"
    error = {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code}
    return json.dumps({"error": error}).encode("ascii")


def model_list(names: Sequence[str]) -> bytes:
    """The body of `/v1/models`."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "nullgrad"} for name in names]
    return json.dumps({"object": "list", "data": data}).encode("ascii")


def _head(identity: str, model: str, replies: Sequence[Reply], kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{identity}",
        "object": kind,
        "created": int(time.time()),
        "model": replies[0].served_model or model,
        "system_fingerprint": replies[0].fingerprint or None,
    }


def _content(reply: Reply) -> dict[str, str | None]:
    if reply.finish_reason == "refusal":
        return {"content": None, "refusal": reply.text}
    return {"content": reply.text, "refusal": None}


def _finish(reply: Reply) -> str:
    return "stop" if reply.finish_reason in ("", "refusal") else reply.finish_reason


def _usage(replies: Sequence[Reply]) -> dict[str, Any] | None:
    """The sum over the replies as the endpoint counted them, a prompt once for each; None where it did not."""
    usages = [reply.usage for reply in replies]
    prompt, completion = _sum(one.prompt for one in usages), _sum(one.completion for one in usages)
    if prompt is None or completion is None:
        return None
    value: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    cached, reasoning = _sum(one.cached for one in usages), _sum(one.reasoning for one in usages)
    if cached is not None:
        value["prompt_tokens_details"] = {"cached_tokens": cached}
    if reasoning is not None:
        value["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return value


def _sum(counts: Iterable[int | None]) -> int | None:
    """Their sum, None where one is unknown."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _shown(tokens: tuple[TokenLogprob, ...], alternatives: int | None) -> dict[str, Any] | None:
    if alternatives is None or not tokens:
        return None

    def one(token: str, logprob: float) -> dict[str, Any]:
        raw = list(token.encode("utf-8", "surrogatepass"))
        return {"token": token, "logprob": logprob, "bytes": raw}

    content = [
        {
            **one(token.token, token.logprob),
            "top_logprobs": [one(*other) for other in token.top[:alternatives]],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}

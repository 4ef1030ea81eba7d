"""What clients send: OpenAI's chat completions, read into an `Order`.

Whatever changes a reply must be part of the request's identity. A parameter that is not is refused by its name,
unless it is at the value that means nothing; what only labels a call (`user`, `metadata`) is dropped.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from nullgrad.core.chat import Message, MessageRole, Sampling
from nullgrad.core.foreign import Order, Refused

MOST_REPLIES = 128
"""The most replies that one call may ask for (`n`)."""

ROLES: dict[str, MessageRole] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
"""Roles of messages as clients write them; `developer` is the newer word for `system`."""

LABELS = frozenset(
    "user metadata store safety_identifier prompt_cache_key prompt_cache_retention service_tier".split()
)
"""Parameters that label a call and change nothing of its reply: dropped."""

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "parallel_tool_calls": (True, False),
    "modalities": (["text"],),
}
"""Values of other parameters that mean the same as leaving them out."""

_READ = frozenset(
    "model messages temperature top_p max_tokens max_completion_tokens stop n logprobs top_logprobs seed stream stream_options".split()
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the replies are to be sent.

    Attributes:
        stream: whether as server-sent events.
        usage: whether a stream ends with the usage.
        alternatives: alternatives per token to show, None without log-probabilities.
    """

    stream: bool = False
    usage: bool = False
    alternatives: int | None = None


def bad(message: str, param: str | None = None, code: str = "invalid_value") -> Refused:
    """A request that cannot be used."""
    return Refused(400, code, message, param)


def read_order(raw: bytes, most_logprobs: int) -> tuple[Order, Wanted]:
    """The order in the body of a request.

    Args:
        raw: the body.
        most_logprobs: alternatives per token that the model returns, 0 for no log-probabilities.

    Raises:
        Refused: it is none, or asks for what cannot be passed on.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise bad("The body is no JSON.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise bad("The body is no JSON object.", code="invalid_json")
    body = {name: given for name, given in value.items() if given is not None}
    for name, given in body.items():
        if name not in _READ and name not in LABELS and not _neutral(name, given):
            raise bad(
                f"The gateway does not pass on {name!r}: it changes replies and is no part of a request's identity. "
                "Leave it out.",
                name,
                "unsupported_parameter",
            )
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise bad("'model' is missing.", "model", "missing_required_parameter")
    logprobs, alternatives = _logprobs(body, most_logprobs)
    stream = _switch(body, "stream")
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise bad("'stream_options' is no object.", "stream_options")
    order = Order(
        model,
        _messages(body.get("messages")),
        Sampling(_number(body, "temperature", 0.0, math.inf), _number(body, "top_p", 0.0, 1.0), _limit(body)),
        _stop(body.get("stop")),
        logprobs,
        _whole(body, "seed", -(2**63), 2**64 - 1),
        _whole(body, "n", 1, MOST_REPLIES) or 1,
    )
    return order, Wanted(stream, stream and bool(options.get("include_usage")), alternatives)


def _neutral(name: str, given: Any) -> bool:
    return any(given == value for value in NEUTRAL.get(name, ()))


def _messages(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise bad("'messages' is missing or empty.", "messages", "missing_required_parameter")
    return tuple(_message(one, f"messages[{place}]") for place, one in enumerate(value))


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, dict) or value.get("role") not in ROLES:
        raise bad(f"'{where}' has none of the roles {', '.join(ROLES)}.", where)
    more = [name for name, given in value.items() if name not in ("role", "content") and given]
    if more:
        raise bad(f"'{where}' holds {more[0]!r}, which the gateway does not pass on.", f"{where}.{more[0]}")
    content = value.get("content")
    if isinstance(content, list):
        texts = [part.get("text") if isinstance(part, dict) else None for part in content]
        kinds = {part.get("type", "text") for part in content if isinstance(part, dict)}
        if kinds - {"text"} or not all(isinstance(text, str) for text in texts):
            raise bad(
                f"'{where}' holds parts that are no text, which the gateway does not pass on.",
                f"{where}.content",
            )
        content = "".join(map(str, texts))
    if not isinstance(content, str):
        raise bad(f"'{where}' holds no text.", f"{where}.content")
    return Message(ROLES[value["role"]], content)


def _number(body: dict[str, Any], name: str, least: float, most: float) -> float | None:
    given = body.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise bad(f"'{name}' is no number.", name)
    if not least <= given <= most:
        raise bad(f"'{name}' is {given:g}, out of its range.", name)
    return float(given)


def _whole(body: dict[str, Any], name: str, least: int, most: int) -> int | None:
    given = body.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int):
        raise bad(f"'{name}' is no whole number.", name)
    if not least <= given <= most:
        raise bad(f"'{name}' is {given}, out of its range.", name)
    return given


def _switch(body: dict[str, Any], name: str) -> bool:
    given = body.get(name, False)
    if not isinstance(given, bool):
        raise bad(f"'{name}' is neither true nor false.", name)
    return given


def _limit(body: dict[str, Any]) -> int | None:
    """`max_tokens` or its newer name; they mean the same."""
    old, new = (_whole(body, name, 1, 2**31 - 1) for name in ("max_tokens", "max_completion_tokens"))
    if old is not None and new is not None and old != new:
        raise bad("'max_tokens' and 'max_completion_tokens' differ; give one of them.", "max_tokens")
    return new if old is None else old


def _stop(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(texts, list) or not all(isinstance(one, str) and one for one in texts):
        raise bad("'stop' is neither a text nor a list of texts.", "stop")
    return tuple(texts)


def _logprobs(body: dict[str, Any], most: int) -> tuple[int, int | None]:
    """Alternatives to ask the model for, and those to show; (0, None) without log-probabilities."""
    alternatives = _whole(body, "top_logprobs", 0, 20)
    if not _switch(body, "logprobs"):
        if alternatives:
            raise bad("'top_logprobs' needs 'logprobs'.", "top_logprobs")
        return 0, None
    if most == 0:
        raise bad(
            "The model behind the gateway gives no log-probabilities.", "logprobs", "unsupported_parameter"
        )
    if (alternatives or 0) > most:
        raise bad(f"The model behind the gateway gives {most} alternatives at most.", "top_logprobs")
    return max(alternatives or 0, 1), alternatives or 0

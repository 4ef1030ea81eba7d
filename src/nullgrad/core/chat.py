"""What is sent to a model, what comes back, and the identity under which the ledger knows it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

Role = Literal["generator", "optimizer", "critic", "judge"]
"""The roles that a model plays; each can be another model."""

MessageRole = Literal["system", "user", "assistant"]

IDENTITY_VERSION = 1
"""Raised when the canonical form below changes: an old ledger must never answer a request it did not see."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. An `assistant` message at the end is a prefill that the model continues."""

    role: MessageRole
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """Only what the user set is sent; None leaves the endpoint's default.

    Attributes:
        temperature: 0 to 2.
        top_p: 0 to 1.
        max_tokens: upper limit of the completion, in tokens.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model, complete: everything here is part of its identity.

    Attributes:
        model: the declared identity of endpoint and model (for `local:` with weights, engine and settings).
        messages: in order; the last may be an assistant prefill.
        sampling: the parameters that the user set.
        choices: the only texts allowed as reply, () where the reply is free or the engine cannot constrain it.
        stop: texts that end the reply.
        logprobs: how many alternatives per token to ask for, 0 for none.
        draw: which independent sample of an otherwise identical request is meant, 0 to 2**63 - 1.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    choices: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    logprobs: int = 0
    draw: int = 0

    @property
    def seed(self) -> int:
        """The draw as endpoints take it: 0 to 2**31 - 1."""
        return self.draw & 0x7FFFFFFF

    def canonical(self) -> str:
        """The text that is hashed: JSON with messages replaced by the hashes of their contents."""
        return _canonical(
            self.model,
            tuple((message.role, text_hash(message.content)) for message in self.messages),
            self.sampling,
            self.choices,
            self.stop,
            self.logprobs,
            self.draw,
        )

    def identity(self) -> str:
        """SHA-256 of the canonical form, 64 hexadecimal digits."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _canonical(
    model: str,
    messages: tuple[tuple[str, str], ...],
    sampling: Sampling,
    choices: tuple[str, ...],
    stop: tuple[str, ...],
    logprobs: int,
    draw: int,
) -> str:
    head = _canonical_head(model, sampling, choices, stop, logprobs)
    body = ",".join(f'["{role}","{digest}"]' for role, digest in messages)
    return f'{head},"messages":[{body}],"draw":{draw}}}'


@lru_cache(maxsize=256)
def _canonical_head(
    model: str, sampling: Sampling, choices: tuple[str, ...], stop: tuple[str, ...], logprobs: int
) -> str:
    value = {
        "v": IDENTITY_VERSION,
        "model": model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "choices": choices,
        "stop": stop,
        "logprobs": logprobs,
    }
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))[:-1]


@lru_cache(maxsize=4096)
def _short_text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def text_hash(text: str) -> str:
    """SHA-256 of a text, 64 hexadecimal digits; memoized only for texts that recur, such as prompts."""
    if len(text) <= 20_000:
        return _short_text_hash(text)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counted them; None where it did not say (never 0 for unknown)."""

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token with its natural-log probability and the alternatives asked for."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered: what is not kept now cannot be had later.

    Attributes:
        text: the reply's text (without a prefill).
        finish_reason: `stop`, `length`, `content_filter`, …; "" if the endpoint did not say.
        usage: tokens.
        served_model: the model name that the endpoint reports.
        fingerprint: the endpoint's system fingerprint, "" if none.
        logprobs: per generated token, () where not asked or not given.
    """

    text: str
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    served_model: str = ""
    fingerprint: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that failed for good: missing, never wrong.

    Attributes:
        kind: the word of `CallError.kind`.
        message: what the endpoint or the transport said.
        status: HTTP status, None if there was none.
        attempts: how many times it was tried, at least 1.
    """

    kind: str
    message: str
    status: int | None = None
    attempts: int = 1

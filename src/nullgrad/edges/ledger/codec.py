"""Values to rows of the ledger and back, without loss, and the seal that tells a changed row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from nullgrad.core.chat import Failed, Message, Reply, Request, Sampling, TokenLogprob, Usage, text_hash
from nullgrad.core.effects import About
from nullgrad.core.events import Event, event_digest
from nullgrad.edges.ledger.schema import SEALED, from_sql, to_sql
from nullgrad.ports import Record

ANSWER_COLUMNS = (
    "identity", "kind", "text", "finish_reason", "prompt_tokens", "completion_tokens", "cached_tokens",
    "reasoning_tokens", "served_model", "fingerprint", "logprobs", "failure", "message", "status",
    "failure_attempts",
)  # fmt: skip
"""What `answer_of` reads, in its order."""

Row = tuple[Any, ...]
"""Values as the driver takes them."""

_SEAL_TAGS = {table: tuple(name.encode() + b":" for name in columns) for table, columns in SEALED.items()}

_ABOUT = {field.name: field.default for field in fields(About)}


def text_row(body: str) -> Row:
    """The row of `texts` for the content of a message."""
    return bytes.fromhex(text_hash(body)), to_sql(body)


def reply_row(record: Record, received_at: str) -> Row:
    """The row of `replies` for a record.

    Raises:
        ValueError: the identity is not the request's.
    """
    request = record.request.canonical()
    identity = hashlib.sha256(request.encode()).digest()
    if identity.hex() != record.identity:
        raise ValueError(f"{record.identity!r} is not the identity of the request recorded under it")
    answer = record.answer
    if isinstance(answer, Reply):
        usage = answer.usage
        columns: Row = (
            "reply", to_sql(answer.text), to_sql(answer.finish_reason),
            usage.prompt, usage.completion, usage.cached, usage.reasoning,
            to_sql(answer.served_model), to_sql(answer.fingerprint),
            to_sql(_logprobs_text(answer.logprobs)) if answer.logprobs else None,
            None, None, None, None,
        )  # fmt: skip
    else:
        columns = (
            "failed", None, None, None, None, None, None, None, None, None,
            to_sql(answer.kind), to_sql(answer.message), answer.status, answer.attempts,
        )  # fmt: skip
    about = _about_text(record.about)
    return _sealed(
        "replies",
        (identity, request, *columns, about, record.attempts, float(record.seconds), received_at),
    )


def event_row(run: str, event: Event, at: str) -> Row:
    """The row of `events` for a fact of a run."""
    body = event.canonical()
    digest = bytes.fromhex(event_digest(run, body))
    return _sealed("events", (digest, to_sql(run), to_sql(event.scope), event.kind, body, at))


def run_row(run: str, spec: str, created_at: str, version: str) -> Row:
    """The row of `runs`."""
    return _sealed("runs", (to_sql(run), to_sql(spec), created_at, version))


def _sealed(table: str, values: Row) -> Row:
    return (*values, seal(table, values))


def answer_of(row: Sequence[Any]) -> tuple[str, Reply | Failed]:
    """(identity, answer) of a row of `ANSWER_COLUMNS` as the driver returns it."""
    (
        identity, kind, text, finish_reason, prompt, completion, cached, reasoning, served_model, fingerprint,
        logprobs, failure, message, status, attempts,
    ) = row  # fmt: skip
    if kind == "failed":
        return identity.hex(), Failed(from_sql(failure), from_sql(message), status, attempts)
    return identity.hex(), Reply(
        from_sql(text),
        from_sql(finish_reason),
        Usage(prompt, completion, cached, reasoning),
        from_sql(served_model),
        from_sql(fingerprint),
        _logprobs_of(from_sql(logprobs)) if logprobs is not None else (),
    )


def about_of(text: str) -> About:
    """The `About` that a row's column holds."""
    return About(**json.loads(text))


def about_default(name: str) -> Any:
    """What a field of `About` is where the column leaves it out; None for one that is always there."""
    return _ABOUT[name] if isinstance(_ABOUT[name], (str, int)) else None


def request_of(canonical: str, bodies: Mapping[str, str]) -> Request:
    """The request that a canonical form describes.

    Args:
        canonical: `Request.canonical()`.
        bodies: contents of the messages by their hash (hexadecimal).

    Raises:
        KeyError: a content is missing.
    """
    value = json.loads(canonical)
    return Request(
        value["model"],
        tuple(Message(role, bodies[digest]) for role, digest in value["messages"]),
        Sampling(value["temperature"], value["top_p"], value["max_tokens"]),
        tuple(value["choices"]),
        tuple(value["stop"]),
        value["logprobs"],
        value["draw"],
    )


def message_hashes(canonical: str) -> list[str]:
    """Hashes of the contents that a canonical form refers to, hexadecimal."""
    return [digest for _, digest in json.loads(canonical)["messages"]]


def seal(table: str, values: Row) -> bytes:
    """SHA-256 over a row: for each column that is not NULL its name, length and value, or its number.

    NULL is left out, so that a column added by a later migration breaks no seal.

    Args:
        table: one of `SEALED`.
        values: the row, in the order of `SEALED`; texts as `to_sql` makes them or as their bytes.
    """
    parts: list[bytes] = []
    for tag, value in zip(_SEAL_TAGS[table], values, strict=True):
        if value is None:
            continue
        if type(value) is str:
            value = value.encode()
        if type(value) is bytes:
            parts += (tag, b"%d:" % len(value), value)
        else:
            parts += (tag, repr(value).encode(), b";")
    return hashlib.sha256(b"".join(parts)).digest()


@lru_cache(maxsize=64)
def _about_text(about: About) -> str:
    """JSON without the fields at their default."""
    value = {name: given for name, default in _ABOUT.items() if (given := getattr(about, name)) != default}
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _logprobs_text(logprobs: tuple[TokenLogprob, ...]) -> str:
    """JSON that keeps surrogates as they are: escaped, two lone ones side by side would come back as one character."""
    return json.dumps(
        [[token.token, token.logprob, token.top] for token in logprobs],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _logprobs_of(text: str) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(token, logprob, tuple((other, value) for other, value in top))
        for token, logprob, top in json.loads(text)
    )

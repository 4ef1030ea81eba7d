"""The ledger's tables, as SQLAlchemy Core sees them; `ledger_migrations` creates them.

Hashes are 32 raw bytes, times are ISO 8601 in UTC. Every table but `meta` refuses UPDATE and DELETE by trigger.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator

APPLICATION_ID = 0x6E756C6C
"""SQLite's `application_id` of a ledger: the letters `null`."""


def to_sql(text: str) -> str | bytes:
    """A text as SQLite can hold it: TEXT, or a BLOB where TEXT cannot (a lone surrogate, a NUL).

    Models do return both: an escape cut in half by a token limit decodes to a lone surrogate.
    """
    if "\0" not in text:
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return text.encode("utf-8", "surrogatepass")


def from_sql(value: str | bytes) -> str:
    """The text that `to_sql` was given."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


class AnyText(TypeDecorator[str]):
    """A column for any Python string, also one that UTF-8 cannot hold."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> Any:
        return None if value is None else to_sql(value)

    def process_result_value(self, value: Any, dialect: Any) -> str | None:
        return None if value is None else from_sql(value)


metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)
"""`schema_version`; it may grow and nothing else."""

texts = Table(
    "texts",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("body", AnyText, nullable=False),
)
"""Contents of messages by `core.chat.text_hash`, shared between requests."""

replies = Table(
    "replies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("identity", LargeBinary, nullable=False, unique=True),
    Column("request", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("text", AnyText),
    Column("finish_reason", AnyText),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("reasoning_tokens", Integer),
    Column("served_model", AnyText),
    Column("fingerprint", AnyText),
    Column("logprobs", AnyText),
    Column("failure", AnyText),
    Column("message", AnyText),
    Column("status", Integer),
    Column("failure_attempts", Integer),
    Column("about", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("received_at", String, nullable=False),
    Column("seal", LargeBinary, nullable=False),
)
"""One row per request answered. `request` is its canonical form, `about` what its payer asked it for; NULL is
unknown, or belongs to the other kind (`reply` or `failed`)."""

runs = Table(
    "runs",
    metadata,
    Column("run", AnyText, primary_key=True),
    Column("spec", AnyText, nullable=False),
    Column("created_at", String, nullable=False),
    Column("version", String, nullable=False),
    Column("seal", LargeBinary, nullable=False),
)
"""Runs by identity, with their specification and the version of nullgrad that began them."""

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("run", AnyText, nullable=False),
    Column("scope", AnyText, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", String, nullable=False),
    Column("at", String, nullable=False),
    Column("seal", LargeBinary, nullable=False),
)
"""Facts in the order in which they were first stated; `body` is `Event.canonical()`."""

SEALED = {
    table.name: tuple(column.name for column in table.columns if column.name not in ("id", "seal"))
    for table in (replies, runs, events)
}
"""Columns under the seal of a row."""

"""When recorded calls were made, and when a run last stated a fact."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from nullgrad.edges.ledger.schema import events, replies
from nullgrad.edges.ledger.store import SqlLedger

_CHUNK = 500
"""Identities in one query."""


def call_times(book: SqlLedger, identities: Sequence[str]) -> dict[str, tuple[float, str]]:
    """(seconds, recorded at) of answered requests, by identity; unknown ones are left out.

    Raises:
        LedgerError: the file cannot be read or is damaged.
    """
    found: dict[str, tuple[float, str]] = {}
    for start in range(0, len(identities), _CHUNK):
        keys = [bytes.fromhex(one) for one in identities[start : start + _CHUNK]]
        query = sa.select(replies.c.identity, replies.c.seconds, replies.c.received_at)
        for row in book.select(query.where(replies.c.identity.in_(keys))):
            found[row.identity.hex()] = (float(row.seconds), str(row.received_at))
    return found


def last_stated(book: SqlLedger, run: str) -> str:
    """When a run last stated a fact, ISO 8601 in UTC; "" where it stated none.

    Raises:
        LedgerError: the file cannot be read or is damaged.
    """
    query = sa.select(sa.func.max(events.c.at)).where(events.c.run == run)
    return str(book.select(query)[0][0] or "")

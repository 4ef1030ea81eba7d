"""What SQLite finds or sums in a ledger without a row being read in Python: tokens by role, a run's last fact of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nullgrad.core.events import Reported
from nullgrad.edges.ledger.schema import events, replies
from nullgrad.edges.ledger.store import SqlLedger


@dataclass(frozen=True, slots=True)
class RoleUsage:
    """Replies of one role played by one model.

    Attributes:
        role, model: which; `model` is its identity.
        replies, failed: answered calls, and calls that failed for good.
        prompt, completion: tokens as endpoints counted them.
        uncounted: replies of which the endpoint did not say how many tokens they used.
    """

    role: str
    model: str
    replies: int
    failed: int
    prompt: int
    completion: int
    uncounted: int


def usage_of(book: SqlLedger, cells: Sequence[str], arms: Sequence[str]) -> list[RoleUsage]:
    """Usage of what was first asked for these cells ("" outside studies) and arms, by role and model.

    Raises:
        LedgerError: the file cannot be read or is damaged.
    """

    def about(name: str) -> sa.ColumnElement[str]:
        return sa.func.coalesce(sa.func.json_extract(replies.c.about, f"$.{name}"), "")

    role = about("role").label("role")
    model = sa.func.json_extract(replies.c.request, "$.model").label("model")
    reply = replies.c.kind == sa.literal_column("'reply'")
    counted = sa.and_(reply, replies.c.prompt_tokens.is_not(None))
    query = (
        sa.select(
            role,
            model,
            sa.func.sum(sa.case((reply, 1), else_=0)).label("replies"),
            sa.func.sum(sa.case((reply, 0), else_=1)).label("failed"),
            sa.func.coalesce(sa.func.sum(replies.c.prompt_tokens), 0).label("prompt"),
            sa.func.coalesce(sa.func.sum(replies.c.completion_tokens), 0).label("completion"),
            sa.func.sum(sa.case((counted, 0), (reply, 1), else_=0)).label("uncounted"),
        )
        .where(about("cell").in_(cells), about("arm").in_([*arms, ""]))
        .group_by(role, model)
        .order_by(role, model)
    )
    rows = book.select(query)
    return [
        RoleUsage(row.role, row.model, row.replies, row.failed, row.prompt, row.completion, row.uncounted)
        for row in rows
    ]


def has_reported(ledger: object, run: str) -> bool:
    """Whether a run in this ledger has reported before; False of a ledger that is no file.

    Raises:
        LedgerError: the file cannot be read or is damaged.
    """
    return isinstance(ledger, SqlLedger) and last_body(ledger, run, Reported.kind) is not None


def last_body(book: SqlLedger, run: str, kind: str) -> str | None:
    """The canonical text of the last event of a kind in a run, None where there is none.

    Raises:
        LedgerError: the file cannot be read or is damaged.
    """
    query = sa.select(events.c.body).where(events.c.run == run, events.c.kind == kind)
    rows = book.select(query.order_by(events.c.id.desc()).limit(1))
    return str(rows[0].body) if rows else None

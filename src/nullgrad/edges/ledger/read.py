"""Looking around in a ledger, page by page: read-only connections over the ledger and the view's index.

Pages are cut by key (`before` an id), never by offset. A search walks back from the newest reply in windows and stops at a page's
worth of hits, at `MOST_READ` texts or after `PATIENCE` seconds, whichever comes first, and says how far it came.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nullgrad.core.chat import Failed, Reply, Request
from nullgrad.core.effects import About
from nullgrad.core.events import CandidateScored, TestScored, parse_event
from nullgrad.edges.ledger import codec
from nullgrad.edges.ledger.schema import from_sql, to_sql

PATIENCE = 0.06
"""Seconds that one page of a search may take."""

MOST_READ = 20_000
"""Texts that one page of a search reads."""

PAGE = 50

STEP = 500
"""Texts read at once."""

WINDOW, WIDEST = 20_000, 80_000
"""Ids that the first window of a search spans, each next one twice as many, and the most: the clock is read between windows."""

FILTERS = ("run", "cell", "arm", "role", "stage", "split", "example")
"""Filters by word; `trial`, `step`, `variant` and `failed` are numbers, `prompt` is a prompt's key."""


@dataclass(frozen=True, slots=True)
class CallRow:
    """One answered request in a list.

    Attributes:
        id: its place in the ledger.
        about: what its payer asked it for.
        run: the run that paid, "" where none is known.
        failed: whether the call failed for good.
        text: beginning of the reply, or of the failure's message.
        length: characters of the whole.
        prompt_tokens, completion_tokens: None where the endpoint did not say.
        attempts: how often it was sent.
        seconds: of the successful attempt.
        at: when it was committed.
    """

    id: int
    about: About
    run: str
    failed: bool
    text: str
    length: int
    prompt_tokens: int | None
    completion_tokens: int | None
    attempts: int
    seconds: float
    at: str


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search.

    Attributes:
        rows: the newest first.
        back_to: every reply from this id on was looked at; 0 once all were.
        read: texts compared.
    """

    rows: tuple[CallRow, ...]
    back_to: int
    read: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """One answered request with everything that was sent and came back."""

    id: int
    identity: str
    run: str
    prompt: str
    request: Request
    answer: Reply | Failed
    about: About
    attempts: int
    seconds: float
    at: str


class LedgerReader:
    """Queries for pages; safe for threads, each has a connection of its own.

    Args:
        address: how the ledger is opened for reading; see `view_index.reading_address`.
        index: the view's index.
    """

    def __init__(self, address: str, index: Path) -> None:
        self._address, self._index = address, Path(index)
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    def close(self) -> None:
        """Close every thread's connection; safe to call twice, once no page is being made."""
        while self._opened:
            self._opened.pop().close()

    def _db(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "db", None)
        if found is None:
            found = sqlite3.connect(
                f"{self._index.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=10,
                isolation_level=None,
                check_same_thread=False,
            )
            found.execute("ATTACH ? AS book", (self._address,))
            found.execute("PRAGMA query_only = 1")
            found.execute("PRAGMA cache_size = -16384")
            found.row_factory = sqlite3.Row
            self._local.db = found
            self._opened.append(found)
        return found

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of a query over the index (and `book`, the ledger); texts as they were given."""
        cursor = self._db().execute(sql, values)
        names = [column[0] for column in cursor.description]
        return [
            dict(zip(names, (from_sql(one) if type(one) is bytes else one for one in row), strict=True))
            for row in cursor
        ]

    def word(self, text: str) -> int | None:
        """Number of a word, None where no reply has it."""
        row = self._db().execute("SELECT id FROM words WHERE word = ?", (to_sql(text),)).fetchone()
        return None if row is None else int(row[0])

    def search(
        self,
        filters: Mapping[str, Any],
        *,
        text: str = "",
        where: str = "reply",
        before: int | None = None,
        page: int = PAGE,
    ) -> Found:
        """Replies, the newest first.

        Args:
            filters: by the names of `FILTERS`, and `trial`, `step`, `variant`, `failed`, `prompt`.
            text: what must occur, in any case of letters; "" for anything.
            where: `reply` searches what came back, `messages` what was sent.
            before: only replies of smaller ids.
            page: most rows.
        """
        db = self._db()
        clause = self._clause(filters)
        top = (
            before if before is not None else 1 + (db.execute("SELECT max(id) FROM calls").fetchone()[0] or 0)
        )
        if clause is None:
            return Found((), 0, 0)
        sql, values = clause
        table = _table(filters)
        until, needle = time.monotonic() + PATIENCE, text.casefold()
        hits: list[int] = []
        read, span, high = 0, WINDOW, top
        matcher = _Matcher(db, needle, where)
        while high > 1 and len(hits) < page:
            low = max(1, high - span)
            step = page - len(hits) if not needle else STEP
            while True:
                ids = [
                    row[0]
                    for row in db.execute(
                        f"SELECT id FROM {table} WHERE id >= ? AND id < ?{sql} ORDER BY id DESC LIMIT ?",
                        (low, high, *values, step),
                    )
                ]
                read += len(ids) if needle else 0
                kept = matcher.keep(ids) if needle else ids
                for one in kept:
                    hits.append(one)
                    if len(hits) == page:
                        return Found(self.calls(hits), one, read)
                if len(ids) < step:
                    high = low
                    break
                high = ids[-1]
                if time.monotonic() > until or read >= MOST_READ:
                    return Found(self.calls(hits), high, read)
            if high > 1 and (time.monotonic() > until or read >= MOST_READ):
                return Found(self.calls(hits), high, read)
            span = min(2 * span, WIDEST)
        return Found(self.calls(hits), 0 if high <= 1 else high, read)

    def _clause(self, filters: Mapping[str, Any]) -> tuple[str, list[Any]] | None:
        """Conditions and their values, None where nothing can meet them."""
        sql, values = "", []
        for name, value in filters.items():
            if value in (None, ""):
                continue
            if name == "run":
                row = self._db().execute("SELECT id FROM runs WHERE run = ?", (value,)).fetchone()
            elif name == "prompt":
                row = self._db().execute("SELECT id FROM prompts WHERE key = ?", (value,)).fetchone()
            elif name in FILTERS:
                found = self.word(str(value))
                row = None if found is None else (found,)
            elif name == "failed":
                sql += " AND failed = 1" if value else " AND failed = 0"
                continue
            else:
                row = (int(value),)
            if row is None:
                return None
            sql += f" AND {name} = ?"
            values.append(row[0])
        return sql, values

    def calls(self, ids: Sequence[int], characters: int = 200) -> tuple[CallRow, ...]:
        """Rows of a list, in the order given."""
        if not ids:
            return ()
        db = self._db()
        found: dict[int, CallRow] = {}
        for row in db.execute(
            "SELECT r.id, r.about, r.kind, substr(CAST(coalesce(r.text, r.message) AS BLOB), 1, ?) AS head, "
            "length(coalesce(r.text, r.message)) AS size, r.prompt_tokens, r.completion_tokens, r.attempts, r.seconds, "
            "r.received_at, runs.run AS run FROM book.replies AS r JOIN calls ON calls.id = r.id "
            f"LEFT JOIN runs ON runs.id = calls.run WHERE r.id IN ({','.join('?' * len(ids))})",
            (4 * characters, *ids),
        ):
            head = (row["head"] or b"").decode("utf-8", "replace")[:characters]
            found[row["id"]] = CallRow(
                row["id"], codec.about_of(row["about"]), row["run"] or "", row["kind"] == "failed", head,
                row["size"] or 0, row["prompt_tokens"], row["completion_tokens"], row["attempts"], row["seconds"],
                row["received_at"],
            )  # fmt: skip
        return tuple(found[id_] for id_ in ids if id_ in found)

    def transcript(self, id_: int) -> Transcript | None:
        """A whole request and its answer, None where there is none of that number."""
        db = self._db()
        row = db.execute(
            f"SELECT {', '.join('r.' + name for name in codec.ANSWER_COLUMNS)}, r.request, r.about, r.attempts, r.seconds, "
            "r.received_at, runs.run AS run, prompts.key AS prompt FROM book.replies AS r LEFT JOIN calls ON calls.id = r.id "
            "LEFT JOIN runs ON runs.id = calls.run LEFT JOIN prompts ON prompts.id = calls.prompt WHERE r.id = ?",
            (id_,),
        ).fetchone()
        if row is None:
            return None
        size = len(codec.ANSWER_COLUMNS)
        identity, answer = codec.answer_of(tuple(row)[:size])
        hashes = [bytes.fromhex(digest) for digest in codec.message_hashes(row["request"])]
        bodies = {
            text["hash"].hex(): from_sql(text["body"])
            for text in db.execute(
                f"SELECT hash, body FROM book.texts WHERE hash IN ({','.join('?' * len(hashes))})", hashes
            )
        }
        return Transcript(
            id_, identity, row["run"] or "", row["prompt"] or "", codec.request_of(row["request"], bodies), answer,
            codec.about_of(row["about"]), row["attempts"], row["seconds"], row["received_at"],
        )  # fmt: skip

    def reading(self, event: int) -> CandidateScored | TestScored | None:
        """One reading of a split by its event's number."""
        row = self._db().execute("SELECT body FROM book.events WHERE id = ?", (event,)).fetchone()
        found = parse_event(row[0]) if row else None
        return found if isinstance(found, CandidateScored | TestScored) else None

    def event_body(self, event: int) -> str:
        """A fact as it was stated, "" where there is none of that number."""
        row = self._db().execute("SELECT body FROM book.events WHERE id = ?", (event,)).fetchone()
        return str(row[0]) if row else ""

    def spec(self, run: str) -> str | None:
        """The specification of a run."""
        row = self._db().execute("SELECT spec FROM book.runs WHERE run = ?", (to_sql(run),)).fetchone()
        return None if row is None else from_sql(row[0])


def _table(filters: Mapping[str, Any]) -> str:
    """The calls, by the index that leaves least: without statistics SQLite would often walk the ids."""
    given = {name for name, value in filters.items() if value not in (None, "")}
    if filters.get("failed") is True:
        return "calls INDEXED BY calls_failed"
    if "example" in given:
        return "calls INDEXED BY calls_example"
    if {"run", "arm", "trial"} <= given:
        return "calls INDEXED BY calls_trial"
    if {"run", "arm", "role"} <= given:
        return "calls INDEXED BY calls_role"
    return "calls"


class _Matcher:
    """Whether a text occurs in replies or in what was sent; a message shared by many requests is read once."""

    def __init__(self, db: sqlite3.Connection, needle: str, where: str) -> None:
        self._db, self._needle, self._where = db, needle, where
        self._known: dict[bytes, bool] = {}

    def keep(self, ids: Sequence[int]) -> list[int]:
        if not ids:
            return []
        marks = ",".join("?" * len(ids))
        if self._where == "messages":
            rows = self._db.execute(
                f"SELECT id, request FROM book.replies WHERE id IN ({marks})", ids
            ).fetchall()
            kept = {row[0] for row in rows if any(map(self._in_message, codec.message_hashes(row[1])))}
        else:
            rows = self._db.execute(
                f"SELECT id, coalesce(text, message) FROM book.replies WHERE id IN ({marks})", ids
            ).fetchall()
            kept = {row[0] for row in rows if self._needle in from_sql(row[1] or "").casefold()}
        return [one for one in ids if one in kept]

    def _in_message(self, digest: str) -> bool:
        key = bytes.fromhex(digest)
        if key not in self._known:
            row = self._db.execute("SELECT body FROM book.texts WHERE hash = ?", (key,)).fetchone()
            self._known[key] = row is not None and self._needle in from_sql(row[0]).casefold()
        return self._known[key]

"""Where ratings are kept: an SQLite file of their own beside the ledger, append-only, shared by processes.

A rater who goes back rates anew; the last rating of a rater for a task counts, and the earlier ones stay.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nullgrad.edges.ledger.schema import from_sql, to_sql
from nullgrad.errors import UserError

APPLICATION_ID = 0x6E756C72
"""SQLite's `application_id` of such a file: the letters `nulr`."""

SUFFIX = ".ratings"
"""Of the file, after the ledger's own name."""

_SCHEMA = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    "PRAGMA user_version = 1",
    """CREATE TABLE IF NOT EXISTS sessions (
        session TEXT PRIMARY KEY NOT NULL, run TEXT NOT NULL, spec TEXT NOT NULL, created_at TEXT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS ratings (
        id INTEGER PRIMARY KEY NOT NULL, session TEXT NOT NULL REFERENCES sessions, rater TEXT NOT NULL, task INTEGER NOT NULL,
        answers TEXT NOT NULL, comment TEXT NOT NULL, seconds REAL NOT NULL, at TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS ratings_session ON ratings (session, rater, task)",
    *(
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'ratings are append-only: {table}'); END"
        for table in ("sessions", "ratings")
        for verb in ("update", "delete")
    ),
)


@dataclass(frozen=True, slots=True)
class RatingRow:
    """One rating.

    Attributes:
        rater: who gave it.
        task: number of the task in the session.
        answers: by question: in pairs `first`, `second` or `tie`, as the task's own order has them; else 1 to 5.
        comment: "" for none.
        seconds: from the page shown to the rating sent.
        at: when, ISO 8601 in UTC.
    """

    rater: str
    task: int
    answers: Mapping[str, Any]
    comment: str
    seconds: float
    at: str


class RatingStore:
    """The file; safe for threads.

    Args:
        path: it is created where it is not there.

    Raises:
        UserError: it is another file, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            known = self._db.execute("PRAGMA application_id").fetchone()[0]
            empty = not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if known != APPLICATION_ID and not empty:
                raise sqlite3.DatabaseError("it is another program's database")
            with suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            for statement in _SCHEMA:
                self._db.execute(statement)
        except (sqlite3.Error, OSError) as error:
            raise UserError(
                f"The ratings {path} cannot be opened: {error}.",
                "Nothing was rated.",
                "Give another --ratings FILE.",
            ) from None

    def close(self) -> None:
        """Close it; safe to call twice."""
        with self._lock:
            self._db.close()

    def begin(self, session: str, run: str, spec: Mapping[str, Any]) -> None:
        """Register a session; again is a resume and changes nothing."""
        self._write(
            "INSERT INTO sessions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (session, run, to_sql(json.dumps(spec)), _now()),
        )

    def add(
        self, session: str, rater: str, task: int, answers: Mapping[str, Any], comment: str, seconds: float
    ) -> None:
        """Append a rating, durable when it returns.

        Raises:
            UserError: the file cannot be written.
        """
        self._write(
            "INSERT INTO ratings (session, rater, task, answers, comment, seconds, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (session, to_sql(rater), task, json.dumps(answers), to_sql(comment), seconds, _now()),
        )

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            with self._lock:
                self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise UserError(
                f"The ratings {self.path} cannot be written: {error}.",
                "This rating is not kept.",
                "Check the disk; send it again.",
            ) from None

    def sessions(self, run: str) -> list[tuple[str, dict[str, Any]]]:
        """Sessions of a run with their specifications, the first begun first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT session, spec FROM sessions WHERE run = ? ORDER BY rowid", (run,)
            ).fetchall()
        return [(session, json.loads(from_sql(spec))) for session, spec in rows]

    def ratings(self, session: str) -> list[RatingRow]:
        """The last rating of each rater for each task, in the order in which they were given."""
        with self._lock:
            rows = self._db.execute(
                "SELECT rater, task, answers, comment, seconds, at FROM ratings WHERE id IN "
                "(SELECT max(id) FROM ratings WHERE session = ? GROUP BY rater, task) ORDER BY id",
                (session,),
            ).fetchall()
        return [
            RatingRow(from_sql(rater), task, json.loads(answers), from_sql(comment), seconds, at)
            for rater, task, answers, comment, seconds, at in rows
        ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

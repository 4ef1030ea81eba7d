"""The ledger in SQLite: append-only, content-addressed, shared by processes.

Two connections: `find` reads on one, from the event loop's thread; `append` writes on the other, from whatever
thread may wait for it. What an `append` committed, the next `find` of any process sees.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from nullgrad.core.chat import Failed, Reply, Request
from nullgrad.core.effects import About
from nullgrad.core.events import Event, TestOpened, parse_event
from nullgrad.edges.ledger import codec
from nullgrad.edges.ledger.connect import connect, engine_of, is_busy, ledger_error
from nullgrad.edges.ledger.migrations import migrate, require_current
from nullgrad.edges.ledger.schema import SEALED, events, replies, runs, texts
from nullgrad.errors import LedgerError
from nullgrad.ports import Record
from nullgrad.version import __version__

T = TypeVar("T")

_FIND_MOST = 512
"""Identities in one look-up; fewer are padded to a power of two, so that ten prepared statements serve all."""

_CHECKPOINT = 1000
"""Commits and rows after which the log is folded into the file: about 6 MB of log. SQLite would do so within a commit, and wait for the disk there."""

_PAGE = 500
"""Rows read at a time where a whole table is walked: no reading transaction stays open between pages."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as it was begun.

    Attributes:
        run: the run's identity.
        spec: its specification, JSON.
        created_at: when it was first begun, ISO 8601 in UTC.
        version: the version of nullgrad that began it.
    """

    run: str
    spec: str
    created_at: str
    version: str


@dataclass(frozen=True, slots=True)
class ReplyRow:
    """An answered request as it was first recorded.

    Attributes:
        identity: the request's identity; `SqlLedger.request_of` rebuilds the request.
        answer: the reply, or the failure that a decision is based on.
        about: what it was first asked for.
        attempts: how often it was sent, at least 1.
        seconds: wall time of the successful attempt.
        received_at: when it was committed, ISO 8601 in UTC.
    """

    identity: str
    answer: Reply | Failed
    about: About
    attempts: int
    seconds: float
    received_at: str


def open_ledger(path: Path, *, read_only: bool = False, busy_seconds: float = 30.0) -> SqlLedger:
    """Open a ledger; for writing it is created, or brought to the newest schema, as needed.

    Args:
        path: the file; missing directories above it are created.
        read_only: whether to look and not write; then the file must exist.
        busy_seconds: how long a write waits for another process.

    Raises:
        LedgerError: the file is no ledger, of a newer nullgrad, damaged, locked or not writable, or the disk is full.
    """
    path = Path(path)
    opened: list[sqlite3.Connection] = []
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = connect(path, busy_seconds=busy_seconds)
            opened.append(writer)
            with engine_of(writer, writes=True).connect() as connection:
                migrate(connection, path)
        reader = connect(path, read_only=True, busy_seconds=busy_seconds)
        opened.append(reader)
        with engine_of(reader, writes=False).connect() as connection, connection.begin():
            require_current(connection, path)
    except (sqlite3.Error, SQLAlchemyError, OSError, LedgerError) as error:
        for one in opened:
            one.close()
        raise ledger_error(path, error, opening=True) from None
    return SqlLedger(path, reader, None if read_only else writer, busy_seconds)


class SqlLedger:
    """Implements `ports.Ledger`; made by `open_ledger`."""

    def __init__(
        self,
        path: Path,
        reader: sqlite3.Connection,
        writer: sqlite3.Connection | None,
        busy_seconds: float = 30.0,
    ) -> None:
        self.path = path
        self._reader = reader
        self._finder = reader.cursor()
        self._writer = writer
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._read_engine = engine_of(reader, writes=False)
        self._busy_seconds = busy_seconds
        self._waits = True
        self._logged = 0

    def find(self, identities: Sequence[str]) -> dict[str, Reply | Failed]:
        """What is known of these requests; absent ones are left out.

        Raises:
            LedgerError: the file cannot be read or is damaged.
        """
        keys = [bytes.fromhex(identity) for identity in identities]
        rows: list[codec.Row] = []
        try:
            with self._reading:
                for start in range(0, len(keys), _FIND_MOST):
                    chunk = keys[start : start + _FIND_MOST]
                    size = 1 << (len(chunk) - 1).bit_length()
                    chunk += chunk[-1:] * (size - len(chunk))
                    rows += self._finder.execute(_FIND[size], chunk).fetchall()
            return dict(map(codec.answer_of, rows))
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise ledger_error(self.path, error) from None

    def append(
        self, records: Sequence[Record], events: Sequence[tuple[str, Event]], *, wait: bool = True
    ) -> int | None:
        """Write all in one transaction, durable against a killed process when it returns.

        What is already there is left as it is: a request keeps the answer that was recorded first. A power failure
        can lose the last commits, never parts of one.

        Args:
            records: answered calls.
            events: (run identity, event).
            wait: whether it may take its time; else nothing is written where another process holds the lock, or
                where the log is due to be folded into the file.

        Returns:
            How many of the records are new to the ledger; None where nothing was written.

        Raises:
            LedgerError: the disk is full, the file is read-only, damaged, or stayed locked; nothing of it is written.
        """
        at = _now()
        bodies = {message.content for record in records for message in record.request.messages}
        return self._write(
            (_INSERT_REPLY, [codec.reply_row(record, at) for record in records]),
            (_INSERT_TEXT, [codec.text_row(body) for body in bodies]),
            (_INSERT_EVENT, [codec.event_row(run, event, at) for run, event in events]),
            wait=wait,
        )

    def begin_run(self, run: str, spec: str) -> None:
        """Register a run by its identity with its specification as JSON; again is a resume and changes nothing.

        Raises:
            LedgerError: as `append`.
        """
        self._write((_INSERT_RUN, [codec.run_row(run, spec, _now(), __version__)]))

    def test_openings(self, task: str, run: str) -> int:
        """How many openings of the sealed test of a task (by its digest) are recorded of runs begun before `run`.

        Raises:
            LedgerError: the file cannot be read or is damaged.
        """
        place = sa.literal_column("runs.rowid")
        own = sa.select(place).where(runs.c.run == run).scalar_subquery()
        before = sa.select(runs.c.run).where(
            sa.func.json_extract(runs.c.spec, "$.task.digest") == task, sa.or_(own.is_(None), place < own)
        )
        query = sa.select(sa.func.count()).where(
            events.c.kind == TestOpened.kind, events.c.run.in_(before.scalar_subquery())
        )
        of_studies = _STUDY_OPENINGS.bindparams(task=task, run=run)
        return int(self._read(query, _first) or 0) + int(self._read(of_studies, _first) or 0)

    def close(self) -> None:
        """Close both connections; safe to call twice. The last process to close folds the log into the file."""
        with self._writing, self._reading:
            self._reader.close()
            if self._writer is not None:
                self._writer.close()

    def __enter__(self) -> SqlLedger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def runs(self) -> list[RunRow]:
        """All runs, the first begun first.

        Raises:
            LedgerError: the file cannot be read or is damaged; likewise below.
        """
        query = sa.select(runs.c.run, runs.c.spec, runs.c.created_at, runs.c.version).order_by(
            sa.literal_column("rowid")
        )
        return [RunRow(row.run, row.spec, row.created_at, row.version) for row in self._read(query, list)]

    def spec(self, run: str) -> str | None:
        """The specification that a run was begun with, None if there is no such run."""
        spec: str | None = self._read(sa.select(runs.c.spec).where(runs.c.run == run), _first)
        return spec

    def events(self, run: str) -> Iterator[Event]:
        """The facts of a run in the order in which they were first stated."""
        query = sa.select(events.c.id, events.c.body).where(events.c.run == run)
        for row in self._walk(query, events.c.id):
            try:
                event = parse_event(row.body)
            except ValueError as error:
                raise ledger_error(self.path, error) from None
            yield event

    def replies(
        self,
        *,
        role: str | None = None,
        stage: str | None = None,
        arm: str | None = None,
        trial: int | None = None,
        split: str | None = None,
        example: str | None = None,
        step: int | None = None,
        variant: int | None = None,
    ) -> Iterator[ReplyRow]:
        """Answered requests in the order of their commits, those whose payer asked for exactly what is given.

        A reply that several arms share is found under the first of them only.
        """
        wanted = {
            "role": role, "stage": stage, "arm": arm, "trial": trial, "split": split, "example": example,
            "step": step, "variant": variant,
        }  # fmt: skip
        query = sa.select(
            replies.c.id,
            *(
                sa.type_coerce(replies.c[name], sa.types.NullType).label(name)
                for name in codec.ANSWER_COLUMNS
            ),
            replies.c.about,
            replies.c.attempts,
            replies.c.seconds,
            replies.c.received_at,
        )
        for name, value in wanted.items():
            if value is not None:
                given = sa.func.json_extract(replies.c.about, f"$.{name}")
                query = query.where(sa.func.coalesce(given, codec.about_default(name)) == value)
        for row in self._walk(query, replies.c.id):
            try:
                identity, answer = codec.answer_of(row[1 : 1 + len(codec.ANSWER_COLUMNS)])
                about = codec.about_of(row.about)
                one = ReplyRow(identity, answer, about, row.attempts, row.seconds, row.received_at)
            except (ValueError, TypeError) as error:
                raise ledger_error(self.path, error) from None
            yield one

    def request_of(self, identity: str) -> Request | None:
        """The request behind an identity with the texts of its messages, None if it was never answered."""
        query = sa.select(replies.c.request).where(replies.c.identity == bytes.fromhex(identity))
        canonical = self._read(query, _first)
        if canonical is None:
            return None
        hashes = {bytes.fromhex(digest) for digest in codec.message_hashes(canonical)}
        rows = self._read(sa.select(texts.c.hash, texts.c.body).where(texts.c.hash.in_(hashes)), list)
        try:
            return codec.request_of(canonical, {row.hash.hex(): row.body for row in rows})
        except KeyError as missing:
            error = ValueError(f"the text {missing.args[0]} of the request {identity} is missing")
            raise ledger_error(self.path, error) from None

    def counts(self) -> dict[str, int]:
        """Rows by kind: `replies`, `failed`, `texts`, `runs`, `events`."""
        size = sa.func.count()
        failed = replies.c.kind == sa.literal_column("'failed'")
        counted = {
            "answers": sa.select(size).select_from(replies),
            "failed": sa.select(size).select_from(replies).where(failed),
            "texts": sa.select(size).select_from(texts),
            "runs": sa.select(size).select_from(runs),
            "events": sa.select(size).select_from(events),
        }
        columns = [query.scalar_subquery().label(name) for name, query in counted.items()]
        row = dict(self._read(sa.select(*columns), list)[0]._mapping)
        return {"replies": row.pop("answers") - row["failed"], **row}

    def select(self, query: sa.Select[Any]) -> list[sa.Row[Any]]:
        """All rows of a query of one's own over the tables of `ledger_schema`."""
        return self._read(query, list)

    def _read(self, query: sa.Executable, take: Callable[[sa.Result[Any]], T]) -> T:
        """Run one query in a transaction of its own."""
        try:
            with self._reading, self._read_engine.connect() as connection, connection.begin():
                return take(connection.execute(query))
        except (sqlite3.Error, SQLAlchemyError, ValueError) as error:
            raise ledger_error(self.path, error) from None

    def _walk(self, query: sa.Select[Any], key: sa.Column[int]) -> Iterator[sa.Row[Any]]:
        """Rows in the order of `key`, page by page."""
        last = 0
        while page := self._read(query.where(key > last).order_by(key).limit(_PAGE), list):
            yield from page
            last = page[-1].id

    def _write(self, *statements: tuple[str, list[codec.Row]], wait: bool = True) -> int | None:
        """Run statements, each with its rows, in one transaction; the rows that the first one inserted, or None."""
        writer = self._writer
        if writer is None:
            raise LedgerError(
                f"The ledger {self.path} is open for reading only.",
                "Nothing was written.",
                "Open it for writing.",
            )
        if (not wait and self._logged >= _CHECKPOINT) or not self._writing.acquire(blocking=wait):
            return None
        try:
            if not self._begin(writer, wait):
                return None
            inserted = [
                writer.executemany(statement, rows).rowcount for statement, rows in statements if rows
            ]
            writer.execute("COMMIT")
            self._logged += 1 + sum(len(rows) for _, rows in statements)
            if self._logged >= _CHECKPOINT and wait:
                self._fold(writer)
            return inserted[0] if statements[0][1] else 0
        except BaseException as error:
            with suppress(sqlite3.Error):
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
            if isinstance(error, (sqlite3.Error, OSError)):
                raise ledger_error(self.path, error) from None
            raise
        finally:
            self._writing.release()

    def _begin(self, writer: sqlite3.Connection, wait: bool) -> bool:
        """Take the lock for writing; False where another process has it and it is not waited for."""
        if wait is not self._waits:
            writer.execute(f"PRAGMA busy_timeout = {int(self._busy_seconds * 1000) if wait else 0}")
            self._waits = wait
        try:
            writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not wait and is_busy(error):
                return False
            raise
        return True

    def _fold(self, writer: sqlite3.Connection) -> None:
        """Fold the log into the file, as far as readers let it; what is committed is safe either way."""
        self._logged = 0
        with suppress(sqlite3.Error):
            writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _first(result: sa.Result[Any]) -> Any:
    return result.scalars().first()


# A study has several tasks: its events tell theirs by the cell that their scope ends with.
_STUDY_OPENINGS = sa.text(
    "SELECT count(*) FROM runs JOIN json_each(runs.spec, '$.cells') AS cell JOIN events ON events.run = runs.run "
    f"WHERE events.kind = '{TestOpened.kind}' AND json_extract(cell.value, '$.task.digest') = :task "
    "AND substr(events.scope, -length(cell.key) - 1) = '@' || cell.key "
    "AND runs.rowid < coalesce((SELECT own.rowid FROM runs AS own WHERE own.run = :run), 1 + (SELECT max(rowid) FROM runs))"
)

_FIND = {
    size: f"SELECT {', '.join(codec.ANSWER_COLUMNS)} FROM replies WHERE identity IN ({','.join('?' * size)})"
    for size in (1 << power for power in range(1, _FIND_MOST.bit_length()))
}
_FIND[1] = _FIND[2].replace("IN (?,?)", "= ?")  # a list of one would be slower


def _insert(table: sa.Table, key: str, *columns: str) -> str:
    """An insert that leaves a row already there as it is, rendered once: compiled anew it would cost more than it does.

    DO NOTHING and not OR IGNORE, which would also drop rows that break another constraint.
    """
    statement = insert(table).on_conflict_do_nothing(index_elements=[key])
    values: dict[str, Any] = {column: sa.bindparam(column) for column in columns}
    compiled = statement.values(values).compile(dialect=sqlite.dialect(paramstyle="qmark"))
    if compiled.positiontup != list(columns):
        raise AssertionError(f"the columns of {table.name} are bound in another order than its rows")
    return str(compiled)


_INSERT_TEXT = _insert(texts, "hash", "hash", "body")
_INSERT_REPLY = _insert(replies, "identity", *SEALED["replies"], "seal")
_INSERT_EVENT = _insert(events, "digest", *SEALED["events"], "seal")
_INSERT_RUN = _insert(runs, "run", *SEALED["runs"], "seal")

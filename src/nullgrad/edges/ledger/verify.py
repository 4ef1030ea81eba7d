"""Re-derives every hash, seal and folded state of a ledger and says what differs."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from nullgrad.core.events import event_digest, parse_event
from nullgrad.edges.ledger import codec
from nullgrad.edges.ledger.connect import connect, engine_of, ledger_error
from nullgrad.edges.ledger.fold import ScopeFold
from nullgrad.edges.ledger.migrations import migrate, require_current, stated_versions
from nullgrad.edges.ledger.schema import SEALED
from nullgrad.errors import LedgerError

_PAGE = 500

Progress = Callable[[str, int, int], None]
"""Told of (the table being read, rows checked so far, rows in all tables)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that differs.

    Attributes:
        table: the table, `file` for the file as a whole, `schema` for tables, indexes and triggers.
        key: the row's hash, identity, digest or run; the name of what `schema` lacks; "" for none.
        what: what differs, without a full stop.
    """

    table: str
    key: str
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified.

    Attributes:
        checked: rows by table.
        problems: what differs, () where nothing does.
    """

    checked: dict[str, int]
    problems: tuple[Problem, ...]


def verify(path: Path, on_progress: Progress | None = None) -> Report:
    """Check a ledger from end to end; it may be in use meanwhile and is not changed.

    Raises:
        LedgerError: there is no ledger, or one of another schema version.
    """
    path = Path(path)
    try:
        with closing(connect(path, read_only=True)) as connection:
            return _Verification(path, connection, on_progress).run()
    except (sqlite3.Error, OSError) as error:
        raise ledger_error(path, error, opening=True) from None


class _Verification:
    """One pass over all tables. Texts are read as bytes: a changed byte must not stop the reading."""

    def __init__(self, path: Path, connection: sqlite3.Connection, on_progress: Progress | None) -> None:
        self._path = path
        self._connection = connection
        self._on_progress = on_progress
        self._checked = dict.fromkeys(("texts", "replies", "runs", "events"), 0)
        self._total = 0
        self._problems: list[Problem] = []
        self._runs: set[bytes] = set()

    def run(self) -> Report:
        self._version()
        self._schema()
        self._connection.text_factory = bytes
        self._total = sum(
            self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in self._checked
        )
        for part in (self._integrity, self._texts, self._run_rows, self._replies, self._events, self._folds):
            try:
                part()
            except sqlite3.DatabaseError as error:
                self._add("file", "", f"cannot be read to its end: {error}")
        return Report(self._checked, tuple(self._problems))

    def _add(self, table: str, key: str | bytes, what: str) -> None:
        self._problems.append(Problem(table, key.hex() if isinstance(key, bytes) else key, what))

    def _version(self) -> None:
        with engine_of(self._connection, writes=False).connect() as connection, connection.begin():
            stated, header = stated_versions(connection, self._path)
            if stated == header:
                require_current(connection, self._path)
                return
        self._add("meta", "schema_version", f"is {stated!r}, and the file's header says {header}")

    def _schema(self) -> None:
        """Compare with the schema of an empty ledger: without its triggers, rows can be changed unseen."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
            with engine_of(empty, writes=True).connect() as connection:
                migrate(connection, self._path)
            right = _definitions(empty)
        here = _definitions(self._connection)
        for name, sql in right.items():
            if here.get(name) != sql:
                self._add("schema", name, "was changed" if name in here else "is missing")
        lost = [table for table in self._checked if table not in here]
        if lost:
            raise LedgerError(
                f"The ledger {self._path} has lost its table {lost[0]}.",
                "It cannot be verified.",
                "Go back to a copy.",
            )

    def _integrity(self) -> None:
        for (line,) in self._connection.execute("PRAGMA integrity_check(20)").fetchall():
            if line != b"ok":
                self._add("file", "", line.decode("utf-8", "replace"))

    def _walk(self, table: str, columns: Sequence[str]) -> Iterator[list[Any]]:
        """Pages of rows with their rowid first; no reading transaction outlasts a page."""
        query = (
            f"SELECT rowid, {', '.join(columns)} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE}"
        )
        last = 0
        while page := self._connection.execute(query, (last,)).fetchall():
            yield page
            last = page[-1][0]
            self._checked[table] += len(page)
            if self._on_progress is not None:
                self._on_progress(table, sum(self._checked.values()), self._total)

    def _texts(self) -> None:
        for page in self._walk("texts", ("hash", "body")):
            for _, digest, body in page:
                if hashlib.sha256(body).digest() != digest:
                    self._add("texts", digest, "the text does not have this hash")

    def _run_rows(self) -> None:
        for page in self._walk("runs", (*SEALED["runs"], "seal")):
            for _, *row, seal in page:
                self._runs.add(row[0])
                if codec.seal("runs", tuple(row)) != seal:
                    self._add("runs", _text(row[0]), "the row does not have its seal")

    def _replies(self) -> None:
        last = 0
        for page in self._walk("replies", (*SEALED["replies"], "seal")):
            wanted: dict[bytes, bytes] = {}
            for number, *row, seal in page:
                identity, request = row[0], row[1]
                last = self._gap("replies", last, number)
                if codec.seal("replies", tuple(row)) != seal:
                    self._add("replies", identity, "the row does not have its seal")
                if hashlib.sha256(request).digest() != identity:
                    self._add("replies", identity, "the request does not have this identity")
                    continue
                for name in codec.message_hashes(request.decode()):
                    wanted[bytes.fromhex(name)] = identity
            for digest in self._missing(list(wanted)):
                self._add("texts", digest, f"is missing; the request {wanted[digest].hex()} refers to it")

    def _missing(self, hashes: list[bytes]) -> list[bytes]:
        found: set[bytes] = set()
        for start in range(0, len(hashes), _PAGE):
            chunk = hashes[start : start + _PAGE]
            query = f"SELECT hash FROM texts WHERE hash IN ({','.join('?' * len(chunk))})"
            found.update(digest for (digest,) in self._connection.execute(query, chunk))
        return [digest for digest in hashes if digest not in found]

    def _events(self) -> None:
        last = 0
        for page in self._walk("events", (*SEALED["events"], "seal")):
            for number, *row, seal in page:
                digest, run, scope, kind, body, _ = row
                last = self._gap("events", last, number)
                if codec.seal("events", tuple(row)) != seal:
                    self._add("events", digest, "the row does not have its seal")
                if bytes.fromhex(event_digest(_text(run), _text(body))) != digest:
                    self._add("events", digest, "the event does not have this digest")
                    continue
                if json.loads(body)[:2] != [_text(kind), _text(scope)]:
                    self._add("events", digest, "kind or scope differ from the event's body")
                if run not in self._runs:
                    self._add("events", digest, f"belongs to the run {_text(run)}, which was never begun")
                try:
                    parse_event(_text(body))
                except ValueError as error:
                    self._add("events", digest, str(error))

    def _gap(self, table: str, last: int, number: int) -> int:
        """Rows are numbered without gaps: a missing number is a row taken away."""
        if number != last + 1:
            self._add(table, str(last + 1), f"{number - last - 1} row(s) are missing from this number on")
        return number

    def _folds(self) -> None:
        rows = self._connection.execute("SELECT run, scope, digest, body FROM events ORDER BY run, scope, id")
        for (_, scope), facts in groupby(rows, key=lambda row: (row[0], row[1])):
            fold = ScopeFold(_text(scope))
            for _, _, digest, body in facts:
                try:
                    event = parse_event(_text(body))
                except ValueError:
                    continue
                problem = fold.take(event)
                if problem:
                    self._add("events", digest, problem)


def _definitions(connection: sqlite3.Connection) -> dict[str, str]:
    """SQL of every table, index and trigger by name, whatever its white space."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()) for name, sql in rows}


def _text(value: bytes) -> str:
    """A text for comparison and display; what a changed byte made unreadable is replaced."""
    try:
        return value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return value.decode("utf-8", "replace")

"""The index of the live view: a file beside the ledger, made from it and disposable, so that the ledger is only read.

The ledger's tables are keyed for replay, not for looking around: who asked what is JSON in a column. Here every reply has one
narrow row with its payer's arm, trial, role, example and prompt, counts are kept as sums, and scores as points. `Indexer.update`
takes up what was committed since the last time, in chunks, so that a page never walks the ledger.

A reply belongs to no run (runs share replies). Each is counted for the run that paid: the one whose trial of that name was
under way with that model when the reply was committed.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import shutil
import sqlite3
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nullgrad.core.chat import text_hash
from nullgrad.edges.ledger.connect import connect
from nullgrad.edges.ledger.schema import from_sql
from nullgrad.edges.view.events import EventFold
from nullgrad.edges.view.schema import FORMAT, SCHEMA
from nullgrad.errors import LedgerError

SUFFIX = ".view"
"""Of the index, after the ledger's own name."""

CHUNK = 5_000
"""Replies taken up in one transaction."""

_HEAD = 48
"""Characters of a prompt by which it is looked up in a message; shorter prompts by all of theirs."""

_READ = (
    "SELECT id, about, request, kind, prompt_tokens, completion_tokens, cached_tokens, attempts, seconds, received_at, "
    "identity FROM replies WHERE id > ? ORDER BY id LIMIT ?"
)


def open_index(ledger: Path) -> sqlite3.Connection:
    """The index of a ledger for writing: of this format and this ledger, emptied where it is not.

    Where its directory cannot be written, or another process keeps that index, a temporary file stands in for as long as
    the process lives: what is known of trials is partly in the memory of the one that writes.
    """
    beside = ledger.with_name(ledger.name + SUFFIX)
    with contextlib.suppress(sqlite3.Error, OSError):
        if _claim(beside):
            return _open(beside, ledger)
    folder = tempfile.mkdtemp(prefix="nullgrad-view-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return _open(Path(folder) / (ledger.name + SUFFIX), ledger)


_CLAIMS: list[Any] = []
"""Open lock files; closing one would give the claim up."""


def _claim(index: Path) -> bool:
    """Whether this process alone may write the index; the claim ends with the process."""
    try:
        import fcntl
    except ImportError:  # no such locks: two viewers at once are then up to their user
        return True
    stream = open(index.with_name(index.name + ".lock"), "w")  # noqa: SIM115
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return False
    _CLAIMS.append(stream)
    return True


def _open(path: Path, ledger: Path) -> sqlite3.Connection:
    index = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        index.execute("PRAGMA journal_mode = WAL")
        index.execute("PRAGMA synchronous = NORMAL")
        index.execute("BEGIN IMMEDIATE")
        known = index.execute("PRAGMA user_version").fetchone()[0]
        if known != FORMAT or not _same_ledger(index, ledger):
            for kind, name in index.execute(
                "SELECT type, name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall():
                index.execute(f'DROP {kind} "{name}"')
            for statement in SCHEMA:
                index.execute(statement)
            index.execute(f"PRAGMA user_version = {FORMAT}")
        index.execute("COMMIT")
    except BaseException:
        index.close()
        raise
    return index


def _same_ledger(index: sqlite3.Connection, ledger: Path) -> bool:
    """Whether the last reply and event taken up are in the ledger as they were: another file may bear its name."""
    book = connect(ledger, read_only=True)
    try:
        for table, key in (("replies", "identity"), ("events", "digest")):
            row = index.execute("SELECT last, mark FROM taken WHERE source = ?", (table,)).fetchone()
            if row is not None and row[0]:
                own = book.execute(f"SELECT {key} FROM {table} WHERE id = ?", (row[0],)).fetchone()
                if own is None or own[0] != row[1]:
                    return False
    finally:
        book.close()
    return True


def reading_address(ledger: Path) -> str:
    """How SQLite opens the ledger for reading, also on a medium where it cannot make its shared memory."""
    address = f"{ledger.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10)) as tried:
            tried.execute("SELECT 1 FROM meta").fetchone()
    except sqlite3.OperationalError:
        return f"{address}&immutable=1"
    return address


class Indexer:
    """Takes up what a ledger holds; one per process, used from one thread at a time.

    Args:
        ledger: the file; it must exist.

    Raises:
        LedgerError: there is no such ledger.
    """

    def __init__(self, ledger: Path) -> None:
        book = connect(ledger, read_only=True)
        try:
            known = book.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        except sqlite3.Error:
            known = None
        finally:
            book.close()
        if known is None:
            raise LedgerError(
                f"{ledger} is no ledger of nullgrad.", "There is nothing to view.", "Give --ledger FILE."
            )
        self.address = reading_address(ledger)
        self._book = sqlite3.connect(
            self.address, uri=True, timeout=10, isolation_level=None, check_same_thread=False
        )
        self._index = open_index(ledger)
        self.path = Path(self._index.execute("PRAGMA database_list").fetchone()[2])
        self._words: dict[str, int] = {
            from_sql(word): id_ for word, id_ in self._index.execute("SELECT word, id FROM words")
        }
        self._fold = EventFold(self._index, self._words)
        self._heads: dict[str, list[tuple[str, int]]] = {}
        self._by_hash: dict[str, int | None] = {}
        self._read_prompts = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close both files; safe to call twice."""
        with self._lock:
            self._book.close()
            self._index.close()

    def update(self, most: int | None = None) -> tuple[int, int]:
        """Take up to `most` new replies, and every new fact; returns replies taken up so far and replies there are.

        Facts are read after the ledger's end was noted: a reply's trial is always known before it.
        """
        with self._lock:
            end = self._book.execute("SELECT coalesce(max(id), 0) FROM replies").fetchone()[0]
            self._take_facts()
            done = self._last("replies")
            left = end - done if most is None else min(most, end - done)
            while left > 0 and done < end:
                taken, done = self._take_replies(min(CHUNK, left))
                left -= taken
                if not taken:
                    break
            return done, end

    def _last(self, source: str) -> int:
        row = self._index.execute("SELECT last FROM taken WHERE source = ?", (source,)).fetchone()
        return int(row[0]) if row else 0

    def _take_facts(self) -> None:
        while True:
            self._index.execute("BEGIN IMMEDIATE")
            try:
                self._fold.runs(self._book)
                last = self._last("events")
                rows = self._book.execute(
                    "SELECT id, run, scope, body, at, digest FROM events WHERE id > ? ORDER BY id LIMIT 2000",
                    (last,),
                ).fetchall()
                for id_, run, scope, body, at, _ in rows:
                    self._fold.take(id_, from_sql(run), from_sql(scope), body, at)
                if rows:
                    self._mark("events", rows[-1][0], rows[-1][5])
                self._index.execute("COMMIT")
            except BaseException:
                self._index.execute("ROLLBACK")
                raise
            if not rows:
                return

    def _mark(self, source: str, last: int, mark: bytes) -> None:
        self._index.execute(
            "INSERT INTO taken VALUES (?, ?, ?) ON CONFLICT (source) DO UPDATE SET last = excluded.last, mark = excluded.mark",
            (source, last, mark),
        )

    def _take_replies(self, most: int) -> tuple[int, int]:
        index = self._index
        index.execute("BEGIN IMMEDIATE")
        try:
            last = self._last("replies")
            rows = self._book.execute(_READ, (last, most)).fetchall()
            if rows:
                self._learn_prompts()
                sums = _Sums()
                narrow = [self._narrow(row, sums) for row in rows]
                index.executemany(f"INSERT OR REPLACE INTO calls VALUES ({','.join('?' * 13)})", narrow)
                sums.write(index)
                self._mark("replies", rows[-1][0], rows[-1][10])
            index.execute("COMMIT")
        except BaseException:
            index.execute("ROLLBACK")
            raise
        return len(rows), rows[-1][0] if rows else last

    def _narrow(self, row: tuple[Any, ...], sums: _Sums) -> tuple[Any, ...]:
        (id_, about_text, request_text, kind, prompt, completion, cached, attempts, seconds, at, _) = row
        about, request = json.loads(about_text), json.loads(request_text)
        arm, trial, cell = about.get("arm", ""), about.get("trial", 0), about.get("cell", "")
        scope = (f"{arm}#{trial}" + (f"@{cell}" if cell else "")) if arm else ""
        model = request["model"]
        run = self._fold.run_of(scope, model, at)
        split, example, failed = about.get("split", ""), about.get("example", ""), int(kind == "failed")
        text = None
        if about["stage"] == "forward":
            text = self._prompt_of(request["messages"])
        word = self._fold.word
        sums.add(
            (run, word(cell), word(arm), word(about["role"]), word(model)),
            failed, attempts, prompt, completion, cached, seconds,
        )  # fmt: skip
        sums.minutes[run, at[:16]][0] += 1
        sums.minutes[run, at[:16]][1] += failed
        if example:
            sums.example((run, word(split), example), id_, failed)
        return (
            id_, run, word(cell), word(arm), trial, word(about["role"]), word(about["stage"]), word(split),
            word(example) if example else None, about.get("step", 0), about.get("variant", 0), failed, text,
        )  # fmt: skip

    def _learn_prompts(self) -> None:
        rows = self._index.execute(
            "SELECT id, body FROM prompts WHERE id > ? ORDER BY id", (self._read_prompts,)
        ).fetchall()
        for id_, body in rows:
            text = from_sql(body).strip()
            self._heads.setdefault(text[:_HEAD], []).append((text, id_))
            self._read_prompts = id_
        if rows:
            self._by_hash.clear()

    def _prompt_of(self, messages: Iterable[list[str]]) -> int | None:
        """The prompt whose text a message begins with, the longest of several; None where the layout puts it elsewhere."""
        for _, digest in messages:
            if digest not in self._by_hash:
                if len(self._by_hash) > 50_000:
                    self._by_hash.clear()
                row = self._book.execute(
                    "SELECT body FROM texts WHERE hash = ?", (bytes.fromhex(digest),)
                ).fetchone()
                self._by_hash[digest] = self._begins(from_sql(row[0])) if row else None
            found = self._by_hash[digest]
            if found is not None:
                return found
        return None

    def _begins(self, body: str) -> int | None:
        best: tuple[int, int] | None = None
        for text, id_ in self._heads.get(body[:_HEAD], ()):
            if body.startswith(text) and (best is None or len(text) > best[0]):
                best = (len(text), id_)
        if best is None and len(self._short()) < 200:
            for text, id_ in self._short():
                if body.startswith(text) and (best is None or len(text) > best[0]):
                    best = (len(text), id_)
        return best[1] if best else None

    def _short(self) -> list[tuple[str, int]]:
        return [one for head, group in self._heads.items() if len(head) < _HEAD for one in group if one[0]]


class _Sums:
    """What a chunk adds to the counts."""

    def __init__(self) -> None:
        self.totals: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0, 0, 0, 0, 0, 0, 0, 0.0])
        self.minutes: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
        self.examples: dict[tuple[int, int, str], list[int]] = {}

    def add(
        self,
        key: tuple[Any, ...],
        failed: int,
        attempts: int,
        prompt: Any,
        completion: Any,
        cached: Any,
        seconds: float,
    ) -> None:
        one = self.totals[key]
        for place, value in enumerate(
            (1, failed, attempts - 1, prompt or 0, completion or 0, cached or 0, int(prompt is None), seconds)
        ):
            one[place] += value

    def example(self, key: tuple[int, int, str], id_: int, failed: int) -> None:
        one = self.examples.setdefault(key, [0, 0, id_, id_])
        one[0] += 1
        one[1] += failed
        one[3] = id_

    def write(self, index: sqlite3.Connection) -> None:
        index.executemany(
            "INSERT INTO totals VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, "
            "failed = failed + excluded.failed, retried = retried + excluded.retried, "
            "prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
            "completion_tokens = completion_tokens + excluded.completion_tokens, "
            "cached_tokens = cached_tokens + excluded.cached_tokens, uncounted = uncounted + excluded.uncounted, "
            "seconds = seconds + excluded.seconds",
            [(*key, *values) for key, values in self.totals.items()],
        )
        index.executemany(
            "INSERT INTO minutes VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, "
            "failed = failed + excluded.failed",
            [(*key, *values) for key, values in self.minutes.items()],
        )
        index.executemany(
            "INSERT INTO examples VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, "
            "failed = failed + excluded.failed, last = excluded.last",
            [(*key, *values) for key, values in self.examples.items()],
        )


def prompt_key(text: str) -> str:
    """How the view names a prompt: the first 16 hexadecimal digits of its text's hash."""
    return text_hash(text)[:16]

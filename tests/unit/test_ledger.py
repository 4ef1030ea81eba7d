"""The ledger: lossless, first one wins, append-only, shared by processes, durable against a kill."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import sqlalchemy as sa

from nullgrad.core import events
from nullgrad.core.chat import Failed, Message, Reply, Request, Sampling, TokenLogprob, Usage
from nullgrad.core.effects import About
from nullgrad.core.events import KINDS, Proposed, StepDone, TrialDone, TrialStarted
from nullgrad.edges.ledger import schema as ledger_schema
from nullgrad.edges.ledger.codec import about_of, reply_row
from nullgrad.edges.ledger.connect import connect, engine_of
from nullgrad.edges.ledger.migrations import MIGRATIONS, migrate, require_known
from nullgrad.edges.ledger.store import SqlLedger, open_ledger
from nullgrad.edges.ledger.verify import verify
from nullgrad.errors import LedgerError
from nullgrad.ports import Ledger, Record

HARD = "a\0b \ud800 and \ud83d\ude00 beside 😀 é\r\n\x1f'\"; DROP TABLE replies; --"
"""A NUL, a lone surrogate, two that would merge into one character if escaped, and what SQL and JSON treat specially."""


def make_request(number: int = 0, text: str = "", **fields: object) -> Request:
    """A request of its own for each number."""
    messages = (Message("system", "Classify."), Message("user", text or f"input {number}"))
    return Request("test-model", messages, Sampling(0.5, None, 9), draw=number, **fields)  # type: ignore[arg-type]


def make_record(number: int = 0, answer: Reply | Failed | None = None, **about: object) -> Record:
    """A record of its own for each number."""
    request = make_request(number)
    given = About(**{"role": "generator", "stage": "forward", **about})  # type: ignore[arg-type]
    return Record(request.identity(), request, answer or Reply(f"reply {number}", "stop"), given, 1, 0.25)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "runs.ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqlLedger]:
    with open_ledger(path) as opened:
        yield opened


def test_implements_the_port(ledger: SqlLedger) -> None:
    assert isinstance(ledger, Ledger)


FULL = Reply(
    HARD,
    "stop" + HARD,
    Usage(12, 0, None, 2**40),
    "model" + HARD,
    "fp" + HARD,
    (
        TokenLogprob("\ud83d\ude00", -0.1, (("no", -2.5), (HARD, float("-inf")))),
        TokenLogprob("\ud83d", 0.1 + 0.2),
        TokenLogprob("\ude00", -1e-300),
    ),
)


@pytest.mark.parametrize(
    "answer",
    [
        FULL,
        Reply(""),
        Reply("x" * 3_000_000),
        Reply("unknown is not zero", usage=Usage(None, None, None, None)),
        Reply("zero is not unknown", usage=Usage(0, 0, 0, 0)),
        Failed("timeout", "no answer", None, 6),
        Failed("rejected", HARD, 400, 1),
        Failed("", "", 0, 1),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answer_comes_back_as_it_was(path: Path, answer: Reply | Failed) -> None:
    record = make_record(1, answer)
    with open_ledger(path) as ledger:
        ledger.append([record], [])
        assert ledger.find([record.identity]) == {record.identity: answer}
    with open_ledger(path) as ledger:
        assert ledger.find([record.identity]) == {record.identity: answer}


def test_a_request_is_rebuilt_with_its_texts(ledger: SqlLedger) -> None:
    messages = (Message("system", HARD), Message("user", ""), Message("assistant", "Answer:"))
    rich = Request(
        "model " + "é", messages, Sampling(0.7, 0.95, 12), ("yes", "nö"), ("\n", "###"), 5, 2**63 - 1
    )
    bare = Request("m", (Message("user", "same"), Message("user", "same")))
    about = About("optimizer", "improve", "gradient/wrong/naive", 3, "train", "ex-1", 2, 1)
    for request in (rich, bare):
        ledger.append([Record(request.identity(), request, Reply("x"), about, 2, 1.5)], [])
        assert ledger.request_of(request.identity()) == request
    assert ledger.request_of(make_request(7).identity()) is None
    assert [row.about for row in ledger.replies()] == [about, about]


def test_texts_are_kept_once(ledger: SqlLedger) -> None:
    ledger.append([make_record(number) for number in range(5)], [])
    ledger.append([make_record(number) for number in range(5, 9)], [])
    assert ledger.counts() == {"replies": 9, "failed": 0, "texts": 10, "runs": 0, "events": 0}


@pytest.mark.parametrize("second", [Reply("another"), Failed("server", "down", 500, 3)])
@pytest.mark.parametrize("first", [Reply("first"), Failed("timeout", "late")])
def test_the_first_answer_stays(ledger: SqlLedger, first: Reply | Failed, second: Reply | Failed) -> None:
    ledger.append([make_record(1, first), make_record(1, second)], [])
    ledger.append([make_record(1, second), make_record(2)], [])
    known = ledger.find([make_record(1).identity, make_record(2).identity])
    assert known == {make_record(1).identity: first, make_record(2).identity: Reply("reply 2", "stop")}
    assert [row.answer for row in ledger.replies()] == [first, Reply("reply 2", "stop")]
    assert verify(ledger.path).problems == ()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 511, 512, 513, 1100])
def test_find_any_number(ledger: SqlLedger, count: int) -> None:
    records = [make_record(number) for number in range(count)]
    ledger.append(records, [])
    absent = [make_record(number).identity for number in range(5000, 5003)]
    wanted = [*absent, *(record.identity for record in records), *(record.identity for record in records[:3])]
    assert ledger.find(wanted) == {record.identity: record.answer for record in records}
    assert ledger.find([]) == {} and ledger.find(absent) == {}


def test_a_record_under_a_wrong_identity_is_refused_with_its_group(ledger: SqlLedger) -> None:
    wrong = Record(make_record(2).identity, make_request(1), Reply("x"), make_record(1).about, 1, 0.1)
    with pytest.raises(ValueError, match="is not the identity"):
        ledger.append([make_record(3), wrong], [("run", TrialStarted("seed#0", "p"))])
    assert set(ledger.counts().values()) == {0}


def test_events_keep_their_order_and_are_stated_once(ledger: SqlLedger) -> None:
    scope = "rewrite/none/naive#0"
    facts = [
        TrialStarted(scope, HARD.replace("\ud83d\ude00", "")),
        Proposed(scope, 1, 0, "new"),
        StepDone(scope, 1, 0, "new"),
        TrialDone(scope, "new", 1),
        events.TestOpened(scope, "final", "new"),
        events.TestScored(scope, "final", "new", (1.0, None, 0.5), 1),
    ]
    ledger.append([], [("one", fact) for fact in facts[:3]])
    ledger.append([], [("two", facts[0]), *(("one", fact) for fact in reversed(facts[:3]))])
    ledger.append([], [("one", fact) for fact in facts])
    assert list(ledger.events("one")) == facts
    assert list(ledger.events("two")) == facts[:1]
    assert list(ledger.events("three")) == []
    assert {fact.kind for fact in facts} <= set(KINDS)


def test_many_events_are_walked_page_by_page(ledger: SqlLedger) -> None:
    facts = [Proposed("s#0", step, 0, f"prompt {step}") for step in range(1203)]
    ledger.append([], [(f"run {fact.step % 2}", fact) for fact in facts])
    walk = ledger.events("run 0")
    assert next(walk) == facts[0]
    ledger.append([make_record(1)], [("run 0", Proposed("s#0", 5000, 0, "late"))])
    assert list(walk)[-2:] == [facts[1202], Proposed("s#0", 5000, 0, "late")]


def test_beginning_a_run_again_changes_nothing(ledger: SqlLedger) -> None:
    ledger.begin_run("b" + HARD, '{"steps": 3}')
    ledger.begin_run("a", HARD)
    first = ledger.runs()
    ledger.begin_run("a", "{}")
    assert ledger.runs() == first
    assert [row.run for row in first] == ["b" + HARD, "a"]
    assert (ledger.spec("a"), ledger.spec("b" + HARD), ledger.spec("c")) == (HARD, '{"steps": 3}', None)


def test_replies_are_found_by_what_they_were_asked_for(ledger: SqlLedger) -> None:
    records = [
        make_record(0, arm="seed", split="test", example="it's"),
        make_record(1, arm="seed", trial=1, split="test", example="e"),
        make_record(
            2, Failed("server", "down", 500, 6), role="optimizer", stage="improve", step=2, variant=1
        ),
    ]
    ledger.append(records, [])

    def found(**wanted: object) -> list[int]:
        by_identity = {record.identity: number for number, record in enumerate(records)}
        return [by_identity[row.identity] for row in ledger.replies(**wanted)]  # type: ignore[arg-type]

    assert found() == [0, 1, 2]
    assert found(arm="seed") == found(split="test") == found(role="generator", stage="forward") == [0, 1]
    assert found(trial=0) == [0, 2] and found(trial=1) == [1] and found(arm="") == [2]
    assert found(step=2, variant=1) == found(stage="improve") == [2]
    assert found(example="it's") == [0] and found(step=0, split="") == []
    [row] = ledger.replies(variant=1)
    assert (row.answer, row.about, row.attempts, row.seconds) == (
        Failed("server", "down", 500, 6), records[2].about, 1, 0.25,
    )  # fmt: skip
    assert row.received_at.endswith("+00:00")


def test_about_keeps_every_field_at_and_off_its_default() -> None:
    for about in (
        About("critic", "judge"),
        About("optimizer", "gradient-output", "seed", 4, "train", "1", 2, 3),
    ):
        record = Record(make_request().identity(), make_request(), Reply("x"), about, 1, 0.0)
        columns = dict(zip(ledger_schema.SEALED["replies"], reply_row(record, "now"), strict=False))
        assert about_of(columns["about"]) == about


@pytest.mark.parametrize("table", ["texts", "replies", "runs", "events", "meta"])
def test_rows_cannot_be_changed_or_deleted(path: Path, ledger: SqlLedger, table: str) -> None:
    ledger.begin_run("run", "{}")
    ledger.append([make_record(1)], [("run", TrialStarted("seed#0", "p"))])
    with contextlib.closing(sqlite3.connect(path)) as other:
        column = other.execute(f"SELECT * FROM {table}").description[-1][0]
        changes = [f"DELETE FROM {table}", f"UPDATE {table} SET {column} = '0'"]
        if table == "meta":
            changes.append("UPDATE meta SET key = 'x', value = '9'")
        for change in changes:
            with pytest.raises(sqlite3.IntegrityError, match=r"append-only|can only grow"):
                other.execute(change)
    assert verify(path).problems == ()


def test_finding_while_another_thread_appends(ledger: SqlLedger) -> None:
    records = [make_record(number) for number in range(600)]
    committed: list[int] = [0]
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for start in range(0, 600, 4):
                ledger.append(records[start : start + 4], [])
                committed[0] = start + 4
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        known = committed[0]
        found = ledger.find([record.identity for record in records[:known]])
        assert len(found) == known
    writer.join()
    assert not failures and ledger.counts()["replies"] == 600


def test_two_open_ledgers_see_each_other(path: Path, ledger: SqlLedger) -> None:
    with open_ledger(path) as other, open_ledger(path, read_only=True) as looking:
        for number in range(4):
            (ledger, other)[number % 2].append(
                [make_record(number)], [("run", Proposed("s#0", number, 0, "p"))]
            )
            for one in (ledger, other, looking):
                assert len(one.find([make_record(n).identity for n in range(4)])) == number + 1
        assert list(looking.events("run")) == list(ledger.events("run"))
        other.append([make_record(0, Reply("later"))], [])
        assert ledger.find([make_record(0).identity]) == {make_record(0).identity: Reply("reply 0", "stop")}


@pytest.mark.parametrize("action", ["append", "open"])
def test_a_writer_waits_and_then_says_that_it_is_locked(path: Path, action: str) -> None:
    with open_ledger(path, busy_seconds=0.1) as ledger, contextlib.closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="stayed locked by another process"):
            if action == "append":
                ledger.append([make_record(1)], [])
            else:
                open_ledger(path, busy_seconds=0.1)
        assert ledger.find([make_record(1).identity]) == {}
        other.execute("ROLLBACK")
        ledger.append([make_record(1)], [])
        assert ledger.counts()["replies"] == 1


def test_a_writer_that_waits_gets_its_turn(path: Path) -> None:
    with open_ledger(path) as ledger, contextlib.closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, lambda: other.execute("ROLLBACK"))
        release.start()
        ledger.append([make_record(1)], [])
        release.join()
        assert ledger.counts()["replies"] == 1


def test_what_may_not_wait_is_left_to_be_written_later(path: Path) -> None:
    with open_ledger(path) as ledger, contextlib.closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert ledger.append([make_record(1)], [], wait=False) is None
        assert ledger.counts()["replies"] == 0
        other.execute("ROLLBACK")
        assert ledger.append([make_record(1)], [], wait=False) == 1
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, lambda: other.execute("ROLLBACK"))
        release.start()
        assert ledger.append([make_record(1), make_record(2)], []) == 1
        release.join()


def test_the_log_is_folded_into_the_file_by_a_write_that_may_wait(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nullgrad.edges.ledger.store._CHECKPOINT", 20)
    log = path.with_name(path.name + "-wal")
    with open_ledger(path) as ledger:
        written = [ledger.append([make_record(number)], [], wait=False) for number in range(20)]
        assert written[0] == 1
        assert written[-1] is None
        before = path.read_bytes()
        assert ledger.append([make_record(100)], []) == 1
        assert path.read_bytes() != before
        size = log.stat().st_size
        assert ledger.append([make_record(101)], [], wait=False) == 1
        assert log.stat().st_size == size, "the log is begun anew"
        assert ledger.counts()["replies"] == written.count(1) + 2


class Refusing(sqlite3.Connection):
    """SQLite as it is where several processes ask for the log at once: it refuses some, without waiting."""

    refusals = 0
    code = sqlite3.SQLITE_BUSY

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
        if "journal_mode" in sql and Refusing.refusals:
            Refusing.refusals -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = Refusing.code
            raise error
        return super().execute(sql, *parameters)


@pytest.mark.parametrize(
    ("code", "busy_seconds", "opens"),
    [
        (sqlite3.SQLITE_BUSY, 30.0, True),
        (sqlite3.SQLITE_BUSY, 0.0, False),
        (sqlite3.SQLITE_IOERR, 30.0, False),
    ],
)
def test_a_refused_change_to_the_write_ahead_log_is_asked_again(
    code: int, busy_seconds: float, opens: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "refusals", 3)
    monkeypatch.setattr(Refusing, "code", code)
    original = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **kwargs: original(*args, factory=Refusing, **kwargs)
    )
    path.parent.mkdir(parents=True)
    if opens:
        connect(path, busy_seconds=busy_seconds).close()
        assert Refusing.refusals == 0
    else:
        with pytest.raises(sqlite3.OperationalError):
            connect(path, busy_seconds=busy_seconds)
        assert Refusing.refusals == 2, "asked once"


FORK = multiprocessing.get_context("fork")


def share(path: Path, me: int, ready: Barrier) -> None:
    """One of several processes that ask partly the same."""
    ready.wait()
    with open_ledger(path) as ledger:
        ledger.begin_run("run", "{}")
        for number in range(20):
            records = [make_record(1000 * me + number), make_record(number, Reply(f"by {me}"))]
            ledger.append(records, [("run", Proposed(f"p{me}#0", number, 0, "p"))])
        shared = ledger.find([make_record(number).identity for number in range(20)])
    sys.exit(0 if len(shared) == 20 else 1)


def test_processes_that_open_a_new_ledger_at_once_share_it(path: Path) -> None:
    ready = FORK.Barrier(4)
    children = [FORK.Process(target=share, args=(path, me, ready)) for me in (1, 2, 3, 4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0, 0]
    with open_ledger(path) as ledger:
        assert ledger.counts() == {"replies": 100, "failed": 0, "texts": 101, "runs": 1, "events": 80}
    assert verify(path).problems == ()


# A process killed at any moment


def append_for_ever(path: Path, first: int, output: Path) -> None:
    """Append groups of one to eight, and tell each identity once `append` has returned."""
    sizes, number = random.Random(first), first
    ledger = open_ledger(path)
    told = os.open(output, os.O_WRONLY | os.O_CREAT)
    while True:
        records = [make_record(number + more) for more in range(sizes.randrange(1, 9))]
        ledger.append(records, [("run", Proposed("p#0", record.request.draw, 0, "p")) for record in records])
        os.write(told, "".join(f"{record.identity}\n" for record in records).encode())
        number += len(records)


def test_what_was_appended_outlives_a_kill(path: Path, tmp_path: Path) -> None:
    moments = random.Random(7)
    told: list[str] = []
    with open_ledger(path) as ledger:
        ledger.begin_run("run", "{}")
    for round_number in range(8):
        output = tmp_path / f"told-{round_number}"
        child = FORK.Process(target=append_for_ever, args=(path, round_number * 1_000_000, output))
        child.start()
        while child.is_alive() and not (output.exists() and output.stat().st_size):
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.15))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        told += output.read_text().splitlines()
        with open_ledger(path) as ledger:
            assert len(ledger.find(told)) == len(told) == len(set(told))
            assert ledger.counts()["events"] == ledger.counts()["replies"], "a group was torn"
        assert verify(path).problems == ()
    assert len(told) > 50


# Files that are no ledger, or cannot be written


def refusal(path: Path, **options: object) -> LedgerError:
    """The error with which a ledger is refused: it names the file and says what to do."""
    with pytest.raises(LedgerError) as caught:
        open_ledger(path, **options)  # type: ignore[arg-type]
    error = caught.value
    assert str(path) in error.what and error.consequence and error.ways_out
    assert "Traceback" not in str(error) and "sqlalche.me" not in str(error)
    return error


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("label,text\n" * 500)
    assert "not an SQLite database" in refusal(path).what
    assert path.read_text() == "label,text\n" * 500


def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE meta (key TEXT, value TEXT)")
    for read_only in (False, True):
        assert "no ledger of nullgrad" in refusal(path, read_only=read_only).what
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("meta",)]


def test_a_newer_ledger_is_refused(path: Path) -> None:
    open_ledger(path).close()
    with contextlib.closing(sqlite3.connect(path)) as newer, newer:
        newer.execute("UPDATE meta SET value = '99'")
        newer.execute("PRAGMA user_version = 99")
    for read_only in (False, True):
        error = refusal(path, read_only=read_only)
        assert "newer nullgrad (schema version 99" in error.what and "Upgrade" in error.ways_out
    with pytest.raises(LedgerError, match="newer"):
        verify(path)


def test_a_version_changed_by_hand_is_refused(path: Path) -> None:
    open_ledger(path).close()
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute("PRAGMA user_version = 0")
    assert "contradicts itself" in refusal(path).what


@pytest.mark.parametrize("page", [2, 3, 5])
def test_a_damaged_file_is_said_to_be_damaged(path: Path, page: int) -> None:
    with open_ledger(path) as ledger:
        ledger.append([make_record(number) for number in range(300)], [])
    content = bytearray(path.read_bytes())
    for start in range((page - 1) * 4096, len(content), 4096):
        content[start : start + 4096] = random.Random(start).randbytes(4096)
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"is damaged|no ledger") as caught, open_ledger(path) as ledger:
        ledger.find([make_record(number).identity for number in range(300)])
    assert "nullgrad verify" in caught.value.ways_out


def test_what_stands_in_the_way_is_named(path: Path) -> None:
    path.mkdir(parents=True)
    assert "it is a directory" in refusal(path).what
    (path / "file").write_text("")
    assert "file" in refusal(path / "file" / "x.ledger").what
    missing = path / "no.ledger"
    assert "There is no ledger" in refusal(missing, read_only=True).what
    assert not missing.exists()


@contextlib.contextmanager
def common_user() -> Iterator[Path]:
    """A folder of somebody without special rights, as whom the block runs: root may write everywhere."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for place, _, _ in os.walk(folder):
            os.chmod(place, 0o755)
        shutil.rmtree(folder)


def test_a_read_only_place_is_refused_before_anything_is_paid_for() -> None:
    with common_user() as folder:
        path = folder / "runs.ledger"
        with open_ledger(path) as ledger:
            ledger.append([make_record(1)], [])
        path.chmod(0o444)
        assert "read-only" in refusal(path).what
        folder.chmod(0o555)
        assert "read-only" in refusal(path).what
        assert "read-only" in refusal(folder / "new.ledger").what
        assert "read-only" in refusal(folder / "sub" / "new.ledger").what


def test_a_ledger_on_a_read_only_place_can_be_read() -> None:
    with common_user() as folder:
        path = folder / "runs.ledger"
        with open_ledger(path) as ledger:
            ledger.append([make_record(1)], [])
        path.chmod(0o444)
        folder.chmod(0o555)
        with open_ledger(path, read_only=True) as ledger:
            assert ledger.find([make_record(1).identity]) == {make_record(1).identity: make_record(1).answer}
        assert verify(path).problems == ()


def test_a_log_that_cannot_be_read_is_not_passed_over() -> None:
    """What a killed process left in the log is part of the ledger: better no answer than an older one."""
    with common_user() as folder:
        path = folder / "runs.ledger"
        open_ledger(folder / "live.ledger").close()
        with open_ledger(folder / "live.ledger") as ledger:
            ledger.append([make_record(1)], [])
            for end in ("", "-wal"):
                shutil.copy(f"{ledger.path}{end}", f"{path}{end}")
        folder.chmod(0o555)
        assert "its directory is read-only" in refusal(path, read_only=True).what
        folder.chmod(0o755)
        with open_ledger(path, read_only=True) as ledger:
            assert ledger.counts()["replies"] == 1


def test_reading_only_writes_nothing(path: Path) -> None:
    open_ledger(path).close()
    before = path.read_bytes()
    with open_ledger(path, read_only=True) as ledger:
        for act in (lambda: ledger.append([make_record(1)], []), lambda: ledger.begin_run("run", "{}")):
            with pytest.raises(LedgerError, match="open for reading only"):
                act()
    assert path.read_bytes() == before


def test_after_closing_it_is_closed(path: Path) -> None:
    ledger = open_ledger(path)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.find([make_record(1).identity])
    with pytest.raises(LedgerError, match="closed"):
        ledger.append([make_record(1)], [])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def fill(ledger: SqlLedger) -> list[Record]:
    """Append until the disk is full; returns what was accepted."""
    kept: list[Record] = []
    for number in range(10_000):
        record = make_record(number, Reply("long " * 2000))
        try:
            ledger.append([record], [("run", Proposed("p#0", number, 0, "p"))])
        except LedgerError as error:
            assert "disk" in error.what and "is full" in error.what and "Free some space" in error.ways_out
            return kept
        kept.append(record)
    raise AssertionError("it never got full")


def check_after_full(ledger: SqlLedger, kept: list[Record]) -> None:
    """Everything accepted is there, nothing of the group that failed, and it goes on."""
    assert len(kept) > 3
    assert ledger.find([record.identity for record in kept]) == {one.identity: one.answer for one in kept}
    assert ledger.counts()["events"] == ledger.counts()["replies"] == len(kept)
    ledger.begin_run("run", "{}")
    ledger.append([make_record(20_000)], [])
    assert ledger.counts()["replies"] == len(kept) + 1
    assert verify(ledger.path).problems == ()


def test_a_full_database(ledger: SqlLedger) -> None:
    assert ledger._writer is not None
    ledger._writer.execute("PRAGMA max_page_count = 60")
    kept = fill(ledger)
    ledger._writer.execute("PRAGMA max_page_count = 100000")
    check_after_full(ledger, kept)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if (
        os.geteuid() != 0
        or not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        with open_ledger(disk / "runs.ledger") as ledger:
            kept = fill(ledger)
            subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
            check_after_full(ledger, kept)
        subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=False)
        with contextlib.suppress(OSError), (disk / "stuff").open("wb", buffering=0) as stuff:
            while stuff.write(bytes(4096)):
                pass
        assert "is full" in refusal(disk / "another.ledger").what


def test_no_room_for_the_directory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path.parent))

    monkeypatch.setattr(Path, "mkdir", full)
    assert "is full" in refusal(path).what


# Migrations


def add_note(connection: sa.Connection) -> None:
    """A migration as it may come."""
    connection.exec_driver_sql("ALTER TABLE replies ADD COLUMN note TEXT")


def migrated(path: Path, migrations: tuple[object, ...]) -> None:
    """Migrate a file by other migrations than the shipped ones."""
    with contextlib.closing(connect(path)) as raw, engine_of(raw, writes=True).connect() as connection:
        migrate(connection, path, migrations)  # type: ignore[arg-type]


def test_an_empty_file_gets_the_schema_that_the_code_uses(tmp_path: Path) -> None:
    path = tmp_path / "empty.ledger"
    path.touch()
    open_ledger(path).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    here = sa.inspect(engine)
    assert set(here.get_table_names()) == set(ledger_schema.metadata.tables)
    for name, table in ledger_schema.metadata.tables.items():
        columns = {column["name"]: column for column in here.get_columns(name)}
        assert list(columns) == [column.name for column in table.columns]
        for column in table.columns:
            assert columns[column.name]["nullable"] == column.nullable, (name, column.name)
    engine.dispose()


def test_migrations_are_applied_in_order_and_once(path: Path) -> None:
    open_ledger(path).close()
    applied: list[int] = []

    def counted(connection: sa.Connection) -> None:
        applied.append(len(applied))
        add_note(connection)

    for _ in range(2):
        migrated(path, (*MIGRATIONS, counted))
    assert applied == [0]
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT value FROM meta").fetchall() == [("2",)]
        assert raw.execute("PRAGMA user_version").fetchone() == (2,)
        raw.execute("SELECT note FROM replies")
    with pytest.raises(LedgerError, match="newer"):
        open_ledger(path)


def test_a_migration_that_fails_leaves_the_version_before(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.append([make_record(1)], [])

    def breaks(connection: sa.Connection) -> None:
        add_note(connection)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrated(path, (*MIGRATIONS, breaks))
    assert verify(path).problems == ()
    with open_ledger(path) as ledger:
        assert ledger.counts()["replies"] == 1


def test_rows_of_before_a_migration_keep_their_seals(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.append([make_record(1)], [])
        before = ledger._reader.execute("SELECT * FROM replies").fetchone()
    migrated(path, (*MIGRATIONS, add_note))
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT * FROM replies").fetchone() == (*before, None)


def test_an_older_ledger_cannot_be_migrated_by_reading(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    assert "still empty" in refusal(path, read_only=True).what
    with pytest.raises(LedgerError, match="newer"):
        require_known(3, path, 2)


# The oldest schema shipped, as it lies on users' disks: never edited, whatever the code becomes.
VERSION_1 = r"""
PRAGMA application_id = 1853189228;
PRAGMA user_version = 1;
CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
CREATE TABLE texts (
  hash BLOB PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
  body TEXT NOT NULL
);
CREATE TABLE replies (
  id INTEGER PRIMARY KEY NOT NULL,
  identity BLOB NOT NULL UNIQUE CHECK (length(identity) = 32),
  request TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('reply', 'failed')),
  text TEXT, finish_reason TEXT,
  prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER, reasoning_tokens INTEGER,
  served_model TEXT, fingerprint TEXT, logprobs TEXT,
  failure TEXT, message TEXT, status INTEGER, failure_attempts INTEGER,
  about TEXT NOT NULL, attempts INTEGER NOT NULL, seconds REAL NOT NULL, received_at TEXT NOT NULL,
  seal BLOB NOT NULL
);
CREATE INDEX replies_failed ON replies (id) WHERE kind = 'failed';
CREATE TABLE runs (
  run TEXT PRIMARY KEY NOT NULL,
  spec TEXT NOT NULL, created_at TEXT NOT NULL, version TEXT NOT NULL,
  seal BLOB NOT NULL
);
CREATE TABLE events (
  id INTEGER PRIMARY KEY NOT NULL,
  digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  run TEXT NOT NULL, scope TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, at TEXT NOT NULL,
  seal BLOB NOT NULL
);
CREATE INDEX events_run ON events (run, id);
CREATE TRIGGER texts_no_update BEFORE update ON texts
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: texts'); END;
CREATE TRIGGER texts_no_delete BEFORE delete ON texts
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: texts'); END;
CREATE TRIGGER replies_no_update BEFORE update ON replies
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: replies'); END;
CREATE TRIGGER replies_no_delete BEFORE delete ON replies
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: replies'); END;
CREATE TRIGGER runs_no_update BEFORE update ON runs
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: runs'); END;
CREATE TRIGGER runs_no_delete BEFORE delete ON runs
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: runs'); END;
CREATE TRIGGER events_no_update BEFORE update ON events
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events'); END;
CREATE TRIGGER events_no_delete BEFORE delete ON events
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events'); END;
CREATE TRIGGER meta_no_delete BEFORE DELETE ON meta
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: meta'); END;
CREATE TRIGGER meta_only_grows BEFORE UPDATE ON meta
  WHEN NEW.key IS NOT OLD.key OR CAST(NEW.value AS INTEGER)
    <= CAST(OLD.value AS INTEGER)
  BEGIN SELECT RAISE(ABORT, 'the ledger''s schema version can only grow'); END;
INSERT INTO meta VALUES (
  'schema_version', '1'
);
INSERT INTO texts VALUES (
  X'4B0003C9F1DB147EA70BB0A6385E60C8F52E9C4E10C8200FC4F60B1E4FC61AD7', 'Is it good?'
);
INSERT INTO replies VALUES (
  1, X'6CE20AEE6F7E6D47CB10C0561925C5919A53A4980193F1DECA548B23B0E0B0BC',
  '{"v":1,"model":"model","temperature":0.5,"top_p":null,"max_tokens":null,"choices":["yes","no"],' ||
    '"stop":["\n"],"logprobs":2,"messages":[["user","4b0003c9f1db147ea70bb0a6385e60c8f52e9c4e10c8200' ||
    'fc4f60b1e4fc61ad7"]],"draw":7}',
  'reply', X'79657300C3A9', 'stop', 9, 1, 0, NULL, 'served', 'fp', '[["yes",-0.5,[["no",-1.0]]]]',
  NULL, NULL, NULL, NULL,
  '{"role":"generator","stage":"forward","arm":"seed","split":"test","example":"1"}', 1, 0.25,
  '2026-01-02T03:04:05.678+00:00',
  X'4A51EA4196D774832975C50CB1C809691E34656F3D11F7E445E290B28BD68D3B'
);
INSERT INTO replies VALUES (
  2, X'5E3C8E65285ABAC6D87B62AF169D38DA2FBB73D858CABBA2B27AA546A967832B',
  '{"v":1,"model":"model","temperature":null,"top_p":null,"max_tokens":null,"choices":[],"stop":[]' ||
    ',"logprobs":0,"messages":[["user","4b0003c9f1db147ea70bb0a6385e60c8f52e9c4e10c8200fc4f60b1e4fc6' ||
    '1ad7"]],"draw":8}',
  'failed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'server', 'down', 500, 6,
  '{"role":"generator","stage":"forward","arm":"seed","trial":1,"split":"test","example":"1"}', 6,
  0.0, '2026-01-02T03:04:05.678+00:00',
  X'8D0BB310B12E18C45780D6202BE73EDAD9272AD7BAE81901FA86ECF809BD59E9'
);
INSERT INTO runs VALUES (
  'run', '{"steps":1}', '2026-01-02T03:04:05.678+00:00', '0.1.0',
  X'3C5304931DBA8D4E97A6B8891D32F8940A05932C343007BEE8A6335A71B17224'
);
INSERT INTO events VALUES (
  1, X'79C3BD672461F42E40FC9044AE5461403BD02D8B5562F1E6869A161F556BB98D', 'run', 'seed#0',
  'test-opened', '["test-opened","seed#0",{"candidate":"Is it good?","purpose":"seed"}]',
  '2026-01-02T03:04:05.678+00:00',
  X'04D54D934214429998EB156EF187549F6B354E48536CDB6825E71510ED1CF853'
);
INSERT INTO events VALUES (
  2, X'6C607AE0403422BA7B09786D9005E4712B091509CE096DE79AEE0FB5B0EF5E8E', 'run', 'seed#0',
  'test-scored',
  '["test-scored","seed#0",{"candidate":"Is it good?","purpose":"seed","scores":[1.0,null],"unparsed":0}]',
  '2026-01-02T03:04:05.678+00:00',
  X'AD58970F514028BE9003118DB6A5EB8CE1949B4394AA523D6921D43872539417'
);
"""


def test_a_ledger_of_the_oldest_schema_is_read_and_goes_on(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.executescript(VERSION_1)
    before = verify(path)
    assert before.problems == ()
    assert before.checked == {"texts": 1, "replies": 2, "runs": 1, "events": 2}
    with open_ledger(path) as ledger:
        first, second = ledger.replies()
        logprobs = (TokenLogprob("yes", -0.5, (("no", -1.0),)),)
        assert first.answer == Reply("yes\0é", "stop", Usage(9, 1, 0, None), "served", "fp", logprobs)
        assert second.answer == Failed("server", "down", 500, 6)
        assert second.about == About("generator", "forward", "seed", 1, "test", "1")
        asked = Request(
            "model", (Message("user", "Is it good?"),), Sampling(0.5), ("yes", "no"), ("\n",), 2, 7
        )
        assert ledger.request_of(first.identity) == asked
        assert asked.identity() == first.identity, "this version would pay again for what old ledgers hold"
        assert ledger.find([asked.identity()]) == {asked.identity(): first.answer}
        assert [event.scope for event in ledger.events("run")] == ["seed#0", "seed#0"]
        assert ledger.spec("run") == '{"steps":1}'
        ledger.append([make_record(1)], list(zip(["run"] * 2, ledger.events("run"), strict=True)))
        assert ledger.counts() == {"replies": 2, "failed": 1, "texts": 3, "runs": 1, "events": 2}
    assert verify(path).problems == ()

"""Verification names what was changed, and finds nothing where nothing was."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Failed, Message, Reply, Request, Sampling, TokenLogprob, Usage
from nullgrad.core.effects import About
from nullgrad.core.events import (
    BatchRun,
    CandidateScored,
    Event,
    ProposalUnparsed,
    Proposed,
    Reported,
    StepDone,
    TrialDone,
    TrialStarted,
)
from nullgrad.core.events import TestOpened as Opened
from nullgrad.core.events import TestScored as Tested
from nullgrad.core.trial import run_test, run_trial
from nullgrad.edges.ledger.fold import ScopeFold
from nullgrad.edges.ledger.migrations import MIGRATIONS
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.ledger.verify import Report, verify
from nullgrad.errors import LedgerError
from nullgrad.ports import Record

ARM = "one-step/correct/validated@2"
S = f"{ARM}#0"

TRIAL: tuple[Event, ...] = (
    TrialStarted(S, "p0"),
    BatchRun(S, 1, ("a", "b"), (1.0, 0.0), 0),
    Proposed(S, 1, 1, "p1b"),
    CandidateScored(S, 1, 1, "p1b", (1.0, 1.0), (1.0, 1.0), 0),
    CandidateScored(S, 1, -1, "p0", (0.0, 1.0), (0.0, 1.0), 0),
    Proposed(S, 1, 0, "p1a"),
    CandidateScored(S, 1, 0, "p1a", (0.0, None), (0.0, None), 1),
    StepDone(S, 1, 1, "p1b"),
    ProposalUnparsed(S, 2, 0, "refusal", "I am sorry."),
    Proposed(S, 2, 1, "p2b"),
    CandidateScored(S, 2, 1, "p2b", (1.0, 0.0), (1.0, 0.0), 0),
    StepDone(S, 2, -1, "p1b"),
    TrialDone(S, "p1b", 2),
    Opened(S, "seed", "p0"),
    Opened(S, "final", "p1b"),
    Tested(S, "final", "p1b", (1.0, 0.0), 0),
    Tested(S, "seed", "p0", (None, 0.0), 0),
)
"""A trial as it goes: two steps, the second keeps its prompt."""


def sample(path: Path) -> Path:
    """A ledger with rows of every kind, and two trials that were interrupted and resumed."""
    other = [replace(event, scope=f"{ARM}#1") for event in TRIAL]
    mixed = [event for pair in zip(TRIAL, other, strict=True) for event in pair]
    with open_ledger(path) as ledger:
        ledger.begin_run("first", '{"steps":2}')
        ledger.begin_run("second", '{"steps":2}')
        logprobs = (TokenLogprob("yes", -0.25, (("no", -1.5),)),)
        answers = (
            Reply("yes", "stop", Usage(10, 1, 2, 3), "served", "fp", logprobs),
            Failed("server", "down", 500, 6),
            Reply("é \ud800", "length"),
        )
        for number, answer in enumerate(answers):
            messages = (Message("system", "shared"), Message("user", f"input {number}"))
            request = Request("model", messages, Sampling(0.0), ("yes", "no"), draw=number)
            about = About("generator", "forward", ARM, 0, "train", f"e{number}", 1)
            ledger.append([Record(request.identity(), request, answer, about, 2, 0.5)], [])
        ledger.append([], [("first", event) for event in mixed[:13]])
        replayed = sorted(mixed, key=lambda event: event.scope)
        ledger.append([], [("first", event) for event in replayed])
        ledger.append([], [("second", event) for event in (*reversed(other[:1]), Reported("", "{}"))])
    return path


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("clean") / "clean.ledger")


@pytest.fixture
def copy(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(clean, tmp_path / "copy.ledger"))


def change(path: Path, *statements: str | tuple[str, Sequence[object]]) -> None:
    """Change a ledger from outside, past its triggers."""
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("PRAGMA ignore_check_constraints = 1")
        for statement in statements:
            sql, values = (statement, ()) if isinstance(statement, str) else statement
            raw.execute(sql, values)


def named(report: Report) -> set[str]:
    """Tables with a problem, but for the triggers that `change` drops."""
    return {problem.table for problem in report.problems if problem.table != "schema"}


def test_a_sound_ledger_has_no_problems(clean: Path) -> None:
    told: list[tuple[str, int, int]] = []
    report = verify(clean, lambda *progress: told.append(progress))
    assert report == Report({"texts": 4, "replies": 3, "runs": 2, "events": 36}, ())
    assert [table for table, _, _ in told] == ["texts", "runs", "replies", "events"]
    assert told[-1][1:] == (45, 45)


def test_a_ledger_in_use_is_verified_and_left_as_it_is(clean: Path, copy: Path) -> None:
    before = copy.read_bytes()
    assert verify(copy).problems == ()
    assert copy.read_bytes() == before
    with open_ledger(copy) as ledger:
        ledger.append([], [("second", TrialStarted("seed#5", "p"))])
        assert verify(copy).checked["events"] == 37


def columns() -> list[tuple[str, str]]:
    """Every column of every table, from the schema itself."""
    with contextlib.closing(sqlite3.connect(":memory:")) as raw:
        from nullgrad.edges.ledger.connect import engine_of

        with engine_of(raw, writes=True).connect() as connection, connection.begin():
            for migration in MIGRATIONS:
                migration(connection)
        tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [
            (table, column[1]) for table in tables for column in raw.execute(f"PRAGMA table_info({table})")
        ]


def altered(value: object) -> object:
    """The value with one byte changed; a number by one."""
    if isinstance(value, int | float):
        return value + 1
    if value is None:
        return b"x"
    assert isinstance(value, bytes)
    return value[:-1] + bytes([value[-1] ^ 1]) if value else b"x"


@pytest.mark.parametrize(("table", "column"), columns())
def test_one_changed_byte_is_named(copy: Path, table: str, column: str) -> None:
    with contextlib.closing(sqlite3.connect(copy)) as raw:
        raw.text_factory = bytes
        order = "ORDER BY rowid LIMIT 1"
        value, kind = raw.execute(f"SELECT {column}, typeof({column}) FROM {table} {order}").fetchone()
    place = "CAST(? AS TEXT)" if kind == "text" else "?"
    change(
        copy,
        (
            f"UPDATE {table} SET {column} = {place} WHERE rowid = (SELECT rowid FROM {table} {order})",
            [altered(value) if column != "id" else 999],
        ),
    )
    try:
        report = verify(copy)
    except LedgerError as error:
        pytest.fail(f"verify gave up: {error}")
    assert table in named(report), report.problems


def test_the_row_that_was_changed_is_named(copy: Path) -> None:
    with open_ledger(copy, read_only=True) as ledger:
        identities = [row.identity for row in ledger.replies()]
    change(copy, ("UPDATE replies SET text = 'no' WHERE identity = ?", [bytes.fromhex(identities[0])]))
    problems = [problem for problem in verify(copy).problems if problem.table != "schema"]
    assert [(problem.table, problem.key) for problem in problems] == [("replies", identities[0])]


def test_a_text_stored_otherwise_but_equal_is_equal(copy: Path) -> None:
    """SQLite's own type of a value is no part of it: a dump and restore may change it."""
    change(copy, "UPDATE replies SET text = CAST(text AS BLOB) WHERE id = 1")
    assert named(verify(copy)) == set()


def test_a_dropped_trigger_is_named(copy: Path) -> None:
    change(copy)
    missing = {problem.key for problem in verify(copy).problems}
    assert {"replies_no_update", "events_no_delete", "meta_only_grows"} <= missing
    assert {problem.what for problem in verify(copy).problems} == {"is missing"}


@pytest.mark.parametrize(
    ("statement", "table", "what"),
    [
        ("DELETE FROM texts WHERE body = 'input 1'", "texts", "is missing; the request"),
        ("DELETE FROM replies WHERE id = 2", "replies", "1 row(s) are missing"),
        ("DELETE FROM events WHERE id IN (4, 5)", "events", "2 row(s) are missing"),
        ("DELETE FROM runs WHERE run = 'second'", "events", "the run second, which was never begun"),
        ("UPDATE events SET run = 'second' WHERE id = 7", "events", "does not have this digest"),
        ("UPDATE events SET scope = 'x#0' WHERE id = 3", "events", "kind or scope differ"),
        ("UPDATE replies SET request = request || ' ' WHERE id = 1", "replies", "the request does not have"),
        ("UPDATE replies SET seconds = seconds + 0.001", "replies", "does not have its seal"),
    ],
)
def test_what_is_wrong_is_said(copy: Path, statement: str, table: str, what: str) -> None:
    change(copy, statement)
    assert any(problem.table == table and what in problem.what for problem in verify(copy).problems)


def test_a_reading_of_the_test_split_cannot_be_hidden(copy: Path) -> None:
    """Not even with the rows renumbered: the score still says that the split was opened."""
    change(
        copy,
        "DELETE FROM events WHERE kind = 'test-opened' AND body LIKE '%final%'",
        "UPDATE events SET id = id + 1000",
        "UPDATE events SET id = (SELECT count(*) FROM events AS other WHERE other.id <= events.id)",
    )
    problems = [problem.what for problem in verify(copy).problems if problem.table == "events"]
    assert (
        problems == ["the test split was scored without having been opened for this purpose and prompt"] * 2
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_file_is_reported_and_not_a_crash(copy: Path, seed: int) -> None:
    content = bytearray(copy.read_bytes())
    dice = random.Random(seed)
    page = dice.randrange(1, len(content) // 4096) * 4096
    content[page : page + 4096] = dice.randbytes(4096)
    copy.write_bytes(content)
    try:
        assert verify(copy).problems
    except LedgerError as error:
        assert str(copy) in error.what and error.ways_out


def test_what_is_no_ledger_is_not_verified(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="There is no ledger"):
        verify(tmp_path / "none.ledger")
    (tmp_path / "text.ledger").write_text("no database, " * 100)
    with pytest.raises(LedgerError, match="not an SQLite database"):
        verify(tmp_path / "text.ledger")


# The fold


def folded(events: Sequence[Event]) -> list[str]:
    """What the fold of one scope says of its events."""
    fold = ScopeFold(events[0].scope)
    return [problem for event in events if (problem := fold.take(event))]


def replaced(old: Event, *new: Event) -> list[Event]:
    """The trial with other events in the place of one."""
    assert old in TRIAL
    return [one for event in TRIAL for one in (new if event == old else (event,))]


def test_a_trial_folds() -> None:
    assert folded(TRIAL) == []


STEP_1, STEP_2, DONE = TRIAL[7], TRIAL[11], TRIAL[12]

WRONG = {
    "kept another prompt": (replaced(STEP_2, StepDone(S, 2, -1, "p2b")), "is not the current one"),
    "took what was not proposed": (replaced(STEP_1, StepDone(S, 1, 1, "px")), "variant 1 did not propose"),
    "took a variant that was unparsed": (replaced(STEP_2, StepDone(S, 2, 0, "p1b")), "variant 0 did not propose"),
    "took a worse one": (replaced(STEP_1, StepDone(S, 1, 0, "p1a")), "took variant 0, but by the scores it is variant 1"),
    "left the guard": (replaced(STEP_2, StepDone(S, 2, 1, "p2b")), "took variant 1, but by the scores it is the current"),
    "ended otherwise": (replaced(DONE, TrialDone(S, "p0", 2)), "not the one of its last step"),
    "ended before its step": ([TRIAL[0], DONE, *TRIAL[1:12]], "not the one of its last step"),
    "never started": (TRIAL[1:7], "scored a prompt as the current one that was not"),
    "scored before it was proposed": ([TRIAL[0], TRIAL[3], TRIAL[2]], "scored a prompt that variant 1 did not propose"),
    "scored another": (
        replaced(TRIAL[6], CandidateScored(S, 1, 0, "p1b", (0.0, 0.0), (0.0, 0.0), 0)),
        "scored a prompt that variant 0 did not propose",
    ),
    "scored fewer examples": (
        replaced(TRIAL[6], CandidateScored(S, 1, 0, "p1a", (0.0,), (0.0,), 0)),
        "step 1 scored 1 examples, 2 before",
    ),
    "guarded another": (
        replaced(TRIAL[4], CandidateScored(S, 1, -1, "p1a", (0.0, 1.0), (0.0, 1.0), 0)),
        "scored a prompt as the current one that was not",
    ),
    "test without opening": (replaced(TRIAL[14]), "without having been opened"),
    "test of another prompt": (replaced(TRIAL[15], Tested(S, "final", "p2b", (1.0,), 0)), "without having been opened"),
    "test for another purpose": (replaced(TRIAL[15], Tested(S, "best", "p1b", (1.0,), 0)), "without having been opened"),
    "test before its end": ([*TRIAL[:12], *TRIAL[14:16], DONE], "with which the trial had not ended"),
    "test of what it did not end with": ([*TRIAL, Opened(S, "final", "p2b")], "with which the trial had not ended"),
    "two starts": ([TRIAL[0], TrialStarted(S, "q0")], "contradicts an earlier trial-started"),
    "two proposals": ([*TRIAL, Proposed(S, 1, 0, "q")], "contradicts an earlier proposed"),
    "read and unread": ([*TRIAL, Proposed(S, 2, 0, "q")], "contradicts an earlier proposed"),
    "two rows": (
        [*TRIAL, CandidateScored(S, 1, 0, "p1a", (1.0, 1.0), (1.0, 1.0), 1)],
        "contradicts an earlier candidate-scored",
    ),
    "two choices": ([*TRIAL, StepDone(S, 2, 1, "p2b")], "contradicts an earlier step-done"),
    "two ends": ([*TRIAL, TrialDone(S, "p0", 2)], "contradicts an earlier trial-done"),
    "two results": ([*TRIAL, Tested(S, "final", "p1b", (1.0, 1.0), 0)], "contradicts an earlier test-scored"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_follow_is_said(case: str) -> None:
    events, expected = WRONG[case]
    problems = folded(events)
    assert problems and expected in problems[0], problems


def test_scopes_of_other_optimizers_are_folded_without_a_choice() -> None:
    scope = "gepa#0"
    rows = [
        CandidateScored(scope, 1, number, f"p{number}", (), (float(number),) * (number + 1), 0)
        for number in (0, 1)
    ]
    proposed = [Proposed(scope, 1, number, f"p{number}") for number in (0, 1)]
    assert folded([TrialStarted(scope, "p"), *proposed, *rows, StepDone(scope, 1, 0, "p0")]) == []


@pytest.mark.parametrize(
    "arm", ["seed", "rewrite", "improve/best@2", "gradient/wrong/random@3", "one-step/correct/naive",
            "gradient/correct/validated@3", "one-step/shuffled/validated@2+wrong", "gradient/none/best@2+shuffled"]
)  # fmt: skip
def test_real_trials_fold_whatever_fails(arm: str, tmp_path: Path) -> None:
    """No false alarm: trials of every shape, with calls that fail and replies that do not parse."""
    from tests.support.trials import Recorder, make_setting, make_task, obliging, run

    def moody(ask: object) -> Reply | Failed:
        draw = ask.request.draw  # type: ignore[attr-defined]
        if draw % 11 == 0:
            return Failed("server", "down", 500, 6)
        return Reply("I am sorry.") if draw % 7 == 0 else obliging(ask)  # type: ignore[arg-type]

    recorder, task = Recorder(moody), make_task()
    for trial in range(4):
        setting = make_setting(arm, steps=0 if arm == "seed" else 4, trial=trial)
        result = run(run_trial(setting), recorder)
        run(run_test(setting, result.candidate, "final", task.test), recorder)
        run(run_test(setting, Candidate.of(setting.view.seed_prompt), "seed", task.test), recorder)
    path = tmp_path / "trials.ledger"
    with open_ledger(path) as ledger:
        ledger.begin_run("run", "{}")
        answers = {ask.request.identity(): ask for ask in recorder.asks}
        records = [Record(key, ask.request, moody(ask), ask.about, 1, 0.1) for key, ask in answers.items()]
        ledger.append(records, [("run", event) for event in recorder.events[:9]])
        ledger.append(records, [("run", event) for event in recorder.events])
    report = verify(path)
    assert report.problems == ()
    assert report.checked["events"] == len(set(recorder.events)) > 8

"""What the progress of a comparison counts and says."""

from __future__ import annotations

import time

import pytest

from nullgrad.core.chat import Reply, Usage
from nullgrad.core.compare import Comparison, Entry
from nullgrad.core.effects import About
from nullgrad.core.events import Compared, TestScored
from nullgrad.core.foreign_budget import Allowance
from nullgrad.surfaces import compare_progress
from nullgrad.surfaces.compare_plan_text import plan_lines
from nullgrad.surfaces.compare_progress import CompareProgress, LiveCompareProgress, PlainCompareProgress

ENTRY = Entry("gepa/correct/correct", "gepa")
REPLY = Reply("yes", "stop", Usage(10, 1))


def answered(
    progress: CompareProgress, calls: int, trial: int = 0, split: str = "", arm: str = ENTRY.name
) -> None:
    """Answers of a trial."""
    for _ in range(calls):
        progress.on_answer(About("generator", "foreign", arm, trial, split), REPLY, "paid")


def test_calls_of_running_trials_are_set_beside_their_budget() -> None:
    progress = CompareProgress(Comparison("t", (ENTRY,), 3, Allowance(100)), 300)
    answered(progress, 30)
    answered(progress, 20, 1)
    answered(progress, 7, split="test")
    answered(progress, 5, arm="seed")
    assert progress.running == {ENTRY.scope(0): 30, ENTRY.scope(1): 20}
    summary = progress.summary()
    assert summary.startswith("0/3 trials · 62 calls (62 paid)")
    assert "gepa/correct/correct#0 30/100 · gepa/correct/correct#1 20/100" in summary
    progress.on_event(Compared(ENTRY.scope(0), "budget"))
    assert (progress.done, progress.running) == (1, {ENTRY.scope(1): 20})


def test_trials_that_had_ended_before_count_as_done_and_take_no_time() -> None:
    progress = CompareProgress(Comparison("t", (ENTRY,), 4, Allowance(100)), 400, before=2)
    assert progress.done == 2
    assert progress.seconds_left() is None
    answered(progress, 50, 2)
    progress.started = time.monotonic() - 10
    # 2 x 100 calls are left at most, of which 50 are done, at 5 a second.
    assert progress.seconds_left() == pytest.approx(30, rel=0.05)


def test_what_came_from_the_ledger_in_a_moment_says_nothing_of_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(compare_progress.time, "monotonic", lambda: clock[0])
    progress = CompareProgress(Comparison("t", (ENTRY,), 4, Allowance(1000)), 4000)
    for _ in range(900):
        progress.on_answer(About("generator", "foreign", ENTRY.name, 0), REPLY, "replayed")
    for _ in range(200):
        clock[0] += compare_progress.MARK_EVERY
        answered(progress, 1, 1)
    # One call in five seconds, and 4,000 calls at most less those of the running trials.
    assert progress.seconds_left() == pytest.approx((4000 - 1100) * 5, rel=0.02)


def test_a_terminal_gets_a_bar_of_the_trials() -> None:
    with LiveCompareProgress(Comparison("t", (ENTRY,), 3, Allowance(100)), 300) as progress:
        answered(progress, 3)
        progress.on_event(Compared(ENTRY.scope(0), "budget"))
        progress.say("A line above it.")
        (row,) = progress.rows()
    assert (row.done, row.total) == (1, 3)
    assert row.summary.startswith("1/3 trials · 3 calls")


def test_without_a_budget_in_calls_time_is_told_by_trials() -> None:
    progress = CompareProgress(Comparison("t", (ENTRY,), 4, Allowance(tokens=100)), 0)
    answered(progress, 50)
    assert progress.seconds_left() is None
    progress.started = time.monotonic() - 10
    progress.on_event(Compared(ENTRY.scope(0), "returned"))
    assert progress.seconds_left() == pytest.approx(30, rel=0.05)
    assert "gepa" not in progress.summary()


def test_every_end_and_every_reading_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainCompareProgress(Comparison("t", (ENTRY,), 3, Allowance(100)), 300)
    answered(progress, 3)
    progress.on_event(Compared(ENTRY.scope(0), "budget", claimed=0.75, reason="The budget is spent."))
    progress.on_event(Compared(ENTRY.scope(1), "failed", reason="KeyError: 'x'"))
    progress.on_event(TestScored(ENTRY.scope(0), "best", "c", (1.0, None, 0.0), 0))
    assert capsys.readouterr().err.splitlines() == [
        "gepa/correct/correct#0: budget, 75.0% by its own score, 3 of 100 calls",
        "gepa/correct/correct#1: failed, 0 of 100 calls (KeyError: 'x')",
        "gepa/correct/correct#0: 50.0% on the sealed test",
    ]


def test_the_sums_of_a_plan_are_three_lines() -> None:
    plan = {
        "entries": [{}], "trials": 1, "calls": None, "usd_estimate": 1.5, "processes": 1, "parallel": 2,
        "sealed_test": {"examples": 40, "readings": 2},
    }  # fmt: skip
    assert plan_lines(plan) == [
        "1 entry × 1 trial: as many calls as the budgets allow, about $1.50 at most; what is shared is paid once.",
        "Sealed test: 2 readings of 40 examples at most, which no trial's budget pays for.",
        "1 process of third-party packages, 2 side by side.",
    ]

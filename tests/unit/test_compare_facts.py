"""The fold of a comparison's events, and own trials under a hard budget."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nullgrad.core.candidate import Candidate
from nullgrad.core.compare import Comparison, Entry
from nullgrad.core.compare_facts import CompareFacts, own_claims, read_use, seed_claim, write_use
from nullgrad.core.events import (
    CandidateScored,
    Compared,
    Event,
    TestOpened,
    TestScored,
    parse_event,
)
from nullgrad.core.foreign import Claim, Use
from nullgrad.core.foreign_budget import Allowance
from nullgrad.run.compare import unfinished

GEPA = Entry("gepa/correct/correct", "gepa")
OWN = Entry("gradient/correct/validated@3", "gradient/correct/validated@3", own=True)
SEED, BEST = Candidate.of("Seed."), Candidate.of("Best.")
USE = {
    "optimizer": Use(calls=3, paid=1, replayed=2, prompt_tokens=30, completion_tokens=9, usd=Decimal("0.0010"), paid_usd=Decimal(0)),
    "generator": Use(calls=5, paid=4, failed=1, uncounted=1, usd=None, paid_usd=None),
}  # fmt: skip


def scored(scope: str, candidate: Candidate, scores: tuple[float | None, ...], purpose: str) -> list[Event]:
    """A reading of the test."""
    answers = tuple(None if one is None else "yes" for one in scores)
    return [
        TestOpened(scope, purpose, candidate.digest),
        TestScored(scope, purpose, candidate.digest, scores, 0, answers),
    ]


def compared(
    entry: Entry, trial: int, ended: str = "returned", candidate: Candidate | None = BEST
) -> Compared:
    """The end of a trial."""
    return Compared(
        entry.scope(trial),
        ended,
        candidate.digest if candidate else "",
        candidate.texts if candidate else (),
        0.75,
        0.5,
        write_use(USE),
        1.5,
        "0.1.4",
        (("metric_calls", 5.0),),
        1,
        "" if ended == "returned" else "spent",
    )


def test_an_event_keeps_all_that_a_trial_came_to() -> None:
    event = compared(GEPA, 0)
    assert parse_event(event.canonical()) == event
    assert read_use(event.use) == USE
    assert write_use({"judge": Use()}) == ()


def test_a_trial_is_there_once_it_ended_and_its_result_is_read() -> None:
    facts = CompareFacts()
    assert (facts.ended(GEPA, 0), facts.unread(GEPA, 0), facts.trial(GEPA, 0)) == (False, None, None)
    facts.take(compared(GEPA, 0, "budget"))
    assert facts.ended(GEPA, 0)
    assert facts.unread(GEPA, 0) == (BEST, "best")
    assert facts.trial(GEPA, 0) is None
    for event in scored(GEPA.scope(0), BEST, (1.0, None), "best"):
        facts.take(event)
    trial = facts.trial(GEPA, 0)
    assert trial is not None
    assert (trial.candidate, trial.test, trial.answers) == (BEST, (1.0, None), ("yes", None))
    assert (trial.claimed, trial.claimed_seed, trial.seconds, trial.version) == (0.75, 0.5, 1.5, "0.1.4")
    assert (trial.ended, trial.reason, trial.failures, trial.swallowed) == ("budget", "spent", 1, False)
    assert (trial.use, trial.counters) == (USE, {"metric_calls": 5.0})


def test_a_trial_without_a_result_needs_no_reading() -> None:
    facts = CompareFacts([compared(GEPA, 0, "failed", None)])
    trial = facts.trial(GEPA, 0)
    assert trial is not None
    assert (trial.ended, trial.candidate, trial.test, trial.answers) == ("failed", None, (), ())
    assert not facts.ran(GEPA, 1)
    assert CompareFacts([compared(GEPA, 0)]).ran(GEPA, 1)


def test_a_library_that_returns_in_spite_of_failed_calls_has_swallowed_them_and_an_own_arm_has_not() -> None:
    facts = CompareFacts(
        event
        for entry in (GEPA, OWN)
        for event in (compared(entry, 0), *scored(entry.scope(0), BEST, (1.0,), "final"))
    )
    third, own = facts.trial(GEPA, 0), facts.trial(OWN, 0)
    assert third is not None and own is not None
    assert (third.failures, own.failures) == (1, 1)
    assert (third.swallowed, own.swallowed) == (True, False)


def test_a_reading_of_another_prompt_is_not_that_of_the_result() -> None:
    facts = CompareFacts([compared(GEPA, 0), *scored(GEPA.scope(0), SEED, (0.0,), "final")])
    assert facts.trial(GEPA, 0) is None
    assert facts.unread(GEPA, 0) == (BEST, "final")


def test_the_last_end_of_a_trial_counts() -> None:
    facts = CompareFacts([compared(GEPA, 0, "failed", None), compared(GEPA, 0)])
    assert facts.unread(GEPA, 0) == (BEST, "final")


def test_validation_scores_are_those_by_the_right_targets_of_the_same_block() -> None:
    right, shown = (1.0, 0.0), (0.0, 1.0)
    rows = [
        CandidateScored(OWN.scope(1), 1, -1, SEED.digest, right, shown, 0),
        CandidateScored(OWN.scope(1), 1, 0, BEST.digest, (1.0, 1.0), (0.0, 0.0), 0),
    ]
    facts = CompareFacts(
        [
            *rows, compared(OWN, 1), *scored(OWN.scope(1), BEST, (1.0,), "final"),
            *scored("seed#1", SEED, (0.5,), "seed"), *scored("seed#11", SEED, (0.25,), "seed"),
        ]
    )  # fmt: skip
    trial, seed = facts.trial(OWN, 1), facts.seed(1)
    assert trial is not None and trial.validation == (1.0, 1.0)
    assert seed is not None and (seed.test, seed.validation) == ((0.5,), right)
    other = facts.seed(11)
    assert other is not None and (other.test, other.validation) == ((0.25,), ())
    assert own_claims(rows, BEST, SEED) == (0.0, 0.5)
    assert own_claims(rows, SEED, SEED) == (0.5, 0.5)
    assert own_claims([], BEST, SEED) == (None, None)


def test_the_claim_of_the_seed_prompt_is_the_first_that_has_a_score() -> None:
    claims = [Claim(0, SEED), Claim(1, BEST, 0.9), Claim(2, SEED, 0.4), Claim(3, SEED, 0.6)]
    assert seed_claim(claims, SEED) == 0.4
    assert seed_claim(claims[:2], SEED) is None


def test_what_is_left_goes_block_by_block_with_the_seed_first() -> None:
    comparison = Comparison("t", (GEPA, OWN), 2, Allowance(10))
    facts = CompareFacts()
    assert unfinished(comparison, facts) == ((None, 0), (GEPA, 0), (OWN, 0), (None, 1), (GEPA, 1), (OWN, 1))
    events = [
        *scored("seed#0", SEED, (1.0,), "seed"), compared(OWN, 0), *scored(OWN.scope(0), BEST, (1.0,), "final"),
        compared(GEPA, 0), compared(GEPA, 1, "failed", None),
    ]  # fmt: skip
    for event in events:
        facts.take(event)
    assert unfinished(comparison, facts) == ((GEPA, 0), (None, 1), (OWN, 1))
    assert facts.complete(comparison) == ()
    for event in scored(GEPA.scope(0), BEST, (0.0,), "final"):
        facts.take(event)
    assert facts.complete(comparison) == (0,)


@pytest.mark.parametrize("usd", [Decimal(0), Decimal("0.00000015"), Decimal("12.5")])
def test_dollars_come_back_to_the_last_digit(usd: Decimal) -> None:
    use = {"generator": Use(calls=1, usd=usd, paid_usd=usd)}
    assert read_use(parse_event(Compared("a#0", "returned", use=write_use(use)).canonical()).use) == use  # type: ignore[attr-defined]

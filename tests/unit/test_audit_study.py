"""How often an arm of a study ends in each verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import beta

from nullgrad.analysis.study.audits import TYPE, UNCHANGED, VERDICTS, audit_trial
from nullgrad.analysis.study.rows import CellData
from nullgrad.core.arms import SEED, parse_arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.events import CandidateScored, TestScored
from nullgrad.core.study_facts import TrialFacts
from nullgrad.core.task import Example
from tests.support.study_facts import a_cell, a_study, analysed, keyed

ARM = "improve/none/best@2"
TRUTH = ["yes"] * 280 + ["no"] * 120


def the_cell() -> Any:
    """280 of 400 test examples are yes."""
    cell = a_cell()
    test = tuple(Example(f"t{place}", "", target) for place, target in enumerate(TRUTH))
    return replace(cell, task=replace(cell.task, test=test))


def a_reading(arm: str, number: int, answers: list[str | None], prompt: str) -> TrialFacts:
    candidate = Candidate.of(prompt)
    trial = TrialFacts("small", arm, number, {candidate.digest: candidate}, seed="seed")
    scores = tuple(float(answer == truth) for answer, truth in zip(answers, TRUTH, strict=True))
    trial.test = TestScored(f"{arm}#{number}", "final", candidate.digest, scores, 0, tuple(answers))
    trial.final = None if arm == "seed" else candidate
    return trial


BEFORE: list[str | None] = ["yes", "no"] * 200
ALWAYS: list[str | None] = ["yes"] * 400
RIGHT: list[str | None] = list(TRUTH)


def result_of(finals: list[tuple[list[str | None], str]], **changes: Any) -> Any:
    study = a_study({ARM: len(finals)}, cells=(the_cell(),), **changes)
    trials = [a_reading("seed", number, BEFORE, "Say yes or no.") for number in range(len(finals))]
    trials += [a_reading(ARM, number, answers, prompt) for number, (answers, prompt) in enumerate(finals)]
    return analysed(study, keyed(trials))


def test_verdicts_are_counted_with_an_exact_interval() -> None:
    found = result_of([(ALWAYS, "a"), (ALWAYS, "b"), (RIGHT, "c"), (BEFORE, "d"), (BEFORE, "Say yes or no.")])
    rows = {row.verdict: row for row in found.audits}
    assert {row.trials for row in found.audits} == {5}
    # Saying yes always is what renaming the before prompt's answers gains, and no is never found again.
    assert rows["prevalence"].count == rows[TYPE].count == 2
    assert rows["genuine"].count == 1
    assert rows["no gain"].count == 1
    assert rows[UNCHANGED].count == 1
    low, high = beta.ppf(0.025, 2, 4), beta.ppf(0.975, 3, 3)
    assert (rows[TYPE].interval.low, rows[TYPE].interval.high) == pytest.approx((low, high))
    assert sum(row.count for row in found.audits if row.verdict != TYPE) == 5
    assert all(row.verdict in (*VERDICTS, UNCHANGED, TYPE) for row in found.audits)


def test_the_table_says_it_as_shares() -> None:
    table = result_of([(ALWAYS, "a"), (RIGHT, "b")]).tables()["audits"]
    (kind,) = [row for row in table if row["verdict"] == TYPE]
    assert (kind["count"], kind["trials"], kind["share"], kind["fitted_on_validation"]) == (1, 2, 0.5, 0)
    assert {"cell", "arm", "low", "high", "not_audited", "simulated"} <= set(kind)


def test_trials_without_answers_are_not_audited_and_counted() -> None:
    study = a_study({ARM: 2}, cells=(the_cell(),))
    old = a_reading(ARM, 1, ALWAYS, "b")
    assert old.test is not None
    old.test = replace(old.test, answers=())
    trials = [a_reading("seed", number, BEFORE, "s") for number in range(2)]
    found = analysed(study, keyed([*trials, a_reading(ARM, 0, ALWAYS, "a"), old]))
    assert {(row.trials, row.not_audited) for row in found.audits} == {(1, 1)}


def validated(
    trial: TrialFacts, seed: list[str | None], final: list[str | None], targets: list[str]
) -> TrialFacts:
    assert trial.final is not None
    for variant, digest, answers in ((-1, trial.seed, seed), (0, trial.final.digest, final)):
        row = tuple(float(answer == target) for answer, target in zip(answers, targets, strict=True))
        trial.step(1).scored[variant] = CandidateScored("s", 1, variant, digest, row, row, 0, tuple(answers))
    trial.step(1).chosen = 0
    return trial


def test_what_was_run_on_validation_is_what_is_fitted_on() -> None:
    cell = the_cell()
    targets = [one.target for one in cell.task.view.validation]
    assert set(targets) == {"yes", "no"}
    final = validated(a_reading(ARM, 0, ALWAYS, "a"), ["yes"] * 10, ["yes"] * 10, targets)
    study = a_study({ARM: 1}, cells=(cell,))
    trials = keyed([a_reading("seed", 0, BEFORE, "s"), final])
    data = CellData(study, cell, trials, False)
    audit = audit_trial(cell.task.view, data, parse_arm(ARM), 0)
    assert audit is not None
    assert not isinstance(audit, str)
    assert (audit.fitted, audit.fitted_on) == ("validation", 10)
    assert {row.on_validation for row in analysed(study, trials).audits} == {1}


def test_the_seed_and_trials_that_never_began_have_no_audit() -> None:
    cell = the_cell()
    data = CellData(a_study({ARM: 1}, cells=(cell,)), cell, {}, False)
    assert audit_trial(cell.task.view, data, parse_arm(ARM), 0) is None
    assert not [row for row in result_of([(ALWAYS, "a")]).audits if row.arm == SEED.canonical]

"""How often each arm of a study ends in each verdict of the audit: the seed prompt against every trial's final prompt.

From recorded answers alone. Events keep no log-probabilities, so that the bias-fitted benchmark is missing here and a
threshold shift is not excluded. Relabellings are fitted on validation where both prompts were run there, as under a guard,
else cross-fitted on the test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nullgrad.analysis.audit.predictions import PREVALENCE_TYPE, AuditVerdict, PredictionAudit
from nullgrad.analysis.audit.rows import AnswerPair, audit_if_any, no_classes, recorded_row
from nullgrad.analysis.serialize import share
from nullgrad.analysis.stats.intervals import Interval, clopper_pearson
from nullgrad.analysis.study.rows import CellData
from nullgrad.core.arms import SEED, Arm
from nullgrad.core.events import CandidateScored
from nullgrad.core.study_facts import TrialFacts
from nullgrad.core.task import TaskView

VERDICTS: tuple[AuditVerdict, ...] = (
    "no gain", "loss", "relabelling", "threshold", "prevalence", "mixed", "genuine", "cannot tell",
)  # fmt: skip
"""In the order in which they are decided."""

UNCHANGED = "unchanged"
"""In place of a verdict where a trial ended with the seed prompt."""

TYPE = "prevalence-type"
"""Relabelling, threshold and prevalence together."""


@dataclass(frozen=True, slots=True)
class ArmAudits:
    """How often one arm ended in one verdict, in one cell.

    Attributes:
        cell, arm: which.
        verdict: one of `VERDICTS`, `UNCHANGED`, or `TYPE`.
        count: trials that ended so.
        trials: trials that could be audited, those with an unchanged prompt included.
        interval: of the share, Clopper and Pearson's, 95 %.
        on_validation: of the trials audited, how many relabellings were fitted on validation.
        not_audited: trials of which answers are missing.
    """

    cell: str
    arm: str
    verdict: str
    count: int
    trials: int
    interval: Interval
    on_validation: int
    not_audited: int


def audit_trial(view: TaskView, data: CellData, arm: Arm, number: int) -> PredictionAudit | str | None:
    """The audit of one trial; `UNCHANGED` where it ended with the seed prompt, None where answers are missing.

    The seed prompt's answers are those of the same block, so that in the paired design both share their draws.
    """
    trial, seed = data.facts(arm, number), data.facts(SEED, number)
    if trial is None or trial.test is None or trial.final is None:
        return None
    if trial.final.prompt == view.seed_prompt:
        return UNCHANGED
    if seed is None or seed.test is None:
        return None
    before, after = recorded_row(view, seed.test), recorded_row(view, trial.test)
    if before is None or after is None:
        return None
    pair = AnswerPair(data.cell.task.test, before, after)
    return audit_if_any(view, pair, _validation(view, trial), brief=True)


def _validation(view: TaskView, trial: TrialFacts) -> AnswerPair | None:
    """Both prompts' recorded answers on validation, None where one was not run there."""
    assert trial.final is not None
    own = {trial.seed: _scored(trial, trial.seed), trial.final.digest: _scored(trial, trial.final.digest)}
    rows = [None if event is None else recorded_row(view, event) for event in own.values()]
    if len(rows) != 2 or rows[0] is None or rows[1] is None:
        return None
    return AnswerPair(view.validation, rows[0], rows[1])


def _scored(trial: TrialFacts, digest: str) -> CandidateScored | None:
    found = (event for step in trial.steps.values() for event in step.scored.values())
    return next((event for event in found if event.candidate == digest), None)


def study_audits(cells: Iterable[CellData], arms: Sequence[Arm]) -> tuple[ArmAudits, ...]:
    """Counts of verdicts by cell and arm; nothing of cells without closed labels."""
    rows: list[ArmAudits] = []
    for data in cells:
        view = data.cell.task.view
        if no_classes(view):
            continue
        for arm in arms:
            if arm != SEED:
                rows += _arm(view, data, arm)
    return tuple(rows)


def _arm(view: TaskView, data: CellData, arm: Arm) -> list[ArmAudits]:
    found = [audit_trial(view, data, arm, number) for number in data.of_arm(arm)]
    return count_audits(data.cell.name, arm.canonical, found)


def count_audits(cell: str, arm: str, found: Sequence[PredictionAudit | str | None]) -> list[ArmAudits]:
    """How often each verdict occurs among the audits of one arm's trials, as `audit_trial` gives them; [] for none."""
    audits = [one for one in found if isinstance(one, PredictionAudit)]
    counts: Counter[str] = Counter(one.verdict for one in audits)
    counts[UNCHANGED] = sum(one == UNCHANGED for one in found)
    trials = sum(counts.values())
    if not trials:
        return []
    counts[TYPE] = sum(counts[verdict] for verdict in PREVALENCE_TYPE)
    shown = [verdict for verdict in (*VERDICTS, UNCHANGED) if counts[verdict]] + [TYPE]
    return [
        ArmAudits(
            cell,
            arm,
            verdict,
            counts[verdict],
            trials,
            clopper_pearson(counts[verdict], trials),
            sum(one.fitted == "validation" for one in audits),
            len(found) - trials,
        )
        for verdict in shown
    ]


def audit_rows(rows: Iterable[ArmAudits]) -> list[dict[str, Any]]:
    """The table `audits`."""
    return [
        {
            "cell": one.cell,
            "arm": one.arm,
            "verdict": one.verdict,
            "count": one.count,
            "trials": one.trials,
            "share": share(one.count / one.trials),
            "low": share(one.interval.low),
            "high": share(one.interval.high),
            "fitted_on_validation": one.on_validation,
            "not_audited": one.not_audited,
        }
        for one in rows
    ]

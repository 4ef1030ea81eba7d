"""What the winner of one optimization's selection claims, and what of it will hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nullgrad.analysis.selection_bias import SelectionBias, selection_bias
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.study.rows import as_row
from nullgrad.core.arms import Arm, Labels
from nullgrad.core.events import CandidateScored, Event
from nullgrad.core.selection import KEEP, Row, comparable
from nullgrad.core.setting import scope_of
from nullgrad.core.study_facts import StepFacts, fold_trials


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """The winner's selection score beside what corrects it; shares, 0 to 1, of what selection maximized.

    Attributes:
        labels: that chose; `claimed` and `corrected` are against these, the sealed test against the right ones.
        steps: that chose; from the second on candidates descend from earlier choices.
        trials: that were chosen among.
        first: of the candidates of the first step, over all trials: all were proposed before any was scored.
        final_claimed: selection score of the reported prompt, None where its trial chose none and scored none.
        final_test: its sealed test, None where no answer counts. It is of other examples.
    """

    labels: Labels
    steps: int
    trials: int
    first: SelectionBias | NotEstimable
    final_claimed: float | None
    final_test: float | None

    @property
    def adaptive(self) -> bool:
        """Whether only the sealed test is unbiased."""
        return self.steps > 1


def selection_report(
    events: Iterable[Event],
    arm: Arm,
    *,
    steps: int,
    trials: int,
    claimed: float | None,
    test: float | None,
    seed: int,
) -> SelectionReport | None:
    """The report on an arm that validates; None for other arms, and where no candidate was scored.

    Args:
        events: of the run.
        arm: the arm.
        steps: of each trial.
        trials: of the arm, among which the best by validation is reported.
        claimed: selection score of the reported prompt.
        test: sealed test score of the reported prompt, by what selection maximized.
        seed: of the resamples.
    """
    if not arm.validates:
        return None
    own = {scope_of(arm, trial) for trial in range(trials)}
    folded = fold_trials(event for event in events if event.scope in own)
    variants: list[Row] = []
    incumbents: list[Row] = []
    for trial in folded.values():
        rows, kept = first_rows(trial.steps.get(1), arm)
        variants += rows[: len(rows) - kept]
        incumbents += rows[len(rows) - kept :]
    if not variants:
        return None
    first: SelectionBias | NotEstimable
    if len(variants) + len(incumbents) < 2:
        first = NotEstimable("one candidate alone, so that nothing was chosen")
    else:
        rows = [*variants, *incumbents]
        matrix = np.array([as_row(row) for row in rows])
        # An example of a rare class contributes more than 1 to balanced accuracy.
        most = max(1.0, float(np.nanmax(matrix)))
        first = selection_bias(matrix / most, seed=seed, incumbents=len(incumbents))
        if not isinstance(first, NotEstimable):
            first = first.times(most)
    return SelectionReport(arm.validation_labels, steps, trials, first, claimed, test)


def first_rows(step: StepFacts | None, arm: Arm) -> tuple[list[Row], int]:
    """Rows of a step's candidates against the labels that chose, and how many of the last are of the current prompt.

    Rows that selection sets aside because too much of them is missing are left out.
    """
    if step is None:
        return [], 0
    rows = [_usable(one) for number, one in sorted(step.scored.items()) if number != KEEP]
    kept = [_usable(step.scored[KEEP])] if arm.selection == "validated" and KEEP in step.scored else []
    known = [row for row in rows if row is not None]
    last = [row for row in kept if row is not None]
    return [*known, *last], len(last)


def _usable(one: CandidateScored) -> Row | None:
    return one.shown if one.shown and comparable(one.shown) else None

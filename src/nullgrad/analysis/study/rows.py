"""Rows of scores out of the facts of a study: what every estimator of a study is given.

A trial that was never started, or that a stop of the study cut off, is *not run*: the study is that much smaller. A
trial whose calls failed is *incomplete*: its row has holes, which the worst-case rule fills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

import numpy as np

from nullgrad.analysis.stats.estimate import Floats
from nullgrad.core.arms import Arm
from nullgrad.core.batches import batch_place
from nullgrad.core.events import TestScored
from nullgrad.core.selection import KEEP, Row
from nullgrad.core.study import Cell, Study
from nullgrad.core.study_facts import Key, TrialFacts
from nullgrad.core.task import UnparsedPolicy

Rows = dict[int, Floats]
"""By trial number: one row of scores, NaN where missing."""

TRUE, SHOWN = "true", "shown"


def as_row(scores: Row) -> Floats:
    """Scores with NaN where they are missing."""
    return np.array([np.nan if score is None else score for score in scores], dtype=np.float64)


def reading_row(
    scores: Row, answers: Sequence[str | None], policy: UnparsedPolicy, *, fill: bool = True
) -> Floats:
    """Scores of one reading of the test, NaN where missing.

    Under the policy `exclude` an unparsed answer takes the mean of the others, so that the mean of the row is the
    trial's score; without `fill` it is NaN.
    """
    row = as_row(scores)
    if policy != "exclude" or not answers:
        return row
    excluded = ~np.isnan(row) & np.array([answer is None for answer in answers])
    rest = row[~excluded & ~np.isnan(row)]
    row[excluded] = rest.mean() if fill and len(rest) else np.nan
    return row


def matrix(rows: Rows, numbers: Sequence[int], width: int = 1) -> Floats:
    """Rows of these trials, shape (trials, examples)."""
    return np.array([rows[number] for number in numbers]) if numbers else np.zeros((0, width))


def validation_rows(trial: TrialFacts) -> dict[int, Floats]:
    """Validation row, against true labels, of the current candidate after each step; 0 is the seed prompt's.

    Steps of which the row is not known (nothing scored yet, or a judge that graded corrupted labels alone) are left
    out.
    """
    found: dict[int, Floats] = {}
    row: Floats | None = None
    for number in sorted(trial.steps):
        step = trial.steps[number]
        if KEEP in step.scored:
            scores = step.scored[KEEP].scores
            row = as_row(scores) if scores else None
            if number == 1 and row is not None:
                found[0] = row
        if step.chosen is None:
            break
        if step.chosen != KEEP:
            taken = step.scored.get(step.chosen)
            row = as_row(taken.scores) if taken is not None and taken.scores else None
        if row is not None:
            found[number] = row
    return found


def train_scores(trial: TrialFacts, arm: Arm, labels: str) -> dict[int, tuple[tuple[str, float | None], ...]]:
    """By step: example and score of the current candidate on its batch; steps without such scores are left out.

    Args:
        trial: the facts.
        arm: its arm. In critic arms the labels shown are those that the critic's prompt is updated by, not the critic's
            own judgements.
        labels: `true`, or `shown` to the optimizer.
    """
    found: dict[int, tuple[tuple[str, float | None], ...]] = {}
    for number, step in trial.steps.items():
        if step.batch is None:
            continue
        if labels == TRUE:
            scores = step.batch.scores
        elif arm.critic:
            scores = step.critiqued.shown if step.critiqued is not None and arm.joint else ()
        else:
            scores = step.batch.shown
        if scores:
            found[number] = tuple(zip(step.batch.examples, scores, strict=True))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class CellData:
    """Facts of one cell of a study.

    Attributes:
        study, cell: which.
        trials: of the whole study.
        stopped: whether the study was stopped before its end.
    """

    study: Study
    cell: Cell
    trials: Mapping[Key, TrialFacts]
    stopped: bool

    def facts(self, arm: Arm, number: int) -> TrialFacts | None:
        """Of one trial, None where it was never started."""
        return self.trials.get((self.cell.name, arm.canonical, number))

    def of_arm(self, arm: Arm) -> dict[int, TrialFacts]:
        """Trials of an arm that were started, by number."""
        found = {number: self.facts(arm, number) for number in range(self.study.trials(arm))}
        return {number: trial for number, trial in found.items() if trial is not None}

    def test_rows(self, arm: Arm, *, fill: bool = True) -> Rows:
        """Test rows of the final candidates of the trials that were run.

        Under the policy `exclude` an unparsed answer takes the mean of its trial's other answers, so that the mean of
        the row is the trial's score; without `fill` it is NaN.
        """
        rows: Rows = {}
        for number, trial in self.of_arm(arm).items():
            if trial.test is not None and trial.complete:
                rows[number] = self.reading(trial.test, fill)
            elif not self.stopped:
                rows[number] = np.full(len(self.cell.task.test), np.nan)
        return rows

    def reading(self, test: TestScored, fill: bool = True) -> Floats:
        """The row of one reading of the test."""
        return reading_row(test.scores, test.answers, self.cell.task.view.unparsed, fill=fill)

    def curve_rows(self, arm: Arm, step: int) -> Rows:
        """Test rows of the candidates after a step."""
        return {
            number: self.reading(trial.curve[step])
            for number, trial in self.of_arm(arm).items()
            if step in trial.curve
        }

    def validation(self, arm: Arm) -> dict[int, dict[int, Floats]]:
        """`validation_rows` by trial."""
        return {number: validation_rows(trial) for number, trial in self.of_arm(arm).items()}

    @property
    def epochs(self) -> tuple[tuple[int, ...], ...]:
        """Steps of each epoch, the last one maybe shorter."""
        size = len(self.cell.task.view.train)
        steps = range(1, self.study.steps + 1)
        places = [batch_place(step, size, self.study.batch_size).epoch for step in steps]
        return tuple(
            tuple(step for step, epoch in zip(steps, places, strict=True) if epoch == number)
            for number in sorted(set(places))
        )

    @property
    def full_epochs(self) -> tuple[tuple[int, ...], ...]:
        """The epochs that saw every training example."""
        each = -(-len(self.cell.task.view.train) // self.study.batch_size)
        return tuple(epoch for epoch in self.epochs if len(epoch) == each)

    def train_rows(self, arm: Arm, steps: Sequence[int], labels: str) -> Rows:
        """Scores on the training examples over the batches of these steps, in the order of the task.

        Trials that have not made all of the steps are left out; an example outside the batches is NaN.
        """
        ids = [example.id for example in self.cell.task.view.train]
        rows: Rows = {}
        for number, trial in self.of_arm(arm).items():
            scores = train_scores(trial, arm, labels)
            if all(step in scores for step in steps):
                known = {id_: score for step in steps for id_, score in scores[step]}
                rows[number] = as_row([known.get(id_) for id_ in ids])
        return rows


def whole(row: Floats) -> bool:
    """Whether nothing is missing."""
    return bool(len(row)) and not bool(np.isnan(row).any())


def scores_of(rows: Rows) -> dict[int, float]:
    """Trial scores of the complete rows."""
    return {number: float(row.mean()) for number, row in rows.items() if whole(row)}


def first_complete(first: Rows, second: Rows, blocks: int) -> tuple[int, ...] | None:
    """Numbers of the first complete blocks, None where fewer are there.

    A block that is not run yet hides those after it, so that a look sees the same blocks in whatever order they end;
    one with missing scores is passed over.
    """
    run = takewhile(lambda number: number in first and number in second, count())
    complete = [number for number in run if whole(first[number]) and whole(second[number])]
    return tuple(complete[:blocks]) if len(complete) >= blocks else None

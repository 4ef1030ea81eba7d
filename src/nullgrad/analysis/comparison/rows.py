"""Rows of test scores out of the trials of a comparison, block by block: what every estimator of it is given.

A trial that failed leaves its user with no new prompt, that is with the seed prompt: its row is the seed prompt's, its gain
0. Leaving it out instead would let an optimizer win by failing where the task is hard. Means over the trials with a result
stand beside it, and so does the number of those without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from nullgrad.analysis.stats.estimate import Estimate, Floats, NotEstimable, spread
from nullgrad.analysis.stats.intervals import Interval, t_interval
from nullgrad.analysis.study.rows import Rows, matrix, reading_row, whole
from nullgrad.core.compare import ComparedTrial, Comparison, Entry, SeedScores
from nullgrad.core.task import UnparsedPolicy

SHARE, DIFFERENCE = (0.0, 1.0), (-1.0, 1.0)
"""Bounds of a score, and of a difference of two."""

LEVEL = 0.95
"""Of the intervals that stand beside a mean; those that decide are corrected over their family."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over trials, in the unit of the values.

    Attributes:
        n: trials.
        mean: of their values.
        interval: Student's, 95 %, over trials.
    """

    n: int
    mean: Estimate
    interval: Interval | NotEstimable


def mean_of(
    values: Sequence[float],
    none: str = "no trial has it",
    bounds: tuple[float, float] = (-float("inf"), float("inf")),
) -> Mean:
    """Mean and interval of one number per trial.

    Args:
        values: by trial.
        none: why there are none, where there are none.
        bounds: of what the mean can be, within which the interval is kept.
    """
    if not values:
        missing = NotEstimable(none)
        return Mean(0, missing, missing)
    if len(values) == 1:
        return Mean(1, values[0], NotEstimable("one trial has no variance"))
    # Means of equal shares can differ by the last bit, which is no variance.
    found = t_interval(values, LEVEL) if spread(np.asarray(values, dtype=np.float64)) else None
    if found is None:
        return Mean(len(values), fmean(values), NotEstimable("no variance over trials"))
    low, high = bounds
    return Mean(len(values), fmean(values), Interval(max(low, found.low), min(high, found.high)))


@dataclass(frozen=True, slots=True, eq=False)
class CompareRows:
    """Trials of a comparison with their rows.

    Attributes:
        comparison: as declared.
        policy: what an unparsed answer counts as.
        width: test examples.
        seeds: the seed prompt by block.
        trials: by entry and block.
        blocks: numbers of complete blocks: the seed prompt and one trial of every entry.
    """

    comparison: Comparison
    policy: UnparsedPolicy
    width: int
    seeds: Mapping[int, SeedScores]
    trials: Mapping[tuple[str, int], ComparedTrial]
    blocks: tuple[int, ...]

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        policy: UnparsedPolicy,
        width: int,
        seeds: Sequence[SeedScores],
        trials: Sequence[ComparedTrial],
    ) -> CompareRows:
        """From what ended, in any order."""
        by_number = {one.trial: one for one in seeds}
        known = {(one.entry.name, one.trial): one for one in trials}
        names = [one.name for one in comparison.entries]
        blocks = tuple(
            number
            for number in range(comparison.trials)
            if number in by_number and all((name, number) in known for name in names)
        )
        return cls(comparison, policy, width, by_number, known, blocks)

    def of_entry(self, entry: Entry) -> tuple[ComparedTrial, ...]:
        """All trials of an entry that ended, those of incomplete blocks included."""
        numbers = range(self.comparison.trials)
        return tuple(
            self.trials[entry.name, number] for number in numbers if (entry.name, number) in self.trials
        )

    def in_blocks(self, entry: Entry) -> tuple[ComparedTrial, ...]:
        """Its trials of the complete blocks, in their order."""
        return tuple(self.trials[entry.name, number] for number in self.blocks)

    def seed_row(self, number: int) -> Floats:
        """The seed prompt's scores with the draws of a block."""
        seed = self.seeds[number]
        return reading_row(seed.test, seed.answers, self.policy)

    def row(self, trial: ComparedTrial) -> Floats:
        """Scores that a trial left its user with."""
        if not trial.test:
            return self.seed_row(trial.trial)
        return reading_row(trial.test, trial.answers, self.policy)

    def seed_rows(self) -> Rows:
        """By complete block."""
        return {number: self.seed_row(number) for number in self.blocks}

    def rows(self, entry: Entry) -> Rows:
        """Likewise of an entry."""
        return {one.trial: self.row(one) for one in self.in_blocks(entry)}

    def matrix(self, rows: Rows) -> Floats:
        """Shape (complete blocks, examples)."""
        return matrix(rows, self.blocks, self.width)

    def score(self, trial: ComparedTrial) -> float | None:
        """Mean test score that a trial left its user with, None where a score is missing."""
        return mean_whole(self.row(trial))

    def seed_score(self, number: int) -> float | None:
        """Likewise of the seed prompt in a block, None where it was not read either."""
        return mean_whole(self.seed_row(number)) if number in self.seeds else None

    def gain(self, trial: ComparedTrial) -> float | None:
        """Sealed gain of a trial as a share, 0 where it failed; None where a score is missing."""
        before = self.seed_score(trial.trial)
        after = None if before is None else self.score(trial)
        return None if before is None or after is None else after - before


def mean_whole(row: Floats) -> float | None:
    """Mean of a row of which nothing is missing."""
    return float(row.mean()) if whole(row) else None


def claimed_gain(trial: ComparedTrial) -> float | None:
    """What the optimizer itself says it gained, as a share, on the labels that it selects by; None where it does not say."""
    if not trial.test or trial.claimed is None or trial.claimed_seed is None:
        return None
    return trial.claimed - trial.claimed_seed

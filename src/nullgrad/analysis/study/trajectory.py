"""How scores move during a trial, as means over trials: train by step and epoch, validation and test by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from statistics import fmean
from typing import Literal

import numpy as np
from scipy.stats import t

from nullgrad.analysis.stats.estimate import Estimate, NotEstimable, spread
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.study.rows import SHOWN, TRUE, CellData, train_scores, whole
from nullgrad.core.arms import SEED, Arm
from nullgrad.core.rows import mean_known

Measure = Literal["train true", "train shown", "validation", "test"]
Unit = Literal["step", "epoch"]


@dataclass(frozen=True, slots=True)
class MeanOver:
    """A mean over trials.

    Attributes:
        n: trials.
        mean: of their values.
        sd: with n − 1.
        interval: Student's, 95 %, over trials on this split, within 0 to 1.
    """

    n: int
    mean: Estimate
    sd: Estimate
    interval: Interval | NotEstimable


def mean_over(values: Sequence[float]) -> MeanOver:
    """Mean, standard deviation and interval of one share per trial."""
    if not values:
        none = NotEstimable("no complete trial")
        return MeanOver(0, none, none, none)
    mean = fmean(values)
    if len(values) < 2:
        few = NotEstimable("one trial has no variance")
        return MeanOver(1, mean, few, few)
    sd = spread(np.asarray(values, dtype=np.float64))
    if sd == 0:
        return MeanOver(len(values), mean, 0.0, NotEstimable("no variance over trials"))
    half = _quantile(len(values) - 1) * sd / sqrt(len(values))
    return MeanOver(len(values), mean, sd, Interval(max(0.0, mean - half), min(1.0, mean + half)))


@lru_cache(maxsize=256)
def _quantile(df: int) -> float:
    return float(t.ppf(0.975, df))


@dataclass(frozen=True, slots=True)
class TrajectoryPoint:
    """One point of one arm.

    Attributes:
        cell, arm: which.
        measure: `train true` and `train shown` are of the current candidate on its batch, before the step's update;
            `validation` and `test` of the candidate after the step, against true labels.
        unit, at: step or epoch, and its number from 1; 0 is the seed prompt.
        over: mean over trials.
    """

    cell: str
    arm: str
    measure: Measure
    unit: Unit
    at: int
    over: MeanOver


def trajectories(data: CellData, arms: Sequence[Arm]) -> tuple[TrajectoryPoint, ...]:
    """Every point that the facts of a cell support, arm by arm.

    Adaptive choices on validation make its curve too high from the first choice on; test alone is unbiased.
    """
    return tuple(point for arm in arms if arm != SEED for point in _of_arm(data, arm))


def _of_arm(data: CellData, arm: Arm) -> Iterator[TrajectoryPoint]:
    def points(measure: Measure, unit: Unit, values: Mapping[int, list[float]]) -> Iterator[TrajectoryPoint]:
        for at in sorted(values):
            if values[at]:
                yield TrajectoryPoint(data.cell.name, arm.canonical, measure, unit, at, mean_over(values[at]))

    trials = data.of_arm(arm)
    measures: tuple[tuple[Measure, str], ...] = (("train true", TRUE), ("train shown", SHOWN))
    for measure, labels in measures:
        by_step: dict[int, list[float]] = {}
        by_epoch: dict[int, list[float]] = {}
        for trial in trials.values():
            scores = train_scores(trial, arm, labels)
            for step, batch in sorted(scores.items()):
                mean = mean_known(score for _, score in batch)
                if mean is not None:
                    by_step.setdefault(step, []).append(mean)
            for number, steps in enumerate(data.epochs, 1):
                known = [score for step in steps for _, score in scores.get(step, ())]
                epoch = mean_known(known)
                if epoch is not None and all(step in scores for step in steps):
                    by_epoch.setdefault(number, []).append(epoch)
        yield from points(measure, "step", by_step)
        yield from points(measure, "epoch", by_epoch)
    validation: dict[int, list[float]] = {}
    for own in data.validation(arm).values():
        for step, row in own.items():
            if not np.isnan(row).all():
                validation.setdefault(step, []).append(float(np.nanmean(row)))
    yield from points("validation", "step", validation)
    yield from points("test", "step", _test_curve(data, arm))


def _test_curve(data: CellData, arm: Arm) -> dict[int, list[float]]:
    """Seed prompt, curve and final prompt of the trials whose every reading is complete, so that points compare."""
    if not data.study.curve:
        return {}
    final, seeds = data.test_rows(arm), data.test_rows(SEED)
    curves = {step: data.curve_rows(arm, step) for step in data.study.curve}
    kept = [
        number
        for number, row in final.items()
        if whole(row) and all(number in rows and whole(rows[number]) for rows in curves.values())
    ]
    values = {step: [float(rows[number].mean()) for number in kept] for step, rows in curves.items()}
    values[0] = [float(seeds[number].mean()) for number in kept if number in seeds and whole(seeds[number])]
    values[data.study.steps] = [float(final[number].mean()) for number in kept]
    return values

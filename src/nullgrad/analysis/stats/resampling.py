"""Paired resampling of right-or-wrong answers: examples are drawn again, in all or within each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nullgrad.analysis.stats.estimate import Floats
from nullgrad.analysis.stats.intervals import Interval

Ints = NDArray[np.int64]

CELLS = ((1, 1), (1, 0), (0, 1), (0, 0))
"""Order of the four outcomes of a pair: (right before, right after)."""


@dataclass(frozen=True, slots=True)
class Change:
    """A quantity before and after, and its difference.

    Attributes:
        before, after: shares, unless the field that holds it says otherwise.
        before_interval, after_interval: of each alone; None where not estimable.
        difference: after − before.
        interval: of the difference, paired; None where not estimable.
    """

    before: float
    after: float
    before_interval: Interval | None
    after_interval: Interval | None
    difference: float
    interval: Interval | None


def mean_intervals(
    columns: NDArray[np.int8], stream: np.random.Generator, resamples: int, level: float
) -> tuple[Interval, ...]:
    """Interval of the mean of each column, rows resampled together; unstratified.

    A percentile bootstrap (Efron and Tibshirani 1993) with Bonett and Price's adjustment (2012): one pseudo-example
    that rose and one that fell are among those drawn from. Without them an interval of a few changes in one direction
    excludes 0 too easily, and one of no change at all would be a point.

    Args:
        columns: differences of right-or-wrong scores by example, shape (examples, columns), values −2 to 2.
        stream: of the resamples.
        resamples: how many.
        level: confidence, 0 to 1.
    """
    # An example counts by its pattern of values alone: how often each pattern is drawn is multinomial.
    count = columns.shape[1]
    powers = 5 ** np.arange(count, dtype=np.int64)
    codes, sizes = np.unique((columns.astype(np.int64) + 2) @ powers, return_counts=True)
    patterns = codes[:, None] // powers % 5 - 2.0
    patterns = np.vstack([patterns, np.ones((1, count)), -np.ones((1, count))])
    weights = np.append(sizes, [1, 1])
    total = int(weights.sum())
    draws = stream.multinomial(total, weights / total, resamples) @ patterns / total
    return tuple(percentile(column, level) for column in draws.T)


def class_cells(truth: Ints, before: NDArray[np.bool_], after: NDArray[np.bool_], classes: int) -> Ints:
    """Pairs by class and outcome, shape (classes, 4), outcomes in the order of `CELLS`."""
    outcome = 3 - 2 * before.astype(np.int64) - after.astype(np.int64)
    return np.bincount(4 * truth + outcome, minlength=4 * classes).reshape(classes, 4)


def recall_draws(
    cells: Ints, shares: Floats, stream: np.random.Generator, resamples: int
) -> tuple[Floats, Floats]:
    """Recalls before and after of each class by resample, both of shape (resamples, classes); stratified by class.

    One pseudo-gain and one pseudo-loss in all are shared among the classes by their weight, so that a weighted mean of
    recalls with weights `shares` gets Bonett and Price's adjustment as `mean_intervals` does.

    Args:
        cells: from `class_cells`; a class without examples comes out as 0.
        shares: weight of each class, sum 1.
    """
    sizes = cells.sum(axis=1)
    smooth = cells + np.outer(shares, [0.0, 1.0, 1.0, 0.0])
    totals = smooth.sum(axis=1, keepdims=True)
    chances = np.where(totals > 0, smooth / np.where(totals > 0, totals, 1.0), 0.25)
    drawn = stream.multinomial(sizes, chances, (resamples, len(sizes)))
    divisor = np.maximum(sizes, 1)
    return (drawn[..., 0] + drawn[..., 1]) / divisor, (drawn[..., 0] + drawn[..., 2]) / divisor


def share_intervals(
    gained: Ints, lost: Ints, sizes: Ints, stream: np.random.Generator, resamples: int, level: float
) -> tuple[Interval, ...]:
    """Interval of (gained − lost) / size for many pairs of shares at once, each as `mean_intervals` makes it."""
    cells = np.stack([gained + 1, lost + 1, sizes - gained - lost], axis=1)
    drawn = stream.multinomial(sizes + 2, cells / (sizes + 2)[:, None], (resamples, len(sizes)))
    draws = (drawn[..., 0] - drawn[..., 1]) / (sizes + 2)
    return tuple(percentile(column, level) for column in draws.T)


def percentile(draws: Floats, level: float, bounds: tuple[float, float] = (-1.0, 1.0)) -> Interval:
    """The equal-tailed interval of the draws, by the ranks p (m + 1) of m draws, clipped to `bounds`."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], method="weibull")
    return Interval(max(bounds[0], float(low)), min(bounds[1], float(high)))

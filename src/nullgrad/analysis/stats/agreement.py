"""Krippendorff's alpha: how far raters agree, 1 in full, 0 as by chance, below 0 in contradiction.

Of our own, for the maintained package `krippendorff` is under the GPL, which nullgrad's licence cannot take in; tests compare
the two where that package is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nullgrad.analysis.stats.estimate import Estimate, Floats, NotEstimable
from nullgrad.analysis.stats.intervals import Interval

Level = Literal["nominal", "ordinal", "interval"]
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Agreement:
    """Krippendorff's alpha over units that two or more raters rated.

    Attributes:
        alpha: at most 1.
        interval: percentile bootstrap over units, 95 %: raters are fixed.
        level: of measurement.
        units: units with two values or more.
        raters: raters with a value in them.
        values: values in them.
    """

    alpha: Estimate
    interval: Interval | NotEstimable
    level: Level
    units: int
    raters: int
    values: int


def agreement(
    ratings: Sequence[Sequence[float | None]], level: Level, *, seed: int = 0, resamples: int = RESAMPLES
) -> Agreement:
    """Alpha of ratings, shape (raters, units), None where a rater gave none.

    1 − D_o / D_e over the matrix of coincidences (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011): each unit
    with m values adds its pairs with weight 1 / (m − 1); the ordinal difference of two values is the number of values from one to
    the other, both counted by half.
    """
    table = np.array([[np.nan if one is None else one for one in row] for row in ratings], dtype=np.float64)
    if table.ndim != 2 or not table.size:
        return _none(level, "nobody rated anything")
    table = table[:, (~np.isnan(table)).sum(axis=0) >= 2]
    known = ~np.isnan(table)
    counts = table.shape[1], int(known.any(axis=1).sum()), int(known.sum())
    if not table.size:
        return _none(level, "no unit was rated by two raters")
    domain = np.unique(table[known])
    # How often each unit has each value: all that alpha depends on.
    tallies = np.stack([(table == value).sum(axis=0) for value in domain], axis=1).astype(np.float64)
    alpha = _alpha(tallies, domain, level)
    if isinstance(alpha, NotEstimable):
        return Agreement(alpha, alpha, level, *counts)
    return Agreement(alpha, _bootstrap(tallies, domain, level, seed, resamples), level, *counts)


def _none(level: Level, reason: str) -> Agreement:
    return Agreement(NotEstimable(reason), NotEstimable(reason), level, 0, 0, 0)


def _alpha(tallies: Floats, domain: Floats, level: Level) -> Estimate:
    """Alpha of units × values counts; rows have two values or more."""
    sizes = tallies.sum(axis=1)
    pairs = (tallies / (sizes - 1)[:, None]).T @ tallies - np.diag(
        (tallies / (sizes - 1)[:, None]).sum(axis=0)
    )
    margins = pairs.sum(axis=0)
    total = margins.sum()
    distance = _distance(domain, margins, level)
    expected = float((np.outer(margins, margins) * distance).sum() / (total - 1))
    if expected == 0:
        return NotEstimable("every value is the same")
    return 1.0 - float((pairs * distance).sum()) / expected


def _distance(domain: Floats, margins: Floats, level: Level) -> NDArray[np.float64]:
    if level == "nominal":
        return 1.0 - np.eye(len(domain))
    if level == "interval":
        found: NDArray[np.float64] = (domain[:, None] - domain[None, :]) ** 2
        return found
    # From the middle of one value's ranks to the middle of the other's.
    middle = np.cumsum(margins) - margins / 2
    ranks: NDArray[np.float64] = (middle[:, None] - middle[None, :]) ** 2
    return ranks


def _bootstrap(
    tallies: Floats, domain: Floats, level: Level, seed: int, resamples: int
) -> Interval | NotEstimable:
    units = len(tallies)
    if units < 5:
        return NotEstimable("fewer than five units")
    stream = np.random.default_rng(seed)
    drawn = [_alpha(tallies[stream.integers(units, size=units)], domain, level) for _ in range(resamples)]
    known = [one for one in drawn if not isinstance(one, NotEstimable)]
    if len(known) < 0.9 * resamples:
        return NotEstimable("most resamples hold one value only")
    low, high = np.quantile(known, (0.025, 0.975))
    return Interval(float(low), float(high))

"""Ordered labels: by how many ranks an answer is off, and quadratic-weighted kappa."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nullgrad.analysis.stats.estimate import Floats, NotEstimable
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.stats.resampling import Change, Ints, percentile


@dataclass(frozen=True, slots=True)
class Ordinal:
    """Of one slot, over the pairs that both prompts answered with a label.

    Attributes:
        n: those pairs.
        rank_error: mean absolute difference of ranks, 0 to K − 1, in ranks.
        kappa: Cohen's kappa with quadratic weights (Cohen 1968), −1 to 1; None where truth and answer are both constant.
    """

    n: int
    rank_error: Change
    kappa: Change | None


def ordinal_audit(
    truth: Ints,
    before: Ints,
    after: Ints,
    labels: int,
    *,
    stream: np.random.Generator,
    resamples: int,
    level: float,
) -> Ordinal | NotEstimable:
    """Rank errors and kappa of one slot; intervals by a plain bootstrap over examples, a point where nothing varies.

    Args:
        truth, before, after: ranks from 0, shape (pairs,), `labels` for unparsed.
    """
    both = (before < labels) & (after < labels)
    if not both.any():
        return NotEstimable("no example has a label of both prompts")
    # Examples of the same three ranks are alike: how often each combination is drawn is multinomial.
    triples, sizes = np.unique(
        np.stack([truth[both], before[both], after[both]], axis=1), axis=0, return_counts=True
    )
    n = int(sizes.sum())
    once = (sizes / n)[None, :]
    drawn = stream.multinomial(n, sizes / n, resamples) / n
    y, b, a = triples.astype(np.float64).T
    off_before, off_after = np.abs(y - b), np.abs(y - a)
    errors = _change(
        float(once[0] @ off_before),
        float(once[0] @ off_after),
        drawn @ off_before,
        drawn @ off_after,
        level,
        0.0,
        labels - 1.0,
    )
    one, two = _kappa(once, y, b)[0], _kappa(once, y, a)[0]
    kappa = None
    if not np.isnan(one) and not np.isnan(two):
        kappa = _change(float(one), float(two), _kappa(drawn, y, b), _kappa(drawn, y, a), level, -1.0, 1.0)
    return Ordinal(n, errors, kappa)


def _kappa(weights: Floats, truth: Floats, answers: Floats) -> Floats:
    """1 − mean squared difference / its mean under independence, by row of weights; NaN where that is 0."""
    mean_truth, mean_answer = weights @ truth, weights @ answers
    expected = weights @ truth**2 + weights @ answers**2 - 2 * mean_truth * mean_answer
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa: Floats = np.where(expected > 1e-12, 1 - (weights @ (truth - answers) ** 2) / expected, np.nan)
    return kappa


def _change(
    before: float,
    after: float,
    drawn_before: Floats,
    drawn_after: Floats,
    level: float,
    low: float,
    high: float,
) -> Change:
    reach = high - low
    return Change(
        before,
        after,
        _interval(drawn_before, level, low, high),
        _interval(drawn_after, level, low, high),
        after - before,
        _interval(drawn_after - drawn_before, level, -reach, reach),
    )


def _interval(draws: Floats, level: float, low: float, high: float) -> Interval | None:
    known = draws[~np.isnan(draws)]
    return percentile(known, level, (low, high)) if len(known) else None

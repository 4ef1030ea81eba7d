"""Effect sizes of a contrast: Hedges' g, and the difference in points."""

from __future__ import annotations

from math import exp, lgamma, sqrt

from numpy.typing import ArrayLike

from nullgrad.analysis.stats.estimate import Design, Estimate, NotEstimable, spread, two_arms


def small_sample_correction(df: float) -> float:
    """J(df) = Γ(df/2) / (√(df/2) Γ((df − 1)/2)), exact (Hedges 1981); 1 − 3/(4 df − 1) approximates it.

    Raises:
        ValueError: df not above 1.
    """
    if df <= 1:
        raise ValueError("the correction needs more than one degree of freedom")
    return exp(lgamma(df / 2) - lgamma((df - 1) / 2)) / sqrt(df / 2)


def hedges_g(first: ArrayLike, second: ArrayLike, design: Design) -> Estimate:
    """Hedges' g of first − second, in standard deviations of a trial score.

    Independent: the difference over the pooled standard deviation. Paired: d_av, the difference over the average
    of the two standard deviations (Cumming 2012; Lakens 2013), which does not grow with the
    correlation of the pairs. Both times J(n₁ + n₂ − 2), as Lakens does.

    Args:
        first, second: scores by trial, shape (trials,); in the paired design in the order of the blocks.

    Raises:
        ValueError: a missing score, or a paired design with unequal numbers of trials.
    """
    one, two = two_arms(first, second, design)
    if min(len(one), len(two)) < 2:
        return NotEstimable("an arm with fewer than two trials has no variance")
    n, m = len(one), len(two)
    if design == "paired":
        unit = (spread(one) + spread(two)) / 2
    else:
        unit = sqrt(((n - 1) * spread(one) ** 2 + (m - 1) * spread(two) ** 2) / (n + m - 2))
    if unit == 0:
        return NotEstimable("no variance within either arm")
    return small_sample_correction(n + m - 2) * float(one.mean() - two.mean()) / unit


def points(first: ArrayLike, second: ArrayLike) -> Estimate:
    """Difference of the mean scores, first − second, in points (−100 to 100)."""
    one, two = two_arms(first, second, "independent")
    if min(len(one), len(two)) == 0:
        return NotEstimable("an arm without trials has no mean")
    return 100 * float(one.mean() - two.mean())

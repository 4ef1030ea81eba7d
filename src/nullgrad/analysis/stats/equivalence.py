"""Equality of two arms: two one-sided tests with a margin that the study declares. There is no default margin."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from nullgrad.analysis.stats.estimate import Design, Estimate, Floats, NotEstimable, share, spread, two_arms
from nullgrad.analysis.stats.power import welch_grid

NODES = 96
"""Quadrature nodes of the sample deviation; the chance is good to 1e-7."""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided t-tests (Schuirmann 1987).

    Attributes:
        p: the larger of the two, 0 to 1: equality at level α is claimed where p ≤ α.
        above: p against a difference of −margin or less.
        below: p against a difference of +margin or more.
        df: degrees of freedom; Welch–Satterthwaite's in the independent design.
        margin: as declared, as a share.
    """

    p: float
    above: float
    below: float
    df: float
    margin: float


def standard_error(first: ArrayLike, second: ArrayLike, design: Design) -> tuple[float, float] | NotEstimable:
    """Standard error of the difference of mean scores, as a share, and its degrees of freedom.

    Paired: of the differences by block. Independent: Welch's (1947), with Satterthwaite's degrees of freedom.

    Raises:
        ValueError: a missing score, or a paired design with unequal numbers of trials.
    """
    one, two = two_arms(first, second, design)
    if min(len(one), len(two)) < 2:
        return NotEstimable(
            "fewer than two blocks" if design == "paired" else "an arm with fewer than two trials"
        )
    if design == "paired":
        error = spread(one - two) / sqrt(len(one))
        if error == 0:
            return NotEstimable("the difference is the same in every block")
        return error, float(len(one) - 1)
    parts = spread(one) ** 2 / len(one), spread(two) ** 2 / len(two)
    if sum(parts) == 0:
        return NotEstimable("no variance within either arm")
    df = sum(parts) ** 2 / (parts[0] ** 2 / (len(one) - 1) + parts[1] ** 2 / (len(two) - 1))
    return sqrt(sum(parts)), df


def equivalence(
    first: ArrayLike, second: ArrayLike, design: Design, margin: float
) -> Equivalence | NotEstimable:
    """Test whether the true difference lies inside ±margin.

    At level α the claim agrees with the (1 − 2α) t-interval lying inside ±margin.

    Args:
        first, second: scores by trial, shape (trials,); in the paired design in the order of the blocks.
        design: `paired` (t of the differences) or `independent` (Welch's t).
        margin: largest difference that counts as none, as a share above 0.

    Raises:
        ValueError: a margin of 0 or less, a missing score, or a paired design with unequal numbers of trials.
    """
    if margin <= 0:
        raise ValueError("equality needs a margin above 0")
    error = standard_error(first, second, design)
    if isinstance(error, NotEstimable):
        return error
    from scipy.stats import t

    one, two = two_arms(first, second, design)
    difference = float(one.mean() - two.mean())
    above = float(t.sf((difference + margin) / error[0], error[1]))
    below = float(t.cdf((difference - margin) / error[0], error[1]))
    return Equivalence(max(above, below), above, below, error[1], margin)


def equality_chance_paired(
    margin: float, sd: float, n: int, alpha: float, *, difference: float = 0.0, opposite: float | None = None
) -> Estimate:
    """Chance that `equivalence` concludes equality over n blocks, 0 to 1 (Phillips 1990).

    Args:
        margin: as declared, as a share.
        sd: standard deviation of the differences by block, as a share.
        n: blocks.
        alpha: corrected level.
        difference: true difference, as a share.
        opposite: see `equality_chance`.
    """
    if n < 2:
        return NotEstimable("fewer than two blocks")
    return equality_chance(margin, sd / sqrt(n), n - 1, alpha, difference=difference, opposite=opposite)


def equality_chance(
    margin: float,
    error: float,
    df: int,
    alpha: float,
    *,
    difference: float = 0.0,
    opposite: float | None = None,
) -> Estimate:
    """The same for any estimate with a true standard error `error` that is estimated with `df`.

    Integrates over the sample variance, which equals the difference of two of Owen's Q functions (Phillips 1990).

    Args:
        margin, alpha, difference: as of `equality_chance_paired`; `difference` is positive in the declared direction.
        error: standard error, as a share.
        df: its degrees of freedom.
        opposite: share of α at which a difference against the declared direction is told, 0 to 1. A difference within the
            margin that is told as one, in either direction, then does not count as equality, as in the verdict of a
            contrast. None is `equivalence` alone.
    """
    if margin <= 0:
        raise ValueError("equality needs a margin above 0")
    if error <= 0:
        return NotEstimable("no variance")
    from scipy.stats import chi, t

    critical = float(t.isf(share(alpha, "alpha"), df))
    # Beyond this sample deviation the interval is wider than the margin, and nothing is concluded.
    last = min(margin / (critical * error) * sqrt(df), float(chi.isf(1e-12, df)))
    first = min(float(chi.ppf(1e-12, df)), last)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    deviation = first + (last - first) * (nodes + 1) / 2
    half = critical * error * deviation / sqrt(df)
    strict = None if opposite is None else half * float(t.isf(opposite * alpha, df)) / critical
    inside = _equal(half, strict, margin, difference, error)
    return float((last - first) / 2 * (weights @ (inside * np.asarray(chi.pdf(deviation, df)))))


def equality_chance_welch(
    margin: float,
    sds: tuple[float, float],
    sizes: tuple[int, int],
    alpha: float,
    *,
    difference: float = 0.0,
    opposite: float | None = None,
) -> Estimate:
    """Chance that Welch's `equivalence` concludes equality, 0 to 1.

    Args:
        margin: as declared, as a share.
        sds: standard deviation of a trial score in each arm, as a share.
        sizes: trials in each arm.
        alpha: corrected level.
        difference: true difference, as a share.
        opposite: see `equality_chance`.
    """
    if margin <= 0:
        raise ValueError("equality needs a margin above 0")
    grid = welch_grid(sds, sizes, share(alpha, "alpha"))
    if isinstance(grid, NotEstimable):
        return grid
    strict = None
    if opposite is not None:
        stricter = welch_grid(sds, sizes, opposite * alpha)
        assert not isinstance(stricter, NotEstimable)
        strict = stricter.halves
    return float(grid.weights @ _equal(grid.halves, strict, margin, difference, grid.error))


def _equal(half: Floats, strict: Floats | None, margin: float, difference: float, error: float) -> Floats:
    """Chance of an estimate whose interval lies inside the margin, by half width of the interval.

    With `strict`, the half width of the interval that tells a difference against the declared direction, less the
    chance of an interval that leaves 0 out on either side.
    """
    from scipy.special import ndtr

    low, high = half - margin, margin - half
    if strict is not None:
        low, high = np.maximum(low, -strict), np.minimum(high, half)
    inside: Floats = ndtr((high - difference) / error) - ndtr((low - difference) / error)
    return np.maximum(inside, 0.0)

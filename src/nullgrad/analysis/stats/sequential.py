"""Looking before all blocks are in: alpha spending at declared looks, and futility by the margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from nullgrad.analysis.stats.differences import DifferenceInterval, difference_interval
from nullgrad.analysis.stats.estimate import Floats, NotEstimable, share, two_arms
from nullgrad.analysis.stats.permutation import attainable_p, paired_permutation

PANELS, NODES = 25, 16
"""Panels and Gauss–Legendre nodes in each, of the density between looks; boundaries are good to about 1e-6."""

Stop = Literal["efficacy", "futility", "end"]


@dataclass(frozen=True, slots=True)
class Look:
    """One declared look at complete blocks.

    Attributes:
        blocks: complete blocks at this look.
        information: share of the last look's blocks.
        spent: alpha spent up to and with this look.
        nominal: one-sided level of the test at this look.
        boundary: the same as a z.
        attainable: smallest p of the sign-flip test at this number of blocks.
    """

    blocks: int
    information: float
    spent: float
    nominal: float
    boundary: float
    attainable: float

    @property
    def reachable(self) -> bool:
        """Whether the test can reject here at all: 2⁻ⁿ is at most the look's level."""
        return self.attainable <= self.nominal


def spending(information: float, alpha: float) -> float:
    """O'Brien–Fleming-type spending, one-sided: 2 − 2Φ(z_{α/2} / √t) (Lan and DeMets 1983, α₁*).

    Args:
        information: share of the planned blocks, above 0, at most 1.
        alpha: one-sided level to be spent by the last look.

    Raises:
        ValueError: information or alpha outside their range.
    """
    if not 0 < information <= 1:
        raise ValueError(f"information lies above 0 and at most at 1, not at {information}")
    from scipy.special import ndtr, ndtri

    return float(2 * ndtr(ndtri(share(alpha, "alpha") / 2) / sqrt(information)))


def declared_looks(blocks: Sequence[int], alpha: float, family: int = 1) -> tuple[Look, ...]:
    """Levels of the declared looks, alpha being split over the family before it is spent over the looks.

    The levels come from the joint normal distribution of the looks (Armitage, McPherson and Rowe 1969), integrated
    forward over the density of what has not been rejected. Futility stops are non-binding: they free no alpha.

    Args:
        blocks: complete blocks at each look, rising; the last is the planned number.
        alpha: one-sided level of the family.
        family: contrasts in the family.

    Raises:
        ValueError: numbers that do not rise, an empty family, or alpha outside 0 to 1.
    """
    if not blocks or blocks[0] < 1 or any(b <= a for a, b in pairwise(blocks)):
        raise ValueError("the numbers of blocks at the looks rise, from 1 on")
    if family < 1:
        raise ValueError("a family has at least one contrast")
    from scipy.optimize import brentq
    from scipy.special import ndtr

    own = share(alpha, "alpha") / family
    gauss, gauss_weights = np.polynomial.legendre.leggauss(NODES)
    nodes = ((np.arange(PANELS)[:, None] + (gauss + 1) / 2) / PANELS).ravel()
    weights = np.tile(gauss_weights / 2 / PANELS, PANELS)
    # Before the first look the whole probability sits at 0.
    points, mass = np.zeros(1), np.ones(1)
    before = spent_before = 0.0
    found: list[Look] = []
    for count in blocks:
        information = count / blocks[-1]
        spent = spending(information, own)
        step = sqrt(information - before)
        increment = spent - spent_before
        crossing = _Crossing(points, mass, step)
        scale = sqrt(information)
        bound = float(
            brentq(
                lambda bound, f=crossing, goal=increment: f(bound) - goal, -8 * scale, 12 * scale, xtol=1e-12
            )
        )
        low = -8 * scale
        new = low + (bound - low) * nodes
        density = np.exp(-0.5 * ((new[:, None] - points) / step) ** 2) @ mass / (step * sqrt(2 * np.pi))
        points, mass = new, density * weights * (bound - low)
        before, spent_before = information, spent
        boundary = bound / scale
        found.append(
            Look(
                count,
                information,
                spent,
                float(ndtr(-boundary)),
                boundary,
                attainable_p("paired", count, count),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Crossing:
    """Chance of being above a bound after one more step, from the mass at the points of the look before."""

    points: Floats
    mass: Floats
    step: float

    def __call__(self, bound: float) -> float:
        from scipy.special import ndtr

        return float(self.mass @ ndtr((self.points - bound) / self.step))


@dataclass(frozen=True, slots=True)
class LookResult:
    """What one look says.

    Attributes:
        look: which.
        p: one-sided sign-flip p at this look.
        interval: repeated confidence interval (Jennison and Turnbull 1989) at 1 − 2 × the look's level, which covers at
            all looks together; the verdict of a stopped contrast is read off it.
        stop: why the contrast stops here, None if it goes on.
        biased: whether the estimate is biased by stopping before the last look.
    """

    look: Look
    p: float
    interval: DifferenceInterval | NotEstimable
    stop: Stop | None
    biased: bool


def at_look(
    first: ArrayLike,
    second: ArrayLike,
    looks: Sequence[Look],
    *,
    margin: float | None,
    seed: int,
) -> LookResult:
    """Decide at a look of the paired design whether a contrast stops.

    Efficacy: the p of first > second is at most the look's level. Futility: a gain of `margin` lies above the whole
    repeated interval.

    Args:
        first, second: scores by complete block, shape (blocks,); as many blocks as one of the looks has.
        looks: from `declared_looks`.
        margin: smallest gain of interest, as a share; None for no futility stop.
        seed: of the random sign vectors and resamples.

    Raises:
        ValueError: a number of blocks that was not declared, or a missing score.
    """
    one, two = two_arms(first, second, "paired")
    look = next((look for look in looks if look.blocks == len(one)), None)
    if look is None:
        raise ValueError(f"no look was declared at {len(one)} blocks")
    p = paired_permutation(one, two, seed=seed).greater
    interval = difference_interval(one, two, "paired", level=1 - 2 * look.nominal)
    stop: Stop | None = None
    last = look == looks[-1]
    if p <= look.nominal:
        stop = "efficacy"
    elif margin is not None and isinstance(interval, DifferenceInterval) and interval.interval.high < margin:
        stop = "futility"
    elif last:
        stop = "end"
    return LookResult(look, p, interval, stop, stop is not None and not last)

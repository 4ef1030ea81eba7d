"""Power and detectable effect of a contrast, at a declared effect and never at the observed one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from nullgrad.analysis.stats.estimate import Design, Estimate, Floats, NotEstimable, share
from nullgrad.analysis.stats.intervals import Interval, wilson
from nullgrad.analysis.stats.permutation import independent_permutations, paired_permutations

NODES = 48
"""Quadrature nodes per sample variance; the integrals are good to about 1e-4."""

BATCH = 250
"""Simulated studies analysed at once."""


def paired_power(effect: float, sd: float, n: int, alpha: float, *, two_sided: bool = False) -> Estimate:
    """Power of the paired t-test, 0 to 1 (Cohen 1988; noncentral t).

    Args:
        effect: true mean difference, as a share; positive is the claimed direction.
        sd: standard deviation of the differences between the arms of a block, as a share.
        n: blocks, at least 2.
        alpha: corrected level of the test.
        two_sided: whether `alpha` is split over both directions.
    """
    if n < 2:
        return NotEstimable("fewer than two blocks")
    if sd <= 0:
        return NotEstimable("no variance")
    from scipy.stats import nct, t

    critical = float(t.isf(share(alpha, "alpha") / (2 if two_sided else 1), n - 1))
    shift = effect * sqrt(n) / sd
    power = float(nct.sf(critical, n - 1, shift))
    return power + float(nct.cdf(-critical, n - 1, shift)) if two_sided else power


def welch_power(
    effect: float, sds: tuple[float, float], sizes: tuple[int, int], alpha: float, *, two_sided: bool = False
) -> Estimate:
    """Power of Welch's t-test, 0 to 1, integrated over both sample variances.

    Given the variances, the difference is normal and the critical value is Welch's: no approximation but the
    quadrature.

    Args:
        effect: true difference of means, first − second, as a share; positive is the claimed direction.
        sds: standard deviation of a trial score in each arm, as a share.
        sizes: trials in each arm, at least 2.
        alpha: corrected level of the test.
        two_sided: whether `alpha` is split over both directions.
    """
    grid = welch_grid(sds, sizes, share(alpha, "alpha") / (2 if two_sided else 1))
    return grid if isinstance(grid, NotEstimable) else grid.power(effect, two_sided)


def detectable_paired(
    sd: float, n: int, alpha: float, *, power: float = 0.8, two_sided: bool = False
) -> Estimate:
    """Smallest true mean difference, as a share, that the paired t-test finds with `power`."""
    if isinstance(paired_power(0.0, sd, n, alpha), NotEstimable):
        return paired_power(0.0, sd, n, alpha)

    def power_at(effect: float) -> float:
        value = paired_power(effect, sd, n, alpha, two_sided=two_sided)
        assert not isinstance(value, NotEstimable)
        return value

    return _least(power_at, sd, power)


def detectable_welch(
    sds: tuple[float, float],
    sizes: tuple[int, int],
    alpha: float,
    *,
    power: float = 0.8,
    two_sided: bool = False,
) -> Estimate:
    """Smallest true difference of means, as a share, that Welch's t-test finds with `power`."""
    grid = welch_grid(sds, sizes, share(alpha, "alpha") / (2 if two_sided else 1))
    if isinstance(grid, NotEstimable):
        return grid
    return _least(lambda effect: grid.power(effect, two_sided), max(sds), power)


@dataclass(frozen=True, slots=True)
class SimulatedPower:
    """Power over simulated studies.

    Attributes:
        rate: share of the studies whose p was at most alpha.
        interval: Wilson's of the rate, 95 %.
        studies: how many.
    """

    rate: float
    interval: Interval
    studies: int


def simulated_power(
    effect: float,
    sds: tuple[float, float],
    sizes: tuple[int, int],
    design: Design,
    alpha: float,
    *,
    correlation: float = 0.0,
    studies: int = 1_000,
    seed: int,
) -> SimulatedPower:
    """Power of the one-sided permutation test of a design, with normal trial scores.

    Args:
        effect: true difference of means, first − second, as a share; 0 gives the type-I rate.
        sds: standard deviation of a trial score in each arm, as a share.
        sizes: trials in each arm; equal in the paired design.
        design: `paired` or `independent`.
        alpha: corrected level of the test.
        correlation: of the two scores of a block, −1 to 1; only in the paired design.
        studies: simulated studies.
        seed: of the scores and of the rearrangements.

    Raises:
        ValueError: unequal sizes of a paired design.
    """
    if design == "paired" and sizes[0] != sizes[1]:
        raise ValueError(f"a paired contrast needs equal numbers of trials, not {sizes[0]} and {sizes[1]}")
    stream = np.random.default_rng([seed, *sizes])
    # Twenty rearrangements beyond alpha keep the test's own Monte Carlo noise below that of the studies.
    resamples = max(1_999, ceil(20 / share(alpha, "alpha")) - 1)
    found = done = 0
    while done < studies:
        count = min(BATCH, studies - done)
        first = stream.standard_normal((count, sizes[0]))
        second = stream.standard_normal((count, sizes[1]))
        if design == "paired":
            second = correlation * first + sqrt(1 - correlation**2) * second
        pairs = list(zip(effect + sds[0] * first, sds[1] * second, strict=True))
        test = paired_permutations if design == "paired" else independent_permutations
        results = test(pairs, seed=seed + done, resamples=resamples, enumerate_up_to=resamples + 1)
        found += sum(result.greater <= alpha for result in results)
        done += count
    interval = wilson(found, studies)
    assert interval is not None
    return SimulatedPower(found / studies, interval, studies)


@dataclass(frozen=True, slots=True, eq=False)
class WelchGrid:
    """A quadrature over both sample variances, one entry per pair of nodes.

    Attributes:
        weights: probabilities, which add up to 1.
        halves: critical t times the estimated standard error.
        error: true standard error of the difference.
    """

    weights: Floats
    halves: Floats
    error: float

    def power(self, effect: float, two_sided: bool) -> float:
        """Chance that the difference exceeds its critical value, for a true difference of `effect`."""
        from scipy.special import ndtr

        above = float(self.weights @ ndtr((effect - self.halves) / self.error))
        return (
            above + float(self.weights @ ndtr((-effect - self.halves) / self.error)) if two_sided else above
        )


def welch_grid(sds: tuple[float, float], sizes: tuple[int, int], alpha: float) -> WelchGrid | NotEstimable:
    """Nodes at the quantiles of the sample variances; `alpha` is the level of one tail."""
    if min(sizes) < 2:
        return NotEstimable("an arm with fewer than two trials has no variance")
    if min(sds) < 0 or max(sds) <= 0:
        return NotEstimable("no variance")
    from scipy.stats import chi2, t

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    levels = (nodes + 1) / 2
    parts = [
        sd**2 * np.asarray(chi2.ppf(levels, n - 1)) / (n - 1) / n for sd, n in zip(sds, sizes, strict=True)
    ]
    first, second = (part.ravel() for part in np.meshgrid(parts[0], parts[1], indexing="ij"))
    variance = first + second
    df = variance**2 / (first**2 / (sizes[0] - 1) + second**2 / (sizes[1] - 1))
    both = np.outer(weights / 2, weights / 2).ravel()
    error = sqrt(sds[0] ** 2 / sizes[0] + sds[1] ** 2 / sizes[1])
    return WelchGrid(both, np.asarray(t.isf(alpha, df)) * np.sqrt(variance), error)


def _least(power_at: Callable[[float], float], unit: float, goal: float) -> float:
    if power_at(0.0) >= share(goal, "the power to reach"):
        return 0.0
    from scipy.optimize import brentq

    high = unit
    while power_at(high) < goal:
        high *= 2
    return float(brentq(lambda effect: power_at(effect) - goal, 0.0, high, xtol=1e-9))

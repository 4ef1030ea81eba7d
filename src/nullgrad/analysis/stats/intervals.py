"""Intervals and tests of one proportion, of paired scores, and of a mean over trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from statistics import NormalDist, fmean, stdev


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval, in the units of the estimate."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def scaled(self, factor: float) -> Interval:
        """Both ends multiplied by a positive factor."""
        return Interval(self.low * factor, self.high * factor)


def normal_quantile(level: float) -> float:
    """z of a two-sided interval at `level` (0 to 1), 1.96 at 0.95."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval | None:
    """Wilson's score interval of a proportion (Wilson 1927; Newcombe 1998a, method 3); None for n = 0."""
    if n == 0:
        return None
    z = normal_quantile(level)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def mcnemar_exact(gained: int, lost: int) -> float:
    """Two-sided p of the exact McNemar test: the discordant pairs against a fair coin.

    Args:
        gained: pairs wrong before and right after.
        lost: pairs right before and wrong after.
    """
    n = gained + lost
    if n == 0:
        return 1.0
    tail: int = sum(comb(n, k) for k in range(min(gained, lost) + 1))
    return min(1.0, tail / (1 << (n - 1)))


def paired_proportions(gained: int, lost: int, n: int, level: float = 0.95) -> Interval:
    """Interval of (gained − lost) / n: Wald with Bonett and Price's adjustment (2012), clipped to [−1, 1].

    One pseudo-pair is added to each discordant cell, which keeps the coverage near its level down to small n
    (Fagerland, Lydersen and Laake 2014).
    """
    z = normal_quantile(level)
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = z * sqrt((up + down - (up - down) ** 2) / (n + 2))
    return Interval(max(-1.0, up - down - half), min(1.0, up - down + half))


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """Student's interval of a mean; None ("not estimable") below two values or without any variance."""
    if len(values) < 2 or stdev(values) == 0:
        return None
    from scipy.stats import t

    quantile: float = t.ppf(0.5 + level / 2, len(values) - 1)
    half = float(quantile) * stdev(values) / sqrt(len(values))
    mean = fmean(values)
    return Interval(mean - half, mean + half)


def detectable(values: Sequence[float], level: float = 0.95, power: float = 0.8) -> float | None:
    """Smallest mean that a t-test at 1 − `level` finds with `power`, for the spread of `values`.

    None below two values or without any variance.
    """
    if len(values) < 2 or stdev(values) == 0:
        return None
    from scipy.stats import t

    df = len(values) - 1
    quantiles: float = t.ppf(0.5 + level / 2, df) + t.ppf(power, df)
    return float(quantiles) * stdev(values) / sqrt(len(values))


def resolvable_gain(n: int, changed: float = 0.2, level: float = 0.95) -> float:
    """Half-width of the gain's interval, 0 to 1, for n test examples of which a share `changed` changes its answer."""
    return normal_quantile(level) * sqrt(changed / n) if n else 1.0


def clopper_pearson(count: int, n: int, level: float = 0.95) -> Interval:
    """Exact interval of a binomial rate (Clopper and Pearson 1934); 0 to 1 for n = 0."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    return Interval(
        float(beta.ppf(tail, count, n - count + 1)) if count else 0.0,
        float(beta.isf(tail, count + 1, n - count)) if count < n else 1.0,
    )

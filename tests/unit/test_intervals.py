"""Intervals against published values, SciPy and exact enumeration."""

from __future__ import annotations

from itertools import product
from math import comb

import pytest
from scipy import stats

from nullgrad.analysis.stats.intervals import (
    detectable,
    mcnemar_exact,
    paired_proportions,
    resolvable_gain,
    t_interval,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3 (score without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_against_newcombe(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson(successes, n)
    assert interval is not None
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_wilson_of_nothing_is_not_estimable() -> None:
    assert wilson(0, 0) is None


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 1), (3, 9), (20, 20), (1, 7)])
def test_mcnemar_is_the_binomial_test(gained: int, lost: int) -> None:
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar_exact(gained, lost) == pytest.approx(expected)


def test_paired_proportions_by_hand() -> None:
    """Airway hyper-responsiveness (Fagerland, Lydersen and Laake 2014): 1 against 7 discordant of 21."""
    interval = paired_proportions(1, 7, 21)
    assert interval.low == pytest.approx(
        2 / 23 - 8 / 23 - 1.959964 * ((10 / 23 - (6 / 23) ** 2) / 23) ** 0.5, abs=1e-6
    )
    assert (round(interval.low, 3), round(interval.high, 3)) == (-0.508, -0.013)


@pytest.mark.parametrize(
    ("n", "up", "down"), [(30, 0.15, 0.05), (30, 0.1, 0.1), (60, 0.3, 0.1), (40, 0.05, 0.02)]
)
def test_paired_proportions_cover_by_enumeration(n: int, up: float, down: float) -> None:
    covered = 0.0
    for gained, lost in product(range(n + 1), repeat=2):
        if gained + lost <= n:
            weight = (
                comb(n, gained)
                * comb(n - gained, lost)
                * up**gained
                * down**lost
                * (1 - up - down) ** (n - gained - lost)
            )
            covered += weight * (up - down in paired_proportions(gained, lost, n))
    assert 0.935 <= covered <= 1.0


def test_t_interval_is_scipys() -> None:
    values = [0.1, 0.4, 0.2, 0.9, 0.35]
    expected = stats.t.interval(0.95, 4, loc=sum(values) / 5, scale=stats.sem(values))
    interval = t_interval(values)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert t_interval([1.0]) is None
    assert detectable([1.0]) is None


def test_detectable_has_about_the_power_it_names() -> None:
    values = [0.0, 0.1, -0.1, 0.2, -0.2, 0.05, -0.05, 0.15]
    effect = detectable(values)
    assert effect is not None
    noncentral = effect / stats.sem(values)
    df = len(values) - 1
    power = stats.nct.sf(stats.t.ppf(0.975, df), df, noncentral)
    assert power == pytest.approx(0.8, abs=0.03)


def test_resolvable_gain_as_the_design_says() -> None:
    assert 100 * resolvable_gain(120) == pytest.approx(8.0, abs=0.05)

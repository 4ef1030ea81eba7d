"""Corrections against published examples and direct definitions; effect sizes against Lakens (2013)."""

from __future__ import annotations

from math import gamma, pi, sqrt

import numpy as np
import pytest

from nullgrad.analysis.stats.effects import hedges_g, points, small_sample_correction
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.families import bonferroni, holm

MOVIES = [9, 7, 8, 9, 8, 9, 9, 10, 9, 9], [9, 6, 7, 8, 7, 9, 8, 8, 8, 7]
"""Lakens (2013), table 1."""


def test_holm_against_rs_p_adjust() -> None:
    """R: p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm") and ("bonferroni")."""
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx((0.04, 0.06, 0.06, 0.06))
    assert bonferroni([0.01, 0.02, 0.03, 0.04]) == pytest.approx((0.04, 0.08, 0.12, 0.16))


def test_the_papers_thresholds() -> None:
    """Chain (m = 2): 0.0037 passes, the arithmetic run's 0.030 does not."""
    assert bonferroni([0.0037, 0.6])[0] == pytest.approx(0.0074)
    assert bonferroni([0.030, 0.6])[0] == pytest.approx(0.060)


@pytest.mark.parametrize("seed", range(20))
def test_holm_is_the_step_down_rule(seed: int) -> None:
    """Adjusted p at most α exactly where the sequential rule rejects."""
    values = list(np.random.default_rng(seed).random(6) ** 3)
    adjusted = holm(values)
    for alpha in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, place in enumerate(np.argsort(values)):
            if values[place] > alpha / (len(values) - rank):
                break
            rejected.add(int(place))
        assert {place for place, value in enumerate(adjusted) if value <= alpha} == rejected  # type: ignore[operator]
    assert all(one <= other for one, other in zip(adjusted, bonferroni(values), strict=True))  # type: ignore[operator]


def test_what_is_not_estimable_stays_in_the_family() -> None:
    reason = NotEstimable("no variance")
    assert bonferroni([0.01, reason]) == (0.02, reason)
    assert holm([0.01, reason]) == (0.02, reason)
    assert bonferroni([]) == holm([]) == ()
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.2])
    with pytest.raises(ValueError, match="between 0 and 1"):
        bonferroni([float("nan")])


def test_family_wise_error_over_null_studies() -> None:
    """Four independent uniform p's: Bonferroni and Holm reject anything in at most 5 % of 2,000 studies."""
    from scipy import stats

    stream = np.random.default_rng(3)
    limit = stats.binom.ppf(0.975, 2_000, 0.05) / 2_000
    p = stream.random((2_000, 4))
    for correct in (bonferroni, holm):
        assert np.mean([min(correct(list(row))) <= 0.05 for row in p]) <= limit  # type: ignore[type-var, operator]


def test_correction_is_the_closed_form() -> None:
    assert small_sample_correction(2) == pytest.approx(1 / sqrt(pi))
    for df in (3, 8, 18, 58):
        assert small_sample_correction(df) == pytest.approx(
            gamma(df / 2) / (sqrt(df / 2) * gamma((df - 1) / 2))
        )
        assert small_sample_correction(df) == pytest.approx(1 - 3 / (4 * df - 1), abs=0.01)
    assert small_sample_correction(2_000) == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="degree"):
        small_sample_correction(1)


def test_g_against_lakens() -> None:
    """d_s = d_av = 1.13 and g_s = g_av = 1.08."""
    independent, paired = hedges_g(*MOVIES, "independent"), hedges_g(*MOVIES, "paired")
    assert isinstance(independent, float)
    assert isinstance(paired, float)
    assert round(independent, 2) == round(paired, 2) == 1.08
    assert round(independent / small_sample_correction(18), 2) == 1.13
    assert round(paired / small_sample_correction(18), 2) == 1.13


def test_g_has_the_sign_of_the_difference_and_no_unit() -> None:
    first, second = np.array(MOVIES[0]) / 10, np.array(MOVIES[1]) / 10
    for design in ("independent", "paired"):
        whole, tenth = hedges_g(*MOVIES, design), hedges_g(first, second, design)  # type: ignore[arg-type]
        turned = hedges_g(second, first, design)  # type: ignore[arg-type]
        assert isinstance(turned, float)
        assert whole == pytest.approx(tenth)
        assert whole == pytest.approx(-turned)


def test_g_is_unbiased() -> None:
    """Over 4,000 studies of 5 against 5 at d = 0.8 the mean of g is 0.8; uncorrected it would be 0.886."""
    stream = np.random.default_rng(1)
    values = [hedges_g(row[:5] + 0.8, row[5:], "independent") for row in stream.standard_normal((4_000, 10))]
    assert np.mean(values) == pytest.approx(0.8, abs=4 * float(np.std(values)) / sqrt(4_000))  # type: ignore[arg-type]


def test_g_without_variance_is_not_estimable() -> None:
    for design in ("independent", "paired"):
        assert isinstance(hedges_g([0.1 + 0.2] * 3, [0.3] * 3, design), NotEstimable)  # type: ignore[arg-type]
        assert isinstance(hedges_g([0.5], [0.3], design), NotEstimable)  # type: ignore[arg-type]
    assert isinstance(hedges_g([0.5, 0.5], [0.3, 0.4], "paired"), float)


def test_points() -> None:
    assert points([0.5, 0.7], [0.4, 0.5, 0.6]) == pytest.approx(10)
    assert isinstance(points([], [0.4]), NotEstimable)

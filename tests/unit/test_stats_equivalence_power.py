"""Equivalence and power against published values, SciPy, and simulation."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from scipy import stats

from nullgrad.analysis.stats.equivalence import (
    Equivalence,
    equality_chance,
    equality_chance_paired,
    equality_chance_welch,
    equivalence,
    standard_error,
)
from nullgrad.analysis.stats.estimate import Design, NotEstimable
from nullgrad.analysis.stats.power import (
    detectable_paired,
    detectable_welch,
    paired_power,
    simulated_power,
    welch_power,
)

STUDIES = 2_000


def band(rate: float, studies: int = STUDIES) -> tuple[float, float]:
    """95 % binomial band of a rate, widened to 99.9 % since several are looked at."""
    low, high = stats.binom.ppf([0.0005, 0.9995], studies, rate)
    return float(low) / studies, float(high) / studies


def test_standard_error_of_the_sleep_data() -> None:
    """R's documented t.test(extra ~ group, sleep): t = −1.8608, df = 17.776; paired t = −4.0621, df = 9."""
    first = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    second = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    for design, t, df in (("independent", -1.8608, 17.776), ("paired", -4.0621, 9)):
        error = standard_error(first, second, design)  # type: ignore[arg-type]
        assert not isinstance(error, NotEstimable)
        assert -1.58 / error[0] == pytest.approx(t, abs=5e-5)
        assert error[1] == pytest.approx(df, abs=5e-4)


@pytest.mark.parametrize("design", ["paired", "independent"])
def test_tost_is_two_of_scipys_t_tests(design: Design) -> None:
    stream = np.random.default_rng(1)
    first, second = stream.normal(0.5, 0.05, 9), stream.normal(0.51, 0.07, 9)
    found = equivalence(first, second, design, 0.08)
    test = (
        (lambda shift, way: stats.ttest_rel(first + shift, second, alternative=way).pvalue)
        if design == "paired"
        else (
            lambda shift, way: stats.ttest_ind(first + shift, second, equal_var=False, alternative=way).pvalue
        )
    )
    assert isinstance(found, Equivalence)
    assert found.above == pytest.approx(test(0.08, "greater"))
    assert found.below == pytest.approx(test(-0.08, "less"))
    assert found.p == max(found.above, found.below)


def test_tost_is_the_interval_inside_the_margin() -> None:
    from nullgrad.analysis.stats.differences import DifferenceInterval, difference_interval

    stream = np.random.default_rng(2)
    agreed = []
    for row in stream.normal(0, 0.05, (200, 2, 8)):
        found = equivalence(*row, "independent", 0.05)
        interval = difference_interval(*row, "independent", level=0.9)
        assert isinstance(found, Equivalence)
        assert isinstance(interval, DifferenceInterval)
        inside = interval.interval.low > -0.05 and interval.interval.high < 0.05
        assert (found.p < 0.05) == inside
        agreed.append(inside)
    assert 0 < sum(agreed) < 200


def test_tost_without_variance_or_margin() -> None:
    assert isinstance(equivalence([0.4, 0.5], [0.4, 0.5], "paired", 0.1), NotEstimable)
    assert isinstance(equivalence([0.4], [0.4], "paired", 0.1), NotEstimable)
    assert isinstance(equivalence([0.4] * 3, [0.4] * 3, "independent", 0.1), NotEstimable)
    for margin in (0.0, -0.1):
        with pytest.raises(ValueError, match="margin"):
            equivalence([0.4, 0.5], [0.4, 0.6], "paired", margin)
        with pytest.raises(ValueError, match="margin"):
            equality_chance_welch(margin, (0.1, 0.1), (5, 5), 0.05)


@pytest.mark.parametrize("design", ["paired", "independent"])
@pytest.mark.parametrize("side", [-1, 1])
def test_tost_type_one_rate_at_the_margin(design: Design, side: int) -> None:
    stream = np.random.default_rng([3, side + 1])
    p = [
        found.p
        for row in stream.normal(0, 0.04, (STUDIES, 2, 12))
        if isinstance(found := equivalence(row[0] + side * 0.08, row[1], design, 0.08), Equivalence)
    ]
    assert len(p) == STUDIES
    assert np.mean(np.array(p) <= 0.05) <= stats.binom.ppf(0.975, STUDIES, 0.05) / STUDIES


@pytest.mark.parametrize(("cv", "n", "power"), [(0.2, 20, 0.834680), (0.3, 40, 0.815845)])
def test_equality_chance_against_powertost(cv: float, n: int, power: float) -> None:
    """PowerTOST's sampleN.TOST(CV, theta0 = 0.95), a 2×2 crossover on the log scale; exact by Owen's Q."""
    error = sqrt(log(1 + cv**2)) * sqrt(2 / n)
    found = equality_chance(log(1.25), error, n - 2, 0.05, difference=log(0.95))
    assert found == pytest.approx(power, abs=1e-6)


def test_equality_chance_against_simulation() -> None:
    stream = np.random.default_rng(4)
    for n, sd, margin in ((5, 0.05, 0.06), (12, 0.05, 0.03)):
        expected = equality_chance_paired(margin, sd, n, 0.05)
        rows = stream.normal(0, sd, (STUDIES, n))
        found = [equivalence(row, np.zeros(n), "paired", margin) for row in rows]
        rate = np.mean([one.p <= 0.05 for one in found if isinstance(one, Equivalence)])
        assert isinstance(expected, float)
        assert band(expected)[0] <= rate <= band(expected)[1]
    for sizes, sds, margin in (((5, 5), (0.05, 0.05), 0.08), ((30, 5), (0.04, 0.06), 0.08)):
        expected = equality_chance_welch(margin, sds, sizes, 0.05)
        found = [
            equivalence(
                stream.normal(0, sds[0], sizes[0]), stream.normal(0, sds[1], sizes[1]), "independent", margin
            )
            for _ in range(STUDIES)
        ]
        rate = np.mean([one.p <= 0.05 for one in found if isinstance(one, Equivalence)])
        assert isinstance(expected, float)
        assert band(expected)[0] <= rate <= band(expected)[1]


def test_a_margin_below_the_noise_is_never_concluded() -> None:
    for chance in (
        equality_chance_welch(0.001, (0.05, 0.05), (5, 5), 0.05),
        equality_chance_paired(0.001, 0.05, 5, 0.05),
    ):
        assert isinstance(chance, float)
        assert 0 <= chance < 1e-3


def test_welchs_equality_chance_is_students_for_equal_arms() -> None:
    """Twenty against twenty with equal spread: Satterthwaite's degrees of freedom are nearly 38."""
    exact = equality_chance(0.2, 0.2 * sqrt(2 / 20), 38, 0.05)
    assert equality_chance_welch(0.2, (0.2, 0.2), (20, 20), 0.05) == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize(
    ("effect", "n", "alpha", "power"),
    # R's pwr.t.test on Cohen (1988), exercises 2.5 (p. 47) and p. 50; two-sided.
    [(0.2, 60, 0.10, 0.4555818), (8 / (16 * sqrt(2 * (1 - 0.6))), 40, 0.05, 0.93)],
)
def test_paired_power_against_cohen(effect: float, n: int, alpha: float, power: float) -> None:
    tolerance = 5e-8 if power == 0.4555818 else 5e-3
    assert paired_power(effect, 1, n, alpha, two_sided=True) == pytest.approx(power, abs=tolerance)


def test_welch_power_against_r() -> None:
    """R's documented power.t.test(n = 20, delta = 1) is 0.8689528 for the pooled t; Welch's loses a trifle."""
    found = welch_power(1, (1, 1), (20, 20), 0.05, two_sided=True)
    assert isinstance(found, float)
    assert 0.8689528 - 2e-3 < found < 0.8689528


def test_the_papers_power() -> None:
    """0.12 to 0.18 for the validated comparisons (5 against 5 trials) at d = 0.8: families of two to three."""
    found = [welch_power(0.8, (1, 1), (5, 5), 0.05 / m) for m in (2, 3)]
    assert found == [pytest.approx(0.18, abs=0.005), pytest.approx(0.13, abs=0.01)]


@pytest.mark.parametrize(
    ("sizes", "sds", "alpha"),
    [((5, 5), (0.06, 0.06), 0.05), ((30, 5), (0.05, 0.09), 0.0125), ((12, 8), (0.1, 0.02), 0.025)],
)
def test_welch_power_against_simulation(
    sizes: tuple[int, int], sds: tuple[float, float], alpha: float
) -> None:
    stream = np.random.default_rng([5, *sizes])
    first, second = (
        stream.normal(0.1, sds[0], (20_000, sizes[0])),
        stream.normal(0, sds[1], (20_000, sizes[1])),
    )
    p = stats.ttest_ind(first, second, axis=1, equal_var=False, alternative="greater").pvalue
    expected = welch_power(0.1, sds, sizes, alpha)
    assert isinstance(expected, float)
    low, high = band(expected, 20_000)
    assert low <= np.mean(p <= alpha) <= high


def test_detectable_effects_have_the_power_they_name() -> None:
    for alpha, goal in ((0.05, 0.8), (0.05 / 8, 0.9)):
        paired = detectable_paired(0.05, 12, alpha, power=goal)
        welch = detectable_welch((0.05, 0.08), (30, 5), alpha, power=goal)
        assert isinstance(paired, float)
        assert isinstance(welch, float)
        assert paired_power(paired, 0.05, 12, alpha) == pytest.approx(goal, abs=1e-6)
        assert welch_power(welch, (0.05, 0.08), (30, 5), alpha) == pytest.approx(goal, abs=1e-6)


def test_power_without_variance_is_not_estimable() -> None:
    for found in (
        paired_power(0.1, 0.0, 5, 0.05),
        paired_power(0.1, 0.1, 1, 0.05),
        detectable_paired(0.0, 5, 0.05),
        welch_power(0.1, (0.0, 0.0), (5, 5), 0.05),
        detectable_welch((0.1, 0.1), (5, 1), 0.05),
        equality_chance_paired(0.1, 0.0, 5, 0.05),
        equality_chance_welch(0.1, (0.0, 0.0), (5, 5), 0.05),
    ):
        assert isinstance(found, NotEstimable)
    assert isinstance(welch_power(0.1, (0.0, 0.1), (5, 5), 0.05), float)
    with pytest.raises(ValueError, match="alpha"):
        paired_power(0.1, 0.1, 5, 5)


def test_power_at_no_effect_is_the_level() -> None:
    assert paired_power(0.0, 0.1, 9, 0.05) == pytest.approx(0.05)
    assert welch_power(0.0, (0.1, 0.1), (12, 12), 0.05) == pytest.approx(0.05, abs=2e-3)


def test_simulated_power_of_permutation_designs() -> None:
    """Near the t-test's where both are valid; the enumerated size at no effect; nothing where alpha is out of reach."""
    found = simulated_power(
        0.05, (0.06, 0.06), (12, 12), "paired", 0.0125, correlation=0.5, studies=1_000, seed=6
    )
    expected = paired_power(0.05, 0.06, 12, 0.0125)
    assert isinstance(expected, float)
    assert found.interval.low - 0.03 < expected < found.interval.high + 0.03
    found = simulated_power(0.05, (0.06, 0.06), (12, 12), "independent", 0.0125, studies=1_000, seed=6)
    expected = welch_power(0.05, (0.06, 0.06), (12, 12), 0.0125)
    assert isinstance(expected, float)
    assert found.interval.low - 0.03 < expected < found.interval.high + 0.03
    null = simulated_power(0.0, (0.06, 0.06), (5, 5), "paired", 0.05, studies=STUDIES, seed=7)
    assert 1 / 32 in null.interval
    assert simulated_power(1.0, (0.01, 0.01), (5, 5), "paired", 0.05 / 4, studies=100, seed=8).rate == 0
    assert simulated_power(1.0, (0.01, 0.01), (5, 5), "paired", 0.05, studies=100, seed=8).rate == 1
    with pytest.raises(ValueError, match="equal numbers"):
        simulated_power(0.1, (0.1, 0.1), (30, 5), "paired", 0.05, seed=0)


def test_chance_of_the_verdict_equal_against_simulation() -> None:
    """Less than the chance of equivalence by the intervals that leave 0 out, the stricter ones against the direction."""
    stream = np.random.default_rng(5)
    alpha, opposite = 0.05, 0.1

    def verdicts(rows: np.ndarray, df: np.ndarray, error: np.ndarray, margin: float) -> float:
        half, strict = stats.t.isf(alpha, df) * error, stats.t.isf(opposite * alpha, df) * error
        inside = (rows - half > -margin) & (rows + half < margin)
        return float(np.mean(inside & (rows - half <= 0) & (rows + strict >= 0)))

    for n, sd, margin, truth in ((12, 0.05, 0.06, 0.0), (20, 0.05, 0.05, 0.02), (20, 0.05, 0.05, -0.02)):
        rows = stream.normal(truth, sd, (20_000, n))
        found = verdicts(rows.mean(axis=1), np.array(n - 1), rows.std(axis=1, ddof=1) / sqrt(n), margin)
        expected = equality_chance_paired(margin, sd, n, alpha, difference=truth, opposite=opposite)
        plain = equality_chance_paired(margin, sd, n, alpha, difference=truth)
        assert isinstance(expected, float)
        assert isinstance(plain, float)
        assert found == pytest.approx(expected, abs=0.01)
        assert plain > expected + 0.02
    sizes, sds, margin = (25, 10), (0.04, 0.06), 0.06
    one, two = (stream.normal(0, sd, (20_000, n)) for sd, n in zip(sds, sizes, strict=True))
    first, second = one.var(axis=1, ddof=1) / sizes[0], two.var(axis=1, ddof=1) / sizes[1]
    df = (first + second) ** 2 / (first**2 / (sizes[0] - 1) + second**2 / (sizes[1] - 1))
    found = verdicts(one.mean(axis=1) - two.mean(axis=1), df, np.sqrt(first + second), margin)
    assert found == pytest.approx(
        equality_chance_welch(margin, sds, sizes, alpha, opposite=opposite), abs=0.01
    )

"""Intervals of a difference: published values, SciPy, and coverage over simulated studies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nullgrad.analysis.stats.differences import DifferenceInterval, difference_interval, population_interval
from nullgrad.analysis.stats.estimate import Design, NotEstimable

STUDIES = 2_000

SLEEP = (
    np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]) / 10,
    np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]) / 10,
)
"""Student's sleep data (1908) over 10, which R's `t.test` documents."""


def lower_end(level: float, studies: int = STUDIES) -> float:
    """Lower end of the 95 % binomial band of a coverage."""
    return float(stats.binom.ppf(0.025, studies, level)) / studies


def covers(found: DifferenceInterval | NotEstimable, truth: float) -> bool:
    assert isinstance(found, DifferenceInterval)
    return truth in found.interval


@pytest.mark.parametrize(
    ("design", "low", "high"),
    [("independent", -0.33654832, 0.02054832), ("paired", -0.24598858, -0.07001142)],
)
def test_t_intervals_of_the_sleep_data(design: Design, low: float, high: float) -> None:
    found = difference_interval(*SLEEP, design)
    assert isinstance(found, DifferenceInterval)
    assert found.method == ("paired t" if design == "paired" else "Welch t")
    assert found.target == "split"
    assert found.difference == pytest.approx(-0.158)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=1e-8)


@pytest.mark.parametrize("level", [0.9, 0.9875])
def test_t_intervals_are_scipys_at_any_level(level: float) -> None:
    stream = np.random.default_rng(2)
    first, second = stream.random(12) / 3, stream.random(5) / 3
    found = difference_interval(first, second, "independent", level=level)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(level)
    assert isinstance(found, DifferenceInterval)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    found = difference_interval(first[:5], second, "paired", level=level)
    expected = stats.ttest_rel(first[:5], second).confidence_interval(level)
    assert isinstance(found, DifferenceInterval)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("n", [8, 25])
def test_one_sided_bounds_are_the_ends_at_twice_the_tail(n: int) -> None:
    stream = np.random.default_rng(3)
    first, second = stream.random(n), stream.random(n)
    both = difference_interval(first, second, "paired", level=0.9)
    lower = difference_interval(first, second, "paired", level=0.95, side="lower")
    upper = difference_interval(first, second, "paired", level=0.95, side="upper")
    assert isinstance(both, DifferenceInterval)
    assert isinstance(lower, DifferenceInterval)
    assert isinstance(upper, DifferenceInterval)
    assert (lower.interval.low, lower.interval.high) == (pytest.approx(both.interval.low), 1.0)
    assert (upper.interval.low, upper.interval.high) == (-1.0, pytest.approx(both.interval.high))


def test_no_variance_is_not_estimable() -> None:
    for n in (5, 25):
        assert isinstance(difference_interval([0.1 + 0.2] * n, [0.3] * n, "independent"), NotEstimable)
        shifted = np.linspace(0.1, 0.5, n)
        assert isinstance(difference_interval(shifted + 0.1, shifted, "paired"), NotEstimable)
    assert isinstance(difference_interval([0.4], [0.3], "paired"), NotEstimable)
    rows = np.full((20, 10), 0.5)
    assert isinstance(population_interval(rows, rows, "paired", seed=0), NotEstimable)


@pytest.mark.parametrize("n", [5, 10, 30])
def test_coverage_of_the_paired_t_interval(n: int) -> None:
    stream = np.random.default_rng([21, n])
    noise = stream.normal(0.05, 0.06, (STUDIES, n))
    rate = np.mean([covers(difference_interval(row, np.zeros(n), "paired"), 0.05) for row in noise])
    assert rate >= lower_end(0.95)


@pytest.mark.parametrize(
    ("n", "m", "sds"), [(5, 5, (0.05, 0.05)), (30, 5, (0.08, 0.08)), (10, 6, (0.02, 0.08))]
)
def test_coverage_of_the_welch_interval(n: int, m: int, sds: tuple[float, float]) -> None:
    stream = np.random.default_rng([22, n, m])
    first, second = stream.normal(0.05, sds[0], (STUDIES, n)), stream.normal(0, sds[1], (STUDIES, m))
    rate = np.mean(
        [
            covers(difference_interval(one, two, "independent"), 0.05)
            for one, two in zip(first, second, strict=True)
        ]
    )
    assert rate >= lower_end(0.95)


@pytest.mark.parametrize("level", [0.95, 0.9875])
@pytest.mark.parametrize("design", ["paired", "independent"])
def test_coverage_over_skewed_trials(design: Design, level: float) -> None:
    """Trial scores over 120 examples, skewed: most trials end near the top, some far below."""
    stream = np.random.default_rng([23, design == "paired"])
    chance = stream.beta(8, 3, (STUDIES, 2, 20))
    truth = 8 / 11 - 8 / 11
    scores = stream.binomial(120, chance) / 120
    rate = np.mean([covers(difference_interval(one, two, design, level=level), truth) for one, two in scores])
    assert rate >= lower_end(level)


def crossed(
    stream: np.random.Generator,
    design: Design,
    trials: tuple[int, int],
    examples: int,
    widths: tuple[float, float] = (0.2, 0.1),
) -> tuple[np.ndarray, np.ndarray]:
    """Right-or-wrong answers with effects of trials, of examples, and of examples within an arm; true difference 0.1 on average.

    Uniform latent thresholds keep the population means exact: trials and examples shift the chance by independent
    amounts with mean 0.
    """
    block = stream.uniform(-0.05, 0.05, (max(trials), 1))
    ease = stream.uniform(-widths[0], widths[0], examples)
    gain = stream.uniform(-widths[1], widths[1], examples)
    arms = []
    for place, n in enumerate(trials):
        own = stream.uniform(-0.05, 0.05, (n, 1)) + (block[:n] if design == "paired" else 0)
        chance = 0.5 + (0.1 + gain if place == 0 else 0) + ease + own
        arms.append((stream.random((n, examples)) < chance).astype(float))
    return arms[0], arms[1]


@pytest.mark.slow
@pytest.mark.parametrize(("design", "trials"), [("paired", (20, 20)), ("independent", (30, 20))])
def test_coverage_of_the_crossed_bootstrap(design: Design, trials: tuple[int, int]) -> None:
    stream = np.random.default_rng([24, *trials])
    found = [
        population_interval(*crossed(stream, design, trials, 30), design, seed=1, resamples=399)
        for _ in range(STUDIES)
    ]
    rate = np.mean([covers(one, 0.1) for one in found])
    assert rate >= lower_end(0.95)
    # Not by being wide: the mean width is near that of the true standard error.
    assert rate <= 0.98


def test_trials_alone_do_not_cover_the_population() -> None:
    """Why the two targets are told apart: over trials only, examples' own gains are left out."""
    stream = np.random.default_rng(25)
    hits = []
    for _ in range(300):
        first, second = crossed(stream, "paired", (20, 20), 30, (0.05, 0.25))
        hits.append(
            covers(
                difference_interval(first.mean(axis=1), second.mean(axis=1), "paired"),
                0.1,
            )
        )
    assert np.mean(hits) < 0.9


def test_the_crossed_bootstrap_is_a_plain_loops() -> None:
    stream = np.random.default_rng(26)
    first, second = crossed(stream, "independent", (12, 9), 15)

    def parts(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
        variance = []
        for arm in (one, two):
            n, m = arm.shape
            left = arm - arm.mean(axis=1, keepdims=True) - arm.mean(axis=0) + arm.mean()
            variance.append(
                (arm.mean(axis=1).var(ddof=1) / n, (left**2).sum() / ((n - 1) * (m - 1)) / (n * m))
            )
        rows = variance[0][0] + variance[1][0]
        columns = (one.mean(axis=0) - two.mean(axis=0)).var(ddof=1) / one.shape[1]
        total = rows + columns - variance[0][1] - variance[1][1]
        return one.mean() - two.mean(), float(np.sqrt(max(rows, columns, total)))

    estimate, error = parts(first, second)
    roots = []
    for _ in range(6_000):
        examples = stream.integers(0, 15, 15)
        one = first[stream.integers(0, 12, 12)][:, examples]
        two = second[stream.integers(0, 9, 9)][:, examples]
        value, own = parts(one, two)
        roots.append((value - estimate) / own)
    low, high = np.quantile(roots, [0.05, 0.95])
    found = population_interval(first, second, "independent", level=0.9, seed=2, resamples=6_000)
    assert isinstance(found, DifferenceInterval)
    assert found.target == "population"
    assert found.difference == pytest.approx(estimate)
    assert found.interval.low == pytest.approx(estimate - high * error, abs=0.08 * error)
    assert found.interval.high == pytest.approx(estimate - low * error, abs=0.08 * error)


def test_missing_cells_are_filled_by_their_additive_fit() -> None:
    """Additive scores: the fit is exact, and a missing cell changes nothing but its own noise."""
    rows = 0.4 + np.linspace(0, 0.2, 20)[:, None] + np.linspace(0, 0.3, 12)[None, :]
    other = rows - 0.1 + np.random.default_rng(1).normal(0, 0.01, rows.shape)
    whole = population_interval(rows, other, "paired", seed=3, resamples=500)
    holed = rows.copy()
    holed[4, 5] = np.nan
    found = population_interval(holed, other, "paired", seed=3, resamples=500)
    assert isinstance(whole, DifferenceInterval)
    assert isinstance(found, DifferenceInterval)
    assert found.difference == pytest.approx(whole.difference, abs=1e-4)
    empty = rows.copy()
    empty[:, 3] = np.nan
    found = population_interval(empty, other, "paired", seed=3, resamples=500)
    assert isinstance(found, DifferenceInterval)
    assert found.difference == pytest.approx(float(np.delete(rows - other, 3, axis=1).mean()))


def test_mistakes_are_refused() -> None:
    rows = np.full((3, 4), 0.5)
    with pytest.raises(ValueError, match="not crossed"):
        population_interval(rows, rows[:, :3], "independent", seed=0)
    with pytest.raises(ValueError, match="not crossed"):
        population_interval(rows, rows[:2], "paired", seed=0)
    with pytest.raises(ValueError, match="outside"):
        population_interval(rows + 1, rows, "paired", seed=0)
    with pytest.raises(ValueError, match="without any score"):
        population_interval(np.vstack([rows, np.full((1, 4), np.nan)]), rows, "independent", seed=0)
    with pytest.raises(ValueError, match="level"):
        difference_interval([0.1, 0.2], [0.2, 0.2], "paired", level=95)

"""Kendall's τ-b against SciPy; its permutation p against brute force and its size."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats

from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.trend import Trend, kendall_trend


@pytest.mark.parametrize("seed", range(8))
def test_tau_is_scipys(seed: int) -> None:
    stream = np.random.default_rng(seed)
    variants = stream.choice([0, 1, 3, 5, 10], 30)
    scores = np.round(0.5 + 0.01 * variants + stream.normal(0, 0.1, 30), 1 + seed % 3)
    found = kendall_trend(variants, scores, seed=0, resamples=10)
    assert isinstance(found, Trend)
    assert found.tau == pytest.approx(stats.kendalltau(variants, scores).statistic, abs=1e-14)


def test_p_of_distinct_scores_is_scipys_exact_one() -> None:
    """Without ties every order is equally likely, and SciPy enumerates the null distribution."""
    scores = [0.3, 0.1, 0.4, 0.15, 0.9, 0.26, 0.5]
    found = kendall_trend(range(7), scores, seed=0)
    assert isinstance(found, Trend)
    assert found.exact
    assert found.rearrangements == 5_040
    for alternative, p in (("greater", found.greater), ("less", found.less), ("two-sided", found.two_sided)):
        expected = stats.kendalltau(range(7), scores, alternative=alternative, method="exact")
        assert p == pytest.approx(expected.pvalue)


def test_free_p_is_brute_force() -> None:
    variants, scores = [1, 1, 3, 3, 5, 5, 5], [0.4, 0.5, 0.5, 0.6, 0.55, 0.7, 0.5]
    observed = stats.kendalltau(variants, scores).statistic
    values = [stats.kendalltau(order, scores).statistic for order in permutations(variants)]
    found = kendall_trend(variants, scores, seed=0)
    assert isinstance(found, Trend)
    assert found.rearrangements == 210
    assert found.greater == pytest.approx(np.mean(np.array(values) >= observed - 1e-9))
    assert found.two_sided == pytest.approx(np.mean(np.abs(values) >= abs(observed) - 1e-9))


def test_p_within_blocks_is_brute_force() -> None:
    """Rows of unequal blocks in mixed order; n never leaves its block."""
    variants = np.array([1, 5, 3, 3, 1, 5, 1, 3])
    blocks = [0, 0, 1, 0, 1, 2, 2, 2]
    scores = np.array([0.2, 0.5, 0.7, 0.4, 0.5, 0.9, 0.6, 0.6])
    observed = stats.kendalltau(variants, scores).statistic
    members = [[place for place, block in enumerate(blocks) if block == number] for number in range(3)]
    values = []
    for orders in product(*(permutations(variants[place]) for place in members)):
        assigned = np.empty(8)
        for place, order in zip(members, orders, strict=True):
            assigned[place] = order
        values.append(stats.kendalltau(assigned, scores).statistic)
    found = kendall_trend(variants, scores, blocks, seed=0)
    assert isinstance(found, Trend)
    assert found.exact
    assert found.rearrangements == len(values) == 72
    assert found.attainable == 1 / 72
    assert found.greater == pytest.approx(np.mean(np.array(values) >= observed - 1e-9))
    assert found.less == pytest.approx(np.mean(np.array(values) <= observed + 1e-9))


def test_blocks_take_away_what_the_blocks_share() -> None:
    """A small rise within blocks that differ widely: seen within blocks, lost freely."""
    level = np.repeat(np.random.default_rng(1).normal(0.5, 0.2, 8), 3)
    variants = np.tile([1, 3, 5], 8)
    scores = level + 0.01 * variants
    within = kendall_trend(variants, scores, np.repeat(range(8), 3).tolist(), seed=0, resamples=5_000)
    freely = kendall_trend(variants, scores, seed=0, resamples=5_000)
    assert isinstance(within, Trend)
    assert isinstance(freely, Trend)
    assert within.tau == freely.tau
    assert within.greater < 0.01 < 0.1 < freely.greater


def test_random_assignments_are_near_the_enumerated_p() -> None:
    """The paper's sweep has 115 trials: random assignments, checked where an exact answer is known."""
    stream = np.random.default_rng(2)
    variants, scores = np.repeat([0, 1], [14, 12]), stream.integers(40, 80, 26) / 120
    found = kendall_trend(variants, scores, seed=3, resamples=20_000)
    assert isinstance(found, Trend)
    assert not found.exact
    # With two levels τ orders as Mann and Whitney's U does.
    expected = stats.permutation_test(
        (scores[14:], scores[:14]),
        lambda x, y: stats.mannwhitneyu(x, y).statistic,
        permutation_type="independent",
        alternative="greater",
        n_resamples=3_000,
        rng=np.random.default_rng(4),
    ).pvalue
    assert found.greater == pytest.approx(expected, abs=0.04)


def test_the_observed_assignment_counts_among_random_ones() -> None:
    found = kendall_trend(np.arange(30) // 5, np.linspace(0.1, 0.9, 30), seed=0, resamples=999)
    assert isinstance(found, Trend)
    assert (found.greater, found.less, found.attainable) == (0.001, 1.0, 0.001)


def test_the_papers_design_is_analysed() -> None:
    variants = np.repeat([0, 1, 2, 3, 4, 5], [40, 15, 15, 15, 15, 15])
    scores = np.random.default_rng(5).integers(40, 80, 115) / 120 + 0.01 * variants
    found = kendall_trend(variants, scores, seed=0, resamples=2_000)
    assert isinstance(found, Trend)
    z = stats.kendalltau(variants, scores, method="asymptotic", alternative="greater").pvalue
    assert found.greater == pytest.approx(z, abs=0.02)
    assert found.attainable == 1 / 2_001


def test_what_has_no_trend_is_not_estimable() -> None:
    assert isinstance(kendall_trend([3, 3, 3], [0.1, 0.2, 0.3], seed=0), NotEstimable)
    assert isinstance(kendall_trend([1, 2, 3], [0.2, 0.2, 0.2], seed=0), NotEstimable)
    assert isinstance(kendall_trend([1, 1, 2, 2], [0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], seed=0), NotEstimable)
    with pytest.raises(ValueError, match="one entry"):
        kendall_trend([1, 2], [0.1], seed=0)
    with pytest.raises(ValueError, match="missing"):
        kendall_trend([1, 2], [0.1, float("nan")], seed=0)


@pytest.mark.parametrize("shared", [False, True])
def test_type_one_rate(shared: bool) -> None:
    """2,000 null studies; under shared draws scores of a block are correlated."""
    stream = np.random.default_rng([6, shared])
    variants = np.tile([1, 3, 5], 3) if shared else np.repeat([0, 1, 5], [3, 3, 2])
    blocks = np.repeat(range(3), 3).tolist() if shared else None
    rejected = 0
    for _ in range(2_000):
        scores = stream.normal(0.6, 0.05, len(variants))
        if shared:
            scores = scores + np.repeat(stream.normal(0, 0.1, 3), 3)
        found = kendall_trend(variants, np.round(scores, 3), blocks, seed=0)
        assert isinstance(found, Trend)
        rejected += found.greater <= 0.05
    assert rejected <= stats.binom.ppf(0.975, 2_000, 0.05)
    assert rejected > 20

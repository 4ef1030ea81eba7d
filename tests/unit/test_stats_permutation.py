"""Permutation tests against SciPy, brute force and their enumerated size; type-I rates over simulated null studies."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from scipy import stats

from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.permutation import (
    attainable_p,
    enumerated_size,
    independent_permutation,
    independent_permutations,
    paired_permutation,
    paired_permutations,
)

STUDIES = 2_000


def band(alpha: float, studies: int = STUDIES) -> float:
    """Upper end of the 95 % binomial band of a rate."""
    return float(stats.binom.ppf(0.975, studies, alpha)) / studies


def shares(stream: np.random.Generator, *shape: int) -> np.ndarray:
    """Trial scores with ties: 24 examples."""
    return stream.integers(8, 20, shape) / 24


@pytest.mark.parametrize("n", [1, 2, 5, 9])
@pytest.mark.parametrize("seed", range(4))
def test_paired_is_brute_force_in_whole_numbers(n: int, seed: int) -> None:
    stream = np.random.default_rng([seed, n])
    first, second = stream.integers(0, 6, n), stream.integers(0, 6, n)
    found = paired_permutation(first / 120, second / 120, seed=0)
    sums = [
        sum(s * int(d) for s, d in zip(signs, first - second, strict=True))
        for signs in product((1, -1), repeat=n)
    ]
    observed = int((first - second).sum())
    assert found.exact
    assert found.rearrangements == 2**n
    assert found.greater == sum(value >= observed for value in sums) / 2**n
    assert found.less == sum(value <= observed for value in sums) / 2**n
    assert found.two_sided == sum(abs(value) >= abs(observed) for value in sums) / 2**n


def test_paired_orders_as_the_studentized_mean_does() -> None:
    stream = np.random.default_rng(1)
    first, second = stream.random(8), stream.random(8)
    differences = first - second

    def t(values: np.ndarray) -> float:
        return float(values.mean() / (values.std(ddof=1) / np.sqrt(8)))

    values = np.array([t(np.array(signs) * differences) for signs in product((1, -1), repeat=8)])
    found = paired_permutation(first, second, seed=0)
    assert found.statistic == pytest.approx(t(differences))
    assert found.greater == np.mean(values >= t(differences) - 1e-12)


@pytest.mark.parametrize(
    ("alternative", "direction"), [("greater", "greater"), ("less", "less"), ("two-sided", "two-sided")]
)
def test_paired_is_scipys(alternative: str, direction: str) -> None:
    stream = np.random.default_rng(5)
    first, second = stream.random(11), stream.random(11)
    expected = stats.permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        alternative=alternative,
        n_resamples=np.inf,
        vectorized=True,
    )
    assert paired_permutation(first, second, seed=0).p(direction) == pytest.approx(expected.pvalue)  # type: ignore[arg-type]


def exact_welch(first: list[int], second: list[int]) -> tuple[int, int]:
    """Splits at least as great as the observed one, and all, by exact rational t·|t|."""
    pooled = [*first, *second]
    n, m = len(first), len(second)

    def squared(chosen: tuple[int, ...]) -> tuple[int, Fraction]:
        one = [Fraction(pooled[place]) for place in chosen]
        two = [Fraction(pooled[place]) for place in range(n + m) if place not in chosen]
        means = sum(one) / n, sum(two) / m
        error = sum((x - means[0]) ** 2 for x in one) / (n * (n - 1)) + sum(
            (x - means[1]) ** 2 for x in two
        ) / (m * (m - 1))
        difference = means[0] - means[1]
        if difference == 0:
            return 0, Fraction(0)
        if error == 0:
            return (1 if difference > 0 else -1) * 2, Fraction(0)
        return (1, difference**2 / error) if difference > 0 else (-1, -(difference**2) / error)

    # Ordered by the sign first: infinite below, negative, zero, positive, infinite above.
    observed = squared(tuple(range(n)))
    values = [squared(chosen) for chosen in combinations(range(n + m), n)]
    return sum(value >= observed for value in values), len(values)


@pytest.mark.parametrize("sizes", [(2, 2), (3, 2), (2, 5), (5, 5), (6, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_welch_is_brute_force_in_rational_numbers(sizes: tuple[int, int], seed: int) -> None:
    """With many ties, so that arms without variance and infinite statistics occur."""
    stream = np.random.default_rng([seed, *sizes])
    first, second = stream.integers(0, 3, sizes[0]), stream.integers(0, 3, sizes[1])
    count, total = exact_welch(first.tolist(), second.tolist())
    found = independent_permutation(first / 120, second / 120, seed=0)
    assert found.exact
    assert found.rearrangements == total == comb(sum(sizes), sizes[0])
    assert found.greater == count / total


@pytest.mark.parametrize("sizes", [(6, 6), (9, 4)])
@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_independent_is_scipys(sizes: tuple[int, int], alternative: str) -> None:
    stream = np.random.default_rng(3)
    first, second = stream.random(sizes[0]), stream.random(sizes[1]) + 0.1
    for statistic, equal_variances in (("welch", False), ("pooled", True)):
        expected = stats.permutation_test(
            (first, second),
            lambda x, y, axis, pooled=equal_variances: (
                stats.ttest_ind(x, y, axis=axis, equal_var=pooled).statistic
            ),
            alternative=alternative,
            n_resamples=np.inf,
            vectorized=True,
        )
        found = independent_permutation(first, second, statistic=statistic, seed=0)  # type: ignore[arg-type]
        assert found.p(alternative) == pytest.approx(expected.pvalue)  # type: ignore[arg-type]
        assert found.statistic == pytest.approx(expected.statistic)


def test_pooled_orders_as_the_difference_of_means_does() -> None:
    stream = np.random.default_rng(8)
    first, second = shares(stream, 7), shares(stream, 5)
    whole = np.round(np.concatenate([first, second]) * 24).astype(int)
    observed = whole[:7].sum()
    sums = [whole[list(chosen)].sum() for chosen in combinations(range(12), 7)]
    found = independent_permutation(first, second, statistic="pooled", seed=0)
    assert found.greater == np.mean(np.array(sums) >= observed)


def test_random_rearrangements_are_near_the_enumerated_p() -> None:
    stream = np.random.default_rng(2)
    first, second = shares(stream, 10) + 0.04, shares(stream, 10)
    for test in (paired_permutations, independent_permutations):
        exact = test([(first, second)], seed=0)[0]
        random = test([(first, second)], seed=0, enumerate_up_to=1)[0]
        assert exact.exact
        assert not random.exact
        assert random.rearrangements == 100_000
        for direction in ("greater", "less", "two-sided"):
            p = exact.p(direction)  # type: ignore[arg-type]
            assert random.p(direction) == pytest.approx(p, abs=4 * (p * (1 - p) / 1e5) ** 0.5)  # type: ignore[arg-type]


def test_the_observed_arrangement_counts_among_random_ones() -> None:
    first = np.linspace(0.9, 1.0, 30)
    found = paired_permutation(first, 1 - first, seed=0, resamples=999)
    assert (found.greater, found.attainable, found.less) == (0.001, 0.001, 1.0)


def test_a_contrast_has_the_same_p_whatever_it_is_computed_with() -> None:
    stream = np.random.default_rng(4)
    pairs = [(shares(stream, n), shares(stream, n)) for n in (30, 25, 30, 25)]
    for test in (paired_permutations, independent_permutations):
        together = test(pairs, seed=7, resamples=2_000)
        assert together == tuple(test([pair], seed=7, resamples=2_000)[0] for pair in pairs)
        assert together != test(pairs, seed=8, resamples=2_000)


def test_no_variance_is_not_estimable_and_ties_are_ties() -> None:
    found = paired_permutation([0.3] * 6, [0.1] * 6, seed=0)
    assert isinstance(found.statistic, NotEstimable)
    assert found.greater == 1 / 64
    found = paired_permutation([0.7] * 6, [0.7] * 6, seed=0)
    assert (found.greater, found.less, found.two_sided) == (1.0, 1.0, 1.0)
    found = independent_permutation([0.3] * 4, [0.1] * 4, seed=0)
    assert isinstance(found.statistic, NotEstimable)
    assert found.greater == 1 / 70
    assert found.two_sided == 2 / 70
    found = independent_permutation([0.1 + 0.2] * 4, [0.3] * 4, seed=0)
    assert (found.greater, found.two_sided) == (1.0, 1.0)


def test_two_constant_arms_are_the_most_extreme_split_whatever_rounding_leaves() -> None:
    values = np.arange(1, 40) / 39
    pairs = [([one] * 4, [other] * 5) for one in values for other in values if one > other]
    assert {result.greater for result in independent_permutations(pairs, seed=0)} == {1 / 126}


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="equal numbers"):
        paired_permutation([0.1, 0.2], [0.1], seed=0)
    with pytest.raises(ValueError, match="missing"):
        paired_permutation([0.1, float("nan")], [0.1, 0.2], seed=0)
    with pytest.raises(ValueError, match="without blocks"):
        paired_permutation([], [], seed=0)
    with pytest.raises(ValueError, match="fewer than two"):
        independent_permutation([0.1], [0.1, 0.2], seed=0)


def test_attainable_p() -> None:
    assert attainable_p("paired", 5, 5) == 1 / 32
    assert attainable_p("paired", 5, 5, two_sided=True) == 1 / 16
    assert attainable_p("independent", 5, 5) == 1 / 252
    assert attainable_p("independent", 30, 5) == 1 / 324_632
    assert attainable_p("independent", 30, 5, two_sided=True) == 1 / 324_632
    assert attainable_p("independent", 30, 30) == 1 / 100_001
    assert attainable_p("paired", 30, 30) == 1 / 100_001


def test_attainable_p_is_attained() -> None:
    low, high = np.linspace(0.1, 0.2, 5), np.linspace(0.7, 0.9, 5)
    found = independent_permutation(high, low, seed=0)
    assert (found.greater, found.two_sided) == (found.attainable, found.attainable_two_sided)
    found = paired_permutation(high, low, seed=0)
    assert (found.greater, found.two_sided) == (found.attainable, found.attainable_two_sided)


@pytest.mark.parametrize(("n", "size"), [(4, 0.0), (5, 1 / 32), (6, 3 / 64), (10, 51 / 1024)])
def test_sign_flip_has_its_enumerated_size(n: int, size: float) -> None:
    assert enumerated_size("paired", n, n, 0.05) == size
    magnitudes = np.sqrt(np.arange(2, n + 2))
    studies = [(np.array(signs) * magnitudes, np.zeros(n)) for signs in product((1, -1), repeat=n)]
    rejected = [result.greater <= 0.05 for result in paired_permutations(studies, seed=0)]
    assert np.mean(rejected) == size


@pytest.mark.parametrize(("n", "m"), [(5, 5), (6, 3), (4, 4)])
@pytest.mark.parametrize("statistic", ["welch", "pooled"])
def test_relabelling_has_its_enumerated_size(n: int, m: int, statistic: str) -> None:
    # Square roots of primes: no two subsets have equal means.
    pool = np.sqrt([2, 3, 5, 7, 11, 13, 17, 19, 23, 29][: n + m])
    studies = []
    for chosen in combinations(range(n + m), n):
        rest = [place for place in range(n + m) if place not in chosen]
        studies.append((pool[list(chosen)], pool[rest]))
    rejected = [
        result.greater <= 0.05
        for result in independent_permutations(studies, seed=0, statistic=statistic)  # type: ignore[arg-type]
    ]
    total = comb(n + m, n)
    assert sum(rejected) == int(0.05 * total)
    assert enumerated_size("independent", n, m, 0.05) == sum(rejected) / total


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 4])
@pytest.mark.parametrize("n", [5, 10, 30])
def test_paired_type_one_rate(n: int, alpha: float) -> None:
    """Shared draws: the arms of a block are correlated, and differ in nothing."""
    stream = np.random.default_rng([11, n])
    block = stream.normal(0.6, 0.08, (STUDIES, 1, n))
    scores = np.round(np.clip(block + stream.normal(0, 0.04, (STUDIES, 2, n)), 0, 1) * 120) / 120
    results = paired_permutations(list(scores), seed=n, resamples=1_999)  # type: ignore[arg-type]
    for direction in ("greater", "less", "two-sided"):
        assert np.mean([result.p(direction) <= alpha for result in results]) <= band(alpha)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "m"), [(5, 5), (30, 5), (30, 30)])
@pytest.mark.parametrize("statistic", ["welch", "pooled"])
def test_independent_type_one_rate(n: int, m: int, statistic: str) -> None:
    stream = np.random.default_rng([12, n, m])
    scores = np.round(np.clip(stream.normal(0.6, 0.08, (STUDIES, n + m)), 0, 1) * 120) / 120
    pairs = [(row[:n], row[n:]) for row in scores]
    results = independent_permutations(
        pairs,
        statistic=statistic,  # type: ignore[arg-type]
        seed=n,
        resamples=1_999,
        enumerate_up_to=1_000,
    )
    for alpha in (0.05, 0.05 / 4):
        for direction in ("greater", "less", "two-sided"):
            assert np.mean([result.p(direction) <= alpha for result in results]) <= band(alpha)  # type: ignore[arg-type]


def test_unequal_variances() -> None:
    """Why Welch's statistic is the default: with equal means but unequal spread the pooled t of unequal arms is far
    off. Welch's is valid asymptotically, not exact: with 10 trials in the more variable arm it is still a little off."""
    stream = np.random.default_rng(13)

    def rates(n: int, m: int, sds: tuple[float, float]) -> tuple[float, float]:
        pairs = [(stream.normal(0.6, sds[0], n), stream.normal(0.6, sds[1], m)) for _ in range(STUDIES)]
        found = [
            independent_permutations(pairs, statistic=statistic, seed=1, resamples=1_999)  # type: ignore[arg-type]
            for statistic in ("welch", "pooled")
        ]
        welch, pooled = (float(np.mean([result.greater <= 0.05 for result in results])) for results in found)
        return welch, pooled

    assert rates(30, 30, (0.03, 0.09))[0] <= band(0.05)
    welch, pooled = rates(30, 10, (0.05, 0.1))
    assert welch < 0.075
    assert pooled > 0.09


def test_more_contrasts_than_are_held_at_once() -> None:
    stream = np.random.default_rng(14)
    pairs = [(shares(stream, 6), shares(stream, 6)) for _ in range(130)]
    for test in (paired_permutations, independent_permutations):
        together = test(pairs, seed=0)
        assert [together[place] for place in (0, 63, 64, 129)] == [
            test([pairs[place]], seed=0)[0] for place in (0, 63, 64, 129)
        ]

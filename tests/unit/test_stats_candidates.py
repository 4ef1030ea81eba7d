"""Diversity of candidates and the bias of their selection, by brute force and in simulated worlds."""

from __future__ import annotations

from functools import cache
from itertools import combinations, permutations

import numpy as np
import pytest

from nullgrad.analysis.selection_bias import SelectionBias, selection_bias
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.study.diversity import (
    BestOf,
    best_of,
    diversity,
    score_disagreement,
    token_distance,
    tokens,
)


def recursive_levenshtein(one: tuple[str, ...], two: tuple[str, ...]) -> int:
    @cache
    def steps(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(steps(i - 1, j) + 1, steps(i, j - 1) + 1, steps(i - 1, j - 1) + (one[i - 1] != two[j - 1]))

    return steps(len(one), len(two))


@pytest.mark.parametrize("seed", range(10))
def test_token_distance_is_levenshteins(seed: int) -> None:
    stream = np.random.default_rng(seed)
    one, two = (" ".join(stream.choice(list("abcd"), size)) for size in stream.integers(1, 12, 2))
    longer = max(len(one.split()), len(two.split()))
    expected = recursive_levenshtein(tuple(one.split()), tuple(two.split())) / longer
    assert token_distance(one, two) == pytest.approx(expected)
    assert token_distance(two, one) == pytest.approx(expected)


def test_token_distance_by_hand() -> None:
    """kitten → sitting, the textbook example: 3 of 7 letters as tokens."""
    assert token_distance(" ".join("kitten"), " ".join("sitting")) == pytest.approx(3 / 7)
    assert tokens("Answer, then stop.") == ("Answer", ",", "then", "stop", ".")
    assert token_distance("Answer briefly.", "Answer   briefly.") == 0.0
    assert token_distance("a b", "") == 1.0
    assert token_distance("", "") == 0.0
    assert token_distance("a b c", "d e f") == 1.0


def test_diversity_of_a_step() -> None:
    scores = [[1, 0, 1, 1], [1, 0, 1, 1], [0, 1, 1, np.nan]]
    found = diversity(["Think.", "Think.", "Guess now."], scores)
    assert (found.candidates, found.duplicates) == (3, 1)
    distance = token_distance("Think.", "Guess now.")
    assert found.distance == pytest.approx((0 + distance + distance) / 3)
    assert found.disagreement == pytest.approx((0 + 2 / 3 + 2 / 3) / 3)


def test_diversity_of_too_little_is_not_estimable() -> None:
    found = diversity(["one"], [[0.5, 0.5]])
    assert isinstance(found.distance, NotEstimable)
    assert isinstance(found.disagreement, NotEstimable)
    assert isinstance(diversity(["a", "b"]).disagreement, NotEstimable)
    assert isinstance(score_disagreement([[np.nan, 1], [1, np.nan]]), NotEstimable)
    with pytest.raises(ValueError, match="rows"):
        diversity(["a", "b"], [[0.5]])
    with pytest.raises(ValueError, match="outside"):
        score_disagreement([[2.0], [0.5]])


def brute_best_of(scores: np.ndarray, folds: int) -> list[float]:
    """Over every subset of candidates and every order of breaking ties."""
    count, examples = scores.shape
    curve = []
    for size in range(1, count + 1):
        total = 0.0
        for fold in range(folds):
            out = list(range(examples))[fold::folds]
            rest = [place for place in range(examples) if place not in out]
            values = []
            for subset in combinations(range(count), size):
                sums = {place: scores[place, rest].sum() for place in subset}
                best = [place for place in subset if abs(sums[place] - max(sums.values())) < 1e-9]
                values.append(np.mean([scores[place, out].sum() for place in best]))
            total += float(np.mean(values))
        curve.append(total / examples)
    return curve


@pytest.mark.parametrize("seed", range(5))
def test_best_of_is_every_subset_without_ties(seed: int) -> None:
    scores = np.random.default_rng(seed).random((5, 12))
    found = best_of(scores)
    assert isinstance(found, BestOf)
    assert (found.examples, found.folds) == (12, 10)
    assert found.curve == pytest.approx(brute_best_of(scores, 10))


def test_ties_share_as_random_orders_of_the_candidates_do() -> None:
    scores = np.random.default_rng(3).integers(0, 2, (4, 6)).astype(float)
    found = best_of(scores)
    assert isinstance(found, BestOf)
    curves = []
    for order in permutations(range(4)):
        shifted = scores[list(order)]
        # Ties broken by place: a candidate placed later wins.
        totals = []
        for size in range(1, 5):
            total = 0.0
            for fold in range(6):
                rest = [place for place in range(6) if place != fold]
                values = [
                    shifted[max(subset, key=lambda place: (shifted[place, rest].sum(), place)), fold]
                    for subset in combinations(range(4), size)
                ]
                total += float(np.mean(values))
            totals.append(total / 6)
        curves.append(totals)
    assert found.curve == pytest.approx(np.mean(curves, axis=0))


def test_best_of_one_is_a_blind_draw_and_missing_examples_are_left_out() -> None:
    scores = np.random.default_rng(4).random((6, 20))
    holed = scores.copy()
    holed[2, 5] = np.nan
    found = best_of(holed)
    assert isinstance(found, BestOf)
    assert found.examples == 19
    assert found.curve[0] == pytest.approx(np.delete(scores, 5, axis=1).mean())
    assert isinstance(best_of([[0.5], [0.4]]), NotEstimable)
    assert isinstance(best_of(np.zeros((0, 4))), NotEstimable)
    single = best_of([[0.5, 0.4]])
    assert isinstance(single, BestOf)
    assert isinstance(single.last_step, NotEstimable)


def world(
    stream: np.random.Generator, candidates: int, examples: int, sd: float
) -> tuple[np.ndarray, np.ndarray]:
    """Right-or-wrong answers of candidates whose true means differ with standard deviation `sd`; the truth."""
    truth = np.clip(0.6 + stream.normal(0, sd, candidates), 0.02, 0.98)
    return (stream.random((candidates, examples)) < truth[:, None]).astype(float), truth


def chosen_truth(scores: np.ndarray, truth: np.ndarray) -> float:
    means = scores.mean(axis=1)
    return float(truth[means >= means.max() - 1e-9].mean())


def test_best_of_says_whether_more_would_help() -> None:
    """Equal candidates: a flat curve, though the best claims ten points more. Unequal ones: a rising curve."""
    stream = np.random.default_rng(5)
    flat, rising = [], []
    for _ in range(300):
        for curves, sd in ((flat, 0.0), (rising, 0.1)):
            found = best_of(world(stream, 8, 60, sd)[0])
            assert isinstance(found, BestOf)
            curves.append(found.curve)
    # Four standard errors of 300 curves.
    assert np.abs(np.mean(flat, axis=0) - 0.6).max() < 0.02
    means = np.mean(rising, axis=0)
    assert (np.diff(means) > 0).all()
    assert means[-1] - means[0] > 0.08


WORLDS = [(3, 50, 0.05), (10, 50, 0.0), (10, 120, 0.05), (20, 120, 0.0), (20, 50, 0.1)]


@pytest.mark.slow
@pytest.mark.parametrize(("candidates", "examples", "sd"), WORLDS)
def test_bias_of_the_corrected_estimates(candidates: int, examples: int, sd: float) -> None:
    """In every world the cross-fitted estimate is within a point; the out-of-bag bootstrap where candidates are
    nearly equal, and low, never high, where they are not."""
    stream = np.random.default_rng([6, candidates, examples, round(100 * sd)])
    claimed, out_of_bag, corrected = [], [], []
    for seed in range(400):
        scores, truth = world(stream, candidates, examples, sd)
        found = selection_bias(scores, seed=seed, resamples=100)
        assert isinstance(found, SelectionBias)
        assert isinstance(found.out_of_bag, float)
        assert isinstance(found.corrected, float)
        right = chosen_truth(scores, truth)
        claimed.append(found.claimed - right)
        out_of_bag.append(found.out_of_bag - right)
        corrected.append(found.corrected - right)
    assert np.mean(claimed) > 0.03
    noise = 2 * float(np.std(corrected)) / 20
    assert abs(np.mean(corrected)) < 0.01 + noise
    assert np.mean(out_of_bag) < 0.01
    assert np.mean(out_of_bag) > (-0.01 - noise if sd <= 0.05 else -0.035)


def test_inflation_is_the_expected_maximum_of_equal_candidates() -> None:
    """The truth is computed from fresh worlds with equal candidates; one study's permutations reproduce it."""
    stream = np.random.default_rng(7)
    fresh = [scores.mean(axis=1) for scores, _ in (world(stream, 10, 100, 0.0) for _ in range(2_000))]
    expected = np.mean([means.max() - means.mean() for means in fresh])
    found = [selection_bias(world(stream, 10, 100, 0.0)[0], seed=seed, resamples=200) for seed in range(40)]
    values = [one.inflation for one in found if isinstance(one, SelectionBias)]
    assert len(values) == 40
    assert np.mean(values) == pytest.approx(expected, abs=0.003)


def test_inflation_by_enumeration() -> None:
    """Two candidates, three examples that they differ on: the best of eight equally likely splits."""
    found = selection_bias([[1, 1, 1, 0], [0, 0, 0, 0]], seed=1, resamples=20_000)
    assert isinstance(found, SelectionBias)
    expected = np.mean([max(k, 3 - k) / 4 - 3 / 8 for k in (0, 1, 1, 1, 2, 2, 2, 3)])
    assert found.inflation == pytest.approx(expected, abs=0.002)


def test_inflation_by_enumeration_with_a_missing_score() -> None:
    """The second candidate misses the last example, whose score stays with the first."""
    found = selection_bias([[1, 1, 1, 1], [0, 0, 0, np.nan]], seed=1, resamples=20_000)
    assert isinstance(found, SelectionBias)
    means = [((k + 1) / 4, (3 - k) / 3) for k in (0, 1, 1, 1, 2, 2, 2, 3)]
    expected = np.mean([max(pair) - sum(pair) / 2 for pair in means])
    assert found.inflation == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(
    "scores",
    [
        [[1.0, 0.0, 0.5], [0.25, 0.75, 0.0]],
        # Ties up to rounding: 0.1 + 0.2 + 0.3 against 0.3 + 0.2 + 0.1.
        [[0.1, 0.2, 0.3, 0.0], [0.3, 0.2, 0.1, 1.0]],
    ],
)
def test_out_of_bag_by_enumeration(scores: list[list[float]]) -> None:
    """Every draw of the examples, and every example left out, by hand."""
    rows = np.array(scores)
    examples = rows.shape[1]

    def fresh(kept: list[int], out: list[int]) -> float:
        means = rows[:, kept].mean(axis=1)
        return float(
            np.mean([rows[place, out].mean() for place in range(2) if means[place] >= means.max() - 1e-9])
        )

    everything = range(examples)
    draws = [list(drawn) for drawn in np.ndindex(*[examples] * examples)]
    values = [
        fresh(drawn, [place for place in everything if place not in drawn])
        for drawn in draws
        if len(set(drawn)) < examples
    ]
    found = selection_bias(rows, seed=2, resamples=40_000)
    assert isinstance(found, SelectionBias)
    assert found.out_of_bag == pytest.approx(np.mean(values), abs=0.006)
    crossfit = [fresh([place for place in everything if place != out], [out]) for out in everything]
    assert found.corrected == pytest.approx(np.mean(crossfit), abs=0.006)
    assert found.bias == pytest.approx(found.claimed - np.mean(crossfit), abs=0.006)


def test_the_current_prompt_wins_its_ties() -> None:
    """Every example left out once, by hand: with ties shared, and with ties to the last row."""
    rows = np.array([[1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
    for incumbents, value in ((0, 11 / 24), (1, 1 / 4)):
        expected = []
        for out in range(4):
            means = np.delete(rows, out, axis=1).mean(axis=1)
            best = [place for place in range(3) if means[place] >= means.max() - 1e-9]
            if incumbents and 2 in best:
                best = [2]
            expected.append(rows[best, out].mean())
        found = selection_bias(rows, seed=1, resamples=20_000, incumbents=incumbents)
        assert isinstance(found, SelectionBias)
        assert np.mean(expected) == pytest.approx(value)
        assert found.corrected == pytest.approx(value, abs=0.01)
        assert found.claimed == 0.75


def test_unseen_is_missing_and_not_zero() -> None:
    """Racing stopped a candidate after 60 of 100 examples: it keeps its mean, and one stopped after 20 cannot win."""
    stream = np.random.default_rng(8)
    scores = (stream.random((4, 100)) < np.array([[0.5], [0.5], [0.9], [0.95]])).astype(float)
    scores[2, 60:] = np.nan
    scores[3, 20:] = np.nan
    found = selection_bias(scores, seed=3, resamples=400)
    assert isinstance(found, SelectionBias)
    assert (found.candidates, found.left_out, found.examples) == (3, 1, 100)
    assert found.claimed == pytest.approx(float(np.nanmean(scores[2])))
    assert isinstance(found.out_of_bag, float)
    assert found.out_of_bag == pytest.approx(0.9, abs=0.06)


def test_asking_the_easy_examples_wins_nothing() -> None:
    """Equal candidates; one saw the easy half only and has the higher mean, not the higher standing."""
    easy = np.array([[1.0] * 10 + [0.0] * 10] * 3)
    easy[0, 10:] = np.nan
    found = selection_bias(easy, seed=4, resamples=100)
    assert isinstance(found, SelectionBias)
    assert found.claimed == pytest.approx((1.0 + 0.5 + 0.5) / 3)


def test_selection_among_nothing_is_not_estimable() -> None:
    assert isinstance(selection_bias(np.zeros((0, 5)), seed=0), NotEstimable)
    assert isinstance(selection_bias([[1.0]], seed=0), NotEstimable)
    assert isinstance(selection_bias(np.full((3, 5), np.nan), seed=0), NotEstimable)

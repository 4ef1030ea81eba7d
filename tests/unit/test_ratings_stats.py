"""Agreement, strengths and the test of two kinds, against published values, exact enumeration and simulation."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from nullgrad.analysis.ratings import Comparison, bradley_terry, kinds_test, mean_ratings
from nullgrad.analysis.stats.agreement import agreement
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.intervals import Interval

N = None
KRIPPENDORFF = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3),
    (N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N),
)
"""Four observers, twelve units: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section D."""

TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
WINS = (
    (0, 7, 9, 7, 7, 9, 11),
    (6, 0, 7, 5, 11, 9, 9),
    (4, 6, 0, 7, 7, 8, 12),
    (6, 8, 6, 0, 6, 7, 10),
    (6, 2, 6, 7, 0, 7, 12),
    (4, 4, 5, 6, 6, 0, 6),
    (2, 4, 1, 3, 1, 7, 0),
)
"""Baseball, 1987: Agresti, Categorical Data Analysis (2002), table 10.10."""
PUBLISHED = {
    "Milwaukee": 1.5814,
    "Detroit": 1.4364,
    "Toronto": 1.2945,
    "New York": 1.2476,
    "Boston": 1.1077,
    "Cleveland": 0.6839,
}
"""Strengths with Baltimore at 0: Turner and Firth, BradleyTerry2 (2012), section 2."""  # fmt: skip


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_krippendorffs(level: str, alpha: float) -> None:
    found = agreement(KRIPPENDORFF, level)
    assert found.alpha == pytest.approx(alpha, abs=5e-4)
    assert (found.units, found.raters, found.values) == (11, 4, 40)


def test_alpha_is_that_of_the_maintained_package() -> None:
    package = pytest.importorskip("krippendorff")
    stream = np.random.default_rng(0)
    for _ in range(20):
        table = stream.integers(1, 6, size=(3, 9)).astype(float)
        table[stream.random(table.shape) < 0.2] = np.nan
        rows = [[None if np.isnan(one) else one for one in row] for row in table]
        for level in ("nominal", "ordinal", "interval"):
            wanted = package.alpha(reliability_data=table, level_of_measurement=level)
            assert agreement(rows, level, resamples=1).alpha == pytest.approx(wanted, abs=1e-9)


def test_alpha_at_its_ends() -> None:
    assert agreement([[1, 2, 3, 4, 5]] * 2, "ordinal").alpha == pytest.approx(1.0)
    assert agreement([[1, 2, 1, 2], [2, 1, 2, 1]], "nominal").alpha < 0
    same = agreement([[3, 3, 3]] * 2, "ordinal")
    assert isinstance(same.alpha, NotEstimable)
    alone = agreement([[1, 2, 3]], "ordinal")
    assert "two raters" in str(alone.alpha)
    assert isinstance(agreement([[1, 2, 4], [1, 3, 4]], "ordinal").interval, NotEstimable)


def test_alphas_interval_covers() -> None:
    stream, inside, of = np.random.default_rng(1), 0, 80
    truth = _alphas(stream, 200, 3_000)
    for study in range(of):
        interval = agreement(_rated(stream, 40), "interval", seed=study, resamples=150).interval
        assert isinstance(interval, Interval)
        inside += interval.low <= truth <= interval.high
    assert inside / of > 0.85, "nominal 0.95; percentile intervals of 40 units fall a little short"


def _rated(stream: np.random.Generator, units: int) -> list[list[float]]:
    quality = stream.normal(size=units)
    return [list(np.round(3 + quality + stream.normal(size=units))) for _ in range(2)]


def _alphas(stream: np.random.Generator, studies: int, units: int) -> float:
    return float(
        np.mean(
            [agreement(_rated(stream, units), "interval", resamples=1).alpha for _ in range(studies // 40)]
        )
    )


def test_strengths_are_the_published_ones() -> None:
    games = [
        Comparison("", TEAMS[a], TEAMS[b], outcome)
        for a, b in combinations(range(len(TEAMS)), 2)
        for outcome, count in ((1.0, WINS[a][b]), (0.0, WINS[b][a]))
        for _ in range(count)
    ]
    found = bradley_terry(games, TEAMS)
    assert not found.shrunk
    by_name = {one.item: one for one in found.items}
    for team, wanted in PUBLISHED.items():
        assert by_name[team].strength - by_name["Baltimore"].strength == pytest.approx(wanted, abs=5e-4)
    assert sum(one.strength for one in found.items) == pytest.approx(0, abs=1e-9)
    assert by_name["Boston"].comparisons == 78


def test_two_prompts_are_a_logit() -> None:
    found = bradley_terry(
        [Comparison("a", "x", "y", 1.0)] * 30 + [Comparison("a", "x", "y", 0.0)] * 10, ("x", "y")
    )
    assert found.items[0].strength == pytest.approx(np.log(3) / 2, abs=1e-8)
    interval = found.items[0].interval
    # The variance of a logit is 1/(n p q); each side has half of the difference.
    assert interval.high - interval.low == pytest.approx(
        2 * 1.959964 * np.sqrt(1 / 30 + 1 / 10) / 2, abs=1e-5
    )
    tie = bradley_terry([Comparison("a", "x", "y", 0.5)] * 4, ("x", "y"))
    assert tie.items[0].strength == pytest.approx(0)


def test_who_always_won_is_held_back_and_said_so() -> None:
    found = bradley_terry([Comparison("a", "x", "y", 1.0)] * 5, ("x", "y", "z"))
    assert found.shrunk
    assert 0 < found.items[0].strength < 5
    assert found.items[2].comparisons == 0
    assert isinstance(bradley_terry([], ("x", "y")).items[0].strength, NotEstimable)


def test_intervals_of_strengths_cover() -> None:
    stream = np.random.default_rng(2)
    truth = np.array([-0.9, -0.2, 0.0, 0.3, 0.8])
    names = tuple("abcde")
    inside = of = 0
    for _ in range(300):
        rows = [
            Comparison("", names[a], names[b], float(stream.random() < 1 / (1 + np.exp(truth[b] - truth[a]))))
            for a, b in combinations(range(5), 2)
            for _ in range(15)
        ]
        for number, one in enumerate(bradley_terry(rows, names).items):
            assert isinstance(one.interval, Interval)
            of += 1
            inside += one.interval.low <= truth[number] <= one.interval.high
    assert 0.935 <= inside / of <= 0.975, f"{inside / of:.3f} of {of}"


def test_means_over_raters() -> None:
    found = mean_ratings({"a": {"x": 4, "y": 2}, "b": {"x": 5, "y": 2}, "c": {"x": 3}}, ("x", "y", "z"))
    assert found[0].mean == 4
    # t of 2 degrees of freedom at 0.975 is 4.302653; sd 1, n 3.
    assert found[0].interval.high == pytest.approx(4 + 4.302653 / np.sqrt(3), abs=1e-5)
    assert "the same" in str(found[1].interval)
    assert isinstance(found[2].mean, NotEstimable)


def test_kinds_are_permuted_over_prompts() -> None:
    scores = {"p1": 1.0, "p2": 2.0, "p3": 1.5, "g1": 4.0, "g2": 4.5, "g3": 3.8, "g4": 5.0, "m": 9.0}
    kinds = {
        **dict.fromkeys(("p1", "p2", "p3"), "prevalence"),
        **dict.fromkeys(("g1", "g2", "g3", "g4"), "discrimination"),
    }
    found = kinds_test(scores, kinds, "prevalence", "discrimination")
    assert found.exact
    assert found.n == (3, 4)
    assert found.p == pytest.approx(1 / comb(7, 3)), "the most extreme of all assignments"
    assert found.attainable == pytest.approx(1 / comb(7, 3))
    assert found.difference == pytest.approx(1.5 - 4.325)
    turned = kinds_test(scores, kinds, "discrimination", "prevalence")
    assert turned.p == pytest.approx(1.0)
    few = kinds_test({"p1": 1.0, "g1": 2.0}, kinds, "prevalence", "discrimination")
    assert isinstance(few.p, NotEstimable)


def test_the_size_of_the_test_of_kinds() -> None:
    stream = np.random.default_rng(3)
    kinds = {str(number): "a" if number < 5 else "b" for number in range(11)}
    found = [
        kinds_test(
            {str(number): float(value) for number, value in enumerate(stream.normal(size=11))},
            kinds,
            "a",
            "b",
        ).p
        for _ in range(300)
    ]
    rejected = sum(p <= 0.05 for p in found)
    assert rejected <= 27, "the 99.9 % point of a binomial of 300 at 0.05"

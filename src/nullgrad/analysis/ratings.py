"""Prompts as people rated them: strengths from pairs, or mean ratings, and whether two kinds of prompts are rated alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import fmean

import numpy as np

from nullgrad.analysis.stats.estimate import Estimate, Floats, NotEstimable
from nullgrad.analysis.stats.intervals import Interval, normal_quantile, t_interval
from nullgrad.analysis.stats.permutation import attainable_p, independent_permutation

TIE = 0.5
"""What each side gets of a tie (Davidson's model would fit a further parameter, which ten comparisons do not bear)."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One judgement of a pair: `outcome` is 1 where `first` was preferred, 0 where `second`, 0.5 for a tie."""

    rater: str
    first: str
    second: str
    outcome: float


@dataclass(frozen=True, slots=True)
class Strength:
    """A prompt's place by comparisons.

    Attributes:
        item: the prompt.
        strength: logit scale, the mean over prompts is 0.
        interval: Wald's, 95 %, from the observed information, as if comparisons were independent: for these raters.
        share: chance of being preferred to a prompt of average strength, 0 to 1.
        comparisons: how often it was judged.
    """

    item: str
    strength: Estimate
    interval: Interval | NotEstimable
    share: Estimate
    comparisons: int


@dataclass(frozen=True, slots=True)
class BradleyTerry:
    """Strengths of all prompts.

    Attributes:
        items: in the order given.
        shrunk: whether a draw with an average prompt was added to each prompt because the judgements alone set no limit to
            some strength (a prompt that always won, or groups that were never compared).
    """

    items: tuple[Strength, ...]
    shrunk: bool


def bradley_terry(
    comparisons: Sequence[Comparison], items: Sequence[str], *, level: float = 0.95
) -> BradleyTerry:
    """Bradley and Terry's model (1952) by Newton's method on the centred logit scale.

    The maximum exists where no group of prompts always lost to the rest (Ford 1957); else every prompt gets one draw with a
    prompt of average strength.
    """
    place = {item: number for number, item in enumerate(items)}
    wins = np.zeros((len(items), len(items)))
    for one in comparisons:
        a, b = place[one.first], place[one.second]
        wins[a, b] += one.outcome
        wins[b, a] += 1 - one.outcome
    counts = (wins + wins.T).sum(axis=1)
    if len(items) < 2 or not counts.any():
        none = NotEstimable("no comparisons")
        return BradleyTerry(tuple(Strength(item, none, none, none, 0) for item in items), False)
    shrunk = not _bounded(wins)
    strengths, covariance = _fit(wins, 1.0 if shrunk else 0.0)
    z = normal_quantile(level)
    found = []
    for item, number in place.items():
        value, half = float(strengths[number]), z * sqrt(max(0.0, float(covariance[number, number])))
        found.append(
            Strength(
                item,
                value,
                Interval(value - half, value + half),
                1 / (1 + exp(-value)),
                round(counts[number]),
            )
        )
    return BradleyTerry(tuple(found), shrunk)


def _bounded(wins: Floats) -> bool:
    """Whether wins lead from every prompt to every other."""
    reach = (wins > 0) | np.eye(len(wins), dtype=bool)
    for middle in range(len(wins)):
        reach |= np.outer(reach[:, middle], reach[middle])
    return bool(reach.all())


def _fit(wins: Floats, draws: float) -> tuple[Floats, Floats]:
    """Strengths of mean 0 and their covariance; `draws` is the weight of a draw with an average prompt."""
    n = wins + wins.T
    value = np.zeros(len(wins))
    centre = np.full((len(wins), len(wins)), 1 / len(wins))
    information = np.zeros_like(n)
    for _ in range(100):
        p = 1 / (1 + np.exp(-(value[:, None] - value[None, :])))
        own = 1 / (1 + np.exp(-value))
        slope = (wins - n * p).sum(axis=1) + draws * (0.5 - own)
        weight = n * p * (1 - p)
        information = np.diag(weight.sum(axis=1) + draws * own * (1 - own)) - weight
        # The likelihood is flat along a common shift; the added matrix fixes the mean and changes nothing else.
        step = np.linalg.solve(information + centre, slope - slope.mean())
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        value += step
        value -= value.mean()
        if float(np.abs(step).max()) < 1e-10:
            break
    return value, np.linalg.inv(information + centre) - centre


@dataclass(frozen=True, slots=True)
class MeanRating:
    """A prompt's mean rating over raters.

    Attributes:
        item: the prompt.
        mean: over raters' values.
        interval: Student's over raters, 95 %; raters are a sample, the prompt is fixed.
        raters: how many rated it.
    """

    item: str
    mean: Estimate
    interval: Interval | NotEstimable
    raters: int


def mean_ratings(values: Mapping[str, Mapping[str, float]], items: Sequence[str]) -> tuple[MeanRating, ...]:
    """Means by prompt.

    Args:
        values: by rater and prompt.
        items: the prompts, in the order of the result.
    """
    found = []
    for item in items:
        own = [by_item[item] for by_item in values.values() if item in by_item]
        if not own:
            none = NotEstimable("nobody rated it")
            found.append(MeanRating(item, none, none, 0))
            continue
        few = NotEstimable("one rater" if len(own) == 1 else "all raters gave the same")
        found.append(MeanRating(item, fmean(own), t_interval(own) or few, len(own)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class KindsTest:
    """Whether prompts of one kind are rated lower than those of another.

    Attributes:
        first, second: the kinds.
        n: prompts of each.
        means: of each.
        difference: first − second.
        p: one-sided, that the first kind is rated lower, by permuting kinds over prompts.
        attainable: the smallest p that these numbers allow.
        exact: whether every assignment was counted.
    """

    first: str
    second: str
    n: tuple[int, int]
    means: tuple[Estimate, Estimate]
    difference: Estimate
    p: Estimate
    attainable: Estimate
    exact: bool


def kinds_test(
    scores: Mapping[str, float], kinds: Mapping[str, str], first: str, second: str, *, seed: int = 0
) -> KindsTest:
    """Permutation test over prompts: is a prompt of kind `first` rated lower than one of kind `second`?

    The prompt is the unit, however many raters rated it; kinds are exchangeable over prompts where they do not matter.
    Welch-studentized, as all independent contrasts here are.

    Args:
        scores: one number a prompt.
        kinds: kind of each prompt; others than the two are left out.
        first, second: the two.
        seed: of random rearrangements, where they are too many to count.
    """
    groups = tuple([scores[item] for item in scores if kinds.get(item) == kind] for kind in (first, second))
    n = len(groups[0]), len(groups[1])
    missing = NotEstimable("no prompt of this kind")
    means = tuple(fmean(group) if group else missing for group in groups)
    difference: Estimate = (
        NotEstimable("no prompt of one kind") if not all(n) else fmean(groups[0]) - fmean(groups[1])
    )
    pair = (means[0], means[1])
    if min(n) < 2:
        few = NotEstimable("two prompts of each kind are needed")
        return KindsTest(first, second, n, pair, difference, few, few, False)
    test = independent_permutation(groups[0], groups[1], seed=seed)
    return KindsTest(
        first, second, n, pair, difference, test.less, attainable_p("independent", *n), test.exact
    )

"""How different the candidates of a step are, and whether more of them would still help."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike

from nullgrad.analysis.stats.estimate import Estimate, Floats, NotEstimable, score_rows

FOLDS = 10
"""Folds of the examples, at most: candidates are chosen on the others and scored on the left-out one."""

_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Diversity:
    """Of the candidates of one step.

    Attributes:
        candidates: how many.
        duplicates: how many repeat the exact text of an earlier one.
        distance: mean over pairs of the normalized Levenshtein distance of tokens, 0 (equal) to 1.
        disagreement: mean over pairs of the mean absolute difference of scores on validation, 0 to 1; of
            right-or-wrong scores the share of the examples on which one is right and the other wrong.
    """

    candidates: int
    duplicates: int
    distance: Estimate
    disagreement: Estimate


def diversity(texts: Sequence[str], rows: ArrayLike | None = None) -> Diversity:
    """Diversity of one step's candidates.

    Args:
        texts: their prompts.
        rows: their scores on validation, shape (candidates, examples), NaN where missing; None if none was scored.

    Raises:
        ValueError: as many rows as texts are needed, or a score outside 0 to 1.
    """
    few = NotEstimable("fewer than two candidates")
    distances = [token_distance(a, b) for a, b in combinations(texts, 2)]
    if rows is None:
        disagreement: Estimate = NotEstimable("the candidates were not scored on validation")
    else:
        scores = score_rows(rows)
        if len(scores) != len(texts):
            raise ValueError(f"{len(scores)} rows of scores for {len(texts)} candidates")
        disagreement = score_disagreement(scores)
    return Diversity(
        len(texts),
        len(texts) - len(set(texts)),
        fmean(distances) if distances else few,
        disagreement,
    )


def tokens(text: str) -> tuple[str, ...]:
    """Words and single marks of punctuation, as written."""
    return tuple(_TOKEN.findall(text))


def token_distance(first: str, second: str) -> float:
    """Levenshtein distance of the tokens over the longer one's number of tokens, 0 to 1 (Levenshtein 1966)."""
    one, two = tokens(first), tokens(second)
    if one == two:
        return 0.0
    codes: dict[str, int] = {}
    a, b = (
        np.array([codes.setdefault(token, len(codes)) for token in text], dtype=np.intp)
        for text in (one, two)
    )
    steps = np.arange(len(b) + 1)
    row = steps.copy()
    for place, code in enumerate(a, start=1):
        kept = row[:-1] + (b != code)
        row = np.concatenate([[place], np.minimum(kept, row[1:] + 1)])
        # Insertions depend on their left neighbour: a running minimum along the row replaces the inner loop.
        row = np.minimum.accumulate(row - steps) + steps
    return float(row[-1]) / max(len(a), len(b))


def score_disagreement(rows: ArrayLike) -> Estimate:
    """Mean over pairs of rows of their mean absolute difference where both have a score, 0 to 1."""
    scores = score_rows(rows)
    if len(scores) < 2:
        return NotEstimable("fewer than two candidates")
    apart = [np.abs(a - b) for a, b in combinations(scores, 2)]
    known = [float(np.nanmean(values)) for values in apart if not np.isnan(values).all()]
    return fmean(known) if known else NotEstimable("no two candidates share an example")


@dataclass(frozen=True, slots=True)
class BestOf:
    """Expected score, on fresh examples, of the best of k candidates.

    Attributes:
        curve: at k = 1, 2, …, number of candidates; shares, 0 to 1. k = 1 is a blind draw.
        examples: those that every candidate has a score for.
        folds: of the cross-fitting.
    """

    curve: tuple[float, ...]
    examples: int
    folds: int

    @property
    def last_step(self) -> Estimate:
        """What the last candidate added: whether more variants would still help."""
        return self.curve[-1] - self.curve[-2] if len(self.curve) > 1 else NotEstimable("one candidate")


def best_of(rows: ArrayLike) -> BestOf | NotEstimable:
    """The curve of expected best-of-k, unbiased over candidates and cross-fitted over examples.

    In each fold candidates are ranked on the other folds and scored on the left-out one. Over all subsets of k
    candidates the one ranked i-th from below is the best of C(i − 1, k − 1) of C(n, k) (the U-statistic of the
    expected maximum; Tang et al. 2020); ties share their weights.
    Choosing on the other folds only is slightly harder than on all examples, and the curve to that extent low.

    Args:
        rows: scores of the candidates, shape (candidates, examples), NaN where missing. Examples that any candidate
            misses are left out: candidates are compared on the same examples.

    Raises:
        ValueError: another shape, or a score outside 0 to 1.
    """
    scores = score_rows(rows)
    if len(scores) == 0:
        return NotEstimable("no candidate")
    scores = scores[:, ~np.isnan(scores).any(axis=0)]
    count, examples = scores.shape
    if examples < 2:
        return NotEstimable("fewer than two examples that every candidate has a score for")
    folds = min(FOLDS, examples)
    curve = np.zeros(count)
    weights = _rank_weights(count)
    sums = scores.sum(axis=1)
    for fold in range(folds):
        out = scores[:, fold::folds]
        # Rounded, since candidates that are right equally often tie however their sum was added up.
        ranking = np.round(sums - out.sum(axis=1), 9)
        order = np.argsort(ranking, kind="stable")
        fresh = _shared(out.sum(axis=1)[order], ranking[order])
        curve += weights @ fresh
    return BestOf(tuple(float(value) for value in curve / examples), examples, folds)


def _rank_weights(count: int) -> Floats:
    """Chance (row k − 1) that the candidate ranked i-th from below (column i − 1) is the best of k."""
    return np.array(
        [
            [comb(place, size - 1) / comb(count, size) for place in range(count)]
            for size in range(1, count + 1)
        ]
    )


def _shared(values: Floats, ranking: Floats) -> Floats:
    _, group = np.unique(ranking, return_inverse=True)
    means: Floats = np.bincount(group, weights=values) / np.bincount(group)
    return means[group]

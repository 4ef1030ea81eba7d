"""By how much the winner of a selection is over-estimated on the set that selected it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from nullgrad.analysis.stats.estimate import Estimate, Floats, NotEstimable, score_rows

RESAMPLES = 2_000
"""Bootstrap resamples, and permutations of the labels."""

CHUNK = 250
"""Rearrangements held at once."""

LEAST_SEEN = 0.5
"""Share of the examples that a candidate must have a score for to be a possible winner."""


@dataclass(frozen=True, slots=True)
class SelectionBias:
    """Of the best of some candidates on the examples that chose it; shares, 0 to 1.

    Attributes:
        claimed: the winner's mean on the examples that chose it.
        corrected: cross-fitted: chosen on nine tenths of the examples, scored on the tenth left out, over random tenths.
        out_of_bag: chosen on a bootstrap draw, scored on the examples outside it; low where candidates truly differ.
        inflation: by how much the best would exceed the mean if all candidates were equal.
        candidates: possible winners.
        left_out: candidates with too few scores to be possible winners.
        examples: examples with any score.
    """

    claimed: float
    corrected: Estimate
    out_of_bag: Estimate
    inflation: float
    candidates: int
    left_out: int
    examples: int

    @property
    def bias(self) -> Estimate:
        """Claimed minus corrected."""
        return self.corrected if isinstance(self.corrected, NotEstimable) else self.claimed - self.corrected

    def times(self, factor: float) -> SelectionBias:
        """The same of scores on another scale."""
        corrected, out_of_bag = (
            one if isinstance(one, NotEstimable) else factor * one
            for one in (self.corrected, self.out_of_bag)
        )
        return replace(
            self,
            claimed=factor * self.claimed,
            corrected=corrected,
            out_of_bag=out_of_bag,
            inflation=factor * self.inflation,
        )


def selection_bias(
    rows: ArrayLike, *, seed: int, resamples: int = RESAMPLES, incumbents: int = 0
) -> SelectionBias | NotEstimable:
    """Correct the winner's score for having been chosen on the same examples.

    Corrected (cross-fitted; Stone 1974): a tenth of the examples is left out at random, the best candidate on the rest is
    chosen, and scored on what was left out, averaged over draws. The choice sees 1.1 times the noise, and the bias is
    within a point. Out-of-bag (Efron and Tibshirani 1997): examples are drawn with replacement instead, and those outside
    the draw score. A draw doubles the noise that the choice sees, so that where candidates truly differ the
    estimate is low (by 1 to 2 points for 10 to 20 candidates with a standard deviation of 5 to 10 points), at less
    variance. Inflation: candidate labels are permuted within each example, which keeps the examples' difficulty and
    makes all candidates equal. Ties share equally.

    Only for candidates that were all proposed before any was scored: after adaptive steps the sealed test alone
    is unbiased.

    Args:
        rows: scores, shape (candidates, examples), NaN where missing. What racing left unseen is missing, not zero:
            a candidate's mean is over what it has, above or below the mean of those examples, and candidates with scores
            on fewer than half of the examples cannot win.
        seed: of the draws and permutations.
        resamples: of each.
        incumbents: how many of the last rows are of the current prompt, which wins its ties, as in selection.

    Raises:
        ValueError: another shape, or a score outside 0 to 1.
    """
    scores = score_rows(rows)
    scores = scores[:, ~np.isnan(scores).all(axis=0)] if len(scores) else scores
    examples = scores.shape[1]
    if len(scores) == 0 or examples < 2:
        return NotEstimable("fewer than two examples with a score")
    eligible = (~np.isnan(scores)).mean(axis=1) >= LEAST_SEEN
    rest = scores[eligible]
    kept = int(eligible[len(eligible) - incumbents :].sum())
    if len(rest) == 0:
        return NotEstimable("no candidate has scores on half of the examples")
    seen = (~np.isnan(rest)).astype(np.float64)
    values = np.where(np.isnan(rest), 0.0, rest)
    means = values.sum(axis=1) / seen.sum(axis=1)
    winners = _winners(_adjusted(values, seen, np.ones((1, examples))), kept)[0]
    claimed = float(winners @ means / winners.sum())
    stream = np.random.default_rng([seed, *rest.shape])
    return SelectionBias(
        claimed,
        _left_out(values, seen, _nine_tenths(examples, stream, resamples), kept),
        _left_out(values, seen, _bootstrap_draws(examples, stream, resamples), kept),
        _inflation(values, seen, stream, resamples),
        len(rest),
        int((~eligible).sum()),
        examples,
    )


def _adjusted(values: Floats, seen: Floats, weights: Floats) -> Floats:
    """Weighted mean of each candidate (columns) by resample (rows), −∞ where it has no score.

    Without missing scores the means themselves; else above or below the mean of the examples that it has, so that
    a candidate does not win by having been asked the easy ones.
    """
    amount: Floats = weights @ seen.T
    with np.errstate(divide="ignore", invalid="ignore"):
        if seen.all():
            means: Floats = (weights @ values.T) / amount
        else:
            level = values.sum(axis=0) / seen.sum(axis=0)
            means = (weights @ (values - level * seen).T) / amount
    adjusted: Floats = np.where(amount > 0, means, -np.inf)
    return adjusted


def _winners(means: Floats, incumbents: int) -> Floats:
    """1 for each candidate at the maximum of its row, up to rounding; 0 for the others where an incumbent is there."""
    best: Floats = means.max(axis=1, keepdims=True)
    first = means.shape[1] - incumbents
    winners = (means >= best - 1e-9).astype(np.float64)
    winners[winners[:, first:].any(axis=1), :first] = 0.0
    return winners


def _bootstrap_draws(examples: int, stream: np.random.Generator, resamples: int) -> Iterator[Floats]:
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        drawn = stream.integers(0, examples, (size, examples)) + examples * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * examples)
        yield counts.reshape(size, examples).astype(np.float64)


def _nine_tenths(examples: int, stream: np.random.Generator, resamples: int) -> Iterator[Floats]:
    kept = np.ones(examples)
    kept[: max(1, examples // 10)] = 0.0
    for start in range(0, resamples, CHUNK):
        yield stream.permuted(np.broadcast_to(kept, (min(CHUNK, resamples - start), examples)), axis=1)


def _left_out(values: Floats, seen: Floats, draws: Iterator[Floats], incumbents: int) -> Estimate:
    """Mean score of each draw's winner on the examples that the draw left out."""
    total = used = 0.0
    for weights in draws:
        winners = _winners(_adjusted(values, seen, weights), incumbents)
        outside = (weights == 0).astype(np.float64)
        amount = outside @ seen.T
        known = winners * (amount > 0)
        fresh = (outside @ values.T) / np.maximum(amount, 1.0)
        counts = known.sum(axis=1)
        total += float(((known * fresh).sum(axis=1)[counts > 0] / counts[counts > 0]).sum())
        used += int((counts > 0).sum())
    return (
        total / used if used else NotEstimable("no draw left out an example that its winner has a score for")
    )


def _inflation(values: Floats, seen: Floats, stream: np.random.Generator, resamples: int) -> float:
    """Mean best minus mean over candidates, labels permuted among the candidates that have a score."""
    count = seen.sum(axis=1)
    total = 0.0
    # Cells without a score sort last, so that scores only move to cells that have one.
    slots = np.argsort(1 - seen, axis=0, kind="stable")
    packed = np.take_along_axis(values, slots, axis=0)
    occupied = np.take_along_axis(seen, slots, axis=0)
    for start in range(0, resamples, CHUNK):
        keys = stream.random((min(CHUNK, resamples - start), *values.shape)) + 2 * (1 - occupied)
        mixed = np.take_along_axis(packed[None], np.argsort(keys, axis=1), axis=1)
        placed = np.empty_like(mixed)
        np.put_along_axis(placed, np.broadcast_to(slots, mixed.shape), mixed, axis=1)
        means = placed.sum(axis=2) / count
        total += float((means.max(axis=1) - means.mean(axis=1)).sum())
    return total / resamples

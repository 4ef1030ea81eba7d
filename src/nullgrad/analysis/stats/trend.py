"""Whether scores rise with the number of variants: Kendall's τ-b and its permutation test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import factorial, prod, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nullgrad.analysis.stats.estimate import NotEstimable, trial_scores
from nullgrad.analysis.stats.permutation import RESAMPLES

MOST_ORDERS = 100_000
"""Distinct assignments up to which they are enumerated."""

CHUNK = 2_048
"""Assignments held at once."""

Levels = NDArray[np.intp]
Exact32 = NDArray[np.float32]
"""Counts of pairs, far below 2²⁴: single precision holds them exactly, so that equal statistics are equal."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Of n variants against score.

    Attributes:
        tau: Kendall's τ-b, −1 to 1.
        greater, less, two_sided: permutation p, 0 to 1, of a rise, of a fall, of either.
        exact: whether every distinct assignment was counted; else p is (b + 1) / (m + 1) of a random m.
        rearrangements: how many were counted.
        attainable: smallest one-sided p that the design allows.
    """

    tau: float
    greater: float
    less: float
    two_sided: float
    exact: bool
    rearrangements: int
    attainable: float


def kendall_trend(
    variants: ArrayLike,
    scores: ArrayLike,
    blocks: Sequence[int] | None = None,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Trend | NotEstimable:
    """τ-b (Kendall 1945) with its permutation p.

    Under shared draws the trials of a block belong together and n is permuted within blocks only; under
    independent draws it is permuted freely.

    Args:
        variants: n of each trial, shape (trials,).
        scores: score of each trial, shape (trials,).
        blocks: block of each trial under shared draws, None under independent draws.
        seed: of the random assignments.
        resamples: random assignments where enumeration is too long.

    Raises:
        ValueError: unequal lengths, or a missing score.
    """
    numbers, heights = trial_scores(variants), trial_scores(scores)
    if len(numbers) != len(heights) or (blocks is not None and len(blocks) != len(numbers)):
        raise ValueError("n, scores and blocks have one entry per trial")
    levels: Levels
    distinct, levels = np.unique(numbers, return_inverse=True)
    if len(distinct) < 2:
        return NotEstimable("only one number of variants")
    if len(np.unique(heights)) < 2:
        return NotEstimable("all scores are equal")
    groups = _groups(blocks, len(numbers))
    total = prod(_orders(levels[group]) for group in groups)
    if total == 1:
        return NotEstimable("no block has two numbers of variants")
    signs: Exact32 = np.sign(heights[:, None] - heights[None, :]).astype(np.float32)
    observed = float(_concordance(levels[None, :], signs, len(distinct))[0])
    pairs = len(levels) * (len(levels) - 1) / 2
    tau = observed / sqrt(
        (pairs - _tied(levels)) * (pairs - _tied(np.unique(heights, return_inverse=True)[1]))
    )
    exact = total <= MOST_ORDERS
    greater = less = both = seen = 0
    for assigned in (
        _all_assignments(levels, groups) if exact else _random_assignments(levels, groups, seed, resamples)
    ):
        values = _concordance(assigned, signs, len(distinct))
        greater += int(np.count_nonzero(values >= observed))
        less += int(np.count_nonzero(values <= observed))
        both += int(np.count_nonzero(np.abs(values) >= abs(observed)))
        seen += len(values)
    own = 0 if exact else 1
    return Trend(
        tau,
        (greater + own) / (seen + own),
        (less + own) / (seen + own),
        (both + own) / (seen + own),
        exact,
        seen,
        1 / total if exact else max(1 / total, 1 / (resamples + 1)),
    )


def _groups(blocks: Sequence[int] | None, n: int) -> list[Levels]:
    if blocks is None:
        return [np.arange(n)]
    _, block = np.unique(np.asarray(blocks), return_inverse=True)
    return [np.flatnonzero(block == number) for number in range(int(block.max()) + 1)]


def _orders(levels: Levels) -> int:
    """Distinct orders of a multiset."""
    return factorial(len(levels)) // prod(factorial(int(count)) for count in np.bincount(levels))


def _tied(levels: Levels) -> float:
    counts = np.bincount(levels)
    return float((counts * (counts - 1)).sum()) / 2


def _concordance(assigned: Levels, signs: Exact32, count: int) -> Exact32:
    """Concordant minus discordant pairs of each assignment (rows): Σ_c [x = c] · sign(y) · [x < c]."""
    total = np.zeros(len(assigned), dtype=np.float32)
    for level in range(1, count):
        below = (assigned < level).astype(np.float32)
        total += np.einsum("at,at->a", (assigned == level).astype(np.float32) @ signs, below)
    return total


def _random_assignments(levels: Levels, groups: list[Levels], seed: int, resamples: int) -> Iterator[Levels]:
    stream = np.random.default_rng([seed, len(levels)])
    for start in range(0, resamples, CHUNK):
        assigned = np.tile(levels, (min(CHUNK, resamples - start), 1))
        for group in groups:
            assigned[:, group] = stream.permuted(assigned[:, group], axis=1)
        yield assigned


def _all_assignments(levels: Levels, groups: list[Levels]) -> Iterator[Levels]:
    places = np.concatenate(groups)
    listed = product(*(list(_distinct_orders(tuple(levels[group].tolist()))) for group in groups))
    while chunk := list(islice(listed, CHUNK)):
        assigned = np.empty((len(chunk), len(levels)), dtype=np.intp)
        assigned[:, places] = [[level for part in parts for level in part] for parts in chunk]
        yield assigned


def _distinct_orders(values: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if len(values) < 2:
        yield values
        return
    for first in sorted(set(values)):
        at = values.index(first)
        for rest in _distinct_orders(values[:at] + values[at + 1 :]):
            yield (first, *rest)

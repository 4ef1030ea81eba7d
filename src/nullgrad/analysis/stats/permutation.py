"""Permutation tests of a contrast: sign flips over blocks, and relabelling of independent trials.

Contrasts of equal sizes share one matrix of rearrangements, so that a family costs a few matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice
from math import comb, floor, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nullgrad.analysis.stats.estimate import (
    Design,
    Direction,
    Estimate,
    Floats,
    NotEstimable,
    spread,
    two_arms,
)

RESAMPLES = 100_000
"""Random rearrangements where enumeration is too long."""

MOST_SIGNS = 1 << 20
"""Sign vectors up to which they are enumerated: 20 blocks."""

MOST_SPLITS = 400_000
"""Splits of the trials up to which they are enumerated: 10 against 10, 30 against 5."""

TIE = 1e-9
"""Relative difference below which two statistics are the same value."""

CHUNK, COLUMNS = 4_096, 64
"""Rearrangements and contrasts held at once, which bounds memory to a few MB whatever the family."""

Studentization = Literal["welch", "pooled"]


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """One contrast against its rearrangements.

    Attributes:
        statistic: studentized difference of means, first − second.
        greater, less, two_sided: p, 0 to 1; two-sided by the absolute statistic.
        exact: whether every rearrangement was counted; else p is (b + 1) / (m + 1) of a random m.
        rearrangements: how many were counted.
        attainable: smallest one-sided p that these numbers of trials allow.
        attainable_two_sided: the same of the two-sided p.
    """

    statistic: Estimate
    greater: float
    less: float
    two_sided: float
    exact: bool
    rearrangements: int
    attainable: float
    attainable_two_sided: float

    def p(self, direction: Direction) -> float:
        """The p of one declared direction."""
        return {"greater": self.greater, "less": self.less, "two-sided": self.two_sided}[direction]


def paired_permutation(
    first: ArrayLike, second: ArrayLike, *, seed: int, resamples: int = RESAMPLES
) -> PermutationTest:
    """`paired_permutations` of one contrast."""
    return paired_permutations([(first, second)], seed=seed, resamples=resamples)[0]


def independent_permutation(
    first: ArrayLike,
    second: ArrayLike,
    *,
    statistic: Studentization = "welch",
    seed: int,
    resamples: int = RESAMPLES,
) -> PermutationTest:
    """`independent_permutations` of one contrast."""
    return independent_permutations([(first, second)], statistic=statistic, seed=seed, resamples=resamples)[0]


def paired_permutations(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    enumerate_up_to: int = MOST_SIGNS,
) -> tuple[PermutationTest, ...]:
    """Sign-flip tests of the studentized mean difference over blocks (Fisher 1935).

    Exact for the sharp null that the ingredient changes nothing in distribution; approximate for equal means.
    Enumerates up to 20 blocks. The stream depends on `seed` and the number of blocks alone, so that a contrast
    has the same p whatever it is computed with.

    Args:
        pairs: scores of the first and the second arm by block, shape (blocks,) each, in the same order.
        seed: of the random sign vectors.
        resamples: random sign vectors where enumeration is too long.
        enumerate_up_to: most sign vectors to enumerate.

    Raises:
        ValueError: no block, arms of unequal length, or a missing score.
    """
    differences = [_snapped(one - two) for one, two in (two_arms(a, b, "paired") for a, b in pairs)]
    results: dict[int, PermutationTest] = {}
    for n in sorted({len(values) for values in differences}):
        if n == 0:
            raise ValueError("a contrast without blocks has no p")
        places = [place for place, values in enumerate(differences) if len(values) == n]
        exact = 1 << n <= enumerate_up_to
        parts = [
            _SignFlips(np.column_stack([differences[place] for place in part])) for part in _parts(places)
        ]
        _count(parts, _all_signs(n) if exact else _random_signs(n, seed, resamples))
        attainable = _attainable("paired", n, n, exact, resamples)
        for column, place in enumerate(places):
            tally = parts[column // COLUMNS].tally
            statistic = _paired_statistic(differences[place])
            results[place] = tally.result(column % COLUMNS, statistic, exact, *attainable)
    return tuple(results[place] for place in range(len(differences)))


def independent_permutations(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    *,
    statistic: Studentization = "welch",
    seed: int,
    resamples: int = RESAMPLES,
    enumerate_up_to: int = MOST_SPLITS,
) -> tuple[PermutationTest, ...]:
    """Permutation tests of a studentized difference of means between independent trials.

    Exact for equal distributions; with Welch's statistic also asymptotically valid for equal means with unequal
    variances (Janssen 1997; Chung and Romano 2013). Enumerates up to 400,000 splits. Never for shared draws.

    Args:
        pairs: scores of the first and the second arm by trial, shape (trials,) each; lengths may differ.
        statistic: `welch`, or `pooled` for the published pooled t, which orders as the difference of means does.
        seed: of the random splits.
        resamples: random splits where enumeration is too long.
        enumerate_up_to: most splits to enumerate.

    Raises:
        ValueError: fewer than two trials in an arm, or a missing score.
    """
    arms = [two_arms(a, b, "independent") for a, b in pairs]
    results: dict[int, PermutationTest] = {}
    for sizes in sorted({(len(one), len(two)) for one, two in arms}):
        n_first, n_second = sizes
        if min(sizes) < 2:
            raise ValueError("an arm with fewer than two trials cannot be studentized")
        places = [place for place, (one, two) in enumerate(arms) if (len(one), len(two)) == sizes]
        exact = comb(n_first + n_second, n_first) <= enumerate_up_to
        welch = statistic == "welch"
        parts = [
            _Relabellings(np.column_stack([np.concatenate(arms[place]) for place in part]), *sizes, welch)
            for part in _parts(places)
        ]
        _count(
            parts,
            _all_splits(n_first, n_second) if exact else _random_splits(n_first, n_second, seed, resamples),
        )
        attainable = _attainable("independent", n_first, n_second, exact, resamples)
        for column, place in enumerate(places):
            tally = parts[column // COLUMNS].tally
            own = _independent_statistic(*arms[place], welch)
            results[place] = tally.result(column % COLUMNS, own, exact, *attainable)
    return tuple(results[place] for place in range(len(arms)))


def arrangements(design: Design, n_first: int, n_second: int) -> int:
    """Equally likely rearrangements of a design under its null."""
    return 1 << n_first if design == "paired" else comb(n_first + n_second, n_first)


def attainable_p(
    design: Design, n_first: int, n_second: int, *, two_sided: bool = False, resamples: int = RESAMPLES
) -> float:
    """Smallest p that the numbers of trials allow, 0 to 1, whatever the scores.

    A mirrored rearrangement doubles the two-sided p of pairs and of arms of equal size.
    """
    exact = arrangements(design, n_first, n_second) <= _most(design)
    return _attainable(design, n_first, n_second, exact, resamples)[two_sided]


def enumerated_size(
    design: Design, n_first: int, n_second: int, alpha: float, *, resamples: int = RESAMPLES
) -> float:
    """Exact rate at which the one-sided test rejects at `alpha` under its null, scores without ties.

    The sign-flip test of 5 blocks has 1/32 at 0.05: one of 32 equally likely sign vectors rejects.
    """
    total = arrangements(design, n_first, n_second)
    count = total if total <= _most(design) else resamples + 1
    return floor(alpha * count * (1 + 1e-12)) / count


def _most(design: Design) -> int:
    return MOST_SIGNS if design == "paired" else MOST_SPLITS


def _attainable(
    design: Design, n_first: int, n_second: int, exact: bool, resamples: int
) -> tuple[float, float]:
    """One-sided and two-sided."""
    total = arrangements(design, n_first, n_second)
    mirrored = 2 if design == "paired" or n_first == n_second else 1
    least = 0.0 if exact else 1 / (resamples + 1)
    return max(least, 1 / total), max(least, mirrored / total)


class _Tally:
    """Counts of rearrangements that are at least as extreme as the observed one, by contrast."""

    def __init__(self, observed: Floats, tolerance: Floats) -> None:
        # Infinities minus a tolerance stay infinities, and compare as ties among themselves.
        self._high = observed - tolerance
        self._low = observed + tolerance
        self._far = np.abs(observed) - tolerance
        self._greater = np.zeros(len(observed), dtype=np.int64)
        self._less = np.zeros(len(observed), dtype=np.int64)
        self._both = np.zeros(len(observed), dtype=np.int64)
        self._seen = 0

    def add(self, statistics: Floats) -> None:
        self._greater += np.count_nonzero(statistics >= self._high, axis=0)
        self._less += np.count_nonzero(statistics <= self._low, axis=0)
        self._both += np.count_nonzero(np.abs(statistics) >= self._far, axis=0)
        self._seen += len(statistics)

    def result(
        self, column: int, statistic: Estimate, exact: bool, attainable: float, attainable_two_sided: float
    ) -> PermutationTest:
        own = 0 if exact else 1
        greater, less, both = (
            (int(counts[column]) + own) / (self._seen + own)
            for counts in (self._greater, self._less, self._both)
        )
        return PermutationTest(
            statistic, greater, less, both, exact, self._seen, attainable, attainable_two_sided
        )


def _paired_statistic(values: Floats) -> Estimate:
    if len(values) < 2:
        return NotEstimable("one block has no variance")
    deviation = spread(values)
    if deviation == 0:
        return NotEstimable("the difference is the same in every block")
    return float(values.mean()) / (deviation / sqrt(len(values)))


def _independent_statistic(one: Floats, two: Floats, welch: bool) -> Estimate:
    """Of one contrast alone: a product of matrices differs in its last digits with what it is computed beside."""
    n, m = len(one), len(two)
    first, second = spread(one) ** 2, spread(two) ** 2
    if first + second == 0:
        return NotEstimable("no variance within either arm")
    pooled = ((n - 1) * first + (m - 1) * second) / (n + m - 2)
    error = first / n + second / m if welch else pooled * (1 / n + 1 / m)
    return float(one.mean() - two.mean()) / sqrt(error)


def _snapped(values: Floats) -> Floats:
    """Differences of shares with what rounding leaves of a zero taken away: 0.1 + 0.2 ties with 0.3."""
    return np.where(np.abs(values) <= 1e-12, 0.0, values)


def _parts(places: list[int]) -> list[list[int]]:
    return [places[start : start + COLUMNS] for start in range(0, len(places), COLUMNS)]


def _count(parts: Sequence[_SignFlips | _Relabellings], rearrangements: Iterator[Floats]) -> None:
    for chunk in rearrangements:
        for part in parts:
            part.tally.add(part(chunk))


class _SignFlips:
    """Sums of every sign vector (rows) and contrast (columns).

    The sum of squares is the same under every sign, so that the studentized mean rises with the sum.
    """

    def __init__(self, differences: Floats) -> None:
        self._differences = differences
        self.tally = _Tally(differences.sum(axis=0), TIE * np.abs(differences).sum(axis=0))

    def __call__(self, signs: Floats) -> Floats:
        return signs @ self._differences


class _Relabellings:
    """t of every rearrangement (rows) and contrast (columns), from masks that are 1 for the first arm's trials."""

    def __init__(self, pooled: Floats, n: int, m: int, welch: bool) -> None:
        centred = _snapped(pooled - pooled.mean(axis=0))
        self._values = np.hstack([centred, centred**2])
        self._total, self._squares = centred.sum(axis=0), (centred**2).sum(axis=0)
        self._n, self._m, self._welch = n, m, welch
        observed = self(np.concatenate([np.ones(n), np.zeros(m)])[None, :])[0]
        finite = np.isfinite(observed)
        self.tally = _Tally(observed, TIE * np.where(finite, np.maximum(np.abs(observed), 1.0), 0.0))

    def __call__(self, masks: Floats) -> Floats:
        n, m = self._n, self._m
        sums, squares = np.hsplit(masks @ self._values, 2)
        rest = self._total - sums
        difference = sums / n - rest / m
        first = squares - sums * sums / n
        second = (self._squares - squares) - rest * rest / m
        # What cancellation leaves of a constant arm is no variance.
        first[first <= 1e-12 * self._squares] = 0.0
        second[second <= 1e-12 * self._squares] = 0.0
        if self._welch:
            error = first / (n * (n - 1)) + second / (m * (m - 1))
        else:
            error = (first + second) / (n + m - 2) * (1 / n + 1 / m)
        same = np.abs(difference) <= 1e-12 * np.sqrt(self._squares)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic: Floats = difference / np.sqrt(error)
        statistic[same] = 0.0
        return statistic


def _all_signs(n: int) -> Iterator[Floats]:
    places = np.arange(n, dtype=np.int64)
    for start in range(0, 1 << n, CHUNK):
        codes = np.arange(start, min(start + CHUNK, 1 << n), dtype=np.int64)
        yield 1.0 - 2.0 * ((codes[:, None] >> places) & 1).astype(np.float64)


def _random_signs(n: int, seed: int, resamples: int) -> Iterator[Floats]:
    stream = np.random.default_rng([seed, n])
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        bits = np.unpackbits(stream.integers(0, 256, (size, (n + 7) // 8), dtype=np.uint8), axis=1)
        yield 1.0 - 2.0 * bits[:, :n].astype(np.float64)


def _all_splits(n: int, m: int) -> Iterator[Floats]:
    # The smaller arm is listed: 324,632 splits of 30 against 5 are rows of five numbers, not of thirty.
    small = min(n, m)
    listed = combinations(range(n + m), small)
    while True:
        flat = np.fromiter(chain.from_iterable(islice(listed, CHUNK)), dtype=np.intp)
        if flat.size == 0:
            return
        chosen: NDArray[np.intp] = flat.reshape(-1, small)
        masks = np.zeros((len(chosen), n + m))
        np.put_along_axis(masks, chosen, 1.0, axis=1)
        yield masks if small == n else 1.0 - masks


def _random_splits(n: int, m: int, seed: int, resamples: int) -> Iterator[Floats]:
    stream = np.random.default_rng([seed, n, m])
    labels = np.concatenate([np.ones(n, dtype=np.float32), np.zeros(m, dtype=np.float32)])
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        yield stream.permuted(np.broadcast_to(labels, (size, n + m)), axis=1).astype(np.float64)

"""Mutual information of truth and answer, less what chance alone gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nullgrad.analysis.stats.estimate import Floats
from nullgrad.analysis.stats.resampling import Ints

CELLS_HELD = 4_000_000
"""Table cells and answers held at once while permuting."""

SHUFFLED = 100
"""Examples per cell of a table above which permuted tables are drawn by their margins."""


@dataclass(frozen=True, slots=True)
class Information:
    """Of the answers of one prompt in one slot; bits.

    Attributes:
        plugin: mutual information of the table of counts; biased upwards.
        chance: its exact mean over all permutations of the answers.
        corrected: plugin − chance; near 0 where answers and truth are independent, too low by up to `chance` where they are not.
        adjusted: corrected / (entropy − chance): 0 by chance, 1 where the answer determines the class; None where the truth has
            one class only, or every example its own.
        entropy: of the true classes, the most that an answer can tell.
        p: of independence, by permutation: (b + 1) / (m + 1).
        permutations: m.
    """

    plugin: float
    chance: float
    corrected: float
    adjusted: float | None
    entropy: float
    p: float
    permutations: int


def information(truth: Ints, answers: Ints, *, permutations: int, stream: np.random.Generator) -> Information:
    """Mutual information of two columns of whole numbers from 0; an unparsed answer is an answer of its own.

    The plug-in exceeds the truth by about (R − 1)(C − 1) / (2 n ln 2) bits (Miller 1955), which many classes make larger than what is
    measured; its mean under permuted answers is the same bias, exact for the margins at hand (Vinh, Epps and Bailey 2010, "Information
    Theoretic Measures for Clusterings Comparison", eq. 24a; the adjusted form is their AMI with the entropy of the truth as the bound).
    No percentile interval is given: resampled tables have the bias twice.

    Args:
        truth, answers: shape (examples,).
        permutations: for p.
        stream: of the permutations.
    """
    n = len(truth)
    _, rows = np.unique(truth, return_inverse=True)
    _, columns = np.unique(answers, return_inverse=True)
    height, width = int(rows.max()) + 1, int(columns.max()) + 1
    row_sums, column_sums = np.bincount(rows), np.bincount(columns)
    numbers = np.arange(n + 1, dtype=np.float64)
    weighted = numbers * np.log2(np.maximum(numbers, 1.0))
    margins = weighted[n] - weighted[row_sums].sum() - weighted[column_sums].sum()
    table = np.bincount(rows * width + columns, minlength=height * width)
    cells = float(weighted[table].sum())
    plugin = max(0.0, (cells + margins) / n)
    chance = expected_information(row_sums, column_sums)
    entropy = float(weighted[n] - weighted[row_sums].sum()) / n
    room = entropy - chance
    draw = _tables_of_margins if n > SHUFFLED * height * width else _tables_of_shuffles
    at_least = 0
    for tables in draw(rows, columns, permutations, stream):
        at_least += int((weighted[tables].sum(axis=1) >= cells - 1e-7).sum())
    return Information(
        plugin,
        chance,
        plugin - chance,
        (plugin - chance) / room if room > 1e-9 else None,
        entropy,
        (at_least + 1) / (permutations + 1),
        permutations,
    )


def _tables_of_shuffles(
    rows: Ints, columns: Ints, permutations: int, stream: np.random.Generator
) -> Iterator[Ints]:
    """Tables under permuted answers, flat, shape (some, cells)."""
    n, width = len(rows), int(columns.max()) + 1
    count = (int(rows.max()) + 1) * width
    size = max(1, CELLS_HELD // (n + count))
    for start in range(0, permutations, size):
        some = min(size, permutations - start)
        mixed = stream.permuted(np.broadcast_to(columns, (some, n)), axis=1)
        keys = rows * width + mixed + count * np.arange(some)[:, None]
        yield np.bincount(keys.ravel(), minlength=some * count).reshape(some, count)


def _tables_of_margins(
    rows: Ints, columns: Ints, permutations: int, stream: np.random.Generator
) -> Iterator[Ints]:
    """The same in distribution, drawn row by row as hypergeometric: many examples of few classes need no shuffling."""
    row_sums, column_sums = np.bincount(rows), np.bincount(columns)
    for _ in range(permutations):
        left, table = column_sums.copy(), np.empty((len(row_sums), len(column_sums)), dtype=np.int64)
        for place, size in enumerate(row_sums):
            table[place] = stream.multivariate_hypergeometric(left, size, method="marginals")
            left -= table[place]
        yield table.reshape(1, -1)


def expected_information(rows: Ints, columns: Ints) -> float:
    """Exact mean of the plug-in, in bits, over all permutations with these margins: cells are hypergeometric (Vinh et al. 2010)."""
    n = int(rows.sum())
    factorial: Floats = np.append(0.0, np.cumsum(np.log(np.arange(1, n + 1))))
    widths, repeats = np.unique(columns[columns > 0], return_counts=True)
    total = 0.0
    heights, times = np.unique(rows[rows > 0], return_counts=True)
    for height, many in zip(heights.tolist(), times.tolist(), strict=True):
        b = widths[:, None]
        k = np.arange(1, min(height, int(widths.max())) + 1)[None, :]
        possible = (k <= b) & (n - height - b + k >= 0)
        inside, rest = np.where(possible, b - k, 0), np.where(possible, n - height - b + k, 0)
        ways = factorial[height] + factorial[b] + factorial[n - height] + factorial[n - b] - factorial[n]
        ways = ways - factorial[k] - factorial[height - k] - factorial[inside] - factorial[rest]
        bits = k / n * np.log2(n * k / (height * b))
        total += many * float(repeats @ (np.exp(np.where(possible, ways, -np.inf)) * bits).sum(axis=1))
    return total

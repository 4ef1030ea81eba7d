"""Which of a step's variants becomes the current prompt."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

Objective = Literal["accuracy", "balanced"]
"""What rows add up to: the mean score, whatever the scorer, or balanced accuracy (see `objective`)."""

Row = Sequence[float | None]
"""What each validation example contributes for one candidate, in order, such as its score; None is missing."""

KEEP = -1
"""The current prompt stays."""


LEAST_ANSWERED = 0.75
"""Share of the validation examples that must have been answered for a candidate to be compared."""


def common_means(rows: Sequence[Row]) -> list[float] | None:
    """Mean of each row over the examples that no row misses, None if there is no such example.

    A failed call is missing: candidates are compared only where all of them were answered.
    """
    if not rows:
        return None
    places = [place for place in range(len(rows[0])) if all(row[place] is not None for row in rows)]
    if not places:
        return None
    return [sum(row[place] or 0.0 for place in places) / len(places) for row in rows]


def comparable(row: Row) -> bool:
    """Whether enough of a row is known; a candidate whose calls fail must not take its rivals' evidence away."""
    return sum(score is not None for score in row) >= LEAST_ANSWERED * len(row)


def choose_best(variants: dict[int, Row], current: Row | None) -> int:
    """The best variant by the mean of its row; ties go to the current prompt, then to the lowest number.

    Rows of which less than `LEAST_ANSWERED` is known are set aside before the rest are compared; where the
    current prompt's own row is one of them, nothing can be shown to be better than it.

    Args:
        variants: rows of the variants that parsed, by number.
        current: the row of the current prompt where it is a candidate (`validated`), else None (`best`).

    Returns:
        A variant's number, or `KEEP`.
    """
    numbers = [number for number in sorted(variants) if comparable(variants[number])]
    if not numbers or (current is not None and not comparable(current)):
        return KEEP
    rows = [variants[number] for number in numbers]
    means = common_means([current, *rows] if current is not None else rows)
    if means is None:
        return KEEP
    candidates = [KEEP, *numbers] if current is not None else numbers
    return candidates[means.index(max(means))]


def choose_blindly(parsed: Sequence[int], stream: Random) -> int:
    """One of the variants that parsed, without looking at a score; `KEEP` if none did."""
    return stream.choice(sorted(parsed)) if parsed else KEEP

"""Correction of a family's p-values; equivalence p-values of a family are corrected the same way."""

from __future__ import annotations

from collections.abc import Sequence

from nullgrad.analysis.stats.estimate import Estimate, NotEstimable


def bonferroni(values: Sequence[Estimate]) -> tuple[Estimate, ...]:
    """Each p times the size of the family, at most 1.

    A member that is not estimable was declared, and counts: it stays in the family's size.

    Args:
        values: one p (0 to 1) per declared contrast, in any order.

    Raises:
        ValueError: a p outside 0 to 1.
    """
    _checked(values)
    return tuple(
        value if isinstance(value, NotEstimable) else min(1.0, value * len(values)) for value in values
    )


def holm(values: Sequence[Estimate]) -> tuple[Estimate, ...]:
    """Holm's step-down adjusted p (Holm 1979), in the order given.

    A member that is not estimable takes the last place, as if its p were 1.

    Raises:
        ValueError: a p outside 0 to 1.
    """
    _checked(values)
    numbers = [1.0 if isinstance(value, NotEstimable) else value for value in values]
    adjusted: list[Estimate] = list(values)
    running = 0.0
    for rank, place in enumerate(sorted(range(len(numbers)), key=numbers.__getitem__)):
        running = max(running, min(1.0, (len(numbers) - rank) * numbers[place]))
        if not isinstance(values[place], NotEstimable):
            adjusted[place] = running
    return tuple(adjusted)


def _checked(values: Sequence[Estimate]) -> None:
    for value in values:
        if not isinstance(value, NotEstimable) and not 0 <= value <= 1:
            raise ValueError(f"a p lies between 0 and 1, not at {value}")

"""What every estimator takes and gives back: arrays of scores, and a number or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Design = Literal["paired", "independent"]
Direction = Literal["greater", "less", "two-sided"]
"""Of the first arm against the second: `greater` claims that the first scores higher."""


@dataclass(frozen=True, slots=True)
class NotEstimable:
    """A quantity that these data do not determine; never NaN, never 0.

    Attributes:
        reason: why, as a clause that can follow "not estimable: ".
    """

    reason: str

    def __str__(self) -> str:
        return f"not estimable: {self.reason}"


Estimate = float | NotEstimable


def trial_scores(values: ArrayLike) -> Floats:
    """One finite score per trial, shape (trials,).

    Raises:
        ValueError: another shape, or a score that is missing or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"trial scores have one dimension, not {array.ndim}")
    if not np.isfinite(array).all():
        raise ValueError("a trial score is missing or infinite: leave its trial out first")
    return array


def score_rows(values: ArrayLike) -> Floats:
    """Scores by row and example, shape (rows, examples), NaN where missing, else 0 to 1.

    Raises:
        ValueError: another shape, or a score outside 0 to 1.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"rows of scores have two dimensions, not {array.ndim}")
    if ((array < 0) | (array > 1)).any():
        raise ValueError("a score lies outside 0 to 1")
    return array


def two_arms(first: ArrayLike, second: ArrayLike, design: Design) -> tuple[Floats, Floats]:
    """Trial scores of both arms, of equal length in the paired design.

    Raises:
        ValueError: a bad array, or a paired design with unequal numbers of trials.
    """
    one, two = trial_scores(first), trial_scores(second)
    if design == "paired" and len(one) != len(two):
        raise ValueError(f"a paired contrast needs equal numbers of trials, not {len(one)} and {len(two)}")
    return one, two


def spread(values: Floats) -> float:
    """Standard deviation with n − 1; exactly 0 where all values are equal up to rounding."""
    if len(values) < 2:
        raise ValueError("one value has no standard deviation")
    # A mean of equal shares is off by an ulp, which would turn "no variance" into a t of 1e16.
    if np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return 0.0
    return float(values.std(ddof=1))


def share(value: float, name: str) -> float:
    """`value` if it lies strictly between 0 and 1.

    Raises:
        ValueError: it does not.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} lies between 0 and 1, not at {value}")
    return value

"""The exact truth about one prompt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nullgrad.edges.sim.mix import Floats
from nullgrad.edges.sim.signal import Ints


@dataclass(frozen=True, slots=True)
class Truth:
    """What one prompt truly does; shares from 0 to 1, exact up to numerical integration (1e-9).

    Attributes:
        accuracy: chance of a right answer.
        recalls: by label, in the order of the task's labels; of classes that do not occur nan.
        rates: by label, how often it is answered.
        prior: by label, how often it is right.
    """

    accuracy: float
    recalls: dict[str, float]
    rates: dict[str, float]
    prior: dict[str, float]

    @property
    def balanced(self) -> float:
        """Mean recall of the classes that occur."""
        known = [recall for recall in self.recalls.values() if not math.isnan(recall)]
        return sum(known) / len(known) if known else math.nan


def truth_from(labels: tuple[str, ...], right: Ints, weights: Floats, chance: Floats) -> Truth:
    """The truth from the chance of each answer.

    Args:
        labels: of the task.
        right: place of the right label, by example.
        weights: of the examples, summing to 1.
        chance: of each answer (n, classes).
    """
    hit = chance[np.arange(len(right)), right]
    prior = [float(weights[right == place].sum()) for place in range(len(labels))]
    recalls = [
        float((weights * hit)[right == place].sum() / prior[place]) if prior[place] else math.nan
        for place in range(len(labels))
    ]
    rates = weights @ chance
    return Truth(
        float(weights @ hit),
        dict(zip(labels, recalls, strict=True)),
        dict(zip(labels, map(float, rates), strict=True)),
        dict(zip(labels, prior, strict=True)),
    )

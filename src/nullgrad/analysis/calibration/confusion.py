"""Worlds by verdicts: all contrasts of a battery together, by what is truly so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nullgrad.analysis.calibration.battery import VERDICTS, Codes
from nullgrad.analysis.stats.contrast import Verdict
from nullgrad.analysis.stats.estimate import Design, Estimate, NotEstimable
from nullgrad.analysis.stats.intervals import Interval, clopper_pearson, normal_quantile

Truth = Literal["better", "no difference", "worse", "all"]
TRUTHS: tuple[Truth, ...] = ("better", "no difference", "worse", "all")
"""What is truly so of the first arm of a contrast; `all` contrasts together."""


@dataclass(frozen=True, slots=True)
class ConfusionRates:
    """Verdicts on the contrasts of one truth in one world at one number of trials.

    Attributes:
        world, design, trials: which.
        truth: of these contrasts.
        contrasts, studies: how many of each; every study has a verdict on every contrast.
        verdicts: by what was said.
        wrong: share of verdicts that say what is not so.
        interval: of it, 95 %, over studies, whose contrasts share trials and err together.
        right: share of verdicts that are decided and say what is so.
        planned: what `right` is by power analysis, None where that cannot be said of a contrast.
    """

    world: str
    design: Design
    trials: int
    truth: Truth
    contrasts: int
    studies: int
    verdicts: Mapping[Verdict, int]
    wrong: float
    interval: Interval
    right: float
    planned: float | None

    def share(self, verdict: Verdict) -> float:
        """Of all verdicts, 0 to 1."""
        return self.verdicts[verdict] / (self.contrasts * self.studies)


def confusion(
    world: str,
    design: Design,
    trials: int,
    signs: Sequence[int],
    planned: Sequence[Estimate],
    codes: Codes,
    wrong: NDArray[np.bool_],
) -> tuple[ConfusionRates, ...]:
    """A row for each truth that occurs, and one for all.

    Args:
        world, design, trials: of these studies.
        signs: of the true difference, by contrast.
        planned: chance of a right, decided verdict, by contrast.
        codes: of the verdicts, shape (studies, contrasts).
        wrong: whether each says what is not so, of the same shape.
    """
    found = []
    of_sign: Mapping[Truth, int | None] = {"better": 1, "no difference": 0, "worse": -1, "all": None}
    for truth, sign in of_sign.items():
        own = [place for place, value in enumerate(signs) if sign is None or value == sign]
        if not own:
            continue
        counts = np.bincount(codes[:, own].ravel(), minlength=len(VERDICTS))
        bad, decided = wrong[:, own], codes[:, own] != VERDICTS.index("cannot tell")
        chances = [planned[place] for place in own]
        found.append(
            ConfusionRates(
                world, design, trials, truth, len(own), len(codes),
                {one: int(count) for one, count in zip(VERDICTS, counts, strict=True)},
                float(bad.mean()), _over_studies(bad), float((decided & ~bad).mean()),
                None if any(isinstance(one, NotEstimable) for one in chances) else float(np.mean(chances)),  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return tuple(found)


def _over_studies(bad: NDArray[np.bool_]) -> Interval:
    """Normal interval of the mean of the studies' shares; where nothing is wrong, or all is, as if a study had one verdict."""
    shares = bad.mean(axis=1)
    mean, studies = float(shares.mean()), len(shares)
    if mean in (0.0, 1.0) or studies < 2:
        return clopper_pearson(round(mean * studies), studies)
    half = normal_quantile(0.95) * float(shares.std(ddof=1)) / sqrt(studies)
    return Interval(max(0.0, mean - half), min(1.0, mean + half))

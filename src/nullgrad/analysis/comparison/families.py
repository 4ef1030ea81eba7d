"""The three families of contrasts of a comparison: against the seed prompt, against label controls, and each against each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import ceil
from typing import Literal

import numpy as np

from nullgrad.analysis.comparison.rows import CompareRows
from nullgrad.analysis.stats.contrast import (
    POWER,
    Contrast,
    ContrastResult,
    Declared,
    Verdict,
    contrast_family,
    decided,
)
from nullgrad.analysis.stats.differences import DifferenceInterval, population_interval
from nullgrad.analysis.stats.estimate import Estimate, Floats, NotEstimable, spread
from nullgrad.analysis.stats.families import bonferroni, holm
from nullgrad.analysis.stats.intervals import normal_quantile, t_interval
from nullgrad.analysis.stats.permutation import RESAMPLES
from nullgrad.analysis.stats.power import paired_power
from nullgrad.core.compare import Entry

Family = Literal["gain", "labels", "best"]

POPULATION_RESAMPLES = 1_999
"""Bootstrap resamples of each population interval, more where 20 would not fall beyond the corrected level."""

_NOT_ASKED = NotEstimable("neither is the highest")

SEED = "seed"
"""The seed prompt's name where an entry stands elsewhere."""

MOST_TRIALS = 1_000
"""Beyond it the number of trials needed is not given: the trials would cost more than the difference is worth."""


@dataclass(frozen=True, slots=True)
class CompareContrast:
    """One contrast between entries.

    Attributes:
        family: `gain` (with correct labels against the seed prompt), `labels` (correct labels against others), `best` (each
            optimizer with correct labels against each).
        first, second: entries, or the seed prompt; in `best` the one with the higher mean comes first.
        channel: of `labels`: which labels differ, such as `feedback wrong`; "" elsewhere.
        size: contrasts in the family.
        result: every number. The level of `gain` and `labels` is one-sided in the declared direction, first better. In `best`,
            where no direction was declared, it is two-sided: `p`, its corrections, `attainable` and `alpha` are two-sided, and
            the interval is at 1 − α corrected.
        trials_needed: blocks from which a true difference as large as this one would be found with power 0.8; at least 2.
        population: interval over trials and examples, at the level of `result.interval`, which is over trials on these
            examples alone.
        population_verdict: the verdict where that interval gives it as well, and so does Student's over examples; else
            `cannot tell`.
    """

    family: Family
    first: str
    second: str
    channel: str
    size: int
    result: ContrastResult
    trials_needed: Estimate
    population: DifferenceInterval | NotEstimable = _NOT_ASKED
    population_verdict: Verdict = "cannot tell"

    @property
    def name(self) -> str:
        """Unique in the comparison."""
        return f"{self.first} > {self.second}"

    @property
    def two_sided(self) -> bool:
        """Whether no direction was declared."""
        return self.family == "best"


def gain_contrasts(data: CompareRows, resamples: int = RESAMPLES) -> tuple[CompareContrast, ...]:
    """Every optimizer with correct labels against the seed prompt."""
    seed = data.matrix(data.seed_rows())
    pairs = [(one.name, SEED, "", _of(data, one), seed) for one in data.comparison.competing]
    return _family(data, "gain", pairs, resamples)


def label_contrasts(data: CompareRows, resamples: int = RESAMPLES) -> tuple[CompareContrast, ...]:
    """Every optimizer with correct labels against itself with other labels."""
    pairs = []
    for entry in data.comparison.competing:
        for control in data.comparison.of(entry.optimizer):
            if control.control:
                own = _of(data, entry), _of(data, control)
                pairs.append((entry.name, control.name, channel(control), *own))
    return _family(data, "labels", pairs, resamples)


def best_contrasts(data: CompareRows, resamples: int = RESAMPLES) -> tuple[CompareContrast, ...]:
    """Each optimizer with correct labels against each, the higher mean first.

    Which of two is the higher is seen only afterwards, so that the level of each pair is split over both directions, and
    all pairs are in the family: the highest of many is compared, and it was not known which it would be.
    """
    pairs = []
    for one, two in combinations(data.comparison.competing, 2):
        first, second = _of(data, one), _of(data, two)
        ordered = (one.name, two.name, "", first, second)
        swapped = (two.name, one.name, "", second, first)
        pairs.append(swapped if _lead(first, second) < 0 else ordered)
    return _two_sided(_family(data, "best", pairs, resamples))


def over_population(data: CompareRows, contrast: CompareContrast) -> CompareContrast:
    """The contrast with its reading over examples: would it hold on others like these?

    Optimizers that end with the same prompts in every trial differ on these examples beyond doubt, and the examples may
    be all that makes the difference.
    """
    entries = {one.name: one for one in data.comparison.entries}
    first, second = (
        data.matrix(data.seed_rows() if name == SEED else data.rows(entries[name]))
        for name in (contrast.first, contrast.second)
    )
    kept = ~(np.isnan(first).any(axis=1) | np.isnan(second).any(axis=1))
    one, two = first[kept], second[kept]
    if len(one) < 2 or one.shape[1] < 2:
        few = NotEstimable("fewer than two complete blocks or two examples")
        return replace(contrast, population=few, population_verdict="cannot tell")

    def make(level: float) -> DifferenceInterval | NotEstimable:
        # The resamples must reach the tail that the corrected level asks for.
        resamples = max(POPULATION_RESAMPLES, ceil(40 / (1 - level)) - 1)
        return population_interval(
            one, two, "paired", level=level, seed=data.comparison.seed, resamples=resamples
        )

    alpha = (1 - contrast.result.level) / 2
    found, verdict, _, _ = decided(make, alpha, data.comparison.margin)
    # The bootstrap is too narrow with few trials, and where few examples differ: it may take a verdict on this split away
    # and give none of its own, and Student's interval over the examples has to tell a difference as well.
    by_example = t_interval(list(one.mean(axis=0) - two.mean(axis=0)), contrast.result.level)
    stands = verdict == contrast.result.verdict and (
        verdict == "equal" or (by_example is not None and 0.0 not in by_example)
    )
    return replace(contrast, population=found, population_verdict=verdict if stands else "cannot tell")


def channel(entry: Entry) -> str:
    """Which labels of a control are others, in words."""
    words = [
        f"{name} {kind}"
        for name, kind in (("feedback", entry.feedback), ("selection", entry.selection))
        if kind != "correct"
    ]
    return " and ".join(words)


_Pair = tuple[str, str, str, Floats, Floats]


def _of(data: CompareRows, entry: Entry) -> Floats:
    return data.matrix(data.rows(entry))


def _lead(first: Floats, second: Floats) -> float:
    kept = ~(np.isnan(first).any(axis=1) | np.isnan(second).any(axis=1))
    return float(first[kept].mean() - second[kept].mean()) if kept.any() and first.shape[1] else 0.0


def _family(
    data: CompareRows, family: Family, pairs: Sequence[_Pair], resamples: int
) -> tuple[CompareContrast, ...]:
    declared = data.comparison
    if not pairs:
        return ()
    sides = 2 if family == "best" else 1
    alpha = declared.alpha / len(pairs) / sides
    results = contrast_family(
        [Contrast(f"{first} > {second}", one, two, alpha=alpha) for first, second, _, one, two in pairs],
        Declared("paired", declared.alpha, declared.margin, seed=declared.seed, resamples=resamples),
    )
    return tuple(
        CompareContrast(family, first, second, which, len(pairs), result, _needed(one, two, alpha))
        for (first, second, which, one, two), result in zip(pairs, results, strict=True)
    )


def _two_sided(contrasts: Sequence[CompareContrast]) -> tuple[CompareContrast, ...]:
    p = [_both(one.result.p, one.result.p_opposite) for one in contrasts]
    return tuple(
        replace(
            one,
            result=replace(
                one.result,
                p=own,
                p_bonferroni=by_bonferroni,
                p_holm=by_holm,
                attainable=_both(one.result.attainable, one.result.attainable),
                alpha=2 * one.result.alpha,
            ),
        )
        for one, own, by_bonferroni, by_holm in zip(contrasts, p, bonferroni(p), holm(p), strict=True)
    )


def _both(greater: Estimate, less: Estimate) -> Estimate:
    if isinstance(greater, NotEstimable) or isinstance(less, NotEstimable):
        return greater if isinstance(greater, NotEstimable) else less
    return min(1.0, 2 * min(greater, less))


def _needed(first: Floats, second: Floats, alpha: float) -> Estimate:
    kept = ~(np.isnan(first).any(axis=1) | np.isnan(second).any(axis=1))
    if kept.sum() < 2 or not first.shape[1]:
        return NotEstimable("fewer than two complete blocks")
    differences = first[kept].mean(axis=1) - second[kept].mean(axis=1)
    return trials_needed(float(differences.mean()), spread(differences), alpha)


def trials_needed(difference: float, sd: float, alpha: float) -> Estimate:
    """Blocks from which the paired t-test finds a true mean difference of this size with power 0.8.

    Args:
        difference: as a share; its sign does not matter.
        sd: standard deviation of the differences between the arms of a block, as a share.
        alpha: corrected level of one tail.
    """
    if sd == 0:
        return NotEstimable("the difference is the same in every block")
    size = abs(difference)
    if size <= 1e-12:
        return NotEstimable("no difference was seen")
    # The normal approximation needs fewer blocks than Student's t, so that it is where the search begins.
    quantiles = normal_quantile(1 - 2 * alpha) + normal_quantile(2 * POWER - 1)
    least = (quantiles * sd / size) ** 2
    if least > MOST_TRIALS:
        return NotEstimable(f"more than {MOST_TRIALS:,} trials")
    count = max(2, ceil(least))
    while count <= MOST_TRIALS:
        power = paired_power(size, sd, count, alpha)
        if isinstance(power, NotEstimable):
            return power
        if power >= POWER:
            return float(count)
        count += 1
    return NotEstimable(f"more than {MOST_TRIALS:,} trials")

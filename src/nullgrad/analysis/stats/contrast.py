"""A family of declared contrasts: every number of each, and its verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from nullgrad.analysis.stats.differences import (
    DifferenceInterval,
    Target,
    difference_interval,
    population_interval,
)
from nullgrad.analysis.stats.effects import hedges_g
from nullgrad.analysis.stats.equivalence import equality_chance_paired, equality_chance_welch, equivalence
from nullgrad.analysis.stats.estimate import Design, Estimate, Floats, NotEstimable, score_rows, share, spread
from nullgrad.analysis.stats.families import bonferroni, holm
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.stats.permutation import (
    RESAMPLES,
    PermutationTest,
    Studentization,
    attainable_p,
    independent_permutations,
    paired_permutations,
)
from nullgrad.analysis.stats.power import detectable_paired, detectable_welch, paired_power, welch_power

Verdict = Literal["supported", "contradicted", "equal", "cannot tell"]

POWER = 0.8
"""At which the detectable effect is given."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a family declared before it ran.

    Attributes:
        design: `paired` (blocks under shared draws) or `independent`.
        alpha: one-sided level of the whole family.
        margin: largest difference that counts as none, as a share; None where equality is not claimed.
        statistic: of the independent design; `pooled` is the published t.
        target: what the verdict's interval covers: this split, or the population of examples.
        seed: of every random stream of the family.
        resamples: of the permutation tests where they do not enumerate.
    """

    design: Design
    alpha: float = 0.05
    margin: float | None = None
    statistic: Studentization = "welch"
    target: Target = "split"
    seed: int = 0
    resamples: int = RESAMPLES

    def __post_init__(self) -> None:
        share(self.alpha, "alpha")
        if self.margin is not None and self.margin <= 0:
            raise ValueError("equality needs a margin above 0")


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """One contrast's data; the declared direction is that the first arm scores higher.

    Attributes:
        name: as the study calls it.
        first, second: scores by trial and example, shape (trials, examples), NaN where missing; in the paired design
            row i of both is block i. Rows of one column are trial scores.
        alpha: corrected level of its own, where the family is more than what is given, or a look's; None splits the
            declared one over what is given.
        margin: of its own, None for the declared one.
    """

    name: str
    first: ArrayLike
    second: ArrayLike
    alpha: float | None = None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class ContrastResult:
    """Every number of a contrast, first − second; scores and differences as shares.

    Attributes:
        name: as the study calls it.
        design: `paired` or `independent`.
        n: trials used of each arm; in the paired design blocks.
        dropped: incomplete trials left out of each arm; in the paired design incomplete blocks.
        means: mean score of each arm.
        difference: of the means.
        interval: at 1 − 2α corrected, within −1 to 1.
        level: of the interval.
        method, target: how the interval was made and what it covers.
        p: one-sided, of the declared direction.
        p_opposite: one-sided, of the opposite direction.
        p_bonferroni, p_holm: p corrected over the family.
        attainable: smallest p that these numbers of trials allow.
        alpha: corrected level that p is compared with.
        g: Hedges' g.
        detectable: smallest effect found with power 0.8 at the corrected level, for the spread of these scores.
        power_at_margin: of a true effect of the declared margin, at the corrected level.
        equality_chance: chance of the verdict `equal` if the true difference is 0.
        p_equivalence: of two one-sided tests with the margin.
        p_equivalence_bonferroni, p_equivalence_holm: corrected over the family.
        verdict: see `decided`.
        within_margin: whether the whole interval lies inside ±margin.
        reason: why the verdict is what it is, a sentence.
    """

    name: str
    design: Design
    n: tuple[int, int]
    dropped: tuple[int, int]
    means: tuple[Estimate, Estimate]
    difference: Estimate
    interval: Interval | NotEstimable
    level: float
    method: str
    target: Target
    p: Estimate
    p_opposite: Estimate
    p_bonferroni: Estimate
    p_holm: Estimate
    attainable: Estimate
    alpha: float
    g: Estimate
    detectable: Estimate
    power_at_margin: Estimate
    equality_chance: Estimate
    p_equivalence: Estimate
    p_equivalence_bonferroni: Estimate
    p_equivalence_holm: Estimate
    verdict: Verdict
    within_margin: bool
    reason: str


OPPOSITE = 0.1
"""Share of a contrast's α that a verdict against the declared direction is allowed: it was not the hypothesis, so that it needs more
evidence, and wrong verdicts of either kind stay near α together. Read off one interval in both directions they would be 2α."""

Made = DifferenceInterval | NotEstimable


def decided(
    make: Callable[[float], Made], alpha: float, margin: float | None
) -> tuple[Made, Verdict, bool, str]:
    """The interval at 1 − 2α, the verdict, whether the interval lies inside ±margin, and the reason.

    `supported`: the interval lies above 0, so that the declared direction errs with α, as a one-sided test of it does.
    `contradicted`: the interval at 1 − 2α `OPPOSITE` lies below 0. `equal`: the interval at 1 − 2α lies inside ±margin. (The design
    reads both directions off one interval; where nothing differs, verdicts are then wrong with 2α.)

    Args:
        make: the interval of first − second at a level.
        alpha: corrected.
        margin: as declared, None where equality is not claimed.
    """
    found = make(1 - 2 * alpha)
    if isinstance(found, NotEstimable):
        return found, "cannot tell", False, f"No interval: {found.reason}."
    interval = found.interval
    inside = margin is not None and -margin < interval.low and interval.high < margin
    if interval.low > 0:
        return (
            found,
            "supported",
            inside,
            f"The whole interval is above 0{', within the margin' if inside else ''}.",
        )
    if interval.high < 0:
        strict = make(1 - 2 * OPPOSITE * alpha)
        if not isinstance(strict, NotEstimable) and strict.interval.high < 0:
            beside = ", within the margin" if inside else ""
            return found, "contradicted", inside, f"The whole interval is below 0{beside}."
        if not inside:
            return (
                found,
                "cannot tell",
                False,
                "The interval is below 0, against the declared direction, which needs more evidence than this.",
            )
    if inside:
        return found, "equal", True, "The whole interval is inside the margin."
    if margin is None:
        return found, "cannot tell", False, "The interval includes 0, and no margin was declared."
    return found, "cannot tell", False, "The interval includes 0 and reaches beyond the margin."


def contrast_family(contrasts: Sequence[Contrast], declared: Declared) -> tuple[ContrastResult, ...]:
    """Every number and the verdict of each contrast of one family, in the order given.

    α is split over the family. An incomplete trial drops its block (in the independent design itself). Where trials
    were dropped, the verdict is taken again over all trials with every missing score against the first arm, and with
    every missing score for it: if either changes it, the verdict is `cannot tell`.

    Raises:
        ValueError: shapes that do not belong together, a score outside 0 to 1, or a name twice.
    """
    if len({contrast.name for contrast in contrasts}) < len(contrasts):
        raise ValueError("a family names a contrast twice")
    if not contrasts:
        return ()
    alphas = [
        declared.alpha / len(contrasts) if contrast.alpha is None else share(contrast.alpha, "alpha")
        for contrast in contrasts
    ]
    each = [
        declared if contrast.margin is None else replace(declared, margin=contrast.margin)
        for contrast in contrasts
    ]
    data = [_Data.of(contrast, declared.design) for contrast in contrasts]
    tests = _tests(data, declared)
    equal = [_equivalence(datum, own) for datum, own in zip(data, each, strict=True)]
    p = [test if isinstance(test, NotEstimable) else test.greater for test in tests]
    corrected = zip(bonferroni(p), holm(p), bonferroni(equal), holm(equal), strict=True)
    return tuple(
        _result(datum, own, alpha, test, p_equal, *more)
        for datum, own, alpha, test, p_equal, more in zip(
            data, each, alphas, tests, equal, corrected, strict=True
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    name: str
    rows: tuple[Floats, Floats]
    complete: tuple[Floats, Floats]

    @classmethod
    def of(cls, contrast: Contrast, design: Design) -> _Data:
        rows = score_rows(contrast.first), score_rows(contrast.second)
        if design == "paired" and len(rows[0]) != len(rows[1]):
            raise ValueError(
                f"a paired contrast needs equal numbers of trials, not {len(rows[0])} and {len(rows[1])}"
            )
        kept = tuple(~np.isnan(arm).any(axis=1) for arm in rows)
        if design == "paired":
            kept = (kept[0] & kept[1], kept[0] & kept[1])
        return cls(contrast.name, rows, (rows[0][kept[0]], rows[1][kept[1]]))

    @property
    def scores(self) -> tuple[Floats, Floats]:
        return _means(self.complete[0]), _means(self.complete[1])

    @property
    def dropped(self) -> tuple[int, int]:
        return len(self.rows[0]) - len(self.complete[0]), len(self.rows[1]) - len(self.complete[1])

    def imputed(self, first: float, second: float) -> tuple[Floats, Floats]:
        return np.nan_to_num(self.rows[0], nan=first), np.nan_to_num(self.rows[1], nan=second)


def _means(rows: Floats) -> Floats:
    return rows.mean(axis=1) if rows.shape[1] else np.zeros(0)


def _tests(data: Sequence[_Data], declared: Declared) -> list[PermutationTest | NotEstimable]:
    least = 1 if declared.design == "paired" else 2
    usable = [datum for datum in data if min(map(len, datum.scores)) >= least]
    pairs = [datum.scores for datum in usable]
    if declared.design == "paired":
        found = paired_permutations(pairs, seed=declared.seed, resamples=declared.resamples)
    else:
        found = independent_permutations(
            pairs, statistic=declared.statistic, seed=declared.seed, resamples=declared.resamples
        )
    by_name = dict(zip((datum.name for datum in usable), found, strict=True))
    few = NotEstimable(
        "no complete block" if declared.design == "paired" else "an arm with fewer than two complete trials"
    )
    return [by_name.get(datum.name, few) for datum in data]


def _equivalence(datum: _Data, declared: Declared) -> Estimate:
    if declared.margin is None:
        return NotEstimable("no margin was declared")
    found = equivalence(*datum.scores, declared.design, declared.margin)
    return found if isinstance(found, NotEstimable) else found.p


def _interval(
    first: Floats, second: Floats, declared: Declared, level: float
) -> DifferenceInterval | NotEstimable:
    if declared.target == "population":
        if min(len(first), len(second)) < 2:
            return NotEstimable("fewer than two complete trials")
        return population_interval(first, second, declared.design, level=level, seed=declared.seed)
    return difference_interval(_means(first), _means(second), declared.design, level=level)


def _result(
    datum: _Data,
    declared: Declared,
    alpha: float,
    test: PermutationTest | NotEstimable,
    p_equivalence: Estimate,
    p_bonferroni: Estimate,
    p_holm: Estimate,
    equivalence_bonferroni: Estimate,
    equivalence_holm: Estimate,
) -> ContrastResult:
    one, two = datum.scores
    n = len(one), len(two)
    found, verdict, inside, reason = decided(
        lambda level: _interval(*datum.complete, declared, level), alpha, declared.margin
    )
    interval = found if isinstance(found, NotEstimable) else found.interval
    if verdict != "cannot tell" and any(datum.dropped) and not _robust(datum, declared, alpha, verdict):
        verdict = "cannot tell"
        reason = f"{reason[:-1]}, but not whatever the missing scores were."
    elif verdict == "supported" and isinstance(test, PermutationTest) and test.greater > alpha:
        reason += " The permutation test alone does not reach the corrected level."
    power = _powers(one, two, declared, alpha)
    none = NotEstimable("no complete trial")
    means: tuple[Estimate, Estimate] = (
        float(one.mean()) if len(one) else none,
        float(two.mean()) if len(two) else none,
    )
    return ContrastResult(
        name=datum.name,
        design=declared.design,
        n=n,
        dropped=datum.dropped,
        means=means,
        difference=float(one.mean() - two.mean()) if min(n) else none,
        interval=interval,
        level=1 - 2 * alpha,
        method="none" if isinstance(found, NotEstimable) else found.method,
        target=declared.target,
        p=test if isinstance(test, NotEstimable) else test.greater,
        p_opposite=test if isinstance(test, NotEstimable) else test.less,
        p_bonferroni=p_bonferroni,
        p_holm=p_holm,
        attainable=(
            test
            if isinstance(test, NotEstimable)
            else attainable_p(declared.design, *n, resamples=declared.resamples)
        ),
        alpha=alpha,
        g=hedges_g(one, two, declared.design),
        detectable=power[0],
        power_at_margin=power[1],
        equality_chance=power[2],
        p_equivalence=p_equivalence,
        p_equivalence_bonferroni=equivalence_bonferroni,
        p_equivalence_holm=equivalence_holm,
        verdict=verdict,
        within_margin=inside,
        reason=reason,
    )


def _robust(datum: _Data, declared: Declared, alpha: float, verdict: Verdict) -> bool:
    """Whether the verdict stands with all missing scores against the first arm, and with all for it."""

    def verdict_with(first: float, second: float) -> Verdict:
        one, two = datum.imputed(first, second)
        return decided(lambda level: _interval(one, two, declared, level), alpha, declared.margin)[1]

    return all(verdict_with(*scores) == verdict for scores in ((0.0, 1.0), (1.0, 0.0)))


def _powers(
    one: Floats, two: Floats, declared: Declared, alpha: float
) -> tuple[Estimate, Estimate, Estimate]:
    """Detectable effect, power at the margin, chance of concluding equality; from the spread, never the difference."""
    if min(len(one), len(two)) < 2:
        few = NotEstimable("fewer than two complete trials")
        return few, few, few
    margin = declared.margin
    none = NotEstimable("no margin was declared")
    if declared.design == "paired":
        sd, n = spread(one - two), len(one)
        return (
            detectable_paired(sd, n, alpha, power=POWER),
            none if margin is None else paired_power(margin, sd, n, alpha),
            none if margin is None else equality_chance_paired(margin, sd, n, alpha, opposite=OPPOSITE),
        )
    sds, sizes = (spread(one), spread(two)), (len(one), len(two))
    return (
        detectable_welch(sds, sizes, alpha, power=POWER),
        none if margin is None else welch_power(margin, sds, sizes, alpha),
        none if margin is None else equality_chance_welch(margin, sds, sizes, alpha, opposite=OPPOSITE),
    )

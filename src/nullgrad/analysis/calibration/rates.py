"""What the instrument does in worlds whose truth is known: rates of verdicts, right and wrong, beside what was declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Any

import numpy as np

from nullgrad.analysis.calibration.battery import VERDICTS, Codes, lines_of
from nullgrad.analysis.calibration.confusion import ConfusionRates, confusion
from nullgrad.analysis.stats.contrast import OPPOSITE, Verdict
from nullgrad.analysis.stats.equivalence import equality_chance_paired, equality_chance_welch
from nullgrad.analysis.stats.estimate import Design, Estimate, Floats, NotEstimable
from nullgrad.analysis.stats.intervals import Interval, clopper_pearson
from nullgrad.analysis.stats.power import paired_power, welch_power
from nullgrad.analysis.study.look import family_size
from nullgrad.core.study import Study

ERRORS = 3.0
"""Monte-Carlo standard errors within which a true difference counts as 0."""

WORDS = ("holds", "fails", "cannot tell")


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of studies out of all, with its exact 95 % interval."""

    count: int
    n: int

    @property
    def share(self) -> float:
        """0 to 1; 0 of nothing."""
        return self.count / self.n if self.n else 0.0

    @property
    def interval(self) -> Interval:
        """Clopper and Pearson's, 95 %."""
        return clopper_pearson(self.count, self.n)

    def above(self, level: float, confidence: float) -> bool:
        """Whether the lower end of the exact interval of that confidence is above a level."""
        return clopper_pearson(self.count, self.n, confidence).low > level

    def below(self, level: float, confidence: float) -> bool:
        """Whether the upper end of the exact interval of that confidence is below a level."""
        return clopper_pearson(self.count, self.n, confidence).high < level


@dataclass(frozen=True, slots=True)
class TrueDifference:
    """What a contrast's difference truly is; shares.

    Attributes:
        mean: first − second: exact accuracy of the final prompts on the split, averaged over simulated trials.
        error: Monte-Carlo standard error of it.
        sd: standard deviation of the observed difference of a block, on which the power of the paired design depends.
        sds: of the observed score of a trial in each arm, on which that of the independent design does.
    """

    mean: float
    error: float
    sd: float
    sds: tuple[float, float]

    @property
    def sign(self) -> int:
        """1 or −1, 0 where the difference cannot be told from 0 by many more trials than a study has."""
        return 0 if abs(self.mean) <= ERRORS * self.error else 1 if self.mean > 0 else -1

    def wrong(self, verdict: Verdict, margin: float | None) -> bool:
        """Whether a verdict says what is not so."""
        if verdict == "supported":
            return self.sign <= 0
        if verdict == "contradicted":
            return self.sign >= 0
        return verdict == "equal" and margin is not None and abs(self.mean) >= margin

    def power(self, design: Design, n: int, alpha: float) -> Estimate:
        """Chance of `supported` over n trials an arm."""
        size = self.mean if self.sign > 0 else 0.0
        return (
            paired_power(size, self.sd, n, alpha)
            if design == "paired"
            else welch_power(size, self.sds, (n, n), alpha)
        )

    def planned(self, design: Design, n: int, alpha: float, margin: float) -> Estimate:
        """Chance of a right, decided verdict over n trials an arm by the formulas of `nullgrad plan`, at the true values.

        Where there is no difference, of equality; at the margin and beyond, of a difference, which against the declared
        direction is told at a stricter level; between, where a plan promises nothing, whichever is likelier.
        """
        true = self.mean if self.sign else 0.0
        size, told = abs(true), OPPOSITE * alpha if self.sign < 0 else alpha
        if design == "paired":
            power = paired_power(size, self.sd, n, told)
            equal = equality_chance_paired(margin, self.sd, n, alpha, difference=true, opposite=OPPOSITE)
        else:
            power = welch_power(size, self.sds, (n, n), told)
            equal = equality_chance_welch(margin, self.sds, (n, n), alpha, difference=true, opposite=OPPOSITE)
        if isinstance(power, NotEstimable):
            return power
        if isinstance(equal, NotEstimable):
            return equal
        return equal if not self.sign else power if size >= margin else max(power, equal)


def true_difference(
    first: Floats, second: Floats, observed_first: Floats, observed_second: Floats
) -> TrueDifference:
    """From simulated trials.

    Args:
        first, second: exact accuracy of the final prompt by trial; where arms shared draws in the order of the blocks.
        observed_first, observed_second: observed scores, likewise; of as many trials or fewer.
    """
    apart = np.asarray(first, dtype=np.float64) - second
    spread = float(apart.std(ddof=1)) if len(apart) > 1 else 0.0
    one, two = (np.asarray(row, dtype=np.float64) for row in (observed_first, observed_second))
    sd, *sds = (float(row.std(ddof=1)) for row in (one - two, one, two))
    return TrueDifference(float(apart.mean()), spread / sqrt(len(apart)), sd, (sds[0], sds[1]))


@dataclass(frozen=True, slots=True)
class ContrastRates:
    """One contrast in one world at one number of trials.

    Attributes:
        world, design, trials, contrast, family: which.
        alpha: corrected level; against the declared direction `OPPOSITE` of it.
        margin: of equality, a share.
        truth: the true difference.
        verdicts: studies by verdict.
        planned: chance of a right, decided verdict that power analysis gives.
        power: chance of `supported` that it gives; α where the truth is 0 or against the declared direction.
    """

    world: str
    design: Design
    trials: int
    contrast: str
    family: str
    alpha: float
    margin: float
    truth: TrueDifference
    verdicts: Mapping[Verdict, int]
    planned: Estimate
    power: Estimate

    @property
    def studies(self) -> int:
        """How many."""
        return sum(self.verdicts.values())

    def rate(self, *verdicts: Verdict) -> Rate:
        """Of these verdicts together."""
        return Rate(sum(self.verdicts[one] for one in verdicts), self.studies)

    @property
    def wrong(self) -> Rate:
        """Of verdicts that say what is not so."""
        return self.rate(*(one for one in VERDICTS if self.truth.wrong(one, self.margin)))

    @property
    def right(self) -> Rate:
        """Of decided verdicts that say what is so: power is no use where it is wrong."""
        return self.rate(*(one for one in VERDICTS[:3] if not self.truth.wrong(one, self.margin)))


@dataclass(frozen=True, slots=True)
class FamilyRates:
    """One family in one world at one number of trials: studies with a wrong verdict in it.

    Attributes:
        world, design, trials, family: which.
        contrasts: in the family.
        alpha: declared level of the family; see `declared`.
        by_verdict: studies with a wrong verdict of that kind.
        wrong: studies with any.
    """

    world: str
    design: Design
    trials: int
    family: str
    contrasts: int
    alpha: float
    by_verdict: Mapping[Verdict, Rate]
    wrong: Rate

    def declared(self, verdict: Verdict) -> float:
        """The rate at which a wrong verdict of that kind is allowed."""
        return OPPOSITE * self.alpha if verdict == "contradicted" else self.alpha


@dataclass(frozen=True, slots=True)
class PredictionRates:
    """One prediction of the gradient hypothesis in one world at one number of trials.

    Attributes:
        world, design, trials, prediction, selection: which.
        words: studies by `holds`, `fails`, `cannot tell`.
        wrong: studies in which the word rests on a wrong verdict.
        truth: the words that are right, () where MC noise leaves none.
    """

    world: str
    design: Design
    trials: int
    prediction: str
    selection: str
    words: Mapping[str, int]
    wrong: Rate
    truth: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorldRates:
    """Everything of one world in one design at one number of trials."""

    contrasts: tuple[ContrastRates, ...]
    families: tuple[FamilyRates, ...]
    predictions: tuple[PredictionRates, ...]
    confusion: tuple[ConfusionRates, ...]


def world_rates(
    world: str, study: Study, trials: int, codes: Codes, truths: Mapping[str, TrueDifference]
) -> WorldRates:
    """Count the verdicts of simulated studies.

    Args:
        world: its name.
        study: that declares the contrasts and the design.
        trials: of each study.
        codes: of the verdicts, shape (studies, contrasts).
        truths: by contrast.
    """
    specs = study.contrasts
    wrong = np.zeros((len(codes), len(specs)), dtype=bool)
    contrasts: list[ContrastRates] = []
    for place, spec in enumerate(specs):
        truth, margin = truths[spec.name], spec.margin or 0.0
        alpha = study.alpha / family_size(study, spec.family)
        counts = np.bincount(codes[:, place], minlength=len(VERDICTS))
        bad = np.array([truth.wrong(one, spec.margin) for one in VERDICTS])
        wrong[:, place] = bad[codes[:, place]]
        contrasts.append(
            ContrastRates(
                world, study.design, trials, spec.name, spec.family, alpha, margin, truth,
                {one: int(count) for one, count in zip(VERDICTS, counts, strict=True)},
                truth.planned(study.design, trials, alpha, margin),
                truth.power(study.design, trials, alpha),
            )
        )  # fmt: skip
    families = []
    for family in dict.fromkeys(spec.family for spec in specs):
        own = [place for place, spec in enumerate(specs) if spec.family == family]
        kinds = {
            one: Rate(int((wrong[:, own] & (codes[:, own] == number)).any(axis=1).sum()), len(codes))
            for number, one in enumerate(VERDICTS[:3])
        }
        some = Rate(int(wrong[:, own].any(axis=1).sum()), len(codes))
        families.append(FamilyRates(world, study.design, trials, family, len(own), study.alpha, kinds, some))
    return WorldRates(
        tuple(contrasts),
        tuple(families),
        tuple(_predictions(world, study, trials, codes, wrong, truths)),
        confusion(
            world,
            study.design,
            trials,
            [one.truth.sign for one in contrasts],
            [one.planned for one in contrasts],
            codes,
            wrong,
        ),
    )


def _predictions(
    world: str, study: Study, trials: int, codes: Codes, wrong: Any, truths: Mapping[str, TrueDifference]
) -> Iterable[PredictionRates]:
    place = {spec.name: number for number, spec in enumerate(study.contrasts)}
    words: dict[tuple[str, str], dict[str, int]] = {}
    mistaken: dict[tuple[str, str], int] = {}
    right: dict[tuple[str, str], set[str]] = {}

    @cache
    def lines(row: bytes) -> Any:
        return lines_of(study, [VERDICTS[code] for code in np.frombuffer(row, dtype=np.int8)])

    for codes_of, wrong_of in zip(codes, wrong, strict=True):
        for line in lines(codes_of.tobytes()):
            key = line.prediction, line.selection
            words.setdefault(key, dict.fromkeys(WORDS, 0))[line.word] += 1
            rests = [item for item in line.evidence if item.word == line.word != "cannot tell"]
            mistaken[key] = mistaken.get(key, 0) + any(wrong_of[place[item.contrast]] for item in rests)
    for verdict in VERDICTS[:3]:
        # What each contrast would rightly say if it alone were decided.
        for spec in study.contrasts:
            if truths[spec.name].wrong(verdict, spec.margin):
                continue
            alone = [verdict if one is spec else "cannot tell" for one in study.contrasts]
            for line in lines_of(study, alone):
                if line.word != "cannot tell":
                    right.setdefault((line.prediction, line.selection), set()).add(line.word)
    for key, counts in words.items():
        yield PredictionRates(
            world, study.design, trials, *key, counts, Rate(mistaken[key], len(codes)),
            tuple(word for word in WORDS if word in right.get(key, ())),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """A rate that is not as declared, one sentence."""

    world: str
    text: str


def confidence(comparisons: int) -> float:
    """Of the intervals by which a whole table is judged: one table in twenty would be called out by chance."""
    return 1 - 0.05 / max(1, comparisons)


def exceeded(families: Sequence[FamilyRates]) -> tuple[Finding, ...]:
    """Families that err more than declared in a direction: the lower end of the exact interval is above the level."""
    sure = confidence(3 * len(families))
    return tuple(
        Finding(
            one.world,
            f"{one.world}, {one.trials} trials {one.design}, family {one.family!r}: {kind!r} is wrong in {100 * rate.share:.1f} % of "
            f"{rate.n} studies, declared {100 * one.declared(kind):.3g} %",
        )
        for one in families
        for kind, rate in one.by_verdict.items()
        if rate.above(one.declared(kind), sure)
    )


def silent(contrasts: Sequence[ContrastRates]) -> tuple[Finding, ...]:
    """Contrasts that are rightly decided less often than planned: the upper end of the exact interval is below the plan."""
    planned = [one for one in contrasts if not isinstance(one.planned, NotEstimable)]
    sure = confidence(len(planned))
    return tuple(
        Finding(
            one.world,
            f"{one.world}, {one.trials} trials {one.design}, {one.contrast!r}: rightly decided in {100 * one.right.share:.1f} % of "
            f"{one.studies} studies, planned {100 * float(one.planned):.1f} %",  # type: ignore[arg-type]
        )
        for one in planned
        if one.right.below(float(one.planned), sure)  # type: ignore[arg-type]
    )

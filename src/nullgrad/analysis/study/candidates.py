"""What the candidates of a study's arms show: diversity by step, best-of-k, and the bias of the winner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np

from nullgrad.analysis.selection_bias import selection_bias
from nullgrad.analysis.selection_report import first_rows
from nullgrad.analysis.stats.estimate import Estimate, NotEstimable
from nullgrad.analysis.study.diversity import best_of, score_disagreement, token_distance
from nullgrad.analysis.study.rows import CellData, as_row, validation_rows
from nullgrad.analysis.study.trajectory import MeanOver, mean_over
from nullgrad.core.arms import Arm
from nullgrad.core.events import CandidateScored
from nullgrad.core.selection import KEEP, comparable
from nullgrad.core.study_facts import StepFacts

PAIRS = 750
"""Pairs of prompts whose distance is computed, over the whole study: the same number for each step of each arm."""

BIAS_RESAMPLES = 200
"""Resamples of the winner's bias in each trial; the mean over trials averages their noise away."""


CURVE_STEPS = 4
"""Steps of which the best-of-k curve is computed: the first, the last, and some evenly between."""


@dataclass(frozen=True, slots=True)
class StepDiversity:
    """Candidates of one step of one arm, over trials.

    Attributes:
        cell, arm, step: which.
        trials: trials with two candidates or more in this step.
        candidates: mean number of them.
        duplicates: mean share that repeats the exact text of an earlier one.
        distance: mean normalized token distance over `pairs` pairs, 0 to 1.
        pairs, possible: pairs whose distance was computed, and all.
        disagreement: mean absolute difference of scores on validation, 0 to 1.
    """

    cell: str
    arm: str
    step: int
    trials: int
    candidates: float
    duplicates: float
    distance: Estimate
    pairs: int
    possible: int
    disagreement: Estimate


@dataclass(frozen=True, slots=True)
class BestOfPoint:
    """Expected score on fresh examples of the best of k candidates of a step.

    Attributes:
        cell, arm: which.
        step: of the candidates; 0 is the mean over the steps of a trial that have a curve.
        k: candidates drawn; 1 is a blind draw.
        over: mean over trials.
    """

    cell: str
    arm: str
    step: int
    k: int
    over: MeanOver


@dataclass(frozen=True, slots=True)
class WinnerBias:
    """By how much an arm that validates over-estimates what it chose; means over trials.

    Attributes:
        cell, arm: which.
        labels: that chose: `correct`, `wrong` or `shuffled`; the first step's numbers are against these.
        adaptive: whether later steps chose among what earlier choices led to.
        trials: trials whose first step scored two candidates or more.
        candidates: most candidates of the first step, the seed prompt included where it is one.
        claimed: the first step's winner on the examples that chose it.
        corrected: cross-fitted: chosen on nine tenths of the examples, scored on the rest.
        out_of_bag: chosen on a bootstrap draw, scored outside it; low where candidates truly differ.
        inflation: by how much the best would exceed the mean if all candidates were equal.
        final_claimed: validation mean, against true labels, of the final candidate.
        final_test: its sealed test mean, the only unbiased one after adaptive steps. It is of other examples.
    """

    cell: str
    arm: str
    labels: str
    adaptive: bool
    trials: int
    candidates: int
    claimed: Estimate
    corrected: Estimate
    out_of_bag: Estimate
    inflation: Estimate
    final_claimed: MeanOver
    final_test: MeanOver


def step_diversity(cells: Sequence[CellData], arms: Sequence[Arm]) -> tuple[StepDiversity, ...]:
    """Diversity of every step with several variants, arm by arm."""
    drawn = [(data, arm) for data in cells for arm in arms if arm.n >= 2]
    groups = sum(data.study.steps for data, _ in drawn)
    allowed = max(3, PAIRS // max(1, groups))
    return tuple(row for data, arm in drawn for row in _diversity(data, arm, allowed))


def _diversity(data: CellData, arm: Arm, allowed: int) -> Iterable[StepDiversity]:
    trials = data.of_arm(arm)
    for step in range(1, data.study.steps + 1):
        every = [trial.steps[step] for trial in trials.values() if step in trial.steps]
        facts = [one for one in every if len(one.proposed) >= 2]
        if not facts:
            continue
        texts = [[one.proposed[number].prompt for number in sorted(one.proposed)] for one in facts]
        pairs = [pair for own in texts for pair in combinations(own, 2)]
        stream = np.random.default_rng([data.study.seed, step, len(pairs)])
        chosen = sorted(stream.permutation(len(pairs))[:allowed].tolist())
        apart = [value for one in facts if not isinstance(value := _disagreement(one), NotEstimable)]
        yield StepDiversity(
            data.cell.name,
            arm.canonical,
            step,
            len(facts),
            fmean(map(len, texts)),
            fmean(1 - len(set(own)) / len(own) for own in texts),
            fmean(token_distance(*pairs[place]) for place in chosen),
            len(chosen),
            len(pairs),
            fmean(apart) if apart else NotEstimable("the candidates were not scored on validation"),
        )


def _disagreement(step: StepFacts) -> Estimate:
    scored = _variants(step)
    if len(scored) < 2:
        return NotEstimable("fewer than two candidates were scored")
    return score_disagreement(np.array([as_row(one.scores) for one in scored]))


def _variants(step: StepFacts) -> list[CandidateScored]:
    """Variants that were scored against true labels, and can be compared."""
    return [
        one
        for number, one in sorted(step.scored.items())
        if number != KEEP and one.scores and comparable(one.scores)
    ]


def best_of_k(cells: Sequence[CellData], arms: Sequence[Arm]) -> tuple[BestOfPoint, ...]:
    """Curves of steps whose variants were all read and scored; a step that lost one has another curve."""
    found: list[BestOfPoint] = []
    for data in cells:
        for arm in arms:
            if not arm.validates or arm.n < 2:
                continue
            by_step: dict[int, list[tuple[float, ...]]] = {}
            places = np.linspace(1, max(1, data.study.steps), CURVE_STEPS)
            chosen = {round(float(place)) for place in places}
            for trial in data.of_arm(arm).values():
                own: list[tuple[float, ...]] = []
                for number, step in sorted(trial.steps.items()):
                    if number not in chosen:
                        continue
                    scored = _variants(step)
                    curve = (
                        best_of(np.array([as_row(one.scores) for one in scored]))
                        if len(scored) == arm.n
                        else None
                    )
                    if curve is not None and not isinstance(curve, NotEstimable):
                        by_step.setdefault(number, []).append(curve.curve)
                        own.append(curve.curve)
                if own:
                    by_step.setdefault(0, []).append(tuple(map(fmean, zip(*own, strict=True))))
            for number, curves in sorted(by_step.items()):
                for k, values in enumerate(zip(*curves, strict=True), 1):
                    found.append(BestOfPoint(data.cell.name, arm.canonical, number, k, mean_over(values)))
    return tuple(found)


def winner_bias(cells: Sequence[CellData], arms: Sequence[Arm]) -> tuple[WinnerBias, ...]:
    """Bias of every arm that validates; of the first step alone, whose candidates were proposed before any choice."""
    return tuple(_bias(data, arm) for data in cells for arm in arms if arm.validates)


def _bias(data: CellData, arm: Arm) -> WinnerBias:
    trials = data.of_arm(arm)
    found = []
    most = 0
    for trial in trials.values():
        rows, incumbents = first_rows(trial.steps.get(1), arm)
        if len(rows) >= 2:
            bias = selection_bias(
                np.array([as_row(row) for row in rows]),
                seed=data.study.seed,
                resamples=BIAS_RESAMPLES,
                incumbents=incumbents,
            )
            if not isinstance(bias, NotEstimable):
                found.append(bias)
                most = max(most, len(rows))
    none = NotEstimable("no trial scored two candidates in its first step")

    def mean(values: Sequence[Estimate]) -> Estimate:
        known = [value for value in values if not isinstance(value, NotEstimable)]
        return fmean(known) if known else none

    finals = {number: validation_rows(trial) for number, trial in trials.items()}
    claimed = [
        float(np.nanmean(own[max(own)]))
        for own in finals.values()
        if own and data.study.steps in own and not np.isnan(own[max(own)]).all()
    ]
    tests = [float(row.mean()) for row in data.test_rows(arm).values() if not np.isnan(row).any()]
    return WinnerBias(
        data.cell.name,
        arm.canonical,
        arm.validation_labels,
        data.study.steps > 1,
        len(found),
        most,
        mean([one.claimed for one in found]),
        mean([one.corrected for one in found]),
        mean([one.out_of_bag for one in found]),
        mean([one.inflation for one in found]),
        mean_over(claimed),
        mean_over(tests),
    )

"""How far a critic can be trusted: its judgements against gold, by step, by class, and by what was right and wrong.

Agreement is 1 − |judged − true|: right or wrong of a verdict, the distance of a score. A judgement that could not be read
and one whose call failed are recorded alike as missing; they are counted apart and are in no mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np
from scipy.stats import spearmanr

from nullgrad.analysis.stats.estimate import Estimate, NotEstimable
from nullgrad.analysis.study.rows import CellData
from nullgrad.analysis.study.trajectory import MeanOver, mean_over
from nullgrad.core.arms import Arm

By = Literal["all", "step", "class", "output"]

LEAST_JUDGED = 5
"""Judgements that a rank correlation needs."""


@dataclass(frozen=True, slots=True)
class CriticQuality:
    """Of one critic arm in one cell.

    Attributes:
        cell, arm: which.
        by: `all`, or a `step`, a `class` of right answers, or the `output` (right or wrong) that was judged.
        at: the step's number, the class, `right` or `wrong`; "" for all.
        judged: judgements that could be read and whose outputs are scored.
        missing: judgements that could not be read, or failed.
        agreement: mean over trials of each trial's mean agreement.
        judged_mean, true_mean: how right the critic held the outputs, and how right they were, over all judgements.
        rank_correlation: Spearman's, of a smooth critic's scores with gold over all judgements.
    """

    cell: str
    arm: str
    by: By
    at: str
    judged: int
    missing: int
    agreement: MeanOver
    judged_mean: Estimate
    true_mean: Estimate
    rank_correlation: Estimate


@dataclass(frozen=True, slots=True)
class _Judged:
    trial: int
    step: int
    label: str
    judged: float | None
    true: float


def critic_quality(data: CellData, arms: Sequence[Arm]) -> tuple[CriticQuality, ...]:
    """Quality of every critic arm of a cell."""
    return tuple(row for arm in arms if arm.critic for row in _of_arm(data, arm))


def _of_arm(data: CellData, arm: Arm) -> Iterator[CriticQuality]:
    view = data.cell.task.view
    targets = {example.id: example.target for example in view.train}
    every = [
        _Judged(number, step, targets.get(example, ""), judged, true)
        for number, trial in data.of_arm(arm).items()
        for step, facts in sorted(trial.steps.items())
        if facts.critiqued is not None
        for example, judged, true in zip(
            facts.critiqued.examples, facts.critiqued.judged, facts.critiqued.true, strict=True
        )
        if true is not None
    ]
    smooth = arm.evaluator == "critic-smooth"

    def row(by: By, at: str, cases: Sequence[_Judged]) -> CriticQuality:
        return _quality(data.cell.name, arm.canonical, by, at, cases, smooth)

    if not every:
        return
    yield row("all", "", every)
    for step in sorted({case.step for case in every}):
        yield row("step", str(step), [case for case in every if case.step == step])
    if view.labels and view.slots == 1:
        for label in sorted({case.label for case in every}):
            yield row("class", label, [case for case in every if case.label == label])
    for name, low, high in (("right", 1.0, 1.0), ("wrong", 0.0, 0.0)):
        cases = [case for case in every if low <= case.true <= high]
        if cases:
            yield row("output", name, cases)


def _quality(cell: str, arm: str, by: By, at: str, cases: Sequence[_Judged], smooth: bool) -> CriticQuality:
    read = [(case.trial, case.judged, case.true) for case in cases if case.judged is not None]
    by_trial: dict[int, list[float]] = {}
    for trial, judged, true in read:
        by_trial.setdefault(trial, []).append(1.0 - abs(judged - true))
    none = NotEstimable("no judgement could be read")
    return CriticQuality(
        cell,
        arm,
        by,
        at,
        len(read),
        len(cases) - len(read),
        mean_over([fmean(values) for values in by_trial.values()]),
        fmean(judged for _, judged, _ in read) if read else none,
        fmean(true for _, _, true in read) if read else none,
        _rank_correlation([(judged, true) for _, judged, true in read], smooth),
    )


def _rank_correlation(pairs: Sequence[tuple[float, float]], smooth: bool) -> Estimate:
    if not smooth:
        return NotEstimable("a verdict has no rank")
    if len(pairs) < LEAST_JUDGED:
        return NotEstimable(f"fewer than {LEAST_JUDGED} judgements")
    judged, true = np.array(pairs).T
    if np.ptp(judged) == 0:
        return NotEstimable("all judgements are the same")
    if np.ptp(true) == 0:
        return NotEstimable("all outputs are worth the same")
    return float(spearmanr(judged, true).statistic)

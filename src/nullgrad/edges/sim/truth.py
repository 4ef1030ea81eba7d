"""The true scores of arms: the exact truth of their final prompts, averaged over simulated trials."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nullgrad.core.arms import SEED, parse_arm
from nullgrad.core.study import ArmPlan, Study
from nullgrad.edges.sim.space import Space
from nullgrad.edges.sim.truth_of_prompt import Truth
from nullgrad.edges.sim.vector import run_cell, space_of
from nullgrad.edges.sim.worlds import World
from nullgrad.errors import UserError

Population = Literal["population", "split"]


@dataclass(frozen=True, slots=True)
class ArmTruth:
    """The true score of an arm: the exact accuracy of its final prompts, averaged over simulated trials.

    Attributes:
        mean: over trials, a share.
        sd: between trials, of the exact accuracy (what repeats of the optimization vary by).
        error: standard error of `mean` (Monte Carlo); 0 for the seed.
        trials: how many.
        recalls: mean recall by label.
        balanced: mean balanced accuracy.
    """

    mean: float
    sd: float
    error: float
    trials: int
    recalls: dict[str, float]
    balanced: float


def final_truths(
    study: Study, world: World, *, trials: int = 1000, seed: int = 1, on: Population = "population"
) -> Mapping[str, list[Truth]]:
    """By canonical arm (the seed included), the exact truth of the final prompt of each of many simulated trials.

    Trials of one number share their draws over arms where the study is paired.

    Args:
        study: of one cell; its arms, steps, batches, design and task count, its own seed and trials do not.
        trials: to simulate.
        seed: of their draws, other than the study's own.
        on: `population` (all examples of this kind), or `split` (the study's own test examples with their difficulty,
            what a test over trials on one split is about).

    Raises:
        UserError: the study has more than one cell, or the executor cannot carry it out.
    """
    many, space = _many(study, world, trials, seed)
    cell = space.cell
    known: dict[str, Truth] = {}
    found: dict[str, list[Truth]] = {}
    for facts, prompt in run_cell(many, space, test=False):
        text = prompt.candidate.prompt
        if text not in known:
            known[text] = (
                world.truth(text)
                if on == "population"
                else world.split_truth(cell.task.view, text, cell.task.test)
            )
        found.setdefault(facts.arm, []).append(known[text])
    return found


def _many(study: Study, world: World, trials: int, seed: int) -> tuple[Study, Space]:
    """The study with other trials and another seed, and its space."""
    if len(study.cells) != 1:
        raise UserError(
            f"The study {study.name!r} has {len(study.cells)} cells.",
            "Its truth is by cell.",
            "Give a study of one cell.",
        )
    plan = tuple(ArmPlan(one.arm, trials) for one in study.arms if one.arm != SEED)
    many = dataclasses.replace(study, arms=plan, seed=seed, contrasts=(), curve=(), sequential=())
    return many, space_of(many.cells[0], world)


def true_curve(
    study: Study,
    world: World,
    *,
    trials: int = 200,
    seed: int = 1,
    on: Population | Literal["train"] = "population",
) -> Mapping[str, tuple[float, ...]]:
    """By canonical arm, the true accuracy of the current prompt before any step and after each, averaged over trials.

    `on` as in `final_truths`; with `train`, on the training examples themselves (with their difficulty).
    """
    many, space = _many(study, world, trials, seed)
    view, test = space.cell.task.view, space.cell.task.test
    known: dict[str, float] = {}

    def accuracy(text: str) -> float:
        if text not in known:
            if on == "population":
                known[text] = world.accuracy(text)
            else:
                known[text] = world.split_truth(view, text, test if on == "split" else view.train).accuracy
        return known[text]

    found: dict[str, list[list[float]]] = {}
    for facts, _ in run_cell(many, space, test=False):
        texts = [facts.texts[facts.steps[step].candidate].prompt for step in sorted(facts.steps)]
        found.setdefault(facts.arm, []).append([accuracy(text) for text in (view.seed_prompt, *texts)])
    return {
        arm: tuple(map(float, np.mean(rows, axis=0))) for arm, rows in found.items() if arm != SEED.canonical
    }


def true_means(
    study: Study, world: World, *, trials: int = 1000, seed: int = 1, on: Population = "population"
) -> Mapping[str, ArmTruth]:
    """By canonical arm (the seed included), its true score under the study's task, steps and batches; see `final_truths`."""
    return {
        arm: _arm_truth(truths)
        for arm, truths in final_truths(study, world, trials=trials, seed=seed, on=on).items()
    }


def _arm_truth(truths: list[Truth]) -> ArmTruth:
    scores = np.array([one.accuracy for one in truths])
    # Of equal scores the floating-point mean is another number, and the deviation would not be 0.
    sd = float(scores.std(ddof=1)) if np.ptp(scores) > 0 else 0.0
    labels = list(truths[0].recalls)
    return ArmTruth(
        float(scores.mean()),
        sd,
        sd / math.sqrt(len(scores)),
        len(scores),
        {label: float(np.mean([one.recalls[label] for one in truths])) for label in labels},
        float(np.mean([one.balanced for one in truths])),
    )


def true_difference(
    study: Study,
    world: World,
    first: str,
    second: str,
    *,
    trials: int = 1000,
    seed: int = 1,
    on: Population = "population",
) -> tuple[float, float]:
    """(true difference first − second as a share, its Monte-Carlo standard error over pairs of trials).

    Raises:
        UserError: an arm cannot be read or is none of the study's, or see `final_truths`.
    """
    found = final_truths(study, world, trials=trials, seed=seed, on=on)
    rows = []
    for arm in (parse_arm(first).canonical, parse_arm(second).canonical):
        if arm not in found:
            raise UserError(
                f"The study {study.name!r} has no arm {arm}.",
                "Its truth is unknown.",
                f"Known: {', '.join(found)}.",
            )
        rows.append(np.array([one.accuracy for one in found[arm]]))
    differences = rows[0] - rows[1]
    return float(differences.mean()), float(differences.std(ddof=1) / math.sqrt(len(differences)))

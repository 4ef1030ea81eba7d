"""Pieces of calibration that run in processes of their own: each a pure function of a value that can be pickled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nullgrad.analysis.audit.predictions import Predictions, audit_predictions
from nullgrad.analysis.calibration.battery import ARMS, Codes, battery, decide_all
from nullgrad.analysis.calibration.decomposition import Audited, TruthOfPair, pair_truth, planned_power
from nullgrad.core.arms import SEED, parse_arm
from nullgrad.core.draws import DrawPath
from nullgrad.core.study import Design, Study
from nullgrad.core.task import Example, Task
from nullgrad.edges.sim import World, parse_world, sim_study, sim_task, simulate_study
from nullgrad.edges.sim.messages import Batch
from nullgrad.edges.sim.signal import SHARPNESS, chances
from nullgrad.edges.sim.vocabulary import TOPICS

Floats = Any
"""An array of shares."""

TRAIN, VALIDATION, TEST = 30, 40, 100
"""Sizes of the battery's splits."""

STEPS, BATCH = 5, 3
"""Of its trials."""

AUDITED_ARM = "gradient/correct/best@3"
"""Whose final prompts the gain decomposition is tested on."""

AUDIT_VALIDATION, AUDIT_TEST = 300, 1_000
"""Fresh examples of each audit."""

AUDIT_RESAMPLES = 300
"""Bootstrap resamples of each audit."""


@lru_cache(maxsize=16)
def _task(name: str, train: int, validation: int, test: int, seed: int) -> Task:
    return sim_task(name, split={"train": train, "validation": validation, "test": test, "seed": seed})


def battery_study(
    world: World, *, seed: int, trials: int, design: Design = "paired", alpha: float = 0.05
) -> Study:
    """The battery in a world: one split for all studies, which differ in the seed of their draws."""
    return sim_study(
        world,
        ARMS,
        trials=trials,
        steps=STEPS,
        batch_size=BATCH,
        seed=seed,
        design=design,
        contrasts=battery(),
        alpha=alpha,
        task=_task(world.task_name, TRAIN, VALIDATION, TEST, 0),
    )


@dataclass(frozen=True, slots=True)
class StudyJob:
    """Studies of one world with these seeds, and the sizes that each is cut into."""

    world: str
    design: Design
    seeds: tuple[int, ...]
    sizes: tuple[int, ...]
    alpha: float


@dataclass(frozen=True, slots=True)
class Accuracies:
    """By canonical arm and trial: exact accuracy of the final prompt on the split, and its observed score."""

    exact: Mapping[str, Floats]
    observed: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class StudiesDone:
    """What a `StudyJob` found.

    Attributes:
        codes: of the verdicts by number of trials, shape (studies, contrasts).
        accuracies: of every trial.
    """

    codes: Mapping[int, Codes]
    accuracies: Accuracies


def run_studies(job: StudyJob) -> StudiesDone:
    """Simulate studies and take their verdicts.

    A study of 20 trials is also two of 10 and four of 5: trials differ in their draws alone, so that any of them make a
    study. Studies of one size are independent; those of different sizes are made of the same trials.
    """
    world = parse_world(job.world)
    found: dict[int, list[Codes]] = {size: [] for size in job.sizes}
    most = max(job.sizes)
    exact: dict[str, list[Floats]] = {}
    observed: dict[str, list[Floats]] = {}
    for seed in job.seeds:
        study = battery_study(world, seed=seed, trials=most, design=job.design, alpha=job.alpha)
        accuracies = trial_accuracies(study, world)
        for arm in accuracies.observed:
            exact.setdefault(arm, []).append(accuracies.exact[arm])
            observed.setdefault(arm, []).append(accuracies.observed[arm])
        for size in job.sizes:
            for start in range(0, most - size + 1, size):
                part = {arm: values[start : start + size] for arm, values in accuracies.observed.items()}
                found[size].append(decide_all(study, part))
    return StudiesDone(
        {size: np.array(codes, dtype=np.int8) for size, codes in found.items()},
        Accuracies(_joined(exact), _joined(observed)),
    )


def _joined(pieces: Mapping[str, Sequence[Floats]]) -> dict[str, Floats]:
    return {arm: np.concatenate(values) for arm, values in pieces.items()}


def joined(pieces: Sequence[Accuracies]) -> Accuracies:
    """All trials of several jobs, in their order."""
    arms = pieces[0].exact
    return Accuracies(
        {arm: np.concatenate([piece.exact[arm] for piece in pieces]) for arm in arms},
        {arm: np.concatenate([piece.observed[arm] for piece in pieces]) for arm in arms},
    )


def trial_accuracies(study: Study, world: World) -> Accuracies:
    """Carry a study out; arms in the order of the study after the seed prompt, trials in their order."""
    facts = simulate_study(study, world)
    cell, task = study.cells[0].name, study.cells[0].task
    exact: dict[str, Floats] = {}
    observed: dict[str, Floats] = {}
    for arm in (SEED, *(one.arm for one in study.arms)):
        own = [facts[cell, arm.canonical, number] for number in range(study.trials(arm))]
        prompts = [task.view.seed_prompt if one.final is None else one.final.prompt for one in own]
        exact[arm.canonical] = np.array([_exact(world, task, prompt) for prompt in prompts])
        observed[arm.canonical] = np.array([np.mean(one.row) for one in own])  # type: ignore[arg-type]
    return Accuracies(exact, observed)


_EXACT: dict[tuple[World, str, str], float] = {}


def _exact(world: World, task: Task, prompt: str) -> float:
    """Exact accuracy on the test split, given the examples' difficulty: what repeated draws average to."""
    key = world, task.digest, prompt
    if key not in _EXACT:
        if len(_EXACT) > 100_000:
            _EXACT.clear()
        _EXACT[key] = world.split_truth(task.view, prompt, task.test).accuracy
    return _EXACT[key]


@dataclass(frozen=True, slots=True)
class AuditJob:
    """Audits of the final prompts of one arm, a trial for each seed, each on fresh examples of its own."""

    world: str
    seeds: tuple[int, ...]
    margin: float


def run_audits(job: AuditJob) -> list[Audited]:
    """Verdict of the gain decomposition, seed prompt against final prompt, with the truth of the pair."""
    world = parse_world(job.world)
    return [_audited(world, seed, job.margin) for seed in job.seeds]


def _audited(world: World, seed: int, margin: float) -> Audited:
    task = _task(world.task_name, TRAIN, VALIDATION, TEST, 0)
    study = sim_study(world, [AUDITED_ARM], trials=1, steps=STEPS, batch_size=BATCH, seed=seed, task=task)
    final = simulate_study(study, world)[study.cells[0].name, parse_arm(AUDITED_ARM).canonical, 0].final
    assert final is not None
    before, after = task.view.seed_prompt, final.prompt
    fresh = sim_task(
        world.task_name,
        split={"train": 2, "validation": AUDIT_VALIDATION, "test": AUDIT_TEST, "seed": seed},
    )
    draws = DrawPath(study.seed, 0)

    def answered(split: str, examples: Sequence[Example]) -> Predictions:
        path = [draws.forward(split, one.id) for one in examples]
        scores = [world.log_probabilities(fresh.view, prompt, examples, path) for prompt in (before, after)]
        answers = [[world.labels[place] for place in one.argmax(axis=1)] for one in scores]
        return Predictions([one.target for one in examples], *answers, *scores)

    test = answered("test", fresh.test)
    audit = audit_predictions(
        test.y_true,
        test.before,
        test.after,
        labels=world.labels,
        validation=answered("validation", fresh.view.validation),
        before_scores=test.before_scores,
        after_scores=test.after_scores,
        lacking="cross-fit",
        margin=margin,
        resamples=AUDIT_RESAMPLES,
        seed=seed,
    )
    truth, parts = truth_of_pair(world, before, after), audit.decomposition
    assert parts.accuracy.interval is not None and parts.biased is not None
    # The interval is about the thresholds that were fitted; better information has to beat the best ones as well.
    benchmark = (
        best_shifted(world, before)
        if truth.informs
        else shifted(world, before, tuple(one / SHARPNESS for one in parts.biased.biases[0]))
    )
    gap = world.accuracy(after) - benchmark
    widths = (parts.accuracy.interval, parts.biased.after_above.interval)
    return Audited(truth, audit.verdict, planned_power(truth, gap, widths, margin))


def shifted(world: World, prompt: str, biases: Sequence[float]) -> float:
    """Exact accuracy of a prompt with one more bias for each label, in units of score, on the population."""
    batch = Batch.population(world.size)
    weights = np.array(world.prior)[batch.labels] / len(TOPICS)
    chance = chances(world.scores(world.effect(prompt), batch) + np.array(biases), 1.0)
    return float(weights @ chance[np.arange(len(batch)), batch.labels])


@lru_cache(maxsize=64)
def best_shifted(world: World, prompt: str) -> float:
    """`shifted` at its best biases."""
    from scipy.optimize import minimize

    def lost(biases: Floats) -> float:
        return -shifted(world, prompt, (0.0, *biases))

    starts = [np.full(world.size - 1, start) for start in (-1.5, 0.0, 1.5)]
    return max(-float(minimize(lost, start, method="Nelder-Mead").fun) for start in starts)


def truth_of_pair(world: World, before: str, after: str) -> TruthOfPair:
    """Exact, on the population."""
    one, two = world.truth(before), world.truth(after)
    first, second = world.effect(before), world.effect(after)
    return pair_truth(
        (one.accuracy, one.recalls, one.rates),
        (two.accuracy, two.recalls, two.rates),
        one.prior,
        informs=first.evidence != second.evidence,
        shifts=first.bias != second.bias,
    )

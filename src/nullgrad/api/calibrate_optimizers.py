"""Optimizers behind one small port, and their runs in the world where no prompt has any effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from nullgrad.analysis.calibration.phantom import PhantomRun
from nullgrad.core.draws import DrawPath
from nullgrad.core.task import Example, Task
from nullgrad.edges.sim import World, parse_world, sim_study, sim_task, simulate_study

TRAIN, FRESH = 30, 500
"""Examples to learn from, and fresh ones, of a run of the A/A test."""

BATCH = 3
"""Training examples of an update step."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an optimizer hands back.

    Attributes:
        prompt: the best prompt it found.
        gain: over the seed prompt, on the examples that it selected on; a share.
        candidates: new prompts that it scored, or chose among.
    """

    prompt: str
    gain: float
    candidates: int


class Optimizer(Protocol):
    """An optimizer as users run it: the port by which any is put to the A/A test.

    Attributes:
        name: as the user writes it.
    """

    name: str

    def run(
        self,
        seed_prompt: str,
        train: Sequence[Example],
        validation: Sequence[Example],
        budget: int,
        seed: int,
    ) -> Claim:
        """Optimize once.

        Args:
            seed_prompt: to begin from.
            train, validation: examples to learn from and to select on.
            budget: in the optimizer's own unit; for nullgrad's arms update steps.
            seed: of the run.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArmOptimizer:
    """One of nullgrad's arms, through the vectorized executor.

    Attributes:
        name: canonical arm.
        world: who answers.
        task: whose words and layout are used.
    """

    name: str
    world: World
    task: Task

    def run(
        self,
        seed_prompt: str,
        train: Sequence[Example],
        validation: Sequence[Example],
        budget: int,
        seed: int,
    ) -> Claim:
        """One trial; the claim is the validation mean of the final prompt minus the seed prompt's, by the same draws."""
        view = replace(
            self.task.view, seed_prompt=seed_prompt, train=tuple(train), validation=tuple(validation)
        )
        task = replace(self.task, view=view)
        study = sim_study(
            self.world, [self.name], trials=1, steps=budget, batch_size=BATCH, seed=seed, task=task
        )
        trial = simulate_study(study, self.world)[study.cells[0].name, self.name, 0]
        assert trial.final is not None
        draws = [DrawPath(seed, 0).forward("validation", one.id) for one in validation]
        first, last = (
            accuracy(self.world, task, prompt, validation, draws)
            for prompt in (seed_prompt, trial.final.prompt)
        )
        proposed = sum(len(step.proposed) for step in trial.steps.values())
        return Claim(trial.final.prompt, last - first, proposed)


def accuracy(
    world: World, task: Task, prompt: str, examples: Sequence[Example], draws: Sequence[int]
) -> float:
    """Share of right answers of a prompt in these draws."""
    answers = world.answers(task.view, prompt, examples, draws)
    return float(np.mean([answer == one.target for answer, one in zip(answers, examples, strict=True)]))


@dataclass(frozen=True, slots=True)
class PhantomJob:
    """Runs of an arm under one condition, of these numbers."""

    arm: str
    world: str
    validation: int
    budget: int
    runs: tuple[int, ...]
    seed: int


def run_phantom(job: PhantomJob) -> list[PhantomRun]:
    """Runs of one of nullgrad's arms."""
    world = parse_world(job.world)
    return [
        phantom_run(lambda task: ArmOptimizer(job.arm, world, task), world, job, number)
        for number in job.runs
    ]


def phantom_run(make: Callable[[Task], Optimizer], world: World, job: PhantomJob, number: int) -> PhantomRun:
    """One run: a task of its own, the claim, and the same prompt on fresh examples in fresh draws.

    Args:
        make: from the task to the `Optimizer`.
        world: who answers.
        job: the condition.
        number: of the run.
    """
    seed = job.seed + number
    task = sim_task(
        world.task_name,
        split={"train": TRAIN, "validation": job.validation, "test": FRESH, "seed": seed},
    )
    view = task.view
    optimizer: Optimizer = make(task)
    claim = optimizer.run(view.seed_prompt, view.train, view.validation, job.budget, seed)
    draws = [DrawPath(seed, 0).forward("test", one.id) for one in task.test]
    before, after = (
        accuracy(world, task, prompt, task.test, draws) for prompt in (view.seed_prompt, claim.prompt)
    )
    return PhantomRun(claim.gain, after - before, claim.candidates)

"""Third-party optimizers behind the port of the A/A test: run as users run them, in the world where nothing helps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nullgrad.analysis.calibration.phantom import PhantomRun
from nullgrad.api.calibrate_optimizers import Claim, PhantomJob, phantom_run
from nullgrad.api.foreign import ForeignOptimization
from nullgrad.core.draws import DrawPath
from nullgrad.core.foreign import ForeignResult, foreign_draw
from nullgrad.core.foreign_budget import Allowance
from nullgrad.core.foreign_job import parse_foreign_arm
from nullgrad.core.task import Example, Task
from nullgrad.edges.memory import MemoryLedger
from nullgrad.edges.optimizers import KNOWN, adapter_of, interpreter
from nullgrad.edges.optimizers.installed import installed_version
from nullgrad.edges.sim import SimModel, World, parse_world
from nullgrad.errors import UserError

EACH = "calls per validation example"

BUDGETS = "20x"
"""Calls of a run for each validation example: what GEPA's documentation advises."""

FOREIGN_RUNS = 12
"""Runs under each condition: each is a process of its own."""

IN_FLIGHT = 8
"""Calls that an optimizer keeps in flight."""


@dataclass(frozen=True, slots=True)
class ForeignOptimizer:
    """A third-party optimizer, unchanged, in a process of its own behind a gateway.

    Attributes:
        name: `optimizer/feedback/selection`.
        world: who answers, as the task's model and as the optimizer's.
        task: whose words and layout are used.
        python: the interpreter that has the package.
        settings: handed to the library as they are.
    """

    name: str
    world: World
    task: Task
    python: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self,
        seed_prompt: str,
        train: Sequence[Example],
        validation: Sequence[Example],
        budget: int,
        seed: int,
    ) -> Claim:
        """One run of at most `budget` calls; the claim is the library's own.

        Raises:
            UserError: the package is missing or has changed, or the run had no result.
        """
        view = replace(
            self.task.view, seed_prompt=seed_prompt, train=tuple(train), validation=tuple(validation)
        )
        task = replace(self.task, view=view)
        optimization = ForeignOptimization(
            task,
            self.name,
            model=SimModel(self.world),
            budget=Allowance(calls=budget),
            seed=seed,
            settings=self.settings,
            concurrency=IN_FLIGHT,
            python=self.python,
        )
        result = asyncio.run(optimization.run(ledger=MemoryLedger()))
        if result.candidate is None:
            raise UserError(
                f"A run of {self.name} with {budget} calls and {len(validation)} validation examples had no result: "
                f"{result.reason}",
                "The A/A test stopped.",
                "Give a larger budget.",
            )
        tried = {one.candidate.prompt for one in result.candidates} - {seed_prompt}
        gain = claimed_gain(self.world, task, result, DrawPath(seed, 0))
        return Claim(result.candidate.prompt, gain, len(tried))


def claimed_gain(world: World, task: Task, result: ForeignResult, draws: DrawPath) -> float:
    """What a run claims over the seed prompt on the examples that it selects on; a share.

    Both scores are the library's own where it reports them. Else they are the prompt's on all validation examples in
    the draws of a first request, which is what the library was answered.
    """
    seed_prompt = task.view.seed_prompt
    own = next((one.score for one in result.candidates if one.candidate.prompt == seed_prompt), None)
    draw = foreign_draw(draws, "generator", None, 0)

    def score(prompt: str) -> float:
        right = rights(world, task, prompt, task.view.validation, [draw] * len(task.view.validation))
        return sum(right) / len(right)

    assert result.candidate is not None
    best = result.claimed
    return (score(result.candidate.prompt) if best is None else best) - (
        score(seed_prompt) if own is None else own
    )


def rights(
    world: World, task: Task, prompt: str, examples: Sequence[Example], draws: Sequence[int]
) -> list[bool]:
    """Whether a prompt answers each example rightly in these draws."""
    answers = world.answers(task.view, prompt, examples, draws)
    return [answer == one.target for answer, one in zip(answers, examples, strict=True)]


@dataclass(frozen=True, slots=True)
class ForeignPhantomJob(PhantomJob):
    """Runs of a third-party optimizer under one condition.

    Attributes:
        arm: canonical form.
        budget: in calls.
        python: the interpreter that has the package.
        package: with its release.
    """

    python: str = ""
    package: str = ""


def run_foreign_phantom(job: ForeignPhantomJob) -> list[PhantomRun]:
    """Runs of a third-party optimizer, one after the other."""
    world = parse_world(job.world)
    return [
        phantom_run(lambda task: ForeignOptimizer(job.arm, world, task, job.python), world, job, number)
        for number in job.runs
    ]


def is_foreign(text: str) -> bool:
    """Whether an optimizer is a third party's."""
    return text.partition("/")[0] in KNOWN


def foreign_arm(text: str) -> tuple[str, bool]:
    """Canonical form of a third-party optimizer, and whether it selects at all.

    Raises:
        UserError: there is no such optimizer or arm.
    """
    arm = parse_foreign_arm(text)
    return arm.canonical, "selection" in adapter_of(arm.optimizer).channels


def usable(arm: str, python: str | None) -> tuple[str, str]:
    """The interpreter that runs an optimizer, and its package with the release that is installed there.

    Raises:
        UserError: it is not installed.
    """
    adapter, named = adapter_of(parse_foreign_arm(arm).optimizer), python or interpreter()
    version = installed_version(adapter, named)
    if not version:
        raise UserError(
            f"The package of the optimizer {adapter.name} is not installed for {named}.",
            "Nothing was run.",
            f"{adapter.install(named)}  (or set NULLGRAD_OPTIMIZERS_PYTHON to an interpreter that has it)",
        )
    return named, f"{adapter.package.partition('[')[0]} {version}"


def parse_budgets(text: str) -> tuple[str, tuple[int, ...]]:
    """(unit, numbers) of `1000,2000` (calls), or of `10x,20x` (calls per validation example).

    Raises:
        UserError: a part is no whole number, or both kinds are there.
    """
    parts = [part.strip() for part in text.split(",")]
    each = [part.endswith("x") for part in parts]
    numbers = [part.removesuffix("x") for part in parts]
    if any(each) != all(each) or not all(number.isascii() and number.isdigit() for number in numbers):
        raise UserError(
            f"--budget is {text!r}.",
            "Nothing was run.",
            "Give calls, such as 1000,4000, or calls per validation example, such as 10x,20x.",
        )
    unit = EACH if all(each) else "calls"
    return unit, tuple(int(number) for number in numbers)

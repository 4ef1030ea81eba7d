"""The A/A test of optimizers: what one claims in the world where no prompt has any effect."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nullgrad.analysis.calibration.phantom import PhantomResult, PhantomRun, advise, phantom_row
from nullgrad.api.calibrate_foreign import (
    BUDGETS,
    EACH,
    FOREIGN_RUNS,
    ForeignPhantomJob,
    foreign_arm,
    is_foreign,
    parse_budgets,
    run_foreign_phantom,
    usable,
)
from nullgrad.api.calibrate_keep import Kept
from nullgrad.api.calibrate_optimizers import FRESH, Optimizer, PhantomJob, phantom_run, run_phantom
from nullgrad.api.calibrate_pool import NOTHING, Progress, check_seed, in_processes, pieces, seed_of
from nullgrad.core.arms import UPDATES, parse_arm
from nullgrad.edges.optimizers import KNOWN
from nullgrad.edges.sim import parse_world
from nullgrad.errors import UserError
from nullgrad.version import __version__

STEPS, RUNS = (1, 5, 10), 200
"""Update steps of nullgrad's arms, and runs under each condition."""


def calibrate_optimizer(
    optimizer: str | Callable[[Any], Optimizer],
    *,
    validation: Sequence[int] = (50, 100, 200),
    rho: Sequence[float] = (0.0, 0.5, 0.9),
    budgets: Sequence[int] | str | None = None,
    runs: int | None = None,
    size: float = 0.01,
    seed: int = 0,
    name: str = "",
    processes: int | None = None,
    progress: Progress | None = None,
    python: str | None = None,
    keep: Path | None = None,
) -> PhantomResult:
    """The A/A test: what an optimizer claims in the world `null`, where no prompt has any effect.

    Args:
        optimizer: one of nullgrad's arms, such as `gradient/correct/validated@3`; a third-party optimizer, such as `gepa`;
            or a function from the run's task to an `Optimizer`, which is then run in this process.
        validation: numbers of examples to select on.
        rho: correlations of the answers of different prompts to one example, 0 (the worst case) to 1.
        budgets: update steps of an arm, (1, 5, 10) if None; of a third-party optimizer calls, or as a text with an x
            calls for each validation example, "20x" if None; else whatever the optimizer counts.
        runs: under each condition, each with a task and draws of its own; None for 200, of a third-party optimizer 12.
        size: that the phantom gain is to stay under, a share.
        seed: of the runs.
        name: of an `Optimizer` that is given as a function.
        processes: at a time, None for as many as there are cores.
        progress: told of every piece.
        python: the interpreter that has a third party's package; None takes NULLGRAD_OPTIMIZERS_PYTHON, else our own.
        keep: a file in which finished runs of a third-party optimizer are kept, and from which the same test goes on.

    Raises:
        UserError: there is no such optimizer, a number is out of its range, or a run had no result.
    """
    check_seed(seed)
    foreign = isinstance(optimizer, str) and is_foreign(optimizer)
    unit: str = "steps"
    amounts: tuple[int, ...] = STEPS
    if foreign and (budgets is None or isinstance(budgets, str)):
        unit, amounts = parse_budgets(budgets or BUDGETS)
    elif isinstance(budgets, str):
        raise UserError(
            f"{optimizer} counts update steps.",
            NOTHING,
            "Give numbers of steps; calls are a third party's budget.",
        )
    elif budgets is not None:
        unit, amounts = "calls" if foreign else "steps", tuple(budgets)
    count = runs if runs is not None else FOREIGN_RUNS if foreign else RUNS
    _check_numbers(validation, rho, amounts, count, size, "--budget" if foreign else "--steps")
    conditions = [
        (correlation, examples, budget)
        for correlation in sorted(set(rho))
        for examples in sorted(set(validation))
        for budget in sorted(set(amounts))
    ]
    selects, package = True, ""
    if not isinstance(optimizer, str):
        arm, make = name or "optimizer", optimizer

        def here(job: PhantomJob) -> list[PhantomRun]:
            return [phantom_run(make, parse_world(job.world), job, number) for number in job.runs]

        jobs = _jobs("", conditions, count, seed)
        done = list(in_processes(here, jobs, 1, progress, _said))
    elif foreign:
        arm, selects = foreign_arm(optimizer)
        named, package = usable(arm, python)
        asked = [
            _alone(job, number, unit, named, package)
            for job in _jobs(arm, conditions, count, seed)
            for number in job.runs
        ]
        done = _kept(asked, keep, processes, progress)
    else:
        found = _arm(optimizer)
        arm, selects = found.canonical, found.validates
        jobs = _jobs(arm, conditions, count, seed)
        done = list(in_processes(run_phantom, jobs, processes, progress, _said))
    every = [run for piece in done for run in piece]
    rows = [
        phantom_row(examples, correlation, budget, every[place * count : (place + 1) * count])
        for place, (correlation, examples, budget) in enumerate(conditions)
    ]
    return PhantomResult(
        arm,
        "sim:null",
        __version__,
        tuple(rows),
        size,
        advise(rows, size),
        FRESH,
        seed,
        selects,
        unit,
        package,
    )


def _jobs(arm: str, conditions: Sequence[tuple[float, int, int]], runs: int, seed: int) -> list[PhantomJob]:
    """Pieces of the runs of every condition, in their order."""
    return [
        PhantomJob(
            arm,
            parse_world(f"sim:null?rho={rho:g}").spec,
            examples,
            budget,
            tuple(piece),
            seed_of(seed, 3, 0),
        )
        for rho, examples, budget in conditions
        for piece in pieces(range(runs))
    ]


def _said(job: PhantomJob) -> str:
    return f"{job.world}: runs"


def _alone(job: PhantomJob, number: int, unit: str, python: str, package: str) -> ForeignPhantomJob:
    """One run as a piece of its own, its budget in calls."""
    calls = job.budget * (job.validation if unit == EACH else 1)
    return ForeignPhantomJob(job.arm, job.world, job.validation, calls, (number,), job.seed, python, package)


def _kept(
    jobs: Sequence[ForeignPhantomJob], file: Path | None, processes: int | None, progress: Progress | None
) -> list[list[PhantomRun]]:
    """Results in the order of the jobs; those that a file holds are not run again."""
    kept = Kept(file)
    left = [job for job in jobs if kept.find(job) is None]
    done = in_processes(run_foreign_phantom, left, processes, progress, _said)
    for job, runs in zip(left, done, strict=True):
        kept.add(job, runs)
    return [kept.get(job) for job in jobs]


def _arm(text: str) -> Any:
    """The arm, or one clear line about what is none."""
    if text.partition("/")[0] in UPDATES:
        found = parse_arm(text)
        if found.update == "seed":
            raise UserError("The seed prompt is no optimizer.", NOTHING, f"Give an arm such as {EXAMPLE}.")
        if found.critic:
            raise UserError(
                f"The arm {text!r} has a critic, which the simulated runs of calibrate do not play.",
                NOTHING,
                f"Give an arm without one, such as {EXAMPLE}.",
            )
        return found
    near = difflib.get_close_matches(text.partition("/")[0], (*UPDATES, *KNOWN), 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise UserError(
        f"{text!r} is no optimizer that calibrate knows.",
        NOTHING,
        f"{hint}Give one of nullgrad's arms, such as {EXAMPLE}, a third-party optimizer, such as gepa, or --self.",
    )


EXAMPLE = "gradient/correct/validated@3"


def _check_numbers(
    validation: Sequence[int],
    rho: Sequence[float],
    budgets: Sequence[int],
    runs: int,
    size: float,
    option: str,
) -> None:
    for name, values, least in (
        ("--validation", validation, 2),
        (option, budgets, 1),
        ("--runs", (runs,), 2),
    ):
        bad = [value for value in values if value < least]
        if bad or not values:
            said = f"{name} is {bad[0]}." if bad else f"{name} is empty."
            raise UserError(said, NOTHING, f"Give {least} or more.")
    for value in rho:
        if not 0 <= value <= 1:
            raise UserError(f"--rho is {value:g}.", NOTHING, "Give correlations between 0 and 1.")
    if not rho:
        raise UserError("--rho is empty.", NOTHING, "Give correlations between 0 and 1.")
    if not 0 < size < 1:
        raise UserError(
            f"--size is {100 * size:g} points.",
            NOTHING,
            "Give more than 0 and less than 100 points, such as 1.",
        )

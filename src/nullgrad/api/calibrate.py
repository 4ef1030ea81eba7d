"""The instrument's own test in worlds of known truth, and the A/A test of optimizers."""

from __future__ import annotations

import difflib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from nullgrad.analysis.calibration import TrueDifference, WorldRates, true_difference, world_rates
from nullgrad.analysis.calibration_battery import MARGIN, Codes
from nullgrad.analysis.calibration_decomposition import (
    DecompositionRates,
    decomposition_rates,
)
from nullgrad.analysis.calibration_phantom import (
    PhantomResult,
    PhantomRow,
    PhantomRun,
    advise,
    phantom_row,
)
from nullgrad.analysis.calibration_result import SelfCalibration
from nullgrad.analysis.estimate import Design
from nullgrad.api.calibrate_optimizers import (
    FRESH,
    Claim,
    Optimizer,
    PhantomJob,
    phantom_run,
    run_phantom,
)
from nullgrad.api.calibrate_work import (
    AUDIT_TEST,
    AUDIT_VALIDATION,
    BATCH,
    STEPS,
    TEST,
    TRAIN,
    VALIDATION,
    Accuracies,
    AuditJob,
    StudyJob,
    battery_study,
    joined,
    run_audits,
    run_studies,
)
from nullgrad.core.arms import UPDATES, parse_arm
from nullgrad.core.study import Study
from nullgrad.edges.sim import WORLDS, parse_world
from nullgrad.errors import UserError
from nullgrad.version import __version__

Size = Literal["ci", "nightly"]

Progress = Callable[[int, int, str], None]
"""Told (pieces done, all pieces, what is being done)."""

T = TypeVar("T")
J = TypeVar("J")

_NOTHING = "Nothing was run."


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much a self-calibration simulates.

    Attributes:
        studies: of each world and design at the largest number of trials; at smaller ones as many more as these trials make.
        trials: of a study: of the largest; smaller ones are cut out of it.
        audits: of each world.
    """

    studies: int
    trials: tuple[int, ...]
    audits: int


AMOUNTS: dict[Size, Amounts] = {
    "ci": Amounts(60, (5, 10), 40),
    "nightly": Amounts(300, (5, 10, 20), 300),
}

DESIGNS: tuple[Design, ...] = ("paired", "independent")
"""Both, for each has intervals of its own."""

PIECE = 10
"""Studies or audits that one process does at a time."""


def calibrate_self(
    size: Size = "ci",
    *,
    studies: int | None = None,
    alpha: float = 0.05,
    worlds: Sequence[str] = WORLDS,
    designs: Sequence[Design] = DESIGNS,
    trials: Sequence[int] | None = None,
    audits: int | None = None,
    seed: int = 0,
    processes: int | None = None,
    progress: Progress | None = None,
) -> SelfCalibration:
    """Simulate studies in every world and count right and wrong verdicts; the same table for the same arguments.

    Args:
        size: `ci` or `nightly`.
        studies: of each world at the largest number of trials, None for the size's own.
        alpha: of each family of contrasts, in its declared direction.
        worlds: as a model is written, with or without `sim:`.
        designs: of the draws.
        trials: of the studies, None for the size's own.
        audits: of each world, None for the size's own.
        seed: of everything.
        processes: at a time, None for as many as there are cores.
        progress: told of every piece.

    Raises:
        UserError: there is no such world, or a number is out of its range.
    """
    amounts = AMOUNTS[size]
    count = amounts.studies if studies is None else studies
    audited = amounts.audits if audits is None else audits
    if count < 2:
        raise UserError(f"--studies is {count}.", _NOTHING, "Give 2 or more.")
    if not 0 < alpha < 0.5:
        raise UserError(
            f"--alpha is {alpha:g}.", _NOTHING, "Give more than 0 and less than 0.5, such as 0.05."
        )
    ordered = tuple(sorted(set(amounts.trials if trials is None else trials)))
    if not ordered or ordered[0] < 2:
        raise UserError("A study needs 2 trials or more.", _NOTHING, "Give --trials 5,10,20.")
    _check_seed(seed)
    specs = list(dict.fromkeys(parse_world(name).spec for name in worlds))
    jobs: list[Any] = []
    for spec in specs:
        seeds = [_seed(seed, 2, number) for number in range(count)]
        jobs += [
            StudyJob(spec, design, tuple(piece), ordered, alpha)
            for design in designs
            for piece in _pieces(seeds)
        ]
        jobs += [
            AuditJob(spec, tuple(piece), MARGIN)
            for piece in _pieces([_seed(seed, 1, number) for number in range(audited)])
        ]
    done = list(_in_processes(_work, jobs, processes, progress))
    found = list(zip(jobs, done, strict=True))
    rates: list[WorldRates] = []
    decomposition: list[DecompositionRates] = []
    for spec in specs:
        world = parse_world(spec)
        done_of = {
            design: [
                value
                for job, value in found
                if isinstance(job, StudyJob) and (job.world, job.design) == (spec, design)
            ]
            for design in designs
        }
        accuracies = joined([value.accuracies for values in done_of.values() for value in values])
        for design in designs:
            study = battery_study(world, seed=seed, trials=ordered[-1], design=design, alpha=alpha)
            truths = _truths(study, accuracies, joined([value.accuracies for value in done_of[design]]))
            for number in ordered:
                codes: Codes = np.concatenate([value.codes[number] for value in done_of[design]])
                rates.append(world_rates(_label(spec), study, number, codes, truths))
        every = [
            one for job, value in found if isinstance(job, AuditJob) and job.world == spec for one in value
        ]
        if every:
            decomposition.append(
                decomposition_rates(_label(spec), AUDIT_VALIDATION, AUDIT_TEST, every, MARGIN)
            )
    return SelfCalibration(
        __version__,
        size,
        tuple((_label(spec), spec) for spec in specs),
        alpha,
        tuple(designs),
        ordered,
        count,
        count * ordered[-1] * len(designs),
        STEPS,
        BATCH,
        (TRAIN, VALIDATION, TEST),
        MARGIN,
        tuple(rates),
        tuple(decomposition),
        seed,
    )


def _label(spec: str) -> str:
    """A world in tables: its name, with the dials that are set."""
    return spec.removeprefix("sim:")


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise UserError(f"--seed is {seed}.", _NOTHING, "Give 0 or more.")


def _seed(seed: int, part: int, number: int) -> int:
    """Seeds of audits (1), studies (2) and runs (3), apart whatever the user's seed is."""
    return (seed * 4 + part) * 10_000_000 + number


def _truths(study: Study, every: Accuracies, own: Accuracies) -> dict[str, TrueDifference]:
    """The true difference from the trials of every design, what power depends on from those of its own."""
    found = {}
    for spec in study.contrasts:
        one, two = (arm.canonical for arm in spec.arms)
        found[spec.name] = true_difference(
            every.exact[one], every.exact[two], own.observed[one], own.observed[two]
        )
    return found


def _pieces(values: Sequence[T]) -> list[Sequence[T]]:
    return [values[start : start + PIECE] for start in range(0, len(values), PIECE)]


def _work(job: Any) -> Any:
    return run_studies(job) if isinstance(job, StudyJob) else run_audits(job)


def _said(job: Any) -> str:
    what = {StudyJob: "studies", AuditJob: "audits", PhantomJob: "runs"}[type(job)]
    return f"{job.world}: {what}"


def _in_processes(
    work: Callable[[J], T], jobs: Sequence[J], processes: int | None, progress: Progress | None
) -> Iterator[T]:
    """Results in the order of the jobs."""
    count = processes if processes is not None else os.cpu_count() or 1

    def told(number: int) -> None:
        if progress is not None:
            progress(number, len(jobs), _said(jobs[min(number, len(jobs) - 1)]))

    told(0)
    if count <= 1 or len(jobs) <= 1:
        for number, job in enumerate(jobs, 1):
            yield work(job)
            told(number)
        return
    # Spawned, so that no thread or lock of the parent is copied, on every platform.
    pool = ProcessPoolExecutor(
        min(count, len(jobs)), mp_context=multiprocessing.get_context("spawn"), initializer=_left_alone
    )
    try:
        for number, value in enumerate(pool.map(work, jobs), 1):
            yield value
            told(number)
    finally:
        pool.shutdown(cancel_futures=True)


def _left_alone() -> None:
    """Ctrl-C is the parent's, which ends the pool; a worker would print a traceback of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def calibrate_optimizer(
    optimizer: str | Callable[[Any], Optimizer],
    *,
    validation: Sequence[int] = (50, 100, 200),
    rho: Sequence[float] = (0.0, 0.5, 0.9),
    budgets: Sequence[int] = (1, 5, 10),
    runs: int = 200,
    size: float = 0.01,
    seed: int = 0,
    name: str = "",
    processes: int | None = None,
    progress: Progress | None = None,
) -> PhantomResult:
    """The A/A test: what an optimizer claims in the world `null`, where no prompt has any effect.

    Args:
        optimizer: one of nullgrad's arms, such as `gradient/correct/validated@3`; or a function from the run's task to
            an `Optimizer`, which is then run in this process.
        validation: numbers of examples to select on.
        rho: correlations of the answers of different prompts to one example, 0 (the worst case) to 1.
        budgets: update steps of an arm; else whatever the optimizer counts.
        runs: under each condition, each with a task and draws of its own.
        size: that the phantom gain is to stay under, a share.
        seed: of the runs.
        name: of an `Optimizer` that is given as a function.
        processes: at a time, None for as many as there are cores.
        progress: told of every piece.

    Raises:
        UserError: there is no such optimizer, or a number is out of its range.
    """
    _check_seed(seed)
    _check_numbers(validation, rho, budgets, runs, size)
    selects = True
    jobs: list[PhantomJob] = []
    arm = ""
    if isinstance(optimizer, str):
        found = _arm(optimizer)
        arm, selects = found.canonical, found.validates
    conditions = [
        (correlation, examples, budget)
        for correlation in sorted(set(rho))
        for examples in sorted(set(validation))
        for budget in sorted(set(budgets))
    ]
    for correlation, examples, budget in conditions:
        world = parse_world(f"sim:null?rho={correlation:g}").spec
        jobs += [
            PhantomJob(arm, world, examples, budget, tuple(piece), _seed(seed, 3, 0))
            for piece in _pieces(range(runs))
        ]
    if isinstance(optimizer, str):
        done = list(_in_processes(run_phantom, jobs, processes, progress))
    else:
        make = optimizer

        def here(job: PhantomJob) -> list[PhantomRun]:
            return [phantom_run(make, parse_world(job.world), job, number) for number in job.runs]

        done = list(_in_processes(here, jobs, 1, progress))
    rows: list[PhantomRow] = []
    each = len(_pieces(range(runs)))
    for place, (correlation, examples, budget) in enumerate(conditions):
        own = [run for piece in done[place * each : (place + 1) * each] for run in piece]
        rows.append(phantom_row(examples, correlation, budget, own))
    return PhantomResult(
        arm or name or "optimizer",
        "sim:null",
        __version__,
        tuple(rows),
        size,
        advise(rows, size),
        FRESH,
        seed,
        selects,
    )


def _arm(text: str) -> Any:
    """The arm, or one clear line about what is none."""
    if text.partition("/")[0] in UPDATES:
        found = parse_arm(text)
        if found.update == "seed":
            raise UserError("The seed prompt is no optimizer.", _NOTHING, f"Give an arm such as {EXAMPLE}.")
        if found.critic:
            raise UserError(
                f"The arm {text!r} has a critic, which the simulated runs of calibrate do not play.",
                _NOTHING,
                f"Give an arm without one, such as {EXAMPLE}.",
            )
        return found
    near = difflib.get_close_matches(text.partition("/")[0], UPDATES, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise UserError(
        f"{text!r} is no optimizer that calibrate knows.",
        _NOTHING,
        f"{hint}Give one of nullgrad's arms, such as {EXAMPLE}, or --self.",
    )


EXAMPLE = "gradient/correct/validated@3"


def _check_numbers(
    validation: Sequence[int], rho: Sequence[float], budgets: Sequence[int], runs: int, size: float
) -> None:
    for name, values, least in (
        ("--validation", validation, 2),
        ("--steps", budgets, 1),
        ("--runs", (runs,), 2),
    ):
        bad = [value for value in values if value < least]
        if bad or not values:
            said = f"{name} is {bad[0]}." if bad else f"{name} is empty."
            raise UserError(said, _NOTHING, f"Give {least} or more.")
    for value in rho:
        if not 0 <= value <= 1:
            raise UserError(f"--rho is {value:g}.", _NOTHING, "Give correlations between 0 and 1.")
    if not rho:
        raise UserError("--rho is empty.", _NOTHING, "Give correlations between 0 and 1.")
    if not 0 < size < 1:
        raise UserError(
            f"--size is {100 * size:g} points.",
            _NOTHING,
            "Give more than 0 and less than 100 points, such as 1.",
        )


__all__ = [
    "AMOUNTS",
    "Claim",
    "Optimizer",
    "PhantomResult",
    "SelfCalibration",
    "calibrate_optimizer",
    "calibrate_self",
]

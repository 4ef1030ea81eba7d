"""The instrument's own test in worlds of known truth, and the A/A test of optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nullgrad.analysis.calibration.battery import MARGIN, Codes
from nullgrad.analysis.calibration.decomposition import (
    DecompositionRates,
    decomposition_rates,
)
from nullgrad.analysis.calibration.phantom import PhantomResult
from nullgrad.analysis.calibration.rates import TrueDifference, WorldRates, true_difference, world_rates
from nullgrad.analysis.calibration.result import SelfCalibration
from nullgrad.analysis.stats.estimate import Design
from nullgrad.api.calibrate_optimizers import Claim, Optimizer
from nullgrad.api.calibrate_phantom import calibrate_optimizer
from nullgrad.api.calibrate_pool import NOTHING, Progress, check_seed, in_processes, pieces, seed_of
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
from nullgrad.core.study import Study
from nullgrad.edges.sim import WORLDS, parse_world
from nullgrad.errors import UserError
from nullgrad.version import __version__

Size = Literal["ci", "nightly"]


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
        raise UserError(f"--studies is {count}.", NOTHING, "Give 2 or more.")
    if not 0 < alpha < 0.5:
        raise UserError(
            f"--alpha is {alpha:g}.", NOTHING, "Give more than 0 and less than 0.5, such as 0.05."
        )
    ordered = tuple(sorted(set(amounts.trials if trials is None else trials)))
    if not ordered or ordered[0] < 2:
        raise UserError("A study needs 2 trials or more.", NOTHING, "Give --trials 5,10,20.")
    check_seed(seed)
    specs = list(dict.fromkeys(parse_world(name).spec for name in worlds))
    jobs: list[Any] = []
    for spec in specs:
        seeds = [seed_of(seed, 2, number) for number in range(count)]
        jobs += [
            StudyJob(spec, design, tuple(piece), ordered, alpha)
            for design in designs
            for piece in pieces(seeds)
        ]
        jobs += [
            AuditJob(spec, tuple(piece), MARGIN)
            for piece in pieces([seed_of(seed, 1, number) for number in range(audited)])
        ]
    done = list(in_processes(_work, jobs, processes, progress, _said))
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


def _truths(study: Study, every: Accuracies, own: Accuracies) -> dict[str, TrueDifference]:
    """The true difference from the trials of every design, what power depends on from those of its own."""
    found = {}
    for spec in study.contrasts:
        one, two = (arm.canonical for arm in spec.arms)
        found[spec.name] = true_difference(
            every.exact[one], every.exact[two], own.observed[one], own.observed[two]
        )
    return found


def _work(job: Any) -> Any:
    return run_studies(job) if isinstance(job, StudyJob) else run_audits(job)


def _said(job: Any) -> str:
    return f"{job.world}: {'studies' if isinstance(job, StudyJob) else 'audits'}"


__all__ = [
    "AMOUNTS",
    "Claim",
    "Optimizer",
    "PhantomResult",
    "SelfCalibration",
    "calibrate_optimizer",
    "calibrate_self",
]

"""The frozen result of a study: what every surface prints, and the tidy tables that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nullgrad.analysis import serialize
from nullgrad.analysis.stats.estimate import Design
from nullgrad.analysis.study import tables as study_tables
from nullgrad.analysis.study.attribution import Ladder, ladder_attribution
from nullgrad.analysis.study.audits import ArmAudits, study_audits
from nullgrad.analysis.study.candidates import (
    BestOfPoint,
    StepDiversity,
    WinnerBias,
    best_of_k,
    step_diversity,
    winner_bias,
)
from nullgrad.analysis.study.contrasts import StudyContrast, study_contrasts
from nullgrad.analysis.study.critic_quality import CriticQuality, critic_quality
from nullgrad.analysis.study.rows import CellData, whole
from nullgrad.analysis.study.trajectory import MeanOver, TrajectoryPoint, mean_over, trajectories
from nullgrad.analysis.study.verdicts import Signature, VerdictLine, signatures, study_verdicts, undeclared
from nullgrad.analysis.written import Tabled
from nullgrad.core.arms import SEED, Arm, Rung, ladder
from nullgrad.core.facts import Block, Spend
from nullgrad.core.study import Study
from nullgrad.core.study_facts import Key, TrialFacts
from nullgrad.errors import UserError


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm in one cell.

    Attributes:
        cell, arm: which.
        declared: trials that the study declares.
        started: trials of which anything is known.
        over: mean test score over trials without a missing score.
        incomplete: trials with missing scores, which are in no mean.
        answers: test answers of the final candidates asked for.
        unparsed, failed: test answers that could not be read, and calls that failed.
        proposals, unparsed_proposals: variants asked for, and those of which no prompt came.
    """

    cell: str
    arm: str
    declared: int
    started: int
    over: MeanOver
    incomplete: int
    answers: int
    unparsed: int
    failed: int
    proposals: int
    unparsed_proposals: int


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial.

    Attributes:
        cell, arm, trial: which.
        complete: whether it ended and its final candidate was read on test without a missing score.
        score: mean test score, None where it is not complete.
        unparsed, failed: of its test answers.
        steps: steps made.
        changed: steps that took another prompt.
        candidate: digest of what was read on test, "" while nothing was.
        prompt: the final candidate's instruction, "" of the seed prompt and while there is none.
    """

    cell: str
    arm: str
    trial: int
    complete: bool
    score: float | None
    unparsed: int
    failed: int
    steps: int
    changed: int
    candidate: str
    prompt: str


@dataclass(frozen=True, slots=True)
class CellLadder:
    """The attribution ladder of one top arm in one cell."""

    cell: str
    top: str
    ladder: Ladder


@dataclass(frozen=True, slots=True)
class CellInfo:
    """One cell, with its blocks that are complete in every arm of theirs."""

    name: str
    task: str
    model: str
    test_examples: int
    blocks: int


@dataclass(frozen=True, slots=True)
class StudyResult(Tabled):
    """What a study found.

    Attributes:
        run, name, preset, version: identity of the run in the ledger; the study's name and preset; nullgrad's version.
        design, alpha, steps, batch_size, seed, blocks, sequential, curve: as declared.
        models: (name, model as the user wrote it).
        simulated: models that are simulations or scripts.
        cells, arms, trials, contrasts, trajectory, diversity, best_of_k, winners, critic, ladders, audits: see their classes.
        verdicts: one line per prediction of the gradient hypothesis that the study tests.
        undeclared: predictions for which it declares no contrast.
        signatures: failure signatures of the paper that were seen.
        test_readings: readings of the sealed test in the trials above.
        complete: whether every declared block ran; False where looks or a stop ended the study before.
        stopped: why it ended early, "" if it did not.
        notes: what a reader of the numbers has to know.
        spend: calls, tokens, dollars, seconds of this command.
    """

    MAIN: ClassVar[str] = "contrasts"

    run: str
    name: str
    preset: str
    version: str
    design: Design
    alpha: float
    steps: int
    batch_size: int
    seed: int
    blocks: int
    sequential: tuple[int, ...]
    curve: tuple[int, ...]
    models: tuple[tuple[str, str], ...]
    simulated: tuple[str, ...]
    cells: tuple[CellInfo, ...]
    arms: tuple[ArmResult, ...]
    trials: tuple[TrialResult, ...]
    contrasts: tuple[StudyContrast, ...]
    trajectory: tuple[TrajectoryPoint, ...]
    diversity: tuple[StepDiversity, ...]
    best_of_k: tuple[BestOfPoint, ...]
    winners: tuple[WinnerBias, ...]
    critic: tuple[CriticQuality, ...]
    ladders: tuple[CellLadder, ...]
    audits: tuple[ArmAudits, ...]
    verdicts: tuple[VerdictLine, ...]
    undeclared: tuple[str, ...]
    signatures: tuple[Signature, ...]
    test_readings: int
    complete: bool
    stopped: str
    notes: tuple[str, ...]
    spend: Spend

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tidy tables, one dictionary a row: the contract of CSV and Parquet. See `study_tables`."""
        return study_tables.tables(self)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: the contract of `--json`.

        Scores are shares from 0 to 1; differences, margins and detectable effects are in points. A number that is not
        estimable is null, and its reason stands under `not_estimable`.
        """
        return {
            "run": self.run,
            "nullgrad": self.version,
            "study": self.name,
            "preset": self.preset,
            "design": self.design,
            "alpha": self.alpha,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "blocks": self.blocks,
            "sequential": list(self.sequential),
            "curve": list(self.curve),
            "models": dict(self.models),
            "simulated": list(self.simulated),
            "cells": study_tables.cell_rows(self),
            "tables": self.tables(),
            "undeclared": list(self.undeclared),
            "signatures": study_tables.signature_rows(self),
            "attribution": [
                {"cell": one.cell, "top": one.top, **(serialize.ladder_dict(one.ladder) or {})}
                for one in self.ladders
            ],
            "test_readings": self.test_readings,
            "complete": self.complete,
            "stopped": self.stopped,
            "notes": list(self.notes),
            **serialize.spend_dict(self.spend),
        }


def analyse_study(
    study: Study,
    trials: Mapping[Key, TrialFacts],
    *,
    spend: Spend,
    version: str,
    models: tuple[tuple[str, str], ...],
    simulated: tuple[str, ...],
    stopped: str,
) -> StudyResult:
    """The result that the facts of a study support.

    Args:
        study: as declared.
        trials: the facts, by cell, arm and trial; trials that the study does not declare are left out.
        spend: of this command.
        version: of nullgrad.
        models: (name, model as the user wrote it).
        simulated: models that are simulations or scripts.
        stopped: why the study ended early, "" if it did not.
    """
    ended = bool(stopped) or bool(study.sequential)
    cells = {cell.name: CellData(study, cell, trials, ended) for cell in study.cells}
    arms = _arms(study)
    contrasts = study_contrasts(study, cells)
    data = list(cells.values())
    blocks = {name: _blocks(one) for name, one in cells.items()}
    verdicts = study_verdicts(study, contrasts)
    return StudyResult(
        run=study.run,
        name=study.name,
        preset=study.preset,
        version=version,
        design=study.design,
        alpha=study.alpha,
        steps=study.steps,
        batch_size=study.batch_size,
        seed=study.seed,
        blocks=study.blocks,
        sequential=study.sequential,
        curve=study.curve,
        models=models,
        simulated=simulated,
        cells=tuple(
            CellInfo(cell.name, cell.task_name, cell.model_name, len(cell.task.test), blocks[cell.name])
            for cell in study.cells
        ),
        arms=tuple(_arm(one, arm) for one in data for arm in arms),
        trials=tuple(row for one in data for arm in arms for row in _trials(one, arm)),
        contrasts=contrasts,
        trajectory=tuple(point for one in data for point in trajectories(one, arms)),
        diversity=step_diversity(data, arms),
        best_of_k=best_of_k(data, arms),
        winners=winner_bias(data, arms),
        critic=tuple(row for one in data for row in critic_quality(one, arms)),
        ladders=tuple(row for one in data for row in _ladders(one, arms)),
        audits=study_audits(data, arms),
        verdicts=verdicts,
        undeclared=undeclared(verdicts),
        signatures=signatures(study, contrasts),
        test_readings=sum(
            (trial.test is not None) + len(trial.curve)
            for one in data
            for arm in arms
            for trial in one.of_arm(arm).values()
        ),
        complete=all(count == study.blocks for count in blocks.values()),
        stopped=stopped,
        notes=_notes(study, blocks, contrasts),
        spend=spend,
    )


def _arms(study: Study) -> tuple[Arm, ...]:
    return tuple(dict.fromkeys((SEED, *(one.arm for one in study.arms))))


def _blocks(data: CellData) -> int:
    study = data.study

    def read(arm: Arm, number: int) -> bool:
        trial = data.facts(arm, number)
        return trial is not None and trial.complete

    return sum(
        all(read(arm, number) for arm in (SEED, *study.block(number))) for number in range(study.blocks)
    )


def _arm(data: CellData, arm: Arm) -> ArmResult:
    trials = data.of_arm(arm)
    rows = data.test_rows(arm)
    tests = [trial.test for trial in trials.values() if trial.test is not None]
    complete = [float(row.mean()) for row in rows.values() if whole(row)]
    steps = [step for trial in trials.values() for step in trial.steps.values()]
    lost = sum(len(step.unparsed) for step in steps)
    return ArmResult(
        data.cell.name,
        arm.canonical,
        data.study.trials(arm),
        len(trials),
        mean_over(complete),
        len(rows) - len(complete),
        sum(len(test.scores) for test in tests),
        sum(test.unparsed for test in tests),
        sum(score is None for test in tests for score in test.scores),
        lost + sum(len(step.proposed) for step in steps),
        lost,
    )


def _trials(data: CellData, arm: Arm) -> list[TrialResult]:
    rows = data.test_rows(arm)
    found: list[TrialResult] = []
    for number, trial in data.of_arm(arm).items():
        row = rows.get(number)
        complete = trial.complete and row is not None and whole(row)
        done = [step for step in trial.steps.values() if step.chosen is not None]
        scores = trial.test.scores if trial.test is not None else ()
        found.append(
            TrialResult(
                data.cell.name,
                arm.canonical,
                number,
                complete,
                float(row.mean()) if complete and row is not None else None,
                trial.test.unparsed if trial.test is not None else 0,
                sum(score is None for score in scores),
                len(done),
                sum(step.chosen != -1 for step in done),
                trial.test.candidate if trial.test is not None else "",
                trial.final.prompt if trial.final is not None else "",
            )
        )
    return found


def _ladders(data: CellData, arms: tuple[Arm, ...]) -> list[CellLadder]:
    """The longest ladders of which every rung is an arm of the study; a ladder within another one is left out."""
    known = set(arms)
    tops: dict[Arm, tuple[Rung, ...]] = {}
    for arm in arms:
        try:
            rungs = ladder(arm)
        except UserError:
            continue
        if len(rungs) >= 3 and {rung.arm for rung in rungs} <= known:
            tops[arm] = rungs
    found: list[CellLadder] = []
    for arm, rungs in tops.items():
        own = {rung.arm for rung in rungs}
        if any(own < {rung.arm for rung in other} for other in tops.values()):
            continue
        reason = ""
        if data.study.design != "paired":
            reason = "not attributable under independent draws: rungs add up within blocks alone"
        elif data.study.sequential:
            reason = "not attributable under sequential looks, which stop where effects look large"
        result = (
            Ladder(0, (), (), reason)
            if reason
            else ladder_attribution(rungs, (), _ladder_blocks(data, rungs), arm)
        )
        found.append(CellLadder(data.cell.name, arm.canonical, result))
    return found


def _ladder_blocks(data: CellData, rungs: tuple[Rung, ...]) -> list[Block]:
    rows: dict[int, dict[str, tuple[float | None, ...]]] = {}
    for rung in rungs:
        for number, row in data.test_rows(rung.arm, fill=False).items():
            rows.setdefault(number, {})[rung.arm.canonical] = tuple(
                None if np.isnan(score) else float(score) for score in row
            )
    return [Block(number, own) for number, own in sorted(rows.items())]


def _notes(study: Study, blocks: Mapping[str, int], contrasts: tuple[StudyContrast, ...]) -> tuple[str, ...]:
    notes: list[str] = []
    empty = [name for name, count in blocks.items() if count == 0]
    if empty:
        notes.append(f"No complete block in {', '.join(empty)}: nothing can be told there.")
    if not study.contrasts:
        notes.append("The study declares no contrast, so that no prediction is tested.")
    if any(one.biased for one in contrasts):
        notes.append(
            "Contrasts that stopped at a look before the end over-state their difference on average."
        )
    if any(one.on == "validation" for one in contrasts):
        notes.append(
            "A plateau read on validation compares prompts that validation chose; both are over-estimated, the later more often."
        )
    return tuple(notes)


__all__ = ["StudyResult", "analyse_study"]

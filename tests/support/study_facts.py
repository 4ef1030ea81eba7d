"""Facts of made-up trials, by hand: no model, no run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nullgrad.analysis.study.result import StudyResult, analyse_study
from nullgrad.core.arms import SEED, Arm, parse_arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.events import BatchRun, CandidateScored, Critiqued, TestScored
from nullgrad.core.facts import Spend
from nullgrad.core.setting import Cast, RoleModel
from nullgrad.core.study import ArmPlan, Cell, ContrastSpec, Study
from nullgrad.core.study_facts import Key, TrialFacts
from nullgrad.edges.packs import load_pack
from tests.support.trials import make_task

EXAMPLES = 40


def a_cell(name: str = "small", *, task: str = "small", model: str = "m", **options: Any) -> Cell:
    """A cell with 40 test examples."""
    cast = Cast(*[RoleModel(f"test-{model}")] * 4)
    options = {"test": EXAMPLES, "train": 6, "validation": 10, **options}
    return Cell(name, make_task(**options), cast, load_pack("standard"), task, model)


def a_study(arms: Mapping[str, int], contrasts: Sequence[ContrastSpec] = (), **changes: Any) -> Study:
    """A study with these arms and their numbers of trials."""
    values: dict[str, Any] = {
        "name": "s", "cells": (a_cell(),), "steps": 4, "batch_size": 3, "seed": 0, "design": "paired",
        "arms": tuple(ArmPlan(parse_arm(arm), trials) for arm, trials in arms.items()),
        "contrasts": tuple(contrasts), **changes,
    }  # fmt: skip
    return Study(**values)


def a_contrast(first: str, second: str, family: str = "f", **changes: Any) -> ContrastSpec:
    """Two arms against each other."""
    values: dict[str, Any] = {"name": f"{first} > {second}", "family": family, "kind": "arms", **changes}
    return ContrastSpec(arms=(parse_arm(first), parse_arm(second)), **values)


def within(kind: str, arm: str, family: str = "f", **changes: Any) -> ContrastSpec:
    """A fit or a plateau."""
    values: dict[str, Any] = {"name": f"{kind} of {arm}", "family": family, "kind": kind, **changes}
    return ContrastSpec(arms=(parse_arm(arm),), **values)


def right(count: float, examples: int = EXAMPLES) -> tuple[float | None, ...]:
    """So many right answers first, then wrong ones."""
    return (1.0,) * int(count) + (0.0,) * (examples - int(count))


def a_trial(
    arm: str | Arm,
    number: int,
    row: Sequence[float | None],
    *,
    cell: str = "small",
    curve: Mapping[int, Sequence[float | None]] | None = None,
) -> TrialFacts:
    """A trial whose final candidate has this test row."""
    canonical = (parse_arm(arm) if isinstance(arm, str) else arm).canonical
    final = Candidate.of(f"prompt {canonical} {number}")
    trial = TrialFacts(cell, canonical, number, {final.digest: final}, seed="seed")
    trial.final = None if canonical == SEED.canonical else final
    trial.test = TestScored(canonical, "final", final.digest, tuple(row), 0)
    for step, scores in (curve or {}).items():
        trial.curve[step] = TestScored(canonical, "curve", final.digest, tuple(scores), 0, step=step)
    return trial


def batches(
    trial: TrialFacts,
    scores: Iterable[Sequence[float | None]],
    shown: Iterable[Sequence[float | None]] = (),
) -> TrialFacts:
    """Give a trial a batch for each step: with six training examples, two steps of three are an epoch."""
    told = list(shown)
    for place, batch in enumerate(scores):
        ids = tuple(f"train{3 * (place % 2) + number}" for number in range(len(batch)))
        step = trial.step(place + 1)
        step.batch = BatchRun("s", place + 1, ids, tuple(batch), 0, 0, tuple(told[place]) if told else ())
        step.chosen = 0
    return trial


def judged(trial: TrialFacts, step: int, pairs: Sequence[tuple[float | None, float]]) -> TrialFacts:
    """Give a step the judgements of a critic: (judged, true)."""
    ids = tuple(f"train{number}" for number in range(len(pairs)))
    true = tuple(pair[1] for pair in pairs)
    trial.step(step).critiqued = Critiqued("s", step, ids, tuple(pair[0] for pair in pairs), true, true)
    return trial


def scored(
    trial: TrialFacts, step: int, rows: Mapping[int, Sequence[float | None]], chosen: int
) -> TrialFacts:
    """Give a step validation rows by variant (−1 is the current prompt), and its choice."""
    facts = trial.step(step)
    for variant, row in rows.items():
        one = Candidate.of(f"variant {trial.arm} {trial.trial} {step} {variant}")
        if variant >= 0:
            facts.proposed[variant] = one
        facts.scored[variant] = CandidateScored("s", step, variant, one.digest, tuple(row), tuple(row), 0)
    facts.chosen = chosen
    return trial


def keyed(trials: Iterable[TrialFacts]) -> dict[Key, TrialFacts]:
    """By cell, arm and number."""
    return {(one.cell, one.arm, one.trial): one for one in trials}


def of_scores(scores: Mapping[str, Sequence[float]], cell: str = "small") -> dict[Key, TrialFacts]:
    """Trials of arms by their numbers of right answers out of 40, each on examples of its own draw."""
    found = []
    for arm, values in scores.items():
        for number, count in enumerate(values):
            stream = np.random.default_rng([number, int(count)])
            row = stream.permutation(np.array(right(count), dtype=float)).tolist()
            found.append(a_trial(arm, number, row, cell=cell))
    return keyed(found)


def analysed(study: Study, trials: Mapping[Key, TrialFacts], stopped: str = "") -> StudyResult:
    """The result of facts."""
    return analyse_study(
        study, trials, spend=Spend(), version="0", models=(("generator", "m"),), simulated=(), stopped=stopped
    )

"""A study: tasks × models × arms × trials, with contrasts that are declared before it runs.

A cell is one task under one cast of models; every arm runs in every cell, and every contrast is tested in every cell:
nothing is pooled. Families are corrected within a cell.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from nullgrad.core.arms import SEED, Arm
from nullgrad.core.calls import Calls, test_calls, trial_calls
from nullgrad.core.draws import DrawPath
from nullgrad.core.setting import Cast, Setting
from nullgrad.core.task import Task
from nullgrad.core.words import Pack
from nullgrad.errors import UserError

Design = Literal["paired", "independent"]
"""`paired`: arms of a block share draws and are compared as pairs; `independent`: nothing is shared."""

ContrastKind = Literal["arms", "models", "trend", "fit", "plateau", "interaction"]
"""`arms`: two arms that differ in one ingredient. `models`: one arm under two models of one task. `trend`: score
against the number of variants. `fit`: train accuracy of the last epoch against the first, within trials. `plateau`:
the final prompt against the prompt after step 2, within trials. `interaction`: the difference of two arms in one task
(or model) minus that in another."""

INGREDIENTS = tuple(one.name for one in dataclasses.fields(Arm))
"""Fields of an arm; a contrast is over one of them unless it is declared as a bundle."""

COUPLED: tuple[frozenset[str], ...] = (frozenset({"selection", "n"}), frozenset({"update", "evaluator"}))
"""Fields that change together where one alone has no meaning: `validated@3` against `naive`, `rewrite` against
`seed` or `one-step/correct` against `improve`."""

_NOTHING = "Nothing was run."


@dataclass(frozen=True, slots=True)
class Cell:
    """One task under one cast of models.

    Attributes:
        name: unique in the study, without `#` and `@`.
        task: the task with its sealed test.
        cast: who plays which role.
        pack: the words.
        task_name, model_name: how the study file names its task and its models.
    """

    name: str
    task: Task
    cast: Cast
    pack: Pack
    task_name: str
    model_name: str


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """One arm with the number of its trials, 1 or more."""

    arm: Arm
    trials: int


@dataclass(frozen=True, slots=True)
class ContrastSpec:
    """A contrast as it is declared.

    Attributes:
        name: unique in the study.
        family: contrasts of one family are corrected together, within each cell.
        kind: see `ContrastKind`.
        arms: for `arms` and `interaction` (better, than); for `models`, `fit` and `plateau` the one arm; for `trend`
            all arms, which differ in their number of variants alone.
        models: for `models`: names of (better, than); for `interaction` over models: names of (more, less); else ().
        margin: half-width of equality, a share (0.05 is 5 points); None declares no equivalence.
        bundle: whether more than one ingredient may differ.
        published: key of the published result that a preset prints beside it, "" for none.
        tasks: for `interaction` over tasks: names of (more, less); else ().
    """

    name: str
    family: str
    kind: ContrastKind
    arms: tuple[Arm, ...]
    models: tuple[str, ...] = ()
    margin: float | None = None
    bundle: bool = False
    published: str = ""
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """One study, complete.

    Attributes:
        name: for people.
        cells: tasks × models.
        arms: with their numbers of trials; the seed prompt is tested with every block and need not be listed.
        steps: update steps per trial, 0 or more.
        batch_size: training examples per step, 1 or more.
        seed: the study's seed.
        design: of the draws, and so of the tests.
        contrasts: declared before anything runs.
        alpha: level of each family, 0 to 1.
        curve: steps after which the test is read as well, once a trial has ended; () for the final prompt alone.
        sequential: numbers of blocks at which a look is taken; () for one analysis at the end.
        preset: the preset that it came from, "" for none.
    """

    name: str
    cells: tuple[Cell, ...]
    arms: tuple[ArmPlan, ...]
    steps: int
    batch_size: int
    seed: int
    design: Design
    contrasts: tuple[ContrastSpec, ...] = ()
    alpha: float = 0.05
    curve: tuple[int, ...] = ()
    sequential: tuple[int, ...] = ()
    preset: str = ""
    _by_name: Mapping[str, Cell] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {cell.name: cell for cell in self.cells})
        _check_numbers(self)
        _check_arms(self)
        for contrast in self.contrasts:
            _check_contrast(self, contrast)
        _check_families(self)

    def cell(self, name: str) -> Cell:
        """The cell of that name."""
        return self._by_name[name]

    def trials(self, arm: Arm) -> int:
        """Trials of an arm; of the seed prompt, as many as there are blocks."""
        if arm == SEED:
            return self.blocks
        return next((one.trials for one in self.arms if one.arm == arm), 0)

    @property
    def blocks(self) -> int:
        """Number of blocks: the most trials that an arm has."""
        return max((one.trials for one in self.arms), default=0)

    def block(self, number: int) -> tuple[Arm, ...]:
        """The arms that have a trial of this number, the seed left out."""
        return tuple(one.arm for one in self.arms if one.arm != SEED and number < one.trials)

    def setting(self, cell: Cell, arm: Arm, trial: int) -> Setting:
        """What one trial is given; it cannot reach the test split."""
        own = arm.canonical if self.design == "independent" else None
        return Setting(
            cell.task.view,
            arm,
            trial,
            DrawPath(self.seed, trial, own),
            self.steps,
            self.batch_size,
            cell.cast,
            cell.pack,
            cell.name,
        )

    def calls(self, cell: Cell, arm: Arm) -> Calls:
        """Calls that one trial of an arm asks in a cell, with its test readings; exact when every rewrite parses."""
        view = cell.task.view
        reading = test_calls(len(cell.task.test), view.scorer.asks)
        if arm == SEED:
            return reading
        trial = trial_calls(
            arm,
            steps=self.steps,
            batch_size=self.batch_size,
            train=len(view.train),
            validation=len(view.validation),
            judged=view.scorer.asks,
        )
        return trial + reading * (1 + len(self.curve))

    @cached_property
    def asked(self) -> Calls:
        """Calls asked by the whole study; what arms share is paid once."""
        total = Calls()
        for cell in self.cells:
            total += self.calls(cell, SEED) * self.blocks
            for one in self.arms:
                if one.arm != SEED:
                    total += self.calls(cell, one.arm) * one.trials
        return total

    @cached_property
    def spec(self) -> str:
        """Canonical JSON of all that decides what one trial asks: more trials or arms go on with the same run."""
        value: dict[str, Any] = {
            "verb": "study",
            "name": self.name,
            "cells": {
                cell.name: {
                    "task": {"name": cell.task.view.name, "digest": cell.task.digest},
                    "cast": dataclasses.asdict(cell.cast),
                    "pack": {"name": cell.pack.name, "digest": cell.pack.digest},
                }
                for cell in self.cells
            },
            "steps": self.steps,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "design": self.design,
        }
        return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))

    @property
    def run(self) -> str:
        """Identity of the run: the first 16 hexadecimal digits of the SHA-256 of its specification."""
        return hashlib.sha256(self.spec.encode()).hexdigest()[:16]


Block = tuple[str, int]
"""A cell's name and a block's number."""


def wanted(
    study: Study, done: Collection[Block], running: Collection[Block], slots: int
) -> tuple[Block, ...]:
    """Which blocks to start now: in order of their numbers, cell by cell, as many as fill the slots.

    A stop thus leaves complete blocks, and as many in every cell, to within one.

    Args:
        study: the study.
        done: complete blocks.
        running: started ones.
        slots: how many may run at a time, at least 1.
    """
    rest = [
        (cell.name, number)
        for number in range(study.blocks)
        for cell in study.cells
        if (cell.name, number) not in done and (cell.name, number) not in running
    ]
    return tuple(rest[: max(slots - len(running), 0)])


def differing(first: Arm, second: Arm) -> frozenset[str]:
    """Fields in which two arms differ."""
    return frozenset(name for name in INGREDIENTS if getattr(first, name) != getattr(second, name))


def one_ingredient(first: Arm, second: Arm) -> bool:
    """Whether two arms differ in one ingredient: one field, or fields of which one alone would have no meaning."""
    found = differing(first, second)
    if len(found) == 1:
        return True
    if SEED in (first, second):
        # The seed has no evaluation and no selection; whatever makes a prompt is one step away from it.
        other = second if first == SEED else first
        return other.update in ("rewrite", "improve")
    return any(found <= pair for pair in COUPLED)


def _refuse(study: Study, what: str, ways_out: str) -> UserError:
    return UserError(f"The study {study.name!r}: {what}.", _NOTHING, ways_out)


def _check_numbers(study: Study) -> None:
    for name, value, least in (("steps", study.steps, 0), ("batch_size", study.batch_size, 1)):
        if value < least:
            raise _refuse(study, f"{name} is {value}", f"Give {least} or more.")
    if not 0 < study.alpha < 1:
        raise _refuse(study, f"alpha is {study.alpha:g}", "Give a level between 0 and 1, such as 0.05.")
    if not study.cells:
        raise _refuse(study, "there is no task", "Give at least one task and one model.")
    for name, count in Counter(cell.name for cell in study.cells).items():
        if count > 1:
            raise _refuse(study, f"two cells are called {name!r}", "Give tasks and models different names.")
        if "#" in name or "@" in name or not name:
            raise _refuse(study, f"a cell is called {name!r}", "Use names without # and @.")
    outside = [step for step in study.curve if not 0 < step <= study.steps]
    if outside:
        raise _refuse(
            study, f"the curve asks for step {outside[0]} of {study.steps}", "Ask for steps that are made."
        )
    if study.sequential and study.design != "paired":
        raise _refuse(study, "sequential looks need the paired design", "Write design: paired.")


def _check_arms(study: Study) -> None:
    if not any(one.arm != SEED for one in study.arms):
        raise _refuse(study, "there is no arm", "List at least one, such as gradient/correct/naive.")
    for arm, count in Counter(one.arm for one in study.arms).items():
        if count > 1:
            raise _refuse(study, f"the arm {arm.canonical} is listed twice", "List it once.")
    for one in study.arms:
        if one.trials < 1:
            raise _refuse(study, f"the arm {one.arm.canonical} has {one.trials} trials", "Give 1 or more.")


def _check_contrast(study: Study, contrast: ContrastSpec) -> None:
    def refuse(what: str, ways_out: str) -> UserError:
        return _refuse(study, f"the contrast {contrast.name!r} {what}", ways_out)

    for arm in contrast.arms:
        if study.trials(arm) == 0:
            raise refuse(f"names the arm {arm.canonical}, which does not run", "Add it to the arms.")
    if contrast.margin is not None and not 0 < contrast.margin < 1:
        raise refuse(f"has the margin {contrast.margin:g}", "Give a share between 0 and 1, such as 0.05.")
    expected = {"arms": 2, "interaction": 2, "models": 1, "fit": 1, "plateau": 1}.get(contrast.kind)
    if expected is not None and len(contrast.arms) != expected:
        raise refuse(f"names {len(contrast.arms)} arms", f"A contrast of {contrast.kind} names {expected}.")
    if contrast.kind in ("arms", "interaction"):
        first, second = contrast.arms
        if first == second:
            raise refuse(f"compares {first.canonical} with itself", "Name two arms.")
        if not contrast.bundle and not one_ingredient(first, second):
            fields = ", ".join(sorted(differing(first, second)))
            raise refuse(
                f"is over more than one ingredient ({fields})",
                "Compare arms that differ in one, or say bundle: true.",
            )
        if study.design == "paired" and study.trials(first) != study.trials(second):
            raise refuse(
                f"is paired, and {first.canonical} has {study.trials(first)} trials and {second.canonical} "
                f"{study.trials(second)}",
                "Give both as many, or write design: independent.",
            )
    if contrast.kind == "models" or (contrast.kind == "interaction" and contrast.models):
        known = {cell.model_name for cell in study.cells}
        if len(contrast.models) != 2 or not set(contrast.models) <= known:
            raise refuse("does not name two models of the study", f"Known: {', '.join(sorted(known))}.")
    if contrast.kind == "interaction" and not contrast.models:
        known = {cell.task_name for cell in study.cells}
        if len(contrast.tasks) != 2 or not set(contrast.tasks) <= known:
            raise refuse("does not name two tasks of the study", f"Known: {', '.join(sorted(known))}.")
    if contrast.kind == "trend":
        if len(contrast.arms) < 3:
            raise refuse(f"has {len(contrast.arms)} arms, which is no trend", "Name three or more.")
        base = contrast.arms[0]
        if any(not differing(base, arm) <= {"n", "selection"} for arm in contrast.arms):
            raise refuse("has arms that differ in more than the number of variants", "Vary @n alone.")
    if contrast.kind in ("fit", "plateau") and study.steps < 3:
        raise refuse(f"needs more than {study.steps} steps", "Give 3 steps or more.")


def _check_families(study: Study) -> None:
    names = Counter(contrast.name for contrast in study.contrasts)
    for name, count in names.items():
        if count > 1:
            raise _refuse(study, f"two contrasts are called {name!r}", "Name each once.")
    seen: dict[tuple[Any, ...], str] = {}
    for contrast in study.contrasts:
        key = (contrast.family, contrast.kind, contrast.arms, contrast.models, contrast.tasks)
        if key in seen:
            raise _refuse(
                study,
                f"the family {contrast.family!r} has one contrast twice ({seen[key]!r} and {contrast.name!r})",
                "Drop one: the correction would count it twice.",
            )
        seen[key] = contrast.name

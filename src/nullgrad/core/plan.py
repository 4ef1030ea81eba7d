"""What one optimization is asked to do, its identity, and which trials are wanted next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

from nullgrad.core.arms import SEED, Arm, Rung, ladder, side_arms
from nullgrad.core.calls import Calls, test_calls, trial_calls
from nullgrad.core.candidate import Candidate
from nullgrad.core.draws import DrawPath
from nullgrad.core.objective import check_objective
from nullgrad.core.selection import Objective
from nullgrad.core.setting import Cast, Setting
from nullgrad.core.task import Task
from nullgrad.core.words import Pack
from nullgrad.errors import UserError

Controls = Literal["none", "standard", "full"]
"""Which arms run beside the main one: none, the ladder, or the ladder with its side arms."""


@dataclass(frozen=True)
class Plan:
    """One optimization, complete: two plans that are equal state the same facts.

    Attributes:
        task: the task with its sealed test.
        arm: the arm that is reported.
        steps: update steps per trial, 0 or more.
        batch_size: training examples per step, 1 or more.
        trials: complete optimizations of the arm, 1 or more.
        controls: what runs beside it.
        seed: the study's seed.
        cast: who plays which role.
        pack: the words.
        objective: what selection maximizes on validation; part of the identity where it is not the default.
    """

    task: Task
    arm: Arm
    steps: int
    batch_size: int
    trials: int
    controls: Controls
    seed: int
    cast: Cast
    pack: Pack
    objective: Objective = "accuracy"

    def __post_init__(self) -> None:
        for name, value, least in (
            ("--steps", self.steps, 0),
            ("--batch-size", self.batch_size, 1),
            ("--trials", self.trials, 1),
        ):
            if value < least:
                raise UserError(f"{name} is {value}.", "Nothing was run.", f"Give {least} or more.")
        if self.controls != "none" and self.steps > 0:
            ladder(self.arm)
        check_objective(self.task.view, self.objective)

    @property
    def optimizes(self) -> bool:
        """Whether a prompt is optimized at all, rather than the seed prompt scored."""
        return self.steps > 0 and self.arm != SEED

    @property
    def seed_candidate(self) -> Candidate:
        """What every trial begins from."""
        return Candidate.of(self.task.view.seed_prompt)

    @cached_property
    def rungs(self) -> tuple[Rung, ...]:
        """The ladder of attribution, () without controls."""
        return ladder(self.arm) if self.controls != "none" and self.steps > 0 else ()

    @cached_property
    def control_arms(self) -> tuple[Arm, ...]:
        """Every arm beside the main one, without the seed (which needs no trial)."""
        arms = [rung.arm for rung in self.rungs]
        if self.controls == "full" and self.steps > 0:
            arms += side_arms(self.arm)
        return tuple(dict.fromkeys(arm for arm in arms if arm not in (SEED, self.arm)))

    @cached_property
    def spec(self) -> str:
        """Canonical JSON of all that decides what one trial asks.

        How many trials run, and which controls beside them, is left out: more of either goes on with the same run.
        """
        view = self.task.view
        value = {
            "verb": "optimize",
            "task": {"name": view.name, "digest": self.task.digest},
            "arm": self.arm.canonical,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "design": "paired",
            "cast": asdict(self.cast),
            "pack": {"name": self.pack.name, "digest": self.pack.digest},
        }
        if self.objective != "accuracy":
            value["objective"] = self.objective
        return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))

    @property
    def run(self) -> str:
        """Identity of the run: the first 16 hexadecimal digits of the SHA-256 of its specification."""
        return hashlib.sha256(self.spec.encode()).hexdigest()[:16]

    def setting(self, arm: Arm, trial: int) -> Setting:
        """What one trial is given; it cannot reach the test split."""
        return Setting(
            self.task.view,
            arm,
            trial,
            DrawPath(self.seed, trial),
            self.steps,
            self.batch_size,
            self.cast,
            self.pack,
            objective=self.objective,
        )

    def calls(self, arm: Arm) -> Calls:
        """Calls that one trial of `arm` asks."""
        view = self.task.view
        return trial_calls(
            arm,
            steps=self.steps,
            batch_size=self.batch_size,
            train=len(view.train),
            validation=len(view.validation),
            judged=view.scorer.asks,
        )

    @property
    def reading(self) -> Calls:
        """Calls of one reading of the test split."""
        return test_calls(len(self.task.test), self.task.view.scorer.asks)

    @property
    def readings(self) -> int:
        """Readings of the sealed test for the main arm: of the seed, and of the best if anything is optimized."""
        return 2 if self.optimizes else 1

    @property
    def main_calls(self) -> Calls:
        """Calls asked by the main arm's trials and the sealed test (seed and best; only the seed where nothing is optimized)."""
        return self.calls(self.arm) * self.trials + self.reading * self.readings

    @property
    def control_calls(self) -> Calls:
        """Calls asked by the controls: their trials, every final prompt tested, the seed tested in each block."""
        if not self.control_arms:
            return Calls()
        total = Calls()
        for arm in self.control_arms:
            total += self.calls(arm) * self.trials + self.reading * self.trials
        return total + self.reading * (2 * self.trials)


def wanted(trials: int, done: Collection[int], running: Collection[int], slots: int) -> tuple[int, ...]:
    """Which blocks to start now: in order, as many as fill the slots, so that a stop leaves complete blocks.

    Args:
        trials: number of blocks.
        done: complete ones.
        running: started ones.
        slots: how many may run at a time, at least 1.
    """
    free = slots - len(running)
    rest = [block for block in range(trials) if block not in done and block not in running]
    return tuple(rest[: max(free, 0)])

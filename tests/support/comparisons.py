"""Comparisons made of given scores: no optimizer runs, and every number can be recomputed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nullgrad.analysis.comparison import CompareResult, compare_trials
from nullgrad.core.candidate import Candidate
from nullgrad.core.compare import ComparedTrial, Comparison, Entry, SeedScores
from nullgrad.core.facts import Spend
from nullgrad.core.foreign import Use
from nullgrad.core.foreign_budget import Allowance
from nullgrad.core.task import TaskView
from tests.support.trials import make_view

LABELS = ("yes", "no")


def foreign(optimizer: str, feedback: Any = "correct", selection: Any = "correct") -> Entry:
    """An entry of a third-party optimizer."""
    return Entry(f"{optimizer}/{feedback}/{selection}", optimizer, feedback, selection)


def row(right: int, size: int, start: int = 0) -> tuple[float | None, ...]:
    """`right` ones among `size` scores, from `start` on."""
    scores = [0.0] * size
    for place in range(right):
        scores[(start + place) % size] = 1.0
    return tuple(scores)


def answers_of(scores: Sequence[float | None], labels: Sequence[str] = LABELS) -> tuple[str | None, ...]:
    """The answers by which the targets of `make_view` (labels in turn) get these scores."""
    return tuple(
        None if score is None else labels[(place + (score == 0.0)) % 2] for place, score in enumerate(scores)
    )


@dataclass
class Made:
    """A comparison being put together.

    Attributes:
        entries: in order.
        size: test examples.
        trials: declared.
        options: of `Comparison`.
    """

    entries: Sequence[Entry]
    size: int = 20
    trials: int = 3
    options: dict[str, Any] = field(default_factory=dict)
    seeds: list[SeedScores] = field(default_factory=list)
    done: list[ComparedTrial] = field(default_factory=list)

    @property
    def view(self) -> TaskView:
        return make_view()

    @property
    def comparison(self) -> Comparison:
        return Comparison("small", tuple(self.entries), self.trials, Allowance(calls=400), **self.options)

    def seed(self, trial: int, scores: Sequence[float | None]) -> None:
        """The seed prompt of a block."""
        self.seeds.append(SeedScores(trial, tuple(scores), answers_of(scores)))

    def trial(self, entry: Entry, trial: int, scores: Sequence[float | None] = (), **changes: Any) -> None:
        """A trial; without scores it failed."""
        made = ComparedTrial(
            entry=entry,
            trial=trial,
            ended="returned" if scores else "failed",
            candidate=Candidate.of(f"{entry.name} prompt {trial}") if scores else None,
            test=tuple(scores),
            answers=answers_of(scores),
            use={
                "generator": Use(calls=400, paid=300, replayed=100, prompt_tokens=4000, completion_tokens=800)
            },
            counters={},
        )
        self.done.append(replace(made, **changes))

    def result(self, **changes: Any) -> CompareResult:
        """What the comparison found."""
        options: dict[str, Any] = {
            "targets": [LABELS[place % 2] for place in range(self.size)],
            "run": "0" * 16,
            "version": "0",
            "models": (("generator", "test-model"), ("optimizer", "test-model")),
            "simulated": (),
            "spend": Spend(),
            **changes,
        }
        return compare_trials(self.comparison, self.view, self.seeds, self.done, **options)


def counted(
    entries: Sequence[Entry], seeds: Sequence[int], right: Mapping[str, Sequence[int | None]], size: int = 20,
    **options: Any,
) -> Made:  # fmt: skip
    """A comparison by numbers of right answers: of the seed prompt by block, and of every entry; None is a failed trial."""
    made = Made(entries, size, len(seeds), options)
    for number, count in enumerate(seeds):
        made.seed(number, row(count, size))
        for entry in entries:
            own = right[entry.name][number]
            if own is None:
                made.trial(entry, number, reason="the package ended with an error")
            else:
                made.trial(entry, number, row(own, size, start=number))
    return made


def normal_scores(
    stream: np.random.Generator, entries: int, blocks: int, size: int, effect: Sequence[float] = (), sd: float = 0.05
) -> tuple[list[int], list[list[int]]]:  # fmt: skip
    """Right answers of the seed prompt by block and of every entry: binomial, around a prompt quality that varies by trial."""
    base = 0.5
    seeds = [int(stream.binomial(size, base)) for _ in range(blocks)]
    found = []
    for place in range(entries):
        shift = effect[place] if place < len(effect) else 0.0
        quality = np.clip(base + shift + sd * stream.standard_normal(blocks), 0.01, 0.99)
        found.append([int(one) for one in stream.binomial(size, quality)])
    return seeds, found

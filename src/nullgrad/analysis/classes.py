"""Recall of each class before and after, per slot for tuple answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nullgrad.analysis.intervals import Interval, wilson
from nullgrad.core.task import Example, Outcome, Scored, UnparsedAnswer

ESTIMABLE = 5
"""Examples that a class needs for an interval of its recall (STATISTICS, Gain decomposition)."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Of one class under one prompt.

    Attributes:
        recall: 0 to 1, None without an answered example.
        interval: Wilson's, 95 %; None ("not estimable") below `ESTIMABLE` examples.
        predicted: how often the class was answered.
    """

    recall: float | None
    interval: Interval | None
    predicted: int


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class of one slot before and after.

    Attributes:
        slot: from 0; 0 for single answers.
        label: the class.
        n: test examples whose target it is.
    """

    slot: int
    label: str
    n: int
    seed: Recall
    best: Recall


def class_rows(
    examples: Sequence[Example],
    seed: Sequence[Outcome],
    best: Sequence[Outcome],
    labels: Sequence[str],
    slots: int,
) -> tuple[ClassRow, ...]:
    """Recall by class; () for open answers.

    Failed calls are left out of both counts; an unparsed answer is a miss.
    """
    if not labels and slots == 1:
        return ()
    rows: list[ClassRow] = []
    for slot in range(slots):
        targets = [_slot(example.target, slot, slots) for example in examples]
        names = [label for label in labels if _fold(label) in targets] or sorted(set(targets))
        for label in names:
            rows.append(
                ClassRow(
                    slot,
                    label,
                    targets.count(_fold(label)),
                    _recall(targets, seed, label, slot, slots),
                    _recall(targets, best, label, slot, slots),
                )
            )
    return tuple(rows)


def _recall(targets: Sequence[str], outcomes: Sequence[Outcome], label: str, slot: int, slots: int) -> Recall:
    folded = _fold(label)
    hits = answered = predicted = 0
    for target, outcome in zip(targets, outcomes, strict=True):
        if not isinstance(outcome, Scored | UnparsedAnswer):
            continue
        answer = _slot(outcome.answer, slot, slots) if isinstance(outcome, Scored) else None
        predicted += answer == folded
        if target == folded:
            answered += 1
            hits += answer == folded
    interval = wilson(hits, answered) if answered >= ESTIMABLE else None
    return Recall(hits / answered if answered else None, interval, predicted)


def _slot(answer: str, slot: int, slots: int) -> str:
    if slots == 1:
        return _fold(answer)
    parts = [_fold(part) for part in answer.split(",")]
    return parts[slot] if len(parts) == slots else ""


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()

"""Recall of each class before and after: per slot for tuple answers, by presence for sets of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from nullgrad.analysis.stats.intervals import Interval, wilson
from nullgrad.core.reading.labels import label_set, set_items
from nullgrad.core.reading.text import fold, parts
from nullgrad.core.task import Example, Outcome, Scored, UnparsedAnswer

ESTIMABLE = 5
"""Examples that a class needs for an interval of its recall (STATISTICS, Gain decomposition)."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Of one class under one prompt.

    Attributes:
        recall: 0 to 1, None without an answered example.
        interval: Wilson's, 95 %; None ("not estimable") below `ESTIMABLE` examples.
        predicted: how often the class was answered, or was in the set answered.
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
        n: test examples whose target it is, or whose target has it.
    """

    slot: int
    label: str
    n: int
    seed: Recall
    best: Recall


def balanced_accuracy(rows: Sequence[ClassRow]) -> float | None:
    """Of the prompt after: mean over slots of the mean recall of their classes; None where no class was answered."""
    slots = [
        [row.best.recall for row in rows if row.slot == slot and row.best.recall is not None]
        for slot in sorted({row.slot for row in rows})
    ]
    means = [fmean(recalls) for recalls in slots if recalls]
    return fmean(means) if means else None


def class_rows(
    examples: Sequence[Example],
    seed: Sequence[Outcome],
    best: Sequence[Outcome],
    labels: Sequence[str],
    slots: int,
    *,
    sets: bool = False,
) -> tuple[ClassRow, ...]:
    """Recall by class; () for open answers.

    Failed calls are left out of both counts; an unparsed answer is a miss. With `sets`, an answer is a set of
    labels, and a label is found where the answer has it, whatever else it has.
    """
    if not labels and slots == 1:
        return ()
    rows: list[ClassRow] = []
    for slot in range(slots):
        read = _set_reader(tuple(labels)) if sets else _slot_reader(slot, slots)
        targets = [read(example.target) for example in examples]
        before, after = _given(seed, read), _given(best, read)
        occurring = frozenset[str]().union(*targets)
        names = [label for label in labels if sets or fold(label) in occurring] or sorted(occurring)
        for label in names:
            folded = fold(label)
            rows.append(
                ClassRow(
                    slot,
                    label,
                    sum(folded in target for target in targets),
                    _recall(targets, before, folded),
                    _recall(targets, after, folded),
                )
            )
    return tuple(rows)


_Reader = Callable[[str], frozenset[str]]
"""The folded classes that an answer or a target counts for."""


def _given(outcomes: Sequence[Outcome], read: _Reader) -> list[frozenset[str] | None]:
    """The classes answered, none where nothing could be read, None where the call failed."""
    return [
        read(outcome.answer)
        if isinstance(outcome, Scored)
        else frozenset()
        if isinstance(outcome, UnparsedAnswer)
        else None
        for outcome in outcomes
    ]


def _recall(
    targets: Sequence[frozenset[str]], answers: Sequence[frozenset[str] | None], label: str
) -> Recall:
    hits = answered = predicted = 0
    for target, answer in zip(targets, answers, strict=True):
        if answer is None:
            continue
        given = label in answer
        predicted += given
        if label in target:
            answered += 1
            hits += given
    interval = wilson(hits, answered) if answered >= ESTIMABLE else None
    return Recall(hits / answered if answered else None, interval, predicted)


def _slot_reader(slot: int, slots: int) -> _Reader:
    def read(text: str) -> frozenset[str]:
        if slots == 1:
            return frozenset((fold(text),))
        items = parts(text)
        return frozenset((fold(items[slot]),)) if len(items) == slots else frozenset()

    return read


def _set_reader(labels: tuple[str, ...]) -> _Reader:
    known = label_set(labels)

    def read(text: str) -> frozenset[str]:
        return frozenset(map(fold, set_items(text, known) or ()))

    return read

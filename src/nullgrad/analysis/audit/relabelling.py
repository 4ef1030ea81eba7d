"""The best deterministic relabelling of a prompt's answers: what renaming its labels alone would reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nullgrad.analysis.stats.resampling import Ints

FOLDS = 5
"""Parts of a cross-fit: each is relabelled as fitted on the others. With more of them the fits are alike, and the interval too narrow."""

OWN_NAME = 5
"""Quarters of an example that speak for a label's own name: a new name needs a lead of two examples."""

MOST_ROUNDS = 50
"""Rounds over the slots of a tuple; each raises the number of right tuples, so that few are needed."""


@dataclass(frozen=True, slots=True)
class Relabelling:
    """What each answer is renamed to, in one slot.

    Attributes:
        renamed: (answer, label) of the answers that do not keep their name; "" is an unparsed answer.
            Of a cross-fitted relabelling: as fitted on all examples, for display.
    """

    renamed: tuple[tuple[str, str], ...]


def fit_relabelling(truth: Ints, answers: Ints, classes: int) -> Ints:
    """The new name of each answer, shape (slots, classes + 1), that makes most answers (of tuples: whole tuples) right.

    One slot: exact, each answer gets the class that is most frequent where it was given. Several slots: coordinate
    ascent over the slots, each step exact, from the names as they are and from each slot's own optimum; the better of the two.
    An answer keeps its name unless another one is right for at least two examples more: on few examples a single one would
    rename a label and lose more than it finds. An unparsed answer has no name to keep and gets the most frequent class; one that does
    not occur stays unparsed.

    Args:
        truth: shape (examples, slots), 0 to classes − 1.
        answers: the same shape, 0 to classes, the last for unparsed.
    """
    slots = truth.shape[1]
    own = np.tile(np.arange(classes + 1), (slots, 1))
    everywhere = np.ones(len(truth), dtype=np.bool_)
    alone = np.stack([_names(truth[:, slot], answers[:, slot], everywhere, classes) for slot in range(slots)])
    if slots == 1:
        return alone
    fits = [_ascend(truth, answers, classes, start) for start in (own, alone)]
    return max(fits, key=lambda names: int(right(truth, relabel(answers, names)).sum()))


def relabel(answers: Ints, names: Ints) -> Ints:
    """Answers under their new names, shape (examples, slots)."""
    return names[np.arange(answers.shape[1]), answers]


def right(truth: Ints, answers: Ints) -> NDArray[np.bool_]:
    """Whether each answer, or whole tuple, is right."""
    found: NDArray[np.bool_] = (truth == answers).all(axis=1)
    return found


def folds(truth: Ints, seed: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """(fitted on, applied to) of each of `FOLDS` parts, masks over examples; stratified by class, shuffled within.

    Without the stratification a part that has more of one class leaves less of it to be fitted on, and the fit is
    systematically wrong there.
    """
    stream = np.random.default_rng([seed, len(truth)])
    shuffled = stream.permutation(len(truth))
    _, code = np.unique(truth, axis=0, return_inverse=True)
    dealt = shuffled[np.argsort(code.ravel()[shuffled], kind="stable")]
    part = np.empty(len(truth), dtype=np.int64)
    part[dealt] = np.arange(len(truth)) % FOLDS
    for number in range(min(FOLDS, len(truth))):
        yield part != number, part == number


def cross_relabelled(truth: Ints, answers: Ints, classes: int, seed: int) -> Ints:
    """Answers under new names that were fitted on other parts of the same examples."""
    renamed = answers.copy()
    for fitted, applied in folds(truth, seed):
        names = fit_relabelling(truth[fitted], answers[fitted], classes)
        renamed[applied] = relabel(answers[applied], names)
    return renamed


def described(names: Ints, labels: tuple[str, ...]) -> tuple[Relabelling, ...]:
    """The new names in words, by slot."""
    called = (*labels, "")
    return tuple(
        Relabelling(tuple((called[old], called[int(new)]) for old, new in enumerate(slot) if int(new) != old))
        for slot in names
    )


def _names(truth: Ints, answers: Ints, counted: NDArray[np.bool_], classes: int) -> Ints:
    keys = (answers * classes + truth)[counted]
    table = 4 * np.bincount(keys, minlength=(classes + 1) * classes).reshape(classes + 1, classes)
    empty = table[classes].sum() == 0
    table[np.arange(classes), np.arange(classes)] += OWN_NAME
    names: Ints = table.argmax(axis=1).astype(np.int64)
    if empty:
        names[classes] = classes
    return names


def _ascend(truth: Ints, answers: Ints, classes: int, start: Ints) -> Ints:
    names = start.copy()
    slots = truth.shape[1]
    hits = truth == relabel(answers, names)
    for _ in range(MOST_ROUNDS):
        before = int(hits.all(axis=1).sum())
        for slot in range(slots):
            rest = np.delete(hits, slot, axis=1).all(axis=1)
            fresh = _names(truth[:, slot], answers[:, slot], rest, classes)
            found = truth[:, slot] == fresh[answers[:, slot]]
            if (found & rest).sum() > (hits[:, slot] & rest).sum():
                names[slot], hits[:, slot] = fresh, found
        if int(hits.all(axis=1).sum()) == before:
            break
    return names

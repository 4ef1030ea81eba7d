"""What selection maximizes on validation: the mean score, or balanced accuracy, the mean of the classes' recalls.

Balanced accuracy is a sum over examples: an example of class c counts 1/(K n_c) where it is right, with K classes and n_c
examples of this one. A row of such contributions, times the number of examples, has balanced accuracy as its mean, so that
selection, records and their verification need no other rule. For tuple answers it is the mean over slots, each with
its own classes. Where calls fail, the weights stay those of all examples.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

from nullgrad.core.forward import points
from nullgrad.core.reading.labels import label_set
from nullgrad.core.reading.text import parts
from nullgrad.core.selection import Objective
from nullgrad.core.task import Example, Outcome, Scored, TaskView
from nullgrad.errors import UserError


def check_objective(view: TaskView, objective: Objective) -> None:
    """Refuse an objective that the task cannot have.

    Raises:
        UserError: balanced accuracy without closed labels that exclude one another.
    """
    if objective == "balanced" and not has_classes(view):
        raise UserError(
            f"The task {view.name} has no closed labels of which each answer is one, so there is no balanced accuracy.",
            "Nothing was run.",
            "Use --objective accuracy, or list the labels in the task.",
        )


def has_classes(view: TaskView) -> bool:
    """Whether every answer, or every slot of one, is exactly one of a closed set of labels."""
    return bool(view.labels) and not (json.loads(view.scorer.spec)["kind"] == "labels" and view.slots == 1)


def classes_of(answer: str | None, view: TaskView) -> tuple[str, ...] | None:
    """The label in each slot of an answer or a target, None where it is not of that form."""
    return None if answer is None else _classes(answer, view.labels, view.slots)


@lru_cache(maxsize=65_536)
def _classes(answer: str, labels: tuple[str, ...], slots: int) -> tuple[str, ...] | None:
    items = (answer,) if slots == 1 else parts(answer)
    known = label_set(labels)
    found = [known.find(item) for item in items]
    if len(found) != slots or not all(found):
        return None
    return tuple(label for label in found if label is not None)


def objective_row(
    objective: Objective,
    view: TaskView,
    examples: Sequence[Example],
    targets: Mapping[str, str],
    outcomes: Sequence[Outcome],
) -> tuple[float | None, ...]:
    """What each example contributes to the objective; the mean of the row is its value. None where the call failed.

    Args:
        objective: what is maximized.
        view: the task.
        examples: in order.
        targets: by example id, as selection is shown them; an example that is not there has its own.
        outcomes: against these targets, in order.
    """
    scores = tuple(points(outcome) for outcome in outcomes)
    if objective == "accuracy":
        return scores
    shown = [classes_of(targets.get(example.id, example.target), view) for example in examples]
    row = [None if score is None else 0.0 for score in scores]
    for slot in range(view.slots):
        counts = Counter(labels[slot] for labels in shown if labels is not None)
        for place, labels in enumerate(shown):
            if row[place] is None or labels is None:
                continue
            weight = len(examples) / (view.slots * len(counts) * counts[labels[slot]])
            row[place] = (row[place] or 0.0) + weight * _hit(view, outcomes[place], labels, slot)
    return tuple(row)


def _hit(view: TaskView, outcome: Outcome, target: tuple[str, ...], slot: int) -> float:
    """The score of a single answer; of a slot, whether it is right."""
    if not isinstance(outcome, Scored):
        return 0.0
    if view.slots == 1:
        return outcome.score
    answered = classes_of(outcome.answer, view)
    return float(answered is not None and answered[slot] == target[slot])

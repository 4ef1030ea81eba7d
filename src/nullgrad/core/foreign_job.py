"""The job of a foreign optimizer: what its process is told, with the labels corrupted before it is written.

Labels enter an optimizer in two channels. F, feedback: what reaches the text that it reflects on. S, selection: what
its candidates are scored by. Each row has a target for either; no test row is in reach here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nullgrad.core.arms import LABELS, Labels
from nullgrad.core.draws import DrawPath
from nullgrad.core.evaluation import shown_targets
from nullgrad.core.task import Example, TaskView
from nullgrad.errors import UserError

PROTOCOL = 1
"""Raised when a job or an event changes its meaning."""

Feedback = Literal["correct", "wrong", "shuffled", "none"]
FEEDBACKS: tuple[Feedback, ...] = (*LABELS, "none")


@dataclass(frozen=True, slots=True)
class ForeignArm:
    """A third-party optimizer with its two label channels, written `optimizer/feedback/selection`.

    Attributes:
        optimizer: the adapter's name, such as `gepa`.
        feedback: labels that reach the optimizer's text; `none` shows it no label and no verdict.
        selection: labels by which candidates are scored.
    """

    optimizer: str
    feedback: Feedback = "correct"
    selection: Labels = "correct"

    @property
    def canonical(self) -> str:
        """The form that is recorded."""
        return f"{self.optimizer}/{self.feedback}/{self.selection}"


def parse_foreign_arm(text: str) -> ForeignArm:
    """The arm that `gepa`, `gepa/wrong` or `gepa/none/shuffled` means.

    Raises:
        UserError: a part is unknown.
    """
    name, *rest = text.strip().split("/")
    feedback, selection = [*rest, "correct", "correct"][:2]
    if not name or len(rest) > 2 or feedback not in FEEDBACKS or selection not in LABELS:
        raise UserError(
            f"The arm {text!r} cannot be read.",
            "Nothing was run.",
            f"Write optimizer/feedback/selection, such as gepa/wrong/correct; feedback is {', '.join(FEEDBACKS)}, "
            f"selection {', '.join(LABELS)}.",
        )
    known_feedback = next(one for one in FEEDBACKS if one == feedback)
    known_selection = next(one for one in LABELS if one == selection)
    return ForeignArm(name, known_feedback, known_selection)


def job_rows(view: TaskView, arm: ForeignArm, draws: DrawPath) -> dict[str, list[dict[str, Any]]]:
    """Train and validation as the process sees them; a right target that an arm must not tell is in none of them.

    A row has `id`, `input`, `messages` (see `pieces`), `shown` and `target`. `shown` may reach text: on train the
    feedback label, None under `none`, and None on validation, which no optimizer may read. By `target` outputs are
    scored: on train that is `shown`, for a verdict by the right label would leak it, and under `none`, where no
    verdict is shown, the selection label.

    Raises:
        UserError: an example has no wrong target.
    """
    selected = shown_targets(view, arm.selection, view.validation, draws, "validation")
    told = shown_targets(
        view, arm.selection if arm.feedback == "none" else arm.feedback, view.train, draws, "train"
    )
    mark = _mark(view)
    train = [
        _row(view, one, mark, None if arm.feedback == "none" else told[one.id], told[one.id])
        for one in view.train
    ]
    validation = [_row(view, one, mark, None, selected[one.id]) for one in view.validation]
    return {"train": train, "validation": validation}


def _row(view: TaskView, one: Example, mark: str, shown: str | None, target: str) -> dict[str, Any]:
    return {
        "id": one.id,
        "input": one.input,
        "messages": pieces(view, one, mark),
        "shown": shown,
        "target": target,
    }


def pieces(view: TaskView, example: Example, mark: str) -> list[list[Any]]:
    """The messages of a forward call as [role, [text, …]]: the prompt goes between the texts.

    Joined by a prompt, stripped, and left out where nothing remains, they are `TaskView.messages` of that prompt.
    """
    return [[one.role, one.content.split(mark)] for one in view.messages(mark, example)]


def _mark(view: TaskView) -> str:
    """A word that stands for the prompt and occurs nowhere in the task."""
    texts = [view.format, *(one.input for one in (*view.train, *view.validation))]
    number = 0
    while any(f"\ue000{number}\ue001" in text for text in texts):
        number += 1
    return f"\ue000{number}\ue001"

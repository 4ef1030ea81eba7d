"""What the optimizer is told about an output: targets as shown, and the words around them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nullgrad.core.arms import Arm, Labels
from nullgrad.core.chat import Failed
from nullgrad.core.draws import DrawPath
from nullgrad.core.effects import Effect
from nullgrad.core.forward import Output, grade
from nullgrad.core.setting import Setting
from nullgrad.core.task import Example, Scored, TaskView
from nullgrad.core.wrong_labels import shuffled_targets, wrong_target


def shown_targets(
    view: TaskView, labels: Labels, examples: Sequence[Example], draws: DrawPath, split: str
) -> Mapping[str, str]:
    """The target shown for each example of a split, by id.

    `wrong` is a function of the question alone and never the right label; `shuffled` permutes the split's
    targets within the trial, so that the marginals stay.

    Raises:
        UserError: an example has no wrong target; `check_targets` says so beforehand.
    """
    if labels == "wrong":
        return {
            one.id: wrong_target(view.wrong, one, view.labels, examples, scorer=view.scorer)
            for one in examples
        }
    if labels == "shuffled":
        return shuffled_targets(examples, draws.stream("shuffled", split))
    return {one.id: one.target for one in examples}


def check_targets(view: TaskView, arms: Iterable[Arm]) -> None:
    """Make every wrong target that the arms will show, before anything is asked.

    Raises:
        UserError: an example has none.
    """
    arms = tuple(arms)
    shows = {
        "train": any(arm.evaluates and arm.labels == "wrong" for arm in arms),
        "validation": any(arm.validates and arm.validation_labels == "wrong" for arm in arms),
    }
    for split, examples in (("train", view.train), ("validation", view.validation)):
        if shows[split]:
            shown_targets(view, "wrong", examples, DrawPath(0, 0), split)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the optimizer is told of one output.

    Attributes:
        text: in words, "" where it is told nothing.
        score: of the output against the labels that the evaluation rests on, 0 to 1; None where it is told nothing.
    """

    text: str = ""
    score: float | None = None


def evaluate(
    setting: Setting, output: Output, shown: Mapping[str, str], step: int
) -> Generator[Effect, Any, Evaluation | Failed]:
    """The evaluation of one output; a failure where the call behind it failed, so that the example is missing.

    The verdict follows from the target shown: computed from the right one, it would leak it.
    """
    if not setting.arm.evaluates:
        return Evaluation()
    target = shown[output.example.id]
    outcome = yield from grade(setting, output, target, step)
    if isinstance(outcome, Failed):
        return outcome
    if isinstance(outcome, Scored):
        answer, score, verdict = outcome.answer, outcome.score, _verdict(outcome.score)
    else:
        answer, score, verdict = "", 0.0, "incorrect (no answer could be read from the output)"
    words = {"expected": target, "answer": answer, "verdict": verdict}
    return Evaluation(setting.pack.piece("evaluation-label", words), score)


def _verdict(score: float) -> str:
    if score >= 1.0:
        return "correct"
    return "incorrect" if score <= 0.0 else f"partly correct ({score:.2f} of 1)"

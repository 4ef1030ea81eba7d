"""What the optimizer is told about an output: targets as shown, and the words around them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from nullgrad.core.arms import Evaluation, Labels
from nullgrad.core.draws import DrawPath
from nullgrad.core.effects import Effect
from nullgrad.core.forward import Output, grade
from nullgrad.core.setting import Setting
from nullgrad.core.task import Example, Scored, TaskView, UnparsedAnswer
from nullgrad.core.wrong_labels import shuffled_targets, wrong_target


def shown_targets(
    view: TaskView, labels: Labels | Evaluation, examples: Sequence[Example], draws: DrawPath, split: str
) -> Mapping[str, str]:
    """The target shown for each example of a split, by id.

    `wrong` is a function of the question alone and never the right label; `shuffled` permutes the split's
    targets within the trial, so that the marginals stay.
    """
    if labels == "wrong":
        return {one.id: wrong_target(view.wrong, one, view.labels, examples) for one in examples}
    if labels == "shuffled":
        return shuffled_targets(examples, draws.stream("shuffled", split))
    return {one.id: one.target for one in examples}


def evaluate(
    setting: Setting, output: Output, shown: Mapping[str, str], step: int
) -> Generator[Effect, Any, str]:
    """The evaluation of one output in words; "" for `none`.

    The verdict follows from the target shown: computed from the right one, it would leak it.
    """
    if setting.arm.evaluation == "none":
        return ""
    target = shown[output.example.id]
    outcome = yield from grade(setting, output, target, step)
    if isinstance(outcome, Scored):
        answer, verdict = outcome.answer, _verdict(outcome.score)
    elif isinstance(outcome, UnparsedAnswer):
        answer, verdict = "", "incorrect (no answer could be read from the output)"
    else:
        return ""
    return setting.pack.piece("evaluation-label", {"expected": target, "answer": answer, "verdict": verdict})


def _verdict(score: float) -> str:
    if score >= 1.0:
        return "correct"
    return "incorrect" if score <= 0.0 else f"partly correct ({score:.2f} of 1)"

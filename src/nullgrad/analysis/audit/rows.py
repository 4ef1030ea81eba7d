"""From a task's recorded answers to their audit: the seam between what a run records and `audit_predictions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Literal

from nullgrad.analysis.audit.predictions import MISSING, PredictionAudit, Predictions, audit_predictions
from nullgrad.core.chat import Failed
from nullgrad.core.events import CandidateScored, PromptRun, TestScored
from nullgrad.core.forward import SplitScores
from nullgrad.core.label_logprobs import label_scores
from nullgrad.core.objective import classes_of, has_classes
from nullgrad.core.task import Example, Outcome, Scored, TaskView
from nullgrad.errors import UserError

LEAST_SCORED = 0.9
"""Share of the answered examples whose label log-probabilities must be known for the bias-fitted benchmark."""

Answer = Any
"""A label, or a tuple of them; None for an answer that could not be read as one; `MISSING` for a failed call."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """What one prompt answered to some examples, in their order.

    Attributes:
        answers: see `Answer`.
        scores: label log-probabilities, each in the labels' order, None where they are not known; () where none are.
        reason: why the scores are not known, "" where they are.
    """

    answers: tuple[Answer, ...]
    scores: tuple[tuple[float, ...] | None, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """Both prompts on the same examples."""

    examples: Sequence[Example]
    before: AnswerRow
    after: AnswerRow


def no_classes(view: TaskView) -> str:
    """Why a task's answers cannot be decomposed by class, "" where they can."""
    if has_classes(view):
        return ""
    what = "are sets of labels" if view.labels else "are open"
    return f"The answers of {view.name} {what}: there is no class-wise table and no gain decomposition."


def recorded_row(view: TaskView, event: TestScored | CandidateScored | PromptRun) -> AnswerRow | None:
    """The answers that an event recorded; None where it keeps none, as older ledgers do."""
    return known_row(view, event.shown if isinstance(event, CandidateScored) else event.scores, event.answers)


def known_row(
    view: TaskView, scores: Sequence[float | None], answers: Sequence[str | None]
) -> AnswerRow | None:
    """Answers as they were read beside their scores, None of which is a failed call; None where no answers are kept."""
    if not answers or len(answers) != len(scores):
        return None
    return AnswerRow(
        tuple(
            MISSING if score is None else _answer(view, answer)
            for score, answer in zip(scores, answers, strict=True)
        )
    )


def answered_row(view: TaskView, scores: SplitScores) -> AnswerRow:
    """The answers of one reading, with label log-probabilities where the replies have them."""
    answers = tuple(_outcome(view, outcome) for outcome in scores.shown)
    if view.slots > 1:
        return AnswerRow(answers, (), "the answers have several slots")
    found = label_scores([output.reply for output in scores.outputs], view.labels)
    answered = sum(not isinstance(output.reply, Failed) for output in scores.outputs)
    if found.known < LEAST_SCORED * answered or not found.known:
        return AnswerRow(answers, (), found.reason)
    return AnswerRow(answers, found.rows, found.reason)


def audit_answers(
    view: TaskView,
    test: AnswerPair,
    validation: AnswerPair | None = None,
    *,
    prior: Mapping[str, float] | None = None,
    curve: str | None = None,
    ordinal: bool = False,
    margin: float = 0.05,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    brief: bool = False,
) -> PredictionAudit:
    """Audit two rows of answers to the same examples; asks no model.

    Relabellings and biases are fitted on `validation` where it is given and has every class of the test, else
    cross-fitted on the test; the result says which. The bias-fitted benchmark needs the before prompt's log-probabilities
    wherever it is fitted and measured.

    Args:
        view: the task, whose labels exclude one another (see `no_classes`).
        test: what the verdict is about.
        validation: what is fitted on.
        prior: {label: share} at which accuracy is re-weighted, besides the balanced one.
        curve: the class over whose share accuracy is drawn, None lets the statistics choose.
        ordinal: whether the labels' order means something.
        margin, level, resamples, seed, brief: see `audit_predictions`.

    Raises:
        UserError: nothing to compare.
    """
    usable = validation is not None and bool(validation.examples)
    fits = [validation] if usable and validation is not None else []
    scored = {
        which: all(getattr(pair, which).scores for pair in (test, *fits)) for which in ("before", "after")
    }
    truths, before, after, before_scores, after_scores = _columns(view, test, scored)
    fitted = None
    if usable and validation is not None:
        fitted = Predictions(*_columns(view, validation, scored))
    lacking: Literal["cross-fit"] = "cross-fit"
    return audit_predictions(
        truths,
        before,
        after,
        labels=view.labels,
        validation=fitted,
        before_scores=before_scores,
        after_scores=after_scores,
        ordinal=ordinal,
        unparsed=view.unparsed,
        prior=prior,
        curve=curve,
        lacking=lacking,
        margin=margin,
        level=level,
        resamples=resamples,
        seed=seed,
        brief=brief,
    )


def audit_if_any(
    view: TaskView, test: AnswerPair, validation: AnswerPair | None = None, *, brief: bool = False
) -> PredictionAudit | None:
    """`audit_answers` at the end of a run that was paid for: None where nothing can be compared."""
    try:
        return audit_answers(view, test, validation, brief=brief)
    except UserError:
        return None


def _columns(view: TaskView, pair: AnswerPair, scored: Mapping[str, bool]) -> tuple[Any, Any, Any, Any, Any]:
    """Truths, answers before and after, and log-probabilities where they are wanted; examples without a class are dropped."""
    truths = [_answer(view, example.target) for example in pair.examples]
    kept = [place for place, truth in enumerate(truths) if truth is not None]
    nothing = (nan,) * len(view.labels)

    def scores(which: str) -> Any:
        rows = getattr(pair, which).scores
        return [rows[place] or nothing for place in kept] if scored[which] else None

    return (
        [truths[place] for place in kept],
        [pair.before.answers[place] for place in kept],
        [pair.after.answers[place] for place in kept],
        scores("before"),
        scores("after"),
    )


def _outcome(view: TaskView, outcome: Outcome) -> Answer:
    if isinstance(outcome, Failed):
        return MISSING
    return _answer(view, outcome.answer) if isinstance(outcome, Scored) else None


def _answer(view: TaskView, answer: str | None) -> Answer:
    labels = classes_of(answer, view)
    return labels[0] if labels is not None and view.slots == 1 else labels

"""Running the generator on examples and scoring what it says."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Failed, Message, Reply
from nullgrad.core.draws import draw_of
from nullgrad.core.effects import Effect, ask, parallel
from nullgrad.core.setting import Setting
from nullgrad.core.task import Example, Outcome, Scored, UnparsedAnswer


@dataclass(frozen=True, slots=True)
class Output:
    """What the generator said about one example.

    Attributes:
        example: the example.
        reply: the reply, or the failure.
        answer: the answer as read; a failed call has none.
        place: the draw path's (split, pass), from which a judge's draw is derived.
    """

    example: Example
    reply: Reply | Failed
    answer: str | UnparsedAnswer | Failed
    place: tuple[str, int]

    @property
    def text(self) -> str:
        """The reply as an optimizer or a critic sees it; "" for a failed call."""
        return self.reply.text.strip() if isinstance(self.reply, Reply) else ""


def forward(
    setting: Setting,
    candidate: Candidate,
    example: Example,
    split: str,
    pass_: int = 0,
    step: int = 0,
    variant: int = 0,
) -> Generator[Effect, Any, Output]:
    """Ask the generator about one example and read its answer.

    `step` and `variant` only describe the call; the draw depends on trial, split, example and pass alone.
    """
    view = setting.view
    request = setting.request(
        "generator",
        view.messages(candidate.prompt, example),
        setting.draws.forward(split, example.id, pass_),
        choices=view.constrained,
    )
    about = setting.about("generator", "forward", split=split, example=example.id, step=step, variant=variant)
    reply = yield from ask(request, about)
    if isinstance(reply, Failed):
        return Output(example, reply, reply, (split, pass_))
    return Output(example, reply, view.scorer.read(reply.text), (split, pass_))


def grade(
    setting: Setting, output: Output, target: str, step: int = 0, variant: int = 0
) -> Generator[Effect, Any, Outcome]:
    """Score an output against a target, which may be a corrupted one."""
    answer = output.answer
    if isinstance(answer, Failed | UnparsedAnswer):
        return answer
    scorer = setting.view.scorer
    if not scorer.asks:
        return Scored(scorer.score(answer, target), answer)
    split, pass_ = output.place

    def judge(messages: tuple[Message, ...]) -> Generator[Effect, Any, str | Failed]:
        draws = setting.draws
        draw = draw_of("judge", draws.study_seed, draws.trial, draws.arm, split, output.example.id, pass_)
        about = setting.about(
            "judge", "judge", split=split, example=output.example.id, step=step, variant=variant
        )
        reply = yield from ask(setting.request("judge", messages, draw), about)
        return reply if isinstance(reply, Failed) else reply.text

    graded: Outcome = yield from scorer.grade(answer, output.example, target, judge)
    return graded


def points(outcome: Outcome) -> float | None:
    """The score of an outcome as selection sees it: unparsed is 0 (a prompt must not win by refusing), failed is missing."""
    if isinstance(outcome, Scored):
        return outcome.score
    return 0.0 if isinstance(outcome, UnparsedAnswer) else None


def answers(outcomes: Sequence[Outcome]) -> tuple[str | None, ...]:
    """Answers as read, None where a call failed or nothing could be read."""
    return tuple(outcome.answer if isinstance(outcome, Scored) else None for outcome in outcomes)


def unparsed(outcomes: Sequence[Outcome | str]) -> int:
    """How many outcomes (or answers) are the model's own unreadable ones."""
    return sum(isinstance(outcome, UnparsedAnswer) for outcome in outcomes)


@dataclass(frozen=True, slots=True)
class SplitScores:
    """Outcomes of one candidate on a split, in the order of its examples.

    Attributes:
        outputs: what the generator said.
        true: outcomes against the right targets; () where a judge would have to be paid twice.
        shown: outcomes against the targets that selection was given.
    """

    outputs: tuple[Output, ...]
    true: tuple[Outcome, ...]
    shown: tuple[Outcome, ...]


def score_split(
    setting: Setting,
    candidate: Candidate,
    split: str,
    examples: Sequence[Example],
    shown: Mapping[str, str] | None = None,
    step: int = 0,
    variant: int = 0,
) -> Generator[Effect, Any, SplitScores]:
    """Run a candidate over a split and score it; `shown` replaces targets by example id for the selection."""

    def one(example: Example) -> Generator[Effect, Any, tuple[Output, Outcome | None, Outcome]]:
        output = yield from forward(setting, candidate, example, split, 0, step, variant)
        target = example.target if shown is None else shown[example.id]
        as_shown = yield from grade(setting, output, target, step, variant)
        if target == example.target:
            return output, as_shown, as_shown
        if setting.view.scorer.asks:
            return output, None, as_shown
        true = yield from grade(setting, output, example.target, step, variant)
        return output, true, as_shown

    rows = yield from parallel(one(example) for example in examples)
    outputs = tuple(row[0] for row in rows)
    true = tuple(row[1] for row in rows if row[1] is not None)
    return SplitScores(outputs, true if len(true) == len(rows) else (), tuple(row[2] for row in rows))

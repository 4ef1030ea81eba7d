"""The pass of a batch: the generator's outputs, their evaluations, and what each text's optimizer sees of them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nullgrad.core.candidate import CRITIC, GENERATOR, Candidate
from nullgrad.core.chat import Failed
from nullgrad.core.critic import Criticism, Judgement, criticize, judge_output
from nullgrad.core.effects import Effect, emit, parallel
from nullgrad.core.evaluation import Evaluation, evaluate
from nullgrad.core.events import BatchRun, Critiqued
from nullgrad.core.forward import Output, forward, unparsed
from nullgrad.core.setting import Setting
from nullgrad.core.task import Example, UnparsedAnswer
from nullgrad.core.updates import Shown

Batch = Mapping[str, Sequence[Shown]]
"""By the name of a candidate's text: the batch as its optimizer sees it, without what failed."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One example: its output, what the optimizer is told of it, and of a critic its judgement and its criticism."""

    output: Output
    evaluation: Evaluation | Failed
    judgement: Judgement | Failed | None = None
    criticism: Criticism | Failed | None = None


def run_batch(
    setting: Setting,
    candidate: Candidate,
    batch: Sequence[Example],
    shown: Mapping[str, str],
    step: int,
    epoch: int,
) -> Generator[Effect, Any, Batch]:
    """Run the current candidate on a batch and evaluate it.

    Examples of which the generator's call or the evaluation failed are left out: shown without its evaluation, an
    example would belong to another arm.
    """
    rows = yield from parallel(_row(setting, candidate, example, shown, step, epoch) for example in batch)
    ids = tuple(example.id for example in batch)
    true = () if setting.view.scorer.asks else tuple(_true_score(setting, row.output) for row in rows)
    told = [row.evaluation.score if isinstance(row.evaluation, Evaluation) else None for row in rows]
    yield from emit(
        BatchRun(
            setting.scope,
            step,
            ids,
            true,
            unparsed([row.output.answer for row in rows]),
            sum(isinstance(row.output.reply, Failed) for row in rows),
            tuple(told) if setting.arm.evaluates else (),
        )
    )
    if setting.arm.critic:
        yield from emit(
            Critiqued(
                setting.scope,
                step,
                ids,
                tuple(row.judgement.score if isinstance(row.judgement, Judgement) else None for row in rows),
                true or (None,) * len(rows),
                tuple(row.criticism.shown if isinstance(row.criticism, Criticism) else None for row in rows),
            )
        )
    return {GENERATOR: _for_generator(rows), CRITIC: _for_critic(setting, rows)}


def _row(
    setting: Setting, candidate: Candidate, example: Example, shown: Mapping[str, str], step: int, epoch: int
) -> Generator[Effect, Any, _Row]:
    output = yield from forward(setting, candidate, example, "train", epoch, step)
    if isinstance(output.reply, Failed):
        return _Row(output, output.reply)
    if not setting.arm.critic:
        return _Row(output, (yield from evaluate(setting, output, shown, step)))
    judgement = yield from judge_output(setting, candidate, output, step)
    if isinstance(judgement, Failed):
        return _Row(output, judgement, judgement)
    evaluation = Evaluation(judgement.text, judgement.score)
    if not setting.arm.joint:
        return _Row(output, evaluation, judgement)
    return _Row(
        output, evaluation, judgement, (yield from criticize(setting, output, judgement, shown, step))
    )


def _for_generator(rows: Sequence[_Row]) -> tuple[Shown, ...]:
    return tuple(
        Shown(row.output.example.id, row.output.example.input, row.output.text, row.evaluation.text)
        for row in rows
        if isinstance(row.evaluation, Evaluation)
    )


def _for_critic(setting: Setting, rows: Sequence[_Row]) -> tuple[Shown, ...]:
    def case(row: _Row) -> str:
        return setting.pack.piece(
            "critic-case", {"input": row.output.example.input, "output": row.output.text}
        )

    return tuple(
        Shown(row.output.example.id, case(row), row.judgement.text, row.criticism.text)
        for row in rows
        if isinstance(row.judgement, Judgement) and isinstance(row.criticism, Criticism)
    )


def _true_score(setting: Setting, output: Output) -> float | None:
    """Against the right target, whatever the evaluation tells the optimizer."""
    if isinstance(output.answer, Failed):
        return None
    if isinstance(output.answer, UnparsedAnswer):
        return 0.0
    return setting.view.scorer.score(output.answer, output.example.target)

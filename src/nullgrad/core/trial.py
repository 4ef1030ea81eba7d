"""One complete optimization of one arm with one trial number, as a generator of requests."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from nullgrad.core.batches import batch_of, batch_place
from nullgrad.core.effects import Effect, emit, parallel
from nullgrad.core.evaluation import shown_targets
from nullgrad.core.events import (
    CandidateScored,
    ProposalUnparsed,
    Proposed,
    StepDone,
    TestOpened,
    TestScored,
    TrialDone,
    TrialStarted,
)
from nullgrad.core.forward import SplitScores, points, score_split, unparsed
from nullgrad.core.prompt import Candidate, Parsed, Unparsed
from nullgrad.core.selection import KEEP, Row, choose_best, choose_blindly
from nullgrad.core.setting import Setting
from nullgrad.core.task import Example
from nullgrad.core.updates import Batch, batch_outputs, propose


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial ends with.

    Attributes:
        arm: canonical arm.
        trial: trial number, from 0.
        prompt: the final prompt.
        validation: mean of the final prompt's validation row, None where it was never scored.
    """

    arm: str
    trial: int
    prompt: str
    validation: float | None


@dataclass(frozen=True, slots=True)
class _Variant:
    proposal: Parsed | Unparsed
    row: Row | None


def run_trial(setting: Setting) -> Generator[Effect, Any, TrialResult]:
    """Optimize: `steps` times propose variants and select.

    The current prompt's validation row is kept from the step that scored it: its requests would be the
    identical ones.
    """
    arm, view, scope = setting.arm, setting.view, setting.scope
    current: Candidate = {"generator": view.seed_prompt}
    row: Row | None = None
    told = (
        shown_targets(view, arm.evaluation, view.train, setting.draws, "train") if arm.uses_examples else {}
    )
    yield from emit(TrialStarted(scope, current["generator"]))
    for step in range(1, setting.steps + 1):
        batch: Batch = ()
        if arm.uses_examples:
            place = batch_place(step, len(view.train), setting.batch_size)
            examples = batch_of(view.train, place, setting.draws)
            batch = yield from batch_outputs(setting, current, examples, told, step, place.epoch)
        guard = (
            [_score_current(setting, current, step)] if arm.selection == "validated" and row is None else []
        )
        results = yield from parallel(
            [*guard, *(_variant(setting, current, batch, step, number) for number in range(arm.n))]
        )
        if guard:
            row = results[0].row
        variants = dict(enumerate(results[len(guard) :]))
        chosen = _select(setting, variants, row, step)
        if chosen != KEEP:
            proposal = variants[chosen].proposal
            assert isinstance(proposal, Parsed)
            current, row = {"generator": proposal.prompt}, variants[chosen].row
        yield from emit(StepDone(scope, step, chosen, current["generator"]))
    yield from emit(TrialDone(scope, current["generator"], setting.steps))
    known = [score for score in row or () if score is not None]
    return TrialResult(
        arm.canonical, setting.trial, current["generator"], sum(known) / len(known) if known else None
    )


def _variant(
    setting: Setting, current: Candidate, batch: Batch, step: int, number: int
) -> Generator[Effect, Any, _Variant]:
    """Propose one variant and, where the selection validates, score it at once: no barrier between variants."""
    proposal = yield from propose(setting, current, batch, step, number)
    if isinstance(proposal, Unparsed):
        yield from emit(ProposalUnparsed(setting.scope, step, number, proposal.reason, proposal.text))
        return _Variant(proposal, None)
    yield from emit(Proposed(setting.scope, step, number, proposal.prompt))
    if not setting.arm.validates:
        return _Variant(proposal, None)
    row = yield from _validate(setting, {"generator": proposal.prompt}, step, number)
    return _Variant(proposal, row)


def _score_current(setting: Setting, current: Candidate, step: int) -> Generator[Effect, Any, _Variant]:
    row = yield from _validate(setting, current, step, KEEP)
    return _Variant(Parsed(current["generator"]), row)


def _validate(setting: Setting, candidate: Candidate, step: int, number: int) -> Generator[Effect, Any, Row]:
    view = setting.view
    shown = shown_targets(view, setting.arm.validation_labels, view.validation, setting.draws, "validation")
    scores = yield from score_split(
        setting, candidate, "validation", view.validation, shown, step, max(number, 0)
    )
    row = tuple(points(outcome) for outcome in scores.shown)
    true = tuple(points(outcome) for outcome in scores.true)
    yield from emit(
        CandidateScored(
            setting.scope, step, number, candidate["generator"], true, row, unparsed(scores.shown)
        )
    )
    return row


def _select(setting: Setting, variants: dict[int, _Variant], current: Row | None, step: int) -> int:
    arm = setting.arm
    parsed = [number for number, one in variants.items() if isinstance(one.proposal, Parsed)]
    if arm.validates:
        rows = {number: row for number, one in variants.items() if (row := one.row) is not None}
        return choose_best(rows, current if arm.selection == "validated" else None)
    return choose_blindly(parsed, setting.draws.stream("random", step))


def run_test(
    setting: Setting, prompt: str, purpose: str, test: tuple[Example, ...]
) -> Generator[Effect, Any, SplitScores]:
    """Open the sealed test split for one prompt, after selection."""
    yield from emit(TestOpened(setting.scope, purpose, prompt))
    scores = yield from score_split(setting, {"generator": prompt}, "test", test)
    row = tuple(points(outcome) for outcome in scores.shown)
    yield from emit(TestScored(setting.scope, purpose, prompt, row, unparsed(scores.shown)))
    return scores

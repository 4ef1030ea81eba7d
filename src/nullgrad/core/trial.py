"""One complete optimization of one arm with one trial number, as a generator of requests."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from nullgrad.core.batch_pass import Batch, run_batch
from nullgrad.core.batches import batch_of, batch_place
from nullgrad.core.candidate import CRITIC, Candidate
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
from nullgrad.core.forward import SplitScores, answers, points, score_split, unparsed
from nullgrad.core.objective import objective_row
from nullgrad.core.prompt import Unparsed
from nullgrad.core.rows import mean_known
from nullgrad.core.selection import KEEP, Row, choose_best, choose_blindly
from nullgrad.core.setting import Setting
from nullgrad.core.task import Example
from nullgrad.core.updates import Subject, propose


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial ends with.

    Attributes:
        arm: canonical arm.
        trial: trial number, from 0.
        candidate: the final candidate.
        validation: mean of its validation row, None where it was never scored.
    """

    arm: str
    trial: int
    candidate: Candidate
    validation: float | None


@dataclass(frozen=True, slots=True)
class _Variant:
    """A variant of a step: the candidate if one was read, and its validation row where the selection scores it."""

    candidate: Candidate | None
    row: Row | None


def run_trial(setting: Setting) -> Generator[Effect, Any, TrialResult]:
    """Optimize: `steps` times propose variants and select.

    The current prompt's validation row is kept from the step that scored it: its requests would be the
    identical ones.
    """
    arm, view, scope = setting.arm, setting.view, setting.scope
    current = seed_candidate(setting)
    row: Row | None = None
    told = (
        shown_targets(view, arm.labels, view.train, setting.draws, "train")
        if arm.evaluates and not arm.frozen
        else {}
    )
    asked = (
        shown_targets(view, arm.validation_labels, view.validation, setting.draws, "validation")
        if arm.validates
        else {}
    )
    yield from emit(TrialStarted(scope, current.digest, current.texts))
    for step in range(1, setting.steps + 1):
        batch: Batch = {}
        if arm.uses_examples:
            place = batch_place(step, len(view.train), setting.batch_size)
            examples = batch_of(view.train, place, setting.draws)
            batch = yield from run_batch(setting, current, examples, told, step, place.epoch)
        guard = (
            [_score_current(setting, current, asked, step)]
            if arm.selection == "validated" and row is None
            else []
        )
        results = yield from parallel(
            [*guard, *(_variant(setting, current, batch, asked, step, number) for number in range(arm.n))]
        )
        if guard:
            row = results[0].row
        variants = dict(enumerate(results[len(guard) :]))
        chosen = _select(setting, variants, row, step)
        if chosen != KEEP:
            taken = variants[chosen].candidate
            assert taken is not None
            current, row = taken, variants[chosen].row
        yield from emit(StepDone(scope, step, chosen, current.digest))
    yield from emit(TrialDone(scope, current.digest, setting.steps))
    return TrialResult(arm.canonical, setting.trial, current, mean_known(row or ()))


def seed_candidate(setting: Setting) -> Candidate:
    """What a trial begins from: the seed prompt, and in critic arms the critic's."""
    seed = Candidate.of(setting.view.seed_prompt)
    return seed.having(CRITIC, setting.pack.piece("critic-seed", {})) if setting.arm.critic else seed


def _variant(
    setting: Setting, current: Candidate, batch: Batch, asked: Mapping[str, str], step: int, number: int
) -> Generator[Effect, Any, _Variant]:
    """Propose one variant and, where the selection validates, score it at once: no barrier between variants.

    A critic's prompt is proposed beside the generator's. Where one of the two cannot be read, it stays as it was.
    """
    names = setting.arm.optimized
    proposals = yield from parallel(
        propose(setting, Subject(name, current[name], batch.get(name, ())), step, number) for name in names
    )
    candidate = current
    kept: list[str] = []
    for name, proposal in zip(names, proposals, strict=True):
        if isinstance(proposal, Unparsed):
            kept.append(name)
        else:
            candidate = candidate.having(name, proposal.prompt)
    if len(kept) == len(names):
        first = proposals[0]
        assert isinstance(first, Unparsed)
        yield from emit(ProposalUnparsed(setting.scope, step, number, first.reason, first.text))
        return _Variant(None, None)
    yield from emit(Proposed(setting.scope, step, number, candidate.digest, candidate.texts, tuple(kept)))
    if not setting.arm.validates:
        return _Variant(candidate, None)
    row = yield from _validate(setting, candidate, asked, step, number)
    return _Variant(candidate, row)


def _score_current(
    setting: Setting, current: Candidate, asked: Mapping[str, str], step: int
) -> Generator[Effect, Any, _Variant]:
    row = yield from _validate(setting, current, asked, step, KEEP)
    return _Variant(current, row)


def _validate(
    setting: Setting, candidate: Candidate, asked: Mapping[str, str], step: int, number: int
) -> Generator[Effect, Any, Row]:
    examples = setting.view.validation
    scores = yield from score_split(setting, candidate, "validation", examples, asked, step, number)
    row = objective_row(setting.objective, setting.view, examples, asked, scores.shown)
    true = tuple(points(outcome) for outcome in scores.true)
    yield from emit(
        CandidateScored(
            setting.scope,
            step,
            number,
            candidate.digest,
            true,
            row,
            unparsed(scores.shown),
            answers(scores.shown),
        )
    )
    return row


def _select(setting: Setting, variants: dict[int, _Variant], current: Row | None, step: int) -> int:
    arm = setting.arm
    parsed = [number for number, one in variants.items() if one.candidate is not None]
    if arm.validates:
        rows = {number: row for number, one in variants.items() if (row := one.row) is not None}
        return choose_best(rows, current if arm.selection == "validated" else None)
    return choose_blindly(parsed, setting.draws.stream("random", step))


def run_test(
    setting: Setting, candidate: Candidate, purpose: str, test: tuple[Example, ...], step: int = 0
) -> Generator[Effect, Any, SplitScores]:
    """Open the sealed test split for one candidate, after selection; `step` tells the points of a curve apart."""
    yield from emit(TestOpened(setting.scope, purpose, candidate.digest, step))
    scores = yield from score_split(setting, candidate, "test", test)
    row = tuple(points(outcome) for outcome in scores.shown)
    yield from emit(
        TestScored(
            setting.scope, purpose, candidate.digest, row, unparsed(scores.shown), answers(scores.shown), step
        )
    )
    return scores

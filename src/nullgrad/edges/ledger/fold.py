"""Whether the facts of one trial follow from each other: the fold by which a ledger is verified.

In the order of their ids, causes come before effects, also over resumes: a replay states every cause again
before its effect, and what is there already keeps its earlier place.
"""

from __future__ import annotations

from nullgrad.core.arms import Arm, parse_arm
from nullgrad.core.events import (
    CandidateScored,
    Event,
    ProposalUnparsed,
    Proposed,
    StepDone,
    TestOpened,
    TestScored,
    TrialDone,
    TrialStarted,
)
from nullgrad.core.selection import KEEP, Row, choose_best
from nullgrad.errors import UserError


class ScopeFold:
    """The state of one scope of one run; `take` its events in order."""

    def __init__(self, scope: str) -> None:
        self._arm = _arm_of(scope)
        self._current: str | None = None
        self._row: Row | None = None
        self._length: int | None = None
        self._done: str | None = None
        self._proposals: dict[tuple[int, int], str] = {}
        self._rows: dict[tuple[int, int], Row] = {}
        self._opened: set[tuple[str, str]] = set()
        self._stated: set[tuple[object, ...]] = set()

    def take(self, event: Event) -> str | None:
        """What is wrong with an event after those before it, None where it follows."""
        place = _place(event)
        if place is not None:
            if place in self._stated:
                return f"contradicts an earlier {event.kind} of the same trial"
            self._stated.add(place)
        match event:
            case TrialStarted():
                self._current = event.candidate
            case Proposed():
                self._proposals[event.step, event.variant] = event.candidate
            case CandidateScored():
                return self._scored(event)
            case StepDone():
                return self._stepped(event)
            case TrialDone():
                self._done = event.candidate
                if event.candidate != self._current:
                    return "the trial ended with a prompt that is not the one of its last step"
            case TestOpened():
                self._opened.add((event.purpose, event.candidate))
                if event.purpose == "final" and self._current is not None and event.candidate != self._done:
                    return "the test split was opened for a prompt with which the trial had not ended"
            case TestScored():
                if (event.purpose, event.candidate) not in self._opened:
                    return "the test split was scored without having been opened for this purpose and prompt"
        return None

    def _scored(self, event: CandidateScored) -> str | None:
        if self._arm is not None and self._length not in (None, len(event.shown)):
            return f"step {event.step} scored {len(event.shown)} examples, {self._length} before"
        self._length = len(event.shown)
        if event.variant == KEEP:
            self._row = event.shown
            if event.candidate != self._current:
                return f"step {event.step} scored a prompt as the current one that was not"
            return None
        self._rows[event.step, event.variant] = event.shown
        if event.candidate != self._proposals.get((event.step, event.variant)):
            return f"step {event.step} scored a prompt that variant {event.variant} did not propose"
        return None

    def _stepped(self, event: StepDone) -> str | None:
        choice = self._choice(event.step)
        came_from = (
            self._current if event.variant == KEEP else self._proposals.get((event.step, event.variant))
        )
        self._current = event.candidate
        if event.variant != KEEP:
            self._row = self._rows.get((event.step, event.variant))
        if event.candidate != came_from:
            whose = (
                "is not the current one"
                if event.variant == KEEP
                else f"variant {event.variant} did not propose"
            )
            return f"step {event.step} ended with a prompt that {whose}"
        if choice is not None and choice != event.variant:
            return f"step {event.step} took {_named(event.variant)}, but by the scores it is {_named(choice)}"
        return None

    def _choice(self, step: int) -> int | None:
        """What the recorded scores choose, None where scores do not decide or are not all there."""
        if self._arm is None or not self._arm.validates:
            return None
        guarded = self._arm.selection == "validated"
        if guarded and self._row is None:
            return None
        rows = {variant: row for (at, variant), row in self._rows.items() if at == step}
        current = self._row if guarded else None
        return choose_best(rows, current)


def _named(variant: int) -> str:
    return "the current prompt" if variant == KEEP else f"variant {variant}"


def _place(event: Event) -> tuple[object, ...] | None:
    """What only one event of a scope may fill, None where several may differ."""
    match event:
        case Proposed() | ProposalUnparsed():
            return ("proposal", event.step, event.variant)
        case CandidateScored():
            return (event.kind, event.step, event.variant)
        case StepDone():
            return (event.kind, event.step)
        case TrialStarted() | TrialDone():
            return (event.kind,)
        case TestScored():
            return (event.kind, event.purpose, event.candidate)
    return None


def _arm_of(scope: str) -> Arm | None:
    """The arm of a trial's scope, None for the run's own and for optimizers that are none of our arms."""
    try:
        return parse_arm(scope.partition("#")[0])
    except UserError:
        return None

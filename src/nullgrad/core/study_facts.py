"""What a study established, as a fold over its events: no reply has to be read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nullgrad.core.arms import SEED
from nullgrad.core.candidate import Candidate
from nullgrad.core.events import (
    BatchRun,
    CandidateScored,
    Critiqued,
    Event,
    ProposalUnparsed,
    Proposed,
    StepDone,
    TestScored,
    TrialDone,
    TrialStarted,
)
from nullgrad.core.selection import KEEP, Row

Answers = tuple[str | None, ...]


@dataclass(slots=True)
class StepFacts:
    """One step of a trial.

    Attributes:
        batch: the current candidate on its batch, None where the arm sees no example.
        critiqued: the critic's judgements of it, None without a critic.
        proposed: variants that were read, by number.
        unparsed: reasons why the others were not, by number.
        scored: variants (and the current candidate as `KEEP`) scored on validation in this step.
        chosen: the variant taken, `KEEP` for none; None while the step is not done.
        candidate: digest of the candidate after the step, "" while it is not done.
    """

    batch: BatchRun | None = None
    critiqued: Critiqued | None = None
    proposed: dict[int, Candidate] = field(default_factory=dict)
    unparsed: dict[int, str] = field(default_factory=dict)
    scored: dict[int, CandidateScored] = field(default_factory=dict)
    chosen: int | None = None
    candidate: str = ""


@dataclass(slots=True)
class TrialFacts:
    """One trial of one arm in one cell.

    Attributes:
        cell: name of the cell, "" outside studies.
        arm: canonical arm.
        trial: its number.
        texts: every candidate that arose, by digest.
        seed: digest of what it began from.
        steps: by number, from 1.
        final: the final candidate, None while the trial runs.
        test: the final candidate on test (for the arm `seed` the seed prompt), None while it was not read.
        curve: test readings by step.
    """

    cell: str
    arm: str
    trial: int
    texts: dict[str, Candidate] = field(default_factory=dict)
    seed: str = ""
    steps: dict[int, StepFacts] = field(default_factory=dict)
    final: Candidate | None = None
    test: TestScored | None = None
    curve: dict[int, TestScored] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the trial ended and its final candidate was read on test."""
        return self.test is not None and (self.final is not None or self.arm == SEED.canonical)

    @property
    def row(self) -> Row | None:
        """Test scores of the final candidate in the order of the examples, None while they are not there."""
        return self.test.scores if self.test is not None else None

    def step(self, number: int) -> StepFacts:
        """The step of that number, made where it is new."""
        return self.steps.setdefault(number, StepFacts())


Key = tuple[str, str, int]
"""Cell's name, canonical arm, trial."""


def parse_scope(scope: str) -> Key | None:
    """Cell, arm and trial of a scope, None for the run's own."""
    arm, separator, rest = scope.partition("#")
    trial, _, cell = rest.partition("@")
    return (cell, arm, int(trial)) if separator and trial.isdigit() else None


def fold_trials(events: Iterable[Event]) -> Mapping[Key, TrialFacts]:
    """Every trial that the events tell of."""
    found: dict[Key, TrialFacts] = {}
    for event in events:
        key = parse_scope(event.scope)
        if key is not None:
            _take(found.setdefault(key, TrialFacts(*key)), event)
    return found


def _take(trial: TrialFacts, event: Event) -> None:
    match event:
        case TrialStarted():
            trial.seed = event.candidate
            trial.texts[event.candidate] = Candidate(event.texts)
        case BatchRun():
            trial.step(event.step).batch = event
        case Critiqued():
            trial.step(event.step).critiqued = event
        case Proposed():
            trial.texts[event.candidate] = Candidate(event.texts)
            trial.step(event.step).proposed[event.variant] = trial.texts[event.candidate]
        case ProposalUnparsed():
            trial.step(event.step).unparsed[event.variant] = event.reason
        case CandidateScored():
            trial.step(event.step).scored[event.variant] = event
        case StepDone():
            step = trial.step(event.step)
            step.chosen, step.candidate = event.variant, event.candidate
        case TrialDone():
            trial.final = trial.texts.get(event.candidate)
        case TestScored() if event.purpose == "curve":
            trial.curve[event.step] = event
        case TestScored() if event.purpose in ("final", "seed"):
            trial.test = event


__all__ = ["KEEP", "Key", "StepFacts", "TrialFacts", "fold_trials", "parse_scope"]

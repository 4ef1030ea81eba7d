"""Facts stated during a run, and how they are written down.

An event is identified by the hash of its run, its scope and its body, so that a replay states the same
events and adds nothing. Bodies carry whatever tells two events of one scope apart (step, variant). A candidate's
texts are stated once, where it arises; other events name it by its digest.

A field that comes later has a default, so that older ledgers are read; a change of meaning makes a new kind.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events. `scope` is `canonical-arm#trial`, in a study followed by `@cell`; "" for the run itself."""

    kind: ClassVar[str] = ""
    scope: str

    def body(self) -> dict[str, Any]:
        """The event as JSON values, without its scope and without fields that stand at their default.

        A field that comes later thus leaves the identity of older events as it is.
        """
        return {
            field.name: value
            for field in fields(self)
            if field.name != "scope" and (value := getattr(self, field.name)) != field.default
        }

    def canonical(self) -> str:
        """The text that is hashed and stored."""
        return json.dumps(
            [self.kind, self.scope, self.body()], ensure_ascii=True, separators=(",", ":"), sort_keys=True
        )

    def digest(self, run: str) -> str:
        """Identity of the event in a run: SHA-256, 64 hexadecimal digits."""
        return event_digest(run, self.canonical())


def event_digest(run: str, canonical: str) -> str:
    """SHA-256 over the run's identity and an event's canonical text."""
    return hashlib.sha256(f"{run}\n{canonical}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TrialStarted(Event):
    """A trial begins from a candidate, whose texts are stated here."""

    kind: ClassVar[str] = "trial-started"
    candidate: str
    texts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BatchRun(Event):
    """The current prompt was run on a batch.

    `examples` are ids; `scores` are true ones, None where the call failed, () where scoring would need a judge;
    `shown` are against the labels that the optimizer is told, () where it is told none. `failed` counts failed calls.
    """

    kind: ClassVar[str] = "batch-run"
    step: int
    examples: tuple[str, ...]
    scores: tuple[float | None, ...]
    unparsed: int
    failed: int = 0
    shown: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Critiqued(Event):
    """The critic judged the outputs of a batch.

    In the order of `examples` (ids): `judged` is how correct it held them (None where unread or failed), `true` and
    `shown` how correct they are by the right label and by the one shown (None where not scored), 0 to 1.
    """

    kind: ClassVar[str] = "critiqued"
    step: int
    examples: tuple[str, ...]
    judged: tuple[float | None, ...]
    true: tuple[float | None, ...]
    shown: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Proposed(Event):
    """A variant of a step was read from an optimizer's reply; its texts are stated here.

    `kept` names the texts that stay as they were, because of their own reply no prompt came.
    """

    kind: ClassVar[str] = "proposed"
    step: int
    variant: int
    candidate: str
    texts: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposalUnparsed(Event):
    """A variant of a step could not be read: no prompt came of it."""

    kind: ClassVar[str] = "proposal-unparsed"
    step: int
    variant: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class CandidateScored(Event):
    """A candidate was scored on validation.

    `scores` follows the order of the validation examples; None where the call failed. `variant` is -1 for
    the current prompt. `shown` are the scores that selection used, which differ under wrong or shuffled labels.
    `unparsed` counts the answers that could not be read, `answers` are those that could, None elsewhere.
    """

    kind: ClassVar[str] = "candidate-scored"
    step: int
    variant: int
    candidate: str
    scores: tuple[float | None, ...]
    shown: tuple[float | None, ...]
    unparsed: int
    answers: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class StepDone(Event):
    """A step ended with `candidate` as the current one; `variant` is -1 where the current one was kept."""

    kind: ClassVar[str] = "step-done"
    step: int
    variant: int
    candidate: str


@dataclass(frozen=True, slots=True)
class TrialDone(Event):
    """A trial ended with its final candidate."""

    kind: ClassVar[str] = "trial-done"
    candidate: str
    steps: int


@dataclass(frozen=True, slots=True)
class TestOpened(Event):
    """The sealed test split is read for one candidate, after selection.

    `purpose` is `seed`, `best`, `final` (of a trial) or `curve` (by step, after the trial has ended); of an audit
    `before`, `after`, `shortest`, and `before-fresh` and `after-fresh` under fresh draws.
    """

    kind: ClassVar[str] = "test-opened"
    purpose: str
    candidate: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class TestScored(Event):
    """The result of one reading of the test split.

    `scores` follows the order of the examples, None where missing; `unparsed` counts answers that could not be read,
    `answers` are those that could, None elsewhere.
    """

    kind: ClassVar[str] = "test-scored"
    purpose: str
    candidate: str
    scores: tuple[float | None, ...]
    unparsed: int
    answers: tuple[str | None, ...] = ()
    step: int = 0


@dataclass(frozen=True, slots=True)
class AuditStarted(Event):
    """Two prompts are audited: `before` and `after` are digests of candidates, whose texts are stated here."""

    kind: ClassVar[str] = "audit-started"
    before: str
    after: str
    texts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PromptRun(Event):
    """A prompt of an audit was run on examples that are not the sealed test.

    `part` says which: `before`, `after`, `full`, or of an ablation what was left out or kept; `text` is stated for
    prompts that arose here. `split` is `validation`, `fresh` or `fresh:` with a share. In the order of the examples,
    `scores` are None where the call failed, `answers` None where nothing could be read.
    """

    kind: ClassVar[str] = "prompt-run"
    part: str
    split: str
    candidate: str
    scores: tuple[float | None, ...]
    unparsed: int
    answers: tuple[str | None, ...] = ()
    repeat: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reported(Event):
    """What a run reported, as JSON without what this or that command paid."""

    kind: ClassVar[str] = "reported"
    result: str


@dataclass(frozen=True, slots=True)
class ForeignStarted(Event):
    """A trial of a third-party optimizer begins; `version` is that of its package, the seed's texts are stated here."""

    kind: ClassVar[str] = "foreign-started"
    optimizer: str
    version: str
    candidate: str
    texts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignCandidate(Event):
    """A third-party optimizer reported a candidate as it arose; its texts are stated here.

    `claimed` is the library's own score of it, None where it has none; `parents` are numbers of earlier candidates.
    """

    kind: ClassVar[str] = "foreign-candidate"
    number: int
    candidate: str
    texts: tuple[tuple[str, str], ...] = ()
    claimed: float | None = None
    parents: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignDone(Event):
    """A trial of a third-party optimizer ended: it `returned`, its `budget` was spent, or it `failed`.

    `candidate` is "" where there is no result. `calls` are (role, calls) as if nothing were shared, `failures` those
    that got an error. What ended differently in an earlier attempt is stated again: the last one counts.
    """

    kind: ClassVar[str] = "foreign-done"
    ended: str
    candidate: str = ""
    claimed: float | None = None
    calls: tuple[tuple[str, int], ...] = ()
    failures: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Compared(Event):
    """One trial of a comparison ended, whoever optimized; what it came to, so that it need not run again.

    `texts` are those of its result `candidate`, "" and () where there is none. `claimed` is the optimizer's own score
    of it and `claimed_seed` that of the seed prompt. `use` are, by role, (role, calls, paid, replayed, joined, failed,
    refused, prompt tokens, completion tokens, uncounted, dollars, dollars paid), dollars as decimal texts, "" where
    unknown. `seconds` is wall time. The last one of a scope counts.
    """

    kind: ClassVar[str] = "trial-compared"
    ended: str
    candidate: str = ""
    texts: tuple[tuple[str, str], ...] = ()
    claimed: float | None = None
    claimed_seed: float | None = None
    use: tuple[tuple[Any, ...], ...] = ()
    seconds: float | None = None
    version: str = ""
    counters: tuple[tuple[str, float], ...] = ()
    failures: int = 0
    reason: str = ""


KINDS: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        TrialStarted, BatchRun, Critiqued, Proposed, ProposalUnparsed, CandidateScored, StepDone, TrialDone, TestOpened, TestScored,
        AuditStarted, PromptRun, Reported,
        ForeignStarted, ForeignCandidate, ForeignDone, Compared,
    )
}  # fmt: skip
"""Every event by its kind."""


def parse_event(canonical: str) -> Event:
    """The event that `Event.canonical` wrote.

    Raises:
        ValueError: the kind is unknown or the body does not fit it.
    """
    kind, scope, body = json.loads(canonical)
    if kind not in KINDS:
        raise ValueError(f"unknown event kind {kind!r}")
    values = {key: _frozen(value) for key, value in body.items()}
    try:
        return KINDS[kind](scope=scope, **values)
    except TypeError as error:
        raise ValueError(f"event {kind!r}: {error}") from None


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value

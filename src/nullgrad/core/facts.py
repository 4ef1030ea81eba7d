"""Facts of a run, and folds over its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nullgrad.core.arms import Arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.events import (
    BatchRun,
    CandidateScored,
    Event,
    ProposalUnparsed,
    Proposed,
    StepDone,
    TestScored,
    TrialDone,
    TrialStarted,
)
from nullgrad.core.forward import SplitScores
from nullgrad.core.plan import Plan
from nullgrad.core.rows import mean_known
from nullgrad.core.setting import scope_of


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a trial stands.

    Attributes:
        scope: `canonical-arm#trial`.
        candidate: the current candidate.
        step: steps done.
        done: whether the trial is complete.
        validation: mean of the current candidate's validation row as selection saw it, None where never scored.
    """

    scope: str
    candidate: Candidate
    step: int = 0
    done: bool = False
    validation: float | None = None


def standings(events: Iterable[Event]) -> dict[str, Standing]:
    """Fold events into the standing of each trial, by scope."""
    result: dict[str, Standing] = {}
    texts: dict[tuple[str, str], Candidate] = {}
    scored: dict[tuple[str, str], float | None] = {}
    for event in events:
        scope = event.scope
        if isinstance(event, TrialStarted):
            texts[scope, event.candidate] = Candidate(event.texts)
            result[scope] = Standing(scope, Candidate(event.texts))
        elif isinstance(event, Proposed):
            texts[scope, event.candidate] = Candidate(event.texts)
        elif isinstance(event, CandidateScored):
            scored[scope, event.candidate] = mean_known(event.shown)
        elif isinstance(event, StepDone):
            key = (scope, event.candidate)
            result[scope] = Standing(scope, texts[key], event.step, False, scored.get(key))
        elif isinstance(event, TrialDone):
            result[scope] = replace(result[scope], done=True)
    return result


def reported_trial(arm: Arm, trials: int, folded: dict[str, Standing]) -> int:
    """The trial whose prompt is reported: the best by its validation mean, ties to the lowest number.

    Arms that score nothing on validation report trial 0: choosing by anything else would look at the test.
    """
    means = [
        (standing.validation if (standing := folded.get(scope_of(arm, trial))) else None)
        for trial in range(trials)
    ]
    known = [mean for mean in means if mean is not None]
    return means.index(max(known)) if known else 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Forward answers by what became of them.

    Attributes:
        scored: read and scored.
        unparsed: the model's own unreadable ones.
        failed: calls that failed; missing.
        ungraded: of batches that only a judge could score: read, and never scored against the right target.
    """

    scored: int = 0
    unparsed: int = 0
    failed: int = 0
    ungraded: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.scored + other.scored,
            self.unparsed + other.unparsed,
            self.failed + other.failed,
            self.ungraded + other.ungraded,
        )


def outcome_tally(events: Iterable[Event]) -> dict[str, Tally]:
    """Outcomes of every forward answer of a run, by split; each reading and candidate counted once."""
    total = {"train": Tally(), "validation": Tally(), "test": Tally()}
    for event in events:
        if isinstance(event, CandidateScored):
            total["validation"] += _tally(event.shown, event.unparsed)
        elif isinstance(event, TestScored):
            total["test"] += _tally(event.scores, event.unparsed)
        elif isinstance(event, BatchRun) and event.scores:
            total["train"] += _tally(event.scores, event.unparsed)
        elif isinstance(event, BatchRun):
            rest = len(event.examples) - event.unparsed - event.failed
            total["train"] += Tally(unparsed=event.unparsed, failed=event.failed, ungraded=rest)
    return total


def _tally(scores: Sequence[float | None], unparsed: int) -> Tally:
    failed = sum(score is None for score in scores)
    return Tally(len(scores) - failed - unparsed, unparsed, failed)


def unparsed_proposals(events: Iterable[Event]) -> dict[str, int]:
    """Proposals of which no prompt came, by reason."""
    counts: dict[str, int] = {}
    for event in events:
        if isinstance(event, ProposalUnparsed):
            counts[event.reason] = counts.get(event.reason, 0) + 1
    return counts


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the sealed test split.

    Attributes:
        purpose: `seed`, `best` or `final`.
        candidate: what was read.
        scores: what came of it, in the order of the test examples.
    """

    purpose: str
    candidate: Candidate
    scores: SplitScores


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the ladder.

    Attributes:
        trial: its number.
        rows: by canonical arm, the seed as `seed`: test scores of the final prompt in the order of the examples,
            None where the call failed, or was unparsed under the policy `exclude`.
    """

    trial: int
    rows: dict[str, tuple[float | None, ...]]


@dataclass(frozen=True, slots=True)
class Spend:
    """What this command asked and paid.

    Attributes:
        paid, replayed, joined, failed, retried: calls. `failed` counts calls that failed for good, paid or replayed.
        prompt_tokens, completion_tokens, cached_tokens: of the paid calls, as endpoints counted them.
        uncounted: paid calls whose endpoint did not say how many tokens they used.
        usd: dollars of the paid calls, None where a price is unknown.
        by_role: calls asked by role, replays and joined requests included.
        seconds: wall time.
    """

    paid: int = 0
    replayed: int = 0
    joined: int = 0
    failed: int = 0
    retried: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    uncounted: int = 0
    usd: float | None = None
    by_role: tuple[tuple[str, int], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a run of `optimize` established.

    Attributes:
        plan: what was asked for.
        events: every fact stated, in order.
        trial: the trial whose prompt is reported.
        best: the reported candidate.
        seed_reading: the seed prompt on test.
        best_reading: the reported prompt on test; the seed's own where they are the same prompt.
        blocks: complete blocks of controls, by trial.
        stopped: why the run ended early ("" if it did not).
        spend: calls, tokens and dollars.
        validation: of the seed and the reported prompt, from what is recorded; None where one of them was not run there.
    """

    plan: Plan
    events: tuple[Event, ...]
    trial: int
    best: Candidate
    seed_reading: Reading
    best_reading: Reading
    blocks: tuple[Block, ...]
    stopped: str
    spend: Spend
    validation: tuple[SplitScores, SplitScores] | None = None

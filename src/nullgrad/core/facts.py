"""Facts of a run, and folds over its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nullgrad.core.arms import Arm
from nullgrad.core.events import (
    BatchRun,
    CandidateScored,
    Event,
    ProposalUnparsed,
    StepDone,
    TestScored,
    TrialDone,
    TrialStarted,
)
from nullgrad.core.forward import SplitScores
from nullgrad.core.plan import Plan


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a trial stands.

    Attributes:
        scope: `canonical-arm#trial`.
        prompt: the current prompt.
        step: steps done.
        done: whether the trial is complete.
        validation: mean of the current prompt's validation row as selection saw it, None where never scored.
    """

    scope: str
    prompt: str
    step: int = 0
    done: bool = False
    validation: float | None = None


def standings(events: Iterable[Event]) -> dict[str, Standing]:
    """Fold events into the standing of each trial, by scope."""
    result: dict[str, Standing] = {}
    scored: dict[tuple[str, str], float | None] = {}
    for event in events:
        scope = event.scope
        if isinstance(event, TrialStarted):
            result[scope] = Standing(scope, event.prompt)
        elif isinstance(event, CandidateScored):
            known = [score for score in event.shown if score is not None]
            scored[scope, event.prompt] = sum(known) / len(known) if known else None
        elif isinstance(event, StepDone):
            result[scope] = Standing(
                scope, event.prompt, event.step, False, scored.get((scope, event.prompt))
            )
        elif isinstance(event, TrialDone):
            before = result[scope]
            result[scope] = Standing(scope, event.prompt, before.step, True, before.validation)
    return result


def reported_trial(arm: Arm, trials: int, folded: dict[str, Standing]) -> int:
    """The trial whose prompt is reported: the best by its validation mean, ties to the lowest number.

    Arms that score nothing on validation report trial 0: choosing by anything else would look at the test.
    """
    means = [
        (standing.validation if (standing := folded.get(f"{arm.canonical}#{trial}")) else None)
        for trial in range(trials)
    ]
    known = [mean for mean in means if mean is not None]
    return means.index(max(known)) if known else 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Forward answers by what became of them."""

    scored: int = 0
    unparsed: int = 0
    failed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.scored + other.scored, self.unparsed + other.unparsed, self.failed + other.failed)


def outcome_tally(events: Iterable[Event]) -> dict[str, Tally]:
    """Outcomes of every forward answer of a run, by split; each reading and candidate counted once."""
    total = {"train": Tally(), "validation": Tally(), "test": Tally()}
    for event in events:
        if isinstance(event, CandidateScored):
            total["validation"] += _tally(event.shown, event.unparsed)
        elif isinstance(event, TestScored):
            total["test"] += _tally(event.scores, event.unparsed)
        elif isinstance(event, BatchRun):
            scores = event.scores or (0.0,) * len(event.examples)
            total["train"] += _tally(scores, event.unparsed)
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
        prompt: the prompt that was read.
        scores: what came of it, in the order of the test examples.
    """

    purpose: str
    prompt: str
    scores: SplitScores


@dataclass(frozen=True, slots=True)
class Block:
    """One complete block of the ladder: mean test score of the final prompt of every arm, by canonical arm.

    The seed is `seed`. None where every call of the reading failed.
    """

    trial: int
    scores: dict[str, float | None]


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
        best: the reported prompt.
        seed_reading: the seed prompt on test.
        best_reading: the reported prompt on test; the seed's own where they are the same prompt.
        blocks: complete blocks of controls, by trial.
        stopped: why the run ended early ("" if it did not).
        spend: calls, tokens and dollars.
    """

    plan: Plan
    events: tuple[Event, ...]
    trial: int
    best: str
    seed_reading: Reading
    best_reading: Reading
    blocks: tuple[Block, ...]
    stopped: str
    spend: Spend

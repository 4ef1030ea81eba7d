"""What a comparison established, as a fold over its events: what ended is not run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

from nullgrad.core.arms import SEED
from nullgrad.core.candidate import Candidate
from nullgrad.core.compare import ComparedTrial, Comparison, Entry, SeedScores
from nullgrad.core.events import CandidateScored, Compared, Event, TestScored
from nullgrad.core.foreign import Claim, Ending, Use
from nullgrad.core.rows import mean_known
from nullgrad.core.selection import KEEP
from nullgrad.core.setting import scope_of

ENDINGS: tuple[Ending, ...] = ("returned", "budget", "failed")

PURPOSE: dict[str, str] = {"returned": "final", "budget": "best"}
"""For what the test is opened by how the trial ended: a stopped trial has a best prompt and no final one."""


@dataclass(slots=True)
class _Scope:
    """The events of one trial."""

    done: Compared | None = None
    tests: dict[str, TestScored] = field(default_factory=dict)
    scored: list[CandidateScored] = field(default_factory=list)


class CompareFacts:
    """A fold over the events of a comparison, in the order in which they were stated.

    Args:
        events: those known already; `take` adds more.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._scopes: dict[str, _Scope] = {}
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """One more."""
        scope = self._scopes.setdefault(event.scope, _Scope())
        match event:
            case Compared():
                scope.done = event
            case TestScored():
                scope.tests[event.candidate] = event
            case CandidateScored():
                scope.scored.append(event)

    def ended(self, entry: Entry, trial: int) -> bool:
        """Whether a trial has ended; its result may still have to be read on test."""
        return self._scope(entry, trial).done is not None

    def ran(self, entry: Entry, trials: int) -> bool:
        """Whether one of the first trials of an entry came to a result."""
        return any(
            done is not None and done.ended != "failed"
            for done in (self._scope(entry, trial).done for trial in range(trials))
        )

    def unread(self, entry: Entry, trial: int) -> tuple[Candidate, str] | None:
        """The result of an ended trial that is not read on test yet, with the purpose of its reading; None for none."""
        scope = self._scope(entry, trial)
        done = scope.done
        if done is None or not done.candidate or done.candidate in scope.tests:
            return None
        return Candidate(done.texts), PURPOSE.get(done.ended, "best")

    def seed(self, trial: int) -> SeedScores | None:
        """The seed prompt with the draws of a block, None while it is not read."""
        scope = self._scopes.get(scope_of(SEED, trial))
        read = next(iter(scope.tests.values()), None) if scope else None
        if read is None:
            return None
        return SeedScores(trial, read.scores, read.answers, self._right(read.candidate, trial))

    def trial(self, entry: Entry, trial: int) -> ComparedTrial | None:
        """One trial, None while it has not ended or its result is not read."""
        scope = self._scope(entry, trial)
        done = scope.done
        if done is None or self.unread(entry, trial) is not None:
            return None
        read = scope.tests.get(done.candidate)
        return ComparedTrial(
            entry=entry,
            trial=trial,
            ended=next(one for one in ENDINGS if one == done.ended),
            candidate=Candidate(done.texts) if done.candidate else None,
            claimed=done.claimed,
            claimed_seed=done.claimed_seed,
            test=read.scores if read else (),
            answers=read.answers if read else (),
            validation=_right(scope.scored, done.candidate),
            use=read_use(done.use),
            seconds=done.seconds,
            version=done.version,
            counters=dict(done.counters),
            failures=done.failures,
            reason=done.reason,
        )

    def complete(self, comparison: Comparison) -> tuple[int, ...]:
        """Blocks of which the seed prompt and every trial are read."""
        return tuple(
            number
            for number in range(comparison.trials)
            if self.seed(number) is not None
            and all(self.trial(entry, number) is not None for entry in comparison.entries)
        )

    def _scope(self, entry: Entry, trial: int) -> _Scope:
        return self._scopes.get(entry.scope(trial), _Scope())

    def _right(self, candidate: str, trial: int) -> tuple[float | None, ...]:
        """Validation scores of a candidate from whichever trial of a block scored it: the draws hold no arm."""
        for name, scope in self._scopes.items():
            if name.endswith(f"#{trial}"):
                row = _right(scope.scored, candidate)
                if row:
                    return row
        return ()


def _right(scored: Sequence[CandidateScored], candidate: str) -> tuple[float | None, ...]:
    return next((one.scores for one in scored if one.candidate == candidate and one.scores), ())


def own_claims(
    events: Iterable[Event], final: Candidate, seed: Candidate
) -> tuple[float | None, float | None]:
    """(claimed, claimed of the seed prompt) of an own trial: means of validation rows as selection saw them, None without."""
    rows = [event for event in events if isinstance(event, CandidateScored)]
    claimed = [mean_known(row.shown) for row in rows if row.candidate == final.digest]
    before = [mean_known(row.shown) for row in rows if row.variant == KEEP and row.candidate == seed.digest]
    return (claimed[-1] if claimed else None), (before[0] if before else None)


def seed_claim(claims: Iterable[Claim], seed: Candidate) -> float | None:
    """A library's own score of the seed prompt, as it first reported it; None where it never did."""
    return next((one.score for one in claims if one.candidate == seed and one.score is not None), None)


COUNTS = tuple(one.name for one in fields(Use) if one.name not in ("usd", "paid_usd"))
"""What is counted of a role, in the order in which an event holds it; dollars follow."""


def write_use(use: Mapping[str, Use]) -> tuple[tuple[Any, ...], ...]:
    """Counts by role as an event holds them."""
    return tuple(
        (role, *(getattr(one, name) for name in COUNTS), _text(one.usd), _text(one.paid_usd))
        for role, one in sorted(use.items())
        if one != Use()
    )


def read_use(rows: Iterable[tuple[Any, ...]]) -> dict[str, Use]:
    """What `write_use` wrote."""
    found: dict[str, Use] = {}
    for role, *counts, usd, paid_usd in rows:
        known = {name: int(count) for name, count in zip(COUNTS, counts, strict=True)}
        found[str(role)] = Use(usd=_dollars(usd), paid_usd=_dollars(paid_usd), **known)
    return found


def _text(usd: Decimal | None) -> str:
    return "" if usd is None else format(usd.normalize(), "f")


def _dollars(text: object) -> Decimal | None:
    return Decimal(str(text)) if text else None

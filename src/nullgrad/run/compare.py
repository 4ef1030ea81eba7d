"""A comparison: blocks of one trial of every entry, a few trials side by side, each result read once on the sealed test.

What a comparison established is the fold of its events. A trial that has ended is folded and not run again; one that has
not starts over and is answered from the ledger as far as it holds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from nullgrad.core.arms import SEED, Arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.compare import Comparison, Entry
from nullgrad.core.compare_entries import own_arm
from nullgrad.core.compare_facts import CompareFacts, own_claims, seed_claim, write_use
from nullgrad.core.draws import DrawPath
from nullgrad.core.events import Compared
from nullgrad.core.facts import Spend
from nullgrad.core.foreign import ForeignResult, Use
from nullgrad.core.setting import Cast, Setting
from nullgrad.core.task import Task
from nullgrad.core.trial import run_test, seed_candidate
from nullgrad.core.words import Pack
from nullgrad.errors import BudgetReached
from nullgrad.run.compare_own import run_own
from nullgrad.run.foreign_tally import Tally
from nullgrad.run.session import Session

Foreign = Callable[[Entry, int], Awaitable[ForeignResult]]
"""Runs one trial of a third-party optimizer behind the gateway, within the budget."""


@dataclass(frozen=True, slots=True)
class CompareWork:
    """What is run.

    Attributes:
        comparison: as it was declared.
        task: with its sealed test.
        cast: who plays which role for nullgrad's own arms and for the test.
        pack: the words of own arms.
        batch_size: training examples of an own step.
        steps: of a trial by the name of an own entry.
        parallel: trials side by side, 1 or more.
    """

    comparison: Comparison
    task: Task
    cast: Cast
    pack: Pack
    batch_size: int
    steps: Mapping[str, int]
    parallel: int = 2

    def setting(self, arm: Arm, trial: int, steps: int = 0, recorded_as: str = "") -> Setting:
        """What an own trial, or a reading of the test, is given."""
        return Setting(
            self.task.view,
            arm,
            trial,
            DrawPath(self.comparison.seed, trial),
            steps,
            self.batch_size,
            self.cast,
            self.pack,
            recorded_as=recorded_as,
        )

    @property
    def seed_candidate(self) -> Candidate:
        """What every trial begins from."""
        return Candidate.of(self.task.view.seed_prompt)


@dataclass(frozen=True, slots=True)
class CompareRun:
    """What a run of a comparison established.

    Attributes:
        facts: the fold of its events.
        blocks: numbers of complete blocks.
        stopped: why it ended early, "" if it did not.
        spend: calls, tokens and dollars of this command.
    """

    facts: CompareFacts
    blocks: tuple[int, ...]
    stopped: str
    spend: Spend


async def run_compare(
    work: CompareWork, session: Session, tally: Tally, facts: CompareFacts, foreign: Foreign
) -> CompareRun:
    """Carry a comparison out, or go on with it.

    Args:
        work: what is run.
        session: open; its observer is `tally`.
        tally: counts by entry, trial and role.
        facts: what the ledger holds of this run.
        foreign: runs third-party trials.

    Raises:
        UserError: a package or a model cannot be used.
        EndpointError: nothing answers; the same again goes on from there.
    """
    schedule = _Schedule(work, session, tally, facts, foreign)
    stopped = await schedule.run()
    await session.drain()
    return CompareRun(
        facts, facts.complete(work.comparison), str(stopped) if stopped else "", session.spend()
    )


def unfinished(comparison: Comparison, facts: CompareFacts) -> tuple[tuple[Entry | None, int], ...]:
    """What is still to do, block by block: the seed prompt's reading (None) before the trials of its block."""
    left: list[tuple[Entry | None, int]] = []
    for trial in range(comparison.trials):
        if facts.seed(trial) is None:
            left.append((None, trial))
        left += [(entry, trial) for entry in comparison.entries if facts.trial(entry, trial) is None]
    return tuple(left)


class _Schedule:
    def __init__(
        self, work: CompareWork, session: Session, tally: Tally, facts: CompareFacts, foreign: Foreign
    ) -> None:
        self._work = work
        self._session = session
        self._tally = tally
        self._facts = facts
        self._foreign = foreign
        self._told = len(session.log.events)
        self._left = deque(unfinished(work.comparison, facts))
        self._stopped: BudgetReached | None = None

    async def run(self) -> BudgetReached | None:
        """All that is left; a budget of the command's lets the trials that run end, for their calls are refused."""
        workers = [asyncio.create_task(self._worker()) for _ in range(self._work.parallel)]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return self._stopped

    async def _worker(self) -> None:
        while self._left and self._stopped is None:
            entry, trial = self._left.popleft()
            try:
                if entry is None:
                    setting = self._work.setting(SEED, trial)
                    await self._read(setting, self._work.seed_candidate, "seed")
                else:
                    await self._trial(entry, trial)
            except BudgetReached as reached:
                self._stopped = self._stopped or reached

    async def _trial(self, entry: Entry, trial: int) -> None:
        if not self._facts.ended(entry, trial):
            run = self._own if entry.own else self._third_party
            self._session.asker.state(await run(entry, trial))
            self._listen()
        unread = self._facts.unread(entry, trial)
        if unread is not None:
            arm = own_arm(entry) if entry.own else SEED
            setting = self._work.setting(arm, trial, recorded_as=entry.name)
            await self._read(setting, *unread)

    async def _read(self, setting: Setting, candidate: Candidate, purpose: str) -> None:
        await self._session.drive(run_test(setting, candidate, purpose, self._work.task.test))
        self._listen()

    def _listen(self) -> None:
        events = self._session.log.events
        for event in events[self._told :]:
            self._facts.take(event)
        self._told = len(events)

    async def _third_party(self, entry: Entry, trial: int) -> Compared:
        began = time.monotonic()
        result = await self._foreign(entry, trial)
        best = result.candidate
        return Compared(
            entry.scope(trial),
            result.ended,
            "" if best is None else best.digest,
            () if best is None else best.texts,
            result.claimed,
            seed_claim(result.candidates, self._work.seed_candidate),
            write_use(result.use),
            round(time.monotonic() - began, 2),
            result.version,
            tuple(sorted(result.counters.items())),
            result.failures,
            result.reason,
        )

    async def _own(self, entry: Entry, trial: int) -> Compared:
        began = time.monotonic()
        work = self._work
        setting = work.setting(own_arm(entry), trial, work.steps[entry.name])
        told = len(self._session.log.events)
        ended, best, reason = await run_own(
            setting, work.comparison.budget, self._session, self._tally.dollars
        )
        events = [one for one in self._session.log.events[told:] if one.scope == setting.scope]
        claimed, before = own_claims(events, best, seed_candidate(setting))
        use: dict[str, Use] = {
            role: one
            for (arm, number, role), one in self._tally.use.items()
            if (arm, number) == (entry.name, trial)
        }
        return Compared(
            entry.scope(trial),
            ended,
            best.digest,
            best.texts,
            claimed,
            before,
            write_use(use),
            round(time.monotonic() - began, 2),
            failures=sum(one.failed for one in use.values()),
            reason=reason,
        )

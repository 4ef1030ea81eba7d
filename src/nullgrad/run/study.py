"""A study: blocks at once up to the endpoint's limit, each one trial number over all arms of a cell.

Nothing is kept beside the events: what a study established is their fold, and a resume is a replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from nullgrad.core.arms import SEED, Arm
from nullgrad.core.events import KINDS, Event, TestOpened, TestScored, TrialDone, TrialStarted
from nullgrad.core.facts import Spend
from nullgrad.core.study import Block, Cell, Study, wanted
from nullgrad.core.study_facts import Key, TrialFacts, fold_trials, parse_scope
from nullgrad.core.trial import run_test, run_trial, seed_candidate
from nullgrad.errors import BudgetReached
from nullgrad.run.session import Session, side_by_side

Look = Callable[[str, int, Mapping[Key, TrialFacts]], bool]
"""From a cell, its number of complete blocks and their trials to whether the cell ends there."""


@dataclass(frozen=True)
class StudyRun:
    """What a run of a study established.

    Attributes:
        study: what was asked for.
        events: every fact stated, in an order that does not depend on what arrived first.
        complete: blocks that are complete and count; a cell that a look ended has none after it.
        ended: cells that a look ended, with the number of their blocks at that look.
        stopped: why the run ended early ("" if it did not; a look is no early end).
        spend: calls, tokens and dollars of this command.
    """

    study: Study
    events: tuple[Event, ...]
    complete: tuple[Block, ...]
    ended: tuple[tuple[str, int], ...]
    stopped: str
    spend: Spend

    @cached_property
    def trials(self) -> Mapping[Key, TrialFacts]:
        """Trials of complete blocks; of the others none counts, or slow arms would have fewer trials."""
        return trials_of(self.study, self.events, self.complete)


async def run_study(study: Study, session: Session, look: Look | None = None) -> StudyRun:
    """Carry out a study.

    A budget ends it with the blocks that are complete; cancelling it leaves the calls in flight to the session.

    Args:
        study: what is asked for.
        session: open.
        look: asked when a cell has reached a declared number of blocks; None runs all of them.

    Raises:
        EndpointError: nothing answers; what is recorded stays.
    """
    schedule = _Schedule(study, session, look)
    stopped = await schedule.run()
    await session.drain()
    return StudyRun(
        study,
        in_order(session.log.events),
        schedule.complete,
        tuple(sorted(schedule.ended.items())),
        str(stopped) if stopped else "",
        session.spend(),
    )


def complete_blocks(study: Study, trials: Mapping[Key, TrialFacts]) -> tuple[Block, ...]:
    """Blocks of which every arm's trial ended and everything was read, cell by cell."""

    def whole(cell: Cell, number: int) -> bool:
        found = {arm: trials.get((cell.name, arm.canonical, number)) for arm in (SEED, *study.block(number))}
        return all(
            one is not None and one.complete and (arm == SEED or set(study.curve) <= set(one.curve))
            for arm, one in found.items()
        )

    return tuple(
        (cell.name, number) for cell in study.cells for number in range(study.blocks) if whole(cell, number)
    )


def trials_of(study: Study, events: Iterable[Event], blocks: Iterable[Block]) -> Mapping[Key, TrialFacts]:
    """Trials of a study's own arms in these blocks: another study of the same run may have run more."""
    keys = {key for cell, number in blocks for key in _keys(study, cell, number)}
    return fold_trials(event for event in events if parse_scope(event.scope) in keys)


def in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    """Events trial by trial, each from its beginning to its readings, however replies arrived.

    A result that is computed from them is then the same to the last digit after any interruption.
    """
    return tuple(sorted(events, key=_place))


_ORDER = {kind: place for place, kind in enumerate(KINDS)}


def _place(event: Event) -> tuple[Key, int, int, int, int]:
    phase = 1
    if isinstance(event, TrialStarted):
        phase = 0
    elif isinstance(event, TrialDone):
        phase = 2
    elif isinstance(event, TestOpened | TestScored):
        phase = 3
    step, variant = getattr(event, "step", 0), getattr(event, "variant", 0)
    return parse_scope(event.scope) or ("", "", 0), phase, step, _ORDER[event.kind], variant


def _keys(study: Study, cell: str, number: int) -> Sequence[Key]:
    return [(cell, arm.canonical, number) for arm in (SEED, *study.block(number))]


class _Told:
    """The events of a session by trial, read as they come."""

    def __init__(self, session: Session) -> None:
        self._log = session.log
        self._read = 0
        self._events: dict[Key, list[Event]] = {}

    def facts(self, keys: Iterable[Key]) -> Mapping[Key, TrialFacts]:
        """What is known of these trials."""
        for event in self._log.events[self._read :]:
            key = parse_scope(event.scope)
            if key is not None:
                self._events.setdefault(key, []).append(event)
        self._read = len(self._log.events)
        return fold_trials(in_order(event for key in keys for event in self._events.get(key, ())))


class _Schedule:
    """Which blocks run, are complete, or are no longer wanted."""

    def __init__(self, study: Study, session: Session, look: Look | None) -> None:
        self._study = study
        self._session = session
        self._look = look
        self._told = _Told(session)
        self._done: set[Block] = set()
        self._running: dict[Block, asyncio.Task[BudgetReached | None]] = {}
        self._looks = {cell.name: list(study.sequential) if look else [] for cell in study.cells}
        self._live = 0
        self._changed = asyncio.Event()
        self.ended: dict[str, int] = {}

    @property
    def complete(self) -> tuple[Block, ...]:
        """Complete blocks that count, cell by cell."""
        return tuple(
            (cell.name, number)
            for cell in self._study.cells
            for number in range(self.ended.get(cell.name, self._study.blocks))
            if (cell.name, number) in self._done
        )

    async def run(self) -> BudgetReached | None:
        """Run what is wanted, until nothing is or the budget is reached."""
        stopped: BudgetReached | None = None
        try:
            while True:
                if stopped is None:
                    self._start()
                if not self._running:
                    return stopped
                await self._changed.wait()
                self._changed.clear()
                stopped = self._collect() or stopped
        finally:
            for task in self._running.values():
                task.cancel()
            if self._running:
                await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _start(self) -> None:
        """Start blocks while there are fewer live trials than calls that may be in flight: each has at least one."""
        while self._live < self._session.limit:
            # What waits for a look, or lies behind one, is not wanted now: it may never have to be paid for.
            closed = {
                (name, number)
                for name in self._looks
                for number in range(self._open(name), self._study.blocks)
            }
            chosen = wanted(self._study, self._done | closed, self._running, len(self._running) + 1)
            if not chosen:
                return
            (block,) = chosen
            self._live += 1 + len(self._study.block(block[1]))
            task = asyncio.create_task(self._block(block))
            task.add_done_callback(lambda _: self._changed.set())
            self._running[block] = task

    def _open(self, cell: str) -> int:
        """How many blocks of a cell may run as yet."""
        if cell in self.ended:
            return 0
        return self._looks[cell][0] if self._looks[cell] else self._study.blocks

    def _collect(self) -> BudgetReached | None:
        stopped: BudgetReached | None = None
        for block, task in list(self._running.items()):
            if not task.done():
                continue
            del self._running[block]
            reached = task.result()
            if reached is None:
                self._done.add(block)
                self._look_at(block[0])
            stopped = reached or stopped
        return stopped

    def _look_at(self, cell: str) -> None:
        looks = self._looks[cell]
        while looks and all((cell, number) in self._done for number in range(looks[0])):
            count = looks.pop(0)
            assert self._look is not None
            keys = [key for number in range(count) for key in _keys(self._study, cell, number)]
            if self._look(cell, count, self._told.facts(keys)):
                self.ended[cell] = count
                looks.clear()

    async def _block(self, block: Block) -> BudgetReached | None:
        """One trial number over all arms; one that the budget stops does not count, and its siblings end as they can."""
        cell, number = self._study.cell(block[0]), block[1]
        _, stopped = await side_by_side(
            [self._arm(cell, arm, number) for arm in (SEED, *self._study.block(number))]
        )
        return stopped

    async def _arm(self, cell: Cell, arm: Arm, number: int) -> None:
        """One trial; then, and only then, its readings of the test."""
        setting, test = self._study.setting(cell, arm, number), cell.task.test
        try:
            if arm == SEED:
                await self._session.drive(run_test(setting, seed_candidate(setting), "seed", test))
                return
            result = await self._session.drive(run_trial(setting))
            readings = [run_test(setting, result.candidate, "final", test)]
            if self._study.curve:
                key = (cell.name, arm.canonical, number)
                facts = self._told.facts([key])[key]
                for step in self._study.curve:
                    candidate = facts.texts[facts.steps[step].candidate]
                    readings.append(run_test(setting, candidate, "curve", test, step))
            _, stopped = await self._session.drive_all(readings)
            if stopped is not None:
                raise stopped
        finally:
            self._live -= 1
            self._changed.set()

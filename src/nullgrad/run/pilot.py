"""A few real calls before a study, so that its plan rests on measured tokens and times.

They are calls that the study will ask anyway: the ledger keeps them, and the run replays them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nullgrad.core.arms import SEED
from nullgrad.core.calls import Calls
from nullgrad.core.effects import Ask
from nullgrad.core.events import Event
from nullgrad.core.setting import Setting
from nullgrad.core.study import Cell, Study
from nullgrad.core.trial import run_trial
from nullgrad.errors import BudgetReached
from nullgrad.run.ask import Asker
from nullgrad.run.drive import Deliver, Driver
from nullgrad.run.session import Session


class _Unstated:
    """Asks, and states nothing: a trial of one step is no fact of the study."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        self._asker.submit(asks)

    def state(self, event: Event) -> None:
        """Nothing."""


async def run_pilot(study: Study, session: Session) -> None:
    """Make the first step of trial 0 of as few arms as ask every role, cell by cell, until the budget ends it.

    Raises:
        EndpointError: nothing answers; what is recorded stays.
    """
    driver = Driver(_Unstated(session.asker))
    try:
        for cell in study.cells:
            for setting in pilot_settings(study, cell):
                await driver.drive(run_trial(setting))
    except BudgetReached:
        pass
    await session.drain()


def pilot_settings(study: Study, cell: Cell) -> Iterator[Setting]:
    """One step of the arm with the fewest calls for each role that no arm before has asked."""
    if study.steps == 0:
        return
    short = replace(study, steps=1, curve=(), contrasts=(), sequential=())
    reading = short.calls(cell, SEED)
    own = {one.arm: short.calls(cell, one.arm) + reading * -1 for one in study.arms if one.arm != SEED}
    asked: set[str] = set()
    for role in Calls().by_role:
        arms = [arm for arm, calls in own.items() if calls.by_role[role]]
        if role not in asked and arms:
            arm = min(arms, key=lambda arm: own[arm].total)
            asked |= {name for name, count in own[arm].by_role.items() if count}
            yield short.setting(cell, arm, 0)

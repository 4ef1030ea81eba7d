"""A trial of one of nullgrad's own arms under the hard budget that third-party optimizers get."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Failed, Reply, Role, Usage
from nullgrad.core.effects import Ask
from nullgrad.core.events import Event, StepDone, TrialStarted
from nullgrad.core.facts import standings
from nullgrad.core.foreign import Ending
from nullgrad.core.foreign_budget import Allowance, Meter
from nullgrad.core.setting import Setting
from nullgrad.core.trial import run_trial, seed_candidate
from nullgrad.errors import NullgradError
from nullgrad.run.drive import Asking, Deliver, Driver
from nullgrad.run.session import Session

Dollars = Callable[[Role, Usage], Decimal | None]
"""From a role and a usage to dollars, None where the price is unknown."""


class BudgetSpent(Exception):
    """The trial's budget is spent; the message says which."""


class Metered:
    """Passes requests on to an asker, and refuses them once an allowance is spent; replays count like paid calls.

    Args:
        asking: who answers.
        meter: of the trial.
        dollars: what a usage costs.
    """

    def __init__(self, asking: Asking, meter: Meter, dollars: Dollars) -> None:
        self._asking = asking
        self._meter = meter
        self._dollars = dollars

    def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        """Take requests."""
        passed = []
        for ask, deliver in asks:
            if self._meter.admit():
                passed.append((ask, self._settling(ask.about.role, deliver)))
            else:
                deliver(BudgetSpent(self._meter.closed))
        if passed:
            self._asking.submit(passed)

    def state(self, event: Event) -> None:
        """Take a fact."""
        self._asking.state(event)

    def _settling(self, role: Role, deliver: Deliver) -> Deliver:
        def settle(answer: Reply | Failed | BaseException) -> None:
            if isinstance(answer, BaseException):
                self._meter.release()
                deliver(answer)
                return
            usage = answer.usage if isinstance(answer, Reply) else None
            try:
                self._meter.settle(usage, self._dollars(role, usage) if usage else None)
            except NullgradError as error:
                deliver(error)
                return
            deliver(answer)

        return settle


async def run_own(
    setting: Setting, allowance: Allowance, session: Session, dollars: Dollars
) -> tuple[Ending, Candidate, str]:
    """Run one trial: how it ended, its result, and why it ended early ("" where it did not).

    A trial that its budget stops ends with the prompt of its last whole step.

    Raises:
        EndpointError: nothing answers.
        BudgetReached: what the command may pay is spent.
        UserError: nobody says what the budget limits.
    """
    meter = Meter(allowance)
    driver = Driver(Metered(session.asker, meter, dollars))
    told = len(session.log.events)
    try:
        result = await driver.drive(run_trial(setting))
    except BudgetSpent as spent:
        own = [one for one in session.log.events[told:] if one.scope == setting.scope]
        standing = standings(_until_last_step(own)).get(setting.scope)
        return "budget", standing.candidate if standing else seed_candidate(setting), str(spent)
    return "returned", result.candidate, ""


def _until_last_step(events: list[Event]) -> list[Event]:
    last = max((at for at, one in enumerate(events) if isinstance(one, StepDone | TrialStarted)), default=-1)
    return events[: last + 1]

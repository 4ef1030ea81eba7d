"""The audit of two prompts: validation, the sealed test, what is run anew, then the section ablation with what is left."""

from __future__ import annotations

from collections.abc import Mapping

from nullgrad.core.audit import (
    AblationRun,
    AuditFacts,
    Readings,
    ablate,
    read_fresh,
    read_shortest,
    read_test,
    read_validation,
    start,
)
from nullgrad.core.audit_plan import AuditPlan
from nullgrad.core.forward import SplitScores, points
from nullgrad.core.rows import mean_known
from nullgrad.errors import BudgetReached, EndpointError
from nullgrad.run.budget import Limits, Reserve
from nullgrad.run.session import Session


async def audit(plan: AuditPlan, session: Session, reserve: Reserve) -> AuditFacts:
    """Carry out an audit.

    Args:
        plan: what is asked for.
        session: open.
        reserve: what the sealed test will cost; set aside before anything is asked.

    Raises:
        BudgetReached: before both prompts were read on the sealed test.
        EndpointError: nothing answers; what is recorded stays.
    """
    session.budget.set_aside(reserve.without(await _read_before(plan, session)))
    await session.drive(start(plan))
    validation: Readings | None = None
    stopped: BudgetReached | None = None
    if plan.task.view.validation:
        (validation,), stopped = await session.drive_all([read_validation(plan)])
    (test,), reached = await session.drive_all([read_test(plan)])
    if test is None:
        raise reached or AssertionError
    _check(test)
    stopped = stopped or reached
    fresh: Mapping[str, Readings] | None = None
    if plan.fresh and stopped is None:
        (fresh,), stopped = await session.drive_all([read_fresh(plan)])
    ablation: AblationRun | None = None
    shortest: SplitScores | None = None
    if plan.sections and stopped is None:
        (ablation,), stopped = await session.drive_all([ablate(plan)])
    if ablation is not None:
        (shortest,), stopped = await session.drive_all([read_shortest(plan, ablation)])
    await session.drain()
    return AuditFacts(
        plan,
        tuple(session.log.events),
        validation,
        test,
        fresh or {},
        ablation,
        shortest,
        str(stopped) if stopped else "",
        session.spend(),
    )


async def _read_before(plan: AuditPlan, session: Session) -> int:
    """Calls of the sealed test that are free: an earlier run may have paid for them."""
    return 0 if session.budget.limits == Limits() else await session.recorded(read_test(plan))


def _check(test: Readings) -> None:
    for which, scores in (("before", test.before), ("after", test.after)):
        if mean_known(map(points, scores.shown)) is None:
            raise EndpointError(
                f"Every call of the sealed test of the {which} prompt failed.",
                "There is nothing to audit; a failed call is never scored as a wrong answer.",
                "Check the endpoint, then run with another --ledger: recorded failures are replayed like replies.",
            )

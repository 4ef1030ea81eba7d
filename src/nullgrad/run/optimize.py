"""The main job: trials of one arm, the sealed test, then controls in blocks with what the budget leaves."""

from __future__ import annotations

import asyncio

from nullgrad.core.arms import SEED, Arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.facts import Block, Facts, Reading, reported_trial, standings
from nullgrad.core.forward import SplitScores, points, score_split
from nullgrad.core.objective import has_classes
from nullgrad.core.plan import Plan, wanted
from nullgrad.core.rows import mean_known, score_row
from nullgrad.core.setting import scope_of
from nullgrad.core.trial import TrialResult, run_test, run_trial
from nullgrad.errors import BudgetReached, EndpointError
from nullgrad.run.budget import Limits, Reserve
from nullgrad.run.session import Session


async def optimize(plan: Plan, session: Session, reserve: Reserve) -> Facts:
    """Carry out a plan.

    Args:
        plan: what is asked for.
        session: open.
        reserve: what the sealed test will cost; set aside before anything is asked.

    Raises:
        EndpointError: nothing answers; what is recorded stays.
    """
    session.budget.set_aside(reserve.without(await _read_before(plan, session)))
    trial, best, stopped = await _main_trials(plan, session)
    seed_reading, best_reading = await _sealed_test(plan, session, trial, best)
    session.budget.set_aside(Reserve())
    blocks: tuple[Block, ...] = ()
    if plan.control_arms and stopped is None:
        blocks, stopped = await _controls(plan, session)
    await session.drain()
    return Facts(
        plan,
        tuple(session.log.events),
        trial,
        best,
        seed_reading,
        best_reading,
        blocks,
        str(stopped) if stopped else "",
        session.spend(),
        await _validation(plan, session, trial, best),
    )


async def _validation(
    plan: Plan, session: Session, trial: int, best: Candidate
) -> tuple[SplitScores, SplitScores] | None:
    """Both prompts on validation where the trial ran them there: nothing is asked for the audit's sake."""
    setting, examples = plan.setting(plan.arm, trial), plan.task.view.validation
    if not examples or best.prompt == plan.seed_candidate.prompt or not has_classes(plan.task.view):
        return None
    found = [
        await session.recall(score_split(setting, candidate, "validation", examples))
        for candidate in (plan.seed_candidate, best)
    ]
    before, after = found
    return None if before is None or after is None else (before, after)


async def _read_before(plan: Plan, session: Session) -> int:
    """Calls of the seed's reading that are free whichever trial is reported: an earlier run may have paid for them."""
    if session.budget.limits == Limits():
        return 0
    seed, test = plan.seed_candidate, plan.task.test
    settings = [plan.setting(plan.arm, trial) for trial in range(plan.trials)]
    return min([await session.recorded(run_test(setting, seed, "seed", test)) for setting in settings])


async def _main_trials(plan: Plan, session: Session) -> tuple[int, Candidate, BudgetReached | None]:
    if not plan.optimizes:
        return 0, plan.seed_candidate, None
    _, stopped = await session.drive_all(
        [run_trial(plan.setting(plan.arm, trial)) for trial in range(plan.trials)]
    )
    folded = standings(session.log.events)
    trial = reported_trial(plan.arm, plan.trials, folded)
    standing = folded.get(scope_of(plan.arm, trial))
    return trial, standing.candidate if standing else plan.seed_candidate, stopped


async def _sealed_test(plan: Plan, session: Session, trial: int, best: Candidate) -> tuple[Reading, Reading]:
    """Read the test split for the seed and the reported prompt, with the reported trial's draws for both."""
    setting, test = plan.setting(plan.arm, trial), plan.task.test
    purposes = {"seed": plan.seed_candidate}
    if plan.optimizes:
        purposes["best"] = best
    scores, stopped = await session.drive_all(
        [run_test(setting, candidate, purpose, test) for purpose, candidate in purposes.items()]
    )
    if stopped is not None:
        raise stopped
    readings = [
        Reading(purpose, candidate, one)
        for (purpose, candidate), one in zip(purposes.items(), scores, strict=True)
        if one is not None
    ]
    for reading in readings:
        if mean_known(map(points, reading.scores.shown)) is None:
            raise EndpointError(
                f"Every call of the sealed test of the {reading.purpose} prompt failed.",
                "There is no score to report; a failed call is never scored as a wrong answer.",
                "Check the endpoint, then run with another --ledger: recorded failures are replayed like replies.",
            )
    return readings[0], readings[-1]


async def _controls(plan: Plan, session: Session) -> tuple[tuple[Block, ...], BudgetReached | None]:
    """Run blocks in order, a few at a time; a budget ends them with the blocks that are complete."""
    slots = max(1, session.concurrency // (2 * len(plan.control_arms)))
    done: dict[int, Block] = {}
    running: dict[int, asyncio.Task[Block | BudgetReached]] = {}
    stopped: BudgetReached | None = None
    try:
        while True:
            if stopped is None:
                for block in wanted(plan.trials, done, running, slots):
                    running[block] = asyncio.create_task(_block(plan, session, block))
            if not running:
                break
            await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
            for number, task in list(running.items()):
                if task.done():
                    del running[number]
                    result = task.result()
                    if isinstance(result, Block):
                        done[number] = result
                    else:
                        stopped = result
    finally:
        for task in running.values():
            task.cancel()
        if running:
            await asyncio.gather(*running.values(), return_exceptions=True)
    return tuple(done[number] for number in sorted(done)), stopped


async def _block(plan: Plan, session: Session, trial: int) -> Block | BudgetReached:
    """One trial number over all arms; every final prompt is tested with the block's draws."""
    arms: tuple[Arm, ...] = (plan.arm, *plan.control_arms)
    results, stopped = await session.drive_all(
        [run_trial(plan.setting(arm, trial)) for arm in plan.control_arms]
    )
    if stopped is not None:
        return stopped
    finals = {SEED: plan.seed_candidate, **_finals(plan, session, trial, results)}
    readings, stopped = await session.drive_all(
        [
            run_test(
                plan.setting(arm, trial), finals[arm], "seed" if arm == SEED else "final", plan.task.test
            )
            for arm in (SEED, *arms)
        ]
    )
    if stopped is not None:
        return stopped
    return Block(
        trial,
        {
            arm.canonical: score_row(reading.shown, plan.task.view.unparsed)
            for arm, reading in zip((SEED, *arms), readings, strict=True)
            if reading is not None
        },
    )


def _finals(
    plan: Plan, session: Session, trial: int, results: list[TrialResult | None]
) -> dict[Arm, Candidate]:
    """Final candidate of each arm of a block; the main arm's trials are complete before controls begin."""
    main = standings(session.log.events)[scope_of(plan.arm, trial)]
    finals = {plan.arm: main.candidate}
    for arm, result in zip(plan.control_arms, results, strict=True):
        if result is not None:
            finals[arm] = result.candidate
    return finals

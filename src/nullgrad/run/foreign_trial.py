"""One trial of a third-party optimizer: its process, the candidates that it reports, and how it ended.

What the library says counts for less than what its trial asked: a trial whose budget was spent has ended by its
budget, whatever the library returns afterwards, and one that returned in spite of failed calls is marked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nullgrad.core.candidate import Candidate
from nullgrad.core.events import ForeignCandidate, ForeignDone, ForeignStarted
from nullgrad.core.foreign import Claim, Ending, ForeignResult, best_claim, finite
from nullgrad.errors import UserError
from nullgrad.run.foreign import Desk
from nullgrad.run.foreign_process import ForeignProcess
from nullgrad.run.session import Session

GRACE = 20.0
"""Seconds that a library gets to end by itself once its budget is spent."""


@dataclass(frozen=True, slots=True)
class ForeignTrial:
    """What is run.

    Attributes:
        arm: canonical arm.
        trial: trial number, from 0.
        optimizer: the adapter's name.
        seed_prompt: what it begins from.
        command: starts the adapter's process.
        environment: of the process.
        folder: its working directory.
        job: what it is told, one line of JSON.
        hook: whether the adapter reports candidates as they arise.
        install: the command that installs its package.
        grace: seconds to end in once the budget is spent.
    """

    arm: str
    trial: int
    optimizer: str
    seed_prompt: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    job: str
    hook: bool
    install: str
    grace: float = GRACE


@dataclass(slots=True)
class Heard:
    """What the process has said so far."""

    version: str = ""
    claims: list[Claim] = field(default_factory=list)
    result: Claim | None = None
    counters: dict[str, float] = field(default_factory=dict)
    error: tuple[str, str] | None = None
    wrong: str = ""


async def run_foreign(trial: ForeignTrial, desk: Desk, session: Session) -> ForeignResult:
    """Run one trial, which `desk` has admitted.

    Raises:
        UserError: the package is missing or its interface has changed; a model cannot be used.
        EndpointError: nothing answers; the same again goes on from there.
        BudgetReached: what the command may pay is spent; the same again with more goes on from there.
    """
    heard = Heard()
    process = ForeignProcess(trial.command, trial.environment, trial.folder)
    ended = asyncio.create_task(process.run(trial.job, lambda event: _hear(event, trial, heard, session)))
    closing = asyncio.create_task(desk.closed(trial.arm, trial.trial))
    first: list[asyncio.Future[Any]] = [ended, desk.broken]
    try:
        await asyncio.wait([*first, closing], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done() and not desk.broken.done():
            await asyncio.wait(first, timeout=trial.grace, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            process.kill()
        code = await ended
    finally:
        for task in (ended, closing):
            task.cancel()
        await asyncio.gather(ended, closing, return_exceptions=True)
    await desk.settled(trial.arm, trial.trial)
    if desk.broken.done():
        raise desk.broken.result()
    check_package(trial, heard, process)
    result = _result(trial, heard, desk, _why(heard, code, process))
    best = result.candidate
    session.asker.state(
        ForeignDone(
            _scope(trial),
            result.ended,
            "" if best is None else best.digest,
            result.claimed,
            tuple(sorted((role, use.calls) for role, use in result.use.items() if use.calls)),
            result.failures,
            result.reason,
        )
    )
    return result


def _scope(trial: ForeignTrial) -> str:
    return f"{trial.arm}#{trial.trial}"


def _hear(event: dict[str, Any], trial: ForeignTrial, heard: Heard, session: Session) -> None:
    """Take one event of the process; what is none of the protocol is kept as the reason of a failure."""
    match event.get("event"):
        case "started":
            heard.version = str(event.get("version") or "")
            seed = Candidate.of(trial.seed_prompt)
            session.asker.state(
                ForeignStarted(_scope(trial), trial.optimizer, heard.version, seed.digest, seed.texts)
            )
        case "candidate" if isinstance(event.get("prompt"), str):
            claim = _claim(event, len(heard.claims))
            heard.claims.append(claim)
            session.asker.state(
                ForeignCandidate(
                    _scope(trial),
                    claim.number,
                    claim.candidate.digest,
                    claim.candidate.texts,
                    claim.score,
                    claim.parents,
                )
            )
        case "result" if isinstance(event.get("prompt"), str):
            heard.result = _claim(event, -1)
            counters = event.get("counters")
            for name, value in (counters if isinstance(counters, dict) else {}).items():
                number = finite(value)
                if number is not None:
                    heard.counters[str(name)] = number
        case "error":
            heard.error = (
                str(event.get("kind") or "failed"),
                " ".join(str(event.get("message") or "").split()),
            )
        case _:
            heard.wrong = f"The process sent {json.dumps(event)[:120]}, which is no event of the protocol."


def _claim(event: dict[str, Any], number: int) -> Claim:
    parents = event.get("parents")
    return Claim(
        number,
        Candidate.of(str(event["prompt"])),
        finite(event.get("score")),
        tuple(one for one in (parents if isinstance(parents, list) else ()) if isinstance(one, int)),
    )


def check_package(trial: ForeignTrial, heard: Heard, process: ForeignProcess) -> None:
    """Refuse a package that is not there or not as the adapter knows it.

    Raises:
        UserError: with the command that installs it.
    """
    kind, message = heard.error or ("", "")
    if kind in ("missing-package", "interface"):
        what = (
            f"The package of the optimizer {trial.optimizer} is not installed for {trial.command[0]}: {message}."
            if kind == "missing-package"
            else f"The package of the optimizer {trial.optimizer} has another interface than the adapter knows: {message}."
        )
        raise UserError(
            what,
            "The optimizer was not run.",
            f"{trial.install}  (or set NULLGRAD_OPTIMIZERS_PYTHON to an interpreter that has it)",
        )
    if kind == "setting":
        raise UserError(
            f"The optimizer {trial.optimizer} cannot be run as asked: {message}.",
            "It was not run.",
            f"Mend its settings; {trial.optimizer} is at version {heard.version}.",
        )
    if not heard.version and not heard.claims and heard.result is None and heard.error is None:
        tail = process.errors[-1] if process.errors else "it said nothing"
        raise UserError(
            f"The process of the optimizer {trial.optimizer} did not start: {tail}",
            "The optimizer was not run.",
            f"Check that {trial.command[0]} is a Python of 3.10 or later.",
        )


def _why(heard: Heard, code: int, process: ForeignProcess) -> str:
    """Why there is no result, "" where the library returned one."""
    if heard.error is not None:
        return heard.error[1]
    if heard.result is not None:
        return ""
    tail = f" {process.errors[-1]}" if process.errors else ""
    return heard.wrong or f"The process ended with {code} and returned no prompt.{tail}"


def _result(trial: ForeignTrial, heard: Heard, desk: Desk, why: str) -> ForeignResult:
    """How it ended. The best of a stopped trial is the best of what was reported as it arose, or there is none."""
    use = desk.use(trial.arm, trial.trial)
    failures = sum(one.failed + one.refused for one in use.values())
    closed = desk.meter(trial.arm, trial.trial).closed
    claims = tuple(heard.claims)
    best, reason = heard.result, why
    ended: Ending = "returned"
    if closed:
        ended, best = "budget", best_claim(claims)
        reason = closed if best else _nothing(trial, closed)
    elif why:
        ended, best = "failed", None
    return ForeignResult(
        trial.arm,
        trial.trial,
        ended,
        best.candidate if best else None,
        best.score if best else None,
        claims,
        heard.version,
        use,
        heard.counters,
        failures,
        reason,
    )


def _nothing(trial: ForeignTrial, closed: str) -> str:
    if trial.hook:
        return f"{closed} No candidate had been scored by then, so there is no result; give a larger budget."
    return f"{closed} {trial.optimizer} reports no candidates as they arise, so a stopped run has no result."

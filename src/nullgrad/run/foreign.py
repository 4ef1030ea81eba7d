"""The desk at which foreign programs ask: every call gets its draw, is metered, and goes to `run.ask` like ours.

A budget's end closes a trial: from then on every call of it is refused, whatever the program makes of the error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from nullgrad.core.chat import Failed, Message, Reply, Request, Role, Sampling, text_hash
from nullgrad.core.draws import DrawPath, draw_of
from nullgrad.core.effects import Ask, Effect, ask
from nullgrad.core.foreign import Caller, Occurrences, Order, Refused, Use, foreign_draw
from nullgrad.core.foreign_budget import Allowance, Meter
from nullgrad.core.task import Example, Outcome, Scored, TaskView, UnparsedAnswer
from nullgrad.errors import BudgetReached, NullgradError
from nullgrad.ports import Model
from nullgrad.run.drive import Deliver
from nullgrad.run.foreign_tally import Tally
from nullgrad.run.session import Session

PASSED_ON = frozenset({400, 413, 415, 422})
"""Statuses of an endpoint that are passed on; with any other the client would try again, or blame its key."""


class Desk:
    """Answers orders of foreign programs in a session.

    Args:
        session: open; its observer is `tally`.
        models: who answers under each role.
        tally: what counts.
        seed: the study's seed.
        independent: whether the arm enters the draws, so that arms share nothing.

    Attributes:
        broken: set once no further call can succeed: the error that ends the run.
    """

    def __init__(
        self,
        session: Session,
        models: Mapping[Role, Model],
        tally: Tally,
        *,
        seed: int = 0,
        independent: bool = False,
    ) -> None:
        self._session = session
        self._models = models
        self._tally = tally
        self._seed = seed
        self._independent = independent
        self._occurrences = Occurrences()
        self._meters: dict[tuple[str, int], Meter] = {}
        self._closing: dict[tuple[str, int], asyncio.Event] = {}
        self._choices: dict[tuple[str, int], tuple[str, ...]] = {}
        self._arrived = asyncio.Event()
        self.broken: asyncio.Future[NullgradError] = asyncio.get_running_loop().create_future()

    def admit(
        self, arm: str, trial: int, allowance: Allowance | None = None, choices: tuple[str, ...] = ()
    ) -> Meter:
        """Let a trial ask, within its allowance; a trial that is not admitted is refused.

        `choices` are what replies under the role `generator` are held to where the engine can, as in nullgrad's own
        trials of the task.
        """
        self._meters[arm, trial] = meter = Meter(allowance)
        self._choices[arm, trial] = choices
        self._closing[arm, trial] = asyncio.Event()
        return meter

    def meter(self, arm: str, trial: int) -> Meter:
        """What a trial has asked."""
        return self._meters[arm, trial]

    async def closed(self, arm: str, trial: int) -> None:
        """Return once a trial was refused a call by its budget."""
        await self._closing[arm, trial].wait()

    async def settled(self, arm: str, trial: int) -> None:
        """Return once no call of a trial is on its way, so that its counts are final, or nothing answers any more.

        A process that ends while calls are in flight leaves them behind: they are made, paid for and counted.
        """
        meter = self._meters[arm, trial]
        while meter.in_flight and not self.broken.done():
            self._arrived.clear()
            arrival: asyncio.Future[Any] = asyncio.ensure_future(self._arrived.wait())
            ends: list[asyncio.Future[Any]] = [arrival, self.broken]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            arrival.cancel()

    def models(self, caller: Caller) -> tuple[str, ...]:
        """Names of the model that answers a caller: as the user wrote it, and as its endpoint knows it."""
        name = self._models[caller.role].name
        return tuple(dict.fromkeys((name, name.partition("/")[2] or name.partition(":")[2] or name)))

    def max_logprobs(self, caller: Caller) -> int:
        """How many alternatives per token the model of a caller returns, 0 for none."""
        return self._models[caller.role].max_logprobs

    def refused(self, caller: Caller) -> None:
        """Count a call that got an error before any model was asked."""
        self._tally.of(caller.arm, caller.trial, caller.role).refused += 1

    async def answer(self, caller: Caller, order: Order) -> list[Reply]:
        """The replies to an order, `order.n` of them.

        Cancelled by a client that hangs up, it leaves the calls to arrive and be recorded, and their numbers to the
        client's next attempt.

        Raises:
            Refused: no reply: the budget is spent, the call failed for good, or nothing answers any more.
        """
        meter = self._admitted(caller)
        player = self._models[caller.role]
        held = player.constrains and caller.role == "generator"
        choices = self._choices[caller.arm, caller.trial] if held else ()
        model = player.identity
        key = (caller, f"{order.request(model, 0, choices).identity()} {order.seed}")
        taken = [self._occurrences.take(key) for _ in range(order.n)]
        fresh = sum(new for _, new in taken)
        if fresh and not meter.admit(fresh):
            self._occurrences.undo(key, fresh)
            for number, new in taken:
                if not new:
                    self._occurrences.give_back(key, number)
            raise self._spent(caller, meter)
        path = DrawPath(self._seed, caller.trial, caller.arm if self._independent else None)
        asked = [
            self._ask(
                caller,
                order.request(model, foreign_draw(path, caller.role, order.seed, number), choices),
                meter,
                new,
            )
            for number, new in taken
        ]
        waiting = [done for done, _, _ in asked]
        self._submit([(one, deliver) for _, one, deliver in asked])
        try:
            # Nearly every call asks for one reply, and gathering one costs as much as asking for it.
            answers = [await waiting[0]] if order.n == 1 else await asyncio.gather(*waiting)
        except asyncio.CancelledError:
            for number, _ in taken:
                self._occurrences.give_back(key, number)
            raise
        for answer in answers:
            if isinstance(answer, Failed):
                raise _failed(answer)
        return [answer for answer in answers if isinstance(answer, Reply)]

    def _admitted(self, caller: Caller) -> Meter:
        """The meter of a caller.

        Raises:
            Refused: nothing answers any more, or the trial is closed.
        """
        if self.broken.done():
            raise _broken(self.broken.result())
        meter = self._meters.get((caller.arm, caller.trial))
        if meter is None:
            raise Refused(403, "trial_not_open", f"The trial {caller.scope} is not open.")
        if meter.closed:
            raise self._spent(caller, meter)
        return meter

    def _ask(
        self, caller: Caller, request: Request, meter: Meter, charged: bool
    ) -> tuple[asyncio.Future[Reply | Failed], Ask, Deliver]:
        """What waits for an answer, what is asked, and who takes it."""
        done: asyncio.Future[Reply | Failed] = asyncio.get_running_loop().create_future()

        def deliver(answer: Reply | Failed | BaseException) -> None:
            # Whoever is woken runs in a later turn of the loop, when the meter has been settled below.
            self._arrived.set()
            if isinstance(answer, BaseException):
                if charged:
                    meter.release()
                if not done.done():
                    done.set_exception(self._stopped(answer))
                return
            try:
                if charged:
                    usage = answer.usage if isinstance(answer, Reply) else None
                    usd = self._tally.dollars(caller.role, usage) if usage else None
                    meter.settle(usage, usd)
            except NullgradError as error:
                self._break(error)
            if not done.done():
                done.set_result(answer)

        return done, Ask(request, caller.about), deliver

    def _submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        try:
            self._session.asker.submit(asks)
        except Exception as error:
            # Whoever waits is told, however much of it was handed over before.
            for _, deliver in asks:
                deliver(error)

    def _stopped(self, error: BaseException) -> Refused:
        """What a client is told where asking ended in an error: the command's own limits, or nothing answers."""
        known = (
            error
            if isinstance(error, NullgradError)
            else NullgradError(f"Asking failed with {type(error).__name__}: {error}.")
        )
        self._break(known)
        return _broken(known)

    def _break(self, error: NullgradError) -> None:
        if not self.broken.done():
            self.broken.set_result(error)

    def _spent(self, caller: Caller, meter: Meter) -> Refused:
        self._closing[caller.arm, caller.trial].set()
        return Refused(
            402,
            "budget_spent",
            f"{meter.closed} The trial {caller.scope} is closed and no further call of it is answered.",
        )

    async def score(
        self, caller: Caller, view: TaskView, example: Example, text: str, target: str
    ) -> Scored | UnparsedAnswer:
        """The task's score of an output against a target; a judge is asked under the role `judge`.

        Raises:
            Refused: the judge's call failed: a missing score, never a zero.
        """
        answer = view.scorer.read(text)
        if isinstance(answer, UnparsedAnswer):
            return answer
        if not view.scorer.asks:
            return Scored(view.scorer.score(answer, target), answer)
        meter = self._admitted(caller)
        asking = replace(caller, role="judge")
        if not meter.admit():
            raise self._spent(caller, meter)
        player = self._models["judge"]
        path = (self._seed, caller.trial, caller.arm if self._independent else None)
        seen: list[Reply | Failed] = []

        def judge(messages: tuple[Message, ...]) -> Generator[Effect, Any, str | Failed]:
            # The same output is judged the same: a metric is no draw of the optimizer's.
            draw = draw_of("foreign-judge", *path, example.id, text_hash(text), target)
            reply = yield from ask(
                Request(player.identity, messages, Sampling(), draw=draw),
                replace(asking.about, stage="judge"),
            )
            seen.append(reply)
            return reply if isinstance(reply, Failed) else reply.text

        def grading() -> Generator[Effect, Any, Outcome]:
            graded: Outcome = yield from view.scorer.grade(answer, example, target, judge)
            return graded

        try:
            outcome = await self._session.drive(grading())
        except Exception as error:
            raise self._stopped(error) from None
        finally:
            usage = next((one.usage for one in seen if isinstance(one, Reply)), None)
            with suppress(NullgradError):
                meter.settle(usage, self._tally.dollars("judge", usage) if usage else None)
            self._arrived.set()
        if isinstance(outcome, Failed):
            raise _failed(outcome)
        return outcome

    def use(self, arm: str, trial: int) -> dict[str, Use]:
        """What a trial asked, by role, in the order of first use."""
        return {
            role: replace(use)
            for (of, number, role), use in self._tally.use.items()
            if (of, number) == (arm, trial)
        }


def _failed(failure: Failed) -> Refused:
    status = failure.status if failure.status in PASSED_ON else 502
    return Refused(
        status or 502,
        "call_failed",
        f"The call failed for good after {failure.attempts} attempts ({failure.kind}): {failure.message}",
    )


def _broken(error: NullgradError) -> Refused:
    if isinstance(error, BudgetReached):
        return Refused(402, "limit_reached", str(error))
    return Refused(503, "endpoint_down", str(error))

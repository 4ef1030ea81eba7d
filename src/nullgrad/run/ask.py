"""The hot path of asking: ledger hit, else joined, else budget, else a limited and retried call, then appended.

A reply reaches its trial only after the commit that holds it. A failure is delivered as `Failed` (and
recorded, since a decision is based on it) only once another call has succeeded: while nothing answers, the
endpoint is at fault and not the request, and the run is suspended instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from nullgrad.core.chat import Failed, Reply, Usage
from nullgrad.core.effects import About, Ask
from nullgrad.core.events import Event
from nullgrad.errors import BudgetReached, CallError, EndpointError, NullgradError
from nullgrad.ports import Ledger, Model, Observer, Record
from nullgrad.run.budget import Budget
from nullgrad.run.commits import Commits
from nullgrad.run.drive import Deliver
from nullgrad.run.limiter import Limiter
from nullgrad.run.retry import RetryPolicy

Price = Callable[[str, Usage], Decimal | None]
"""Dollars for a usage of a model by its identity, None where unknown."""


BREAKER = 8
"""Calls that failed for good with no later success, from which on the endpoint counts as down."""

ROUNDS = 5
"""How often a call that overload alone kept away gets its attempts anew, each time once another call has succeeded."""

NOTABLE = 5.0
"""Pauses that an endpoint asks for are told from this length on, in seconds."""


@dataclass(slots=True)
class Counts:
    """Calls of this process, by what became of them."""

    paid: int = 0
    replayed: int = 0
    joined: int = 0
    failed: int = 0
    retried: int = 0


@dataclass(slots=True, eq=False)
class _Call:
    """One request on its way, with all who wait for it."""

    identity: str
    ask: Ask
    waiting: list[tuple[About, Deliver]] = field(default_factory=list)
    attempts: int = 0
    tries: int = 0
    rounds: int = 1
    admitted: bool = False
    failure: CallError | None = None
    failed_at: float = 0.0


class _Lane:
    """Calls of one model: its queue, its limiter, and the failures withheld until it proves alive."""

    def __init__(self, model: Model, ceiling: int) -> None:
        self.model = model
        self.queue: deque[_Call] = deque()
        self.limiter = Limiter(min(ceiling, model.max_concurrency or ceiling))
        self.withheld: list[_Call] = []
        self.successes = 0
        self.replayed = 0
        self.unproven = 0
        """Failures delivered since the last success without a later one to prove the endpoint alive."""
        self.told = self.limiter.ceiling
        """Lowest limit that the observer was told of."""
        self.pausing = 0
        self.waking = False


class Asker:
    """Answers requests for a run.

    Args:
        models: by their identity.
        ledger: what is known and where replies go; used from the loop's thread and, for what may wait, from one
            writer thread.
        observer: told of every answer.
        budget: what may be spent.
        run: the run's identity, under which events are recorded.
        concurrency: calls in flight per model at most, and answers that wait for their commit; a killed process has
            thus lost at most twice as many.
        on_failure: `missing` delivers `Failed`; `suspend` ends the run instead.
        price: dollars of a reply.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        ledger: Ledger,
        observer: Observer,
        budget: Budget,
        run: str,
        *,
        concurrency: int = 32,
        on_failure: str = "missing",
        retry: RetryPolicy | None = None,
        price: Price | None = None,
    ) -> None:
        self._lanes = {identity: _Lane(model, concurrency) for identity, model in models.items()}
        self._ledger = ledger
        self._observer = observer
        self._budget = budget
        self._run = run
        self._on_failure = on_failure
        self._retry = retry or RetryPolicy()
        self._price = price
        self._calls: dict[str, _Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._commits: Commits[_Call] = Commits(
            ledger,
            deliver=self._committed,
            delivered=self._pump_all,
            refused=lambda error: self._abort(error, committing=True),
            broken=self._abort,
        )
        self._fatal: BaseException | None = None
        self._closed = False
        self._judging = False
        self._ceiling = concurrency
        self.counts = Counts()

    def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        """Answer what the ledger knows at once; join or queue the rest."""
        unknown: list[tuple[str, Ask, Deliver]] = []
        looked_up = [(ask.request.identity(), ask, deliver) for ask, deliver in asks]
        known = self._ledger.find([identity for identity, _, _ in looked_up])
        for identity, ask, deliver in looked_up:
            answer = known.get(identity)
            if answer is None:
                unknown.append((identity, ask, deliver))
                continue
            self.counts.replayed += 1
            if isinstance(answer, Failed):
                self.counts.failed += 1
            elif ask.request.model in self._lanes:
                self._lanes[ask.request.model].replayed += 1
            self._observer.on_answer(ask.about, answer, "replayed")
            deliver(answer)
        for identity, ask, deliver in unknown:
            self._send(identity, ask, deliver)

    def state(self, event: Event) -> None:
        """Record a fact with the next commit and tell the observer."""
        self._commits.state(self._run, event)
        self._observer.on_event(event)

    def _send(self, identity: str, ask: Ask, deliver: Deliver) -> None:
        if self._fatal is not None:
            deliver(self._fatal)
            return
        if self._closed:
            deliver(EndpointError("The run has ended: no further call starts."))
            return
        call = self._calls.get(identity)
        if call is not None:
            call.waiting.append((ask.about, deliver))
            return
        lane = self._lanes.get(ask.request.model)
        if lane is None:
            deliver(EndpointError(f"No model {ask.request.model!r} is open."))
            return
        call = _Call(identity, ask, [(ask.about, deliver)])
        self._calls[identity] = call
        lane.queue.append(call)
        self._pump(lane)

    def _pump(self, lane: _Lane) -> None:
        """Start what may start. A limit of tokens or dollars is asked here and not when a call is queued, where nothing is known yet of what the calls before it cost."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while lane.queue and lane.limiter.free(now) and self._commits.uncommitted < self._ceiling:
            call = lane.queue.popleft()
            if not self._admit(call):
                continue
            lane.limiter.in_flight += 1
            task = loop.create_task(self._call(lane, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if lane.queue and now < lane.limiter.resume_at and not lane.waking:
            lane.waking = True
            loop.call_at(lane.limiter.resume_at, self._rewake, lane)
        self._judge_soon()

    def _admit(self, call: _Call) -> bool:
        if call.admitted:
            return True
        try:
            self._budget.admit(reserved=call.ask.about.split == "test")
        except BudgetReached as reached:
            del self._calls[call.identity]
            self._tell(call, reached)
            return False
        call.admitted = True
        return True

    def _rewake(self, lane: _Lane) -> None:
        lane.waking = False
        self._pump(lane)

    async def _call(self, lane: _Lane, call: _Call) -> None:
        """Send once. Nobody awaits this task, so whatever is raised in or beside the call ends the run."""
        try:
            await self._attempt(lane, call)
            self._pump(lane)
        except asyncio.CancelledError:
            if not self._closed:
                self._abort(EndpointError(f"A call of {lane.model.name} was cancelled from outside."))
            raise
        except Exception as error:
            self._abort(error)

    async def _attempt(self, lane: _Lane, call: _Call) -> None:
        loop = asyncio.get_running_loop()
        call.attempts += 1
        call.tries += 1
        sent = loop.time()
        failure: CallError | None = None
        try:
            reply = await lane.model.call(call.ask.request)
        except CallError as error:
            failure = error
        except NullgradError:
            raise
        except Exception as error:
            raise EndpointError(
                f"The model {lane.model.name!r} raised {type(error).__name__}: {error}."
            ) from error
        finally:
            lane.limiter.in_flight -= 1
        if failure is not None:
            self._failed(lane, call, failure, sent)
            return
        lane.limiter.succeeded()
        lane.successes += 1
        lane.unproven = 0
        self._answered(call, reply, loop.time() - sent)
        if lane.withheld:
            self._release(lane, before=sent)

    def _answered(self, call: _Call, reply: Reply, seconds: float) -> None:
        # Recorded before anything else can raise: it is paid for.
        self._record(call, reply, seconds)
        usd = self._price(call.ask.request.model, reply.usage) if self._price else None
        self._budget.settle(reply.usage, usd, forward=call.ask.about.role == "generator")

    def _record(self, call: _Call, answer: Reply | Failed, seconds: float) -> None:
        record = Record(call.identity, call.ask.request, answer, call.ask.about, call.attempts, seconds)
        self._commits.record(call, record)

    def _failed(self, lane: _Lane, call: _Call, error: CallError, sent: float) -> None:
        if self._fatal is not None or self._closed:
            return
        loop = asyncio.get_running_loop()
        if error.overloaded:
            self._slow_down(lane, error, sent)
        pause = self._retry.pause(error, call.tries)
        if pause is not None:
            asked = not error.overloaded and (error.retry_after or 0) >= NOTABLE
            if self.counts.retried == 0 or asked:
                self._observer.on_notice(f"{lane.model.name}: {error.what} Trying again in {pause:.1f} s.")
            self.counts.retried += 1
            lane.pausing += 1
            loop.call_later(pause, self._again, lane, call)
            return
        call.failure = error
        call.failed_at = sent
        lane.withheld.append(call)
        if lane.unproven + len(lane.withheld) >= BREAKER:
            self._abort(_down(lane.model.name, lane.unproven + len(lane.withheld), error))

    def _slow_down(self, lane: _Lane, error: CallError, sent: float) -> None:
        asked = error.retry_after or 0.0
        if asked > self._retry.patience:
            raise _asks_too_long(lane.model.name, error, self._retry.patience)
        limiter, now = lane.limiter, asyncio.get_running_loop().time()
        before = max(now, limiter.resume_at)
        limiter.overloaded(now, sent, error.retry_after)
        limit = int(limiter.limit)
        if limit < lane.told or limiter.resume_at - before >= NOTABLE:
            lane.told = min(lane.told, limit)
            wait = f" It asks to wait {asked:.3g} s, and no call starts before." if asked else ""
            self._observer.on_notice(f"{lane.model.name}: {error.what} Calls in flight: {limit}.{wait}")

    def _again(self, lane: _Lane, call: _Call) -> None:
        lane.pausing -= 1
        if self._fatal is None and not self._closed:
            lane.queue.appendleft(call)
            self._pump(lane)

    def _release(self, lane: _Lane, before: float | None) -> None:
        """Deliver withheld failures: a call has succeeded since, sent (`before` is when) after those that may have been the endpoint's fault; None delivers all."""
        withheld, lane.withheld = lane.withheld, []
        for call in withheld:
            failure = call.failure
            assert failure is not None
            if failure.retryable and before is not None and call.failed_at > before:
                lane.withheld.append(call)
            elif failure.overloaded and before is not None and call.rounds < ROUNDS:
                # Too many calls is no fault of this one: it is missing only if it fails where others succeed.
                call.tries, call.rounds = 0, call.rounds + 1
                lane.queue.append(call)
            else:
                self._give_up(call, failure)

    def _give_up(self, call: _Call, failure: CallError) -> None:
        if self._on_failure == "suspend":
            self._abort(_suspended(failure))
        if self._fatal is not None:
            return
        self._record(call, Failed(failure.kind, failure.what, failure.status, call.attempts), 0.0)
        self._budget.settle(None, None)

    def _judge_soon(self) -> None:
        """Once those who were answered had their turn to ask: the next call may be the proof."""
        if not self._judging and self._stalled():
            self._judging = True
            asyncio.get_running_loop().call_soon(self._judge)

    def _stalled(self) -> bool:
        # Asked after every call: what is nearly always so is looked at first.
        if self._commits.busy or self._closed or self._fatal is not None:
            return False
        lanes = self._lanes.values()
        return not any(lane.queue or lane.pausing or lane.limiter.in_flight for lane in lanes) and any(
            lane.withheld for lane in lanes
        )

    def _judge(self) -> None:
        self._judging = False
        if self._stalled():
            for lane in self._lanes.values():
                if lane.withheld:
                    self._check_alive(lane)

    def _check_alive(self, lane: _Lane) -> None:
        """When only withheld failures are left, no success can come that proves the endpoint alive.

        Refusals are then the requests' own where this endpoint has ever answered, fewer than `BREAKER` in a row.
        Of what retrying might have cured, a few after many successes are; but what is asked next is the proof,
        and if that fails too the endpoint is down.
        """
        curable = sum(call.failure is not None and call.failure.retryable for call in lane.withheld)
        if curable:
            own = not lane.unproven and lane.successes > 0 and curable <= max(1, lane.successes // 20)
        else:
            own = lane.successes + lane.replayed > 0
        if own:
            lane.unproven += len(lane.withheld)
            self._release(lane, before=None)
            return
        failure = lane.withheld[-1].failure
        assert failure is not None
        self._abort(_down(lane.model.name, lane.unproven + len(lane.withheld), failure))

    def _abort(self, error: BaseException, *, committing: bool = False) -> None:
        """No call can succeed, or none may be made: everyone who waits is told, queued calls are dropped.

        Who waits for a commit gets what it commits, unless the commit is what failed (`committing`).
        """
        if self._fatal is None:
            self._fatal = error
        for lane in self._lanes.values():
            lane.queue.clear()
            lane.withheld.clear()
        kept = set() if committing else self._commits.held
        for identity in [identity for identity in self._calls if identity not in kept]:
            self._tell(self._calls.pop(identity), self._fatal)

    def _tell(self, call: _Call, answer: Reply | Failed | BaseException) -> None:
        waiting, call.waiting = call.waiting, []
        for _, deliver in waiting:
            deliver(answer)

    def _committed(self, batch: list[tuple[_Call, Record]], kept: Mapping[str, Reply | Failed]) -> None:
        """Deliver a commit; an observer's error ends the run, and what is paid for stays counted and recorded."""
        for _, record in batch:
            if isinstance(record.answer, Reply):
                self.counts.paid += 1
            elif isinstance(kept.get(record.identity), Reply):
                self.counts.replayed += 1
            else:
                self.counts.failed += 1
        for call, record in batch:
            self._deliver(call, record, kept.get(record.identity, record.answer))

    def _pump_all(self) -> None:
        for lane in self._lanes.values():
            self._pump(lane)

    def _deliver(self, call: _Call, record: Record, answer: Reply | Failed) -> None:
        # Told even where nobody waits any more: it is paid for.
        if isinstance(record.answer, Failed) and isinstance(answer, Reply):
            self._observer.on_answer(record.about, answer, "replayed")
        else:
            self._observer.on_answer(record.about, record.answer, "paid")
        for about, _ in call.waiting[1:]:
            self.counts.joined += 1
            self._observer.on_answer(about, answer, "joined")
        self._calls.pop(call.identity, None)
        self._tell(call, answer)

    async def drain(self, patience: float) -> None:
        """Start no further call; those in flight get `patience` seconds to arrive and be recorded."""
        self._closed = True
        for lane in self._lanes.values():
            lane.queue.clear()
        if self._tasks and patience > 0:
            await asyncio.wait(set(self._tasks), timeout=patience)
        await self._commits.settled()

    async def finish(self, patience: float = 0.0) -> None:
        """Drain, cancel what is still in flight, and commit what is left."""
        await self.drain(0.0 if self._closed else patience)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._commits.finish()


def _asks_too_long(name: str, error: CallError, patience: float) -> EndpointError:
    return EndpointError(
        f"The endpoint of {name} asks to wait {error.retry_after:,.0f} s: {error.what}",
        f"That is more than {patience:g} s, so the run is suspended; every reply paid for is in the ledger.",
        "Run the same command again after that time.",
    )


def _down(name: str, count: int, last: CallError) -> EndpointError:
    return EndpointError(
        f"The endpoint of {name} does not answer: {count} {'call' if count == 1 else 'calls'} failed and none since succeeded; the last: {last.what}",
        "The run is suspended; every reply paid for is in the ledger and no failure was scored.",
        "Check the endpoint, then run the same command again to go on.",
    )


def _suspended(last: CallError) -> EndpointError:
    return EndpointError(
        f"A call failed for good: {last.what}",
        "The run is suspended (on failure: suspend); every reply paid for is in the ledger.",
        "Run the same command again, or with --on-failure missing to go on without this reply.",
    )

"""The hot path of asking: ledger hit, else joined, else budget, else a limited and retried call, then appended.

A reply reaches its trial only after the commit that holds it. A failure is delivered as `Failed` (and
recorded, since a decision is based on it) only once another call has succeeded: while nothing answers, the
endpoint is at fault and not the request, and the run is suspended instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal

from nullgrad.core.chat import Failed, Reply, Usage
from nullgrad.core.effects import About, Ask
from nullgrad.core.events import Event
from nullgrad.errors import BudgetReached, CallError, EndpointError, NullgradError
from nullgrad.ports import Ledger, Model, Observer, Record
from nullgrad.run.budget import Budget
from nullgrad.run.drive import Deliver
from nullgrad.run.limiter import Limiter
from nullgrad.run.retry import RetryPolicy

Price = Callable[[str, Usage], Decimal | None]
"""Dollars for a usage of a model by its identity, None where unknown."""


BREAKER = 8
"""Calls that failed for good with no later success, from which on the endpoint counts as down."""


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
        self.pausing = 0
        self.waking = False


class Asker:
    """Answers requests for a run.

    Args:
        models: by their identity.
        ledger: what is known and where replies go; used from one writer thread and, for look-ups, from the loop's.
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
        self._records: list[tuple[_Call, Record]] = []
        self._events: list[tuple[str, Event]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._fatal: BaseException | None = None
        self._closed = False
        self._ceiling = concurrency
        self._uncommitted = 0
        self.counts = Counts()

    def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        """Answer what the ledger knows at once; join, admit and queue the rest."""
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
            self._observer.on_answer(ask.about, answer, "replayed")
            deliver(answer)
        for identity, ask, deliver in unknown:
            self._send(identity, ask, deliver)

    def state(self, event: Event) -> None:
        """Record a fact with the next commit and tell the observer."""
        self._events.append((self._run, event))
        self._observer.on_event(event)
        self._flush_soon()

    def _send(self, identity: str, ask: Ask, deliver: Deliver) -> None:
        if self._fatal is not None:
            deliver(self._fatal)
            return
        call = self._calls.get(identity)
        if call is not None:
            call.waiting.append((ask.about, deliver))
            return
        try:
            self._budget.admit(reserved=ask.about.split == "test")
        except BudgetReached as reached:
            deliver(reached)
            return
        lane = self._lanes.get(ask.request.model)
        if lane is None:
            self._budget.settle(None, None)
            deliver(EndpointError(f"No model {ask.request.model!r} is open."))
            return
        call = _Call(identity, ask, [(ask.about, deliver)])
        self._calls[identity] = call
        lane.queue.append(call)
        self._pump(lane)

    def _pump(self, lane: _Lane) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while lane.queue and lane.limiter.free(now) and self._uncommitted < self._ceiling:
            call = lane.queue.popleft()
            lane.limiter.in_flight += 1
            task = loop.create_task(self._call(lane, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if lane.queue and now < lane.limiter.resume_at and not lane.waking:
            lane.waking = True
            loop.call_at(lane.limiter.resume_at, self._rewake, lane)

    def _rewake(self, lane: _Lane) -> None:
        lane.waking = False
        self._pump(lane)

    async def _call(self, lane: _Lane, call: _Call) -> None:
        loop = asyncio.get_running_loop()
        call.attempts += 1
        sent = loop.time()
        try:
            reply = await lane.model.call(call.ask.request)
        except CallError as error:
            lane.limiter.in_flight -= 1
            self._failed(lane, call, error, sent)
        except NullgradError as error:
            lane.limiter.in_flight -= 1
            self._abort(error)
        except asyncio.CancelledError:
            lane.limiter.in_flight -= 1
            raise
        except Exception as error:
            lane.limiter.in_flight -= 1
            self._abort(
                EndpointError(f"The model {lane.model.name!r} raised {type(error).__name__}: {error}.")
            )
        else:
            lane.limiter.in_flight -= 1
            lane.limiter.succeeded()
            lane.successes += 1
            self._answered(lane, call, reply, loop.time() - sent)
            if lane.withheld:
                self._release(lane, before=sent)
        self._pump(lane)
        self._check_alive(lane)

    def _answered(self, lane: _Lane, call: _Call, reply: Reply, seconds: float) -> None:
        usd = self._price(call.ask.request.model, reply.usage) if self._price else None
        self._budget.settle(reply.usage, usd)
        record = Record(call.identity, call.ask.request, reply, call.ask.about, call.attempts, seconds)
        self._records.append((call, record))
        self._uncommitted += 1
        self._flush_soon()

    def _failed(self, lane: _Lane, call: _Call, error: CallError, sent: float) -> None:
        loop = asyncio.get_running_loop()
        if error.overloaded and lane.limiter.overloaded(loop.time(), sent, error.retry_after):
            self._observer.on_notice(
                f"{lane.model.name}: {error.what} Calls in flight: {int(lane.limiter.limit)}."
            )
        pause = self._retry.pause(error, call.attempts)
        if pause is not None:
            if self.counts.retried == 0:
                self._observer.on_notice(f"{lane.model.name}: {error.what} Trying again in {pause:.1f} s.")
            self.counts.retried += 1
            lane.pausing += 1
            loop.call_later(pause, self._again, lane, call)
            return
        call.failure = error
        call.failed_at = sent
        lane.withheld.append(call)
        if not error.retryable and lane.successes:
            self._release(lane, before=-1.0)
        if len(lane.withheld) >= BREAKER:
            self._abort(_down(lane.model.name, len(lane.withheld), error))

    def _again(self, lane: _Lane, call: _Call) -> None:
        lane.pausing -= 1
        if self._fatal is None and not self._closed:
            lane.queue.appendleft(call)
            self._pump(lane)

    def _release(self, lane: _Lane, before: float | None) -> None:
        """Deliver withheld failures: a call sent after them has succeeded (`before` is when), or the fault is the request's own."""
        kept: list[_Call] = []
        for call in lane.withheld:
            failure = call.failure
            assert failure is not None
            if (not failure.retryable) or before is None or call.failed_at <= before:
                self._give_up(call, failure)
            else:
                kept.append(call)
        lane.withheld = kept

    def _give_up(self, call: _Call, failure: CallError) -> None:
        if self._on_failure == "suspend":
            self._abort(_suspended(failure))
            return
        self._budget.settle(None, None)
        failed = Failed(failure.kind, failure.what, failure.status, call.attempts)
        record = Record(call.identity, call.ask.request, failed, call.ask.about, call.attempts, 0.0)
        self._records.append((call, record))
        self._uncommitted += 1
        self._flush_soon()

    def _check_alive(self, lane: _Lane) -> None:
        """When only withheld failures are left: a few after many successes are the requests' own, else the endpoint is down."""
        if (
            not lane.withheld
            or lane.queue
            or lane.pausing
            or lane.limiter.in_flight
            or self._fatal is not None
        ):
            return
        if lane.successes and len(lane.withheld) <= max(1, lane.successes // 20):
            self._release(lane, before=None)
            return
        failure = lane.withheld[-1].failure
        assert failure is not None
        self._abort(_down(lane.model.name, len(lane.withheld), failure))

    def _abort(self, error: BaseException) -> None:
        """No call can succeed, or none may be made: everyone who waits is told, queued calls are dropped."""
        if self._fatal is None:
            self._fatal = error
        for lane in self._lanes.values():
            lane.queue.clear()
            lane.withheld.clear()
        committing = {call.identity for call, _ in self._records}
        for identity in [identity for identity in self._calls if identity not in committing]:
            call = self._calls.pop(identity)
            for _, deliver in call.waiting:
                deliver(self._fatal)
            call.waiting = []

    def _flush_soon(self) -> None:
        if self._flusher is None:
            self._flusher = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        """Group commit: whatever arrives while one commit is under way goes into the next."""
        loop = asyncio.get_running_loop()
        try:
            while self._records or self._events:
                records, self._records = self._records, []
                events, self._events = self._events, []
                rows = [record for _, record in records]
                try:
                    await loop.run_in_executor(self._writer, self._ledger.append, rows, events)
                    # Another process may have answered the same request first: what the ledger holds is what counts.
                    self._uncommitted -= len(records)
                    kept = self._ledger.find([record.identity for record in rows])
                    for call, record in records:
                        self._calls.pop(call.identity, None)
                        self._deliver(call, kept.get(record.identity, record.answer))
                    for lane in self._lanes.values():
                        self._pump(lane)
                except Exception as error:
                    # What cannot be committed must not reach a trial: everyone who waits gets the error.
                    for call, _ in (*records, *self._records):
                        self._calls.setdefault(call.identity, call)
                    self._records, self._events = [], []
                    self._abort(error)
                    return
        finally:
            self._flusher = None

    def _deliver(self, call: _Call, answer: Reply | Failed) -> None:
        source = "paid"
        for about, deliver in call.waiting:
            if source == "joined":
                self.counts.joined += 1
            elif isinstance(answer, Failed):
                self.counts.failed += 1
            else:
                self.counts.paid += 1
            self._observer.on_answer(about, answer, source)
            deliver(answer)
            source = "joined"
        call.waiting = []

    async def finish(self, patience: float = 0.0) -> None:
        """Commit what is left and stop; calls in flight get `patience` seconds to arrive and be recorded."""
        self._closed = True
        for lane in self._lanes.values():
            lane.queue.clear()
        if self._tasks and patience > 0:
            await asyncio.wait(set(self._tasks), timeout=patience)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._flusher is not None:
            await self._flusher
        if (self._records or self._events) and self._fatal is None:
            await self._flush()
        self._writer.shutdown(wait=True)


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

"""One run's open things: models, asker, driver, the log of its events and what it spends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Generator, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.effects import About, Ask, Effect
from nullgrad.core.events import Event
from nullgrad.core.facts import Spend
from nullgrad.errors import BudgetReached
from nullgrad.ports import Ledger, Model, Observer
from nullgrad.run.ask import Asker, Price
from nullgrad.run.budget import Budget, Limits
from nullgrad.run.drive import Deliver, Driver
from nullgrad.run.retry import RetryPolicy

T = TypeVar("T")


class Log:
    """An observer that keeps the events and books the spend, and passes everything on."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.events: list[Event] = []
        self.asked: dict[str, int] = {}
        self.prompt = self.completion = self.cached = self.uncounted = 0

    def on_event(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)
        self._observer.on_event(event)

    def on_answer(self, about: About, answer: Reply | Failed, source: str) -> None:
        """Book it."""
        self.asked[about.role] = self.asked.get(about.role, 0) + 1
        if source == "paid" and isinstance(answer, Reply):
            usage = answer.usage
            if usage.prompt is None:
                self.uncounted += 1
            self.prompt += usage.prompt or 0
            self.completion += usage.completion or 0
            self.cached += usage.cached or 0
        self._observer.on_answer(about, answer, source)

    def on_notice(self, text: str) -> None:
        """Pass it on."""
        self._observer.on_notice(text)


class _Recorded:
    """Answers from the ledger alone; what it does not hold is a failure."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.asked = self.found = 0

    def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        identities = [ask.request.identity() for ask, _ in asks]
        known = self._ledger.find(identities)
        for identity, (_, deliver) in zip(identities, asks, strict=True):
            self.asked += 1
            self.found += identity in known
            deliver(known.get(identity, _UNASKED))

    def state(self, event: Event) -> None:
        """Nothing."""


_UNASKED = Failed("unasked", "The ledger does not hold it.")


class Session:
    """Opens models and asks on behalf of generators; leaves everything recorded when it is left.

    Args:
        models: by identity.
        ledger: where replies go.
        observer: told of everything.
        run: the run's identity.
        limits: what this command may spend.
        concurrency: calls in flight per model at most.
        on_failure: `missing` or `suspend`.
        price: dollars of a reply, None for no price list.
        patience: seconds that calls in flight get to arrive when the run ends.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        ledger: Ledger,
        observer: Observer,
        run: str,
        *,
        limits: Limits | None = None,
        concurrency: int = 32,
        on_failure: str = "missing",
        retry: RetryPolicy | None = None,
        price: Price | None = None,
        patience: float = 15.0,
    ) -> None:
        self._models = models
        self._ledger = ledger
        self._price = price
        self._patience = patience
        self.log = Log(observer)
        self.budget = Budget(limits or Limits())
        self.concurrency = concurrency
        self.asker = Asker(
            models,
            ledger,
            self.log,
            self.budget,
            run,
            concurrency=concurrency,
            on_failure=on_failure,
            retry=retry,
            price=price,
        )
        self._driver = Driver(self.asker)
        self._started = time.monotonic()

    async def __aenter__(self) -> Self:
        opened: list[Model] = []
        try:
            for model in self._models.values():
                opened.append(model)
                await model.open()
        except BaseException:
            for model in opened:
                await model.close()
            await self.asker.finish()
            raise
        self._started = time.monotonic()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # Also at a regular end: a trial that the budget stopped leaves calls in flight, and they are paid for.
            await self.asker.finish(self._patience)
        finally:
            for model in self._models.values():
                await model.close()

    @property
    def limit(self) -> int:
        """Calls in flight at most over all models: each has its own limit, or `concurrency`."""
        return sum(
            min(self.concurrency, model.max_concurrency or self.concurrency)
            for model in self._models.values()
        )

    async def recorded(self, generator: Generator[Effect, Any, Any]) -> int:
        """How many of a generator's requests the ledger answers; nothing is asked and nothing stated."""
        known = _Recorded(self._ledger)
        await Driver(known).drive(generator)
        return known.found

    async def recall(self, generator: Generator[Effect, Any, T]) -> T | None:
        """The result of a generator from the ledger alone, None where it does not hold every request of it."""
        known = _Recorded(self._ledger)
        result = await Driver(known).drive(generator)
        return result if known.found == known.asked else None

    async def drain(self) -> None:
        """Start no further call; what is in flight arrives and is counted, though nobody may wait for it any more."""
        await self.asker.drain(self._patience)

    async def drive(self, generator: Generator[Effect, Any, T]) -> T:
        """Drive one generator to its end."""
        return await self._driver.drive(generator)

    async def drive_all(
        self, generators: Sequence[Generator[Effect, Any, T]]
    ) -> tuple[list[T | None], BudgetReached | None]:
        """Drive generators side by side; those that the budget stopped give None, any other error ends all.

        Returns:
            Results in order, and the budget's error if it stopped one.
        """
        return await side_by_side([self.drive(generator) for generator in generators])

    def spend(self) -> Spend:
        """What was asked and paid so far."""
        counts, log = self.asker.counts, self.log
        usd: Decimal | None = self.budget.usd if self._price and not self.budget.unpriced else None
        return Spend(
            counts.paid,
            counts.replayed,
            counts.joined,
            counts.failed,
            counts.retried,
            log.prompt,
            log.completion,
            log.cached,
            log.uncounted,
            None if usd is None else float(usd),
            tuple(sorted(log.asked.items())),
            time.monotonic() - self._started,
        )


async def side_by_side(
    coroutines: Sequence[Coroutine[Any, Any, T]],
) -> tuple[list[T | None], BudgetReached | None]:
    """Run coroutines side by side; those that the budget stopped give None, any other error ends all.

    Returns:
        Results in order, and the budget's error if it stopped one.
    """
    tasks: list[asyncio.Task[T]] = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done = await asyncio.gather(*(_until_budget(task) for task in tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    reached = next((error for _, error in done if error is not None), None)
    return [result for result, _ in done], reached


async def _until_budget(task: asyncio.Task[T]) -> tuple[T | None, BudgetReached | None]:
    try:
        return await task, None
    except BudgetReached as reached:
        return None, reached

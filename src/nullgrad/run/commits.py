"""Group commits: what arrives in one turn of the loop, or while a commit is under way, goes into one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.events import Event
from nullgrad.ports import Ledger, Record

Call = TypeVar("Call")

AT_ONCE = 8
"""Replies that are committed from the loop's own thread, where that needs no waiting: handing so few to the writer thread and back costs more than writing them."""


class Commits(Generic[Call]):
    """Records and facts on their way into the ledger.

    Args:
        ledger: used from the loop's thread and, for what may wait, from one writer thread.
        deliver: given (call, record) of a commit and, where another process was first with one, what the ledger holds.
        delivered: told after that.
        refused: told the ledger's error; nothing is committed any more, but for one last try of `finish`.
        broken: told what `deliver` or `delivered` raised; what is paid for stays recorded.

    Attributes:
        uncommitted: records that wait for their commit.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        deliver: Callable[[list[tuple[Call, Record]], Mapping[str, Reply | Failed]], None],
        delivered: Callable[[], None],
        refused: Callable[[Exception], None],
        broken: Callable[[Exception], None],
    ) -> None:
        self._ledger = ledger
        self._deliver = deliver
        self._delivered = delivered
        self._refuse = refused
        self._broken = broken
        self._records: list[tuple[Call, Record]] = []
        self._committing: list[tuple[Call, Record]] = []
        self._events: list[tuple[str, Event]] = []
        self._due = False
        self._flusher: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._unwritable = False
        self.uncommitted = 0

    def record(self, call: Call, record: Record) -> None:
        """Commit an answer, and deliver it then."""
        self._records.append((call, record))
        self.uncommitted += 1
        self._soon()

    def state(self, run: str, event: Event) -> None:
        """Commit a fact."""
        self._events.append((run, event))
        self._soon()

    @property
    def busy(self) -> bool:
        """Whether a record waits for its commit or its delivery."""
        return bool(self._records or self._committing)

    @property
    def held(self) -> set[str]:
        """Identities of the records that wait."""
        return {record.identity for _, record in (*self._records, *self._committing)}

    async def settled(self) -> None:
        """Return once no commit is under way or about to begin."""
        while self._due or self._flusher is not None:
            await (self._flusher or asyncio.sleep(0))

    async def finish(self) -> None:
        """Commit what is left, also where the ledger had refused, and end."""
        await self.settled()
        if self._records or self._events:
            self._unwritable = False
            await self._flush()
        self._writer.shutdown(wait=True)

    def _soon(self) -> None:
        """In the next turn of the loop: what arrives in this one goes along."""
        if not self._due and self._flusher is None and not self._unwritable:
            self._due = True
            asyncio.get_running_loop().call_soon(self._now)

    def _now(self) -> None:
        self._due = False
        if self._flusher is not None or self._unwritable:
            return
        if len(self._records) > AT_ONCE or not self._commit_at_once():
            self._flusher = asyncio.get_running_loop().create_task(self._flush())

    def _commit_at_once(self) -> bool:
        """Commit from this thread; returns False, and has done nothing, where that would have to wait."""
        batch, events = self._take()
        try:
            new = self._append(batch, events, wait=False)
        except Exception as error:
            self._refused(batch, events, error)
            return True
        if new is None:
            self._records, self._events, self._committing = batch, events, []
            return False
        self._written(batch, new)
        return True

    async def _flush(self) -> None:
        """Commit from the writer thread until nothing is left."""
        loop = asyncio.get_running_loop()
        try:
            while (self._records or self._events) and not self._unwritable:
                batch, events = self._take()
                try:
                    new = await loop.run_in_executor(self._writer, self._append, batch, events)
                except Exception as error:
                    self._refused(batch, events, error)
                else:
                    self._written(batch, new)
        finally:
            self._flusher = None

    def _take(self) -> tuple[list[tuple[Call, Record]], list[tuple[str, Event]]]:
        batch, self._records = self._records, []
        events, self._events = self._events, []
        self._committing = batch
        return batch, events

    def _append(
        self, batch: list[tuple[Call, Record]], events: list[tuple[str, Event]], wait: bool = True
    ) -> int | None:
        return self._ledger.append([record for _, record in batch], events, wait=wait)

    def _refused(
        self, batch: list[tuple[Call, Record]], events: list[tuple[str, Event]], error: Exception
    ) -> None:
        """What cannot be committed must not reach a trial; `finish` tries once more to keep it."""
        self._records, self._events = batch + self._records, events + self._events
        self._committing = []
        self._unwritable = True
        self._refuse(error)

    def _written(self, batch: list[tuple[Call, Record]], new: int | None) -> None:
        kept: Mapping[str, Reply | Failed] = {}
        if new != len(batch):
            # Another process has answered a request first: what the ledger holds is what counts.
            try:
                kept = self._ledger.find([record.identity for _, record in batch])
            except Exception as error:
                self._refused(batch, [], error)
                return
        self.uncommitted -= len(batch)
        try:
            self._deliver(batch, kept)
            self._committing = []
            self._delivered()
        except Exception as error:
            self._committing = []
            self._broken(error)

"""Group commits: what goes together, from which thread, and what becomes of it where the ledger refuses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nullgrad.core.chat import Failed, Message, Reply, Request
from nullgrad.core.effects import About
from nullgrad.core.events import Event, Reported
from nullgrad.errors import LedgerError
from nullgrad.ports import Record
from nullgrad.run.commits import AT_ONCE, Commits


def record(number: int) -> Record:
    request = Request("m", (Message("user", str(number)),))
    return Record(request.identity(), request, Reply(str(number)), About("generator", "forward"), 1, 0.0)


@dataclass
class Book:
    """A ledger that keeps what it is given, and says from which thread."""

    waits: bool = False
    refusals: int = 0
    unreadable: bool = False
    known: dict[str, Reply | Failed] = field(default_factory=dict)
    events: list[tuple[str, Event]] = field(default_factory=list)
    commits: list[tuple[int, bool]] = field(default_factory=list)

    def find(self, identities: Sequence[str]) -> dict[str, Reply | Failed]:
        if self.unreadable:
            raise LedgerError("It cannot be read.")
        return {one: self.known[one] for one in identities if one in self.known}

    def append(
        self, records: Sequence[Record], events: Sequence[tuple[str, Event]], *, wait: bool = True
    ) -> int | None:
        if self.waits and not wait:
            return None
        if self.refusals:
            self.refusals -= 1
            raise LedgerError("The disk is full.")
        self.commits.append((len(records), threading.current_thread() is threading.main_thread()))
        before = len(self.known)
        for one in records:
            self.known.setdefault(one.identity, one.answer)
        self.events += events
        return len(self.known) - before

    def test_openings(self, task: str, run: str) -> int:
        return 0

    def begin_run(self, run: str, spec: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@dataclass
class Told:
    """Whom the commits tell."""

    delivered: list[int] = field(default_factory=list)
    kept: dict[str, Reply | Failed] = field(default_factory=dict)
    rounds: int = 0
    refused: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    fails: bool = False

    def deliver(self, batch: list[tuple[int, Record]], kept: Mapping[str, Reply | Failed]) -> None:
        if self.fails:
            raise RuntimeError("nobody listens")
        self.delivered += [number for number, _ in batch]
        self.kept.update(kept)

    def done(self) -> None:
        self.rounds += 1


def carry_out(book: Book, told: Told, turns: Sequence[Sequence[int]], facts: int = 0) -> Commits[int]:
    """Record these numbers turn by turn, and finish."""

    async def scenario() -> Commits[int]:
        commits: Commits[int] = Commits(
            book,
            deliver=told.deliver,
            delivered=told.done,
            refused=lambda error: told.refused.append(str(error)),
            broken=lambda error: told.broken.append(str(error)),
        )
        for turn in turns:
            for number in turn:
                commits.record(number, record(number))
            for number in range(facts):
                commits.state("run", Reported("", str(number)))
            await commits.settled()
        await commits.finish()
        return commits

    return asyncio.run(scenario())


def test_few_go_from_the_loops_thread_and_many_from_the_writers() -> None:
    book, told = Book(), Told()
    commits = carry_out(book, told, [[1, 2], range(3, 4 + AT_ONCE)], facts=1)
    assert book.commits == [(2, True), (AT_ONCE + 1, False)]
    assert told.delivered == list(range(1, 4 + AT_ONCE))
    assert (told.rounds, told.kept, len(book.events)) == (2, {}, 2)
    assert (commits.uncommitted, commits.busy, commits.held) == (0, False, set())


def test_what_would_have_to_wait_goes_to_the_writers_thread() -> None:
    book, told = Book(waits=True), Told()
    carry_out(book, told, [[1], [2]])
    assert book.commits == [(1, False), (1, False)]
    assert told.delivered == [1, 2]


def test_what_another_process_answered_first_counts() -> None:
    other = Reply("from elsewhere")
    book, told = Book(known={record(1).identity: other}), Told()
    carry_out(book, told, [[1, 2]])
    assert told.kept == {record(1).identity: other, record(2).identity: Reply("2")}


def test_a_refusal_delivers_nothing_and_finishing_tries_once_more() -> None:
    book, told = Book(refusals=1), Told()
    carry_out(book, told, [[1, 2], [3]])
    assert told.refused == ["The disk is full."]
    assert book.commits == [(3, False)]
    assert told.delivered == [1, 2, 3]


def test_a_ledger_that_goes_on_refusing_ends_all_the_same() -> None:
    book, told = Book(refusals=5), Told()
    commits = carry_out(book, told, [[1], [2]])
    assert told.refused == ["The disk is full."] * 2
    assert told.delivered == []
    assert commits.held == {record(1).identity, record(2).identity}


def test_an_answer_that_cannot_be_read_back_is_not_delivered() -> None:
    book, told = Book(known={record(1).identity: Reply("x")}, unreadable=True), Told()
    carry_out(book, told, [[1]])
    assert told.delivered == []
    assert told.refused == ["It cannot be read."] * 2


def test_an_error_of_whoever_is_told_breaks_the_run_and_keeps_what_is_paid_for() -> None:
    book, told = Book(), Told(fails=True)
    commits: Any = carry_out(book, told, [[1]])
    assert told.broken == ["nobody listens"]
    assert book.known == {record(1).identity: Reply("1")}
    assert not commits.busy

"""Asking over a real endpoint that fails in every way: nothing lost, nothing paid twice, every failure counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from nullgrad.core.chat import Failed, Message, Reply, Request
from nullgrad.core.effects import About, Ask
from nullgrad.core.events import Event, TrialDone
from nullgrad.edges.openai import OpenAIModel
from nullgrad.errors import BudgetReached, EndpointError, LedgerError, UserError
from nullgrad.ports import Record
from nullgrad.run.ask import Asker
from nullgrad.run.budget import Budget, Limits
from nullgrad.run.retry import RetryPolicy
from tests.support.endpoint import MIXED, PER_ATTEMPT, Endpoint, Faults

SWIFT = RetryPolicy(attempts=8, base=0.005, cap=0.02, patience=5.0)


class Memory:
    """A ledger in memory that can be told to break."""

    def __init__(self) -> None:
        self.known: dict[str, Record] = {}
        self.events: list[tuple[str, Event]] = []
        self.commits: list[int] = []
        self.breaks = False

    def find(self, identities: Sequence[str]) -> dict[str, Reply | Failed]:
        return {one: self.known[one].answer for one in identities if one in self.known}

    def append(self, records: Sequence[Record], events: Sequence[tuple[str, Event]]) -> None:
        if self.breaks:
            raise LedgerError("The disk is full.")
        self.commits.append(len(records))
        for record in records:
            self.known.setdefault(record.identity, record)
        self.events += events

    def begin_run(self, run: str, spec: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Watch:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.sources: Counter[str] = Counter()
        self.notices: list[str] = []

    def on_event(self, event: Event) -> None:
        """Nothing."""

    def on_answer(self, about: About, answer: Reply | Failed, source: str) -> None:
        self.sources[source] += 1

    def on_notice(self, text: str) -> None:
        self.notices.append(text)


def requests(n: int, model: str) -> list[Ask]:
    return [
        Ask(Request(model, (Message("user", f"question {number}"),), draw=number), About("generator", "forward"))
        for number in range(n)
    ]


class Run:
    """What one run of an asker left behind."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.memory = Memory()
        self.watch = Watch()
        self.counts: Any = None


def ask_all(
    endpoint: Endpoint,
    n: int = 200,
    *,
    concurrency: int = 32,
    limits: Limits | None = None,
    memory: Memory | None = None,
    retry: RetryPolicy = SWIFT,
    timeout: float = 0.5,
    repeats: int = 1,
    on_failure: str = "missing",
) -> Run:
    """Submit n requests (each `repeats` times) and wait for every answer."""

    async def scenario() -> Run:
        result = Run()
        result.memory = memory or result.memory
        model = OpenAIModel("m", base_url=endpoint.url, endpoint_name="test", timeout=timeout)
        await model.open()
        asker = Asker(
            {model.identity: model}, result.memory, result.watch, Budget(limits or Limits()), "run",
            concurrency=concurrency, retry=retry, on_failure=on_failure,
        )  # fmt: skip
        result.counts = asker.counts
        asks = requests(n, model.identity) * repeats
        result.answers = [None] * len(asks)
        left = len(asks)
        done = asyncio.Event()

        def deliverer(place: int):  # type: ignore[no-untyped-def]
            def deliver(answer: object) -> None:
                nonlocal left
                assert result.answers[place] is None, "delivered twice"
                result.answers[place] = answer
                left -= 1
                if left == 0:
                    done.set()

            return deliver

        asker.submit([(one, deliverer(place)) for place, one in enumerate(asks)])
        await asyncio.wait_for(done.wait(), 60)
        await asker.finish()
        await model.close()
        return result

    return asyncio.run(scenario())


def assert_nothing_paid_twice(endpoint: Endpoint) -> None:
    assert max(endpoint.served().values()) == 1


@pytest.mark.parametrize("fault", PER_ATTEMPT)
def test_each_fault_alone(fault: str) -> None:
    share = 0.02 if fault == "hang" else 0.15
    with Endpoint(faults=Faults(**{fault: share})) as endpoint:
        run = ask_all(endpoint)
    assert all(isinstance(answer, Reply) for answer in run.answers)
    assert len(run.memory.known) == 200
    assert run.counts.paid == 200
    assert run.counts.failed == 0
    assert run.counts.retried == sum(one.fault == fault for one in endpoint.log) > 0
    assert_nothing_paid_twice(endpoint)


def test_everything_at_once() -> None:
    with Endpoint(faults=MIXED) as endpoint:
        run = ask_all(endpoint, 400)
    rejected = {one.body for one in endpoint.log if one.fault == "rejected"}
    failures = [answer for answer in run.answers if isinstance(answer, Failed)]
    assert len(rejected) == len(failures) == run.counts.failed > 0
    assert all(failure.status == 400 and failure.attempts == 1 for failure in failures)
    assert run.counts.paid == 400 - len(failures)
    assert len(run.memory.known) == 400, "a failure that a decision is based on is recorded"
    assert_nothing_paid_twice(endpoint)


def test_a_second_run_is_answered_from_the_ledger() -> None:
    with Endpoint(faults=MIXED) as endpoint:
        first = ask_all(endpoint, 200)
        asked = len(endpoint.log)
        second = ask_all(endpoint, 200, memory=first.memory)
    assert len(endpoint.log) == asked
    assert second.answers == first.answers
    assert second.counts.replayed == 200
    assert second.counts.failed == first.counts.failed


def test_identical_requests_in_flight_are_joined() -> None:
    with Endpoint(latency=0.02) as endpoint:
        run = ask_all(endpoint, 20, repeats=5)
    assert len(endpoint.log) == 20
    assert (run.counts.paid, run.counts.joined) == (20, 80)
    assert run.watch.sources == {"paid": 20, "joined": 80}


@pytest.mark.parametrize("status", [500, 429, 503, 400])
def test_an_endpoint_that_only_fails_ends_the_run_and_records_nothing(status: int) -> None:
    with Endpoint(faults=Faults(every=status)) as endpoint:
        run = ask_all(endpoint, 50, retry=RetryPolicy(attempts=2, base=0.001, cap=0.002))
    assert all(isinstance(answer, EndpointError) for answer in run.answers)
    assert run.memory.known == {}
    assert run.counts.failed == 0


def test_an_endpoint_that_is_not_there() -> None:
    with Endpoint() as endpoint:
        pass
    run = ask_all(endpoint, 20, retry=RetryPolicy(attempts=2, base=0.001, cap=0.002))
    assert all(isinstance(answer, EndpointError) for answer in run.answers)
    assert run.memory.known == {}


def test_a_wrong_key_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    with Endpoint(key="sk-right") as endpoint:
        run = ask_all(endpoint, 100, concurrency=8)
    assert all(isinstance(answer, UserError) for answer in run.answers)
    assert len(endpoint.log) <= 8
    assert run.memory.known == {}


def test_an_unknown_model_is_not_retried() -> None:
    with Endpoint(model="another") as endpoint:
        run = ask_all(endpoint, 100, concurrency=8)
    assert all(isinstance(answer, UserError) for answer in run.answers)
    assert len(endpoint.log) <= 8


def test_overload_lowers_the_calls_in_flight_and_retry_after_is_honoured() -> None:
    with Endpoint(latency=0.01, faults=Faults(rate_limit_after=0.3, retry_after=0.1)) as endpoint:
        run = ask_all(endpoint, 100)
    assert all(isinstance(answer, Reply) for answer in run.answers)
    assert any("in flight" in notice for notice in run.watch.notices)


def test_the_budget_holds_to_within_the_calls_in_flight() -> None:
    with Endpoint(latency=0.005) as endpoint:
        run = ask_all(endpoint, 100, concurrency=8, limits=Limits(calls=30))
    assert run.counts.paid == 30
    assert sum(isinstance(answer, BudgetReached) for answer in run.answers) == 70
    assert len(endpoint.log) == 30


def test_tokens_hold_to_within_the_calls_in_flight() -> None:
    with Endpoint(latency=0.002) as endpoint:
        run = ask_all(endpoint, 100, concurrency=4, limits=Limits(tokens=43 * 30))
    assert any(isinstance(answer, BudgetReached) for answer in run.answers) or run.counts.paid == 100
    assert len(endpoint.log) == run.counts.paid


def test_a_reply_is_delivered_only_after_its_commit() -> None:
    memory = Memory()
    seen: list[bool] = []
    original = Asker._deliver

    def checking(self: Asker, call: Any, answer: Any) -> None:
        seen.append(call.identity in memory.known)
        original(self, call, answer)

    with Endpoint() as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Asker, "_deliver", checking)
        ask_all(endpoint, 50, memory=memory)
    assert seen == [True] * 50
    assert len(memory.commits) < 50, "replies are committed in groups"


def test_a_ledger_that_cannot_write_ends_the_run() -> None:
    memory = Memory()
    memory.breaks = True
    with Endpoint() as endpoint:
        run = ask_all(endpoint, 50, memory=memory)
    assert all(isinstance(answer, LedgerError) for answer in run.answers)


def test_on_failure_suspend_stops_at_the_first() -> None:
    with Endpoint(faults=Faults(rejected=0.05)) as endpoint:
        run = ask_all(endpoint, 200, on_failure="suspend")
    assert any(isinstance(answer, EndpointError) for answer in run.answers)
    assert not any(isinstance(record.answer, Failed) for record in run.memory.known.values())


def test_facts_are_committed_too() -> None:
    async def scenario() -> Memory:
        memory = Memory()
        asker = Asker({}, memory, Watch(), Budget(Limits()), "run")
        asker.state(TrialDone("s", "p", 1))
        await asker.finish()
        return memory

    assert asyncio.run(scenario()).events == [("run", TrialDone("s", "p", 1))]

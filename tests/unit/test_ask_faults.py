"""Asking over a real endpoint that fails in every way: nothing lost, nothing paid twice, every failure counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from nullgrad.core.chat import Failed, Message, Reply, Request, Usage
from nullgrad.core.effects import About, Ask, Effect, ask, parallel
from nullgrad.core.events import Event, TrialDone
from nullgrad.edges.models.openai import OpenAIModel
from nullgrad.errors import BudgetReached, CallError, EndpointError, LedgerError, UserError
from nullgrad.ports import Record
from nullgrad.run.ask import Asker
from nullgrad.run.budget import Budget, Limits, Reserve
from nullgrad.run.drive import Driver
from nullgrad.run.retry import RetryPolicy
from nullgrad.run.session import Session
from tests.support.endpoint import MIXED, PER_ATTEMPT, Body, Endpoint, Faults, Refusal

SWIFT = RetryPolicy(attempts=8, base=0.005, cap=0.02, patience=5.0)


class Memory:
    """A ledger in memory that can be told to break."""

    def __init__(self) -> None:
        self.known: dict[str, Record] = {}
        self.events: list[tuple[str, Event]] = []
        self.commits: list[int] = []
        self.breaks = False
        self.seconds = 0.0
        """How long a commit takes."""

    def find(self, identities: Sequence[str]) -> dict[str, Reply | Failed]:
        return {one: self.known[one].answer for one in identities if one in self.known}

    def append(
        self, records: Sequence[Record], events: Sequence[tuple[str, Event]], *, wait: bool = True
    ) -> int | None:
        if self.seconds and not wait:
            return None
        if self.breaks:
            raise LedgerError("The disk is full.")
        time.sleep(self.seconds)
        self.commits.append(len(records))
        before = len(self.known)
        for record in records:
            self.known.setdefault(record.identity, record)
        self.events += events
        return len(self.known) - before

    def test_openings(self, task: str, run: str) -> int:
        return 0

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
        Ask(
            Request(model, (Message("user", f"question {number}"),), draw=number),
            About("generator", "forward"),
        )
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
    watch: Watch | None = None,
    patience: float = 60.0,
) -> Run:
    """Submit n requests (each `repeats` times) and wait for every answer, or raise TimeoutError after `patience`."""

    async def scenario() -> Run:
        result = Run()
        result.memory = memory or result.memory
        result.watch = watch or result.watch
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
        try:
            await asyncio.wait_for(done.wait(), patience)
        finally:
            await asker.finish(patience=1.0)
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


class Busy(Endpoint):
    """Refuses the first requests with 429 and a Retry-After."""

    first = 4

    def decide(self, headers: dict[str, str], raw: bytes) -> tuple[str, int, str]:
        digest, status, fault = super().decide(headers, raw)
        self.first -= 1
        return (digest, 429, "rate_limit_after") if self.first >= 0 else (digest, status, fault)


def test_an_overloaded_endpoint_is_left_alone_for_as_long_as_it_asks() -> None:
    with Busy(faults=Faults(retry_after=0.2)) as endpoint:
        run = ask_all(endpoint, 40, concurrency=4)
    assert all(isinstance(answer, Reply) for answer in run.answers)
    refused = [one for one in endpoint.log if one.status == 429]
    later = [one for one in endpoint.log if one.status == 200]
    assert (len(refused), len(later)) == (4, 40)
    assert min(one.arrived for one in later) >= min(one.answered for one in refused) + 0.2
    halved = [notice for notice in run.watch.notices if "in flight: 2" in notice]
    assert len(halved) == 1, "halved once for the calls of one wave"


def test_every_retry_waits_for_as_long_as_it_was_asked_to() -> None:
    with Endpoint(latency=0.002, faults=Faults(rate_limit_after=0.2, retry_after=0.05)) as endpoint:
        run = ask_all(endpoint, 60)
    assert all(isinstance(answer, Reply) for answer in run.answers)
    waited = 0
    for body in endpoint.bodies:
        attempts = [one for one in endpoint.log if one.body == body]
        for before, after in pairwise(attempts):
            assert after.arrived >= before.answered + 0.05
            waited += 1
    assert waited > 0


def test_an_endpoint_that_asks_for_an_hour_ends_the_run() -> None:
    with Busy(faults=Faults(retry_after=3600)) as endpoint:
        run = ask_all(endpoint, 40, concurrency=4, patience=2)
    assert all(isinstance(answer, EndpointError) for answer in run.answers)
    assert run.memory.known == {}


def test_a_request_that_always_fails_is_missing_and_the_rest_is_answered() -> None:
    def refuse(body: Body) -> Refusal | None:
        return (500, {"error": {"message": "no"}}, {}) if "question 7" in str(body["messages"]) else None

    with Endpoint(refuse=refuse, latency=0.001) as endpoint:
        run = ask_all(endpoint, 60, concurrency=4)
    failures = [answer for answer in run.answers if isinstance(answer, Failed)]
    assert failures == [Failed("server", "HTTP 500: no", 500, SWIFT.attempts)]
    assert (run.counts.paid, run.counts.failed, run.counts.retried) == (59, 1, SWIFT.attempts - 1)
    assert Counter(one.status for one in endpoint.log) == {200: 59, 500: SWIFT.attempts}


class Broken(Watch):
    """An observer with a bug in it."""

    def on_notice(self, text: str) -> None:
        raise ZeroDivisionError(text)


def test_an_error_beside_a_call_reaches_those_who_wait() -> None:
    with Endpoint(faults=Faults(error_500=0.3)) as endpoint:
        run = ask_all(endpoint, 20, watch=Broken(), patience=2)
    assert any(isinstance(answer, BaseException) for answer in run.answers)


def test_what_was_paid_when_the_run_ended_is_counted() -> None:
    memory = Memory()
    memory.seconds = 0.02

    class Revoked(Endpoint):
        asked = 0

        def decide(self, headers: dict[str, str], raw: bytes) -> tuple[str, int, str]:
            digest, status, fault = super().decide(headers, raw)
            self.asked += 1
            return (digest, 401, "key") if self.asked == 41 else (digest, status, fault)

    with Revoked(latency=0.005) as endpoint:
        run = ask_all(endpoint, 200, concurrency=16, memory=memory)
    assert any(isinstance(answer, UserError) for answer in run.answers)
    assert len(memory.known) == sum(endpoint.served().values())
    assert run.counts.paid == len(memory.known)


def test_the_budget_holds_to_within_the_calls_in_flight() -> None:
    with Endpoint(latency=0.005) as endpoint:
        run = ask_all(endpoint, 100, concurrency=8, limits=Limits(calls=30))
    assert run.counts.paid == 30
    assert sum(isinstance(answer, BudgetReached) for answer in run.answers) == 70
    assert len(endpoint.log) == 30


def test_tokens_hold_to_within_the_calls_in_flight() -> None:
    each, concurrency = 43, 4
    with Endpoint(latency=0.002, answers=("yes",)) as endpoint:
        one = ask_all(endpoint, 1).answers[0].usage
        assert one.prompt + one.completion < each
        before = len(endpoint.log)
        run = ask_all(endpoint, 100, concurrency=concurrency, limits=Limits(tokens=10 * each))
        sent = len(endpoint.log) - before
    assert sum(isinstance(answer, BudgetReached) for answer in run.answers) == 100 - sent > 0
    assert sent == run.counts.paid
    spent = sum(
        answer.usage.prompt + answer.usage.completion for answer in run.answers if isinstance(answer, Reply)
    )
    assert spent <= (10 + concurrency) * each


def test_a_reply_is_delivered_only_after_its_commit() -> None:
    memory = Memory()
    seen: list[bool] = []
    original = Asker._deliver

    def checking(self: Asker, call: Any, *rest: Any) -> None:
        seen.append(call.identity in memory.known)
        original(self, call, *rest)

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


def follow(number: int, model: str, ended: list[int]) -> Generator[Effect, Any, tuple[str, ...] | Failed]:
    """Two requests, the second made from the first one's reply."""
    about = About("generator", "forward", example=str(number))
    try:
        first = yield from ask(Request(model, (Message("user", f"question {number}"),)), about)
        if isinstance(first, Failed):
            return first
        text = f"question {number} was answered {first.text}; and now?"
        second = yield from ask(Request(model, (Message("user", text),)), about)
        return second if isinstance(second, Failed) else (first.text, second.text)
    finally:
        ended.append(number)


def drive(
    endpoint: Endpoint,
    n: int,
    *,
    memory: Memory,
    ended: list[int] | None = None,
    stop: Callable[[], bool] | None = None,
    concurrency: int = 16,
) -> tuple[Any, Any]:
    """Drive `n` followers side by side over HTTP; results (or the error) and counts. `stop` cancels when it says so."""
    own: list[int] = [] if ended is None else ended

    async def scenario() -> tuple[Any, Any]:
        model = OpenAIModel("m", base_url=endpoint.url, endpoint_name="test", timeout=0.5, send_seed=False)
        await model.open()
        asker = Asker(
            {model.identity: model}, memory, Watch(), Budget(Limits()), "run", concurrency=concurrency, retry=SWIFT
        )  # fmt: skip
        task = asyncio.ensure_future(
            Driver(asker).drive(parallel(follow(number, model.identity, own) for number in range(n)))
        )
        try:
            while stop is not None and not task.done():
                await asyncio.sleep(0.001)
                if stop():
                    task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            return result, asker.counts
        finally:
            await asker.finish(patience=2.0)
            await model.close()

    return asyncio.run(asyncio.wait_for(scenario(), 60))


def test_generators_get_through_every_fault_as_if_there_were_none() -> None:
    with Endpoint() as endpoint:
        calm, _ = drive(endpoint, 150, memory=Memory())
    memory, ended = Memory(), list[int]()
    with Endpoint(faults=MIXED) as endpoint:
        stormy, counts = drive(endpoint, 150, memory=memory, ended=ended)
    failures = [answer for answer in stormy if isinstance(answer, Failed)]
    assert len(stormy) == 150
    assert 0 < len(failures) == counts.failed
    pairs = zip(stormy, calm, strict=True)
    assert all(answer == same for answer, same in pairs if not isinstance(answer, Failed)), (
        "in order, and the same"
    )
    assert sorted(ended) == list(range(150))
    assert counts.retried > 0
    assert counts.paid == sum(endpoint.served().values()) == len(memory.known) - len(failures)
    assert_nothing_paid_twice(endpoint)


def test_a_fatal_error_closes_every_generator() -> None:
    asked = 0

    def refuse(body: Body) -> Refusal | None:
        nonlocal asked
        asked += 1
        return (401, {"error": {"message": "revoked"}}, {}) if asked > 30 else None

    ended: list[int] = []
    with Endpoint(refuse=refuse) as endpoint:
        result, _ = drive(endpoint, 100, memory=Memory(), ended=ended, concurrency=8)
    assert isinstance(result, UserError)
    assert sorted(ended) == list(range(100)), "each was begun and each was closed"
    assert len(endpoint.log) <= 30 + 8


def test_a_cancelled_run_goes_on_where_it_stopped() -> None:
    memory = Memory()
    with Endpoint(faults=MIXED, latency=0.002) as endpoint:
        stopped, _ = drive(endpoint, 100, memory=memory, stop=lambda: len(memory.known) > 60)
        assert isinstance(stopped, asyncio.CancelledError)
        kept = len(memory.known)
        assert 60 < kept < 200
        results, counts = drive(endpoint, 100, memory=memory)
    assert len(results) == 100
    assert counts.replayed == kept
    assert_nothing_paid_twice(endpoint)


class Scripted:
    """A model in this process: `act` answers, or raises, by the request's text and the number of the call."""

    identity = name = "scripted"
    simulated = constrains = False
    max_concurrency: int | None = None
    max_logprobs = 0

    def __init__(self, act: Callable[[str, int], Any]) -> None:
        self.act = act
        self.calls = 0
        self.texts: list[str] = []

    async def open(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""

    async def call(self, request: Request) -> Reply:
        self.calls += 1
        text = request.messages[0].content
        self.texts.append(text)
        answer = self.act(text, self.calls)
        if asyncio.iscoroutine(answer):
            answer = await answer
        await asyncio.sleep(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, Reply) else Reply(f"{text}!", "stop", Usage(10, 2))


def down() -> CallError:
    return CallError("connection", "Nobody there.", retryable=True)


def refused() -> CallError:
    return CallError("rejected", "No.", status=400, retryable=False)


def one_by_one(model: str, texts: Sequence[str]) -> Generator[Effect, Any, list[Any]]:
    answers = []
    for text in texts:
        answers.append(
            (yield from ask(Request(model, (Message("user", text),)), About("generator", "forward")))
        )
    return answers


def scripted(
    act: Callable[[str, int], Any],
    *generators: Callable[[str], Generator[Effect, Any, Any]],
    memory: Memory | None = None,
    watch: Watch | None = None,
    attempts: int = 1,
    **options: Any,
) -> tuple[list[Any], Asker, Scripted]:
    """Drive generators over a scripted model; results or errors."""

    async def scenario() -> tuple[list[Any], Asker, Scripted]:
        model = Scripted(act)
        budget = options.pop("budget", None) or Budget(Limits())
        asker = Asker(
            {model.identity: model}, memory or Memory(), watch or Watch(), budget, "run",
            retry=RetryPolicy(attempts=attempts, base=0.001, cap=0.002, patience=options.pop("honoured", 5.0)), **options,
        )  # fmt: skip
        driver = Driver(asker)
        results = await asyncio.gather(
            *(driver.drive(make(model.identity)) for make in generators), return_exceptions=True
        )
        await asker.finish(patience=2.0)
        return list(results), asker, model

    return asyncio.run(asyncio.wait_for(scenario(), 20))


def chain(*texts: str) -> Callable[[str], Generator[Effect, Any, list[Any]]]:
    return lambda model: one_by_one(model, texts)


def test_an_endpoint_that_goes_down_in_a_chain_of_calls_is_not_scored_as_failures() -> None:
    memory = Memory()
    (result,), asker, model = scripted(
        lambda text, number: down() if number > 30 else None,
        chain(*(f"step {number}" for number in range(100))),
        memory=memory,
    )
    assert isinstance(result, EndpointError)
    assert asker.counts.failed <= 1, "the next call was the proof, and it failed too"
    assert model.calls <= 32


def test_an_endpoint_that_refuses_everything_from_some_call_on_ends_the_run() -> None:
    memory = Memory()
    results, _, _ = scripted(
        lambda text, number: refused() if number > 10 else None,
        *(chain(f"question {number}") for number in range(200)),
        memory=memory, concurrency=4,
    )  # fmt: skip
    assert any(isinstance(result, EndpointError) for result in results)
    assert not any(isinstance(record.answer, Failed) for record in memory.known.values())


def test_a_refused_call_is_missing_in_a_resumed_run_as_in_an_undisturbed_one() -> None:
    def act(text: str, number: int) -> Any:
        return refused() if text == "step 5" else None

    steps = [f"step {number}" for number in range(7)]
    (whole,), _, _ = scripted(act, chain(*steps))
    memory = Memory()
    scripted(act, chain(*steps[:5]), memory=memory)
    (resumed,), asker, _ = scripted(act, chain(*steps), memory=memory)
    assert isinstance(whole[5], Failed)
    assert resumed == whole
    assert (asker.counts.replayed, asker.counts.failed, asker.counts.paid) == (5, 1, 1)


def test_a_failure_waits_for_the_proof_that_a_commit_is_about_to_bring() -> None:
    memory = Memory()
    memory.seconds = 0.02

    async def late(number: int) -> Reply:
        await asyncio.sleep(0.001 * number)
        return Reply("yes", "stop", Usage(10, 2))

    results, asker, _ = scripted(
        lambda text, number: down() if text.startswith("poison") else late(number),
        chain("a", "b", "c"), chain("poison 1"), chain("poison 2"), memory=memory,
    )  # fmt: skip
    assert [len(result) for result in results] == [3, 1, 1]
    assert asker.counts.failed == 2


@pytest.mark.parametrize("told", ["paid", "joined"])
def test_an_observer_that_raises_loses_no_paid_reply_and_leaves_nobody_waiting(told: str) -> None:
    class Faulty(Watch):
        def on_answer(self, about: About, answer: Reply | Failed, source: str) -> None:
            super().on_answer(about, answer, source)
            if source == told:
                raise ZeroDivisionError

    memory = Memory()
    memory.seconds = 0.01
    results, asker, model = scripted(
        lambda text, number: None, *(chain(f"question {number // 2}", "next") for number in range(40)),
        memory=memory, watch=Faulty(), concurrency=8,
    )  # fmt: skip
    assert all(isinstance(result, ZeroDivisionError) for result in results)
    assert asker.counts.paid == len(memory.known) == model.calls


def test_a_price_that_raises_ends_the_run_and_keeps_what_was_paid() -> None:
    def price(model: str, usage: Usage) -> None:
        raise KeyError(model)

    memory = Memory()
    results, asker, model = scripted(
        lambda text, number: None, *(chain(f"question {number}", "next") for number in range(20)),
        memory=memory, price=price, concurrency=4,
    )  # fmt: skip
    assert all(isinstance(result, KeyError) for result in results)
    assert asker.counts.paid == len(memory.known) == model.calls


def test_a_model_whose_call_is_cancelled_from_within_leaves_nobody_waiting() -> None:
    (result,), _, _ = scripted(lambda text, number: asyncio.CancelledError(), chain("a"))
    assert isinstance(result, EndpointError)


def test_replies_in_flight_when_the_ledger_refuses_are_written_once_it_takes_them_again() -> None:
    class Locked(Memory):
        """Refuses the first commit."""

        refusals = 1

        def append(
            self, records: Sequence[Record], events: Sequence[tuple[str, Event]], *, wait: bool = True
        ) -> int | None:
            self.refusals -= 1
            if self.refusals >= 0:
                time.sleep(0.02)
                raise LedgerError("It is locked.")
            return super().append(records, events, wait=wait)

    memory = Locked()
    results, asker, model = scripted(
        lambda text, number: None, *(chain(f"question {number}") for number in range(8)), memory=memory
    )
    assert all(isinstance(result, LedgerError) for result in results)
    assert asker.counts.paid == len(memory.known) == model.calls


def test_a_pause_that_is_honoured_is_told() -> None:
    def wait(text: str, number: int) -> Any:
        busy = CallError("rate-limit", "Slowly.", retryable=True, overloaded=True, retry_after=0.01)
        return busy if number == 1 else None

    watch = Watch()
    scripted(wait, chain("a", "b"), watch=watch, attempts=3)
    assert any("asks to wait 0.01 s" in notice for notice in watch.notices)


def test_a_call_that_overload_alone_keeps_away_is_not_missing() -> None:
    seen: Counter[str] = Counter()

    def throttle(text: str, number: int) -> Any:
        seen[text] += 1
        unlucky = text == "unlucky" and seen[text] < 12
        busy = CallError("rate-limit", "Slowly.", status=429, retryable=True, overloaded=True)
        return busy if unlucky else None

    results, asker, _ = scripted(
        throttle, chain("unlucky"), chain(*(f"step {number}" for number in range(400))), attempts=3
    )
    assert asker.counts.failed == 0
    assert isinstance(results[0][0], Reply)


def test_a_call_that_is_always_too_much_is_missing_in_the_end_and_told_of_once_a_limit() -> None:
    def act(text: str, number: int) -> Any:
        busy = CallError("rate-limit", "Too large.", status=429, retryable=True, overloaded=True)
        return busy if text == "large" else None

    watch = Watch()
    results, asker, model = scripted(
        act, chain("large"), chain(*(f"step {number}" for number in range(400))), attempts=2, watch=watch
    )
    assert isinstance(results[0][0], Failed)
    assert asker.counts.paid == 400
    assert model.texts.count("large") == results[0][0].attempts
    limits = [notice for notice in watch.notices if "in flight" in notice]
    assert len(limits) == len(set(limits)) <= 5


def test_a_regular_end_waits_for_paid_calls_that_nobody_waits_for_any_more() -> None:
    """A trial that the budget stopped leaves calls in flight; they are counted before the spend is told."""

    class Bounded(Scripted):
        async def call(self, request: Request) -> Reply:
            await asyncio.sleep(0.02)
            return await super().call(request)

    async def scenario() -> tuple[Memory, Any, Bounded, list[Any]]:
        memory, model = Memory(), Bounded(lambda text, number: None)
        session = Session(
            {model.identity: model}, memory, Watch(), "run", limits=Limits(calls=6), concurrency=4
        )
        async with session:
            results, reached = await session.drive_all(
                [parallel(one_by_one(model.identity, [f"question {number}"]) for number in range(10))]
            )
            assert isinstance(reached, BudgetReached)
            await session.drain()
            spend = session.spend()
        return memory, spend, model, results

    memory, spend, model, results = asyncio.run(asyncio.wait_for(scenario(), 20))
    assert results == [None]
    assert spend.paid == len(memory.known) == model.calls > 0


def test_an_unknown_cost_never_makes_a_limit_endless() -> None:
    results, _, model = scripted(
        lambda text, number: Reply("yes", "stop", Usage()),
        *(chain(f"question {number}") for number in range(50)),
        budget=Budget(Limits(tokens=100)), concurrency=4,
    )  # fmt: skip
    assert any(isinstance(result, UserError) for result in results)
    assert model.calls <= 8
    results, _, model = scripted(
        lambda text, number: Reply("yes", "stop", Usage(10, 2) if number < 3 else Usage()),
        *(chain(f"question {number}") for number in range(50)),
        budget=Budget(Limits(tokens=120)), concurrency=4,
    )  # fmt: skip
    assert any(isinstance(result, BudgetReached) for result in results)
    assert model.calls <= 10 + 4


def test_the_retry_of_a_reserved_call_holds_its_place_once() -> None:
    budget = Budget(Limits(calls=10))
    budget.set_aside(Reserve(calls=4))

    def tests(model: str) -> Generator[Effect, Any, list[Any]]:
        def one(number: int) -> Generator[Effect, Any, Any]:
            about = About("generator", "forward", split="test")
            return (yield from ask(Request(model, (Message("user", f"test {number}"),)), about))

        return (yield from parallel(one(number) for number in range(4)))

    failing = Counter[str]()

    def act(text: str, number: int) -> Any:
        failing[text] += 1
        if text == "test 3":
            return refused()
        return down() if text.startswith("test") and failing[text] < 3 else None

    (first, second), asker, _ = scripted(
        act, tests, chain(*(f"main {number}" for number in range(20))), budget=budget, attempts=4
    )
    assert [type(one) for one in first] == [Reply, Reply, Reply, Failed]
    assert isinstance(second, BudgetReached)
    assert asker.counts.paid == 10, "the failed one cost nothing, and its place went to the rest"
    assert (budget.in_flight, budget.reserve) == (0, Reserve())

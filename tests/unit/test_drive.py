"""The driver: order, no barriers, errors close siblings, cancellation closes everything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nullgrad.core.chat import Reply, Request
from nullgrad.core.effects import About, Ask, ask, emit, parallel
from nullgrad.core.events import TrialDone
from nullgrad.run.drive import Deliver, Driver
from tests.support.trials import Recorder, run

HERE = About("generator", "forward")


def question(text: str, log: list[str] | None = None):  # type: ignore[no-untyped-def]
    from nullgrad.core.chat import Message

    request = Request("m", (Message("user", text),))
    try:
        answer = yield from ask(request, HERE)
        return answer.text
    finally:
        if log is not None:
            log.append(f"closed {text}")


class Manual:
    """An asking that answers when told to."""

    def __init__(self) -> None:
        self.waiting: dict[str, Deliver] = {}
        self.batches: list[int] = []

    def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        self.batches.append(len(asks))
        for one, deliver in asks:
            self.waiting[one.request.messages[0].content] = deliver

    def state(self, event: Any) -> None:
        raise AssertionError(event)

    def answer(self, text: str) -> None:
        self.waiting.pop(text)(Reply(text.upper()))


def test_results_come_back_in_order() -> None:
    def several():  # type: ignore[no-untyped-def]
        return (yield from parallel(question(str(number)) for number in range(50)))

    assert run(several(), Recorder(lambda one: Reply(one.request.messages[0].content))) == [
        str(n) for n in range(50)
    ]


def test_nothing_in_parallel_is_an_empty_list() -> None:
    assert run(parallel([]), Recorder()) == []


def test_children_advance_without_a_barrier() -> None:
    def chain(name: str):  # type: ignore[no-untyped-def]
        yield from question(f"{name}1")
        return (yield from question(f"{name}2"))

    async def scenario() -> list[str]:
        manual = Manual()
        task = asyncio.ensure_future(Driver(manual).drive(parallel([chain("a"), chain("b")])))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        manual.answer("a1")
        await asyncio.sleep(0.01)
        assert set(manual.waiting) == {"a2", "b1"}
        for text in ("a2", "b1"):
            manual.answer(text)
        await asyncio.sleep(0.01)
        manual.answer("b2")
        return await task

    assert asyncio.run(scenario()) == ["A2", "B2"]


def test_requests_of_one_turn_are_submitted_together() -> None:
    async def scenario() -> list[int]:
        manual = Manual()
        task = asyncio.ensure_future(Driver(manual).drive(parallel(question(str(n)) for n in range(20))))
        await asyncio.sleep(0.01)
        for n in range(20):
            manual.answer(str(n))
        await task
        return manual.batches

    assert asyncio.run(scenario()) == [20]


def test_an_error_closes_the_siblings_and_is_raised_in_the_parent() -> None:
    log: list[str] = []

    def bad():  # type: ignore[no-untyped-def]
        yield from question("first")
        raise ValueError("broken")

    def parent():  # type: ignore[no-untyped-def]
        try:
            yield from parallel([question("other", log), bad()])
        except ValueError as error:
            return f"caught {error}"

    async def scenario() -> str:
        manual = Manual()
        task = asyncio.ensure_future(Driver(manual).drive(parent()))
        await asyncio.sleep(0.01)
        late = manual.waiting["other"]
        manual.answer("first")
        result = await task
        late(Reply("too late"))
        await asyncio.sleep(0.01)
        return result

    assert asyncio.run(scenario()) == "caught broken"
    assert log == ["closed other"]


def test_an_answer_that_is_an_error_is_raised_where_it_was_asked() -> None:
    def asking():  # type: ignore[no-untyped-def]
        try:
            yield from question("x")
        except RuntimeError:
            return "raised"

    class Failing(Manual):
        def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
            for _, deliver in asks:
                deliver(RuntimeError("no"))

    assert asyncio.run(Driver(Failing()).drive(asking())) == "raised"


def test_cancelling_closes_every_generator() -> None:
    log: list[str] = []

    async def scenario() -> None:
        task = asyncio.ensure_future(
            Driver(Manual()).drive(parallel(question(str(n), log) for n in range(3)))
        )
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert sorted(log) == ["closed 0", "closed 1", "closed 2"]


def test_an_error_of_the_asking_reaches_whoever_waits() -> None:
    class Broken(Manual):
        def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
            raise OSError("the ledger is gone")

    with pytest.raises(OSError, match="gone"):
        asyncio.run(Driver(Broken()).drive(question("x")))


def test_a_yield_that_is_no_effect_is_an_error() -> None:
    def wrong():  # type: ignore[no-untyped-def]
        yield 42

    with pytest.raises(TypeError, match="no effect"):
        run(wrong(), Recorder())


def test_events_are_stated_in_order() -> None:
    def stating():  # type: ignore[no-untyped-def]
        for number in range(3):
            yield from emit(TrialDone("s", str(number), number))

    recorder = Recorder()
    run(stating(), recorder)
    assert [event.steps for event in recorder.events] == [0, 1, 2]  # type: ignore[attr-defined]


def test_deep_and_wide_trees() -> None:
    def tree(depth: int):  # type: ignore[no-untyped-def]
        if depth == 0:
            return len((yield from question("leaf")))
        return sum((yield from parallel(tree(depth - 1) for _ in range(4))))

    assert run(tree(5), Recorder(lambda one: Reply("x"))) == 4**5


def test_what_a_closed_generator_was_about_to_ask_is_not_asked() -> None:
    def bad():  # type: ignore[no-untyped-def]
        yield from question("first")
        raise ValueError("broken")

    def other():  # type: ignore[no-untyped-def]
        yield from question("second")
        yield from question("third")

    async def scenario() -> Manual:
        manual = Manual()
        task = asyncio.ensure_future(Driver(manual).drive(parallel([other(), bad()])))
        await asyncio.sleep(0.01)
        manual.answer("second")
        manual.answer("first")
        with pytest.raises(ValueError, match="broken"):
            await task
        return manual

    assert "third" not in asyncio.run(scenario()).waiting


def test_a_generator_that_does_not_close_keeps_nobody_waiting() -> None:
    def stubborn():  # type: ignore[no-untyped-def]
        try:
            yield from question("stubborn")
        finally:
            yield from question("more")

    class Breaking(Manual):
        def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
            super().submit(asks)
            if "break" in self.waiting:
                raise OSError("the ledger is gone")

    async def scenario() -> list[Any]:
        driver = Driver(Breaking())
        waiting = [
            asyncio.ensure_future(driver.drive(one)) for one in (stubborn(), question("calm"), stubborn())
        ]
        await asyncio.sleep(0.01)
        waiting.append(asyncio.ensure_future(driver.drive(question("break"))))
        return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)

    results = asyncio.run(scenario())
    assert all(isinstance(result, OSError | RuntimeError) for result in results)
    assert isinstance(results[1], OSError)

"""Studies carried out: blocks, readings, budgets, looks, and what is paid of what is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nullgrad.core.arms import SEED, parse_arm
from nullgrad.core.chat import Reply, Request
from nullgrad.core.events import Event, TestOpened, TestScored, TrialDone
from nullgrad.core.study_facts import Key, TrialFacts, fold_trials
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.models.script import ScriptModel
from nullgrad.errors import CallError, EndpointError
from nullgrad.run.budget import Limits
from nullgrad.run.session import Session
from nullgrad.run.study import complete_blocks, in_order, run_study
from tests.support.studies import Silent, carry_out, oblige, scripted, study_over

ARMS = {
    "gradient/correct/naive": 3, "one-step/correct/validated@3": 2, "gradient/critic-smooth/naive": 3,
    "one-step/critic-binary+frozen/validated@2": 2, "improve": 3,
}  # fmt: skip


class Watch(Silent):
    """An observer that keeps the events and the most trials that were under way at once."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)


class Failing(ScriptModel):
    """Refuses some requests for good."""

    def __init__(self, every: int) -> None:
        super().__init__(oblige, "script:failing", f"failing {every}")
        self._every = every

    async def call(self, request: Request) -> Reply:
        if int(request.identity()[8:16], 16) % self._every == 0:
            raise CallError("rejected", "It was refused.", status=400, retryable=False)
        return await super().call(request)


@pytest.mark.parametrize("design", ["paired", "independent"])
def test_calls_asked_are_the_studys(design: str, tmp_path: Path) -> None:
    model = scripted()
    study = study_over(model, ARMS, cells=2, curve=(1, 3), design=design)
    done = carry_out(study, model, tmp_path / "l.db")
    assert dict(done.spend.by_role) == {role: n for role, n in study.asked.by_role.items() if n}
    assert done.spend.paid + done.spend.replayed + done.spend.joined == study.asked.total
    assert done.stopped == ""
    assert done.complete == tuple((cell.name, number) for cell in study.cells for number in range(3))
    again = carry_out(study, model, tmp_path / "l.db")
    assert again.spend.paid == 0
    assert again.events == done.events
    assert again.trials == done.trials


def test_what_arms_share_is_paid_once(tmp_path: Path) -> None:
    model = scripted()
    paid = {
        design: carry_out(
            study_over(model, ARMS, curve=(1, 3), design=design), model, tmp_path / f"{design}.db"
        ).spend.paid
        for design in ("paired", "independent")
    }
    assert paid["paired"] < paid["independent"]


def test_every_block_holds_its_arms_and_the_seed(tmp_path: Path) -> None:
    model, watch = scripted(), Watch()
    study = study_over(model, ARMS, curve=(1, 2, 3))
    done = carry_out(study, model, tmp_path / "l.db", observer=watch)
    arms = {key[1:] for key in done.trials}
    assert arms == {(SEED.canonical, n) for n in range(3)} | {
        (parse_arm(arm).canonical, n) for arm, trials in ARMS.items() for n in range(trials)
    }
    for (_, arm, _), facts in done.trials.items():
        assert facts.complete
        assert sorted(facts.curve) == ([] if arm == "seed" else [1, 2, 3])
        if arm != "seed":
            assert facts.test is not None and facts.final is not None
            assert [facts.curve[step].candidate for step in (1, 2, 3)] == [
                facts.steps[step].candidate for step in (1, 2, 3)
            ]
            assert facts.curve[3].scores == facts.test.scores, "the same prompt, the same draws"
            assert facts.test.candidate == facts.final.digest
    ended: set[str] = set()
    for event in watch.events:
        if isinstance(event, TrialDone):
            ended.add(event.scope)
        elif isinstance(event, TestOpened) and event.purpose != "seed":
            assert event.scope in ended, "the test is opened only after the trial has ended"


def test_events_of_the_ledger_fold_to_the_same(tmp_path: Path) -> None:
    model = scripted()
    study = study_over(model, ARMS)
    done = carry_out(study, model, tmp_path / "l.db")
    book = open_ledger(tmp_path / "l.db", read_only=True)
    events = in_order(book.events(study.run))
    book.close()
    assert events == done.events
    assert complete_blocks(study, fold_trials(events)) == done.complete
    assert list(fold_trials(events)) == list(done.trials)


def test_a_budget_leaves_complete_blocks(tmp_path: Path) -> None:
    model = scripted()
    study = study_over(model, {"gradient/correct/naive": 6, "improve": 6}, cells=2)
    whole = carry_out(study, model, tmp_path / "whole.db")
    seen, commands = -1, 0
    while True:
        done = carry_out(study, model, tmp_path / "l.db", limits=Limits(calls=60), concurrency=4)
        commands += 1
        assert done.spend.paid <= 60
        assert len(done.complete) >= seen, "the same command goes on"
        seen = len(done.complete)
        assert set(done.complete) <= set(whole.complete)
        assert set(done.trials) == {
            (cell, arm, number)
            for cell, number in done.complete
            for arm in ("seed", "gradient/correct/naive", "improve/none/naive")
        }
        if not done.stopped:
            break
        assert done.stopped.startswith("The budget of 60 calls is spent")
        numbers = [[n for c, n in done.complete if c == cell.name] for cell in study.cells]
        assert all(abs(len(numbers[0]) - len(one)) <= 2 for one in numbers)
    assert commands > 3
    assert done.events == whole.events


def test_more_trials_and_arms_go_on_with_the_same_run(tmp_path: Path) -> None:
    model = scripted()
    small = study_over(model, {"gradient/correct/naive": 2})
    large = study_over(model, {"gradient/correct/naive": 3, "improve": 3})
    assert small.run == large.run
    carry_out(small, model, tmp_path / "l.db")
    grown = carry_out(large, model, tmp_path / "l.db")
    fresh = carry_out(large, model, tmp_path / "fresh.db")
    assert grown.spend.paid < fresh.spend.paid
    assert grown.trials == fresh.trials
    back = carry_out(small, model, tmp_path / "l.db")
    assert back.spend.paid == 0
    assert len(back.complete) == 2


def test_failed_calls_are_missing_and_the_trial_complete(tmp_path: Path) -> None:
    model = Failing(every=7)
    study = study_over(model, ARMS)
    done = carry_out(study, model, tmp_path / "l.db")
    assert done.spend.failed > 0
    assert len(done.complete) == 3
    rows = [facts.row or () for facts in done.trials.values()]
    assert all(len(row) == 6 for row in rows)
    assert any(score is None for row in rows for score in row)


def test_an_endpoint_that_is_down_suspends_the_study(tmp_path: Path) -> None:
    model = Failing(every=1)
    with pytest.raises(EndpointError, match="does not answer"):
        carry_out(study_over(model, ARMS), model, tmp_path / "l.db")


def test_looks_are_at_complete_blocks_and_end_a_cell(tmp_path: Path) -> None:
    model = scripted()
    seen: list[tuple[str, int]] = []

    def look(cell: str, count: int, trials: Mapping[Key, TrialFacts]) -> bool:
        seen.append((cell, count))
        assert set(trials) == {
            (cell, arm, number) for arm in ("seed", "improve/none/naive") for number in range(count)
        }
        assert all(facts.complete for facts in trials.values())
        return cell == "small0" and count == 4

    study = study_over(model, {"improve": 8}, cells=2, sequential=(2, 4, 6))
    done = carry_out(study, model, tmp_path / "l.db", look=look)
    assert sorted(seen) == [("small0", 2), ("small0", 4), ("small1", 2), ("small1", 4), ("small1", 6)]
    assert done.ended == (("small0", 4),)
    assert done.stopped == ""
    assert [n for cell, n in done.complete if cell == "small0"] == [0, 1, 2, 3]
    assert [n for cell, n in done.complete if cell == "small1"] == list(range(8))
    assert {key[2] for key in fold_trials(done.events) if key[0] == "small0"} == {0, 1, 2, 3}, (
        "nothing behind a look is asked before it"
    )
    assert len(carry_out(study, model, tmp_path / "l.db").complete) == 16, "without a look all blocks run"


def test_blocks_fill_the_limit_and_no_more(tmp_path: Path) -> None:
    """Few calls in flight: one block after the other; many: side by side."""

    def most_blocks(concurrency: int) -> int:
        under_way: set[int] = set()
        finals: dict[int, int] = {}
        most = 0

        class Counting(Silent):
            def on_event(self, event: Any) -> None:
                nonlocal most
                number = int(event.scope.split("#")[1].split("@")[0])
                under_way.add(number)
                most = max(most, len(under_way))
                if isinstance(event, TestScored):
                    finals[number] = finals.get(number, 0) + 1
                    if finals[number] == 3:
                        under_way.discard(number)

        model = scripted()
        study = study_over(model, {"gradient/correct/naive": 6, "improve": 6})
        carry_out(study, model, tmp_path / f"{concurrency}.db", observer=Counting(), concurrency=concurrency)
        return most

    assert most_blocks(1) == 1
    assert most_blocks(18) == 6


def test_cancelling_finishes_what_is_in_flight(tmp_path: Path) -> None:
    class Slow(ScriptModel):
        started = answered = 0

        async def call(self, request: Request) -> Reply:
            self.started += 1
            await asyncio.sleep(0.01)
            self.answered += 1
            return await super().call(request)

    model = Slow(oblige, "script:slow", "slow")
    study = study_over(model, ARMS)

    async def main() -> int:
        with open_ledger(tmp_path / "l.db") as book:
            book.begin_run(study.run, study.spec)
            session = Session({model.identity: model}, book, Silent(), study.run, concurrency=4)

            async def carry() -> None:
                async with session:
                    await run_study(study, session)

            task = asyncio.create_task(carry())
            while model.answered < 20:
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return book.counts()["replies"]

    assert asyncio.run(main()) == model.started == model.answered
    recorded = model.answered
    done = carry_out(study, model, tmp_path / "l.db")
    assert done.spend.paid == model.answered - recorded
    assert len(done.complete) == 3

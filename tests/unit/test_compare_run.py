"""The running of a comparison: what is held to labels, in which order blocks run, what a probe finds out, when own trials stop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nullgrad.api.compare_probe import probe_packages
from nullgrad.api.foreign import ForeignSetup, run_trial_behind
from nullgrad.core.arms import SEED
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Reply, Request, Usage
from nullgrad.core.compare import Comparison, Entry
from nullgrad.core.compare_entries import MOST_STEPS
from nullgrad.core.compare_facts import CompareFacts
from nullgrad.core.events import StepDone, TestOpened
from nullgrad.core.foreign import Caller, Claim, ForeignResult, Use
from nullgrad.core.foreign_budget import Allowance
from nullgrad.core.foreign_job import ForeignArm
from nullgrad.core.setting import Cast, RoleModel
from nullgrad.edges.optimizers import FOLDER, Adapter
from nullgrad.edges.packs import load_pack
from nullgrad.errors import EndpointError, UserError
from nullgrad.run.budget import Limits
from nullgrad.run.compare import CompareRun, CompareWork, run_compare
from tests.support.gateway import CALLER, Open, Scripted, opened
from tests.support.trials import make_task, make_view

GEPA = Entry("gepa/correct/correct", "gepa")
WRONG = Entry("gepa/wrong/correct", "gepa", "wrong")
OWN = Entry("gradient/correct/validated@2", "gradient/correct/validated@2", own=True)
NEW = Candidate.of("New prompt.")

Foreign = Callable[[Entry, int], Awaitable[ForeignResult]]


class Holding(Scripted):
    """A model that can hold replies to labels."""

    constrains = True


@pytest.mark.parametrize(("model", "held"), [(Holding(), True), (Scripted(), False)])
def test_third_party_calls_of_the_task_are_held_to_its_labels_where_the_engine_can(
    tmp_path: Path, model: Scripted, held: bool
) -> None:
    async def main() -> None:
        async with opened(tmp_path, model=model) as gate:
            gate.desk.admit(CALLER.arm, CALLER.trial, None, make_view().constrained)
            await gate.text("a row")
            await gate.text("a row")
            await gate.text("a proposal", Caller(CALLER.arm, CALLER.trial, "optimizer"))

    asyncio.run(main())
    choices = {one.messages[-1].content: one.choices for one in model.asked}
    assert choices == {"a row": ("yes", "no") if held else (), "a proposal": ()}
    assert len({one.draw for one in model.asked if one.messages[-1].content == "a row"}) == 2


async def answer(request: Request) -> Reply:
    """A prompt where one is asked for; a label under such a prompt, and none under the seed prompt."""
    text = request.messages[-1].content
    if "<prompt>" in text:
        return Reply(f"<prompt>Rule {request.draw % 997}.</prompt>", "stop", Usage(50, 10))
    ruled = request.messages[0].content.startswith("Rule")
    return Reply("yes" if ruled else "I cannot say.", "stop", Usage(20, 1))


def returned(entry: Entry, trial: int) -> ForeignResult:
    """What a well-behaved optimizer comes to."""
    claims = (Claim(0, Candidate.of("Say yes or no."), 0.25), Claim(1, NEW, 0.75))
    return ForeignResult(
        entry.name, trial, "returned", NEW, 0.75, claims, "1.2", {"generator": Use(calls=4, paid=4)}, {"n": 2.0}
    )  # fmt: skip


def carried_out(
    folder: Path, entries: tuple[Entry, ...], foreign: Foreign, *,
    budget: Allowance | None = None, trials: int = 2, parallel: int = 1, limits: Limits | None = None,
) -> tuple[CompareRun, Open, list[object]]:  # fmt: skip
    """Run a comparison over a scripted model; the events it stated."""
    task = make_task()
    player = RoleModel("script:test")
    allowance = budget or Allowance(calls=100)
    work = CompareWork(
        Comparison("small", entries, trials, allowance), task, Cast(player, player, player, player),
        load_pack("standard"), 3, {OWN.name: 2 if allowance.calls else MOST_STEPS}, parallel,
    )  # fmt: skip

    async def main() -> tuple[CompareRun, Open, list[object]]:
        async with opened(folder, model=Scripted(answer), limits=limits) as gate:
            run = await run_compare(work, gate.session, gate.tally, CompareFacts(), foreign)
            return run, gate, list(gate.session.log.events)

    return asyncio.run(main())


def test_blocks_run_one_after_the_other_each_with_the_seed_prompt_first(tmp_path: Path) -> None:
    order: list[str] = []

    async def foreign(entry: Entry, trial: int) -> ForeignResult:
        order.append(entry.scope(trial))
        return returned(entry, trial)

    run, _, events = carried_out(tmp_path, (GEPA, OWN, WRONG), foreign)
    assert order == [GEPA.scope(0), WRONG.scope(0), GEPA.scope(1), WRONG.scope(1)]
    opened_tests = [(one.scope, one.purpose) for one in events if isinstance(one, TestOpened)]
    assert opened_tests == [
        (scope, purpose)
        for trial in (0, 1)
        for scope, purpose in (
            (f"{SEED.canonical}#{trial}", "seed"), (GEPA.scope(trial), "final"), (OWN.scope(trial), "final"),
            (WRONG.scope(trial), "final"),
        )
    ]  # fmt: skip
    assert run.blocks == (0, 1)
    trial = run.facts.trial(GEPA, 1)
    assert trial is not None
    assert (trial.claimed, trial.claimed_seed, trial.version, trial.counters) == (
        0.75,
        0.25,
        "1.2",
        {"n": 2.0},
    )
    assert len(trial.test) == 6
    # Both read the same prompt under the same draws, as pairs.
    other = run.facts.trial(WRONG, 1)
    assert other is not None and other.test == trial.test


def test_readings_of_the_test_count_for_no_trial(tmp_path: Path) -> None:
    async def foreign(entry: Entry, trial: int) -> ForeignResult:
        return returned(entry, trial)

    run, gate, _ = carried_out(tmp_path, (GEPA, OWN), foreign, trials=1)
    own = run.facts.trial(OWN, 0)
    assert own is not None
    # V (1 + S n) + Σ b and S n (2 b + 1) with V = 4, S = 2, n = 2, b = 3.
    assert {role: one.calls for role, one in own.use.items()} == {"generator": 4 * 5 + 6, "optimizer": 4 * 7}
    assert gate.tally.testing.calls == 3 * 6
    assert (GEPA.name, 0, "generator") not in gate.tally.use


def test_trials_run_side_by_side_and_no_more_than_asked_for(tmp_path: Path) -> None:
    waiting: set[str] = set()
    together = asyncio.Event()
    most = 0

    async def foreign(entry: Entry, trial: int) -> ForeignResult:
        nonlocal most, together
        waiting.add(entry.scope(trial))
        most = max(most, len(waiting))
        mine = together
        if len(waiting) == 3:
            mine.set()
            together = asyncio.Event()
        await asyncio.wait_for(mine.wait(), 30)
        waiting.discard(entry.scope(trial))
        return returned(entry, trial)

    run, *_ = carried_out(tmp_path, (GEPA, WRONG), foreign, trials=3, parallel=3)
    assert most == 3
    assert run.blocks == (0, 1, 2)


def test_a_trial_without_a_result_is_not_read_and_does_not_end_the_comparison(tmp_path: Path) -> None:
    async def foreign(entry: Entry, trial: int) -> ForeignResult:
        return ForeignResult(entry.name, trial, "failed", None, None, (), "1.2", {}, {}, 2, "KeyError: 'x'")

    run, _, events = carried_out(tmp_path, (GEPA, OWN), foreign)
    assert run.blocks == (0, 1)
    trial = run.facts.trial(GEPA, 0)
    assert trial is not None
    assert (trial.ended, trial.reason, trial.failures, trial.test) == ("failed", "KeyError: 'x'", 2, ())
    assert not any(isinstance(one, TestOpened) and one.scope.startswith("gepa") for one in events)


def test_an_endpoint_that_is_down_ends_it_and_the_others_are_cancelled(tmp_path: Path) -> None:
    cancelled: list[str] = []
    begun = asyncio.Event()

    async def foreign(entry: Entry, trial: int) -> ForeignResult:
        if entry == GEPA:
            await begun.wait()
            raise EndpointError("Nothing answers.")
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(entry.name)
            raise
        raise AssertionError

    with pytest.raises(EndpointError, match="Nothing answers"):
        carried_out(tmp_path, (GEPA, WRONG), foreign, parallel=2)
    assert cancelled == [WRONG.name]


def test_a_limit_of_the_command_leaves_the_complete_blocks(tmp_path: Path) -> None:
    begun: list[int] = []

    async def foreign(entry: Entry, trial: int) -> ForeignResult:
        begun.append(trial)
        return returned(entry, trial)

    folders = tmp_path / "whole", tmp_path / "limited"
    for folder in folders:
        folder.mkdir()
    one_block, *_ = carried_out(folders[0], (GEPA, OWN), foreign, trials=1)
    limits = Limits(calls=one_block.spend.paid + 10)
    begun.clear()
    run, *_ = carried_out(folders[1], (GEPA, OWN), foreign, trials=4, limits=limits)
    assert begun == [0, 1], "no process is started that could ask nothing"
    assert run.blocks == (0,)
    assert "calls" in run.stopped


@pytest.mark.parametrize("tokens", [1, 1500, 2500])
def test_an_own_trial_whose_budget_is_spent_ends_with_its_last_whole_step(
    tmp_path: Path, tokens: int
) -> None:
    async def nobody(entry: Entry, trial: int) -> ForeignResult:
        raise AssertionError

    run, gate, events = carried_out(tmp_path, (OWN,), nobody, trials=1, budget=Allowance(tokens=tokens))
    trial = run.facts.trial(OWN, 0)
    assert trial is not None and trial.candidate is not None
    assert (trial.ended, trial.reason) == ("budget", f"The budget of {tokens} tokens is spent.")
    steps = [one for one in events if isinstance(one, StepDone)]
    assert trial.candidate.digest == (steps[-1].candidate if steps else Candidate.of("Say yes or no.").digest)
    assert bool(steps) == (tokens > 1)
    assert trial.candidate.prompt.startswith("Rule" if steps else "Say")
    asked = sum(one.prompt_tokens + one.completion_tokens for one in trial.use.values())
    # To within the calls in flight, which count with the mean of those answered.
    assert 0.9 * tokens <= asked
    assert gate.tally.testing.calls == 12


HEAD = f"import sys; sys.path.insert(0, {str(FOLDER)!r})\nfrom nullgrad_worker import AdapterError, main\n"
ASKS = """
def optimize(worker):
    worker.emit("started", package="lib", version="1.2")
    open("asked", "w").close()
    worker.ask("generator", worker.messages(worker.validation[0], worker.seed_prompt))
    raise AssertionError("a probe must not come here")
main(optimize)
"""


def probed(folder: Path, body: str) -> dict[str, str]:
    """What a look at an adapter finds."""
    path = folder / "run_test.py"
    path.write_text(HEAD + body)
    adapter = Adapter("lib", "lib", ">=1", "lib", str(path), True, ("generator", "optimizer"), "a test")
    setup = ForeignSetup(
        make_view(), adapter, Allowance(calls=9), {"generator": "test", "optimizer": "test"}, python=sys.executable
    )  # fmt: skip
    return asyncio.run(probe_packages({ForeignArm("lib"): setup}, 2))


LEAVES = """
import threading, time
def optimize(worker):
    worker.emit("started", package="lib", version="1.2")
    row = worker.validation[0]
    threading.Thread(target=worker.run, args=(row, worker.seed_prompt), daemon=True).start()
    while not os.path.exists(worker.settings["begun"]):
        time.sleep(0.01)
    return worker.seed_prompt, 0.5, {}
import os
main(optimize)
"""


def test_a_call_that_a_process_leaves_behind_is_counted(tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    async def slowly(request: Request) -> Reply:
        begun.touch()
        await asyncio.sleep(0.5)
        return Reply("yes", "stop", Usage(20, 1))

    path = tmp_path / "run_test.py"
    path.write_text(HEAD + LEAVES)
    adapter = Adapter("lib", "lib", ">=1", "lib", str(path), True, ("generator", "optimizer"), "a test")
    view = make_view()
    setup = ForeignSetup(
        view, adapter, Allowance(calls=9), {"generator": "test", "optimizer": "test"},
        settings={"begun": str(begun)}, python=sys.executable,
    )  # fmt: skip

    async def main() -> ForeignResult:
        async with opened(tmp_path, model=Scripted(slowly), view=view) as gate:
            return await run_trial_behind(
                gate.gateway, gate.desk, gate.session, setup, ForeignArm("lib"), 0, "run"
            )

    result = asyncio.run(main())
    assert result.ended == "returned"
    assert result.use["generator"].calls == result.use["generator"].paid == 1


def test_a_probe_runs_until_the_first_question_and_asks_nothing(tmp_path: Path) -> None:
    assert probed(tmp_path, ASKS) == {"lib": "1.2"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('def optimize(worker):\n    worker.package("no_such_package")\nmain(optimize)', "pip install 'lib>=1'"),
        ('def optimize(worker):\n    raise AdapterError("interface", "it takes no rows")\nmain(optimize)', "another interface"),
        ('def optimize(worker):\n    raise AdapterError("setting", "9 calls hold no step")\nmain(optimize)', "9 calls hold no step"),
        ('def optimize(worker):\n    worker.emit("started", version="3")\n    raise KeyError("x")\nmain(optimize)', "fails before it asks"),
        ("raise SystemExit(7)", "did not start"),
    ],
)  # fmt: skip
def test_what_a_probe_finds_is_one_line(tmp_path: Path, body: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        probed(tmp_path, body)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_readings_are_recorded_under_their_entry() -> None:
    player = RoleModel("script:test")
    work = CompareWork(
        Comparison("small", (GEPA,), 1, Allowance(calls=9)), make_task(), Cast(player, player, player, player),
        load_pack("standard"), 3, {},
    )  # fmt: skip
    setting = work.setting(SEED, 3, recorded_as=GEPA.name)
    about = setting.about("generator", "forward", split="test")
    assert setting.scope == GEPA.scope(3)
    assert (about.arm, about.trial, about.split) == (GEPA.name, 3, "test")
    assert work.setting(SEED, 3).scope == "seed#3"

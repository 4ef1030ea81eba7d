"""A trial of a foreign optimizer, whatever its process does: adapters that behave, swallow, crash, hang and lie."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nullgrad.api.foreign import ForeignOptimization, ForeignSetup, run_trial_behind
from nullgrad.core.chat import Reply, Request, Usage
from nullgrad.core.events import Event, ForeignCandidate, ForeignDone, ForeignStarted
from nullgrad.core.foreign import ForeignResult
from nullgrad.core.foreign_budget import Allowance
from nullgrad.core.foreign_job import ForeignArm, parse_foreign_arm
from nullgrad.edges.optimizers import FOLDER, KNOWN, PYTHON, Adapter, adapter_of, interpreter
from nullgrad.errors import BudgetReached, CallError, EndpointError, UserError
from nullgrad.run import foreign_trial
from nullgrad.run.budget import Limits
from nullgrad.run.foreign_process import ForeignProcess, environment
from tests.support.gateway import Scripted, opened
from tests.support.trials import make_task, make_view

HEAD = f"import sys; sys.path.insert(0, {str(FOLDER)!r})\nfrom nullgrad_worker import AdapterError, CallRefused, main\n"

CLIMBER = """
def optimize(worker):
    worker.emit("started", package="climber", version="1.2")
    print("noise on standard output")
    best = (-1.0, worker.seed_prompt)
    for step in range(4):
        prompt = worker.seed_prompt if step == 0 else worker.ask("optimizer", [{"role": "user", "content": f"step {step}: {best[1]}"}])
        scores = [score for _, score in worker.run_all(worker.validation, prompt)]
        mean = sum(scores) / len(scores)
        worker.emit("candidate", prompt=prompt, score=mean, parents=[] if step == 0 else [0])
        best = max(best, (mean, prompt))
    return best[1], best[0], {"steps": 4, "odd": "text"}
main(optimize)
"""


def adapter(folder: Path, body: str, *, hook: bool = True) -> Adapter:
    """An adapter whose process runs `body`."""
    path = folder / "run_test.py"
    path.write_text(HEAD + body)
    return Adapter(
        "lib", "climber", ">=1.2", "climber", str(path), hook, ("generator", "optimizer"), "a test"
    )


async def answer(request: Request) -> Reply:
    """A prompt to the optimizer, `yes` or `no` by the draw to the generator."""
    last = request.messages[-1].content
    if last.startswith("step"):
        return Reply(f"Prompt {request.draw % 1000}", "stop", Usage(5, 2))
    return Reply(("yes", "no")[request.draw % 2], "stop", Usage(5, 1))


def run(
    folder: Path,
    body: str,
    *,
    model: Scripted | None = None,
    allowance: Allowance | None = None,
    limits: Limits | None = None,
    arm: ForeignArm | None = None,
    hook: bool = True,
    python: str = sys.executable,
) -> tuple[ForeignResult, list[Event], Scripted]:
    """Run one trial to its end."""
    model = model or Scripted(answer)
    view = make_view()

    async def main() -> ForeignResult:
        async with opened(folder, model=model, view=view, limits=limits) as gate:
            setup = ForeignSetup(
                view,
                adapter(folder, body, hook=hook),
                allowance or Allowance(calls=100),
                {"generator": "test", "optimizer": "test"},
                concurrency=4,
                python=python,
            )
            return await run_trial_behind(
                gate.gateway, gate.desk, gate.session, setup, arm or ForeignArm("lib"), 0, "run"
            )

    result = asyncio.run(main())
    from nullgrad.edges.ledger.store import open_ledger

    with open_ledger(folder / "ledger.db", read_only=True) as ledger:
        return result, list(ledger.events("run")), model


def test_an_optimizer_that_returns(tmp_path: Path) -> None:
    result, events, model = run(tmp_path, CLIMBER)
    assert (result.ended, result.reason, result.failures, result.swallowed) == ("returned", "", 0, False)
    assert result.version == "1.2"
    assert len(result.candidates) == 4
    best = max(one.score or 0.0 for one in result.candidates)
    assert result.claimed == best
    assert result.candidate is not None
    assert result.candidate.prompt in {one.candidate.prompt for one in result.candidates if one.score == best}
    assert result.counters == {"steps": 4.0}
    assert {role: use.calls for role, use in result.use.items()} == {"generator": 16, "optimizer": 3}
    assert len(model.asked) == 19
    assert [type(event) for event in events] == [ForeignStarted, *[ForeignCandidate] * 4, ForeignDone]
    done = events[-1]
    assert isinstance(done, ForeignDone)
    assert done.calls == (("generator", 16), ("optimizer", 3))
    assert done.candidate == result.candidate.digest


def test_the_same_again_is_free_and_states_the_same(tmp_path: Path) -> None:
    first, events, _ = run(tmp_path, CLIMBER)
    again, events_again, model = run(tmp_path, CLIMBER)
    assert not model.asked
    assert events_again == events
    assert (again.candidate, again.claimed, again.candidates) == (
        first.candidate,
        first.claimed,
        first.candidates,
    )


def test_a_stopped_run_keeps_its_best_by_the_hook(tmp_path: Path) -> None:
    result, events, model = run(tmp_path, CLIMBER, allowance=Allowance(calls=11))
    assert result.ended == "budget"
    assert "11 calls" in result.reason
    assert len(result.candidates) == 2
    assert result.claimed == max(one.score or 0.0 for one in result.candidates)
    assert len(model.asked) == 11
    assert isinstance(events[-1], ForeignDone)
    assert events[-1].ended == "budget"


def test_without_a_hook_the_end_of_a_budget_means_no_result_and_says_so(tmp_path: Path) -> None:
    body = (
        "def optimize(worker):\n"
        "    worker.emit('started', version='1')\n"
        "    while True: worker.ask('generator', [{'role': 'user', 'content': 'x'}])\n"
        "main(optimize)\n"
    )
    result, _, _ = run(tmp_path, body, allowance=Allowance(calls=3), hook=False)
    assert (result.ended, result.candidate, result.claimed) == ("budget", None, None)
    assert "reports no candidates as they arise, so a stopped run has no result" in result.reason


SWALLOWER = """
def optimize(worker):
    worker.emit("started", version="1")
    scores = []
    for row in worker.validation * 3:
        try:
            scores.append(worker.run(row, worker.seed_prompt)[1])
        except Exception:
            scores.append(0.0)
    worker.emit("candidate", prompt="reported before", score=0.25)
    return "the prompt of a swallower", 1.0, {}
main(optimize)
"""


def test_a_library_cannot_swallow_the_end_of_a_budget(tmp_path: Path) -> None:
    result, events, model = run(tmp_path, SWALLOWER, allowance=Allowance(calls=5))
    assert result.ended == "budget"
    assert result.candidate is not None
    assert result.candidate.prompt == "reported before", "what it returned afterwards counts for nothing"
    assert result.claimed == 0.25
    assert len(model.asked) == 5
    assert isinstance(events[-1], ForeignDone)
    assert events[-1].ended == "budget"


def test_failures_that_a_library_swallows_are_marked(tmp_path: Path) -> None:
    async def flaky(request: Request) -> Reply:
        if "validation input 2" in request.messages[-1].content:
            raise CallError("rejected", "The content was filtered.", status=400, retryable=False)
        return Reply("yes", "stop", Usage(1, 1))

    result, events, _ = run(tmp_path, SWALLOWER, model=Scripted(flaky))
    assert (result.ended, result.failures, result.swallowed) == ("returned", 3, True)
    assert isinstance(events[-1], ForeignDone)
    assert events[-1].failures == 3


def test_failures_that_it_does_not_swallow_fail_the_trial(tmp_path: Path) -> None:
    answered: list[Request] = []

    async def flaky(request: Request) -> Reply:
        if "validation input 2" in request.messages[-1].content:
            # Before any call has succeeded the endpoint would be at fault, and not the request.
            while not answered:
                await asyncio.sleep(0.001)
            raise CallError("rejected", "The content was filtered.", status=400, retryable=False)
        answered.append(request)
        return Reply("yes", "stop", Usage(1, 1))

    result, _, _ = run(tmp_path, CLIMBER, model=Scripted(flaky))
    assert (result.ended, result.candidate, result.swallowed) == ("failed", None, False)
    assert "The content was filtered" in result.reason


def test_an_endpoint_that_is_down_ends_the_run_and_states_no_end_of_the_trial(tmp_path: Path) -> None:
    async def down(request: Request) -> Reply:
        raise CallError("connection", "Connection refused.", retryable=True)

    with pytest.raises(EndpointError):
        run(tmp_path, SWALLOWER, model=Scripted(down))


def test_what_the_command_may_pay_ends_it_too_and_the_next_goes_on(tmp_path: Path) -> None:
    with pytest.raises(BudgetReached):
        run(tmp_path, CLIMBER, limits=Limits(calls=9))
    result, _, model = run(tmp_path, CLIMBER)
    assert result.ended == "returned"
    assert len(model.asked) == 10, "the nine are in the ledger"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def optimize(worker):\n    worker.emit('started', version='1')\n    raise ValueError('what a day')\nmain(optimize)", "ValueError: what a day"),
        ("def optimize(worker):\n    worker.emit('started', version='1')\n    import os; os._exit(7)\nmain(optimize)", "ended with 7"),
        ("def optimize(worker):\n    worker.emit('started', version='1')\n    worker.emit('unknown')\n    import os; os._exit(0)\nmain(optimize)", "no event of the protocol"),
        ("def optimize(worker):\n    worker.emit('started', version='1')\n    return None, 1.0, {}\nmain(optimize)", "no event of the protocol"),
    ],
)  # fmt: skip
def test_a_process_that_fails_has_no_result_and_says_why(tmp_path: Path, body: str, reason: str) -> None:
    result, events, _ = run(tmp_path, body)
    assert (result.ended, result.candidate) == ("failed", None)
    assert reason in result.reason
    assert isinstance(events[-1], ForeignDone)
    assert events[-1].ended == "failed"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("def optimize(worker):\n    worker.package('no_such_package')\nmain(optimize)", "is not installed"),
        ("def optimize(worker):\n    raise AdapterError('interface', 'optimize takes no seed')\nmain(optimize)", "another interface"),
    ],
)  # fmt: skip
def test_a_package_that_is_missing_or_has_changed_is_one_line_with_the_install_command(
    tmp_path: Path, body: str, what: str
) -> None:
    with pytest.raises(UserError) as caught:
        run(tmp_path, body)
    line = str(caught.value)
    assert what in line
    assert f"{sys.executable} -m pip install 'climber>=1.2'" in line
    assert "\n" not in line


def test_a_setting_that_the_package_does_not_take_is_an_error_of_the_users(tmp_path: Path) -> None:
    body = "def optimize(worker):\n    worker.emit('started', version='3')\n    raise AdapterError('setting', 'no x')\nmain(optimize)"
    with pytest.raises(UserError, match="cannot be run as asked: no x"):
        run(tmp_path, body)


def test_an_interpreter_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=PYTHON):
        run(tmp_path, CLIMBER, python=str(tmp_path / "no-python"))
    with pytest.raises(UserError, match="did not start"):
        run(tmp_path, CLIMBER, python="/bin/true")


def test_a_library_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_trial.ForeignTrial.__init__, "__defaults__", (0.3,))
    body = (
        "import time\n"
        "def optimize(worker):\n"
        "    worker.emit('started', version='1')\n"
        "    worker.emit('candidate', prompt='p', score=0.5)\n"
        "    while True:\n"
        "        try: worker.ask('generator', [{'role': 'user', 'content': 'x'}])\n"
        "        except CallRefused: time.sleep(0.01)\n"
        "main(optimize)\n"
    )
    result, _, model = run(tmp_path, body, allowance=Allowance(calls=4))
    assert result.ended == "budget"
    assert result.candidate is not None
    assert len(model.asked) == 4


def test_the_process_gets_no_keys_but_the_gateways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "MY_PASSWORD",
        "SOME_KEY",
    ):
        monkeypatch.setenv(name, "secret-of-the-user")
    body = (
        "import os\n"
        "def optimize(worker):\n"
        "    worker.emit('started', version='1')\n"
        "    import json\n"
        "    return json.dumps(dict(os.environ)), None, {}\n"
        "main(optimize)\n"
    )
    result, _, _ = run(tmp_path, body)
    assert result.candidate is not None
    seen = json.loads(result.candidate.prompt)
    assert "secret-of-the-user" not in seen.values()
    assert seen["OPENAI_API_KEY"].startswith("ng-")
    assert seen["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
    assert "127.0.0.1" in seen["NO_PROXY"]


def test_a_program_of_the_users_keeps_what_is_no_key_of_a_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-of-the-user")
    monkeypatch.setenv("DB_PASSWORD", "of-its-own-database")
    around = environment("http://127.0.0.1:1/v1", "key", secrets=True)
    assert "ANTHROPIC_API_KEY" not in around
    assert around["DB_PASSWORD"] == "of-its-own-database"
    assert around["OPENAI_API_KEY"] == "key"


def test_a_process_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """Standard input ends with us, even where we are killed."""
    script = tmp_path / "run_test.py"
    script.write_text(
        HEAD
        + "import time\ndef optimize(worker):\n    worker.emit('started', version='1')\n    time.sleep(600)\nmain(optimize)\n"
    )
    job = {
        "protocol": 1,
        "seed_prompt": "",
        "train": [],
        "validation": [],
        "seed": 1,
        "budget": {},
        "base_url": "http://127.0.0.1:1",
    }

    async def start_and_leave() -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job).encode() + b"\n")
        await process.stdout.readline()
        process.stdin.close()
        return await asyncio.wait_for(process.wait(), 10)

    assert asyncio.run(start_and_leave()) == 1


def test_a_cancelled_trial_leaves_no_process_behind(tmp_path: Path) -> None:
    pids: list[int] = []

    async def main() -> None:
        process = ForeignProcess(
            [
                sys.executable,
                "-c",
                "import os, time; print('{\"pid\": %d}' % os.getpid(), flush=True); time.sleep(600)",
            ],
            environment("http://127.0.0.1:1/v1", "key"),
            tmp_path,
        )
        task = asyncio.create_task(process.run("{}", lambda event: pids.append(event["pid"])))
        while not pids:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    for _ in range(100):
        try:
            os.kill(pids[0], 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError("the process is still there")


def test_no_test_row_and_no_right_label_is_in_a_job_that_must_not_tell_it() -> None:
    task = make_task(labels=("SENTINELA", "SENTINELB", "SENTINELC"))
    job = ForeignOptimization(task, "gepa/wrong/wrong", model=Scripted(), budget="10calls")
    value: dict[str, Any] = json.loads(job.setup.job(job.arm, 0, "http://127.0.0.1:1", {"generator": "k"}))
    text = json.dumps(value)
    assert all(one.input not in text for one in task.test)
    examples = {one.id: one for one in (*task.view.train, *task.view.validation)}
    assert {row["id"] for row in (*value["train"], *value["validation"])} == set(examples)
    for row in (*value["train"], *value["validation"]):
        assert examples[row["id"]].target not in json.dumps(row)


def test_seeds_of_trials_differ_and_are_never_0() -> None:
    task = make_task()
    job = ForeignOptimization(task, "gepa", model=Scripted(), budget="10calls")
    seeds = [json.loads(job.setup.job(job.arm, trial, "u", {}))["seed"] for trial in range(3)]
    assert len(set(seeds)) == 3
    assert min(seeds) > 0


def test_a_trial_without_a_budget_and_an_unknown_optimizer_are_refused() -> None:
    with pytest.raises(UserError, match="no budget"):
        ForeignOptimization(make_task(), "gepa", model=Scripted(), budget=Allowance())
    with pytest.raises(UserError, match="Did you mean gepa"):
        ForeignOptimization(make_task(), "gepaa", model=Scripted(), budget="10calls")


def test_adapters_are_files_and_the_interpreter_is_the_users_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all((FOLDER / one.file).is_file() for one in KNOWN.values())
    assert adapter_of("gepa").command("python") == ("python", str(FOLDER / "run_gepa.py"))
    monkeypatch.delenv(PYTHON, raising=False)
    assert interpreter() == sys.executable
    monkeypatch.setenv(PYTHON, "/somewhere/python")
    assert interpreter() == "/somewhere/python"
    monkeypatch.setenv(PYTHON, "envs/peers/bin/python")
    assert interpreter() == str(Path.cwd() / "envs" / "peers" / "bin" / "python")
    monkeypatch.setenv(PYTHON, "python3.11")
    assert interpreter() == "python3.11"
    assert parse_foreign_arm("gepa").optimizer in KNOWN

"""Calls asked by role on the real BBEH Web of Lies over HTTP, as docs/calls.md predicts, for every arm."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from nullgrad.api import Optimization, OptimizeResult, fetch_task, load_task
from nullgrad.core.task import Task
from tests.support.endpoint import Endpoint
from tests.support.publisher import publisher
from tests.support.shared import needs_shared, shared
from tests.unit.test_trial import every_arm

pytestmark = needs_shared

ANSWERS = (
    "The answer is: yes, no, unknown",
    "The answer is: no, unknown, yes",
    "The answer is: yes, yes, no",
)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """The publisher's file, fetched from a server that serves it, in the paper's split."""
    root = tmp_path_factory.mktemp("publisher")
    place = root / "google-deepmind/bbeh/main/bbeh/benchmark_tasks/bbeh_web_of_lies"
    place.mkdir(parents=True)
    shutil.copy(shared("data", "bbeh", "web_of_lies.json"), place / "task.json")
    with pytest.MonkeyPatch.context() as patch, publisher(root) as server:
        patch.setenv("NULLGRAD_TASKS_URL", server.url)
        patch.setenv("NULLGRAD_CACHE", str(root / "cache"))
        patch.setenv("no_proxy", "127.0.0.1")
        fetch_task("bbeh/web_of_lies", lambda text: None)
        loaded = load_task("bbeh/web_of_lies")
    assert (len(loaded.view.train), len(loaded.view.validation), len(loaded.test)) == (30, 50, 120)
    return loaded


def optimized(
    task: Task, endpoint: Endpoint, ledger: Path, **options: object
) -> tuple[Optimization, OptimizeResult]:
    job = Optimization(task, model="openai/test", base_url=endpoint.url, endpoint_name="test", **options)  # type: ignore[arg-type]
    return job, asyncio.run(job.run(ledger=ledger))


def asked(result: OptimizeResult) -> dict[str, int]:
    return {"generator": 0, "optimizer": 0, "critic": 0, "judge": 0, **dict(result.spend.by_role)}


def test_every_update_evaluation_and_selection(task: Task, tmp_path: Path) -> None:
    """Two steps of each arm over one ledger: what arms share is asked by each and paid once."""
    with Endpoint(answers=ANSWERS) as endpoint:
        for arm in every_arm():
            job, result = optimized(task, endpoint, tmp_path / "l.db", arm=arm, steps=2)
            predicted = job.plan.main_calls
            assert asked(result) == {
                "generator": predicted.generator, "optimizer": predicted.optimizer, "critic": predicted.critic, "judge": predicted.judge,
            }, arm  # fmt: skip
            assert not result.unparsed_proposals
            assert result.slots == 3
        assert max(endpoint.served().values()) == 1, "no request was paid twice over all arms"


@pytest.mark.parametrize(
    ("arm", "generator", "optimizer"),
    [
        ("gradient/correct/naive", 30 + 240, 70),
        ("one-step/correct/naive", 30 + 240, 10),
        ("gradient/correct/validated@3", 1580 + 240, 210),
        ("one-step/correct/best@3", 1530 + 240, 30),
        ("improve/none/validated@3", 1550 + 240, 30),
    ],
)
def test_the_papers_sizes(task: Task, arm: str, generator: int, optimizer: int, tmp_path: Path) -> None:
    """Ten steps of three: the figures of the table in docs/calls.md."""
    with Endpoint(answers=ANSWERS) as endpoint:
        _, result = optimized(task, endpoint, tmp_path / "l.db", arm=arm)
        assert asked(result) == {"generator": generator, "optimizer": optimizer, "critic": 0, "judge": 0}
        spend = result.spend
        # A text that is proposed again asks what is known, or what is in flight.
        assert len(endpoint.log) == spend.paid == generator + optimizer - spend.joined - spend.replayed


def test_zero_steps_read_the_seed_once(task: Task, tmp_path: Path) -> None:
    with Endpoint(answers=ANSWERS) as endpoint:
        _, result = optimized(task, endpoint, tmp_path / "l.db", steps=0)
        assert asked(result) == {"generator": 120, "optimizer": 0, "critic": 0, "judge": 0}
        assert result.test_readings == 1
        assert result.recommendation == "keep"


def test_controls_follow_the_formula_too(task: Task, tmp_path: Path) -> None:
    with Endpoint(answers=ANSWERS) as endpoint:
        job, result = optimized(task, endpoint, tmp_path / "l.db", steps=1, trials=3, controls="full")
        predicted = job.plan.main_calls + job.plan.control_calls
        assert asked(result) == {
            "generator": predicted.generator, "optimizer": predicted.optimizer, "critic": predicted.critic, "judge": predicted.judge,
        }  # fmt: skip
        assert result.spend.paid < predicted.total
        assert result.ladder is not None
        assert result.ladder.blocks == 3
        assert len(result.ladder.steps) == 9
        assert len(result.ladder.sides) == 4


def test_a_judge_adds_a_judge_call_for_each_output_graded(task: Task, tmp_path: Path) -> None:
    rows = "question,answer\n" + "".join(f"what is {n} plus {n * n}?,{n + n * n}\n" for n in range(60))
    (tmp_path / "sums.csv").write_text(rows)
    (tmp_path / "task.yaml").write_text(
        "name: sums\ndata: sums.csv\ninput: question\ntarget: answer\nprompt: Add.\nformat: ''\n"
        'scorer: {judge: {rubric: "Is it right?"}}\nleaks: allow\nsplit: {train: 9, validation: 10, test: 20, seed: 0}\n'
    )

    def respond(body: dict, number: int) -> str:  # type: ignore[type-arg]
        text = body["messages"][-1]["content"]
        if "Judge an answer" in text:
            return f"Score: {number % 101}"
        return f"<prompt>Add well, {number}.</prompt>" if "<prompt>" in text else f"About {number % 50}."

    for arm in (
        "one-step/correct/validated@2",
        "gradient/none/best@2",
        "improve/naive",
        "one-step/wrong/naive",
    ):
        with Endpoint(responder=respond) as endpoint:
            job, result = optimized(
                load_task(str(tmp_path / "task.yaml")),
                endpoint,
                tmp_path / f"{len(arm)}.db",
                arm=arm,
                steps=3,
            )
            predicted = job.plan.main_calls
            assert asked(result) == {
                "generator": predicted.generator, "optimizer": predicted.optimizer, "critic": predicted.critic, "judge": predicted.judge,
            }, arm  # fmt: skip
            assert predicted.judge > 0

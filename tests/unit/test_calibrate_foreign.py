"""The A/A test of third-party optimizers: the claim, budgets, finished runs that are kept, and what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nullgrad.analysis.calibration.phantom import PhantomRun
from nullgrad.api import calibrate_phantom
from nullgrad.api.calibrate import calibrate_optimizer
from nullgrad.api.calibrate_foreign import (
    EACH,
    ForeignOptimizer,
    ForeignPhantomJob,
    claimed_gain,
    parse_budgets,
)
from nullgrad.api.calibrate_keep import Kept
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Request
from nullgrad.core.draws import DrawPath
from nullgrad.core.foreign import Claim, ForeignResult, foreign_draw
from nullgrad.edges.sim import SimModel, parse_world, sim_task
from nullgrad.errors import UserError
from nullgrad.surfaces.cli import run

JOB = ForeignPhantomJob("gepa/correct/correct", "sim:null?rho=0", 50, 1000, (3,), 7, "python", "gepa 0.1.4")
BEST = "Read it twice."


def result(*claims: tuple[str, float | None], claimed: float | None = None) -> ForeignResult:
    """A result whose best prompt is `BEST`."""
    made = tuple(Claim(number, Candidate.of(prompt), score) for number, (prompt, score) in enumerate(claims))
    return ForeignResult(
        "gepa/correct/correct", 0, "budget", Candidate.of(BEST), claimed, made, "0.1.4", {}, {}
    )


def test_the_claim_is_the_librarys_own_or_what_it_was_answered() -> None:
    world = parse_world("sim:null?rho=0")
    task = sim_task(world.task_name, split={"train": 6, "validation": 60, "test": 5})
    seed_prompt = task.view.seed_prompt
    own = result((seed_prompt, 0.5), (BEST, 0.75), claimed=0.75)
    assert claimed_gain(world, task, own, DrawPath(4, 0)) == pytest.approx(0.25)
    # By requests: what a first question about every example is answered.
    model, draw = SimModel(world), foreign_draw(DrawPath(4, 0), "generator", None, 0)

    def asked(prompt: str) -> float:
        rows = task.view.validation
        replies = [model.reply(Request("m", task.view.messages(prompt, one), draw=draw)).text for one in rows]
        return sum(reply == one.target for reply, one in zip(replies, rows, strict=True)) / len(rows)

    assert asked(BEST) != asked(seed_prompt)
    without = result((BEST, None))
    assert claimed_gain(world, task, without, DrawPath(4, 0)) == pytest.approx(
        asked(BEST) - asked(seed_prompt)
    )
    half = result((BEST, 0.9), claimed=0.9)
    assert claimed_gain(world, task, half, DrawPath(4, 0)) == pytest.approx(0.9 - asked(seed_prompt))


def test_a_run_of_its_budget_through_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    world = parse_world("sim:null?rho=0")
    task = sim_task(world.task_name, split={"train": 6, "validation": 8, "test": 5})
    asked: list[dict[str, object]] = []

    class Fake:
        def __init__(self, given: object, name: str, **options: object) -> None:
            asked.append({"task": given, "name": name, **options})

        async def run(self, ledger: object) -> ForeignResult:
            return result(
                (task.view.seed_prompt, 0.5), (BEST, 0.75), ("Other.", 0.6), (BEST, 0.75), claimed=0.75
            )

    monkeypatch.setattr("nullgrad.api.calibrate_foreign.ForeignOptimization", Fake)
    optimizer = ForeignOptimizer("gepa/correct/correct", world, task, "python")
    claim = optimizer.run(task.view.seed_prompt, task.view.train[:4], task.view.validation, 160, 9)
    assert (claim.prompt, claim.gain, claim.candidates) == (BEST, pytest.approx(0.25), 2)
    (options,) = asked
    assert (options["name"], options["seed"], options["budget"].calls) == ("gepa/correct/correct", 9, 160)  # type: ignore[attr-defined]
    assert len(options["task"].view.train) == 4  # type: ignore[attr-defined]

    class Empty(Fake):
        async def run(self, ledger: object) -> ForeignResult:
            return replace(result(), candidate=None, reason="Nothing was scored.")

    monkeypatch.setattr("nullgrad.api.calibrate_foreign.ForeignOptimization", Empty)
    with pytest.raises(UserError, match=r"had no result: Nothing was scored\..*Give a larger budget"):
        optimizer.run(task.view.seed_prompt, task.view.train, task.view.validation, 5, 9)


@pytest.mark.parametrize(
    ("text", "means"),
    [("20x", (EACH, (20,))), ("10x, 20x", (EACH, (10, 20))), ("1000,4000", ("calls", (1000, 4000)))],
)
def test_budgets_are_calls_or_multiples_of_the_examples(
    text: str, means: tuple[str, tuple[int, ...]]
) -> None:
    assert parse_budgets(text) == means


@pytest.mark.parametrize("text", ["20x,400", "x", "", "1.5x", "-3", "²"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--budget is"):
        parse_budgets(text)


def test_finished_runs_are_kept_and_only_those_of_the_very_same_test(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    runs = [PhantomRun(0.1, -0.01, 5)]
    Kept(file).add(JOB, runs)
    assert Kept(file).find(replace(JOB, python="/elsewhere/python")) == runs
    for other in (
        {"arm": "gepa/none/correct"}, {"world": "sim:null?rho=0.5"}, {"validation": 100}, {"budget": 999}, {"runs": (4,)},
        {"seed": 8}, {"package": "gepa 0.1.5"},
    ):  # fmt: skip
        assert Kept(file).find(replace(JOB, **other)) is None, other


def test_a_line_cut_off_by_a_kill_is_made_again_and_a_strange_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    Kept(file).add(JOB, [PhantomRun(0.1, -0.01, 5)])
    whole = file.read_text()
    file.write_text(whole + whole[:40])
    kept = Kept(file)
    assert file.read_text() == whole
    kept.add(replace(JOB, runs=(4,)), [PhantomRun(0.2, 0.0, 6)])
    assert len(file.read_text().splitlines()) == 2 and Kept(file).find(replace(JOB, runs=(4,))) is not None
    for strange in ('{"nullgrad": "0"}', '{"nullgrad": "0"}\n', "notes\n", whole + '{"of": 3}\n'):
        file.write_text(strange)
        with pytest.raises(UserError, match="is no finished run of calibrate"):
            Kept(file)
        assert file.read_text() == strange


def fake_runs(job: ForeignPhantomJob) -> list[PhantomRun]:
    """A claim that tells its condition."""
    return [PhantomRun(job.budget / 100_000 + number / 1000, 0.0, job.validation) for number in job.runs]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[ForeignPhantomJob]:
    """A package that is there, and runs that cost nothing; the list gets their jobs."""
    made: list[ForeignPhantomJob] = []

    def work(job: ForeignPhantomJob) -> list[PhantomRun]:
        made.append(job)
        return fake_runs(job)

    monkeypatch.setattr(calibrate_phantom, "usable", lambda arm, python: ("python", "gepa 0.1.4"))
    monkeypatch.setattr(calibrate_phantom, "run_foreign_phantom", work)
    return made


def test_conditions_runs_and_budgets_of_a_third_party(
    installed: list[ForeignPhantomJob], tmp_path: Path
) -> None:
    keep = tmp_path / "runs.jsonl"
    asked = {"validation": (20, 10), "rho": (0.5, 0.0), "budgets": "10x,20x", "runs": 2, "processes": 1}
    found = calibrate_optimizer("gepa", keep=keep, **asked)  # type: ignore[arg-type]
    assert [(row.rho, row.validation, row.budget) for row in found.rows] == [
        (rho, examples, budget) for rho in (0.0, 0.5) for examples in (10, 20) for budget in (10, 20)
    ]
    assert [row.claimed.mean for row in found.rows[:4]] == pytest.approx([0.0015, 0.0025, 0.0025, 0.0045])
    assert {job.budget for job in installed} == {100, 200, 400}
    assert (found.unit, found.package, found.optimizer) == (EACH, "gepa 0.1.4", "gepa/correct/correct")
    again = calibrate_optimizer("gepa", keep=keep, **asked)  # type: ignore[arg-type]
    assert again == found and len(installed) == 16, "finished runs are not made again"
    more = calibrate_optimizer("gepa", keep=keep, **{**asked, "runs": 3})  # type: ignore[arg-type]
    assert len(installed) == 24 and more.rows[0].runs == 3


def test_by_default_twelve_runs_of_twenty_calls_for_each_example(installed: list[ForeignPhantomJob]) -> None:
    found = calibrate_optimizer("gepa", rho=(0.0,), processes=1)
    assert {(job.validation, job.budget) for job in installed} == {(50, 1000), (100, 2000), (200, 4000)}
    assert {row.runs for row in found.rows} == {12}


def test_what_is_printed_names_package_and_budget(
    installed: list[ForeignPhantomJob], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "calibrate",
        "gepa",
        "--validation",
        "10",
        "--rho",
        "0",
        "--runs",
        "2",
        "--processes",
        "1",
        "--quiet",
    ]
    assert run([*arguments, "--budget", "10x"]) == 0
    text = capsys.readouterr().out
    assert "A/A test of gepa/correct/correct (gepa 0.1.4)" in text
    assert "10 x" in text and "To keep the phantom gain under 1 point:" in text
    assert run([*arguments, "--budget", "4000", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["budget_unit"], value["package"], value["simulated"]) == (
        "calls",
        "gepa 0.1.4",
        ["sim:null"],
    )
    assert value["tables"]["phantom"][0]["budget"] == 4000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gepa", "--steps", "3"], "--steps has no meaning for gepa."),
        (["rewrite/none/best@2", "--budget", "20x"], "--budget has no meaning for rewrite/none/best@2."),
        (["rewrite/none/best@2", "--keep", "x"], "--keep has no meaning for rewrite/none/best@2."),
        (["--self", "--budget", "20x"], "--budget has no meaning with --self."),
        (["gepa/sometimes"], "The arm 'gepa/sometimes' cannot be read."),
        (["gepaa"], "Did you mean gepa?"),
        (["gepa", "--budget", "0x"], "--budget is 0."),
    ],
)
def test_mistakes_are_one_line(
    installed: list[ForeignPhantomJob], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["calibrate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err and captured.err.count("\n") == 1


def test_a_missing_package_is_one_line_with_the_command_that_installs_it(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    with pytest.raises(UserError, match=r"is not installed for .* pip install 'gepa>="):
        calibrate_optimizer("gepa", python=str(python))
    with pytest.raises(UserError, match="cannot be run"):
        calibrate_optimizer("gepa", python=str(tmp_path / "no-python"))
    with pytest.raises(UserError, match="counts update steps"):
        calibrate_optimizer("rewrite/none/best@2", budgets="20x")

"""Runs as trackers keep them: figures that the result and the ledger's events give, trials as children, nothing made up."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import nullgrad
from nullgrad.api import read_run
from nullgrad.api.export import export_run
from nullgrad.api.export_figures import usage
from nullgrad.api.export_tracking import tracked_run
from nullgrad.core.events import CandidateScored, StepDone, TestScored
from nullgrad.edges.export.mlflow import _name
from nullgrad.edges.export.values import TrackedRun
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.models.script import ScriptModel
from nullgrad.errors import UserError
from tests.support.comparisons import counted, foreign
from tests.support.reports import study_run
from tests.support.studies import oblige
from tests.support.workload import write_task


def model() -> ScriptModel:
    return ScriptModel(lambda request: oblige(request, ("up", "down")), "script:oblige")


def optimized(folder: Path, **more: Any) -> tuple[dict[str, Any], Path]:
    ledger = folder / "l.db"
    values: dict[str, Any] = {"arm": "gradient/correct/validated@2", "steps": 3, **more}
    result = nullgrad.optimize(write_task(folder), model=model(), ledger=ledger, **values)
    return result.to_dict(), ledger


def tracked(report: Any, ledger: Path) -> tuple[TrackedRun, list[str]]:
    said: list[str] = []
    return tracked_run(report, ledger, said.append), said


def numbers(run: TrackedRun) -> dict[str, float]:
    return {one.name: one.value for one in run.figures if one.step is None}


def series(run: TrackedRun, name: str) -> dict[int, float]:
    return {one.step: one.value for one in run.figures if one.name == name and one.step is not None}


def test_an_optimization(tmp_path: Path) -> None:
    report, ledger = optimized(tmp_path)
    run, said = tracked(read_run("last", ledger), ledger)
    found = numbers(run)
    test = report["test"]
    assert not said
    assert (found["test_seed"], found["test_best"]) == (test["seed"]["score"], test["best"]["score"])
    assert found["gain_points"] == test["gain"]["points"]
    assert [found["gain_points_ci95_low"], found["gain_points_ci95_high"]] == test["gain"]["ci95"]
    assert found["test_best_scored"] == test["best"]["outcomes"]["scored"]
    assert found["recall_best/up"] == report["classes"]["up"]["best"]["recall"]
    assert (run.params["task"], run.params["steps"], run.params["arm"]) == ("moods", 3, report["arm"])
    assert run.params["model_generator"] == "script:oblige"
    assert run.tags["nullgrad.run"] == report["run"] and run.tags["nullgrad.simulated"] == "script:oblige"
    assert run.note.startswith("Simulation: script:oblige is no real model. ")
    assert report["reason"] in run.note
    assert run.files["prompts/seed.md"] == report["seed_prompt"] + "\n"
    assert run.files["prompts/best.md"] == report["best_prompt"] + "\n"
    assert run.begun <= run.ended and run.children == ()


def test_calls_and_tokens_are_the_commands_own(tmp_path: Path) -> None:
    report, ledger = optimized(tmp_path)
    found = numbers(tracked(read_run("last", ledger), ledger)[0])
    assert found["calls"] == report["calls"]["paid"]
    assert found["prompt_tokens"] == report["tokens"]["prompt"]
    assert found["completion_tokens"] == report["tokens"]["completion"]
    assert found["usd"] == 0 == report["usd"]
    assert found["calls_generator"] + found["calls_optimizer"] == found["calls"]


def test_validation_by_step_is_that_of_the_current_prompt(tmp_path: Path) -> None:
    report, ledger = optimized(tmp_path, arm="gradient/correct/best@2", trials=2)
    run, _ = tracked(read_run("last", ledger), ledger)
    scope = f"{report['arm']}#{report['trial']}"
    scored: dict[str, float] = {}
    expected: dict[int, float] = {}
    with open_ledger(ledger, read_only=True) as book:
        for event in book.events(report["run"]):
            if event.scope == scope and isinstance(event, CandidateScored):
                scored[event.candidate] = fmean(score for score in event.scores if score is not None)
            elif event.scope == scope and isinstance(event, StepDone):
                expected[event.step] = scored[event.candidate]
    assert series(run, "validation") == pytest.approx(expected)
    assert sorted(expected) == [1, 2, 3]


def test_the_trials_of_an_optimization_are_its_children(tmp_path: Path) -> None:
    report, ledger = optimized(tmp_path, trials=3, controls="standard", steps=1)
    run, _ = tracked(read_run("last", ledger), ledger)
    tested: dict[str, float] = {}
    with open_ledger(ledger, read_only=True) as book:
        for event in book.events(report["run"]):
            if isinstance(event, TestScored) and event.purpose == "final":
                tested[event.scope] = fmean(score for score in event.scores if score is not None)
    assert {child.name.replace(" #", "#") for child in run.children} == set(tested)
    assert len([child for child in run.children if child.params["arm"] == report["arm"]]) == 3
    for child in run.children:
        assert numbers(child)["test"] == pytest.approx(tested[child.name.replace(" #", "#")])
        assert child.kind == "trial" and child.files["prompt.md"].strip()
    ladder = {one["ingredient"]: one["points"] for one in report["attribution"]["ladder"]["steps"]}
    found = numbers(run)
    assert {
        f"attribution_points/{name}" for name, points in ladder.items() if points is not None
    } <= found.keys()


def test_without_controls_no_trial_claims_the_seeds_test_score(tmp_path: Path) -> None:
    _, ledger = optimized(tmp_path, trials=2)
    run, _ = tracked(read_run("last", ledger), ledger)
    assert len(run.children) == 2
    assert all("test" not in numbers(child) for child in run.children)


def test_a_study(tmp_path: Path) -> None:
    found = study_run(tmp_path)
    run, said = tracked(found.report, found.ledger)
    assert not said
    rows = found.report["tables"]["trials"]
    assert [child.name for child in run.children] == [
        f"{row['cell']} {row['arm']} #{row['trial']}" for row in rows
    ]
    for child, row in zip(run.children, rows, strict=True):
        assert numbers(child)["test"] == row["score"]
        assert numbers(child)["unparsed"] == row["unparsed"]
        assert child.files == ({"prompt.md": row["prompt"] + "\n"} if row["prompt"] else {})
        if row["arm"].startswith("gradient/correct/best"):
            assert set(series(child, "validation")) == {1, 2, 3}
    figures = numbers(run)
    for row in found.report["tables"]["contrasts"]:
        name = f"contrast/{row['cell']}/{row['name']}/difference_points"
        assert figures.get(name) == row["difference_points"]
    assert run.params["study"] == "small" and run.kind == "study"


def test_a_comparison(tmp_path: Path) -> None:
    gepa, own = foreign("gepa"), foreign("textgrad")
    made = counted((gepa, own), (10, 9, 11), {gepa.name: (14, 13, 12), own.name: (10, None, 12)})
    report = json.loads(made.result().to_json())
    run, said = tracked(report, tmp_path / "none.db")
    assert len(said) == 1 and "When it ran is left out." in said[0]
    figures = numbers(run)
    for row in report["tables"]["entries"]:
        assert figures.get(f"entry/{row['entry']}/sealed_points") == row["sealed_points"]
    for row in report["tables"]["contrasts"]:
        name = f"contrast/{row['family']}/{row['name']}/difference_points"
        assert figures.get(name) == row["difference_points"]
    assert figures["calls"] == 300 * 6 and figures["test_seed"] == 0.5
    assert (run.kind, run.params["budget_calls"], run.params["trials"]) == ("comparison", 400, 3)
    assert run.tags["nullgrad.best"] == "none" and report["crown"]["text"] in run.note
    assert len(run.children) == 6
    for child, row in zip(run.children, report["tables"]["trials"], strict=True):
        assert child.name == f"{row['entry']} #{row['trial']}" and child.group == run.group
        assert numbers(child).get("sealed_points") == row["sealed_points"]
        assert numbers(child).get("test") == (row["score"] if row["result"] else None)
        assert child.files == ({"prompt.md": row["prompt"] + "\n"} if row["prompt"] else {})
        assert child.tags["nullgrad.ended"] == row["ended"]
    (failed,) = [child for child in run.children if child.tags["nullgrad.ended"] == "failed"]
    assert "test" not in numbers(failed) and "the package ended with an error" in failed.note


@pytest.mark.parametrize("form", ["inspect", "promptfoo"])
def test_forms_that_a_comparison_has_not(form: str, tmp_path: Path) -> None:
    gepa = foreign("gepa")
    file = tmp_path / "c.json"
    file.write_text(counted((gepa,), (10, 9), {gepa.name: (14, 13)}).result().to_json(), "utf-8")
    with pytest.raises(UserError, match=f"--format {form} does not take"):
        export_run(form, str(file), tmp_path / "none.db")


def test_a_result_file_without_its_ledger(tmp_path: Path) -> None:
    report, _ = optimized(tmp_path, trials=2)
    run, said = tracked(report, tmp_path / "none.db")
    assert len(said) == 1 and "no ledger" in said[0] and "left out" in said[0]
    found = numbers(run)
    assert found["calls"] == report["calls"]["paid"] and found["usd"] == 0
    assert run.children == () and series(run, "validation") == {}
    assert found["test_best"] == report["test"]["best"]["score"]


def test_replies_that_runs_share_are_said_to_be_shared(tmp_path: Path) -> None:
    _, ledger = optimized(tmp_path)
    other, _ = optimized(tmp_path, seed=1)
    run, said = tracked(read_run(other["run"], ledger), ledger)
    assert len(said) == 1 and "other runs" in said[0]
    assert run.tags["nullgrad.usage_shared_with"]


def test_what_is_unknown_is_left_out() -> None:
    row = {
        "role": "generator", "model": "m", "replies": 3, "failed": 1, "prompt_tokens": 5, "completion_tokens": 1,
        "uncounted": 0, "usd": 0.5,
    }  # fmt: skip
    names = {one.name: one.value for one in usage([row, {**row, "role": "optimizer"}])}
    assert names["calls"] == 8 and names["calls_failed"] == 2 and names["usd"] == 1
    assert "usd" not in {one.name for one in usage([row, {**row, "usd": None}])}
    assert "prompt_tokens" not in {one.name for one in usage([row, {**row, "uncounted": 1}])}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("recall_best/up", "recall_best/up"), ("contrast/a · b/x > y/p", "contrast/a _ b/x _ y/p"),
        ("a//b", "a/b"), ("recall/../up", "recall/up"), ("/a/", "a"), ("größe", "größe"), ("x" * 300, "x" * 250),
    ],
)  # fmt: skip
def test_names_that_mlflow_takes(given: str, kept: str) -> None:
    assert _name(given) == kept

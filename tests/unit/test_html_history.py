"""What a report is told of a run by its ledger: the right feedback for the right prompt, every token once, and bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nullgrad
from nullgrad.api import history, read_run, run_history
from nullgrad.core.chat import Request
from nullgrad.core.draws import DrawPath
from nullgrad.edges.models.script import ScriptModel
from nullgrad.errors import UserError
from tests.support.workload import write_task

ARM = "gradient/correct/best@2"


def told(request: Request) -> str:
    """Feedback that names its own draw."""
    text = "\n".join(message.content for message in request.messages)
    if "between <prompt> and </prompt>" in text:
        return f"<prompt>Weigh the words well, rule {request.draw}.</prompt>"
    if "How should the" in text:
        return f"draw {request.draw}"
    return ("up", "down")[request.draw % 2]


def optimize(folder: Path, **options: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"arm": ARM, "steps": 2, "ledger": folder / "ledger.db", **options}
    model = ScriptModel(told, "script:told", "told")
    return nullgrad.optimize(write_task(folder), model=model, **values).to_dict()


def check_feedback(report: dict[str, Any], found: dict[str, Any]) -> None:
    """Every reply that is told has the draw of its place."""
    path = DrawPath(report["seed"], report["trial"])
    (one,) = found["lineage"]
    assert one["steps"]
    for step in one["steps"]:
        assert len(step["feedback"]) == 6, "two stages for each of three examples"
        for reply in step["feedback"]:
            draw = path.proposal(step["step"], reply["stage"], reply["example"], step["variant"])
            assert reply["text"] == f"draw {draw}"


def test_feedback_is_of_the_run_itself(tmp_path: Path) -> None:
    first, second = optimize(tmp_path, seed=0), optimize(tmp_path, seed=1)
    for report in (first, second):
        check_feedback(report, run_history(report, tmp_path / "ledger.db") or {})


def test_feedback_that_another_run_paid_for_is_found(tmp_path: Path) -> None:
    """A study asks the same first, in a cell and under an arm of its own."""
    write_task(tmp_path)
    (tmp_path / "study.yaml").write_text(
        "name: s\ntasks: [task.yaml]\narms: {gradient/correct/naive: 1, gradient/wrong/naive: 1}\nsteps: 1\n"
    )
    model = ScriptModel(told, "script:told", "told")
    nullgrad.Study.from_file(tmp_path / "study.yaml", model=model).run(ledger=tmp_path / "ledger.db")
    report = optimize(tmp_path, arm="gradient/correct/naive", steps=1)
    assert report["calls"]["replayed"] > 0
    found = run_history(report, tmp_path / "ledger.db")
    assert found is not None
    check_feedback(report, found)
    assert found["shared_with"] == [], "a study's cell has a name of its own"


def test_updates_of_one_stage_have_no_feedback(tmp_path: Path) -> None:
    found = run_history(optimize(tmp_path, arm="improve/naive"), tmp_path / "ledger.db")
    assert found is not None
    (one,) = found["lineage"]
    assert [step["feedback"] for step in one["steps"]] == [[], []]
    assert [step["batch"] for step in one["steps"]] == [None, None]


def test_every_token_is_counted_once(tmp_path: Path) -> None:
    report = optimize(tmp_path, controls="standard", trials=3)
    found = run_history(report, tmp_path / "ledger.db")
    assert found is not None
    for name in ("prompt", "completion"):
        assert sum(row[f"{name}_tokens"] for row in found["replies"]) == report["tokens"][name]
    assert sum(row["replies"] for row in found["replies"]) == report["calls"]["paid"]
    assert {row["role"] for row in found["replies"]} == {"generator", "optimizer"}
    assert {row["usd"] for row in found["replies"]} == {0.0}


def test_candidates_and_course_are_the_events(tmp_path: Path) -> None:
    report = optimize(tmp_path)
    found = run_history(report, tmp_path / "ledger.db")
    assert found is not None
    scored = [row for row in found["candidates"] if row["variant"] >= 0]
    assert len(scored) == 2 * 2
    assert sum(row["taken"] for row in scored) == 2
    last = next(
        row for row in found["trajectory"] if (row["measure"], row["at"]) == ("validation", report["steps"])
    )
    taken = next(row for row in scored if row["taken"] and row["step"] == report["steps"])
    assert last["mean"] == taken["validation"]


def test_everything_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = optimize(tmp_path)
    monkeypatch.setattr(history, "MOST_STEPS", 1)
    monkeypatch.setattr(history, "MOST_TEXT", 10)
    found = run_history(report, tmp_path / "ledger.db")
    assert found is not None
    (one,) = found["lineage"]
    assert (len(one["steps"]), one["steps_left_out"]) == (1, 1)
    text = one["steps"][0]["texts"][0]
    assert (text["before"], text["after"]) == ("Is the moo", "Weigh the ")
    assert text["cut"] > 0
    monkeypatch.setattr(history, "MOST_TOTAL", 0)
    found = run_history(report, tmp_path / "ledger.db")
    assert found is not None
    assert found["lineage"][0]["steps"] == []
    assert found["lineage"][0]["steps_left_out"] == 2


def test_runs_are_found_by_name_kind_and_file(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with pytest.raises(UserError, match="no ledger"):
        read_run("last", ledger)
    report = optimize(tmp_path)
    assert read_run("last", ledger)["run"] == report["run"] == read_run(report["run"][:6], ledger)["run"]
    write_task(tmp_path)
    (tmp_path / "study.yaml").write_text("name: s\ntasks: [task.yaml]\narms: {improve: 1}\nsteps: 1\n")
    model = ScriptModel(told, "script:told", "told")
    study = nullgrad.Study.from_file(tmp_path / "study.yaml", model=model).run(ledger=ledger)
    assert read_run("last", ledger)["run"] == study.run
    path = tmp_path / "result.json"
    for value in (report, study.to_dict()):
        path.write_text(json.dumps(value))
        assert read_run(str(path), tmp_path / "none.db")["run"] == value["run"]
    path.write_text('{"recommendation": "switch"}')
    with pytest.raises(UserError, match="no result"):
        read_run(str(path), ledger)
    with pytest.raises(UserError, match="no run 'ffff'"):
        read_run("ffff", ledger)


def test_a_run_that_the_ledger_does_not_hold_has_no_history(tmp_path: Path) -> None:
    report = optimize(tmp_path)
    assert run_history(report, tmp_path / "none.db") is None
    assert run_history({**report, "run": "0" * 16}, tmp_path / "ledger.db") is None


def test_models_are_named_where_a_study_has_several(tmp_path: Path) -> None:
    write_task(tmp_path)
    (tmp_path / "study.yaml").write_text(
        "name: s\ntasks: [task.yaml]\nmodels: [small, large]\narms: {improve: 2}\nsteps: 1\n"
    )
    models = {name: ScriptModel(told, f"script:{name}", name) for name in ("small", "large")}
    result = nullgrad.Study.from_file(tmp_path / "study.yaml", models=models).run(ledger=tmp_path / "l.db")
    found = run_history(result.to_dict(), tmp_path / "l.db")
    assert found is not None
    assert {(row["role"], row["model"]) for row in found["replies"]} == {
        (role, f"script:{name}") for role in ("generator", "optimizer") for name in models
    }
    assert [one["cell"] for one in found["lineage"]] == [row["cell"] for row in result.to_dict()["cells"]]

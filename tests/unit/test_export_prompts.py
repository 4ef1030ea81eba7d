"""Transcripts of a run's readings of the sealed test: the ledger's own, in the order of the split, and of no other task."""

from __future__ import annotations

from pathlib import Path

import pytest

import nullgrad
from nullgrad.api import read_run
from nullgrad.api.export_prompts import evaluated_prompts, generator_of
from nullgrad.core.chat import Failed, Reply, Request
from nullgrad.core.events import TestScored
from nullgrad.core.task import Scored, UnparsedAnswer
from nullgrad.edges.export.values import EvaluatedPrompt
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.models.script import ScriptModel
from nullgrad.errors import UserError
from tests.support.studies import oblige
from tests.support.workload import write_task

STUDY = """\
name: small
tasks: [task.yaml]
arms: {improve: 2, gradient/correct/naive: 2}
steps: 1
design: DESIGN
contrasts: [{family: f, better: improve, than: seed}]
"""


def answer(request: Request) -> str:
    if "Is it right?" in "".join(message.content for message in request.messages):
        return f"Well. Score: {request.draw % 101}"
    text = oblige(request, ("up", "down", "I say up."))
    return text if request.draw % 11 else "cut \ud83d"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_task(tmp_path)
    return tmp_path


def optimized(folder: Path, **more: object) -> str:
    model = ScriptModel(answer, "script:oblige")
    options = {"arm": "gradient/correct/best@2", "steps": 1, **more}
    return nullgrad.optimize(folder / "task.yaml", model=model, ledger=folder / "l.db", **options).run  # type: ignore[arg-type]


def exported(folder: Path, *tasks: str) -> list[EvaluatedPrompt]:
    report = read_run("last", folder / "l.db")
    return list(evaluated_prompts(report, folder / "l.db", tasks or ("task.yaml",)))


def test_an_optimization_has_its_seed_and_its_best_prompt(folder: Path) -> None:
    run = optimized(folder)
    report, found = read_run(run, folder / "l.db"), exported(folder)
    assert [one.purpose for one in found] == ["seed", "best"]
    assert [one.prompt for one in found] == [report["seed_prompt"], report["best_prompt"]]
    task = nullgrad.load_task("task.yaml")
    for one in found:
        test = report["test"][one.purpose]
        assert one.score == pytest.approx(test["score"], abs=1e-6)
        assert one.interval == pytest.approx(test["ci95"], abs=1e-6)
        kinds = [type(example.outcome) for example in one.examples]
        assert kinds.count(Scored) == test["outcomes"]["scored"]
        assert kinds.count(UnparsedAnswer) == test["outcomes"]["unparsed"] > 0
        assert [example.example for example in one.examples] == list(task.test)
        assert (one.run, one.trial, one.arm, one.simulated) == (run, report["trial"], report["arm"], True)
        assert (one.scorer, one.model, one.graded) == ("exact", "script:oblige", False)


def test_every_transcript_is_what_the_ledger_holds(folder: Path) -> None:
    run = optimized(folder)
    seed, best = exported(folder)
    assert seed.prompt != best.prompt
    with open_ledger(folder / "l.db", read_only=True) as book:
        told = {one.purpose: one for one in book.events(run) if isinstance(one, TestScored)}
        for one in (seed, best):
            assert tuple(example.score for example in one.examples) == told[one.purpose].scores
            for example in one.examples:
                identity = example.request.identity()
                assert book.find([identity])[identity] == example.reply
                assert example.request.messages[0].content.startswith(one.prompt)
                assert example.request.messages[-1].content == example.example.input
                assert example.at.startswith("20") and example.seconds >= 0


@pytest.mark.parametrize("design", ["paired", "independent"])
def test_a_study_has_the_prompt_of_every_trial(folder: Path, design: str) -> None:
    (folder / "study.yaml").write_text(STUDY.replace("DESIGN", design))
    model = ScriptModel(answer, "script:oblige")
    result = nullgrad.Study.from_file(folder / "study.yaml", model=model).run(ledger=folder / "l.db")
    found = {(one.arm, one.trial): one for one in exported(folder)}
    assert len(found) == result.test_readings == 6
    for trial in result.trials:
        own = found[trial.arm, trial.trial]
        assert own.purpose == ("seed" if trial.arm == "seed" else "final")
        assert own.score == pytest.approx(trial.score)
        assert trial.prompt in ("", own.prompt)
        assert own.cell == trial.cell


def test_a_failed_call_is_missing(folder: Path) -> None:
    from tests.support.endpoint import Endpoint, Faults

    with Endpoint(answers=("up", "down"), faults=Faults(rejected=0.1)) as endpoint:
        nullgrad.optimize(
            folder / "task.yaml", model="openai/test", base_url=endpoint.url, endpoint_name="test", ledger=folder / "l.db",
            arm="improve/naive", steps=1,
        )  # fmt: skip
    found = exported(folder)
    failed = [example for one in found for example in one.examples if isinstance(example.reply, Failed)]
    assert failed and all(example.score is None for example in failed)
    for one in found:
        known = [example.score for example in one.examples if example.score is not None]
        assert len(known) < len(one.examples)
        assert one.score == pytest.approx(sum(known) / len(known))
        assert not one.simulated and one.model == "openai/test"


def test_what_is_excluded_counts_not_at_all(folder: Path) -> None:
    text = (folder / "task.yaml").read_text() + "unparsed: exclude\n"
    (folder / "task.yaml").write_text(text)
    optimized(folder)
    for one in exported(folder):
        unread = [example for example in one.examples if isinstance(example.outcome, UnparsedAnswer)]
        assert unread and all(example.score is None for example in unread)
        assert all(isinstance(example.reply, Reply) for example in unread)


def test_a_judge_is_asked_nothing_again(folder: Path) -> None:
    text = (
        (folder / "task.yaml")
        .read_text()
        .replace("labels: [up, down]\nscorer: exact", 'scorer: {judge: {rubric: "Is it right?"}}')
    )
    (folder / "task.yaml").write_text(text)
    optimized(folder, arm="improve/naive")
    for one in exported(folder):
        assert one.scorer == "judge" and one.scorer_options == {"rubric": "Is it right?"}
        assert one.graded and one.interval is None
        assert len(one.examples) == 40


def refusal(folder: Path, *tasks: str) -> str:
    with pytest.raises(UserError) as caught:
        exported(folder, *tasks)
    return str(caught.value)


def test_another_task_is_refused(folder: Path) -> None:
    optimized(folder)
    text = (folder / "task.yaml").read_text()
    same = text.replace("name: moods", "name: other-name")
    for name, changed in {
        "format.yaml": text.replace("Answer with one word", "Say"),
        "split.yaml": text.replace("seed: 0}", "seed: 1}"),
        "scorer.yaml": text.replace(
            "labels: [up, down]\nscorer: exact", "labels: [up, down]\nscorer: contains"
        ),
    }.items():
        (folder / name).write_text(changed)
        assert "not the one that the run" in refusal(folder, name), name
    # The same in other words has another digest, and the same replies.
    (folder / "same.yaml").write_text(same)
    assert [one.purpose for one in exported(folder, "same.yaml")] == ["seed", "best"]


def test_a_task_that_is_not_at_hand_is_asked_for(folder: Path) -> None:
    run = optimized(folder)
    report = read_run(run, folder / "l.db")
    with pytest.raises(UserError, match="--task FILE"):
        list(evaluated_prompts(report, folder / "l.db"))
    with pytest.raises(UserError, match="no ledger"):
        list(evaluated_prompts(report, folder / "none.db", ["task.yaml"]))
    with pytest.raises(UserError, match="does not hold the run"):
        list(evaluated_prompts({**report, "run": "0" * 16}, folder / "l.db", ["task.yaml"]))


def test_a_task_that_comes_with_nullgrad_is_found(folder: Path) -> None:
    model = ScriptModel(lambda request: ("good", "bad")[request.draw % 2], "script:either")
    nullgrad.optimize("support-tickets", model=model, ledger=folder / "l.db", steps=0)
    report = read_run("last", folder / "l.db")
    (one,) = evaluated_prompts(report, folder / "l.db")
    assert one.score == pytest.approx(report["test"]["seed"]["score"], abs=1e-6)


def test_the_generator_of_a_cell() -> None:
    single = {"models": {"generator": "a", "optimizer": "b"}, "cells": [{"cell": "c", "model": "m"}]}
    assert generator_of(single, "c") == "a"
    several = {
        "models": {"small generator": "a", "small optimizer": "o", "large generator": "b"},
        "cells": [{"cell": "t · small", "model": "small"}, {"cell": "t · large", "model": "large"}],
    }
    assert [generator_of(several, f"t · {name}") for name in ("small", "large")] == ["a", "b"]

"""Judgements on what was observed of an adapter's runs, the probe that observes, and the table."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nullgrad.analysis.calibration.conformance import ConformanceReport, ConformanceRow
from nullgrad.api.conformance import conformance
from nullgrad.core import conformance as judge
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Message, Request
from nullgrad.core.conformance import CHECKS, Finding, Flow, Gains, Labels, Resumed, Seen
from nullgrad.core.draws import DrawPath
from nullgrad.core.foreign import Claim, ForeignResult, Use
from nullgrad.core.foreign_job import job_rows, parse_foreign_arm
from nullgrad.edges.optimizers import KNOWN
from nullgrad.edges.probe import LABELS, ProbeModel, Watching, probe_task
from nullgrad.errors import UserError
from nullgrad.surfaces.cli import run
from nullgrad.surfaces.conformance_text import print_conformance

OWN = Labels("TRAIN", "VALID", "OTHER")
BOTH = ("feedback", "selection")


def flow(arm: str, told: str = "", targets: str = "TRAIN VALID", asked: int = 9) -> Flow:
    """What was seen in an arm."""
    labels = frozenset(told.split())
    return Flow(
        parse_foreign_arm(f"gepa/{arm}"),
        {"generator": 90, "optimizer": asked},
        {"generator": 0, "optimizer": asked if labels else 0},
        labels,
        frozenset(targets.split()),
    )


def flows(**changes: Flow) -> list[Flow]:
    """Four arms of a sound adapter, some replaced."""
    sound = {
        "correct": flow("correct/correct", "TRAIN"),
        "wrong": flow("wrong/correct", "VALID OTHER", "VALID OTHER"),
        "none": flow("none/correct"),
        "apart": flow("correct/wrong", "TRAIN", "TRAIN OTHER"),
    }
    return list((sound | changes).values())


def test_a_sound_flow_of_labels_passes_and_says_where_they_went() -> None:
    found = judge.judge_labels(BOTH, OWN, flows())
    assert found.word == "pass"
    assert found.why == (
        "requests with a label, by arm: correct 9 of 9 (optimizer), wrong 9 of 9 (optimizer), none 0 of 99, "
        "correct 9 of 9 (optimizer)"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"correct": flow("correct/correct", "TRAIN VALID")}, "requests hold labels of validation"),
        ({"correct": flow("correct/correct", "TRAIN OTHER")}, "requests hold wrong labels"),
        ({"correct": flow("correct/correct")}, "no label reached its model"),
        (
            {"wrong": flow("wrong/correct", "TRAIN OTHER", "VALID OTHER")},
            "requests hold right training labels",
        ),
        (
            {"wrong": flow("wrong/correct", "OTHER", "VALID TRAIN")},
            "training outputs were scored by right labels",
        ),
        ({"wrong": flow("wrong/correct", "", "VALID OTHER")}, "no label reached its model"),
        ({"none": flow("none/correct", "TRAIN")}, "requests hold right training labels"),
        ({"none": flow("none/correct", "OTHER")}, "requests hold wrong labels"),
        ({"apart": flow("correct/wrong", "TRAIN OTHER", "TRAIN OTHER")}, "requests hold wrong labels"),
        ({"apart": flow("correct/wrong", "TRAIN", "TRAIN VALID")}, "candidates were scored by right labels"),
        (
            {"correct": flow("correct/correct", "TRAIN", "TRAIN")},
            "no candidate was scored by the selection labels",
        ),
        ({"none": flow("none/correct", asked=0)}, "its optimizer model was asked nothing"),
    ],
)
def test_a_label_that_strays_is_a_failure(changed: dict[str, Flow], said: str) -> None:
    found = judge.judge_labels(BOTH, OWN, flows(**changed))
    assert found.word == "fail" and said in found.why


def test_an_optimizer_that_shows_no_label_must_show_none() -> None:
    silent = [replace(one, told=frozenset(), holding={}) for one in flows()]
    found = judge.judge_labels(("selection",), OWN, silent)
    assert (found.word, found.why) == ("does not apply", "it shows no label: none in 396 requests")
    assert judge.judge_labels(("selection",), OWN, flows()).word == "fail"


def test_gains_where_nothing_helps_and_where_something_does() -> None:
    phantom = Gains(3, 0, 0.12, 0.004, -0.02, 0.03)
    assert judge.judge_null(phantom) == Finding(
        "null", "pass", "claims +12.0 points, fresh data +0.4 [-2.0, +3.0] over 3 runs"
    )
    assert judge.judge_planted(phantom, "gradient").word == "fail"
    real = Gains(3, 0, 0.2, 0.1, 0.07, 0.13)
    assert judge.judge_planted(real, "gradient").word == "pass"
    assert judge.judge_null(real).word == "fail"
    assert judge.judge_null(replace(real, low=-0.1, high=-0.01)).word == "fail"
    for one in (judge.judge_null(replace(phantom, lost=1)), judge.judge_planted(replace(real, lost=1), "x")):
        assert (one.word, one.why) == ("fail", "1 of 3 runs had no result")


def result(ended: str = "returned", prompt: str | None = "Best.", **more: Any) -> ForeignResult:
    """A result with two candidates, the second of which is the better one."""
    claims = (Claim(0, Candidate.of("Seed."), 0.5), Claim(1, Candidate.of("Best."), 0.75))
    values: dict[str, Any] = {
        "arm": "gepa/correct/correct", "trial": 0, "ended": ended,
        "candidate": Candidate.of(prompt) if prompt else None, "claimed": 0.75, "candidates": claims, "version": "0.1.4",
        "use": {"generator": Use(calls=20, paid=20), "optimizer": Use(calls=3, paid=3)}, "counters": {"metric_calls": 20},
    }  # fmt: skip
    return ForeignResult(**(values | more))


def seen(one: ForeignResult | None = None, **more: Any) -> Seen:
    """A run from the models' side."""
    values: dict[str, Any] = {"served": {"generator": 20, "optimizer": 3}, "failed": 0, "tested": 0}
    return Seen(one or result(), **(values | more))


def test_test_rows_are_looked_for_in_every_run() -> None:
    assert judge.judge_test([seen(), seen()]).why == "none in 46 requests"
    found = judge.judge_test([seen(), seen(tested=2)])
    assert (found.word, found.why) == ("fail", "2 of 46 requests hold a test row")


def test_counts_must_agree_role_by_role() -> None:
    found = judge.judge_counts([seen()])
    assert found.word == "pass"
    assert found.why == "23 on either side; of one run, generator 20, optimizer 3, it says metric_calls 20"
    assert "reported no counts" in judge.judge_counts([seen(result(counters={}))]).why
    for served in ({"generator": 19, "optimizer": 3}, {"generator": 23}, {"generator": 20, "optimizer": 4}):
        assert judge.judge_counts([seen(), seen(served=served)]).word == "fail"
    failing = result(use={"generator": Use(calls=9, paid=4, failed=2, replayed=2, joined=1)})
    assert judge.judge_counts([seen(failing, served={"generator": 6})]).word == "pass"


def test_failures_must_be_seen() -> None:
    failed = seen(result("failed", None, failures=1), failed=1)
    found = judge.judge_failures(failed, None)
    assert (found.word, found.why) == (
        "pass",
        "some calls fail: the run fails; all fail: the run is suspended",
    )
    swallowed = seen(result(failures=4), failed=4)
    assert "returning, 4 failures counted, marked as swallowed" in judge.judge_failures(swallowed, failed).why
    silent = judge.judge_failures(seen(result(failures=0), failed=4), None)
    assert (silent.word, silent.why) == ("fail", "some calls fail: 4 failures were counted nowhere")
    assert judge.judge_failures(failed, seen(result(failures=0), failed=9)).word == "fail"
    assert judge.judge_failures(seen(), None).why == "some calls fail: no call was made to fail"


def test_one_seed_is_one_result_or_a_named_deviation() -> None:
    assert judge.judge_seed(result(), result(use={}), "").word == "pass"
    other = result(claimed=0.7)
    assert judge.judge_seed(result(), other, "").word == "fail"
    assert judge.judge_seed(result(), other, "Its order is random.") == Finding(
        "seed", "deviation", "Its order is random."
    )


def test_a_spent_budget_is_seen_with_the_best_so_far() -> None:
    assert judge.judge_budget(seen(result("budget")), True).word == "pass"
    assert judge.judge_budget(seen(result("budget", "Seed.")), True).word == "fail"
    assert judge.judge_budget(seen(result("returned")), True).word == "fail"
    assert judge.judge_budget(seen(result("failed", None)), True).word == "fail"
    assert judge.judge_budget(seen(result("budget", None, candidates=())), True).word == "pass"
    assert judge.judge_budget(seen(result("budget", candidates=())), True).word == "fail"
    assert judge.judge_budget(seen(result("budget", None)), False).word == "pass"
    assert judge.judge_budget(seen(result("budget")), False).word == "fail"


def test_nothing_is_paid_twice_after_a_kill() -> None:
    assert judge.judge_resume(Resumed(300, 0, 320, True), "").word == "pass"
    assert judge.judge_resume(Resumed(300, 1, 320, True), "").word == "fail"
    assert judge.judge_resume(Resumed(0, 0, 620, True), "").word == "fail"
    assert judge.judge_resume(Resumed(300, 0, 320, False), "").word == "fail"
    assert judge.judge_resume(Resumed(300, 0, 320, False), "Its order is random.").word == "deviation"
    assert judge.judge_resume(Resumed(300, 2, 320, False), "Its order is random.").word == "fail"


@pytest.mark.parametrize("arm", ["correct/correct", "wrong/correct", "none/correct", "correct/wrong"])
def test_the_probes_labels_tell_where_they_came_from(arm: str) -> None:
    """What the judgement on labels rests on, by the jobs themselves."""
    task, scorer = probe_task({"train": 30, "validation": 30, "test": 9})
    rows = job_rows(task.view, parse_foreign_arm(f"gepa/{arm}"), DrawPath(0, 0))
    feedback, selection = arm.split("/")
    shown = {row["shown"] for row in rows["train"]}
    assert (
        shown
        == {"correct": {LABELS.train}, "wrong": {LABELS.validation, LABELS.other}, "none": {None}}[feedback]
    )
    targets = {row["target"] for row in rows["validation"]}
    assert targets == {"correct": {LABELS.validation}, "wrong": {LABELS.train, LABELS.other}}[selection]
    assert scorer.score(str(scorer.read(LABELS.train.lower())), LABELS.train) == 1.0
    assert scorer.targets[-1] == LABELS.train
    texts = [task.view.seed_prompt, task.view.format, *(one.input for one in (*task.view.train, *task.test))]
    assert not any(
        label in text for text in texts for label in (LABELS.train, LABELS.validation, LABELS.other)
    )


def test_the_probe_answers_in_small_letters_and_improves_in_the_form_that_is_asked_for() -> None:
    asked = (Message("user", "Merge.\nPrompt 1: Do it.\nPrompt 2: Do that.\n\nReturn <prompt>new</prompt>"),)
    text = ProbeModel("optimizer").reply(asked, 1)
    assert text.startswith("<prompt>") and text == ProbeModel("optimizer").reply(asked, 1)
    assert text != ProbeModel("optimizer").reply(asked, 2)
    answers = {ProbeModel("generator").reply((Message("user", "Entry."),), draw) for draw in range(40)}
    assert answers == {LABELS.train.lower(), LABELS.validation.lower(), LABELS.other.lower()}
    watching = Watching(ProbeModel("generator"), "generator")
    watching.asked += [
        Request("m", (Message("user", text),)) for text in ("Entry test 003", "Entry train 003")
    ]
    assert watching.holding(["Entry test"]) == 1


def row(**more: Any) -> ConformanceRow:
    """A row in which everything passes."""
    findings = tuple(Finding(check, "pass", "so it is") for check in CHECKS)
    return replace(ConformanceRow("gepa", "gepa", "0.1.4", BOTH, findings), **more)


def test_the_report_fails_with_any_failure_and_not_with_a_missing_package() -> None:
    missing = row(version="", findings=(), problem="not installed", install="python -m pip install 'gepa'")
    deviating = row(findings=(Finding("seed", "deviation", "Its order is random."),))

    def report(*rows: ConformanceRow) -> ConformanceReport:
        return ConformanceReport(rows, tuple(CHECKS), ("sim:null",), "0")

    assert not report(row(), missing, deviating).failed
    assert report(row(findings=(Finding("test", "fail", "2 hold one"),))).failed
    assert report(row(findings=(), problem="its interface has changed")).failed
    value = report(row(), missing).to_dict()
    assert json.loads(report(row(), missing).to_json()) == value
    assert value["tables"]["conformance"][0]["labels"] == "pass"
    assert value["tables"]["conformance"][1]["version"] is None
    out = io.StringIO()
    print_conformance(report(row(), missing, deviating).to_dict(), out)
    text = out.getvalue()
    assert "gepa 0.1.4" in text and "not installed" in text and "pip install 'gepa'" in text
    assert "\ngepa\n  seed: deviation: Its order is random." in text
    assert "so it is" not in text
    full = io.StringIO()
    print_conformance(report(row()).to_dict(), full, full=True)
    assert full.getvalue().count("so it is") == len(CHECKS)


def test_a_missing_package_is_a_row_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    monkeypatch.setenv("NULLGRAD_OPTIMIZERS_PYTHON", str(python))
    assert run(["conformance", "--json", "--quiet"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [one["optimizer"] for one in value["tables"]["conformance"]] == list(KNOWN)
    assert all(
        one["install"].startswith(f"{python} -m pip install ") for one in value["tables"]["conformance"]
    )
    assert run(["conformance", "gepa", "--quiet", "--out", str(tmp_path / "out.json")]) == 0
    assert "not installed" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["checks"].keys() == CHECKS.keys()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["gepaa"], "Did you mean gepa?"), (["gepa", "--check", "speed"], "There is no check 'speed'.")],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["conformance", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err and captured.err.count("\n") == 1


def test_an_interpreter_that_cannot_be_run_is_said() -> None:
    with pytest.raises(UserError, match="cannot be run"):
        conformance(["gepa"], python="/no/such/python")

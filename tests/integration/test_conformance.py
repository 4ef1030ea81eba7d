"""`nullgrad conformance` with real processes: GEPA passes every check, and adapters that misbehave fail the right one."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from nullgrad.analysis.calibration.conformance import ConformanceRow
from nullgrad.api.conformance import conformance
from nullgrad.core.conformance import CHECKS
from nullgrad.edges.optimizers import FOLDER, KNOWN, Adapter
from tests.support.peers import python_with

CLIMBER = '''\
import os, random, sys
sys.path.insert(0, {folder!r})
from nullgrad_worker import CallRefused, main

HABIT = {habit!r}


def climb(worker):
    """Better prompts one after the other, each from the best so far; habits make it misbehave."""
    worker.emit("started", package="climber", version="1.0", python="3")
    rng = random.Random(os.urandom(8) if HABIT == "restless" else worker.seed)

    def run(row, prompt):
        try:
            return worker.run(row, prompt)
        except CallRefused as error:
            if HABIT != "swallows" or error.code == "budget_spent":
                raise
            worker.refused = None
            return "", 0.0

    def score(prompt):
        mean = sum(run(row, prompt)[1] for row in worker.validation) / len(worker.validation)
        worker.emit("candidate", prompt=prompt, score=mean, parents=[])
        return mean

    best = worker.seed_prompt
    top = score(best)
    for _ in range(8):
        shown = []
        for row in rng.sample(worker.train, 3):
            output, got = run(row, best)
            told = worker.feedback(row, got)
            if HABIT == "reveals" and row["shown"] is None:
                told = "The correct answer is: " + row["target"]
            shown.append(row["input"] + "\\n" + output + "\\n" + told)
        if HABIT == "peeks":
            shown += [row["input"] + " expected: " + row["target"] for row in worker.validation[:2]]
        text = "```\\n" + best + "\\n```\\n" + "\\n\\n".join(shown) + "\\nWrite a new instruction within ``` blocks."
        if HABIT == "idle":
            continue
        reply = worker.ask("optimizer", [{{"role": "user", "content": text}}])
        new = reply.strip("`\\n")
        if HABIT == "careless":
            best = new
            continue
        mean = score(new)
        if mean > top:
            best, top = new, mean
    return best, None if HABIT == "careless" else top, {{"rounds": 8}}


main(climb)
'''


def climber(folder: Path, monkeypatch: pytest.MonkeyPatch, habit: str = "", **more: object) -> None:
    """Make an adapter `climber` known; its package is one that every environment has."""
    path = folder / "run_climber.py"
    path.write_text(CLIMBER.format(folder=str(FOLDER), habit=habit))
    values: dict[str, object] = {
        "name": "climber", "package": "pip", "release": "", "extra": "", "file": str(path), "hook": True,
        "roles": ("generator", "optimizer"), "note": "for tests",
    }  # fmt: skip
    monkeypatch.setitem(KNOWN, "climber", Adapter(**(values | more)))  # type: ignore[arg-type]


def words(row: ConformanceRow) -> dict[str, str]:
    """Judgements by check."""
    assert not row.problem, row.problem
    return {one.check: one.word for one in row.findings}


def checked(*checks: str) -> ConformanceRow:
    """The climber's row."""
    (row,) = conformance(["climber"], python=sys.executable, checks=checks or tuple(CHECKS)).rows
    return row


def test_gepa_passes_every_check() -> None:
    report = conformance(["gepa"], python=python_with("gepa"))
    (row,) = report.rows
    assert words(row) == dict.fromkeys(CHECKS, "pass"), row.findings
    assert row.version and not report.failed


def test_the_same_table_comes_again_and_checks_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    climber(tmp_path, monkeypatch)
    first, again = (checked("counts", "labels") for _ in range(2))
    assert first == again and [one.check for one in first.findings] == ["labels", "counts"]


def test_a_sound_adapter_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    climber(tmp_path, monkeypatch)
    assert words(checked()) == dict.fromkeys(CHECKS, "pass")


@pytest.mark.parametrize(
    ("habit", "check", "said"),
    [
        ("peeks", "labels", "climber/correct/correct: requests hold labels of validation"),
        ("reveals", "labels", "climber/none/correct: requests hold right training labels"),
        ("idle", "labels", "its optimizer model was asked nothing"),
        ("idle", "planted", "fresh data +0.0"),
        ("restless", "seed", "two runs with one seed had different results"),
    ],
)
def test_a_habit_fails_the_check_that_is_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, habit: str, check: str, said: str
) -> None:
    climber(tmp_path, monkeypatch, habit)
    (found,) = checked(check).findings
    assert found.word == "fail" and said in found.why


def test_a_named_deviation_is_none_of_paying_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    climber(tmp_path, monkeypatch, "restless", deviation="It is restless.")
    row = checked("seed", "resume")
    assert words(row) == {"seed": "deviation", "resume": "deviation"}
    assert "none twice" in row.findings[1].why


def test_swallowed_failures_are_counted_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    climber(tmp_path, monkeypatch, "swallows")
    (found,) = checked("failures").findings
    assert found.word == "pass" and "marked as swallowed" in found.why


def test_labels_shown_by_an_adapter_that_says_it_shows_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    climber(tmp_path, monkeypatch, channels=("selection",))
    (found,) = checked("labels").findings
    assert found.word == "fail" and "requests hold right training labels" in found.why


def test_without_scores_of_its_own_the_claim_is_what_it_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes every proposal: a planted effect is found by right labels alone, and null claims are about nothing."""
    climber(tmp_path, monkeypatch, "careless")
    row = checked("null", "planted")
    assert words(row) == {"null": "pass", "planted": "pass"}


def test_a_package_that_is_there_and_cannot_be_run_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    climber(tmp_path, monkeypatch)
    (tmp_path / "run_climber.py").write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(FOLDER)!r})
            from nullgrad_worker import AdapterError, main

            def climb(worker):
                raise AdapterError("interface", "climb takes no rope")

            main(climb)
            """
        )
    )
    report = conformance(["climber"], python=sys.executable)
    assert "climb takes no rope" in report.rows[0].problem and report.failed

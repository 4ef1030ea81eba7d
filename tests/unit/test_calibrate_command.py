"""`nullgrad calibrate`: what is refused, what is printed, that it says that it is simulated, and its exit codes."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from nullgrad.analysis.calibration.battery import ARMS, battery
from nullgrad.analysis.calibration.rates import TrueDifference, WorldRates, world_rates
from nullgrad.analysis.calibration.result import SelfCalibration
from nullgrad.api.calibrate import calibrate_self
from nullgrad.errors import UserError
from nullgrad.surfaces.calibrate_text import print_self
from nullgrad.surfaces.cli import run
from tests.support.study_facts import a_study

SMALL = ["--validation", "20", "--rho", "0.5", "--steps", "1", "--runs", "4", "--processes", "1", "--quiet"]


def test_an_arm_is_calibrated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", "rewrite/none/best@2", *SMALL, "--size", "1 point"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Simulation: sim:null is no real model")
    assert "To keep the phantom gain under 1 point:" in text
    assert "rho 0.5:" in text


def test_json_and_tables_say_that_they_are_simulated(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    out = tmp_path / "phantom.json"
    assert run(["calibrate", "rewrite/none/best@2", *SMALL, "--json", "--out", str(out)]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value == json.loads(out.read_text("utf-8"))
    assert value["simulated"] == ["sim:null"]
    assert all(row["simulated"] == "sim:null" for rows in value["tables"].values() for row in rows)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There is nothing to calibrate."),
        (["--self", "rewrite"], "an optimizer or --self, and not both"),
        (["sorcery"], "'sorcery' is no optimizer that calibrate knows."),
        (["rewrite/none/best@2", "--studies", "5"], "--studies has no meaning without --self."),
        (["--self", "--rho", "0.5"], "--rho has no meaning with --self."),
        (["--self", "--size", "large"], "--size is 'large'."),
        (["rewrite/none/best@2", "--size", "small"], "--size is 'small'."),
        (["rewrite/none/best@2", "--validation", "20,x"], "--validation is '20,x'."),
        (["--self", "--world", "nowhere"], "there is no simulated world 'nowhere'"),
        (["--self", "--alpha", "0.7"], "--alpha is 0.7."),
        (["--self", "--studies", "1"], "--studies is 1."),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_the_instrument_tests_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Two studies in one world: every table is there, and two processes give the bytes of one."""
    options: dict[str, Any] = {"studies": 2, "worlds": ("chain",), "trials": (2, 4), "audits": 1}
    result = calibrate_self(processes=1, **options)
    value = result.to_dict()
    assert value["simulated"] == ["sim:chain"]
    assert [len(rows) for rows in value["tables"].values()] == [4 * 4, 8 * 4, 10 * 4, 7 * 4, 1]
    assert all(row["simulated"] == "sim:chain" for rows in value["tables"].values() for row in rows)
    by_trials = {row["trials"]: row["studies"] for row in value["tables"]["contrasts"]}
    assert by_trials == {2: 4, 4: 2}
    (truth,) = {
        row["true_points"] for row in value["tables"]["contrasts"] if row["contrast"] == "wrong labels"
    }
    assert truth > 3
    assert calibrate_self(processes=2, **options).to_json() == result.to_json()
    print_self(value, sys.stdout, full=True)
    text = capsys.readouterr().out
    assert text.startswith("Simulation: sim:chain: no real model was asked.")
    assert "dependence on labels" in text and "Gain decomposition" in text


def made(codes: np.ndarray, mean: float) -> SelfCalibration:
    """A result in which every study has these verdicts and every contrast this true difference."""
    study = a_study(dict.fromkeys(ARMS, 5), battery())
    truth = TrueDifference(mean, 0.0001, 0.02, (0.02, 0.02))
    rates: WorldRates = world_rates("null", study, 5, codes, {spec.name: truth for spec in battery()})
    return SelfCalibration(
        "0", "ci", (("null", "sim:null"),), 0.05, ("paired",), (5,), len(codes), 100, 5, 3, (30, 40, 100), 0.05,
        (rates,), (), 0,
    )  # fmt: skip


def test_the_exit_code_says_that_a_declared_rate_is_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = made(np.zeros((100, 10), dtype=np.int8), 0.0)
    monkeypatch.setattr("nullgrad.api.calibrate.calibrate_self", lambda *_, **__: wrong)
    assert run(["calibrate", "--self", "--quiet", "--json"]) == 1
    right = made(np.full((100, 10), 2, dtype=np.int8), 0.0)
    monkeypatch.setattr("nullgrad.api.calibrate.calibrate_self", lambda *_, **__: right)
    assert run(["calibrate", "--self", "--quiet", "--json"]) == 0
    # To keep silent is no error, but it is said.
    silent = made(np.full((100, 10), 3, dtype=np.int8), 0.2)
    assert len(silent.too_silent) == 10 and silent.too_often_wrong == ()


def test_a_study_needs_two_trials() -> None:
    with pytest.raises(UserError, match="2 trials"):
        calibrate_self(trials=(1, 5))

"""Every output of a simulated run says that it is simulated: terminal, JSON, and every table as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from nullgrad.edges.sim.prompts import read_prompt
from nullgrad.surfaces.cli import run

MODEL = "sim:gradient?rho=0.8"

STUDY = """\
name: worlds
tasks:
  - {name: small, task: sim/gradient, split: {train: 6, validation: 6, test: 10}}
arms:
  rewrite: 5
  rewrite/best@2: 5
  improve/best@2: 5
  one-step/none/best@2: 5
  one-step/shuffled/best@2: 5
  one-step/correct/best@2: 5
  gradient/critic-binary/naive: 5
steps: 2
contrasts:
  - {family: examples, better: one-step/none/best@2, than: improve/best@2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a study."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *line: str) -> str:
    """Standard output of a command that ends well."""
    code = run(list(line))
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def test_optimize_on_a_world_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("optimize", "sim/gradient", "--model", MODEL, "--arm", "gradient/correct/best@2", "--steps", "3")
    assert f"Simulation: {MODEL} is no real model." in " ".join(said(capsys, *line).split())
    found: dict[str, Any] = json.loads(said(capsys, *line, "--json"))
    assert found["simulated"] == [MODEL]
    assert found["models"]["generator"] == MODEL
    assert read_prompt(json.dumps(found)).rules


def test_every_table_of_a_study_on_a_world_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "run", "study.yaml", "--model", MODEL)
    assert f"Simulation: {MODEL} is no real model." in " ".join(text.split())
    assert json.loads(said(capsys, "plan", "study.yaml", "--model", MODEL, "--json"))["simulated"] == [MODEL]
    report = json.loads(said(capsys, "report", "last", "--json"))
    assert report["simulated"] == [MODEL]
    filled = 0
    for name, rows in report["tables"].items():
        assert all(row["simulated"] is True for row in rows), name
        if not rows:
            continue
        filled += 1
        lines = list(csv.DictReader(io.StringIO(said(capsys, "report", "--format", "csv", "--table", name))))
        assert {line["simulated"].lower() for line in lines} == {"true"}, name
    assert filled >= 7
    pyarrow = pytest.importorskip("pyarrow.parquet")
    said(capsys, "report", "--format", "parquet", "--table", "arms", "--out", "arms.parquet")
    assert set(pyarrow.read_table("arms.parquet").column("simulated").to_pylist()) == {True}


def test_a_text_that_no_world_can_read_ends_the_run_with_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["optimize", "support-tickets", "--model", "sim:null", "--steps", "1"]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "cannot read what it is asked about" in message and "sim/null" in message


def test_failures_of_a_world_are_missing_and_not_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nullgrad.run.retry.RetryPolicy.delay", lambda *_, **__: 0.0, raising=False)
    line = (
        "optimize",
        "sim/null",
        "--model",
        "sim:null?fail_for_good=0.1",
        "--arm",
        "rewrite",
        "--steps",
        "1",
        "--json",
    )
    found = json.loads(said(capsys, *line))
    text = json.dumps(found)
    assert found["simulated"] == ["sim:null?fail_for_good=0.1"] and '"failed"' in text
    assert json.loads(said(capsys, *line))["seed_prompt"] == found["seed_prompt"]

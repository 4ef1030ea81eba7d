"""What is told while a study runs, and tables in the forms that other tools read."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from nullgrad.surfaces.study_progress import (
    LiveStudyProgress,
    PlainStudyProgress,
    StudyProgress,
    make_study_progress,
)
from nullgrad.surfaces.study_text import print_report
from nullgrad.surfaces.tables import to_csv, to_parquet
from tests.support.studies import carry_out, scripted, study_over

ARMS = {"gradient/correct/naive": 3, "improve": 2}


def cent(about: Any, usage: Any) -> Decimal:
    assert about.cell
    assert usage.prompt
    return Decimal("0.01")


@pytest.mark.parametrize("kind", [StudyProgress, PlainStudyProgress, LiveStudyProgress])
def test_blocks_and_trials_are_counted(
    kind: type[StudyProgress], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = scripted()
    study = study_over(model, ARMS, cells=2, curve=(1, 3))
    progress = kind(study, cent)
    with progress:
        done = carry_out(study, model, tmp_path / "l.db", observer=progress)
    assert progress.blocks == {"small0": 3, "small1": 3}
    assert progress.trials == {"gradient/correct/naive": 6, "improve/none/naive": 4}
    assert progress.asked == progress.expected
    assert progress.usd == Decimal("0.01") * done.spend.paid
    summary = progress.summary()
    assert f"{done.spend.paid:,} paid" in summary
    assert "blocks small0 3/3, small1 3/3" in summary
    assert " left" not in summary
    told = capsys.readouterr().err
    if kind is PlainStudyProgress:
        assert told.count("is complete") == 6
        assert "trials: gradient/correct/naive 6/6, improve/none/naive 4/4" in told
    replayed = StudyProgress(study, cent)
    carry_out(study, model, tmp_path / "l.db", observer=replayed)
    assert (replayed.paid, replayed.usd, replayed.blocks) == (0, 0, progress.blocks)


def test_an_unknown_price_is_not_nothing(tmp_path: Path) -> None:
    model = scripted()
    study = study_over(model, {"improve": 2})
    progress = StudyProgress(study, lambda about, usage: None)
    carry_out(study, model, tmp_path / "l.db", observer=progress)
    assert "price unknown" in progress.summary()
    assert "blocks 2/2" in progress.summary()


def test_quiet_says_nothing_and_pipes_get_lines() -> None:
    study = study_over(scripted(), ARMS)
    assert type(make_study_progress(study, cent, quiet=True)) is StudyProgress
    assert type(make_study_progress(study, cent, quiet=False)) is PlainStudyProgress


ROWS: list[dict[str, Any]] = [
    {"arm": "a,b", "score": 1, "p": None, "ok": True, "row": [1, None]},
    {"arm": 'say "x"', "score": 0.25, "p": "not estimable", "ok": None, "more": 3},
]


def test_csv_has_every_column_and_leaves_the_unknown_empty() -> None:
    read = list(csv.DictReader(io.StringIO(to_csv(ROWS))))
    assert list(read[0]) == ["arm", "score", "p", "ok", "row", "more"]
    assert read[0] == {"arm": "a,b", "score": "1", "p": "", "ok": "true", "row": "[1, null]", "more": ""}
    assert read[1]["arm"] == 'say "x"'
    assert to_csv([]) == "\n"


def test_parquet_keeps_numbers_and_nulls(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "t.parquet").write_bytes(to_parquet(ROWS))
    read = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [row["score"] for row in read] == [1.0, 0.25]
    assert [row["more"] for row in read] == [None, 3]
    assert json.loads(read[0]["row"]) == [1, None]
    assert [row["ok"] for row in read] == [True, None]


def test_a_narrow_terminal_cuts_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    contrast = {
        "cell": "c", "name": "labels: " + "gradient/correct/naive > gradient/wrong/naive", "role": "declared",
        "first": "a", "second": "b", "on": "test", "labels": "", "n_first": 30, "n_second": 5, "tau": None,
        "difference_points": 12.345, "low_points": -3.21, "high_points": 27.9, "p": 0.0123, "alpha": 0.0125,
        "attainable_p": 0.000031, "power_at_margin": 0.17, "detectable_points": 18.52, "verdict": "cannot tell",
        "within_margin": False, "look": 0, "biased": False, "published": "p = 0.0037",
    }  # fmt: skip
    arm = {
        "cell": "c", "arm": "gradient/critic-smooth-shuffled/validated@10+wrong", "declared": 30, "n": 29, "mean": 0.5123,
        "sd": 0.0612, "low": 0.4811, "high": 0.5432, "incomplete": 1, "unparsed": 12, "failed": 34,
        "unparsed_proposals": 5, "proposals": 870,
    }  # fmt: skip
    report = {
        "run": "0123456789abcdef", "study": "s", "preset": "", "design": "paired", "alpha": 0.05, "steps": 1,
        "batch_size": 3, "blocks": 30, "models": {"generator": "m"}, "simulated": [], "stopped": "", "undeclared": [],
        "signatures": [], "attribution": [], "notes": [], "test_readings": 1,
        "cells": [{"cell": "c", "test_examples": 120, "complete_blocks": 29}],
        "tables": {"verdicts": [], "contrasts": [contrast], "arms": [arm], "selection": []},
    }  # fmt: skip
    for width in (80, 100, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        out = Terminal()
        print_report(report, out)
        text = out.getvalue()
        for number in (
            "+12.3",
            "0.012",
            "3.1e-05",
            "17 %",
            "18.5",
            "cannot tell",
            "51.2 %",
            "5 of 870",
            "29 of 30",
        ):
            assert number in " ".join(text.split()), (width, number)
        assert "…" not in text

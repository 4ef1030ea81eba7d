"""A comparison as charts and as a page: the rows are the result's numbers, and what models wrote is text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nullgrad.core.candidate import Candidate
from nullgrad.core.compare import Entry
from nullgrad.surfaces.charts import comparison_charts
from nullgrad.surfaces.charts.comparison import CONTROL
from tests.support.comparisons import counted, foreign, row
from tests.support.reports import BREAKOUT, SCRIPT_TAG
from tests.unit.test_charts import check

GEPA, WRONG, CAPO = foreign("gepa"), foreign("gepa", "wrong"), foreign("promptolution-capo")
OWN = Entry("gradient/correct/validated@3", "gradient/correct/validated@3", own=True)
SIZE = 200


@pytest.fixture(scope="module")
def report() -> Mapping[str, Any]:
    right: dict[str, list[int | None]] = {
        GEPA.name: [130, 128, 125],
        WRONG.name: [120, 128, 110],
        CAPO.name: [101, None, 99],
    }
    made = counted([GEPA, WRONG, CAPO], [100, 104, 98], right, SIZE)
    made.entries = [*made.entries, OWN]
    for number in range(3):
        made.trial(
            OWN, number, row(115 + number, SIZE), claimed=0.7, claimed_seed=0.5,
            candidate=Candidate.of(f"{SCRIPT_TAG} {BREAKOUT}"),
        )  # fmt: skip
    return made.result(simulated=("sim:gradient",)).to_dict()


def test_every_chart_can_be_drawn(report: Mapping[str, Any]) -> None:
    groups = comparison_charts(report)
    assert {group.about for group in groups} == {"gains", "contrasts", "classes"}
    for group in groups:
        for chart in group.charts:
            check(chart)


def test_gains_are_the_rows_of_the_table(report: Mapping[str, Any]) -> None:
    (chart,) = next(group.charts for group in comparison_charts(report) if group.about == "gains")
    entries = report["tables"]["entries"]
    for shown, one in zip(chart.table.rows, entries, strict=True):
        assert shown["sealed"] == one["sealed_points"]
        assert (shown["low"], shown["high"]) == (one["sealed_low_points"], one["sealed_high_points"])
        assert shown["claimed"] == one["claimed_points"]
        assert shown["verdict"] == (one["verdict"] if one["competes"] else CONTROL)
    assert [shown["label"] for shown in chart.table.rows][:2] == ["gepa", "gepa, feedback wrong"]
    assert "of the 1 of 4 entries" in chart.summary


def test_the_forest_has_every_contrast(report: Mapping[str, Any]) -> None:
    (chart,) = next(group.charts for group in comparison_charts(report) if group.about == "contrasts")
    assert len(chart.table.rows) == len(report["tables"]["contrasts"]) == 3 + 1 + 3
    assert chart.table.rows[3]["contrast"] == "gepa > gepa, feedback wrong"
    assert {row["family"] for row in chart.table.rows} == {
        "against the seed prompt", "correct labels against others", "each against each (two-sided)",
    }  # fmt: skip


def test_the_page_begins_with_what_may_be_said(report: Mapping[str, Any]) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("vl_convert")
    from nullgrad.surfaces.html import build_page

    page = build_page(report)
    assert report["crown"]["text"] in page
    assert "Simulated: sim:gradient is no real model" in page
    assert "+13.5 points" in page.split('class="value"')[1][:80]
    assert SCRIPT_TAG not in page
    assert "<!-- {{ 7 * 7 }}" not in page
    assert "Optimizers on small: comparison report" in page
    for section in (
        "gain",
        "labels",
        "leads",
        "classes",
        "contrasts",
        "prompts",
        "cost",
        "failures",
        "repeat",
    ):
        assert f'<section id="{section}"' in page


def test_a_result_file_becomes_a_page_and_pictures(report: Mapping[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("vl_convert")
    from nullgrad.surfaces.html.write import write_pictures

    path = tmp_path / "found.json"
    path.write_text(json.dumps(report), "utf-8")
    write_pictures(
        str(path),
        tmp_path / "none.db",
        page=True,
        html=tmp_path / "page.html",
        png=None,
        svg=tmp_path / "svg",
    )
    assert (tmp_path / "page.html").stat().st_size > 100_000
    assert len(list((tmp_path / "svg").glob("*.svg"))) == 3


def test_nothing_complete_is_a_page_too() -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("vl_convert")
    from nullgrad.surfaces.html import build_page

    made = counted([GEPA, CAPO], [], {GEPA.name: [], CAPO.name: []}, SIZE)
    made.trials = 2
    made.seed(0, row(100, SIZE))
    made.trial(GEPA, 0, row(120, SIZE))
    page = build_page(made.result(stopped="The budget is reached.").to_dict())
    assert "Nothing can be ranked" in page
    assert "Stopped early: The budget is reached." in page

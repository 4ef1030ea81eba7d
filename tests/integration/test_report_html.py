"""`nullgrad report` as pages and pictures, and the pages in a real browser: from disk, without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")

from nullgrad.surfaces.charts.themes import THEMES
from nullgrad.surfaces.cli import run
from tests.support import reports
from tests.support.browser import browser, opened
from tests.support.reports import BREAKOUT, IMAGE, LINK, MEGABYTE, SCRIPT_TAG, Found

MOST = 3_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def study(folder: Path) -> Found:
    return reports.study_run(folder)


@pytest.fixture(scope="module")
def optimized(folder: Path) -> Found:
    """An optimization with its ladder."""
    return reports.optimize_run(folder, trials=3, controls="full")


@pytest.fixture(scope="module")
def study_page(study: Found, folder: Path) -> Path:
    path = folder / "study.html"
    assert run(["report", study.report["run"], "--ledger", str(study.ledger), "--html", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def optimize_page(optimized: Found, folder: Path) -> Path:
    path = folder / "optimize.html"
    assert run(["report", "--ledger", str(optimized.ledger), "--format", "html", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def chromium(study_page: Path, optimize_page: Path) -> Iterator[Any]:
    """The browser; runs are made before it, for its driver occupies the thread's event loop."""
    with browser() as started:
        yield started


def refused(capsys: pytest.CaptureFixture[str], line: list[str]) -> str:
    code = run(line)
    captured = capsys.readouterr()
    assert code == 2, captured.out
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_a_page_of_either_kind_of_run(study_page: Path, optimize_page: Path) -> None:
    for path in (study_page, optimize_page):
        assert path.stat().st_size < MOST


def test_the_page_has_a_name_and_the_charts_are_files(
    study: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    number = study.report["run"]
    assert run(["report", number[:8], "--ledger", str(study.ledger), "--format", "html"]) == 0
    assert f"report-{number}.html" in capsys.readouterr().out
    assert (tmp_path / f"report-{number}.html").stat().st_size > 500_000
    (tmp_path / "result.json").write_text(json.dumps(study.report))
    assert run(["report", "result.json", "--png", "png/of", "--svg", "svg"]) == 0
    (tmp_path / "up.json").write_text(json.dumps({**study.report, "run": "../../up", "study": "half \ud83d"}))
    assert run(["report", "up.json", "--format", "html"]) == 0
    assert (tmp_path / "report-up.html").exists(), "a file's name of its run is no path"
    drawn = {path.stem for path in (tmp_path / "png" / "of").glob("*.png")}
    assert drawn == {path.stem for path in (tmp_path / "svg").glob("*.svg")}
    assert f"{number}-forest-0" in drawn
    assert len(list(tmp_path.glob("report-*"))) == 2, "pictures alone write no page"


def test_mistakes(study: Found, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["report", "--ledger", str(study.ledger)]
    task = tmp_path / "task.yaml"
    task.write_text("name: mine\n")
    assert "is no report of nullgrad" in refused(capsys, [*line, "--html", str(task)])
    assert task.read_text() == "name: mine\n"
    assert "is a directory" in refused(capsys, [*line, "--html", str(tmp_path)])
    assert "no directory" in refused(capsys, [*line, "--html", str(tmp_path / "none" / "a.html")])
    assert "is a file" in refused(capsys, [*line, "--png", str(task)])
    assert "--format csv" in refused(capsys, [*line, "--format", "csv", "--html", str(tmp_path / "a.html")])
    assert "--table" in refused(capsys, [*line, "--format", "html", "--table", "arms"])
    assert "no run 'ffff'" in refused(
        capsys, ["report", "ffff", *line[1:], "--html", str(tmp_path / "a.html")]
    )
    assert "no ledger" in refused(capsys, ["report", "--ledger", str(tmp_path / "no.db"), "--format", "html"])
    half = tmp_path / "half.json"
    half.write_text(json.dumps({**study.report, "run": "../../up", "cells": [{}]}))
    assert "no whole result" in refused(capsys, ["report", str(half), "--html", str(tmp_path / "a.html")])
    (tmp_path / "other.json").write_text("{}")
    assert "no result" in refused(capsys, ["report", str(tmp_path / "other.json"), "--format", "html"])


@pytest.mark.parametrize("which", ["study", "optimize"])
def test_every_chart_is_drawn_offline_without_a_complaint(
    chromium: Any, study_page: Path, optimize_page: Path, which: str
) -> None:
    path = study_page if which == "study" else optimize_page
    with opened(chromium, path, viewport={"width": 1100, "height": 800}) as found:
        found.drawn()
        assert found.page.get_attribute("html", "data-drawn") == "yes"
        charts = found.page.locator("[data-chart]").count()
        assert charts >= (10 if which == "study" else 5)
        assert found.page.locator("[data-chart] svg").count() == charts
        marks = found.page.eval_on_selector_all(
            "[data-chart] svg",
            "all => all.map(one => one.querySelectorAll('.mark-symbol path, .mark-rect path, .mark-line path').length)",
        )
        assert all(count > 0 for count in marks), marks
        assert found.errors == []
        assert found.requests == [], "nothing is loaded"
        assert found.page.title().endswith("report, nullgrad"), "no script of a model ran"
        found.page.emulate_media(color_scheme="dark")
        ink = THEMES["dark"]["ink"]
        found.page.wait_for_selector(f'[data-chart] .role-axis-label text[fill="{ink}"]', state="attached")
        found.drawn()
        found.page.emulate_media(media="print")
        paper = THEMES["light"]["ink"]
        found.page.wait_for_selector(f'[data-chart] .role-axis-label text[fill="{paper}"]', state="attached")
        for what in ("document.body", "document.querySelector('[data-chart] svg')"):
            assert found.page.evaluate(f"getComputedStyle({what}).backgroundColor") == "rgb(255, 255, 255)"
        found.page.emulate_media(media="screen")
        found.page.wait_for_selector(f'[data-chart] .role-axis-label text[fill="{ink}"]', state="attached")
        assert found.errors == []


def test_the_waterfall_shows_the_results_numbers(
    chromium: Any, optimized: Found, optimize_page: Path
) -> None:
    steps = optimized.report["attribution"]["ladder"]["steps"]
    with opened(chromium, optimize_page) as found:
        found.drawn()
        rows = found.page.evaluate(
            "nullgradReport.view('waterfall').data('rows').filter(row => row.kind === 'step')"
            ".map(row => [row.label, row.points, row.low, row.high])"
        )
        assert rows == [
            [step["ingredient"], step["points"], *(step["ci95_simultaneous"] or [None, None])]
            for step in steps[1:]
        ]
        told = found.page.locator("[data-chart=waterfall] .mark-text text").all_text_contents()
        for step in steps[1:]:
            points = f"{step['points']:+.1f}".replace("-", "−") if round(step["points"], 1) else "0.0"
            assert any(text.startswith(points) for text in told), (points, told)
        table = found.page.locator("#chart-waterfall details")
        table.locator("summary").click()
        cells = table.locator("tbody tr").nth(1).locator("td, th").all_text_contents()
        assert cells[0] == steps[1]["ingredient"]
        saved = found.page.evaluate("nullgradReport.csv(nullgradReport.page.tables.waterfall)").splitlines()
        assert saved[0].split(",")[:4] == ["label", "arm", "score", "points"]
        assert [line.split(",")[3] for line in saved[2:-1]] == [
            f"{step['points']:g}" if float(step["points"]).is_integer() else str(step["points"])
            for step in steps[1:]
        ]
        with found.page.expect_download() as download:
            found.page.locator("button[data-csv=waterfall]").click()
        assert Path(download.value.path()).read_text().splitlines() == saved
        assert found.errors == []


def test_what_models_wrote_is_seen_as_text(chromium: Any, optimized: Found, folder: Path) -> None:
    from nullgrad.surfaces.html import build_page

    report = {
        **optimized.report,
        "unparsed_replies": [SCRIPT_TAG + IMAGE + MEGABYTE],
        "task": f"{IMAGE}{LINK}",
    }
    path = folder / "hostile.html"
    path.write_text(build_page(report, optimized.history), "utf-8")
    with opened(chromium, path) as found:
        found.drawn()
        text = found.page.evaluate("document.body.textContent")
        for hostile in (SCRIPT_TAG, IMAGE, LINK, BREAKOUT.split(" {{")[0]):
            assert hostile in text
        assert "y" * 3_000 in text
        assert found.page.locator("main img, main a[href^='javascript:'], main script").count() == 0
        assert found.page.evaluate("document.title") != "owned"
        # The page is not made wider by a line without a space.
        assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert found.errors == []
        assert found.requests == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(
    chromium: Any, study_page: Path, optimize_page: Path, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    script = Path(axe.__file__).with_name("axe.min.js").read_text()
    # What dark colours can break is contrast; every other rule has been tried in light.
    rules = "{}" if scheme == "light" else "{runOnly: ['color-contrast']}"
    for path in (study_page, optimize_page):
        # The tester's own script is no part of the page, so that the page's policy is set aside for it.
        with opened(chromium, path, color_scheme=scheme, bypass_csp=True) as found:
            found.drawn()
            found.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
            found.page.wait_for_timeout(100)
            found.page.evaluate(script)
            violations = found.page.evaluate(
                f"axe.run(document, {rules}).then(found => found.violations.map(one => [one.id, one.impact, one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))]))"
            )
            assert [one for one in violations if one[1] in ("serious", "critical")] == []


def test_a_keyboard_is_enough(chromium: Any, optimize_page: Path) -> None:
    with opened(chromium, optimize_page) as found:
        found.drawn()
        page = found.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "theme"
        page.keyboard.press("Enter")
        found.drawn()
        assert page.get_attribute("html", "data-theme") == "dark"
        summary = page.locator("#chart-waterfall details > summary")
        summary.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#chart-waterfall details table")
        assert page.evaluate("document.documentElement.lang") == "en"
        names = page.eval_on_selector_all(
            ".plot[role=img]", "all => all.map(one => one.getAttribute('aria-label').length)"
        )
        assert min(names) > 40, "every chart says what it shows"


def test_a_narrow_window_scrolls_charts_and_not_the_page(chromium: Any, study_page: Path) -> None:
    with opened(chromium, study_page, viewport={"width": 360, "height": 640}) as found:
        found.drawn()
        assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

"""A rating session in a real browser, by keyboard alone, by two raters, and what the command says of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nullgrad.analysis.stats.agreement import agreement
from nullgrad.surfaces.cli import run as run_command
from tests.support.browser import browser
from tests.support.pages import Visitor, served, visiting
from tests.support.studies import carry_out, scripted, study_over


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study over a scripted model, as it is recorded."""
    found = tmp_path_factory.mktemp("rate")
    model = scripted()
    arms = {"gradient/correct/naive": 3, "one-step/correct/validated@2": 3, "improve": 3}
    carry_out(study_over(model, arms), model, found / "l.db")
    return found


@pytest.fixture(scope="module")
def started(folder: Path) -> Iterator[Any]:
    """The browser; after the study, for both want an event loop."""
    with browser() as found:
        yield found


def score(text: str, shift: int) -> int:
    """What a rater thinks of a prompt: raters agree but for a few."""
    value = sum(map(ord, text)) % 5 + 1
    return value if sum(map(ord, text)) % 3 else max(1, min(5, value + shift))


def begin(seen: Visitor, name: str) -> None:
    # The page focuses its field a moment after it is there, and what is typed before goes nowhere.
    seen.page.focus("[name=rater]")
    seen.page.keyboard.type(name)
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_selector("#rate, #done")


def test_two_raters_by_keyboard_and_their_alpha(
    started: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, dict[str, int]] = {"anna": {}, "ben": {}}
    options = ["--ledger", "l.db", "--per-arm", "3"]
    with served(folder, "rate", *options) as address:
        for name, shift in (("anna", 0), ("ben", 1)):
            with visiting(started, address) as seen:
                page = seen.page
                assert seen.serious() == []
                begin(seen, name)
                if name == "anna":
                    assert seen.serious() == []
                while page.locator("#rate").count():
                    text = page.locator("pre").first.inner_text()
                    assert text not in given[name], "no prompt comes twice"
                    value = given[name][text] = score(text, shift)
                    for _ in range(3):
                        page.keyboard.press(str(value))
                    if not given[name].keys() - {text}:
                        page.keyboard.press("c")
                        page.keyboard.type("is it <b>this</b>? 1 2 3")
                        page.keyboard.press("Escape")
                    with page.expect_navigation():
                        page.keyboard.press("Enter")
                    if name == "anna" and len(given[name]) == 3:
                        # Closed and opened again: nothing is lost.
                        page.goto(seen.base)
                        page.wait_for_selector("input[name=rater]")
                        begin(seen, name)
                assert f"all {len(given[name])}" in page.inner_text("#done")
                assert seen.serious() == []
                assert seen.errors == []
                assert seen.elsewhere == []
    assert given["anna"].keys() == given["ben"].keys()
    count = len(given["anna"])
    assert count >= 6
    out = tmp_path / "ratings.csv"
    assert run_command(["rate", "--ledger", str(folder / "l.db"), "--export", str(out), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    texts = sorted(given["anna"])
    wanted = agreement([[given[name][text] for text in texts] for name in ("anna", "ben")], "ordinal").alpha
    found = value["questions"][0]["agreement"]
    assert 0 < found["alpha"] < 1
    assert found["alpha"] == pytest.approx(wanted, abs=1e-6)
    rows = list(csv.DictReader(out.open(encoding="utf-8", newline="")))
    assert len(rows) == 2 * count * 3
    assert {row["comment"] for row in rows if row["comment"]} == {"is it <b>this</b>? 1 2 3"}
    by_key = {item["key"]: item["text"] for item in value["items"]}
    for row in rows:
        assert int(row["answer"]) == given[row["rater"]][by_key[row["first_prompt"]]]
    assert run_command(["rate", "--ledger", str(folder / "l.db"), "--results"]) == 0
    said = capsys.readouterr().out
    assert "Krippendorff" in said
    assert f"anna {count} of {count}" in said


def test_pairs_by_keyboard(
    started: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ratings = str(tmp_path / "pairs.db")
    options = ["--pairwise", "--ledger", "l.db", "--pairs", "4", "--raters", "anna,ben", "--ratings", ratings]
    with served(folder, "rate", *options) as address, visiting(started, address) as seen:
        page = seen.page
        page.focus("[name=rater]")
        page.keyboard.press("Tab")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        while page.locator("#rate").count():
            left, right = (page.locator("pre").nth(place).inner_text() for place in (0, 1))
            assert left != right
            for _ in range(3):
                page.keyboard.press("1" if left > right else "2")
            with page.expect_navigation():
                page.keyboard.press("Enter")
        assert "all 4" in page.inner_text("#done")
        page.click("text=Change the last one")
        page.wait_for_selector("text=You have rated this one")
        assert page.locator("input:checked").count() == 3
        assert page.evaluate("document.getElementById('rate').action").startswith(seen.base)
        assert seen.errors == []
    line = ["rate", "--ledger", str(folder / "l.db"), "--ratings", ratings, "--json"]
    assert run_command(line) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["mode"] == "pairwise"
    question = value["questions"][0]
    told = [
        (row["strength"], item["text"]) for row, item in zip(question["prompts"], value["items"], strict=True)
    ]
    strongest = max((one for one in told if not isinstance(one[0], dict)), key=lambda one: one[0])
    assert strongest[1] == max(item["text"] for item in value["items"])


def test_a_rating_from_elsewhere_is_refused(started: Any, folder: Path, tmp_path: Path) -> None:
    ratings = tmp_path / "r.db"
    with (
        served(folder, "rate", "--ledger", "l.db", "--ratings", str(ratings)) as address,
        visiting(started, address) as seen,
    ):
        begin(seen, "anna")
        cookies = seen.page.context.cookies()
        assert all(one["httpOnly"] and one["sameSite"] == "Strict" for one in cookies)
        assert seen.page.evaluate("document.cookie") == ""
        form = {"task": "0", "soundness": "1", "relevance": "1", "misleading": "1"}
        request = seen.page.context.request
        assert (
            request.post(
                f"{seen.base}/rater/anna", form=form, headers={"Origin": "https://evil.example"}
            ).status
            == 403
        )
        assert request.post(f"{seen.base}/rater/anna", form=form).status == 403, "without an Origin"
        own = {"Origin": seen.base}
        wrong = request.post(f"{seen.base}/rater/anna", form={**form, "soundness": "9"}, headers=own)
        assert wrong.status == 400
        assert "has no answer" in wrong.text()
        assert request.post(f"{seen.base}/rater/%3Cscript%3E", form=form, headers=own).status == 400
        assert request.post(f"{seen.base}/rater/anna", form={**form, "task": "-1"}, headers=own).status == 400
        assert (
            request.post(
                f"{seen.base}/rater/anna",
                data=json.dumps(form),
                headers={**own, "Content-Type": "application/json"},
            ).status
            == 400
        )
        import sqlite3

        assert sqlite3.connect(ratings).execute("SELECT count(*) FROM ratings").fetchone() == (0,)
        assert request.post(f"{seen.base}/rater/anna", form=form, headers=own).status == 200
        assert sqlite3.connect(ratings).execute("SELECT count(*) FROM ratings").fetchone() == (1,)


def test_nothing_to_show_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = str(tmp_path / "none.db")
    assert run_command(["rate", "--ledger", str(folder / "l.db"), "--ratings", none, "--results"]) == 2
    assert "Nobody has rated" in capsys.readouterr().err
    assert run_command(["rate", "zzz", "--ledger", str(folder / "l.db"), "--no-browser"]) == 2
    assert "no run 'zzz'" in capsys.readouterr().err
    assert run_command(["rate", "--ledger", str(folder / "l.db"), "--raters", "a/b", "--no-browser"]) == 2
    assert "no name" in capsys.readouterr().err

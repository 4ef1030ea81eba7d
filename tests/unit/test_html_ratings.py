"""Ratings in the report: what people said stands on the page, as text, and only where somebody rated."""

from __future__ import annotations

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")

from nullgrad.api.rate_session import Item, Session
from nullgrad.api.rate_summary import summarize
from nullgrad.edges.ratings import RatingRow
from nullgrad.surfaces.html import build_page
from tests.support.study_facts import a_contrast, a_study, analysed, of_scores

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def report() -> dict:
    arms = {"gradient/correct/naive": [0.5, 0.6, 0.7], "gradient/wrong/naive": [0.5, 0.5, 0.6]}
    study = a_study(
        dict.fromkeys(arms, 3), contrasts=(a_contrast("gradient/correct/naive", "gradient/wrong/naive"),)
    )
    return analysed(study, of_scores(arms)).to_dict()


def ratings() -> dict:
    kinds = ["prevalence", "threshold", "genuine", "genuine"]
    items = tuple(Item(f"k{n}", f"{HOSTILE} {n}", "", (("improve/none/naive", n),)) for n in range(4))
    session = Session("run", "absolute", 0, items, tuple((n,) for n in range(4)), {})
    rows = [
        RatingRow(rater, n, {"soundness": 1 + n + shift, "relevance": 3, "misleading": 2}, "", 1.0, "")
        for n in range(4)
        for rater, shift in (("anna", 0), ("ben", 1))
    ]
    return summarize(
        session, rows, {("", "improve/none/naive", n): kind for n, kind in enumerate(kinds)}
    ).to_dict()


def test_what_raters_said_stands_on_the_page(report: dict) -> None:
    page = build_page(report, None, ratings())
    assert "Ratings by people" in page and "anna (4 of 4), ben (4 of 4)" in page
    assert page.count("Krippendorff") >= 3, "agreement on each of three questions"
    assert "2 prompts that win by prevalence against 2 that win by discrimination" in page
    assert HOSTILE not in page
    assert page.index("Prompt lineage") < page.index("Ratings by people") < page.index('id="cost"')


def test_without_ratings_there_is_no_section(report: dict) -> None:
    assert "Ratings by people" not in build_page(report)

"""A comparison in a terminal and as Markdown: every number comes from the JSON values, nothing is cut at 120 columns."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import pytest

from nullgrad.core.compare import Entry
from nullgrad.core.foreign import Use
from nullgrad.surfaces.compare_markdown import comparison_markdown
from nullgrad.surfaces.compare_text import print_comparison
from tests.support.comparisons import Made, counted, foreign, row

GEPA, WRONG, SELECTED = foreign("gepa"), foreign("gepa", "wrong"), foreign("gepa", "correct", "wrong")
CAPO = foreign("promptolution-capo")
OWN = Entry("gradient/correct/validated@3", "gradient/correct/validated@3", own=True)
SIZE = 200
RIGHT: dict[str, list[int | None]] = {
    GEPA.name: [130, 128, 125],
    WRONG.name: [120, 128, 110],
    SELECTED.name: [100, 90, 110],
    CAPO.name: [101, None, 99],
    OWN.name: [115, 120, 118],
}


def made(**options: Any) -> Made:
    return counted([GEPA, WRONG, SELECTED, CAPO, OWN], [100, 104, 98], RIGHT, SIZE, **options)


def shown(report: Any, only: str | None = None) -> str:
    stream = io.StringIO()
    print_comparison(report, stream, only)
    return stream.getvalue()


def line_of(text: str, beginning: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(beginning))


def test_nothing_is_wider_than_a_pipe() -> None:
    text = shown(made().result().to_dict())
    assert max(map(len, text.splitlines())) <= 120
    assert "…" not in text


def test_the_verdict_stands_before_the_tables() -> None:
    report = made().result().to_dict()
    text = shown(report)
    assert " ".join(report["crown"]["text"].split()) in " ".join(text.split())
    assert text.index("No winner: gepa") < text.index("Gains in points")


def test_results_hold_gain_interval_and_verdict() -> None:
    report = made().result().to_dict()
    rows = {one["entry"]: one for one in report["tables"]["entries"]}
    own = rows[GEPA.name]
    first = line_of(shown(report), "gepa  ")
    assert (
        f"{own['sealed_points']:+.1f} ({own['sealed_low_points']:.1f} to {own['sealed_high_points']:.1f})"
        in first
    )
    assert first.split()[-3] == "–"
    assert own["verdict"] in first
    assert "2 of 3" in line_of(shown(report), "promptolution-capo")


def test_controls_stand_below_their_optimizer_without_a_verdict() -> None:
    lines = shown(made().result().to_dict()).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("gepa  "))
    assert lines[place + 1].startswith("  feedback wrong")
    assert lines[place + 2].startswith("  selection wrong")
    assert "supported" not in lines[place + 1]
    assert "cannot tell" not in lines[place + 1]


def test_leads_of_the_highest_have_its_sign() -> None:
    """The highest over all blocks can be behind in a pair where blocks are left out: its lead is then negative."""
    report = made().result().to_dict()
    pair = next(
        one
        for one in report["tables"]["contrasts"]
        if one["family"] == "best" and {one["first"], one["second"]} == {GEPA.name, OWN.name}
    )
    want = f"{pair['difference_points']:+.1f} ({pair['low_points']:.1f} to {pair['high_points']:.1f})"
    lines = shown(report).split("against each other")[1]
    assert want in line_of(lines, "gradient/correct/validated@3")
    swapped = dict(pair)
    swapped["first"], swapped["second"] = pair["second"], pair["first"]
    tables = {**report["tables"], "contrasts": [swapped]}
    lines = shown({**report, "tables": tables}).split("against each other")[1]
    want = f"{-pair['difference_points']:+.1f} ({-pair['high_points']:.1f} to {-pair['low_points']:.1f})"
    assert want in line_of(lines, "gradient/correct/validated@3")


def test_a_simulation_is_named_first_and_in_every_form() -> None:
    report = made().result(simulated=("sim:gradient",)).to_dict()
    assert shown(report).startswith("Simulation: sim:gradient")
    assert shown(report, only="trials").startswith("Simulation: sim:gradient")
    assert comparison_markdown(report).startswith("Simulation: sim:gradient")
    assert "Simulation" not in shown(made().result().to_dict())


def test_one_table_alone_has_every_number() -> None:
    report = made().result().to_dict()
    text = shown(report, only="entries")
    own = report["tables"]["entries"][0]
    for name, value in own.items():
        if value not in (None, "") and name != "entry":
            assert f"{name} {value}" in " ".join(text.split())


@pytest.mark.parametrize("name", ["ladder", "counters"])
def test_an_empty_table_is_no_error(name: str) -> None:
    assert shown(made().result().to_dict(), only=name) == f"The table {name} is empty.\n"


def test_what_the_ledger_keeps_is_enough() -> None:
    """`Reported` holds the result without what a command paid."""
    kept = json.loads(made().result().canonical())
    text = shown(kept)
    assert "This command" not in text
    assert "the sealed test was read 17 times" in " ".join(text.split())
    assert comparison_markdown(kept) == comparison_markdown(made().result().to_dict())


def test_costs_are_of_one_trial_and_unknown_prices_are_not_zero() -> None:
    given = Made([GEPA, CAPO], SIZE, 2)
    for number in range(2):
        given.seed(number, row(100, SIZE))
        known = Use(calls=300 + 10 * number, paid=100, prompt_tokens=2000, usd=Decimal("0.25"))
        given.trial(GEPA, number, row(110 + number, SIZE), use={"generator": known}, seconds=30.0)
        unknown = Use(calls=400, paid=0, usd=None, paid_usd=None)
        given.trial(
            CAPO,
            number,
            row(100 + number, SIZE),
            use={"generator": unknown},
            counters={"calls": 399.0},
            ended="budget",
        )
    text = shown(given.result().to_dict()).split("Cost of one trial")[1]
    assert line_of(text, "gepa").split() == [
        "gepa",
        "305",
        "2,000",
        "$0.2500",
        "30",
        "s",
        "200",
        "0",
        "0",
        "of",
        "2",
    ]
    assert line_of(text, "promptolution-capo").split() == [
        "promptolution-capo", "400", "0", "–", "–", "0", "0", "2", "of", "2",
    ]  # fmt: skip
    assert "promptolution-capo/correct/correct itself counts calls 399; at the gateway 400 calls." in text


def test_the_ladder_of_own_arms_is_shown() -> None:
    names = ["rewrite/none/naive", "improve/none/naive", "one-step/none/naive"]
    entries = [Entry(name, name, own=True) for name in names]
    right = {name: [100 + 10 * place + n for n in range(3)] for place, name in enumerate(names)}
    text = shown(counted(entries, [95, 93, 94], right, SIZE).result().to_dict())
    assert "What the gain of one-step/none/naive is made of" in text
    assert "generic knowledge" in text


def test_markdown_is_a_table_that_can_be_parsed() -> None:
    report = made().result().to_dict()
    lines = [line for line in comparison_markdown(report).splitlines() if line.startswith("|")]
    first = lines[: len(report["tables"]["entries"]) + 2]
    assert {line.count("|") for line in first} == {13}
    own = report["tables"]["entries"][0]
    assert f"{own['sealed_points']:+.1f}" in first[2]
    assert first[2].startswith("| **gepa** |")
    assert report["crown"]["text"] in comparison_markdown(report)


def test_notes_and_an_early_stop_are_said() -> None:
    given = made()
    given.trials = 4
    text = " ".join(shown(given.result(stopped="The budget of 10 calls is reached.").to_dict()).split())
    assert "Stopped early: The budget of 10 calls is reached." in text
    assert "3 of 4 blocks are complete" in text
    assert "Trials without a result: promptolution-capo/correct/correct 1 of 3" in text

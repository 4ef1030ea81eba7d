"""A comparison as Markdown: one wide table for a document, with the sentence that may be said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.surfaces.audit_words import percent, signed
from nullgrad.surfaces.compare_words import (
    NONE,
    budget_of,
    dollars_of,
    gain_of,
    label_of,
    label_rows,
    models_of,
    trials_of,
    verdicts_of,
    words_of,
)
from nullgrad.surfaces.progress import duration

Value = Mapping[str, Any]


def comparison_markdown(report: Value) -> str:
    """What was compared, the verdict, the table, label dependence and notes.

    Args:
        report: what `CompareResult.to_dict` gives, or what the ledger keeps of it.
    """
    lines = [
        f"{report['trials']} trials of each at {budget_of(report['budget'])} on `{report['comparison']}`, sealed test of "
        f"{report['test_examples']} examples, {models_of(report['models'])}; seed prompt "
        f"{percent(report['seed_prompt']['score'])}. Gains in points over the seed prompt, with 95 % intervals over trials.",
        "",
    ]
    if report["simulated"]:
        lines = [f"Simulation: {', '.join(report['simulated'])} is no real model.", "", *lines]
    lines += _table(
        (
            "optimizer", "trials", "sealed gain", "verdict", "claimed", "phantom part", "audit", "words", "calls", "tokens",
            "dollars", "time",
        ),
        [_entry(report, row) for row in report["tables"]["entries"]],
    )  # fmt: skip
    lines += ["", str(report["crown"]["text"])]
    labels = label_rows(report)
    if labels:
        lines += [
            "",
            *_table(
                ("optimizer", "labels", "gain, correct", "gain, others", "difference", "verdict"), labels
            ),
        ]
    lines += [f"\n{note}" for note in report["notes"]]
    return "\n".join(lines) + "\n"


def _entry(report: Value, row: Value) -> tuple[str, ...]:
    audits = [one for one in report["tables"]["audits"] if one["entry"] == row["entry"]]
    label = label_of(row)
    return (
        f"**{label}**" if row["competes"] else f"&nbsp;&nbsp;{label.strip()}",
        trials_of(row),
        gain_of(row, "sealed"),
        row["verdict"] or "",
        signed(row["claimed_points"]),
        gain_of(row, "phantom"),
        verdicts_of(audits, row["entry"])[1] if audits else NONE,
        words_of(row),
        f"{row['calls']:,.0f}",
        f"{row['tokens']:,.0f}",
        dollars_of(row["usd"]),
        NONE if row["seconds"] is None else duration(row["seconds"]),
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A pipe table; what would end a cell is escaped."""
    marks = ["---", *("---:" for _ in names[1:])]
    return [
        f"| {' | '.join(names)} |",
        f"| {' | '.join(marks)} |",
        *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows),
    ]

"""A comparison of optimizers as text, from the same JSON values that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from nullgrad.surfaces.audit_words import Grid, Printer, percent, signed
from nullgrad.surfaces.compare_words import (
    NONE,
    budget_of,
    counted_of,
    dollars_of,
    gain_of,
    highest_rows,
    label_of,
    label_rows,
    models_of,
    needed_of,
    trials_of,
    verdicts_of,
    with_ends,
    words_of,
)
from nullgrad.surfaces.progress import duration
from nullgrad.surfaces.tables import columns

Value = Mapping[str, Any]
Row = Mapping[str, Any]

STYLES = {"supported": "green", "contradicted": "red", "equal": "cyan", "cannot tell": ""}


def print_comparison(report: Value, stream: IO[str], only: str | None = None) -> None:
    """A comparison's result: what may be said of the best first, then the tables.

    Args:
        report: what `CompareResult.to_dict` gives, or what the ledger keeps of it (without spend).
        stream: where to.
        only: one of its tables, with every column, in place of all.
    """
    out = Printer(stream)
    if report["simulated"]:
        out.line(f"Simulation: {', '.join(report['simulated'])} is no real model.", "bold yellow")
    if only is not None:
        _whole_table(out, only, report["tables"][only])
        return
    _head(out, report)
    out.line()
    out.line(report["crown"]["text"], "bold")
    out.line()
    _results(out, report)
    _labels(out, report)
    _pairs(out, report)
    _audits(out, report["tables"]["audits"])
    for one in report["attribution"]:
        _ladder(out, one)
    _costs(out, report)
    for note in report["notes"]:
        out.line(f"Note: {note}", "yellow")
    _foot(out, report)


def _head(out: Printer, report: Value) -> None:
    out.line(f"Optimizers on {report['comparison']}", "bold")
    out.line(
        f"{report['trials']} trials of each at {budget_of(report['budget'])}, paired draws, sealed test of {report['test_examples']} "
        f"examples, α = {report['alpha']:g} by family; {models_of(report['models'])}. Seed prompt: "
        f"{percent(report['seed_prompt']['score'])}."
    )
    if report["stopped"]:
        out.line(f"Stopped early: {report['stopped']}", "yellow")


def _results(out: Printer, report: Value) -> None:
    """Controls stand below their optimizer, and have no verdict of their own."""
    grid = Grid(
        "Gains in points over the seed prompt, mean over trials (95 %); claimed is what the optimizer itself says",
        ("optimizer", "trials", "sealed gain", "verdict", "claimed", "phantom part", "words"),
    )
    for row in report["tables"]["entries"]:
        grid.add_row(
            label_of(row),
            trials_of(row),
            gain_of(row, "sealed"),
            row["verdict"] or "",
            signed(row["claimed_points"]),
            gain_of(row, "phantom"),
            words_of(row),
            style=STYLES.get(row["verdict"] or "", "") if row["competes"] else "dim",
        )
    grid.show(out)
    out.line(
        "Phantom part: claimed − sealed gain within a trial. Verdicts are on intervals corrected over the optimizers, wider than "
        "those shown. Controls, with other labels, explain and do not compete.",
        "dim",
    )


def _labels(out: Printer, report: Value) -> None:
    rows = label_rows(report)
    if not rows:
        return
    grid = Grid(
        "Dependence on labels: the gain with correct labels, what remains with others, and the difference (corrected interval)",
        ("optimizer", "labels", "correct", "others", "difference", "verdict"),
    )
    for row in rows:
        grid.add_row(*row, style=STYLES.get(row[-1], ""))
    out.line()
    grid.show(out)
    out.line(
        "Wrong labels mislead: what remains with them needs no true label, and the difference holds their harm as well as the right "
        "ones' worth. Cannot tell is not: no dependence.",
        "dim",
    )


def _pairs(out: Printer, report: Value) -> None:
    """Of each against each only those of the highest: the others are in the table `contrasts`."""
    rows = highest_rows(report)
    if not rows:
        return
    short = {row["entry"]: label_of(row) for row in report["tables"]["entries"]}
    grid = Grid(
        f"{short[report['crown']['highest']]}, which has the highest mean, against each other (two-sided, corrected over "
        f"{rows[0][0]['family_size']} pairs)",
        ("other", "lead", "detectable", "verdict", "on other examples", "trials needed"),
    )
    for one, other, sign in rows:
        low, high = one["low_points"], one["high_points"]
        if sign < 0 and low is not None and high is not None:
            low, high = -high, -low
        lead = None if one["difference_points"] is None else sign * one["difference_points"]
        grid.add_row(
            short[other],
            with_ends(lead, low, high),
            NONE if one["detectable_points"] is None else f"{one['detectable_points']:.1f}",
            one["verdict"],
            one["population_verdict"],
            needed_of(one),
            style=STYLES.get(one["verdict"], ""),
        )
    out.line()
    grid.show(out)


def _audits(out: Printer, rows: Sequence[Row]) -> None:
    if not rows:
        return
    grid = Grid(
        "Audit: final prompts against the seed prompt on the sealed test, trials by verdict",
        ("entry", "trials", "prevalence-type", "verdicts"),
    )
    for entry in dict.fromkeys(row["entry"] for row in rows):
        kind, text = verdicts_of(rows, entry)
        grid.add_row(
            entry,
            str(kind["trials"]),
            f"{100 * kind['share']:.0f} % ({100 * kind['low']:.0f} to {100 * kind['high']:.0f} %)",
            text,
        )
    out.line()
    grid.show(out)
    if any(row["verdict"] in ("genuine", "mixed") for row in rows):
        out.line(
            "From recorded answers, which have no log-probabilities: where it says genuine, a threshold shift is not excluded "
            "(nullgrad audit can exclude it).",
            "dim",
        )


def _ladder(out: Printer, one: Value) -> None:
    out.line()
    if one["reason"]:
        out.line(f"Attribution of {one['top']}: {one['reason']}.")
        return
    grid = Grid(
        f"What the gain of {one['top']} is made of ({one['blocks']} blocks; each rung at the same budget, so that cheaper ones "
        "take more steps; simultaneous 95 %)",
        ("ingredient", "arm", "test", "adds", "told from 0"),
    )
    for step in one["steps"]:
        both = step["ci95_simultaneous"] or (None, None)
        told = "cannot tell" if step["missing_decides"] else "yes" if step["told"] else "no"
        first = step["points"] is None
        grid.add_row(
            step["ingredient"],
            step["arm"],
            percent(step["score"]),
            "" if first else with_ends(step["points"], *both),
            "" if first else told,
        )
    grid.show(out)


def _costs(out: Printer, report: Value) -> None:
    grid = Grid(
        "Cost of one trial, as if nothing were shared; readings of the test are not in it. Paid is over all trials",
        ("entry", "calls", "tokens", "dollars", "time", "calls paid", "failed", "stopped by budget"),
    )
    for row in report["tables"]["entries"]:
        grid.add_row(
            label_of(row),
            f"{row['calls']:,.0f}",
            f"{row['tokens']:,.0f}",
            dollars_of(row["usd"]),
            NONE if row["seconds"] is None else duration(row["seconds"]),
            f"{row['calls_paid_total']:,}",
            str(row["failures"]),
            f"{row['by_budget']} of {row['ended']}",
        )
    out.line()
    grid.show(out)
    for line in counted_of(report["tables"]["counters"]):
        out.line(line, "dim")


def _foot(out: Printer, report: Value) -> None:
    if "calls" in report:
        calls, tokens = report["calls"], report["tokens"]
        out.line(
            f"This command: {calls['paid']:,} calls paid, {calls['replayed']:,} replayed, {calls['joined']:,} joined, "
            f"{calls['failed']:,} failed; {tokens['prompt']:,} + {tokens['completion']:,} tokens; "
            f"{'price unknown' if report['usd'] is None else dollars_of(report['usd'])}; {duration(report['seconds'])}.",
            "dim",
        )
    times = report["test_readings"]
    out.line(
        f"Run {report['run']}; the sealed test was read {times:,} time{'' if times == 1 else 's'}, once for each prompt that counts here.",
        "dim",
    )


def _whole_table(out: Printer, name: str, rows: Sequence[Row]) -> None:
    if not rows:
        out.line(f"The table {name} is empty.")
        return
    names = columns(rows)
    grid = Grid(name, names)
    for row in rows:
        grid.add_row(*("" if row.get(one) is None else str(row[one]) for one in names))
    grid.show(out)

"""Numbers and words of a comparison's rows, in one form for terminal, Markdown and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.surfaces.audit_words import signed

Value = Mapping[str, Any]
Row = Mapping[str, Any]

NONE = "–"


def label_of(row: Row) -> str:
    """An entry as it stands in a table: an optimizer by its name, its controls below it by their labels."""
    if row["competes"]:
        return str(row["optimizer"])
    words = [
        f"{channel} {row[channel]}" for channel in ("feedback", "selection") if row[channel] != "correct"
    ]
    return f"  {', '.join(words)}"


def models_of(models: Mapping[str, str]) -> str:
    """Who plays which role."""
    if len(set(models.values())) == 1:
        return f"{next(iter(models.values()))} in every role"
    return ", ".join(f"{role} {name}" for role, name in models.items())


def budget_of(budget: Mapping[str, float | None]) -> str:
    """What each trial may ask for."""
    parts = [
        f"${value:g}" if unit == "usd" else f"{value:,} {unit}"
        for unit, value in budget.items()
        if value is not None
    ]
    return ", ".join(parts) or "no budget"


def trials_of(row: Row) -> str:
    """Trials with a result, of those that ended."""
    found, ended = row["with_result"], row["ended"]
    return str(ended) if found == ended else f"{found} of {ended}"


def gain_of(row: Row, name: str) -> str:
    """Points with the interval."""
    return with_ends(row[f"{name}_points"], row[f"{name}_low_points"], row[f"{name}_high_points"])


def with_ends(value: float | None, low: float | None, high: float | None) -> str:
    """A difference in points, with its interval where there is one."""
    ends = "" if low is None or high is None else f" ({low:.1f} to {high:.1f})"
    return signed(value) + ends


def words_of(row: Row) -> str:
    """Length of the prompts, and how many times that of the seed prompt."""
    if row["words"] is None:
        return NONE
    return f"{row['words']:.0f}" + ("" if row["growth"] is None else f" (×{row['growth']:.1f})")


def label_rows(report: Value) -> list[tuple[str, ...]]:
    """By contrast of the family `labels`: optimizer, labels, gain with correct ones, with others, difference, verdict."""
    by_name = {row["entry"]: row for row in report["tables"]["entries"]}
    found: list[tuple[str, ...]] = []
    for one in report["tables"]["contrasts"]:
        if one["family"] == "labels":
            first, second = by_name[one["first"]], by_name[one["second"]]
            found.append(
                (
                    label_of(first),
                    one["channel"],
                    signed(first["sealed_points"]),
                    signed(second["sealed_points"]),
                    with_ends(one["difference_points"], one["low_points"], one["high_points"]),
                    one["verdict"],
                )
            )
    return found


def highest_rows(report: Value) -> list[tuple[Row, str, int]]:
    """Contrasts of the highest with each other: the row, the other, and the sign by which the highest comes first."""
    highest = report["crown"]["highest"]
    found: list[tuple[Row, str, int]] = []
    for one in report["tables"]["contrasts"]:
        if one["family"] == "best" and highest in (one["first"], one["second"]):
            first = one["first"] == highest
            found.append((one, one["second"] if first else one["first"], 1 if first else -1))
    return found


def needed_of(one: Row) -> str:
    """Trials from which a true difference as large as the one seen would be told."""
    if one["trials_needed"] is not None:
        return f"{one['trials_needed']:,.0f}"
    return "over 1,000" if "trials_needed: more than" in one["not_estimable"] else NONE


def verdicts_of(rows: Sequence[Row], entry: str) -> tuple[Row, str]:
    """The row of all prevalence-type verdicts of an entry, and its verdicts as counts."""
    own = [row for row in rows if row["entry"] == entry]
    kind = next(row for row in own if row["verdict"] == "prevalence-type")
    return kind, ", ".join(f"{row['count']} {row['verdict']}" for row in own if row is not kind)


def dollars_of(usd: float | None) -> str:
    """Dollars, a dash where a price is unknown."""
    return NONE if usd is None else f"${usd:.4f}" if usd else "no charge"


def counted_of(rows: Sequence[Row]) -> list[str]:
    """What libraries count themselves, a line for each entry that counts something."""
    lines = []
    for entry in dict.fromkeys(row["entry"] for row in rows):
        own = [row for row in rows if row["entry"] == entry and row["its_mean"] is not None]
        if own:
            counts = ", ".join(f"{row['counter']} {row['its_mean']:,.0f}" for row in own)
            lines.append(
                f"{entry} itself counts {counts}; at the gateway {own[0]['calls_counted']:,.0f} calls."
            )
    return lines

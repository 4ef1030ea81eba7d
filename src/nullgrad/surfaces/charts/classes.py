"""Recall of each class before and after: where the gain is, and whether a class pays for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.surfaces.charts.base import (
    Chart,
    Column,
    Row,
    Table,
    chart_spec,
    field,
    hidden,
    layer,
    names_axis,
    percent,
    signed,
    tooltip,
)

COLUMNS = (
    Column("label", "class"),
    Column("n", "examples", "count"),
    Column("before", "recall before (%)", "percent"),
    Column("before_low", "from (%)", "percent"),
    Column("before_high", "to (%)", "percent"),
    Column("after", "recall after (%)", "percent"),
    Column("after_low", "from (%)", "percent"),
    Column("after_high", "to (%)", "percent"),
    Column("change", "change (points)", "points"),
    Column("predicted_before", "answered before", "count"),
    Column("predicted_after", "answered after", "count"),
    *hidden("text_at", "text"),
)
MOST = 40
"""Classes that are drawn; the table has all."""


def result_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of an optimization's result: `classes`, or `slots` for tuple answers."""
    slots: Sequence[Mapping[str, Any]] = report["slots"] or ([report["classes"]] if report["classes"] else [])
    rows = []
    for place, classes in enumerate(slots, 1):
        for label, row in classes.items():
            before, after = row["seed"], row["best"]
            rows.append(
                class_row(
                    label if len(slots) == 1 else f"slot {place}: {label}", row["n"],
                    before["recall"], before["ci95"], before["predicted"],
                    after["recall"], after["ci95"], after["predicted"],
                )
            )  # fmt: skip
    return rows


def class_row(
    label: str, n: int, before: float | None, before_ends: Sequence[float] | None, predicted_before: int | None,
    after: float | None, after_ends: Sequence[float] | None, predicted_after: int | None,
) -> dict[str, Any]:  # fmt: skip
    """One class, from shares."""
    change = None if before is None or after is None else 100 * (after - before)
    ends = [before, after, *(before_ends or ()), *(after_ends or ())]
    return {
        "label": label,
        "n": n,
        "before": percent(before),
        "before_low": percent(before_ends[0]) if before_ends else None,
        "before_high": percent(before_ends[1]) if before_ends else None,
        "after": percent(after),
        "after_low": percent(after_ends[0]) if after_ends else None,
        "after_high": percent(after_ends[1]) if after_ends else None,
        "change": None if change is None else round(change, 6),
        "predicted_before": predicted_before,
        "predicted_after": predicted_after,
        "text_at": percent(max((one for one in ends if one is not None), default=0.0)),
        "text": "not estimable" if change is None else signed(change),
    }


def classes_chart(name: str, title: str, rows: Sequence[Row]) -> Chart:
    """The classes of one pair of prompts, in their own order; of more than `MOST` those that change most are drawn."""
    ranked = sorted(rows, key=lambda row: -abs(row["change"] or 0.0))[:MOST]
    drawn = [row["label"] for row in rows if row in ranked]
    fallen = [row["label"] for row in rows if (row["change"] or 0.0) < 0]
    summary = (
        f"Recall of {len(rows)} classes, before (hollow) and after (filled), each with its 95 % interval. "
        + (
            f"It falls in {len(fallen)}: {', '.join(fallen[:5])}{' …' if len(fallen) > 5 else ''}."
            if fallen
            else "It falls in none."
        )
        + ("" if len(rows) <= MOST else f" Drawn are the {MOST} that change most.")
    )
    y = names_axis("label", drawn, 220)
    x: dict[str, Any] = {
        "scale": {"domain": [0, 112], "nice": False}, "axis": {"title": "recall (%)", "grid": True, "values": [0, 20, 40, 60, 80, 100]},
    }  # fmt: skip
    tips = tooltip(COLUMNS[:11])
    inside = f"indexof({_quoted(drawn)}, datum.label) >= 0" if len(rows) > MOST else "true"
    spec = chart_spec(
        layer(
            {"type": "rule", "color": "@before", "strokeWidth": 1.5, "yOffset": -5}, inside, "isValid(datum.before_low)",
            y=y, x=field("before_low", **x), x2={"field": "before_high"}, tooltip=tips,
        ),
        layer(
            {"type": "rule", "color": "@after", "strokeWidth": 1.5, "yOffset": 5}, inside, "isValid(datum.after_low)",
            y=y, x=field("after_low", **x), x2={"field": "after_high"}, tooltip=tips,
        ),
        layer(
            {"type": "point", "filled": False, "size": 70, "strokeWidth": 2, "opacity": 1, "color": "@before", "yOffset": -5},
            inside, "isValid(datum.before)", y=y, x=field("before", **x), tooltip=tips,
        ),
        layer(
            {"type": "point", "filled": True, "size": 80, "opacity": 1, "color": "@after", "yOffset": 5},
            inside, "isValid(datum.after)", y=y, x=field("after", **x), tooltip=tips,
        ),
        layer(
            {"type": "text", "align": "left", "dx": 9}, inside, y=y, x=field("text_at", **x), text=field("text", "nominal"),
        ),
        height=34 * len(drawn),
    )  # fmt: skip
    return Chart(Table(name, title, COLUMNS, tuple(rows)), spec, summary, 460)


def _quoted(names: Sequence[str]) -> str:
    """Names as an array of Vega's expression language."""
    import json

    return json.dumps(list(names))

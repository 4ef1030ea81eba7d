"""A comparison of optimizers: what each gained on the sealed test beside what it claims, and all contrasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.surfaces.charts.audit import verdict_chart
from nullgrad.surfaces.charts.base import (
    Chart,
    Column,
    Row,
    Table,
    chart_spec,
    domain_of,
    field,
    layer,
    names_axis,
    tooltip,
)
from nullgrad.surfaces.charts.collect import Group
from nullgrad.surfaces.charts.forest import COLOURS, VERDICTS, forest_chart
from nullgrad.surfaces.charts.waterfall import ladder_chart

CONTROL = "other labels"
"""In place of a verdict: controls have none of their own."""

COLUMNS = (
    Column("label", "optimizer"),
    Column("sealed", "sealed gain (points)", "points"),
    Column("low", "from (points)", "points"),
    Column("high", "to (points)", "points"),
    Column("claimed", "claimed gain (points)", "points"),
    Column("phantom", "phantom part (points)", "points"),
    Column("phantom_low", "phantom from (points)", "points"),
    Column("phantom_high", "phantom to (points)", "points"),
    Column("trials", "trials", "count"),
    Column("failed", "without a result", "count"),
    Column("verdict", "verdict"),
)

FAMILIES = {
    "gain": "against the seed prompt",
    "labels": "correct labels against others",
    "best": "each against each (two-sided)",
}


def comparison_charts(report: Mapping[str, Any]) -> tuple[Group, ...]:
    """Of a comparison's result, as `CompareResult.to_dict` gives it or the ledger keeps it."""
    tables: Mapping[str, Sequence[Row]] = report["tables"]
    task = str(report["comparison"])
    audits = [{**row, "arm": row["entry"]} for row in tables["audits"]]
    short = {row["entry"]: _label(row) for row in tables["entries"]}
    contrasts = [_contrast(task, row, short) for row in tables["contrasts"]]
    ladders = (
        ladder_chart(f"waterfall-{number}", one["top"], one)
        for number, one in enumerate(report["attribution"])
        if one["steps"]
    )
    groups: dict[str, list[Chart | None]] = {
        "gains": [gains_chart("gains", task, tables["entries"])],
        "waterfall": list(ladders),
        "contrasts": [forest_chart("forest", task, contrasts)] if contrasts else [],
        "classes": [verdict_chart("verdicts", task, audits)],
    }
    kept = {about: tuple(chart for chart in charts if chart is not None) for about, charts in groups.items()}
    return tuple(Group(about, charts) for about, charts in kept.items() if charts)


def gains_chart(name: str, task: str, entries: Sequence[Row]) -> Chart | None:
    """Every entry: its sealed gain with the interval, its claimed gain as a hollow mark; None without a gain."""
    rows = [_row(one) for one in entries if one["sealed_points"] is not None]
    if not rows:
        return None
    ends: list[float | None] = [0.0]
    for row in rows:
        ends += [row["low"], row["high"], row["sealed"], row["claimed"]]
    x: dict[str, Any] = {
        "scale": {"domain": domain_of(ends), "nice": False, "zero": False},
        "axis": {"title": "gain over the seed prompt (points)", "grid": True},
    }
    words = (*VERDICTS, CONTROL)
    seen = [word for word in words if any(row["verdict"] == word for row in rows)]
    colour = field(
        "verdict", "nominal", scale={"domain": list(words), "range": [*COLOURS, "@soft"]},
        legend={"title": None, "orient": "top", "symbolOpacity": 1, "values": seen},
    )  # fmt: skip
    y = names_axis("label", (row["label"] for row in rows))
    tips = tooltip(COLUMNS)
    spec = chart_spec(
        {"mark": {"type": "rule", "color": "@soft", "strokeDash": [3, 3]}, "encoding": {"x": {"datum": 0, **x}}},
        layer(
            {"type": "rule", "strokeWidth": 2}, "isValid(datum.low)",
            y=y, x=field("low", **x), x2={"field": "high"}, color=colour, tooltip=tips,
        ),
        layer(
            {"type": "point", "filled": True, "size": 80, "opacity": 1},
            y=y, x=field("sealed", **x), color=colour, tooltip=tips,
        ),
        layer(
            {"type": "point", "filled": False, "shape": "diamond", "size": 90, "opacity": 1, "color": "@ink"},
            "isValid(datum.claimed)", y=y, x=field("claimed", **x), tooltip=tips,
        ),
        height=26 * len(rows),
    )  # fmt: skip
    claiming = sum(row["claimed"] is not None for row in rows)
    summary = (
        "Filled: mean gain on the sealed test with its 95 % interval over trials. Hollow: the gain that the optimizer itself "
        f"claims, of the {claiming} of {len(rows)} entries that claim one. Colours are verdicts on intervals corrected over the "
        "optimizers; controls, with other labels, have none."
    )
    return Chart(
        Table(name, f"Gains on {task}, sealed and claimed", COLUMNS, tuple(rows)), spec, summary, 560
    )


def _label(one: Row) -> str:
    """An optimizer by its name, its controls with their labels behind it."""
    other = [
        f"{channel} {one[channel]}" for channel in ("feedback", "selection") if one[channel] != "correct"
    ]
    return str(one["optimizer"]) if one["competes"] else f"{one['optimizer']}, {', '.join(other)}"


def _row(one: Row) -> dict[str, Any]:
    return {
        "label": _label(one),
        "sealed": one["sealed_points"],
        "low": one["sealed_low_points"],
        "high": one["sealed_high_points"],
        "claimed": one["claimed_points"],
        "phantom": one["phantom_points"],
        "phantom_low": one["phantom_low_points"],
        "phantom_high": one["phantom_high_points"],
        "trials": one["ended"],
        "failed": one["failed"],
        "verdict": one["verdict"] or CONTROL,
    }


def _contrast(task: str, row: Row, short: Mapping[str, str]) -> dict[str, Any]:
    """A contrast with the columns that a study's has, in which a comparison has nothing to say."""
    return {
        **row,
        "name": f"{short[row['first']]} > {short.get(row['second'], row['second'])}",
        "family": FAMILIES[row["family"]],
        "cell": task,
        "role": "declared",
        "on": "test",
        "labels": "",
        "model": "",
        "task": "",
        "look": 0,
        "biased": False,
        "tau": None,
        "published": "",
        "n_first": row["n"],
        "n_second": row["n"],
    }

"""Curves with bands: scores by step, diversity by step, and what the best of k candidates is expected to score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nullgrad.surfaces.charts.base import (
    WITHIN,
    Chart,
    Column,
    Row,
    Spec,
    Table,
    arm_colours,
    arm_shapes,
    chart_spec,
    domain_of,
    field,
    layer,
    percent,
    tooltip,
    whole,
)

MEASURES = {
    ("test", "step"): ("Test by step", "The sealed test, read after the trials had ended: the only unbiased curve."),
    ("validation", "step"): (
        "Validation by step",
        "Of the current prompt, against true labels; where validation chooses, it is too high from the first choice on.",
    ),
    ("train true", "step"): ("Training batches by step", "Of the current prompt on its batch, before the step's update."),
    ("train shown", "step"): (
        "Training batches by step, against the labels shown",
        "As the optimizer was told: wrong and shuffled labels count as right here.",
    ),
    ("train true", "epoch"): ("Training examples by epoch", "All batches of an epoch."),
    ("train shown", "epoch"): (
        "Training examples by epoch, against the labels shown",
        "All batches of an epoch, as the optimizer was told.",
    ),
}  # fmt: skip

COLUMNS = (
    Column("arm", "arm"),
    Column("at", "step", "count"),
    Column("mean", "mean (%)", "percent"),
    Column("low", "from (%)", "percent"),
    Column("high", "to (%)", "percent"),
    Column("n", "trials", "count"),
)


def course_charts(name: str, cell: str, trajectory: Sequence[Row], arms: Sequence[str]) -> list[Chart]:
    """One chart for each measure that was followed, of the trajectory rows of one cell."""
    charts = []
    for (measure, unit), (title, remark) in MEASURES.items():
        own = [row for row in trajectory if row["measure"] == measure and row["unit"] == unit]
        if len({row["at"] for row in own}) < 2:
            continue
        if measure == "train shown" and _same(own, trajectory, unit):
            continue
        rows = [
            {
                "arm": row["arm"], "at": row["at"], "mean": percent(row["mean"]), "low": percent(row["low"]),
                "high": percent(row["high"]), "n": row["n"],
            }
            for row in own
        ]  # fmt: skip
        columns = (COLUMNS[0], Column("at", unit, "count"), *COLUMNS[2:])
        ends = [one for row in rows for one in (row["mean"], row["low"], row["high"])]
        spec = _lines(
            columns,
            _order(arms, rows),
            unit,
            f"{measure.split()[0]} score (%)",
            rows,
            ends,
        )
        summary = f"{remark} Lines are means over trials, bands their 95 % intervals" + (
            "; step 0 is the seed prompt." if any(row["at"] == 0 for row in rows) else "."
        )
        charts.append(
            Chart(
                Table(
                    f"{name}-{measure.replace(' ', '-')}-{unit}", f"{title} in {cell}", columns, tuple(rows)
                ),
                spec,
                summary,
                420,
            )
        )
    return charts


def _same(own: Sequence[Row], trajectory: Sequence[Row], unit: str) -> bool:
    """Whether the labels shown were the true ones everywhere, so that their curve says nothing new."""
    true = {
        (row["arm"], row["at"]): row["mean"]
        for row in trajectory
        if row["measure"] == "train true" and row["unit"] == unit
    }
    return all(true.get((row["arm"], row["at"])) == row["mean"] for row in own)


def _order(arms: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Arms in the order that fixes their colours; those that are not among them come behind."""
    return list(dict.fromkeys([*arms, *(row["arm"] for row in rows)]))


def _lines(
    columns: Sequence[Column],
    arms: Sequence[str],
    unit: str,
    title: str,
    rows: Sequence[Row],
    ends: Sequence[float | None],
) -> Spec:
    x = whole((row["at"] for row in rows), unit)
    y: dict[str, Any] = {
        "scale": {"domain": domain_of(ends), "nice": False, "zero": False}, "axis": {"title": title, "grid": True, "labelExpr": WITHIN},
    }  # fmt: skip
    seen = {row["arm"] for row in rows}
    present = [arm for arm in arms if arm in seen]
    colour, shape = arm_colours(arms, present), arm_shapes(arms, present)
    tips = tooltip(columns)
    band = layer(
        {"type": "area", "opacity": max(0.05, 0.3 / (1 + len(present)))}, "isValid(datum.low)",
        x=x, y=field("low", **y), y2={"field": "high"}, color=colour,
    )  # fmt: skip
    return chart_spec(
        *([band] if any(column.name == "low" for column in columns) else []),
        layer({"type": "line", "strokeWidth": 2}, "isValid(datum.mean)", x=x, y=field("mean", **y), color=colour),
        layer(
            {"type": "point", "filled": True, "size": 46, "opacity": 1}, "isValid(datum.mean)",
            x=x, y=field("mean", **y), color=colour, shape=shape, tooltip=tips,
        ),
        height=240,
    )  # fmt: skip


DIVERSITY = {
    "disagreement": (
        "Disagreement among candidates", "mean absolute difference of scores on validation", "At 0 all answer alike.",
    ),
    "distance": ("Distance between candidates' texts", "normalized token distance", "At 0 all texts are the same."),
    "duplicates": (
        "Candidates that repeat another's text", "share of exact duplicates", "At 0 no text occurs twice.",
    ),
}  # fmt: skip
"""Title, what is measured, and what 0 means."""


def diversity_charts(name: str, cell: str, diversity: Sequence[Row], arms: Sequence[str]) -> list[Chart]:
    """One chart for each measure of diversity."""
    charts = []
    for measure, (title, axis, zero) in DIVERSITY.items():
        rows = [
            {"arm": row["arm"], "at": row["step"], "mean": percent(row[measure]), "n": row["trials"]}
            for row in diversity
            if row[measure] is not None
        ]
        if not rows:
            continue
        columns = (COLUMNS[0], COLUMNS[1], Column("mean", f"{axis} (%)", "percent"), COLUMNS[5])
        spec = _lines(
            columns,
            _order(arms, rows),
            "step",
            f"{measure} (%)",
            rows,
            [0.0, *(row["mean"] for row in rows)],
        )
        summary = f"The {axis} among the variants of a step, mean over trials. {zero}"
        charts.append(
            Chart(Table(f"{name}-{measure}", f"{title} in {cell}", columns, tuple(rows)), spec, summary, 380)
        )
    return charts


def best_of_k_chart(name: str, cell: str, points: Sequence[Row], arms: Sequence[str]) -> Chart | None:
    """Expected score of the best of k, over the steps that have a curve; None without one."""
    rows = [
        {
            "arm": row["arm"], "at": row["k"], "mean": percent(row["mean"]), "low": percent(row["low"]),
            "high": percent(row["high"]), "n": row["n"],
        }
        for row in points
        if row["step"] == 0
    ]  # fmt: skip
    if not rows:
        return None
    columns = (COLUMNS[0], Column("at", "k", "count"), *COLUMNS[2:])
    ends = [one for row in rows for one in (row["mean"], row["low"], row["high"])]
    spec = _lines(
        columns,
        _order(arms, rows),
        "k, candidates drawn",
        "expected score on fresh examples (%)",
        rows,
        ends,
    )
    summary = (
        "What the best of k candidates of a step is expected to score on examples that did not choose it, mean over steps and "
        "trials with 95 % bands; k = 1 is a blind draw. Where the curve is flat, more candidates bring nothing."
    )
    return Chart(Table(name, f"Expected best of k in {cell}", columns, tuple(rows)), spec, summary, 380)

"""Test scores of the arms: every trial, the mean, its interval; and score against the number of variants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nullgrad.surfaces.charts.base import (
    WITHIN,
    Chart,
    Column,
    Row,
    Table,
    chart_spec,
    domain_of,
    field,
    hidden,
    layer,
    names_axis,
    percent,
    tooltip,
)

ARM_COLUMNS = (
    Column("arm", "arm"),
    Column("what", "of"),
    Column("trial", "trial", "count"),
    Column("score", "test score (%)", "percent"),
    Column("low", "from (%)", "percent"),
    Column("high", "to (%)", "percent"),
    Column("sd", "SD (points)", "percent"),
    Column("n", "trials", "count"),
)
VARIANT_COLUMNS = (
    Column("arm", "arm"),
    Column("variants", "variants"),
    Column("what", "of"),
    Column("trial", "trial", "count"),
    Column("score", "test score (%)", "percent"),
    Column("low", "from (%)", "percent"),
    Column("high", "to (%)", "percent"),
    Column("n", "trials", "count"),
    *hidden("group"),
)

_AT = re.compile(r"@(\d+)")
_OVER = re.compile(r"(random|best|validated)@\d+")


def arms_chart(name: str, cell: str, arms: Sequence[Row], trials: Sequence[Row]) -> Chart | None:
    """Every arm of a cell; None where no trial is complete."""
    rows = _points(arms, trials)
    if not any(row["score"] is not None for row in rows):
        return None
    best = max((row for row in rows if row["what"] == "mean"), key=lambda row: row["score"], default=None)
    seed = next((row for row in rows if row["what"] == "mean" and row["arm"] == "seed"), None)
    summary = (
        "Each small mark is one complete trial; the diamond is their mean with its 95 % interval over trials."
    )
    if best is not None and seed is not None:
        summary += (
            f" The seed prompt: {seed['score']:.1f} %; the highest mean: {best['score']:.1f} % ({best['arm']}), "
            "which was picked because it is the highest."
        )
    ends: list[float | None] = []
    for row in rows:
        ends += [row["score"], row["low"], row["high"]]
    x: dict[str, Any] = {
        "scale": {"domain": domain_of(ends), "nice": False, "zero": False},
        "axis": {"title": "score on the sealed test (%)", "grid": True, "labelExpr": WITHIN},
    }
    y = names_axis("arm", (row["arm"] for row in rows))
    tips = tooltip(ARM_COLUMNS)
    spec = chart_spec(
        layer(
            {"type": "point", "filled": True, "size": 28, "opacity": 0.45, "color": "@soft"},
            "datum.what === 'trial'", y=y, x=field("score", **x), tooltip=tips,
        ),
        layer(
            {"type": "rule", "color": "@equal", "strokeWidth": 2}, "isValid(datum.low)",
            y=y, x=field("low", **x), x2={"field": "high"}, tooltip=tips,
        ),
        layer(
            {"type": "point", "filled": True, "shape": "diamond", "size": 110, "opacity": 1, "color": "@equal"},
            "datum.what === 'mean'", y=y, x=field("score", **x), tooltip=tips,
        ),
        height=26 * len({row["arm"] for row in rows}),
    )  # fmt: skip
    return Chart(Table(name, f"Arms in {cell}", ARM_COLUMNS, tuple(rows)), spec, summary, 560)


def _points(arms: Sequence[Row], trials: Sequence[Row]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for arm in arms:
        mean = percent(arm["mean"])
        if mean is not None:
            rows.append(
                {
                    "arm": arm["arm"], "what": "mean", "trial": None, "score": mean, "low": percent(arm["low"]),
                    "high": percent(arm["high"]), "sd": percent(arm["sd"]), "n": arm["n"],
                }
            )  # fmt: skip
        rows += [
            {"arm": one["arm"], "what": "trial", "trial": one["trial"], "score": percent(one["score"]), "low": None, "high": None}
            for one in trials
            if one["arm"] == arm["arm"] and one["score"] is not None
        ]  # fmt: skip
    return rows


def variants_charts(
    name: str, cell: str, arms: Sequence[Row], trials: Sequence[Row], contrasts: Sequence[Row]
) -> list[Chart]:
    """One chart for each update and evaluation whose number of variants is varied, by kind of selection."""
    groups: dict[str, dict[str, str]] = {}
    for arm in arms:
        found = _AT.search(arm["arm"])
        if found:
            group = _OVER.sub(lambda one: f"{one[1]}@n", arm["arm"])
            groups.setdefault(group, {})[arm["arm"]] = found[1]
    charts = []
    for place, (group, members) in enumerate(groups.items()):
        if len(set(members.values())) < 2:
            continue
        naive = f"{group.rsplit('/', 1)[0]}/naive"
        shown = {naive: "naive", **members} if any(arm["arm"] == naive for arm in arms) else members
        trends = [
            one
            for one in contrasts
            if one["tau"] is not None and _OVER.sub(lambda m: f"{m[1]}@n", str(one["first"] or "")) == group
        ]
        trends = trends or [one for one in contrasts if one["tau"] is not None and one["kind"] == "trend"]
        charts.append(_variants(f"{name}-{place}", cell, group, shown, arms, trials, trends))
    return charts


def _variants(
    name: str, cell: str, group: str, members: dict[str, str], arms: Sequence[Row], trials: Sequence[Row],
    trends: Sequence[Row],
) -> Chart:  # fmt: skip
    own = [arm for arm in arms if arm["arm"] in members]
    rows = [{**row, "variants": members[row["arm"]], "group": group} for row in _points(own, trials)]
    order = sorted(set(members.values()), key=lambda one: (one != "naive", int(one) if one != "naive" else 0))
    told = "; ".join(
        f"{one['name']}: Kendall's τ = {one['tau']:.3f}, p = {one['p']:.2g} (corrected α {one['alpha']:.3g}), {one['verdict']}"
        for one in trends
        if one["p"] is not None
    )
    summary = f"Scores of {group} by the number of variants that a step chooses among. " + (
        f"{told}." if told else "No trend is declared, so none is tested."
    )
    ends: list[float | None] = []
    for row in rows:
        ends += [row["score"], row.get("low"), row.get("high")]
    y: dict[str, Any] = {
        "scale": {"domain": domain_of(ends), "nice": False, "zero": False},
        "axis": {"title": "score on the sealed test (%)", "grid": True, "labelExpr": WITHIN},
    }
    x = field(
        "variants", "ordinal", sort=order, axis={"title": "variants a step", "labelAngle": 0, "grid": False}
    )
    tips = tooltip(VARIANT_COLUMNS[:8])
    spec = chart_spec(
        layer(
            {"type": "point", "filled": True, "size": 28, "opacity": 0.45, "color": "@soft"},
            "datum.what === 'trial'", x=x, y=field("score", **y), tooltip=tips,
        ),
        layer(
            {"type": "line", "color": "@equal", "strokeWidth": 1.5}, "datum.what === 'mean' && datum.variants !== 'naive'",
            x=x, y=field("score", **y),
        ),
        layer(
            {"type": "rule", "color": "@equal", "strokeWidth": 2}, "isValid(datum.low)",
            x=x, y=field("low", **y), y2={"field": "high"}, tooltip=tips,
        ),
        layer(
            {"type": "point", "filled": True, "shape": "diamond", "size": 110, "opacity": 1, "color": "@equal"},
            "datum.what === 'mean'", x=x, y=field("score", **y), tooltip=tips,
        ),
        height=260,
    )  # fmt: skip
    return Chart(
        Table(name, f"Variants against score in {cell}: {group}", VARIANT_COLUMNS, tuple(rows)), spec, summary
    )

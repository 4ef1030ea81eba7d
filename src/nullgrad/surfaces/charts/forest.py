"""The forest plot: every contrast of a cell by family, with what it could and could not have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nullgrad.surfaces.charts.base import (
    Chart,
    Column,
    Row,
    Spec,
    Table,
    between,
    chart_spec,
    domain_of,
    field,
    hidden,
    layer,
    number,
    p_text,
    signed,
    tooltip,
)

VERDICTS = ("supported", "contradicted", "equal", "cannot tell")
COLOURS = ("@good", "@bad", "@equal", "@unsure")
SHAPES = ("circle", "diamond", "square", "cross")

COLUMNS = (
    Column("family", "family"),
    Column("contrast", "contrast (first > second)"),
    Column("difference", "difference (points)", "points"),
    Column("low", "from (points)", "points"),
    Column("high", "to (points)", "points"),
    Column("p", "p", "p"),
    Column("p_corrected", "p, Holm", "p"),
    Column("p_bonferroni", "p, Bonferroni", "p"),
    Column("alpha", "corrected α", "p"),
    Column("g", "effect (Hedges' g)", "number"),
    Column("detectable", "detectable (points)", "percent"),
    Column("margin", "margin (points)", "percent"),
    Column("power", "power at the margin", "number"),
    Column("population_low", "population from (points)", "points"),
    Column("population_high", "population to (points)", "points"),
    Column("tau", "τ", "number"),
    Column("n", "trials"),
    Column("verdict", "verdict"),
    Column("published", "published"),
    Column("reason", "remark"),
    *hidden(
        "label", "grey_low", "grey_high", "margin_below", "effect", "p_shown", "g_shown", "detectable_shown"
    ),
)

_PLACES = (("effect", 12), ("p_shown", 168), ("g_shown", 232), ("detectable_shown", 284))
"""Columns of text beside the plot, in pixels from its right end."""
_PUBLISHED = 348


def forest_chart(name: str, cell: str, contrasts: Sequence[Row]) -> Chart:
    """All contrasts of a cell, at least one."""
    families = list(dict.fromkeys(one["family"] for one in contrasts))
    ends: list[float | None] = [0.0]
    for one in contrasts:
        margin = one["margin_points"] or 0.0
        ends += [one["low_points"], one["high_points"], one["difference_points"], margin, -margin]
    domain = domain_of(ends)
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    for family in families:
        lines.append(f"{len(lines):03d}§{family}")
        for one in contrasts:
            if one["family"] == family:
                rows.append(_row(one, len(lines), domain))
                lines.append(rows[-1]["label"])
    counts = {
        word: sum(one["verdict"] == word and one["role"] == "declared" for one in contrasts)
        for word in VERDICTS
    }
    summary = (
        f"{sum(counts.values())} declared contrasts in {len(families)} families: "
        + ", ".join(f"{count} {word}" for word, count in counts.items())
        + ". Points are differences of mean test scores, first − second, with the interval that its family's correction "
        "asks for; effects inside a grey bar could not have been seen (power 0.8)."
    )
    published = any(row["published"] for row in rows)
    columns = tuple(column for column in COLUMNS if published or column.name != "published")
    table = Table(name, f"Contrasts in {cell}", columns, tuple(rows))
    return Chart(table, _spec(lines, domain, table.shown), summary, 1060 if published else 860)


def _row(one: Row, place: int, domain: Sequence[float]) -> dict[str, Any]:
    """One contrast; a detectable effect that is wider than the plot is drawn to its ends."""
    contrast = str(one["name"]).removeprefix(f"{one['family']}: ")
    declared = one["role"] == "declared"
    if not declared:
        contrast = f"{one['first']} > {one['second']} ({one['on']})"
    # A contrast across cells stands in the first of them, with both models or tasks in its columns.
    across = next((one[key] for key in ("model", "task") if " > " in one[key]), "")
    if across and not all(part in contrast for part in across.split(" > ")):
        contrast += f" ({across})"
    if one["labels"]:
        contrast += f", {one['labels']} labels"
    first, second = one["n_first"], one["n_second"]
    reason = one["reason"] or one["not_estimable"]
    if one["look"]:
        reason = f"look at {one['look']} blocks{', biased' if one['biased'] else ''}; {reason}".strip("; ")
    detectable, margin = one["detectable_points"], one["margin_points"]
    if one["tau"] is not None:
        effect = f"τ = {one['tau']:.3f}"
    elif one["difference_points"] is None:
        effect = "not estimable"
    else:
        effect = f"{signed(one['difference_points'])} {between(one['low_points'], one['high_points'])}"
    return {
        "label": f"{place:03d} {'' if declared else '   '}{contrast}",
        "family": one["family"],
        "contrast": contrast,
        "difference": one["difference_points"],
        "low": one["low_points"],
        "high": one["high_points"],
        "p": one["p"],
        "p_corrected": one["p_holm"],
        "p_bonferroni": one["p_bonferroni"],
        "alpha": one["alpha"],
        "g": one["g"],
        "detectable": detectable,
        "margin": margin,
        "power": one["power_at_margin"],
        "population_low": one["population_low_points"],
        "population_high": one["population_high_points"],
        "tau": one["tau"],
        "n": "" if first is None else str(first) if first == second else f"{first}, {second}",
        "verdict": one["verdict"],
        "published": str(one["published"] or "").removeprefix("published: "),
        "reason": reason,
        "grey_low": None if detectable is None else max(-detectable, domain[0]),
        "grey_high": None if detectable is None else min(detectable, domain[1]),
        "margin_below": None if margin is None else -margin,
        "effect": effect,
        "p_shown": p_text(one["p_holm"]),
        "g_shown": number(one["g"], 2),
        "detectable_shown": number(detectable),
    }


def _spec(lines: Sequence[str], domain: Sequence[float], shown: Sequence[Column]) -> Spec:
    published = any(column.name == "published" for column in shown)
    y = field(
        "label",
        "nominal",
        sort=None,
        scale={"domain": list(lines)},
        axis={
            "title": None, "ticks": False, "domain": False, "labelLimit": 420, "grid": False,
            "labelExpr": "slice(datum.label, 4)",
            "labelFontWeight": {"condition": {"test": "substring(datum.value, 3, 4) === '§'", "value": "bold"}, "value": "normal"},
        },
    )  # fmt: skip
    x: dict[str, Any] = {
        "scale": {"domain": list(domain), "nice": False, "zero": False},
        "axis": {"title": "difference of mean test scores (points)", "grid": True},
    }
    colour = field(
        "verdict", "nominal", scale={"domain": list(VERDICTS), "range": list(COLOURS)},
        legend={"title": None, "orient": "top", "symbolOpacity": 1},
    )  # fmt: skip
    shape = field(
        "verdict", "nominal", scale={"domain": list(VERDICTS), "range": list(SHAPES)},
        legend={"title": None, "orient": "top"},
    )  # fmt: skip
    tips = tooltip(shown[1:])
    layers = [
        layer(
            {"type": "bar", "height": 16, "color": "@faint"}, "isValid(datum.grey_high)",
            y=y, x=field("grey_low", **x), x2={"field": "grey_high"}, tooltip=tips,
        ),
        {"mark": {"type": "rule", "color": "@soft", "strokeDash": [3, 3]}, "encoding": {"x": {"datum": 0, **x}}},
        layer(
            {"type": "tick", "color": "@soft", "height": 14, "thickness": 1}, "isValid(datum.margin)",
            y=y, x=field("margin", **x), tooltip=tips,
        ),
        layer(
            {"type": "tick", "color": "@soft", "height": 14, "thickness": 1}, "isValid(datum.margin)",
            y=y, x=field("margin_below", **x), tooltip=tips,
        ),
        layer(
            {"type": "rule", "strokeWidth": 2}, "isValid(datum.low)",
            y=y, x=field("low", **x), x2={"field": "high"}, color=colour, tooltip=tips,
        ),
        layer(
            {"type": "point", "filled": True, "size": 70, "opacity": 1}, "isValid(datum.difference)",
            y=y, x=field("difference", **x), color=colour, shape=shape, tooltip=tips,
        ),
    ]  # fmt: skip
    places = [*_PLACES, *([("published", _PUBLISHED)] if published else [])]
    heads = {
        "effect": "difference", "p_shown": "p, Holm", "g_shown": "g", "detectable_shown": "detectable",
        "published": "published",
    }  # fmt: skip
    for name, dx in places:
        text = {"type": "text", "align": "left", "dx": dx}
        layers.append(layer({**text, "limit": 210}, y=y, x={"value": "width"}, text=field(name, "nominal")))
        head = layer({**text, "color": "@muted"}, y=y, x={"value": "width"}, text={"value": heads[name]})
        layers.append({**head, "data": {"values": [{"label": lines[0]}]}})
    return chart_spec(
        *layers,
        height=22 * len(lines),
    )

"""Charts of an audit: the gain decomposition, both prompts over the share of a class, verdicts of arms.

The values are those of `PredictionAudit.to_dict`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nullgrad.surfaces.charts.base import (
    Chart,
    Column,
    Row,
    Table,
    between,
    chart_spec,
    domain_of,
    field,
    hidden,
    layer,
    names_axis,
    percent,
    signed,
    tooltip,
)

Value = Mapping[str, Any]

PARTS = (
    ("accuracy", "change in accuracy (ΔA)", "all"),
    ("relabelled", "of it information (ΔA*): left after the best relabelling of each", "split"),
    ("calibration", "of it calibration, Δ(A − A*)", "split"),
    ("balanced", "change in balanced accuracy (ΔB)", "weights"),
    ("weighting", "weighting part (ΔA − ΔB)", "weights"),
    ("after_above_relabelled", "after, above the before prompt relabelled", "benchmark"),
    ("biased.after_above", "after, above the before prompt with fitted biases", "benchmark"),
    ("biased.shift_free", "beyond any threshold shift of either", "benchmark"),
)
"""Key in the decomposition, in words, and what the part belongs to."""

COLUMNS = (
    Column("label", "part"),
    Column("points", "points", "points"),
    Column("low", "from (points)", "points"),
    Column("high", "to (points)", "points"),
    Column("remark", "remark"),
    *hidden("text_at", "text", "kind"),
)

VERDICTS = (
    "genuine", "mixed", "prevalence", "threshold", "relabelling", "no gain", "unchanged", "loss", "cannot tell",
)  # fmt: skip
VERDICT_COLOURS = ("@good", "@c5", "@c1", "@c6", "@c3", "@equal", "@faint", "@bad", "@soft")
TYPE = "prevalence-type"
"""The row of the three shifts between labels together."""


def predictions_of(audit: Value | None) -> Value | None:
    """The audit of predictions in what a result holds as its audit; None without one."""
    if not audit:
        return None
    if "decomposition" in audit:
        return audit
    found: Value | None = audit.get("predictions")
    return found if found and "decomposition" in found else None


def audit_charts(name: str, audit: Value | None) -> list[Chart]:
    """The decomposition of one pair of prompts, slot by slot where answers are tuples."""
    found = predictions_of(audit)
    if found is None:
        return []
    slots = found["slots"]
    margin = found["margin_points"]
    charts = [_decomposition(f"{name}-decomposition", "Gain decomposition", found["decomposition"], margin)]
    for slot in slots:
        which = "" if len(slots) == 1 else f", slot {slot['slot'] + 1}"
        if len(slots) > 1:
            own = _decomposition(
                f"{name}-decomposition-{slot['slot']}",
                f"Gain decomposition{which}",
                slot["decomposition"],
                margin,
            )
            charts.append(own)
        if slot["curve"] is not None and len(slot["curve"]["points"]) > 1:
            charts.append(_share_curve(f"{name}-share-{slot['slot']}", which, slot["curve"]))
    return charts


def _decomposition(name: str, title: str, parts: Value, margin: float) -> Chart:
    rows = list(_parts(parts))
    known = [row for row in rows if row["points"] is not None]
    ends: list[float | None] = [0.0]
    for row in known:
        ends += [row["points"], row["low"], row["high"]]
    x: dict[str, Any] = {
        "scale": {"domain": domain_of(ends, after=0.3), "nice": False, "zero": False},
        "axis": {"title": "points of accuracy", "grid": True},
    }
    y = names_axis("label", (row["label"] for row in rows), 380)
    tips = tooltip(COLUMNS[:5])
    colour = field(
        "kind", "nominal", legend=None,
        scale={"domain": ["all", "split", "weights", "benchmark"], "range": ["@ink", "@c0", "@c2", "@c1"]},
    )  # fmt: skip
    spec = chart_spec(
        {"mark": {"type": "rule", "color": "@soft"}, "encoding": {"x": {"datum": 0, **x}}},
        layer(
            {"type": "rule", "strokeWidth": 2}, "isValid(datum.low)",
            y=y, x=field("low", **x), x2={"field": "high"}, color=colour, tooltip=tips,
        ),
        layer(
            {"type": "point", "filled": True, "size": 80, "opacity": 1}, "isValid(datum.points)",
            y=y, x=field("points", **x), color=colour, tooltip=tips,
        ),
        layer(
            {"type": "text", "align": "left", "dx": 9}, y=y, x=field("text_at", **x), text=field("text", "nominal"),
        ),
        height=28 * len(rows),
    )  # fmt: skip
    whole = next((row for row in known if row["kind"] == "all"), None)
    summary = (
        ("" if whole is None else f"Accuracy changes by {whole['text']} points. ")
        + "Information and calibration add up to it, and so do the balanced and the weighting part. The last rows are what is "
        f"gained over renaming the before prompt's answers, or moving its threshold, alone; the margin is {margin:g} points."
    )
    return Chart(Table(name, title, COLUMNS, tuple(rows)), spec, summary, 560)


def _parts(parts: Value) -> Iterator[dict[str, Any]]:
    for key, label, kind in PARTS:
        value: Any = parts
        for step in key.split("."):
            value = None if value is None else value.get(step)
        if value is None:
            continue
        points = value.get("points")
        low, high = value.get("interval") or (None, None)
        yield {
            "label": label, "points": points, "low": low, "high": high, "remark": value.get("not_estimable", ""),
            "kind": kind, "text_at": max(one for one in (points, high, 0.0) if one is not None),
            "text": "not estimable" if points is None else f"{signed(points)} {between(low, high)}".strip(),
        }  # fmt: skip


CURVE = (
    Column("share", "share of the class (%)", "percent"),
    Column("prompt", "prompt"),
    Column("accuracy", "accuracy (%)", "percent"),
    Column("low", "from (%)", "percent"),
    Column("high", "to (%)", "percent"),
)


def _share_curve(name: str, which: str, curve: Value) -> Chart:
    rows: list[dict[str, Any]] = []
    for point in curve["points"]:
        accuracy = point["accuracy"]
        for prompt in ("before", "after"):
            low, high = accuracy.get(f"{prompt}_interval") or (None, None)
            rows.append(
                {
                    "share": percent(point["share"]), "prompt": prompt, "accuracy": percent(accuracy.get(prompt)),
                    "low": percent(low), "high": percent(high),
                }
            )  # fmt: skip
    ends = [one for row in rows for one in (row["accuracy"], row["low"], row["high"])]
    y: dict[str, Any] = {
        "scale": {"domain": domain_of(ends), "nice": False, "zero": False},
        "axis": {"title": "accuracy (%)", "grid": True},
    }
    x = field("share", axis={"title": f"share of {curve['label']} (%)", "grid": False}, scale={"nice": False})
    names = {"domain": ["before", "after"], "range": ["@before", "@after"]}
    colour = field(
        "prompt", "nominal", scale=names, legend={"title": None, "orient": "top", "symbolOpacity": 1}
    )
    dash = field(
        "prompt", "nominal", scale={"domain": ["before", "after"], "range": [[5, 4], [1, 0]]},
        legend={"title": None, "orient": "top", "symbolOpacity": 1},
    )  # fmt: skip
    observed = percent(curve["observed"])
    spec = chart_spec(
        layer(
            {"type": "area", "opacity": 0.14}, "isValid(datum.low)",
            x=x, y=field("low", **y), y2={"field": "high"}, color=colour,
        ),
        layer({"type": "line", "strokeWidth": 2}, x=x, y=field("accuracy", **y), color=colour, strokeDash=dash, tooltip=tooltip(CURVE)),
        {"mark": {"type": "rule", "color": "@soft", "strokeDash": [2, 3]}, "encoding": {"x": {"datum": observed}}},
        height=240,
    )  # fmt: skip
    summary = f"Accuracy of both prompts if another share of the answers were {curve['label']}, re-weighted from the recorded answers; dotted: {observed:.0f} %, as here."
    if curve["crossing"] is not None:
        summary += f" They are level at {100 * curve['crossing']:.0f} %."
    return Chart(
        Table(name, f"At another prevalence of {curve['label']}{which}", CURVE, tuple(rows)),
        spec,
        summary,
        420,
    )


AUDITS = (
    Column("arm", "arm"),
    Column("verdict", "verdict"),
    Column("count", "trials", "count"),
    Column("of", "of", "count"),
    Column("share", "share (%)", "percent"),
    Column("low", "from (%)", "percent"),
    Column("high", "to (%)", "percent"),
)


def verdict_chart(name: str, cell: str, audits: Sequence[Row]) -> Chart | None:
    """How often each arm ends in each verdict; None where nothing was audited."""
    rows = [
        {
            "arm": row["arm"], "verdict": row["verdict"], "count": row["count"], "of": row["trials"],
            "share": percent(row["share"]), "low": percent(row["low"]), "high": percent(row["high"]),
        }
        for row in audits
        if row["count"] or row["verdict"] == TYPE
    ]  # fmt: skip
    if not rows:
        return None
    seen = {row["verdict"] for row in rows}
    colour = field(
        "verdict", "nominal", scale={"domain": list(VERDICTS), "range": list(VERDICT_COLOURS)},
        legend={"title": None, "orient": "top", "values": [one for one in VERDICTS if one in seen]},
    )  # fmt: skip
    y = names_axis("arm", (row["arm"] for row in rows))
    order = {"field": "place", "type": "quantitative"}
    place = f"indexof({list(VERDICTS)!r}, datum.verdict)"
    stacked = [{"filter": f"datum.verdict !== {TYPE!r}"}, {"calculate": place, "as": "place"}]
    bars = layer(
        {"type": "bar", "height": 18, "stroke": "@soft", "strokeWidth": 0.5}, y=y, color=colour, order=order, tooltip=tooltip(AUDITS),
        x=field("share", stack="zero", axis={"title": "share of the audited trials (%)", "grid": True}, scale={"domain": [0, 100]}),
    )  # fmt: skip
    spec = chart_spec({**bars, "transform": stacked}, height=28 * len({row["arm"] for row in rows}))
    summary = (
        "How often the final prompt of a trial ends in each verdict of the gain decomposition, against the seed prompt. Relabelling, "
        "threshold and prevalence are shifts between labels, not better answers; intervals (Clopper–Pearson) are in the table."
    )
    return Chart(Table(name, f"What the gain is, by arm, in {cell}", AUDITS, tuple(rows)), spec, summary, 560)

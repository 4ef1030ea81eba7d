"""The waterfall of attribution: from the seed prompt's score, one ingredient more on every line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.surfaces.charts.base import (
    WITHIN,
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

ADDS, TAKES, UNTOLD = "adds", "takes away", "cannot be told from 0"

COLUMNS = (
    Column("label", "ingredient"),
    Column("arm", "arm"),
    Column("score", "test score (%)", "percent"),
    Column("points", "adds (points)", "points"),
    Column("low", "from (points)", "points"),
    Column("high", "to (points)", "points"),
    Column("told", "told"),
    Column("detectable", "detectable (points)", "percent"),
    *hidden("start", "end", "low_at", "high_at", "text_at", "text", "kind"),
)


def ladder_chart(name: str, top: str, ladder: Mapping[str, Any]) -> Chart:
    """The ladder of one arm, as `ladder_dict` gives it, with at least one step."""
    steps: Sequence[Row] = ladder["steps"]
    rows: list[dict[str, Any]] = []
    at = percent(steps[0]["score"]) or 0.0
    rows.append(_standing("seed", steps[0]["ingredient"], steps[0]["arm"], at))
    for step in steps[1:]:
        rows.append(_step(step, at))
        at = rows[-1]["end"]
    rows.append(_standing("top", "all together", top, at))
    gain = signed(at - rows[0]["end"])
    told = [row["label"] for row in rows if row["told"] in (ADDS, TAKES)]
    summary = (
        f"From the seed prompt's {rows[0]['end']:.1f} % to {at:.1f} % ({gain} points) on the sealed test, over "
        f"{ladder['blocks']} blocks. Intervals are simultaneous at 95 %. "
        + (
            f"Told from 0: {', '.join(told)}; no other ingredient."
            if told
            else "No ingredient can be told from 0; the table has the smallest effect that could have been."
        )
    )
    return _chart(
        name, f"What the gain of {top} is made of", rows, summary, "mean score on the sealed test (%)"
    )


def free_chart(name: str, free: Mapping[str, Any]) -> Chart:
    """The part that the scored candidates show without controls, as `free_dict` gives it."""
    seed, blind = percent(free["validation_seed"]), percent(free["validation_blind_draw"])
    rows: list[dict[str, Any]] = []
    at = seed
    if seed is not None:
        rows.append(_standing("seed", "seed prompt", "", seed))
    if blind is not None:
        if at is None:
            rows.append(_standing("seed", "a blind draw among the candidates", "", blind))
        else:
            rows.append(_plain("a blind draw among the candidates", at, blind - at))
        at = blind
    for label, key in (
        ("choosing among them", "choosing_points"),
        ("keeping the seed as a candidate", "guard_points"),
    ):
        if free[key] is not None and at is not None and not (key == "guard_points" and seed is None):
            rows.append(_plain(label, at, free[key]))
            at = rows[-1]["end"]
    if at is not None:
        rows.append(_standing("top", "chosen (cross-fitted)", "", at))
    claimed = percent(free["validation_claimed"])
    if claimed is not None:
        rows.append(_standing("claimed", "what the winner claims", "", claimed))
    summary = (
        f"From {free['candidates']} candidates scored on {free['validation_examples']} validation examples, without a "
        "control: what a blind draw among them would have given and what choosing added, cross-fitted. What the winner "
        "claims on the examples that chose it is too high. These numbers have no interval; --why runs the controls."
    )
    return _chart(
        name, "What choosing among the candidates added", rows, summary, "mean score on validation (%)"
    )


def _standing(kind: str, label: str, arm: str, at: float) -> dict[str, Any]:
    return {
        "kind": kind, "label": label, "arm": arm, "score": at, "points": None, "low": None, "high": None, "told": "",
        "detectable": None, "start": at, "end": at, "low_at": None, "high_at": None, "text_at": at,
        "text": f"{at:.1f} %",
    }  # fmt: skip


def _step(step: Row, at: float) -> dict[str, Any]:
    points = step["points"]
    low, high = step["ci95_simultaneous"] or (None, None)
    end = at + (points or 0.0)
    ends = [at, end, *([] if low is None or high is None else [at + low, at + high])]
    if step["missing_decides"] or not step["told"]:
        told = UNTOLD
    else:
        told = ADDS if points > 0 else TAKES
    return {
        "kind": "step", "label": step["ingredient"], "arm": step["arm"], "score": percent(step["score"]),
        "points": points, "low": low, "high": high, "told": told, "detectable": step["detectable_points"],
        "start": at, "end": end, "low_at": None if low is None else at + low,
        "high_at": None if high is None else at + high, "text_at": max(ends),
        "text": f"{signed(points)} {between(low, high)}".strip(),
    }  # fmt: skip


def _plain(label: str, at: float, points: float) -> dict[str, Any]:
    """A step without an interval: nothing is told of it."""
    row = _standing("step", label, "", at + points)
    return {
        **row, "points": points, "told": UNTOLD, "start": at, "text_at": max(at, at + points), "text": signed(points),
    }  # fmt: skip


def _chart(name: str, title: str, rows: Sequence[dict[str, Any]], summary: str, axis: str) -> Chart:
    own: list[float | None] = []
    for row in rows:
        own += [row["start"], row["end"], row["low_at"], row["high_at"]]
    ends = domain_of(own, after=0.28)
    y = names_axis("label", (row["label"] for row in rows), 240)
    x: dict[str, Any] = {
        "scale": {"domain": ends, "nice": False, "zero": False},
        "axis": {"title": axis, "grid": True, "labelExpr": WITHIN},
    }
    colours = {
        "scale": {"domain": [ADDS, TAKES, UNTOLD], "range": ["@good", "@bad", "@soft"]},
        "legend": {"title": None, "orient": "top"},
    }
    tips = tooltip(COLUMNS[:8])
    spec = chart_spec(
        layer(
            {"type": "bar", "height": 14, "cornerRadius": 2},
            "datum.kind === 'step'",
            y=y, x=field("start", **x), x2={"field": "end"}, color=field("told", "nominal", **colours), tooltip=tips,
        ),
        layer(
            {"type": "rule", "color": "@ink", "strokeWidth": 1.5},
            "isValid(datum.low_at)",
            y=y, x=field("low_at", **x), x2={"field": "high_at"}, tooltip=tips,
        ),
        layer(
            {"type": "tick", "color": "@ink", "thickness": 2, "height": 16},
            "datum.kind === 'step'",
            y=y, x=field("end", **x), tooltip=tips,
        ),
        layer(
            {"type": "point", "filled": True, "size": 110, "opacity": 1, "shape": "diamond"},
            "datum.kind !== 'step'",
            y=y, x=field("end", **x), tooltip=tips,
            color={"condition": {"test": "datum.kind === 'claimed'", "value": "@unsure"}, "value": "@ink"},
        ),
        layer({"type": "text", "align": "left", "dx": 9}, y=y, x=field("text_at", **x), text=field("text", "nominal")),
        height=30 * len(rows),
    )  # fmt: skip
    return Chart(Table(name, title, COLUMNS, tuple(rows)), spec, summary, 560)

"""The section ablation: what each section of a prompt adds to the score and to each class's recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.surfaces.charts.base import (
    Chart,
    Column,
    Row,
    Spec,
    Table,
    chart_spec,
    domain_of,
    field,
    layer,
    names_axis,
    percent,
    tooltip,
)

Value = Mapping[str, Any]

SECTIONS = (
    Column("label", "section"),
    Column("text", "text"),
    Column("what", "of"),
    Column("points", "points", "points"),
    Column("low", "from (points)", "points"),
    Column("high", "to (points)", "points"),
    Column("told", "told from 0", "yes"),
    Column("without", "score without it (%)", "percent"),
    Column("alone", "score alone (%)", "percent"),
)
MOST_WORDS = 60
"""Characters of a section that stand on the axis."""


def section_charts(name: str, audit: Value | None) -> list[Chart]:
    """What each section of the after prompt does, where it was ablated."""
    ablation = audit.get("ablation") if audit else None
    if not ablation or not ablation["sections"]:
        return []
    rows = []
    for one in ablation["sections"]:
        effects = [("score", one["effect"])]
        effects += [(f"recall of {row['label']}" + _slot(row, one), row["recall"]) for row in one["classes"]]
        for what, effect in effects:
            low, high = effect["ci95_corrected"] or (None, None)
            rows.append(
                {
                    "label": f"{one['number']}. {_short(one['text'])}", "text": one["text"][:400], "what": what,
                    "points": effect["points"], "low": low, "high": high, "told": effect["told"],
                    "without": percent(one["score_without"]), "alone": percent(one["score_alone"]),
                }
            )  # fmt: skip
    spec = _sections_spec(rows)
    told = sorted({row["label"] for row in rows if row["told"] and row["what"] == "score"})
    summary = (
        f"What each section adds to the score, and to the recall of each class, on {ablation['examples']} validation examples in "
        f"{ablation['repeats']} repeats: the whole prompt minus the prompt without it, corrected over the sections. "
        + (
            f"Told from 0: {'; '.join(told)}."
            if told
            else "No section's effect on the score can be told from 0."
        )
    )
    return [Chart(Table(name, "What each section does", SECTIONS, tuple(rows)), spec, summary, 560)]


def _slot(row: Value, one: Value) -> str:
    return f", slot {row['slot']}" if any(other["slot"] > 1 for other in one["classes"]) else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_WORDS else f"{line[:MOST_WORDS]}…"


def _sections_spec(rows: Sequence[Row]) -> Spec:
    kinds = list(dict.fromkeys(row["what"] for row in rows))
    ends = [0.0, *(one for row in rows for one in (row["points"], row["low"], row["high"]))]
    x: dict[str, Any] = {
        "scale": {"domain": domain_of(ends), "nice": False, "zero": False},
        "axis": {"title": "effect of the section (points)", "grid": True},
    }
    labels = list(dict.fromkeys(row["label"] for row in rows))
    y = names_axis("label", labels, 380)
    offset = {"yOffset": field("what", "nominal", sort=None, scale={"domain": kinds})}
    colours = ["@ink", *(f"@c{place % 10}" for place in range(len(kinds) - 1))]
    colour = field(
        "what",
        "nominal",
        scale={"domain": kinds, "range": colours},
        legend={"title": None, "orient": "top", "columns": 4, "symbolLimit": 20},
    )
    tips = tooltip(SECTIONS)
    return chart_spec(
        {"mark": {"type": "rule", "color": "@soft"}, "encoding": {"x": {"datum": 0, **x}}},
        layer(
            {"type": "rule", "strokeWidth": 2}, "isValid(datum.low)",
            y=y, x=field("low", **x), x2={"field": "high"}, color=colour, tooltip=tips, **offset,
        ),
        layer(
            {"type": "point", "filled": True, "size": 60, "opacity": 1}, "isValid(datum.points)",
            y=y, x=field("points", **x), color=colour, tooltip=tips, **offset,
        ),
        height=max(20, 12 * len(kinds) + 8) * len(labels),
    )  # fmt: skip

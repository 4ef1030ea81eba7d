"""Every candidate of the trials shown, by step: which were taken and which were not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nullgrad.surfaces.charts.base import (
    Chart,
    Column,
    Row,
    Table,
    chart_spec,
    domain_of,
    field,
    layer,
    percent,
    tooltip,
    whole,
)

COLUMNS = (
    Column("arm", "arm"),
    Column("trial", "trial", "count"),
    Column("at", "step", "count"),
    Column("variant", "variant"),
    Column("score", "validation (%)", "percent"),
    Column("fate", "what became of it"),
)
TAKEN, PASSED, CURRENT = "taken", "passed over", "the current prompt"


def candidates_chart(name: str, title: str, candidates: Sequence[Row]) -> Chart | None:
    """Candidates scored on validation; None where there is none."""
    rows = [
        {
            "arm": one["arm"], "trial": one["trial"], "at": one["step"],
            "variant": "current" if one["variant"] < 0 else str(one["variant"]), "score": percent(one["validation"]),
            "fate": TAKEN if one["taken"] else CURRENT if one["variant"] < 0 else PASSED,
        }
        for one in candidates
        if one["validation"] is not None
    ]  # fmt: skip
    if not rows:
        return None
    x = whole((row["at"] for row in rows), "step")
    y: dict[str, Any] = {
        "scale": {"domain": domain_of([row["score"] for row in rows]), "nice": False, "zero": False},
        "axis": {"title": "mean score on validation (%)", "grid": True},
    }  # fmt: skip
    names = [TAKEN, PASSED, CURRENT]
    legend = {"title": None, "orient": "bottom"}
    spec = chart_spec(
        layer(
            {"type": "point", "filled": True, "size": 60, "opacity": 0.85}, x=x, y=field("score", **y),
            color=field("fate", "nominal", scale={"domain": names, "range": ["@good", "@soft", "@equal"]}, legend=legend),
            shape=field("fate", "nominal", scale={"domain": names, "range": ["circle", "cross", "diamond"]}, legend=legend),
            tooltip=tooltip(COLUMNS),
        ),
        height=240,
    )  # fmt: skip
    taken = sum(row["fate"] == TAKEN for row in rows)
    summary = (
        f"{len(rows)} scores on validation, of {taken} prompts that were taken and the rest. A step scores the current prompt "
        "with its variants where that is a candidate; scores that chose are too high."
    )
    return Chart(Table(name, title, COLUMNS, tuple(rows)), spec, summary, 420)

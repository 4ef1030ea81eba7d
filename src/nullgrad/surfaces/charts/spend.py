"""What it cost, by role."""

from __future__ import annotations

from collections.abc import Sequence

from nullgrad.surfaces.charts.base import (
    Chart,
    Column,
    Row,
    Table,
    chart_spec,
    field,
    layer,
    names_axis,
    tooltip,
)

COLUMNS = (
    Column("role", "role"),
    Column("what", "tokens"),
    Column("tokens", "number", "count"),
)
TABLE = (
    Column("role", "role"),
    Column("model", "model"),
    Column("replies", "replies paid for", "count"),
    Column("failed", "failed", "count"),
    Column("prompt_tokens", "prompt tokens", "count"),
    Column("completion_tokens", "completion tokens", "count"),
    Column("usd", "dollars", "number"),
    Column("tokens_per_point", "tokens per point", "count"),
    Column("usd_per_point", "dollars per point", "number"),
)


def spend_chart(name: str, replies: Sequence[Row]) -> Chart | None:
    """Tokens by role; None where none were counted."""
    several = len({one["role"] for one in replies}) < len(replies)
    rows = [
        {
            "role": f"{one['role']}, {one['model']}" if several else one["role"],
            "what": what,
            "tokens": one[key],
        }
        for one in replies
        for what, key in (("prompt", "prompt_tokens"), ("completion", "completion_tokens"))
    ]
    total = sum(row["tokens"] for row in rows)
    if not total:
        return None
    summary = f"{total:,} tokens were paid for: " + "; ".join(
        f"{one['role']}{', ' + one['model'] if several else ''} {one['prompt_tokens'] + one['completion_tokens']:,}"
        for one in replies
    )
    colour = field(
        "what", "nominal", scale={"domain": ["prompt", "completion"], "range": ["@c0", "@c1"]},
        legend={"title": "tokens", "orient": "top"},
    )  # fmt: skip
    spec = chart_spec(
        layer(
            {"type": "bar", "height": 16}, y=names_axis("role", (row["role"] for row in rows)),
            x=field("tokens", axis={"title": "tokens", "format": "~s", "grid": True}, stack="zero"), color=colour,
            order={"field": "what", "sort": "descending"}, tooltip=tooltip(COLUMNS),
        ),
        height=32 * len({row["role"] for row in rows}),
    )  # fmt: skip
    return Chart(Table(name, "Tokens by role", COLUMNS, tuple(rows)), spec, f"{summary}.", 420)

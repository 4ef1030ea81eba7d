"""What people's blind ratings say of a run's prompts, as a section of its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nullgrad.surfaces.charts.base import Column, Row
from nullgrad.surfaces.html.blocks import Block, Section, WordTable, table_of
from nullgrad.surfaces.rating_text import agreement_sentence, kinds_sentence

Value = Mapping[str, Any]

SHRUNK = "Some prompt always won or lost: each got a draw with an average prompt."


def rating_section(ratings: Value | None) -> list[Section]:
    """One table a question with agreement and the test of the two kinds; none where nobody has rated.

    Args:
        ratings: what `RatingSummary.to_dict` gives.
    """
    if ratings is None:
        return []
    who = ", ".join(f"{one['rater']} ({one['rated']} of {ratings['tasks']})" for one in ratings["raters"])
    blocks = [Block("text", f"Rated blindly, {ratings['mode']}: {who}; {ratings['comments']} comments.")]
    for place, question in enumerate(ratings["questions"]):
        blocks += [
            Block("words", WordTable(_table(ratings, question, place), {})),
            *([Block("note", SHRUNK)] if question["shrunk"] else []),
            Block("text", agreement_sentence(question)),
            Block("text", kinds_sentence(question)),
        ]
    return [Section("ratings", "Ratings by people", tuple(blocks))]


def _table(ratings: Value, question: Value, place: int) -> Any:
    pairwise = ratings["mode"] == "pairwise"
    score = (
        Column("score", "beats an average prompt", "percent")
        if pairwise
        else Column("score", "mean, 1 to 5", "number")
    )
    columns = (
        Column("prompt", "prompt"),
        Column("origins", "from"),
        Column("kind", "wins by"),
        score,
        Column("n", "comparisons" if pairwise else "raters", "count"),
    )
    rows = [
        _row(item, row, pairwise) for item, row in zip(ratings["items"], question["prompts"], strict=True)
    ]
    return table_of(
        f"ratings-{place + 1}",
        question["words"],
        columns,
        sorted(rows, key=lambda row: -1.0 if row["score"] is None else row["score"], reverse=True),
    )


def _row(item: Value, row: Value, pairwise: bool) -> Row:
    value = row["share" if pairwise else "mean"]
    known = None if isinstance(value, Mapping) else 100 * value if pairwise else value
    return {
        "prompt": item["text"],
        "origins": ", ".join(item["origins"]),
        "kind": item["kind"],
        "score": known,
        "n": row["comparisons" if pairwise else "raters"],
    }

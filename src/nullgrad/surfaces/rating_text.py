"""What ratings say, in a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import exp
from typing import Any, TextIO

from nullgrad.surfaces.tables import Row

Value = Mapping[str, Any]


def print_ratings(value: Value, stream: TextIO) -> None:
    """A table for each question, agreement, and the test of the two kinds.

    Args:
        value: what `RatingSummary.to_dict` gives.
        stream: where to.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(file=stream, highlight=False)
    who = ", ".join(f"{one['rater']} {one['rated']} of {value['tasks']}" for one in value["raters"])
    console.print(f"Run {value['run']}, {value['mode']}: {who}; {value['comments']} comments.", markup=False)
    for question in value["questions"]:
        table = Table(title=question["words"], title_justify="left", box=None, pad_edge=False)
        pairwise = value["mode"] == "pairwise"
        names = (
            "prompt",
            "from",
            "kind",
            "beats an average prompt" if pairwise else "mean (1 to 5)",
            "95 %",
            "n",
        )
        for name in names:
            table.add_column(name, justify="right" if name in (names[3], "95 %", "n") else "left")
        for item, row in sorted(
            zip(value["items"], question["prompts"], strict=True), key=lambda one: -_number(one[1], pairwise)
        ):
            table.add_row(*_cells(item, row, pairwise))
        console.print(table)
        if question["shrunk"]:
            console.print(
                "Some prompt always won or lost: each got a draw with an average prompt.", markup=False
            )
        console.print(agreement_sentence(question), markup=False)
        console.print(kinds_sentence(question), markup=False)
        console.print()


def agreement_sentence(question: Value) -> str:
    """How far raters agree, in a sentence."""
    agreed = question["agreement"]
    return (
        f"Agreement (Krippendorff's α, ordinal): {_told(agreed['alpha'])} {_ends(agreed['interval'])} "
        f"over {agreed['units']} by {agreed['raters']}."
    )


def kinds_sentence(question: Value) -> str:
    """Whether prompts that win by prevalence are rated worse, in a sentence."""
    kinds = question["kinds"]
    what = f"{kinds['n'][0]} prompts that win by {kinds['first']} against {kinds['n'][1]} that win by {kinds['second']}"
    if isinstance(kinds["p"], Mapping):
        return f"{what}: {kinds['p']['not_estimable']}."
    return (
        f"{what}: means {_told(kinds['means'][0])} and {_told(kinds['means'][1])}, difference {_told(kinds['difference'])}; "
        f"p = {kinds['p']:.3g} that the first are rated lower (the smallest possible is {kinds['attainable']:.3g})."
    )


def _cells(item: Value, row: Row, pairwise: bool) -> list[str]:
    from rich.markup import escape

    text = re.sub(r"\s+", " ", item["text"])
    head = text[:48] + ("…" if len(text) > 48 else "")
    if pairwise:
        known = not isinstance(row["share"], Mapping)
        ends = () if isinstance(row["interval"], Mapping) else row["interval"]
        interval = f"[{', '.join(f'{100 / (1 + exp(-end)):.0f}' for end in ends)}]" if ends else ""
        shown = [f"{100 * row['share']:.0f} %" if known else "–", interval, str(row["comparisons"])]
    else:
        shown = [_told(row["mean"]), _ends(row["interval"]), str(row["raters"])]
    return [escape(one) for one in (head, ", ".join(item["origins"]), item["kind"], *shown)]


def _number(row: Row, pairwise: bool) -> float:
    value = row["share" if pairwise else "mean"]
    return -1.0 if isinstance(value, Mapping) else float(value)


def _told(value: Any) -> str:
    return "not estimable" if isinstance(value, Mapping) else f"{value:.2f}"


def _ends(value: Any) -> str:
    return "" if isinstance(value, Mapping) else f"[{value[0]:.2f}, {value[1]:.2f}]"

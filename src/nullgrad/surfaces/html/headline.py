"""The answer of a result: one sentence, and one number with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nullgrad.surfaces.charts.base import MINUS, signed

Value = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Headline:
    """What stands first.

    Attributes:
        word: the recommendation, "" for studies.
        sentence: in words.
        value: the number as shown.
        interval: with its level, "" where there is none.
        of: what the number is.
        tone: `switch`, `keep`, `unsure`, `good` or "".
    """

    word: str
    sentence: str
    value: str
    interval: str
    of: str
    tone: str


def of_optimization(report: Value) -> Headline:
    """The recommendation and the sealed-test gain."""
    gain = report["test"]["gain"]
    word = str(report["recommendation"])
    return Headline(
        word,
        str(report["reason"]),
        "not estimable" if gain["points"] is None else f"{signed(gain['points'])} points",
        _ends(gain["ci95"], 0.95),
        f"gain of this run's best prompt over the seed prompt on {gain['pairs']} sealed test examples",
        {"switch": "switch", "keep": "keep"}.get(word, "unsure"),
    )


def of_study(report: Value) -> Headline:
    """How many predictions hold, and the first contrast that the study declares: against the seed prompt if there is one."""
    tables = report["tables"]
    contrasts = [
        row
        for row in tables["contrasts"]
        if row["role"] == "declared" and row["difference_points"] is not None
    ]
    first = next((row for row in contrasts if row["second"] == "seed"), contrasts[0] if contrasts else None)
    sentence = _sentence(report)
    if first is not None:
        low, high = first["low_points"], first["high_points"]
        which = (
            "the first declared contrast with the seed prompt"
            if first["second"] == "seed"
            else "the first contrast that the study declares"
        )
        where = f" in {first['cell']}" if len(report["cells"]) > 1 else ""
        return Headline(
            "",
            sentence,
            f"{signed(first['difference_points'])} points",
            _ends(None if low is None else (low, high), first["level"]),
            f"{first['first']} against {first['second']}{where}, difference of mean test scores: {which}",
            {"supported": "good", "contradicted": "unsure"}.get(str(first["verdict"]), "unsure"),
        )
    for row in tables["arms"]:
        if row["arm"] != "seed" and row["mean"] is not None:
            low, high = row["low"], row["high"]
            return Headline(
                "",
                sentence,
                f"{100 * row['mean']:.1f} %",
                _ends(None if low is None else (100 * low, 100 * high), 0.95),
                f"mean test score of {row['arm']}, the study's first arm",
                "unsure",
            )
    return Headline("", sentence, "no number yet", "", "no trial is complete", "unsure")


def of_comparison(report: Value) -> Headline:
    """What may be said of the best, and the sealed gain of the highest."""
    found = report["crown"]
    own = next((row for row in report["tables"]["entries"] if row["entry"] == found["highest"]), None)
    if own is None:
        return Headline("", str(found["text"]), "no number yet", "", "no block is complete", "unsure")
    low, high = own["sealed_low_points"], own["sealed_high_points"]
    return Headline(
        "",
        str(found["text"]),
        f"{signed(own['sealed_points'])} points",
        _ends(None if low is None else (low, high), 0.95),
        f"mean gain of {own['optimizer']} over the seed prompt on {report['test_examples']} sealed test examples; picked "
        "because it is the highest, so that it is over-stated on average",
        "good" if found["best"] else "unsure",
    )


def _sentence(report: Value) -> str:
    verdicts = Counter(row["verdict"] for row in report["tables"]["verdicts"])
    if verdicts:
        total = sum(verdicts.values())
        return (
            f"Of {_count(total, 'prediction')} of the gradient hypothesis that this study tests, "
            f"{verdicts['holds']} {'holds' if verdicts['holds'] == 1 else 'hold'}, {verdicts['fails']} "
            f"{'fails' if verdicts['fails'] == 1 else 'fail'} and {verdicts['cannot tell']} cannot be told."
        )
    words = Counter(row["verdict"] for row in report["tables"]["contrasts"] if row["role"] == "declared")
    if words:
        return (
            f"Of {_count(sum(words.values()), 'declared contrast')}: "
            + ", ".join(
                f"{words[word]} {word}" for word in ("supported", "contradicted", "equal", "cannot tell")
            )
            + "."
        )
    return "The study declares no contrast: it describes its arms and tests nothing."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _ends(ends: Any, level: float | None) -> str:
    if not ends:
        return "no interval"
    shown = f"{ends[0]:.1f} to {ends[1]:.1f}".replace("-", MINUS)
    return f"{100 * level:.4g} %: {shown}" if level is not None else shown

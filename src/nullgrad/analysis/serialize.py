"""Parts of a result as JSON values, and the one place that rounds them.

Scores, recalls and validation means are shares from 0 to 1; gains and effects are in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nullgrad.analysis.classes import ClassRow, Recall
from nullgrad.analysis.gain import Gain, PromptScore
from nullgrad.analysis.selection_report import SelectionReport
from nullgrad.analysis.stats.estimate import Estimate, NotEstimable
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.study.attribution import FreePart, Ladder
from nullgrad.core.facts import Spend, Tally

SPEND_KEYS = ("calls", "tokens", "usd", "seconds")
"""What differs between a run and its replay; everything else is the same."""

PLACES = 6
"""Decimal places: noise of the last bits would make the same result differ."""


def share(value: float | None) -> float | None:
    """A share, None where unknown."""
    return None if value is None else round(value, PLACES)


def points(value: float | None) -> float | None:
    """A share in points, None where unknown."""
    return None if value is None else round(100 * value, PLACES)


def _points(interval: Interval | None) -> list[float] | None:
    return (
        None if interval is None else [round(100 * interval.low, PLACES), round(100 * interval.high, PLACES)]
    )


def _shares(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [round(interval.low, PLACES), round(interval.high, PLACES)]


def tally_dict(tally: Tally) -> dict[str, int]:
    """Outcomes by what became of them."""
    value = {"scored": tally.scored, "unparsed": tally.unparsed, "failed": tally.failed}
    return {**value, "ungraded": tally.ungraded} if tally.ungraded else value


def score_dict(score: PromptScore) -> dict[str, Any]:
    """One prompt on the sealed test."""
    return {
        "score": share(score.score),
        "ci95": _shares(score.interval),
        "outcomes": tally_dict(score.outcomes),
    }


def gain_dict(gain: Gain | None) -> dict[str, Any]:
    """Best over seed; every key is there without a gain, too."""
    return {
        "points": None if gain is None else points(gain.mean),
        "ci95": None if gain is None else _points(gain.interval),
        "p_mcnemar": None if gain is None else share(gain.p),
        "pairs": 0 if gain is None else gain.pairs,
        "gained": 0 if gain is None else gain.gained,
        "lost": 0 if gain is None else gain.lost,
    }


def class_dicts(rows: Sequence[ClassRow], slot: int) -> dict[str, Any]:
    """Recall by label of one slot."""
    return {
        row.label: {"n": row.n, "seed": _recall_dict(row.seed), "best": _recall_dict(row.best)}
        for row in rows
        if row.slot == slot
    }


def _recall_dict(recall: Recall) -> dict[str, Any]:
    return {
        "recall": share(recall.recall),
        "ci95": _shares(recall.interval),
        "predicted": recall.predicted,
    }


def free_dict(free: FreePart | None) -> dict[str, Any] | None:
    """What the scored candidates show."""
    if free is None:
        return None
    return {
        "candidates": free.candidates,
        "distinct": free.distinct,
        "validation_examples": free.examples,
        "validation_seed": share(free.current),
        "validation_blind_draw": share(free.blind),
        "validation_chosen_cross_fitted": share(free.chosen),
        "validation_guarded_cross_fitted": share(free.guarded),
        "validation_claimed": share(free.claimed),
        "choosing_points": points(free.choosing),
        "guard_points": points(free.guard),
    }


def selection_dict(report: SelectionReport | None) -> dict[str, Any] | None:
    """The winner's selection score beside what corrects it; every key is there where it is not estimable, too."""
    if report is None:
        return None
    first = report.first

    def of(value: Estimate) -> float | None:
        return None if isinstance(value, NotEstimable) else share(value)

    found = None if isinstance(first, NotEstimable) else first
    return {
        "labels": report.labels,
        "adaptive": report.adaptive,
        "steps": report.steps,
        "trials": report.trials,
        "first_step": {
            "candidates": 0 if found is None else found.candidates,
            "validation_examples": 0 if found is None else found.examples,
            "claimed": None if found is None else share(found.claimed),
            "corrected": None if found is None else of(found.corrected),
            "out_of_bag": None if found is None else of(found.out_of_bag),
            "inflation_points": None if found is None else points(found.inflation),
            "not_estimable": first.reason if isinstance(first, NotEstimable) else "",
        },
        "final_claimed": share(report.final_claimed),
        "final_test": share(report.final_test),
    }


def ladder_dict(ladder: Ladder | None) -> dict[str, Any] | None:
    """Attribution over blocks."""
    if ladder is None:
        return None
    return {
        "blocks": ladder.blocks,
        "reason": ladder.reason,
        "steps": [
            {
                "ingredient": step.ingredient,
                "arm": step.arm,
                "score": share(step.score),
                "points": points(step.effect),
                "ci95": _points(step.interval),
                "ci95_simultaneous": _points(step.simultaneous),
                "detectable_points": points(step.detectable),
                "told": step.told,
                "missing": step.missing,
                "missing_decides": step.missing_decides,
            }
            for step in ladder.steps
        ],
        "side_arms": [
            {"arm": arm, "points_to_main": points(mean), "ci95": _points(interval)}
            for arm, mean, interval in ladder.sides
        ],
    }


def spend_dict(spend: Spend) -> dict[str, Any]:
    """What a command asked and paid: the keys `SPEND_KEYS`."""
    return {
        "calls": {
            "paid": spend.paid,
            "replayed": spend.replayed,
            "joined": spend.joined,
            "failed": spend.failed,
            "retried": spend.retried,
            "asked": dict(spend.by_role),
        },
        "tokens": {
            "prompt": spend.prompt_tokens,
            "completion": spend.completion_tokens,
            "cached": spend.cached_tokens,
            "uncounted_calls": spend.uncounted,
        },
        "usd": spend.usd,
        "seconds": round(spend.seconds, 3),
    }

"""The result as JSON values: the contract of `--json`.

Scores, recalls and validation means are shares from 0 to 1; gains and effects are in points.
"""

from __future__ import annotations

from typing import Any

from nullgrad.analysis.attribution import FreePart, Ladder
from nullgrad.analysis.classes import Recall
from nullgrad.analysis.intervals import Interval
from nullgrad.analysis.result import OptimizeResult, PromptScore
from nullgrad.core.facts import Tally

SPEND_KEYS = ("calls", "tokens", "usd", "seconds")
"""What differs between a run and its replay; everything else is the same."""


def _points(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [_round(100 * interval.low), _round(100 * interval.high)]


def _shares(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [_round(interval.low), _round(interval.high)]


def _round(value: float) -> float:
    return round(value, 6)


def _tally_dict(tally: Tally) -> dict[str, int]:
    return {"scored": tally.scored, "unparsed": tally.unparsed, "failed": tally.failed}


def _score_dict(score: PromptScore) -> dict[str, Any]:
    return {
        "score": _round(score.score),
        "ci95": _shares(score.interval),
        "outcomes": _tally_dict(score.outcomes),
    }


def _recall_dict(recall: Recall) -> dict[str, Any]:
    return {
        "recall": None if recall.recall is None else _round(recall.recall),
        "ci95": _shares(recall.interval),
        "predicted": recall.predicted,
    }


def _class_dicts(result: OptimizeResult, slot: int) -> dict[str, Any]:
    return {
        row.label: {"n": row.n, "seed": _recall_dict(row.seed), "best": _recall_dict(row.best)}
        for row in result.classes
        if row.slot == slot
    }


def result_dict(result: OptimizeResult) -> dict[str, Any]:
    """See `OptimizeResult.to_dict`."""
    gain, spend = result.gain, result.spend
    total = sum((tally for _, tally in result.outcomes), Tally())
    return {
        "run": result.run,
        "nullgrad": result.version,
        "task": result.task,
        "arm": result.arm,
        "steps": result.steps,
        "batch_size": result.batch_size,
        "trials": result.trials,
        "controls": result.controls,
        "seed": result.seed,
        "models": dict(result.models),
        "simulated": list(result.simulated),
        "constrained": result.constrained,
        "pack": result.pack,
        "seed_prompt": result.seed_prompt,
        "best_prompt": result.best_prompt,
        "format": result.format,
        "layout": [{"role": role, "text": text} for role, text in result.layout],
        "recommendation": result.recommendation,
        "reason": result.reason,
        "warnings": list(result.warnings),
        "test": {
            "seed": _score_dict(result.seed_test),
            "best": _score_dict(result.best_test),
            "gain": {
                "points": None if gain is None else _round(100 * gain.mean),
                "ci95": None if gain is None else _points(gain.interval),
                "p_mcnemar": None if gain is None or gain.p is None else _round(gain.p),
                "pairs": 0 if gain is None else gain.pairs,
                "gained": 0 if gain is None else gain.gained,
                "lost": 0 if gain is None else gain.lost,
            },
            "readings": result.test_readings,
            "resolvable_points": _round(result.forecast_resolvable),
        },
        "classes": _class_dicts(result, 0) if result.slots == 1 else {},
        "slots": [_class_dicts(result, slot) for slot in range(result.slots)] if result.slots > 1 else [],
        "attribution": {"free": _free_dict(result.free), "ladder": _ladder_dict(result.ladder)},
        "trial": result.trial,
        "trial_prompts": [
            {"prompt": prompt, "validation": None if mean is None else _round(mean)}
            for prompt, mean in result.trial_prompts
        ],
        "outcomes": {**_tally_dict(total), **{split: _tally_dict(tally) for split, tally in result.outcomes}},
        "unparsed_proposals": dict(result.unparsed_proposals),
        "unparsed_replies": list(result.unparsed_replies),
        "complete": result.complete,
        "stopped": result.stopped,
        "notes": list(result.notes),
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


def _free_dict(free: FreePart | None) -> dict[str, Any] | None:
    if free is None:
        return None
    return {
        "candidates": free.candidates,
        "validation_seed": None if free.current is None else _round(free.current),
        "validation_blind_draw": _round(free.blind),
        "validation_chosen_cross_fitted": _round(free.chosen),
        "validation_claimed": _round(free.claimed),
        "choosing_points": _round(100 * free.choosing),
    }


def _ladder_dict(ladder: Ladder | None) -> dict[str, Any] | None:
    if ladder is None:
        return None
    return {
        "blocks": ladder.blocks,
        "reason": ladder.reason,
        "steps": [
            {
                "ingredient": step.ingredient,
                "arm": step.arm,
                "score": _round(step.score),
                "points": None if step.effect is None else _round(100 * step.effect),
                "ci95": _points(step.interval),
                "ci95_simultaneous": _points(step.simultaneous),
                "detectable_points": None if step.detectable is None else _round(100 * step.detectable),
                "told": step.told,
            }
            for step in ladder.steps
        ],
        "side_arms": [
            {"arm": arm, "points_to_main": _round(100 * mean), "ci95": _points(interval)}
            for arm, mean, interval in ladder.sides
        ],
    }

"""Parts of an audit report as JSON values. Scores and recalls are shares from 0 to 1, differences are points."""

from __future__ import annotations

from typing import Any

from nullgrad.analysis import serialize
from nullgrad.analysis.audit.ablation import Ablation, Effect, Flip, SectionEffect
from nullgrad.analysis.audit.findings import (
    CurvePoint,
    FreshRun,
    LeakReport,
    MadeCurve,
    RuleFinding,
    RuleTest,
    Shortest,
)
from nullgrad.analysis.stats.intervals import Interval


def fresh_dict(fresh: FreshRun | None) -> dict[str, Any] | None:
    """A new run of both prompts."""
    if fresh is None:
        return None
    return {
        "group": fresh.group,
        "examples": fresh.examples,
        "before": serialize.score_dict(fresh.before),
        "after": serialize.score_dict(fresh.after),
        "gain": serialize.gain_dict(fresh.gain),
        "predictions": None if fresh.predictions is None else fresh.predictions.to_dict(),
    }


def curve_dict(curve: MadeCurve | None) -> dict[str, Any] | None:
    """Both prompts over the share of a class."""
    if curve is None:
        return None
    return {
        "label": curve.label,
        "slot": curve.slot + 1,
        "points": [_point(one) for one in curve.points],
        "crossings": [serialize.share(one) for one in curve.crossings],
        "slot_crossings": [serialize.share(one) for one in curve.slot_crossings],
    }


def _point(one: CurvePoint) -> dict[str, Any]:
    return {
        "share": one.share,
        "examples": one.examples,
        "before": serialize.score_dict(one.before),
        "after": serialize.score_dict(one.after),
        "gain": serialize.gain_dict(one.gain),
        "slot_before": _slot(one.slot_before),
        "slot_after": _slot(one.slot_after),
    }


def _slot(value: tuple[float, Interval | None] | None) -> dict[str, Any] | None:
    return None if value is None else {"score": serialize.share(value[0]), "ci95": _ends(value[1], 1)}


def ablation_dict(ablation: Ablation | None) -> dict[str, Any] | None:
    """What each section does."""
    if ablation is None:
        return None
    both = ablation.interaction
    return {
        "on": "validation",
        "examples": ablation.examples,
        "repeats": ablation.repeats,
        "full": serialize.share(ablation.full),
        "sections": [_section(one) for one in ablation.sections],
        "interaction": None
        if both is None
        else {
            "sections": [number + 1 for number in both.sections],
            "without_both": serialize.share(both.both),
            "effect": effect_dict(both.effect),
        },
        "variants": [
            {"name": name, "characters": characters, "score": serialize.share(score)}
            for name, characters, score in ablation.variants
        ],
        "missing": ablation.lost,
    }


def effect_dict(effect: Effect) -> dict[str, Any]:
    """A difference in points."""
    return {
        "points": serialize.points(effect.mean),
        "ci95": _ends(effect.interval, 100),
        "ci95_corrected": _ends(effect.corrected, 100),
        "told": effect.told,
        "n": effect.n,
    }


def _section(one: SectionEffect) -> dict[str, Any]:
    return {
        "number": one.section.number + 1,
        "text": one.section.text.strip(),
        "effect": effect_dict(one.effect),
        "classes": [
            {"slot": row.slot + 1, "label": row.label, "recall": effect_dict(row.recall)}
            for row in one.classes
        ],
        "score_alone": serialize.share(one.alone),
        "score_without": serialize.share(one.without),
        "right_to_wrong": one.flipped,
        "right_to_wrong_by_class": dict(one.flipped_by_class),
        "wrong_to_right": one.rescued,
        "transcripts": [flip_dict(flip, "without the section") for flip in one.flips],
    }


def flip_dict(flip: Flip, other: str) -> dict[str, Any]:
    """An example that turned wrong; `other` says what it was right with."""
    return {
        "example": flip.example,
        "target": flip.target,
        "repeats": flip.repeats,
        "input": flip.input,
        "answer": flip.answer,
        "reply": flip.reply,
        "right": other,
        "right_answer": flip.answer_without,
        "right_reply": flip.reply_without,
    }


def shortest_dict(one: Shortest | None) -> dict[str, Any] | None:
    """The shortest prompt within the margin."""
    if one is None:
        return None
    return {
        "name": one.name,
        "prompt": one.prompt,
        "characters": one.characters,
        "full_characters": one.full_characters,
        "validation": serialize.share(one.validation),
        "full_validation": serialize.share(one.full_validation),
        "test": None if one.test is None else serialize.score_dict(one.test),
        "over_after": serialize.gain_dict(one.gain),
    }


def rule_dict(found: RuleFinding) -> dict[str, Any]:
    """A suspicious rule."""
    rule = found.rule
    return {
        "section": rule.section + 1,
        "sentence": rule.sentence,
        "words": list(rule.words),
        "direction": rule.direction,
        "labels": list(rule.labels),
        "new": found.new,
        "counterexamples": [_rule_test(one) for one in found.tests],
    }


def _rule_test(one: RuleTest) -> dict[str, Any]:
    return {
        "slot": one.slot + 1,
        "count": one.count,
        "truth": "solver" if one.solved else "target",
        "recall_before": serialize.share(one.before),
        "recall_after": serialize.share(one.after),
        "change": serialize.gain_dict(one.gain),
        "transcripts": [flip_dict(flip, "with the before prompt") for flip in one.broken],
    }


def leak_dict(leaks: LeakReport) -> dict[str, Any]:
    """Copied text and label words."""
    copied = leaks.copied
    return {
        "words": copied.words,
        "copied_words": copied.copied,
        "copied_share": serialize.share(copied.share),
        "passages": [
            {
                "text": one.text,
                "words": one.words,
                "split": one.split,
                "examples": list(one.examples),
                "count": one.count,
            }
            for one in copied.passages
        ],
        "labels": {label: {"before": before, "after": after} for label, before, after in leaks.labels},
    }


def _ends(interval: Interval | None, factor: float) -> list[float] | None:
    if interval is None:
        return None
    return [round(factor * interval.low, serialize.PLACES), round(factor * interval.high, serialize.PLACES)]

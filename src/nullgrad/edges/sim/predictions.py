"""Which predictions of the gradient hypothesis are true in which world, as data.

They hold for the default dials, five steps of three examples and arms that take the new prompt at once. A prediction is `true`
where the difference that it claims is at least one point in its direction, `false` where it is zero (exactly, by
construction) or goes the other way, and `not decidable` where it is smaller than a study would find, or where the world says
nothing about it. `true_difference` gives each difference with its Monte-Carlo error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Word = Literal["true", "false", "not decidable"]

BATTERY: Mapping[str, tuple[str, str]] = {
    "chain rule": ("gradient/correct/naive", "one-step/correct/naive"),
    "dependence on labels": ("gradient/correct/naive", "gradient/wrong/naive"),
    "dependence on an evaluation": ("gradient/correct/naive", "gradient/none/naive"),
    "need for examples": ("gradient/correct/naive", "improve/none/naive"),
    "no gain without examples": ("improve/none/naive", "seed"),
    "validation": ("gradient/correct/validated@3", "gradient/correct/naive"),
    "validation as a guard": ("gradient/correct/validated@1", "gradient/correct/naive"),
    "validation by drawing": ("gradient/correct/best@3", "gradient/correct/naive"),
    "validation labels": ("gradient/correct/validated@3", "gradient/correct/validated@3+wrong"),
}
"""Arms whose difference, first − second, a prediction is about. `no gain without examples` says that it is not above 0."""

BY_STEP: tuple[str, ...] = (
    "fit of true labels",
    "fit of shown labels",
    "overfitting",
    "improvement after two steps",
)
"""Predictions about one arm over its steps, see `true_curve`: of `gradient/correct/naive`, for shown labels of `gradient/wrong/naive`.
Those about the fit are for several epochs (20 steps of 3 of 15 training examples)."""

_ALL = (
    *BATTERY,
    *BY_STEP,
    "propagation through a critic",
    "a critic in place of labels",
)


def _world(true: str, open_: str = "") -> Mapping[str, Word]:
    """Every prediction by its word: these true, those not decidable (critics always), the rest false."""
    yes = _named(true)
    undecided = {*_named(open_), "propagation through a critic", "a critic in place of labels"}
    return {
        name: "true" if name in yes else "not decidable" if name in undecided else "false" for name in _ALL
    }


def _named(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


TRUTHS: Mapping[str, Mapping[str, Word]] = {
    "gradient": _world(
        "dependence on labels, dependence on an evaluation, need for examples, no gain without examples, fit of true labels, "
        "fit of shown labels, improvement after two steps, validation labels",
        "validation by drawing",
    ),
    "discovery": _world(
        "fit of true labels, improvement after two steps, validation, validation by drawing, validation labels"
    ),
    "prevalence": _world(
        "improvement after two steps, validation, validation by drawing, validation labels",
        "fit of true labels, fit of shown labels, overfitting, validation as a guard",
    ),
    "threshold": _world(
        "fit of true labels, improvement after two steps, validation by drawing, validation labels",
        "validation, overfitting",
    ),
    "null": _world("no gain without examples"),
    "overfit": _world("no gain without examples, fit of true labels, fit of shown labels, overfitting"),
    "chain": _world(
        "chain rule, dependence on labels, dependence on an evaluation, need for examples, no gain without examples, "
        "fit of true labels, improvement after two steps, validation labels",
        "validation by drawing",
    ),
}
"""By world and prediction (the keys of `analysis.verdicts.PREDICTIONS`)."""


def declared_truth(world: str, prediction: str) -> Word:
    """What is true of a prediction in a world with its default dials; of a mixture always `not decidable`.

    Args:
        world: its name.
        prediction: a key of `analysis.verdicts.PREDICTIONS`.
    """
    return TRUTHS.get(world, {}).get(prediction, "not decidable")

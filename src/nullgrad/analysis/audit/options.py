"""The options of an audit of predictions, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from nullgrad.analysis.audit.input import NOTHING, Answers, Predictions, encode, label_text, named
from nullgrad.core.task import UnparsedPolicy
from nullgrad.errors import UserError

Lacking = Literal["error", "cross-fit"]


def given_validation(given: Predictions | Sequence[Any] | None) -> Predictions | None:
    if given is None or isinstance(given, Predictions):
        return given
    if isinstance(given, str) or not 3 <= len(given) <= 5:
        raise UserError(
            "validation is not (y_true, before, after), with before_scores and after_scores behind them if there are any.",
            NOTHING,
            "Give these columns, or nullgrad.Predictions.",
        )
    return Predictions(*given)


def fit_rows(
    pairs: Answers,
    other: Predictions | None,
    labels: tuple[str, ...],
    unparsed: UnparsedPolicy,
    lacking: Lacking,
) -> tuple[Answers, Answers | None, tuple[str, ...]]:
    """The pairs, what relabellings and biases are fitted on, None to cross-fit, and what there is to say of it.

    The pairs lose log-probabilities of which validation has nothing but NaN.
    """
    if other is None:
        return pairs, None, ()
    fit = encode(other, labels, unparsed, "validation's ")
    if fit.truth.shape[1] != pairs.truth.shape[1]:
        raise UserError(
            f"validation's answers have {fit.truth.shape[1]} slots and the examples' have {pairs.truth.shape[1]}.",
            NOTHING,
            "Give answers to the same task.",
        )
    absent = [
        labels[code] + (f" (slot {slot + 1})" if pairs.truth.shape[1] > 1 else "")
        for slot in range(pairs.truth.shape[1])
        for code in np.setdiff1d(pairs.truth[:, slot], fit.truth[:, slot])
    ]
    if absent:
        line = f"validation has no example of {named(absent)}"
        if lacking == "cross-fit":
            return pairs, None, (f"Relabellings are cross-fitted: {line}.",)
        raise UserError(
            f"{line}.",
            "A relabelling fitted there could never answer so. " + NOTHING,
            "Leave validation out to cross-fit, or say lacking='cross-fit'.",
        )
    for name in ("before_scores", "after_scores"):
        if getattr(pairs, name) is not None and getattr(other, name) is None:
            raise UserError(
                f"There are {name}, but validation comes without.",
                NOTHING,
                f"Give validation's {name}, or leave validation out to cross-fit.",
            )
    notes = []
    line = "have nothing but NaN: there is no bias-fitted benchmark to be made of them."
    if pairs.before_scores is not None and fit.before_scores is None:
        pairs = replace(pairs, before_scores=None)
        notes.append(f"validation's before_scores {line}")
    if pairs.after_scores is not None and fit.after_scores is None:
        pairs = replace(pairs, after_scores=None)
        notes.append(f"validation's after_scores {line}")
    return pairs, fit, tuple(notes)


def declared_prior(prior: Mapping[Any, float] | None, labels: tuple[str, ...]) -> dict[str, float] | None:
    if prior is None:
        return None
    shares = {label_text(label): float(share) for label, share in prior.items()}
    unknown = [label for label in shares if label not in labels]
    if unknown:
        raise UserError(
            f"prior has {unknown[0]!r}, which is not among the labels.", NOTHING, f"Use {named(labels)}."
        )
    total = sum(shares.values())
    if not all(share >= 0 for share in shares.values()) or not abs(total - 1) <= 1e-6:
        raise UserError(
            f"The shares of prior sum to {total:g}, or one is below 0.", NOTHING, "Give shares that sum to 1."
        )
    return {label: share / total for label, share in shares.items()}


def check_numbers(margin: float, level: float, resamples: int, seed: int) -> None:
    if not 0 < margin < 1:
        raise UserError(f"margin is {margin:g}.", NOTHING, "Give a share between 0 and 1, such as 0.05.")
    if not 0 < level < 1:
        raise UserError(f"level is {level:g}.", NOTHING, "Give a share between 0 and 1, such as 0.95.")
    if resamples < 1:
        raise UserError(f"resamples is {resamples}.", NOTHING, "Give 1 or more, such as 1000.")
    if seed < 0:
        raise UserError(f"seed is {seed}.", NOTHING, "Give 0 or more.")

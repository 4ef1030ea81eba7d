"""The audit of two prompts' answers: is the gain information, calibration or prevalence, and which class pays?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nullgrad.analysis.audit.decomposition import Decomposition, decompose
from nullgrad.analysis.audit.input import (
    MISSING,
    NOTHING,
    Answers,
    PredictionCounts,
    Predictions,
    encode,
    label_set,
    label_text,
    one_slot,
)
from nullgrad.analysis.audit.options import (
    Lacking,
    check_numbers,
    declared_prior,
    fit_rows,
    given_validation,
)
from nullgrad.analysis.audit.slot import Setup, SlotAudit, slot_audit, verdict_of
from nullgrad.analysis.audit.verdict import PREVALENCE_TYPE, AuditVerdict
from nullgrad.analysis.written import Written
from nullgrad.core.task import UnparsedPolicy
from nullgrad.errors import UserError

__all__ = [
    "MISSING",
    "PREVALENCE_TYPE",
    "AuditVerdict",
    "PredictionAudit",
    "PredictionCounts",
    "Predictions",
    "SlotAudit",
    "audit_predictions",
]

READ_ALIKE = 0.9
"""Agreement of the likeliest label with the answer below which the bias-fitted benchmark is said to be another reading of the prompt."""

WHOLE = 1_000
"""In the stream of whole tuples, where a slot's has the slot's number."""


@dataclass(frozen=True, slots=True)
class PredictionAudit(Written):
    """What two prompts' answers to the same examples show.

    Attributes:
        labels: the label set in its order.
        counts: of examples.
        fitted: where relabellings and biases were fitted: on `validation`, or `cross-fitted` on these examples.
        fitted_on: examples of the fit.
        slots: one for single answers, else one for each slot.
        decomposition: of the accuracy that the verdict is about: of the only slot, or of whole tuples.
        suppressed: (slot, label) of suppressed classes.
        verdict: of the change in accuracy.
        reason: why, one sentence.
        notes: what limits it, one sentence each; each slot has its own beside.
        identical: whether both prompts gave the same answer to every example.
        margin: as a share; level: of the intervals, 0 to 1.
        resamples, seed: of bootstrap and permutations.
    """

    labels: tuple[str, ...]
    counts: PredictionCounts
    fitted: Literal["validation", "cross-fitted"]
    fitted_on: int
    slots: tuple[SlotAudit, ...]
    decomposition: Decomposition
    suppressed: tuple[tuple[int, str], ...]
    verdict: AuditVerdict
    reason: str
    notes: tuple[str, ...]
    identical: bool
    margin: float
    level: float
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON values: accuracies, recalls and rates as shares, differences of them in points."""
        from nullgrad.analysis.audit.values import audit_dict

        return audit_dict(self)


def audit_predictions(
    y_true: Sequence[Any],
    before: Sequence[Any],
    after: Sequence[Any],
    *,
    labels: Sequence[Any] | None = None,
    validation: Predictions | Sequence[Any] | None = None,
    before_scores: Any = None,
    after_scores: Any = None,
    ordinal: bool = False,
    unparsed: UnparsedPolicy = "wrong",
    prior: Mapping[Any, float] | None = None,
    curve: Any = None,
    lacking: Lacking = "error",
    margin: float = 0.05,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    brief: bool = False,
) -> PredictionAudit:
    """Audit two prompts' answers to the same examples; asks no model.

    Args:
        y_true, before, after: labels (text or whole numbers), or tuples of them of one length. An answer of None is unparsed;
            `MISSING` or NaN is a failed call, and its pair is left out.
        labels: the label set in its order; without it the labels that occur, sorted.
        validation: `Predictions` on other examples, or (y_true, before, after[, before_scores, after_scores]); without it
            relabellings and biases are cross-fitted on the given examples.
        before_scores, after_scores: label log-probabilities, shape (examples, labels), of tuples (examples, slots, labels), in the
            order of `labels`; a row with NaN has none.
        ordinal: whether the order of the labels means something.
        unparsed: whether an unparsed answer is `wrong` (the default), or its pair left out (`exclude`).
        prior: {label: share} at which accuracy is re-weighted, besides the balanced one; of a tuple answer for every slot.
        curve: the class over whose share accuracy is drawn; without it the suppressed class of the greatest fall in recall, else the rarest
            estimable one.
        lacking: what to do where a class of these examples is missing from validation: an `error`, or `cross-fit` without validation.
        margin: difference in accuracy, as a share, below which a prompt is not better.
        level: of the intervals.
        resamples: of the bootstrap, and permutations.
        seed: of both, and of the folds.
        brief: whether the verdict alone counts, as in thousands of audits: no curve, and few permutations for the information.

    Raises:
        UserError: lengths or shapes differ, nothing to compare, a label not among `labels`, a class missing from validation.
    """
    check_numbers(margin, level, resamples, seed)
    rows = Predictions(y_true, before, after, before_scores, after_scores)
    other = given_validation(validation)
    if labels is None and (before_scores is not None or after_scores is not None):
        raise UserError(
            "There are log-probabilities, but no labels to say whose.",
            NOTHING,
            "Give labels in the order of the columns.",
        )
    names = label_set(labels, *((rows,) if other is None else (rows, other)))
    pairs = encode(rows, names, unparsed)
    share = declared_prior(prior, names)
    chosen = None if curve is None else label_text(curve)
    if chosen is not None and chosen not in names:
        raise UserError(f"curve is {chosen!r}, which is not among the labels.", NOTHING, "Give a label.")
    pairs, fit, notes = fit_rows(pairs, other, names, unparsed, lacking)
    setup = Setup(names, ordinal, share, chosen, margin, level, resamples, seed, brief, pairs.truth.shape[1])
    slots = tuple(
        slot_audit(slot, one_slot(pairs, slot), None if fit is None else one_slot(fit, slot), setup)
        for slot in range(pairs.truth.shape[1])
    )
    identical = bool((pairs.before == pairs.after).all())
    suppressed = tuple((one.slot, label) for one in slots for label in one.suppressed)
    if len(slots) == 1:
        whole, verdict, reason = slots[0].decomposition, slots[0].verdict, slots[0].reason
    else:
        stream = np.random.default_rng([seed, WHOLE])
        whole = decompose(
            pairs, names, validation=fit, seed=seed, stream=stream, resamples=resamples, level=level
        )
        called = [f"{label} (slot {slot + 1})" for slot, label in suppressed]
        doubtful = [f"{label} (slot {one.slot + 1})" for one in slots for label in one.doubtful]
        verdict, reason = verdict_of(pairs, whole, called, doubtful, identical, setup, stream)
    return PredictionAudit(
        names,
        pairs.counts,
        "cross-fitted" if fit is None else "validation",
        len(pairs.truth if fit is None else fit.truth),
        slots,
        whole,
        suppressed,
        verdict,
        reason,
        (*notes, *_notes(pairs, whole, identical)),
        identical,
        margin,
        level,
        resamples,
        seed,
    )


def _notes(rows: Answers, whole: Decomposition, identical: bool) -> tuple[str, ...]:
    counts, notes = rows.counts, []
    if identical:
        notes.append(f"The answers before and after are the same for all {counts.pairs} examples.")
    if counts.missing:
        notes.append(f"{counts.missing} of {counts.given} examples are left out since a call failed.")
    if counts.excluded:
        notes.append(
            f"{counts.excluded} of {counts.given} examples are left out since an answer is unparsed."
        )
    if whole.biased is None:
        notes.append(
            "Threshold shift not excluded: there are no label log-probabilities of the before prompt."
        )
        return tuple(notes)
    if whole.biased.scored < 1:
        lacking = round(counts.pairs * (1 - whole.biased.scored))
        notes.append(
            f"{lacking} of {counts.pairs} examples have no log-probabilities and keep their answer in the bias-fitted benchmark."
        )
    if whole.biased.agreement < READ_ALIKE:
        notes.append(
            f"The likeliest label is the before prompt's answer in {100 * whole.biased.agreement:.0f} % of the examples only: "
            "the bias-fitted benchmark is of another reading of it."
        )
    return tuple(notes)

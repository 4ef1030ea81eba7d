"""Answers from anywhere as arrays: labels as numbers, failed calls apart from unparsed answers, one clear line for every mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nullgrad.analysis.stats.estimate import Floats
from nullgrad.analysis.stats.resampling import Ints
from nullgrad.core.task import UnparsedPolicy
from nullgrad.errors import UserError

NOTHING = "Nothing was audited."

SHOWN = 8
"""Labels that a note names."""

FAILED = -1
"""The number of an answer whose call failed; labels are numbered from 0, an unparsed answer has the number K."""


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
"""In place of an answer whose call failed: the pair is left out and counted. NaN means the same."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers of two prompts to other examples, on which relabellings and biases are fitted.

    Attributes:
        y_true, before, after: labels, as of `audit_predictions`.
        before_scores, after_scores: log-probabilities, as of `audit_predictions`.
    """

    y_true: Sequence[Any]
    before: Sequence[Any]
    after: Sequence[Any]
    before_scores: Any = None
    after_scores: Any = None


@dataclass(frozen=True, slots=True)
class PredictionCounts:
    """What became of the examples.

    Attributes:
        given: examples.
        pairs: examples counted.
        missing: left out since a call failed, before or after.
        excluded: left out since an answer is unparsed, under the policy `exclude`.
        missing_before, missing_after: failed calls.
        unparsed_before, unparsed_after: unparsed answers (tuples: with any unparsed slot) among those not missing.
    """

    given: int
    pairs: int
    missing: int
    excluded: int
    missing_before: int
    missing_after: int
    unparsed_before: int
    unparsed_after: int


@dataclass(frozen=True, slots=True)
class Answers:
    """Encoded pairs, shape (pairs, slots) each.

    Attributes:
        truth: 0 to K − 1.
        before, after: 0 to K, K for unparsed.
        before_scores, after_scores: log-probabilities, shape (pairs, slots, K), or None.
        counts: what was left out.
        lost_truth, lost_before, lost_after: of the examples left out for a failed call, `FAILED` where it failed.
    """

    truth: Ints
    before: Ints
    after: Ints
    before_scores: Floats | None
    after_scores: Floats | None
    counts: PredictionCounts
    lost_truth: Ints
    lost_before: Ints
    lost_after: Ints


def label_text(value: Any) -> str:
    """A label as text; 1, 1.0 and NumPy's 1 are the same label."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def label_set(labels: Sequence[Any] | None, *answers: Predictions) -> tuple[str, ...]:
    """The labels in their order, or those that occur: numbers by size, other labels by name.

    Raises:
        UserError: a label is given twice, or there is none.
    """
    if labels is not None:
        found = tuple(label_text(label) for label in labels)
        twice = sorted({label for label in found if found.count(label) > 1})
        if twice:
            raise UserError(f"labels has {twice[0]!r} twice.", NOTHING, "Give each label once.")
    else:
        seen: set[str] = set()
        for rows in answers:
            for column in (rows.y_true, rows.before, rows.after):
                for answer in column:
                    slots = answer if _is_tuple(answer) else (answer,)
                    seen.update(label_text(one) for one in slots if one is not None and not _is_missing(one))
        found = tuple(sorted(seen, key=_order))
    if not found:
        raise UserError("There is nothing to compare: no label occurs.", NOTHING, "Give labelled examples.")
    return found


def encode(rows: Predictions, labels: tuple[str, ...], unparsed: UnparsedPolicy, where: str = "") -> Answers:
    """Numbers for labels; pairs with a failed call, and those to exclude, left out.

    Args:
        where: "validation's " in messages about validation.

    Raises:
        UserError: lengths or shapes differ, a label is not among `labels`, or no pair is left.
    """
    given = len(rows.y_true)
    for name, column in (("before", rows.before), ("after", rows.after)):
        if len(column) != given:
            raise UserError(
                f"{where}y_true has {given} examples and {where}{name} has {len(column)}.",
                NOTHING,
                "Give one answer for each example, in the same order.",
            )
    if given == 0:
        raise UserError(
            f"There is nothing to compare: {where}y_true is empty.", NOTHING, "Give labelled examples."
        )
    first = next(iter(rows.y_true))
    slots = len(first) if _is_tuple(first) else 0
    codes = {label: place for place, label in enumerate(labels)}
    truth = _column(rows.y_true, codes, slots, f"{where}y_true")
    before = _column(rows.before, codes, slots, f"{where}before")
    after = _column(rows.after, codes, slots, f"{where}after")
    for code, word in ((FAILED, "missing"), (len(labels), "None")):
        bad = np.flatnonzero((truth == code).any(axis=1))
        if len(bad):
            raise UserError(
                f"{where}y_true is {word} for example {bad[0] + 1} (of {given}).",
                NOTHING,
                "Give every example its label, or leave it out of all three.",
            )
    before_failed, after_failed = (before == FAILED).any(axis=1), (after == FAILED).any(axis=1)
    before_open, after_open = (before == len(labels)).any(axis=1), (after == len(labels)).any(axis=1)
    missing = before_failed | after_failed
    excluded = ~missing & (before_open | after_open) & (unparsed == "exclude")
    kept = ~missing & ~excluded
    if not kept.any():
        raise UserError(
            f"There is nothing to compare: none of {where or 'the '}{given} examples has an answer of both prompts that counts.",
            NOTHING,
            "Give answers; None is an unparsed answer, NaN or MISSING a failed call.",
        )
    counts = PredictionCounts(
        given,
        int(kept.sum()),
        int(missing.sum()),
        int(excluded.sum()),
        int(before_failed.sum()),
        int(after_failed.sum()),
        int((before_open & ~before_failed).sum()),
        int((after_open & ~after_failed).sum()),
    )
    shape = (given, max(slots, 1), len(labels))
    before_scores = _scores(rows.before_scores, shape, slots, f"{where}before_scores")
    after_scores = _scores(rows.after_scores, shape, slots, f"{where}after_scores")
    return Answers(
        truth[kept],
        before[kept],
        after[kept],
        None if before_scores is None else before_scores[kept],
        None if after_scores is None else after_scores[kept],
        counts,
        truth[missing],
        before[missing],
        after[missing],
    )


def one_slot(rows: Answers, slot: int) -> Answers:
    """One slot of the pairs; one that was left out counts as failed here only where this slot failed."""

    def part(array: Any) -> Any:
        return None if array is None else array[:, [slot]]

    return Answers(
        part(rows.truth),
        part(rows.before),
        part(rows.after),
        part(rows.before_scores),
        part(rows.after_scores),
        rows.counts,
        part(rows.lost_truth),
        part(rows.lost_before),
        part(rows.lost_after),
    )


def named(labels: Sequence[str]) -> str:
    rest = len(labels) - SHOWN
    return ", ".join(labels[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _order(label: str) -> tuple[int, int, str]:
    digits = label[1:] if label.startswith("-") else label
    return (0, int(label), label) if digits.isascii() and digits.isdigit() else (1, 0, label)


def _is_tuple(answer: Any) -> bool:
    return isinstance(answer, (tuple, list)) or (isinstance(answer, np.ndarray) and answer.ndim == 1)


def _is_missing(answer: Any) -> bool:
    # pandas writes NA of its own; naming its type spares the import.
    return (
        isinstance(answer, Missing)
        or (isinstance(answer, (float, np.floating)) and bool(np.isnan(answer)))
        or type(answer).__name__ in ("NAType", "NaTType")
    )


def _column(answers: Sequence[Any], codes: dict[str, int], slots: int, name: str) -> Ints:
    width, unparsed = max(slots, 1), len(codes)
    found = np.empty((len(answers), width), dtype=np.int64)
    # Most answers are plain text; what is no label by itself takes the long way.
    plain = codes if slots == 0 else {}
    for place, answer in enumerate(answers):
        if type(answer) is str and answer in plain:
            found[place] = plain[answer]
            continue
        if answer is None or _is_missing(answer):
            found[place] = unparsed if answer is None else FAILED
            continue
        parts = tuple(answer) if _is_tuple(answer) else (answer,)
        if len(parts) != width or _is_tuple(answer) != (slots > 0):
            raise UserError(
                f"{name} has {_shape(answer)} for example {place + 1}, and the first example {_expected(slots)}.",
                NOTHING,
                "Give every answer the same number of slots; None is an unparsed one.",
            )
        for slot, part in enumerate(parts):
            if part is None or _is_missing(part):
                found[place, slot] = unparsed if part is None else FAILED
                continue
            code = codes.get(label_text(part))
            if code is None:
                raise UserError(
                    f"{name} has {label_text(part)!r} for example {place + 1}, which is not among the labels ({named(tuple(codes))}).",
                    NOTHING,
                    "Add it to labels, or give None for an answer that is none of them.",
                )
            found[place, slot] = code
    return found


def _shape(answer: Any) -> str:
    return f"{len(answer)} slots" if _is_tuple(answer) else "a single answer"


def _expected(slots: int) -> str:
    return f"has {slots} slots" if slots else "is a single answer"


def _scores(scores: Any, shape: tuple[int, int, int], slots: int, name: str) -> Floats | None:
    if scores is None:
        return None
    wanted = shape if slots else (shape[0], shape[2])
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != wanted:
        raise UserError(
            f"{name} has the shape {array.shape}, not {wanted}: {'examples × slots × labels' if slots else 'examples × labels'}.",
            NOTHING,
            "Give one log-probability for each label, in the order of labels; NaN where there is none.",
        )
    if np.isposinf(array).any() or np.nanmax(array, initial=-np.inf) > 1e-6:
        raise UserError(
            f"{name} has values above 0, so they are no log-probabilities.",
            NOTHING,
            "Give natural logarithms of probabilities.",
        )
    # Nothing but NaN is no log-probabilities at all, and must not pass for a benchmark.
    return None if np.isnan(array).all() else array.reshape(shape)

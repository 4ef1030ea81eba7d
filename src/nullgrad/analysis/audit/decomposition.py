"""What a change in accuracy is made of: weighting and balanced part, information and calibration, and the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nullgrad.analysis.audit.biasfit import cross_shifted, fit_biases, has_scores, shifted_answers
from nullgrad.analysis.audit.input import Answers
from nullgrad.analysis.audit.relabelling import (
    Relabelling,
    cross_relabelled,
    described,
    fit_relabelling,
    relabel,
    right,
)
from nullgrad.analysis.classes import ESTIMABLE
from nullgrad.analysis.stats.estimate import Floats, NotEstimable
from nullgrad.analysis.stats.intervals import Interval, wilson
from nullgrad.analysis.stats.resampling import (
    Change,
    Ints,
    class_cells,
    mean_intervals,
    percentile,
    recall_draws,
)

Hits = NDArray[np.bool_]
Which = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of shares and its paired interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class BiasBenchmark:
    """The before prompt (and the after prompt) with one additive bias for each label's log-probability.

    Attributes:
        before: accuracy of the before prompt with its fitted biases.
        before_interval: Wilson's.
        after_above: accuracy after − `before`.
        strict: the same with biases fitted on all examples at hand, these included.
        biases: by slot and label, in nats, of the before prompt; of a cross-fit: as fitted on all examples, for display.
        agreement: share of pairs where the likeliest label without biases is the before answer, of those with log-probabilities.
        scored: share of pairs with log-probabilities; the others keep their answer.
        after: accuracy of the after prompt with its own biases; None without `after_scores`.
        shift_free: `after` − `before`: what is gained beyond any threshold shift of either; None without `after_scores`.
    """

    before: float
    before_interval: Interval | None
    after_above: Difference
    strict: Difference
    biases: tuple[tuple[float, ...], ...]
    agreement: float
    scored: float
    after: float | None
    shift_free: Difference | None


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Of a change in accuracy; shares. The identities hold for the estimates, not for ends of intervals.

    Attributes:
        accuracy: A and ΔA; unstratified.
        balanced: B and ΔB over the estimable classes, stratified by class; not estimable for whole tuples.
        weighting: ΔA − ΔB = Σ (π_c − 1/K) Δr_c, with 1/K only for the K estimable classes; stratified.
        relabelled: A* and ΔA* (information): accuracy with each prompt's own best relabelling.
        calibration: Δ(A − A*); ΔA = ΔA* + Δ(A − A*).
        after_above: accuracy after − A* of the before prompt.
        strict: the same with the relabelling fitted on all examples at hand, these included: too high a bar by the optimism of a fit, as
            A* is too low by its loss.
        before_names, after_names: the relabellings, by slot.
        biased: the bias-fitted benchmark; None without log-probabilities: a threshold shift is not excluded.
    """

    accuracy: Change
    balanced: Change | NotEstimable
    weighting: Difference | NotEstimable
    relabelled: Change
    calibration: Difference
    after_above: Difference
    strict: Difference
    before_names: tuple[Relabelling, ...]
    after_names: tuple[Relabelling, ...]
    biased: BiasBenchmark | None


def decompose(
    rows: Answers,
    labels: tuple[str, ...],
    *,
    validation: Answers | None,
    seed: int,
    stream: np.random.Generator,
    resamples: int,
    level: float,
) -> Decomposition:
    """Decompose the change in accuracy of single answers, or of whole tuples.

    Relabellings and biases are what `validation` fits; the intervals hold them fixed, and so are about the relabelling that was found.
    Without validation an example is relabelled as the other four fifths of the examples say (cross-fitted), which estimates the
    accuracy of a relabelling fitted on so many examples and takes the examples for independent given it.

    Args:
        rows: the pairs, of one slot or of all.
        validation: other pairs, or None to cross-fit.
        seed: of the folds.
        stream: of the resamples.
    """
    truth, classes = rows.truth, len(labels)
    hit_before, hit_after = right(truth, rows.before), right(truth, rows.after)
    star_before, strict_before, before_names = _relabelled(rows, "before", validation, classes, seed)
    star_after, _, after_names = _relabelled(rows, "after", validation, classes, seed)
    columns = [
        _minus(hit_after, hit_before),
        _minus(star_after, star_before),
        _minus(hit_after, hit_before) - _minus(star_after, star_before),
        _minus(hit_after, star_before),
        _minus(hit_after, strict_before),
    ]
    shifted = None if rows.before_scores is None else _shifted(rows, "before", validation, seed)
    shifted_after = None if rows.after_scores is None else _shifted(rows, "after", validation, seed)
    if shifted is not None:
        columns += [_minus(hit_after, hits) for hits in shifted[:2]]
        if shifted_after is not None:
            columns.append(_minus(shifted_after[0], shifted[0]))
    intervals = mean_intervals(np.stack(columns, axis=1), stream, resamples, level)
    found = [
        Difference(float(column.mean()), interval)
        for column, interval in zip(columns, intervals, strict=True)
    ]
    if truth.shape[1] == 1:
        balanced, weighting = _balanced(truth[:, 0], hit_before, hit_after, classes, stream, resamples, level)
    else:
        balanced = weighting = NotEstimable("a whole tuple has no class of its own; see its slots")
    biased = None
    if shifted is not None and rows.before_scores is not None:
        biased = BiasBenchmark(
            float(shifted[0].mean()),
            wilson(int(shifted[0].sum()), len(truth), level),
            found[5],
            found[6],
            tuple(tuple(slot) for slot in shifted[2].tolist()),
            *_agreement(rows.before_scores, rows.before),
            None if shifted_after is None else float(shifted_after[0].mean()),
            None if shifted_after is None else found[7],
        )
    return Decomposition(
        _of_hits(hit_before, hit_after, found[0], level),
        balanced,
        weighting,
        _of_hits(star_before, star_after, found[1], level),
        found[2],
        found[3],
        found[4],
        described(before_names, labels),
        described(after_names, labels),
        biased,
    )


def balanced_shares(truth: Ints, classes: int) -> Floats:
    """1/K for each of the K estimable classes, 0 for the others; all 0 where there is none."""
    estimable = np.bincount(truth, minlength=classes) >= ESTIMABLE
    return estimable / max(1, int(estimable.sum()))


def weighted_change(
    cells: Ints, shares: Floats, stream: np.random.Generator, resamples: int, level: float
) -> Change:
    """Σ w_c r_c before and after with percentile intervals, stratified by class.

    Args:
        cells: from `class_cells`.
        shares: weights, sum 1, 0 for classes without examples.
    """
    sizes = np.maximum(cells.sum(axis=1), 1)
    before = float(shares @ ((cells[:, 0] + cells[:, 1]) / sizes))
    after = float(shares @ ((cells[:, 0] + cells[:, 2]) / sizes))
    drawn_before, drawn_after = (draws @ shares for draws in recall_draws(cells, shares, stream, resamples))
    return Change(
        before,
        after,
        percentile(drawn_before, level, (0.0, 1.0)),
        percentile(drawn_after, level, (0.0, 1.0)),
        after - before,
        percentile(drawn_after - drawn_before, level),
    )


def _minus(one: Hits, two: Hits) -> NDArray[np.int8]:
    return one.astype(np.int8) - two.astype(np.int8)


def _of_hits(before: Hits, after: Hits, difference: Difference, level: float) -> Change:
    n = len(before)
    return Change(
        float(before.mean()),
        float(after.mean()),
        wilson(int(before.sum()), n, level),
        wilson(int(after.sum()), n, level),
        difference.value,
        difference.interval,
    )


def _balanced(
    truth: Ints,
    before: Hits,
    after: Hits,
    classes: int,
    stream: np.random.Generator,
    resamples: int,
    level: float,
) -> tuple[Change | NotEstimable, Difference | NotEstimable]:
    shares = balanced_shares(truth, classes)
    if not shares.any():
        reason = NotEstimable(f"no class has {ESTIMABLE} examples")
        return reason, reason
    cells = class_cells(truth, before, after, classes)
    change = weighted_change(cells, shares, stream, resamples, level)
    prior = cells.sum(axis=1) / len(truth)
    value = float((prior - shares) @ ((cells[:, 2] - cells[:, 1]) / np.maximum(cells.sum(axis=1), 1)))
    drawn_before, drawn_after = recall_draws(cells, prior, stream, resamples)
    draws = (drawn_after - drawn_before) @ (prior - shares)
    return change, Difference(value, percentile(draws, level))


def _relabelled(
    rows: Answers, which: Which, validation: Answers | None, classes: int, seed: int
) -> tuple[Hits, Hits, Ints]:
    """Right answers as relabelled honestly, and as fitted on all examples at hand; and the relabelling to show."""
    truth, answers, _ = _fit_data(rows, which)
    if validation is None:
        here = names = fit_relabelling(truth, answers, classes)
        honest = cross_relabelled(truth, answers, classes, seed)
    else:
        fit_truth, fit_answers, _ = _fit_data(validation, which)
        names = fit_relabelling(fit_truth, fit_answers, classes)
        honest = relabel(answers, names)
        here = fit_relabelling(np.vstack([truth, fit_truth]), np.vstack([answers, fit_answers]), classes)
    return right(truth, honest), right(truth, relabel(answers, here)), names


def _shifted(rows: Answers, which: Which, validation: Answers | None, seed: int) -> tuple[Hits, Hits, Floats]:
    """The same with biases for labels."""
    truth, answers, scores = _fit_data(rows, which)
    assert scores is not None
    if validation is None:
        here = biases = fit_biases(scores, truth, answers)
        honest = cross_shifted(scores, truth, answers, seed)
    else:
        fit_truth, fit_answers, fit_scores = _fit_data(validation, which)
        assert fit_scores is not None
        biases = fit_biases(fit_scores, fit_truth, fit_answers)
        honest = shifted_answers(scores, biases, answers)
        here = fit_biases(
            np.concatenate([scores, fit_scores]),
            np.vstack([truth, fit_truth]),
            np.vstack([answers, fit_answers]),
        )
    return right(truth, honest), right(truth, shifted_answers(scores, here, answers)), biases


def _fit_data(rows: Answers, which: Which) -> tuple[Ints, Ints, Floats | None]:
    if which == "before":
        return rows.truth, rows.before, rows.before_scores
    return rows.truth, rows.after, rows.after_scores


def _agreement(scores: Floats, answers: Ints) -> tuple[float, float]:
    known = has_scores(scores).all(axis=1)
    plain = shifted_answers(scores, np.zeros(scores.shape[1:]), answers)
    same = (plain == answers).all(axis=1)[known]
    return float(same.mean()) if len(same) else 1.0, float(known.mean())

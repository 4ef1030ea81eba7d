"""What a threshold shift alone would reach: one additive bias for each label's log-probability, fitted to maximize accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nullgrad.analysis.audit.relabelling import folds
from nullgrad.analysis.stats.estimate import Floats
from nullgrad.analysis.stats.resampling import Ints

MOST_PASSES = 20
"""Passes over the labels; each raises the number of right answers, so that few are needed."""

LEAD = 3
"""Examples that a move must win where there are more than two labels: the best of all thresholds wins some by chance, label after label, and
smaller moves lose more on other examples than they win on these."""

Mask = NDArray[np.bool_]


def fit_biases(scores: Floats, truth: Ints, answers: Ints) -> Floats:
    """Biases by slot and label, in nats, shape (slots, labels), under which most answers (of tuples: whole tuples) are right.

    Two labels: exact, every threshold is tried. More: coordinate ascent, one label at a time with an exact line search (every threshold of
    that label is tried) that moves only for `LEAD` examples, from no bias and from the biases that match mean probabilities to class shares;
    the better of the two, no bias winning ties. Of thresholds that are equally good the nearest to the current bias is taken, in the middle of its gap. Deterministic.
    Several slots: slot after slot, counting the examples whose other slots are right.

    Args:
        scores: log-probabilities, shape (examples, slots, labels); a row with NaN, or without a finite value, has none.
        truth: shape (examples, slots).
        answers: the same shape; what stands where there are no scores.
    """
    slots, labels = scores.shape[1:]
    biases = np.zeros((slots, labels))
    hits = truth == shifted_answers(scores, biases, answers)
    for _ in range(MOST_PASSES if slots > 1 else 1):
        before = int(hits.all(axis=1).sum())
        for slot in range(slots):
            known = has_scores(scores[:, slot])
            counted = known & np.delete(hits, slot, axis=1).all(axis=1)
            if not counted.any():
                continue
            biases[slot] = _fit_slot(scores[counted, slot], truth[counted, slot], biases[slot])
            hits[:, slot] = (
                truth[:, slot] == shifted_answers(scores[:, [slot]], biases[[slot]], answers[:, [slot]])[:, 0]
            )
        if int(hits.all(axis=1).sum()) == before:
            break
    return biases


def has_scores(scores: Floats) -> Mask:
    """Whether an example has log-probabilities; the last axis is that of labels."""
    known = ~np.isnan(scores).any(axis=-1) & ~np.isneginf(scores).all(axis=-1)
    return np.asarray(known, dtype=np.bool_)


def shifted_answers(scores: Floats, biases: Floats, answers: Ints) -> Ints:
    """The likeliest label under the biases, shape (examples, slots); the first of equals; `answers` where there are no scores."""
    likeliest = np.argmax(np.where(np.isnan(scores), -np.inf, scores) + biases, axis=2)
    return np.where(has_scores(scores), likeliest, answers)


def cross_shifted(scores: Floats, truth: Ints, answers: Ints, seed: int) -> Ints:
    """Answers under biases that were fitted on other parts of the same examples."""
    shifted = answers.copy()
    for fitted, applied in folds(truth, seed):
        biases = fit_biases(scores[fitted], truth[fitted], answers[fitted])
        shifted[applied] = shifted_answers(scores[applied], biases, answers[applied])
    return shifted


def _fit_slot(scores: Floats, truth: Ints, start: Floats) -> Floats:
    labels = scores.shape[1]
    found, best = _ascend(scores, truth, start)
    if labels > 2:
        other, count = _ascend(scores, truth, _matched(scores, truth))
        if count > best:
            found = other
    return found


def _matched(scores: Floats, truth: Ints) -> Floats:
    """Biases that would match the mean probabilities to the class shares if they were calibrated but for the prior."""
    labels = scores.shape[1]
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    means = (chances / chances.sum(axis=1, keepdims=True)).mean(axis=0)
    shares = (np.bincount(truth, minlength=labels) + 0.5) / (len(truth) + 0.5 * labels)
    biases: Floats = np.log(shares) - np.log(np.maximum(means, 1e-12))
    return biases


def _ascend(scores: Floats, truth: Ints, start: Floats) -> tuple[Floats, int]:
    rows, labels = np.arange(len(scores)), scores.shape[1]
    biases = start.copy()
    shifted = scores + biases
    first, second = _two_best(shifted)
    count = int((first == truth).sum())
    # A common shift of all biases changes nothing, so that of two labels one is enough.
    searched, lead = (range(1, 2), 1) if labels == 2 else (range(labels), LEAD)
    for _ in range(MOST_PASSES):
        before = count
        for label in searched:
            rival = np.where(first == label, second, first)
            with np.errstate(invalid="ignore"):
                threshold = shifted[rows, rival] - scores[:, label]
            # Both impossible: the rival stays.
            threshold = np.where(np.isnan(threshold), np.inf, threshold)
            worth = (truth == label).astype(np.int64) - (truth == rival)
            bias, better = _line_search(threshold, worth, int((truth == rival).sum()), float(biases[label]))
            if better >= count + lead:
                biases[label], count = bias, better
                shifted[:, label] = scores[:, label] + bias
                first, second = _two_best(shifted)
        if count == before:
            break
    return biases, count


def _two_best(shifted: Floats) -> tuple[Ints, Ints]:
    rows = np.arange(len(shifted))
    first = shifted.argmax(axis=1)
    if shifted.shape[1] == 1:
        return first, first
    held = shifted[rows, first]
    shifted[rows, first] = -np.inf
    second = shifted.argmax(axis=1)
    shifted[rows, first] = held
    # Where all others are impossible, argmax may find the first again.
    second = np.where(second == first, (first + 1) % shifted.shape[1], second)
    return first, second


def _line_search(threshold: Floats, worth: Ints, base: int, current: float) -> tuple[float, int]:
    """The bias of one label that makes most answers right, and how many.

    Args:
        threshold: the bias above which each example is answered with the label.
        worth: what that changes in the number of right answers: 1, 0 or −1.
        base: right answers if no example is.
    """
    base += int(worth[np.isneginf(threshold)].sum())
    moves = np.isfinite(threshold) & (worth != 0)
    order = np.argsort(threshold[moves], kind="stable")
    edges, steps = threshold[moves][order], worth[moves][order]
    if len(edges) == 0:
        return current, base
    last = np.append(edges[1:] > edges[:-1], True)
    values = np.append(base, base + np.cumsum(steps)[last])
    edges = edges[last]
    middles = np.concatenate([[edges[0] - 1.0], (edges[1:] + edges[:-1]) / 2, [edges[-1] + 1.0]])
    best = int(values.max())
    places = middles[values == best]
    return float(places[np.argmin(np.abs(places - current))]), best

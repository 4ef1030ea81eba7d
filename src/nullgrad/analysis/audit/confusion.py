"""What each class was answered before and after: confusion, recall, precision and prediction rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nullgrad.analysis.classes import ESTIMABLE
from nullgrad.analysis.stats.families import holm
from nullgrad.analysis.stats.intervals import Interval, wilson
from nullgrad.analysis.stats.resampling import Change, Ints, percentile, share_intervals

SUPPRESSED_LEVEL = 0.05
"""Chance, at most, that any class of an audit is called suppressed though none is answered less often than before."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Answers by true class.

    Attributes:
        labels: rows, and columns but the last.
        table: counts, a row for each true class, a column for each answered label, the last for unparsed answers.
    """

    labels: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ClassAudit:
    """One class before and after; shares, 0 to 1.

    Attributes:
        label: the class.
        n: pairs whose truth it is.
        prior: n / all pairs.
        estimable: whether n reaches `classes.ESTIMABLE`; else recall has no intervals and balanced accuracy leaves it out.
        recall: share of its examples that were answered so; None without examples.
        precision: share of its answers that are right; None where it was not answered before, or not after.
        rate: prediction rate, the share of all pairs answered so.
        suppressed: recall falls, its prediction rate falls below half its prior, and `fall_p_holm` says that the fall is no chance;
            never of a class that is not estimable.
        doubtful: the same but for `fall_p_holm`: among many classes some look so by chance, and a rare one may be so in truth.
        fall_p: one-sided exact p that its predictions became fewer, by McNemar's test, whether or not it is suppressed.
        fall_p_holm: the same, corrected after Holm over the estimable classes and after Bonferroni over the slots; None of a class
            that is not estimable.
    """

    label: str
    n: int
    prior: float
    estimable: bool
    recall: Change | None
    precision: Change | None
    rate: Change
    suppressed: bool
    doubtful: bool
    fall_p: float
    fall_p_holm: float | None


def confusion(truth: Ints, answers: Ints, labels: tuple[str, ...]) -> Confusion:
    """Counts of answers by true class."""
    width = len(labels) + 1
    table = np.bincount(truth * width + answers, minlength=len(labels) * width).reshape(-1, width)
    return Confusion(labels, tuple(tuple(row) for row in table.tolist()))


def class_audits(
    truth: Ints,
    before: Ints,
    after: Ints,
    labels: tuple[str, ...],
    *,
    stream: np.random.Generator,
    resamples: int,
    level: float,
    slots: int = 1,
) -> tuple[ClassAudit, ...]:
    """One row per label in one slot.

    Single shares have Wilson's interval. Differences are paired: of recalls within the class, of prediction rates over all pairs, both with
    Bonett and Price's adjustment; of precisions over all pairs, with half a pseudo-answer added to each outcome of a changed one.

    Args:
        truth, before, after: numbers of labels, shape (pairs,), K for unparsed.
        slots: of the answers, over all of which a suppressed class is a finding.
    """
    count, pairs = len(labels), len(truth)
    cells = _outcomes(truth, before, after, count)
    of_class, others = cells[:, 1], cells[:, 0]
    n, given_before, given_after = (
        of_class.sum(axis=(1, 2)),
        cells[:, :, 1].sum(axis=(1, 2)),
        cells[:, :, :, 1].sum(axis=(1, 2)),
    )
    hits_before, hits_after = of_class[:, 1].sum(axis=1), of_class[:, :, 1].sum(axis=1)
    gained, lost = of_class[:, 0, 1] + others[:, 0, 1], of_class[:, 1, 0] + others[:, 1, 0]
    recalls = share_intervals(of_class[:, 0, 1], of_class[:, 1, 0], n, stream, resamples, level)
    rates = share_intervals(gained, lost, np.full(count, pairs), stream, resamples, level)
    precisions = _precision_intervals(cells, stream, resamples, level)
    falls = [_fall_p(int(one), int(other)) for one, other in zip(gained, lost, strict=True)]
    corrected = _corrected(falls, n >= ESTIMABLE, slots)
    rows = []
    for k, label in enumerate(labels):
        estimable = bool(n[k] >= ESTIMABLE)
        looks = bool(
            estimable
            and hits_after[k] < hits_before[k]
            and given_after[k] < given_before[k]
            and 2 * given_after[k] < n[k]
        )
        p = corrected[k]
        told = p is not None and p <= SUPPRESSED_LEVEL
        rows.append(
            ClassAudit(
                label,
                int(n[k]),
                float(n[k] / pairs),
                estimable,
                _change(
                    (hits_before[k], n[k]), (hits_after[k], n[k]), recalls[k], level, estimable=estimable
                ),
                _change(
                    (hits_before[k], given_before[k]), (hits_after[k], given_after[k]), precisions[k], level
                ),
                _known_change((given_before[k], pairs), (given_after[k], pairs), rates[k], level),
                looks and told,
                looks and not told,
                falls[k],
                p,
            )
        )
    return tuple(rows)


def _outcomes(truth: Ints, before: Ints, after: Ints, count: int) -> Ints:
    """Pairs by label and by whether it is the truth, the answer before, and the answer after: shape (labels, 2, 2, 2)."""

    def tally(labels: Ints) -> Ints:
        return np.bincount(labels, minlength=count + 1)[:count]

    t, b, a = tally(truth), tally(before), tally(after)
    tb, ta, ba = tally(truth[truth == before]), tally(truth[truth == after]), tally(before[before == after])
    tba = tally(truth[(truth == before) & (truth == after)])
    cells = np.empty((count, 2, 2, 2), dtype=np.int64)
    cells[:, 1, 1, 1], cells[:, 1, 1, 0], cells[:, 1, 0, 1] = tba, tb - tba, ta - tba
    cells[:, 0, 1, 1], cells[:, 1, 0, 0] = ba - tba, t - tb - ta + tba
    cells[:, 0, 1, 0], cells[:, 0, 0, 1] = b - tb - ba + tba, a - ta - ba + tba
    cells[:, 0, 0, 0] = len(truth) - t - b - a + tb + ta + ba - tba
    return cells


def _precision_intervals(
    cells: Ints, stream: np.random.Generator, resamples: int, level: float
) -> tuple[Interval | None, ...]:
    smooth = cells.astype(np.float64)
    smooth[:, :, 0, 1] += 0.5
    smooth[:, :, 1, 0] += 0.5
    flat = smooth.reshape(len(cells), 8)
    totals = flat.sum(axis=1)
    drawn = stream.multinomial(
        totals.round().astype(np.int64), flat / totals[:, None], (resamples, len(cells))
    ).reshape(resamples, len(cells), 2, 2, 2)
    found: list[Interval | None] = []
    for k in range(len(cells)):
        one = drawn[:, k]
        given_before, given_after = one[:, :, 1].sum(axis=(1, 2)), one[:, :, :, 1].sum(axis=(1, 2))
        known = (given_before > 0) & (given_after > 0)
        right_before, right_after = one[:, 1, 1].sum(axis=1), one[:, 1, :, 1].sum(axis=1)
        draws = right_after[known] / given_after[known] - right_before[known] / given_before[known]
        found.append(percentile(draws, level) if len(draws) else None)
    return tuple(found)


def _change(
    before: tuple[int, int],
    after: tuple[int, int],
    interval: Interval | None,
    level: float,
    *,
    estimable: bool = True,
) -> Change | None:
    if not before[1] or not after[1]:
        return None
    if not estimable:
        one, two = float(before[0] / before[1]), float(after[0] / after[1])
        return Change(one, two, None, None, two - one, None)
    return _known_change(before, after, interval, level)


def _known_change(
    before: tuple[int, int], after: tuple[int, int], interval: Interval | None, level: float
) -> Change:
    (hits, n), (hits_after, n_after) = (int(before[0]), int(before[1])), (int(after[0]), int(after[1]))
    return Change(
        hits / n,
        hits_after / n_after,
        wilson(hits, n, level),
        wilson(hits_after, n_after, level),
        hits_after / n_after - hits / n,
        interval,
    )


def _fall_p(gained: int, lost: int) -> float:
    """P(at least `lost` of the changed predictions went away | a fair coin)."""
    if lost == 0:
        return 1.0
    from scipy.special import bdtrc

    return float(bdtrc(lost - 1, gained + lost, 0.5))


def _corrected(falls: Sequence[float], estimable: Sequence[bool], slots: int) -> list[float | None]:
    """`fall_p` as one of a family: Holm over the estimable classes, Bonferroni over the slots."""
    own = iter(holm([p for p, counts in zip(falls, estimable, strict=True) if counts]))
    found: list[float | None] = []
    for counts in estimable:
        p = next(own) if counts else None
        found.append(min(1.0, slots * p) if isinstance(p, float) else None)
    return found

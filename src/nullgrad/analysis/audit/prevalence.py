"""Accuracy at another prevalence, re-weighted from recorded answers; asks nothing, and confirms nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nullgrad.analysis.audit.decomposition import weighted_change
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.resampling import Change, Ints

SHARES = tuple(tenth / 10 for tenth in range(11))
"""Shares at which a curve is drawn; it is straight, its interval is not."""


@dataclass(frozen=True, slots=True)
class Reweighted:
    """Accuracy if the classes had another prior: Σ π'_c r_c, stratified by class.

    Attributes:
        name: `balanced` (over the estimable classes) or `declared`.
        prior: (label, share), sum 1.
        accuracy: before and after.
    """

    name: str
    prior: tuple[tuple[str, float], ...]
    accuracy: Change


@dataclass(frozen=True, slots=True)
class ShareCurve:
    """Accuracy over the share of one class, the others keeping their proportions.

    Attributes:
        label: the class whose share varies.
        observed: its share in the examples.
        shares: of the class, rising.
        points: accuracy at each share.
        crossing: share at which both prompts are equally accurate, strictly between 0 and 1; None where the lines do not cross.
    """

    label: str
    observed: float
    shares: tuple[float, ...]
    points: tuple[Change, ...]
    crossing: float | None


def reweighted(
    cells: Ints,
    labels: tuple[str, ...],
    prior: Mapping[str, float],
    *,
    stream: np.random.Generator,
    resamples: int,
    level: float,
) -> Reweighted | NotEstimable:
    """Accuracy at a declared prior; not estimable where it gives a share to a class without examples.

    Recalls are taken not to depend on the prior (label shift; Saerens, Latinne and Decaestecker 2002).

    Args:
        cells: from `resampling.class_cells`.
        prior: {label: share}, sum 1; a label that is left out has none.
    """
    shares = np.array([prior.get(label, 0.0) for label in labels])
    unseen = [
        label for label, n, share in zip(labels, cells.sum(axis=1), shares, strict=True) if share and not n
    ]
    if unseen:
        return NotEstimable(f"there is no example of {', '.join(unseen[:8])} to re-weight")
    return Reweighted(
        "declared",
        tuple(zip(labels, shares.tolist(), strict=True)),
        weighted_change(cells, shares, stream, resamples, level),
    )


def share_curve(
    cells: Ints,
    labels: tuple[str, ...],
    label: str,
    *,
    stream: np.random.Generator,
    resamples: int,
    level: float,
) -> ShareCurve | NotEstimable:
    """Accuracy at shares of one class from 0 to 1, the others in their observed proportions.

    Args:
        cells: from `resampling.class_cells`.
        label: the class.
    """
    place, sizes = labels.index(label), cells.sum(axis=1)
    n, total = int(sizes[place]), int(sizes.sum())
    if n in (0, total):
        return NotEstimable(f"{'no' if n == 0 else 'every'} example is {label}")
    rest = sizes / (total - n)
    points = []
    for share in SHARES:
        shares = (1 - share) * rest
        shares[place] = share
        points.append(weighted_change(cells, shares, stream, resamples, level))
    at_none, at_all = points[0].difference, points[-1].difference
    crossing = at_none / (at_none - at_all) if at_none * at_all < 0 else None
    return ShareCurve(label, n / total, SHARES, tuple(points), crossing)

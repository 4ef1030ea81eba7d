"""The audit of one slot of the answers: its classes, the parts of its gain, its information, other prevalences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nullgrad.analysis.audit.confusion import ClassAudit, Confusion, class_audits, confusion
from nullgrad.analysis.audit.decomposition import Decomposition, decompose
from nullgrad.analysis.audit.information import Information, information
from nullgrad.analysis.audit.input import Answers, named
from nullgrad.analysis.audit.ordinal import Ordinal, ordinal_audit
from nullgrad.analysis.audit.prevalence import Reweighted, ShareCurve, reweighted, share_curve
from nullgrad.analysis.audit.verdict import AuditVerdict, decide, missing_decide
from nullgrad.analysis.classes import ESTIMABLE
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.resampling import Change, class_cells


@dataclass(frozen=True, slots=True)
class SlotAudit:
    """One slot of the answers; single answers have one.

    Attributes:
        slot: from 0.
        before, after: confusion matrices.
        classes: one row per label, in the order of the labels.
        suppressed: labels.
        doubtful: labels that look so, by no more than chance may do.
        decomposition: of this slot's accuracy.
        information_before, information_after: mutual information of truth and answer.
        reweighted: accuracy at a balanced and at the declared prior; () where no class is estimable.
        curve: accuracy over the share of one class; None where there is only one class.
        ordinal: for ordered labels, else None.
        verdict, reason: of this slot's accuracy.
        notes: what limits it, one sentence each.
    """

    slot: int
    before: Confusion
    after: Confusion
    classes: tuple[ClassAudit, ...]
    suppressed: tuple[str, ...]
    doubtful: tuple[str, ...]
    decomposition: Decomposition
    information_before: Information
    information_after: Information
    reweighted: tuple[Reweighted, ...]
    curve: ShareCurve | None
    ordinal: Ordinal | None
    verdict: AuditVerdict
    reason: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """What holds for every slot."""

    labels: tuple[str, ...]
    ordinal: bool
    prior: dict[str, float] | None
    curve: str | None
    margin: float
    level: float
    resamples: int
    seed: int
    brief: bool = False
    slots: int = 1


BRIEF_PERMUTATIONS = 20
"""Of the information, where the verdict alone counts."""


def slot_audit(slot: int, rows: Answers, fit: Answers | None, setup: Setup) -> SlotAudit:
    labels, resamples, level = setup.labels, setup.resamples, setup.level
    stream = np.random.default_rng([setup.seed, slot])
    truth, before, after = rows.truth[:, 0], rows.before[:, 0], rows.after[:, 0]
    parts = decompose(
        rows, labels, validation=fit, seed=setup.seed, stream=stream, resamples=resamples, level=level
    )
    classes = class_audits(
        truth, before, after, labels, stream=stream, resamples=resamples, level=level, slots=setup.slots
    )
    suppressed = tuple(row.label for row in classes if row.suppressed)
    doubtful = tuple(row.label for row in classes if row.doubtful)
    verdict, reason = verdict_of(
        rows, parts, suppressed, doubtful, bool((before == after).all()), setup, stream
    )
    notes = _class_notes(classes)
    permutations = BRIEF_PERMUTATIONS if setup.brief else resamples
    told = [
        information(truth, answers, permutations=permutations, stream=stream) for answers in (before, after)
    ]
    cells = class_cells(truth, before == truth, after == truth, len(labels))
    priors: list[Reweighted] = []
    if isinstance(parts.balanced, Change):
        k = sum(row.estimable for row in classes)
        even = tuple((row.label, 1 / k if row.estimable else 0.0) for row in classes)
        priors.append(Reweighted("balanced", even, parts.balanced))
    if setup.prior is not None:
        declared = reweighted(cells, labels, setup.prior, stream=stream, resamples=resamples, level=level)
        if isinstance(declared, NotEstimable):
            notes.append(f"The declared prior is {declared}.")
        else:
            priors.append(declared)
    label = setup.curve or _curve_label(classes)
    curve = (
        NotEstimable("left out")
        if setup.brief
        else share_curve(cells, labels, label, stream=stream, resamples=resamples, level=level)
    )
    if isinstance(curve, NotEstimable) and setup.curve is not None:
        notes.append(f"The curve over the share of {label} is {curve}.")
    ranks = (
        ordinal_audit(truth, before, after, len(labels), stream=stream, resamples=resamples, level=level)
        if setup.ordinal
        else None
    )
    if isinstance(ranks, NotEstimable):
        notes.append(f"Rank errors are {ranks}.")
    return SlotAudit(
        slot,
        confusion(truth, before, labels),
        confusion(truth, after, labels),
        classes,
        suppressed,
        doubtful,
        parts,
        told[0],
        told[1],
        tuple(priors),
        None if isinstance(curve, NotEstimable) else curve,
        None if isinstance(ranks, NotEstimable) else ranks,
        verdict,
        reason,
        tuple(notes),
    )


def verdict_of(
    rows: Answers,
    parts: Decomposition,
    suppressed: Sequence[str],
    doubtful: Sequence[str],
    identical: bool,
    setup: Setup,
    stream: np.random.Generator,
) -> tuple[AuditVerdict, str]:
    """`decide`, unless the failed calls could change what ΔA says."""
    gain = parts.accuracy.interval
    assert gain is not None
    if missing_decide(
        rows,
        gain,
        identical,
        margin=setup.margin,
        stream=stream,
        resamples=setup.resamples,
        level=setup.level,
    ):
        lost = rows.counts.missing
        return (
            "cannot tell",
            f"{lost} failed {'call' if lost == 1 else 'calls'} could change what the change in accuracy says.",
        )
    return decide(parts, suppressed, doubtful, margin=setup.margin, identical=identical)


def _curve_label(classes: Sequence[ClassAudit]) -> str:
    """The suppressed class that lost most, else the rarest estimable one, else the rarest."""
    fallen = [row for row in classes if row.suppressed and row.recall is not None]
    if fallen:
        return min(fallen, key=lambda row: row.recall.difference if row.recall else 0.0).label
    seen = [row for row in classes if row.n]
    return min([row for row in seen if row.estimable] or seen, key=lambda row: row.n).label


def _class_notes(classes: Sequence[ClassAudit]) -> list[str]:
    few = [row.label for row in classes if 0 < row.n < ESTIMABLE]
    kept, notes = sum(row.estimable for row in classes), []
    if few:
        notes.append(
            f"Not estimable with fewer than {ESTIMABLE} examples: {named(few)}; "
            f"{f'balanced accuracy is over the other {kept}' if kept else 'there is no balanced accuracy'}."
        )
    unseen = [row.label for row in classes if row.n == 0]
    if unseen:
        notes.append(f"No example of {named(unseen)}.")
    doubtful = [row.label for row in classes if row.doubtful]
    if doubtful:
        notes.append(
            f"Perhaps suppressed, but by no more than chance may do among so many: {named(doubtful)}."
        )
    return notes

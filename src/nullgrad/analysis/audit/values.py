"""An audit of predictions as JSON values: shares as shares, differences in points, rounded as every result is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nullgrad.analysis.audit.confusion import ClassAudit
from nullgrad.analysis.audit.decomposition import BiasBenchmark, Decomposition, Difference
from nullgrad.analysis.audit.information import Information
from nullgrad.analysis.audit.ordinal import Ordinal
from nullgrad.analysis.audit.prevalence import Reweighted, ShareCurve
from nullgrad.analysis.audit.verdict import PREVALENCE_TYPE
from nullgrad.analysis.serialize import PLACES, points, share
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.stats.resampling import Change

if TYPE_CHECKING:
    from nullgrad.analysis.audit.predictions import PredictionAudit
    from nullgrad.analysis.audit.slot import SlotAudit


def audit_dict(audit: PredictionAudit) -> dict[str, Any]:
    """Every field of the audit."""
    counts = audit.counts
    return {
        "verdict": audit.verdict,
        "prevalence_type": audit.verdict in PREVALENCE_TYPE,
        "reason": audit.reason,
        "notes": list(audit.notes),
        "identical": audit.identical,
        "margin_points": points(audit.margin),
        "level": audit.level,
        "resamples": audit.resamples,
        "seed": audit.seed,
        "labels": list(audit.labels),
        "counts": {
            "given": counts.given,
            "pairs": counts.pairs,
            "missing": counts.missing,
            "excluded": counts.excluded,
            "missing_before": counts.missing_before,
            "missing_after": counts.missing_after,
            "unparsed_before": counts.unparsed_before,
            "unparsed_after": counts.unparsed_after,
        },
        "fitted": audit.fitted,
        "fitted_on": audit.fitted_on,
        "suppressed": [{"slot": slot, "label": label} for slot, label in audit.suppressed],
        "decomposition": decomposition_dict(audit.decomposition, audit.labels),
        "slots": [_slot_dict(slot, audit.labels) for slot in audit.slots],
    }


def decomposition_dict(parts: Decomposition, labels: tuple[str, ...]) -> dict[str, Any]:
    """The parts of a change in accuracy."""
    return {
        "accuracy": change_dict(parts.accuracy),
        "balanced": change_dict(parts.balanced),
        "weighting": difference_dict(parts.weighting),
        "relabelled": change_dict(parts.relabelled),
        "calibration": difference_dict(parts.calibration),
        "after_above_relabelled": difference_dict(parts.after_above),
        "after_above_relabelled_strict": difference_dict(parts.strict),
        "before_renamed": [dict(slot.renamed) for slot in parts.before_names],
        "after_renamed": [dict(slot.renamed) for slot in parts.after_names],
        "biased": _biased_dict(parts.biased, labels),
    }


def change_dict(change: Change | NotEstimable | None) -> dict[str, Any] | None:
    """Before and after as shares, their difference in points; None, or why there is none."""
    if change is None:
        return None
    if isinstance(change, NotEstimable):
        return {"not_estimable": change.reason}
    return {
        "before": share(change.before),
        "before_interval": _ends(change.before_interval, 1),
        "after": share(change.after),
        "after_interval": _ends(change.after_interval, 1),
        "points": points(change.difference),
        "interval": _ends(change.interval, 100),
    }


def difference_dict(difference: Difference | NotEstimable | None) -> dict[str, Any] | None:
    """A difference in points; None, or why there is none."""
    if difference is None:
        return None
    if isinstance(difference, NotEstimable):
        return {"not_estimable": difference.reason}
    return {"points": points(difference.value), "interval": _ends(difference.interval, 100)}


def _biased_dict(biased: BiasBenchmark | None, labels: tuple[str, ...]) -> dict[str, Any] | None:
    if biased is None:
        return None
    return {
        "before": share(biased.before),
        "before_interval": _ends(biased.before_interval, 1),
        "after_above": difference_dict(biased.after_above),
        "after_above_strict": difference_dict(biased.strict),
        "biases": [
            {label: round(bias, PLACES) for label, bias in zip(labels, slot, strict=True)}
            for slot in biased.biases
        ],
        "agreement": share(biased.agreement),
        "scored": share(biased.scored),
        "after": share(biased.after),
        "shift_free": difference_dict(biased.shift_free),
    }


def _slot_dict(slot: SlotAudit, labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "slot": slot.slot,
        "verdict": slot.verdict,
        "prevalence_type": slot.verdict in PREVALENCE_TYPE,
        "reason": slot.reason,
        "notes": list(slot.notes),
        "suppressed": list(slot.suppressed),
        "doubtful": list(slot.doubtful),
        "confusion": {
            "rows": list(slot.before.labels),
            "columns": [*slot.before.labels, None],
            "before": [list(row) for row in slot.before.table],
            "after": [list(row) for row in slot.after.table],
        },
        "classes": [_class_dict(row) for row in slot.classes],
        "decomposition": decomposition_dict(slot.decomposition, labels),
        "information": {
            "before": _information_dict(slot.information_before),
            "after": _information_dict(slot.information_after),
        },
        "reweighted": [_reweighted_dict(one) for one in slot.reweighted],
        "curve": _curve_dict(slot.curve),
        "ordinal": _ordinal_dict(slot.ordinal),
    }


def _class_dict(row: ClassAudit) -> dict[str, Any]:
    return {
        "label": row.label,
        "n": row.n,
        "prior": share(row.prior),
        "estimable": row.estimable,
        "recall": change_dict(row.recall),
        "precision": change_dict(row.precision),
        "rate": change_dict(row.rate),
        "suppressed": row.suppressed,
        "doubtful": row.doubtful,
        "fall_p": share(row.fall_p),
        "fall_p_holm": share(row.fall_p_holm),
    }


def _information_dict(told: Information) -> dict[str, Any]:
    return {
        "plugin_bits": share(told.plugin),
        "chance_bits": share(told.chance),
        "corrected_bits": share(told.corrected),
        "adjusted": share(told.adjusted),
        "entropy_bits": share(told.entropy),
        "p": share(told.p),
        "permutations": told.permutations,
    }


def _reweighted_dict(one: Reweighted) -> dict[str, Any]:
    return {
        "name": one.name,
        "prior": {label: share(weight) for label, weight in one.prior},
        "accuracy": change_dict(one.accuracy),
    }


def _curve_dict(curve: ShareCurve | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    return {
        "label": curve.label,
        "observed": share(curve.observed),
        "crossing": share(curve.crossing),
        "points": [
            {"share": share(at), "accuracy": change_dict(point)}
            for at, point in zip(curve.shares, curve.points, strict=True)
        ],
    }


def _ordinal_dict(ranks: Ordinal | None) -> dict[str, Any] | None:
    if ranks is None:
        return None
    error = ranks.rank_error
    return {
        "n": ranks.n,
        "rank_error": {
            "before": share(error.before),
            "before_interval": _ends(error.before_interval, 1),
            "after": share(error.after),
            "after_interval": _ends(error.after_interval, 1),
            "difference": share(error.difference),
            "interval": _ends(error.interval, 1),
        },
        "kappa": None
        if ranks.kappa is None
        else {
            "before": share(ranks.kappa.before),
            "before_interval": _ends(ranks.kappa.before_interval, 1),
            "after": share(ranks.kappa.after),
            "after_interval": _ends(ranks.kappa.after_interval, 1),
            "difference": share(ranks.kappa.difference),
            "interval": _ends(ranks.kappa.interval, 1),
        },
    }


def _ends(interval: Interval | None, factor: int) -> list[float] | None:
    if interval is None:
        return None
    return [round(factor * interval.low, PLACES), round(factor * interval.high, PLACES)]

"""The ordered verdict on a gain: information, calibration or prevalence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from nullgrad.analysis.audit.decomposition import Decomposition, Difference
from nullgrad.analysis.audit.input import FAILED, Answers
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.stats.resampling import mean_intervals

AuditVerdict = Literal[
    "no gain", "loss", "relabelling", "threshold", "prevalence", "mixed", "genuine", "cannot tell"
]

PREVALENCE_TYPE: frozenset[AuditVerdict] = frozenset({"relabelling", "threshold", "prevalence"})
"""Verdicts by which the gain is a shift between labels and not better discrimination."""

MOST_SCORED = 0.9
"""Share of examples with log-probabilities from which a threshold shift counts as excluded."""

State = Literal["no gain", "loss", "gain", "open"]


def decide(
    parts: Decomposition,
    suppressed: Sequence[str],
    doubtful: Sequence[str] = (),
    *,
    margin: float,
    identical: bool = False,
) -> tuple[AuditVerdict, str]:
    """The verdict and its reason, a sentence. The first that applies:

    - `no gain`: ΔA's interval lies inside ±margin (ends not included), or all answers are the same;
    - `loss`: ΔA's interval lies below 0;
    - (from here on only with ΔA's interval above 0)
    - `relabelling`: after is not better than A* of the before prompt, and no class is suppressed;
    - `threshold`: not better than the bias-fitted benchmark, and none is suppressed;
    - `prevalence`: not better than one of the two, and a class is suppressed;
    - `mixed`: better than both, and a class is suppressed;
    - `genuine`: better than both, and none is suppressed;
    - `cannot tell`: everything else.

    "Not better" means that the upper end of the interval of after − benchmark is below the margin. "Better" means that it is not, and that the lower
    end is above 0, also against the same benchmark fitted on all examples at hand (`strict`): a benchmark that was fitted on other examples is too
    weak by what the fit loses, so that a mere threshold shift would beat it too often. Between the two is `cannot tell`. Of the two benchmarks those count that exist: without log-probabilities a threshold shift is not
    excluded, and the reason says so. The design has one verdict, `prevalence`, for `relabelling`'s and `threshold`'s neighbours; it is split
    so that a mere threshold shift, which takes no class away, is told from one that suppresses a class.

    Args:
        suppressed: names of suppressed classes.
        doubtful: names of classes that look suppressed, but by no more than chance may do: the verdict takes them for not, its
            reason says so.
        margin: as a share.
        identical: whether both prompts gave the same answers.
    """
    gain = parts.accuracy.interval
    assert gain is not None
    change = _points(Difference(parts.accuracy.difference, gain))
    if identical:
        return "no gain", "Both prompts gave the same answer to every example."
    state = state_of(gain, margin)
    if state == "no gain":
        return "no gain", f"The change in accuracy, {change}, lies within ±{100 * margin:g}."
    if state == "loss":
        return "loss", f"Accuracy falls: {change}."
    if state == "open":
        return (
            "cannot tell",
            f"The change in accuracy, {change}, may be nothing, and may be more than {100 * margin:g}.",
        )
    star = parts.after_above
    bench = None if parts.biased is None else parts.biased.after_above
    star_low, bench_low = star.interval.high < margin, bench is not None and bench.interval.high < margin
    rise = f"Accuracy rises by {change}"
    renamed = f"renaming the before prompt's labels reaches as much (after − A* = {_points(star)})"
    moved = "" if bench is None else f"(after − benchmark = {_points(bench)})"
    shifted = f"a threshold shift of the before prompt reaches as much {moved}"
    spared = "no class is suppressed"
    if doubtful:
        spared = f"no class is told to be suppressed ({_listed(doubtful)} may be)"
    victims = f"{_listed(suppressed)} {'is' if len(suppressed) == 1 else 'are'} suppressed"
    if star_low and not suppressed:
        return "relabelling", f"{rise}, but {renamed}, and {spared}."
    if bench_low and not suppressed:
        return "threshold", f"{rise}, but {shifted}, and {spared}."
    if star_low or bench_low:
        return "prevalence", f"{rise}, but {renamed if star_low else shifted}, and {victims}."
    excluded = "; a threshold shift is not excluded, for want of log-probabilities"
    if parts.biased is not None and parts.biased.scored >= MOST_SCORED:
        excluded = ""
    above = f"above the before prompt's best relabelling (by {_points(star)})"
    above += "" if bench is None else f" and above its best thresholds (by {_points(bench)})"
    weak = _not_above(star, parts.strict)
    weak_bench = parts.biased is not None and _not_above(parts.biased.after_above, parts.biased.strict)
    if not weak and not weak_bench:
        if suppressed:
            return "mixed", f"{rise}, {above}, but {victims}{excluded}."
        return "genuine", f"{rise}, {above}, and {spared}{excluded}."
    doubtful, against = (
        ("renaming its labels", star) if weak or bench is None else ("shifting its thresholds", bench)
    )
    return (
        "cannot tell",
        f"{rise}, but whether {doubtful} alone would reach as much is open (after − benchmark = {_points(against)}).",
    )


def _not_above(honest: Difference, strict: Difference) -> bool:
    return honest.interval.low <= 0 or strict.interval.low <= 0


def state_of(gain: Interval, margin: float) -> State:
    """What an interval of ΔA says; `gain` is more than nothing and not surely within the margin."""
    if -margin < gain.low and gain.high < margin:
        return "no gain"
    if gain.high < 0:
        return "loss"
    return "gain" if gain.low > 0 else "open"


def missing_decide(
    rows: Answers,
    gain: Interval,
    identical: bool,
    *,
    margin: float,
    stream: np.random.Generator,
    resamples: int,
    level: float,
) -> bool:
    """Whether the failed calls could turn what ΔA's interval says, all of them going one way or the other."""
    state = "no gain" if identical else state_of(gain, margin)
    if len(rows.lost_truth) == 0 or state == "open":
        return False
    before, after = (
        (answers == rows.lost_truth).all(axis=1).astype(np.int8)
        for answers in (rows.lost_before, rows.lost_after)
    )
    open_before, open_after = (
        (answers == FAILED).any(axis=1) for answers in (rows.lost_before, rows.lost_after)
    )
    seen = (rows.after == rows.truth).all(axis=1).astype(np.int8)
    seen -= (rows.before == rows.truth).all(axis=1).astype(np.int8)
    against = np.where(open_after, 0, after) - np.where(open_before, 1, before)
    towards = np.where(open_after, 1, after) - np.where(open_before, 0, before)
    for imputed in (against, towards):
        column = np.append(seen, imputed.astype(np.int8))[:, None]
        (interval,) = mean_intervals(column, stream, resamples, level)
        if state_of(interval, margin) != state:
            return True
    return False


def _points(difference: Difference) -> str:
    value, low, high = (
        round(100 * part, 1) + 0.0
        for part in (difference.value, difference.interval.low, difference.interval.high)
    )
    return f"{value:+.1f} points [{low:.1f}, {high:.1f}]"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")

"""Which verdicts of the gain decomposition are right of two prompts whose truth is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import erf, sqrt

from nullgrad.analysis.audit.verdict import PREVALENCE_TYPE
from nullgrad.analysis.calibration.rates import Finding, Rate, confidence
from nullgrad.analysis.stats.intervals import Interval

BORDER = 0.1
"""Of the prior: a prediction rate this near to half of it makes a suppressed class a matter of chance."""

GAINS = frozenset({"relabelling", "threshold", "prevalence", "mixed", "genuine"})
"""Verdicts by which accuracy rises."""

LEVEL = 0.05
"""Declared for taking one kind of gain for another."""


@dataclass(frozen=True, slots=True)
class TruthOfPair:
    """What a final prompt truly changes against the seed prompt.

    Attributes:
        gain: difference of the exact accuracies, a share.
        informs: whether the evidence about a class changed.
        shifts: whether the bias between classes changed.
        suppressed: whether a class is (its recall falls, and it is answered less than half as often as it occurs);
            None where a sample would show it only by chance.
    """

    gain: float
    informs: bool
    shifts: bool
    suppressed: bool | None

    @property
    def kind(self) -> str:
        """In words."""
        if not self.informs and not self.shifts:
            return "nothing"
        if self.gain <= 0:
            return "no gain"
        if self.informs:
            return "both" if self.shifts else "information"
        return "shift" if not self.suppressed else "suppression"


def pair_truth(
    before: tuple[float, Mapping[str, float], Mapping[str, float]],
    after: tuple[float, Mapping[str, float], Mapping[str, float]],
    prior: Mapping[str, float],
    *,
    informs: bool,
    shifts: bool,
) -> TruthOfPair:
    """From (accuracy, recalls, prediction rates) of both prompts and the prior, by label; all exact."""
    suppressed: bool | None = False
    for label, share in prior.items():
        falls = after[1][label] < before[1][label]
        if share <= 0 or not falls:
            continue
        ratio = after[2][label] / share - 0.5
        if abs(ratio) <= BORDER:
            suppressed = suppressed or None
        elif ratio < 0:
            suppressed = True
    return TruthOfPair(after[0] - before[0], informs, shifts, suppressed)


def mistaken(truth: TruthOfPair, verdict: str, margin: float) -> bool:
    """Whether a verdict says what is not so; `cannot tell` never does."""
    if verdict == "cannot tell":
        return False
    if verdict == "no gain":
        return abs(truth.gain) >= margin
    if verdict == "loss":
        return truth.gain >= 0
    if truth.gain <= 0:
        return True
    if truth.informs and truth.shifts:
        return False
    if truth.informs:
        return verdict != "genuine" and not (verdict == "mixed" and truth.suppressed is not False)
    if verdict in ("genuine", "mixed"):
        return True
    if truth.suppressed is None:
        return False
    return (verdict == "prevalence") != truth.suppressed


def told_kind(truth: TruthOfPair, verdict: str) -> bool:
    """Whether a verdict names the kind of gain that it is: information, or a shift between classes."""
    if truth.informs:
        return verdict == "genuine" or (verdict == "mixed" and truth.suppressed is not False)
    return verdict in PREVALENCE_TYPE


def planned_power(
    truth: TruthOfPair, gap: float, intervals: tuple[Interval, Interval], margin: float
) -> float | None:
    """Least chance of a verdict that names the kind of gain, from the truth and normal theory; None where none is due.

    A gain of at least the margin has to be told from zero, and after − benchmark from zero (information) or from the margin (a
    shift). Each has the power of a two-sided 95 % interval; both at once at least the sum of the two less 1 (Bonferroni).

    Args:
        truth: of the pair.
        gap: exact accuracy of the after prompt − that of the benchmark, a share: of a shift the before prompt with the biases that
            the audit fitted, of information with the best ones.
        intervals: of ΔA and of after − benchmark, 95 %; only their widths are used, as standard errors.
        margin: as a share.
    """
    if truth.gain < margin or (truth.informs and truth.shifts) or not (truth.informs or truth.shifts):
        return None
    errors = [max((one.high - one.low) / (2 * _Z), 1e-9) for one in intervals]
    room = gap if truth.informs else margin - gap
    powers = [_phi(room_ / error - _Z) for room_, error in zip((truth.gain, room), errors, strict=True)]
    return max(0.0, sum(powers) - 1)


_Z = 1.959963984540054


def _phi(value: float) -> float:
    return (1 + erf(value / sqrt(2))) / 2


@dataclass(frozen=True, slots=True)
class Audited:
    """One audit.

    Attributes:
        truth: of the pair.
        verdict: what was said of it.
        planned: see `planned_power`.
    """

    truth: TruthOfPair
    verdict: str
    planned: float | None = None


@dataclass(frozen=True, slots=True)
class DecompositionRates:
    """Verdicts of the gain decomposition in one world: of final prompts against the seed prompt.

    Attributes:
        world, validation, test: which, and examples of each audit.
        verdicts: audits by verdict.
        kinds: audits by what is true of the pair.
        gained: audits of a true gain of the margin or more, and those of them that name a kind of gain.
        wrong: audits whose verdict says what is not so.
        shifts: audits that call the gain a mere shift between labels (`PREVALENCE_TYPE`).
        right: of the audits with a planned power, those whose verdict names the kind of gain.
        planned: mean of their planned powers; None where there are none.
        level: declared for it.
    """

    world: str
    validation: int
    test: int
    verdicts: Mapping[str, int]
    kinds: Mapping[str, int]
    gained: Rate
    wrong: Rate
    shifts: Rate
    right: Rate
    planned: float | None
    level: float = LEVEL


def decomposition_rates(
    world: str, validation: int, test: int, audits: Iterable[Audited], margin: float
) -> DecompositionRates:
    """Count the verdicts."""
    found = list(audits)
    verdicts: dict[str, int] = {}
    kinds: dict[str, int] = {}
    for one in found:
        verdicts[one.verdict] = verdicts.get(one.verdict, 0) + 1
        kinds[one.truth.kind] = kinds.get(one.truth.kind, 0) + 1
    large = [one for one in found if one.truth.gain >= margin]
    due = [(one, one.planned) for one in found if one.planned is not None]
    return DecompositionRates(
        world,
        validation,
        test,
        verdicts,
        kinds,
        Rate(sum(one.verdict in GAINS for one in large), len(large)),
        Rate(sum(mistaken(one.truth, one.verdict, margin) for one in found), len(found)),
        Rate(sum(one.verdict in PREVALENCE_TYPE for one in found), len(found)),
        Rate(sum(told_kind(one.truth, one.verdict) for one, _ in due), len(due)),
        sum(planned for _, planned in due) / len(due) if due else None,
    )


def too_silent(found: Sequence[DecompositionRates]) -> tuple[Finding, ...]:
    """Worlds whose gains are named less often than planned: the upper end of the exact interval is below the plan."""
    sure = confidence(sum(one.planned is not None for one in found))
    return tuple(
        Finding(
            one.world,
            f"{one.world}, gain decomposition: the kind of gain is named in {100 * one.right.share:.1f} % of {one.right.n} "
            f"audits, planned {100 * one.planned:.1f} %",
        )
        for one in found
        if one.planned is not None and one.right.below(one.planned, sure)
    )

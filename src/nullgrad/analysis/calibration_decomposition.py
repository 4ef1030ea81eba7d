"""Which verdicts of the gain decomposition are right of two prompts whose truth is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nullgrad.analysis.calibration import Rate

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


@dataclass(frozen=True, slots=True)
class Audited:
    """One audit: the truth of the pair, and the verdict."""

    truth: TruthOfPair
    verdict: str


@dataclass(frozen=True, slots=True)
class DecompositionRates:
    """Verdicts of the gain decomposition in one world: of final prompts against the seed prompt.

    Attributes:
        world, validation, test: which, and examples of each audit.
        verdicts: audits by verdict.
        kinds: audits by what is true of the pair.
        gained: audits of a true gain of the margin or more, and those of them that name a kind of gain.
        wrong: audits whose verdict says what is not so.
        level: declared for it.
    """

    world: str
    validation: int
    test: int
    verdicts: Mapping[str, int]
    kinds: Mapping[str, int]
    gained: Rate
    wrong: Rate
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
    return DecompositionRates(
        world,
        validation,
        test,
        verdicts,
        kinds,
        Rate(sum(one.verdict in GAINS for one in large), len(large)),
        Rate(sum(mistaken(one.truth, one.verdict, margin) for one in found), len(found)),
    )

"""The gain of one prompt over another on the same examples, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from nullgrad.analysis.intervals import Interval, mcnemar_exact, paired_proportions, t_interval
from nullgrad.core.task import Outcome, Scored, UnparsedAnswer, UnparsedPolicy

Recommendation = Literal["switch", "keep", "cannot tell"]


def score_row(outcomes: Sequence[Outcome], policy: UnparsedPolicy) -> tuple[float | None, ...]:
    """Scores in order, 0 to 1; None where the call failed, or was unparsed under the policy `exclude`."""
    return tuple(_score(outcome, policy) for outcome in outcomes)


def _score(outcome: Outcome, policy: UnparsedPolicy) -> float | None:
    if isinstance(outcome, Scored):
        return outcome.score
    if isinstance(outcome, UnparsedAnswer):
        return 0.0 if policy == "wrong" else None
    return None


def mean_score(row: Sequence[float | None]) -> float | None:
    """Mean of what is not missing, None if everything is."""
    known = [score for score in row if score is not None]
    return fmean(known) if known else None


@dataclass(frozen=True, slots=True)
class Gain:
    """Of the best over the seed prompt, over the test examples that both were scored on; shares, 0 to 1.

    Attributes:
        mean: mean paired difference.
        interval: 95 %, over examples, for these two prompts.
        p: exact McNemar for right-or-wrong scores; None for graded ones.
        pairs: examples in both.
        gained, lost: examples whose score rose, fell.
        worst, best_case: the interval if every missing score had gone against, or for, the new prompt.
    """

    mean: float
    interval: Interval
    p: float | None
    pairs: int
    gained: int
    lost: int
    worst: Interval
    best_case: Interval


def paired_gain(before: Sequence[float | None], after: Sequence[float | None]) -> Gain | None:
    """Compare two rows over the same examples in the same order; None if no example has both.

    Right-or-wrong scores get Bonett and Price's interval, graded ones Student's.
    """
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    binary = all(value in (0.0, 1.0) for pair in pairs for value in pair)
    gained = sum(b > a for a, b in pairs)
    lost = sum(b < a for a, b in pairs)
    against = [(1.0 if a is None else a, 0.0 if b is None else b) for a, b in zip(before, after, strict=True)]
    towards = [(0.0 if a is None else a, 1.0 if b is None else b) for a, b in zip(before, after, strict=True)]
    return Gain(
        fmean(b - a for a, b in pairs),
        _interval(pairs, binary),
        mcnemar_exact(gained, lost) if binary else None,
        len(pairs),
        gained,
        lost,
        _interval(against, binary),
        _interval(towards, binary),
    )


def _interval(pairs: Sequence[tuple[float, float]], binary: bool) -> Interval:
    if binary:
        return paired_proportions(sum(b > a for a, b in pairs), sum(b < a for a, b in pairs), len(pairs))
    estimated = t_interval([b - a for a, b in pairs])
    if estimated is not None:
        return estimated
    # No variance at all: as wide as for right-or-wrong scores of which none changed, never a point.
    shift, rest = fmean(b - a for a, b in pairs), paired_proportions(0, 0, len(pairs))
    return Interval(max(-1.0, shift + rest.low), min(1.0, shift + rest.high))


def recommend(gain: Gain | None, same_prompt: bool) -> tuple[Recommendation, str]:
    """What to do, and why in one sentence.

    `switch` needs the whole interval above zero, whatever the missing scores would have been; `keep` is said
    where nothing speaks for a change (the same prompt, or a gain that is not above zero).
    """
    if same_prompt:
        return "keep", "No candidate was better than the seed prompt."
    if gain is None:
        return "cannot tell", "No test example was scored for both prompts."
    if gain.interval.low > 0:
        if gain.worst.low <= 0:
            return "cannot tell", "The gain is above zero only if the missing answers were not against it."
        return "switch", "The whole interval of the gain is above zero."
    if gain.mean <= 0:
        return "keep", "The new prompt is not better on the sealed test."
    return "cannot tell", "The interval of the gain includes zero: with this test split it may be noise."

"""One prompt on the sealed test, and the gain of one over another on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from nullgrad.analysis.stats.intervals import Interval, mcnemar_exact, paired_proportions, t_interval, wilson
from nullgrad.core.chat import Failed
from nullgrad.core.facts import Tally
from nullgrad.core.rows import mean_known, score_row
from nullgrad.core.task import Outcome, UnparsedAnswer, UnparsedPolicy


@dataclass(frozen=True, slots=True)
class PromptScore:
    """One prompt on the sealed test.

    Attributes:
        score: mean, 0 to 1; None if no answer counts (all are missing, or unparsed under the policy `exclude`).
        interval: Wilson's for right-or-wrong scores, 95 %; None for graded ones.
        outcomes: what became of the answers.
    """

    score: float | None
    interval: Interval | None
    outcomes: Tally


def prompt_score(outcomes: Sequence[Outcome], policy: UnparsedPolicy) -> PromptScore:
    """The score of a prompt by what came of the test examples."""
    known = [score for score in score_row(outcomes, policy) if score is not None]
    binary = all(score in (0.0, 1.0) for score in known)
    unparsed = sum(isinstance(outcome, UnparsedAnswer) for outcome in outcomes)
    failed = sum(isinstance(outcome, Failed) for outcome in outcomes)
    return PromptScore(
        mean_known(known),
        wilson(round(sum(known)), len(known)) if binary else None,
        Tally(len(outcomes) - unparsed - failed, unparsed, failed),
    )


@dataclass(frozen=True, slots=True)
class Gain:
    """Of the best over the seed prompt, over the test examples that both were scored on; shares, 0 to 1.

    Attributes:
        mean: mean paired difference.
        interval: 95 %, over examples, for these two prompts.
        p: exact McNemar for right-or-wrong scores; None for graded ones.
        pairs: examples in both.
        missing: examples that one of the two was not scored on.
        gained, lost: examples whose score rose, fell.
        worst, best_case: the interval if every missing score had gone against, or for, the new prompt.
        worst_p: `p` in the worst of these cases.
    """

    mean: float
    interval: Interval
    p: float | None
    pairs: int
    missing: int
    gained: int
    lost: int
    worst: Interval
    best_case: Interval
    worst_p: float | None


def paired_gain(before: Sequence[float | None], after: Sequence[float | None]) -> Gain | None:
    """Compare two rows over the same examples in the same order; None if no example has both.

    Right-or-wrong scores get Bonett and Price's interval, graded ones Student's.
    """
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    binary = all(value in (0.0, 1.0) for pair in pairs for value in pair)
    against = [(1.0 if a is None else a, 0.0 if b is None else b) for a, b in zip(before, after, strict=True)]
    towards = [(0.0 if a is None else a, 1.0 if b is None else b) for a, b in zip(before, after, strict=True)]
    return Gain(
        fmean(b - a for a, b in pairs),
        _interval(pairs, binary),
        mcnemar_exact(*_changes(pairs)) if binary else None,
        len(pairs),
        len(before) - len(pairs),
        *_changes(pairs),
        _interval(against, binary),
        _interval(towards, binary),
        mcnemar_exact(*_changes(against)) if binary else None,
    )


def _changes(pairs: Sequence[tuple[float, float]]) -> tuple[int, int]:
    """How many scores rose, and how many fell."""
    return sum(b > a for a, b in pairs), sum(b < a for a, b in pairs)


def _interval(pairs: Sequence[tuple[float, float]], binary: bool) -> Interval:
    if binary:
        return paired_proportions(*_changes(pairs), len(pairs))
    estimated = t_interval([b - a for a, b in pairs])
    if estimated is not None:
        return estimated
    # No variance at all: as wide as for right-or-wrong scores of which none changed, never a point.
    shift, rest = fmean(b - a for a, b in pairs), paired_proportions(0, 0, len(pairs))
    return Interval(max(-1.0, shift + rest.low), min(1.0, shift + rest.high))

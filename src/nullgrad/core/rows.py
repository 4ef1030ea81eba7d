"""Rows of scores: one number an example, None where it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from nullgrad.core.task import Outcome, Scored, UnparsedAnswer, UnparsedPolicy


def mean_known(scores: Iterable[float | None]) -> float | None:
    """Mean of what is not missing, None if everything is: unknown is never 0."""
    known = [score for score in scores if score is not None]
    return fmean(known) if known else None


def score_row(outcomes: Sequence[Outcome], policy: UnparsedPolicy) -> tuple[float | None, ...]:
    """Scores in order, 0 to 1; None where the call failed, or was unparsed under the policy `exclude`."""
    return tuple(_score(outcome, policy) for outcome in outcomes)


def _score(outcome: Outcome, policy: UnparsedPolicy) -> float | None:
    if isinstance(outcome, Scored):
        return outcome.score
    return 0.0 if isinstance(outcome, UnparsedAnswer) and policy == "wrong" else None

"""What the gain is made of: the free part from the candidates scored, and the ladder of controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from nullgrad.analysis.intervals import Interval, detectable, t_interval
from nullgrad.core.arms import Arm, Rung
from nullgrad.core.events import CandidateScored, Event
from nullgrad.core.facts import Block
from nullgrad.core.selection import common_means

FOLDS = 10
"""Folds of the cross-fitted choice."""

LEAST_BLOCKS = 3
"""Below it an attribution is one draw per arm, and is not given."""


@dataclass(frozen=True, slots=True)
class FreePart:
    """Read off the candidates that one trial scored on validation; shares, 0 to 1, against true labels.

    Attributes:
        candidates: distinct new prompts scored.
        current: validation mean of the seed prompt, None where it was not scored.
        blind: what a blind draw among the candidates would have given: their mean.
        chosen: what choosing the best gives, cross-fitted (chosen on the other folds, scored on the left-out one).
        claimed: the best candidate's score on the examples that chose it.
    """

    candidates: int
    current: float | None
    blind: float
    chosen: float
    claimed: float

    @property
    def choosing(self) -> float:
        """What choosing added over a blind draw, cross-fitted."""
        return self.chosen - self.blind


def free_part(events: Sequence[Event], scope: str, seed_prompt: str) -> FreePart | None:
    """What the scored candidates of one trial show, None where none was scored (naive and random arms).

    Later candidates descend from earlier choices, so the pool is that of this trial and of no other.
    """
    rows: dict[str, tuple[float | None, ...]] = {}
    for event in events:
        if isinstance(event, CandidateScored) and event.scope == scope and event.scores:
            rows.setdefault(event.prompt, event.scores)
    current = rows.pop(seed_prompt, None)
    if not rows:
        return None
    candidates = list(rows.values())
    means = common_means(candidates)
    if means is None:
        return None
    own = [score for score in current or () if score is not None]
    pool = candidates if current is None else [current, *candidates]
    chosen = _cross_fitted(pool)
    return FreePart(
        len(candidates),
        fmean(own) if own else None,
        fmean(means),
        fmean(means) if chosen is None else chosen,
        max(common_means(pool) or means),
    )


def _cross_fitted(rows: Sequence[tuple[float | None, ...]]) -> float | None:
    """Mean left-out score of the row that is best on the other folds; ties share equally."""
    places = [place for place in range(len(rows[0])) if all(row[place] is not None for row in rows)]
    folds = min(FOLDS, len(places))
    if folds < 2:
        return None
    total = 0.0
    for fold in range(folds):
        out = places[fold::folds]
        rest = [place for place in places if place not in set(out)]
        sums = [sum(row[place] or 0.0 for place in rest) for row in rows]
        winners = [row for row, value in zip(rows, sums, strict=True) if value == max(sums)]
        total += sum(fmean(row[place] or 0.0 for row in winners) for place in out)
    return total / len(places)


@dataclass(frozen=True, slots=True)
class Step:
    """What one rung adds to the rung before it; shares, 0 to 1.

    Attributes:
        ingredient: what was added.
        arm: the rung's arm.
        score: mean test score over blocks.
        effect: mean difference to the rung before, None for the seed.
        interval: 95 % of the effect over trials (Student).
        simultaneous: the same, corrected over the rungs (Bonferroni).
        detectable: smallest effect that these trials could have found at the corrected level with power 0.8.
    """

    ingredient: str
    arm: str
    score: float
    effect: float | None = None
    interval: Interval | None = None
    simultaneous: Interval | None = None
    detectable: float | None = None

    @property
    def told(self) -> bool:
        """Whether the simultaneous interval excludes zero."""
        return self.simultaneous is not None and 0.0 not in self.simultaneous


@dataclass(frozen=True, slots=True)
class Ladder:
    """Attribution over complete blocks.

    Attributes:
        blocks: complete blocks used.
        steps: from the seed upwards; effects add up to the top's gain over the seed.
        sides: (arm, difference to the main arm over blocks, its 95 % interval) of arms beside the ladder.
        reason: why nothing is attributed, "" if it is.
    """

    blocks: int
    steps: tuple[Step, ...]
    sides: tuple[tuple[str, float, Interval | None], ...]
    reason: str = ""


def ladder_attribution(
    rungs: Sequence[Rung], side: Sequence[Arm], blocks: Sequence[Block], top: Arm
) -> Ladder:
    """Effects of the rungs over blocks that are complete in every rung (STATISTICS, Attribution)."""
    names = [rung.arm.canonical for rung in rungs]
    usable = [block for block in blocks if all(block.scores.get(name) is not None for name in names)]
    if len(usable) < LEAST_BLOCKS:
        reason = (
            "one draw per arm: not attributable"
            if usable
            else "no block is complete in every rung: not attributable"
        )
        return Ladder(
            len(usable), (), (), f"{reason} ({len(usable)} complete of {LEAST_BLOCKS} blocks needed)"
        )
    scores = {name: [block.scores[name] or 0.0 for block in usable] for name in names}
    level = 1 - 0.05 / max(1, len(rungs) - 1)
    steps = [Step(rungs[0].ingredient, names[0], fmean(scores[names[0]]))]
    for rung, below in zip(rungs[1:], rungs, strict=False):
        name = rung.arm.canonical
        effects = [b - a for a, b in zip(scores[below.arm.canonical], scores[name], strict=True)]
        steps.append(
            Step(
                rung.ingredient,
                name,
                fmean(scores[name]),
                fmean(effects),
                t_interval(effects),
                t_interval(effects, level),
                detectable(effects, level),
            )
        )
    sides: list[tuple[str, float, Interval | None]] = []
    for arm in side:
        pairs = [
            (block.scores[arm.canonical] or 0.0) - (block.scores[top.canonical] or 0.0)
            for block in usable
            if block.scores.get(arm.canonical) is not None
        ]
        if pairs:
            sides.append((arm.canonical, fmean(pairs), t_interval(pairs)))
    return Ladder(len(usable), tuple(steps), tuple(sides))

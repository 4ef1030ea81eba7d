"""What the gain is made of: the free part from the candidates scored, and the ladder of controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from nullgrad.analysis.stats.intervals import Interval, detectable, t_interval
from nullgrad.core.arms import Arm, Rung
from nullgrad.core.events import CandidateScored, Event
from nullgrad.core.facts import Block
from nullgrad.core.rows import mean_known
from nullgrad.core.selection import KEEP, Row, comparable

FOLDS = 10
"""Folds of the cross-fitted choice."""

LEAST_BLOCKS = 3
"""Below it an attribution is one draw per arm, and is not given."""


@dataclass(frozen=True, slots=True)
class FreePart:
    """Read off the candidates that one trial scored on validation; shares, 0 to 1, against true labels.

    Every number is of the same examples: those that no candidate misses, nor the seed prompt.

    Attributes:
        candidates: new prompts scored; a text drawn twice counts twice.
        distinct: different texts among them.
        examples: validation examples that the numbers are of.
        current: mean of the seed prompt, None where it was not scored.
        blind: what a blind draw among the candidates would have given: their mean.
        chosen: what choosing the best of the candidates gives, cross-fitted (chosen on the other folds, scored on
            the left-out one); None with one example.
        guarded: the same with the seed prompt among the candidates; None where it was not scored.
        claimed: the winner's score on the examples that chose it, the seed prompt among the candidates if it was.
    """

    candidates: int
    distinct: int
    examples: int
    current: float | None
    blind: float
    chosen: float | None
    guarded: float | None
    claimed: float

    @property
    def choosing(self) -> float | None:
        """What choosing among the candidates added over a blind draw, cross-fitted."""
        return None if self.chosen is None else self.chosen - self.blind

    @property
    def guard(self) -> float | None:
        """What keeping the seed prompt as a candidate added to choosing, cross-fitted."""
        return None if self.chosen is None or self.guarded is None else self.guarded - self.chosen


def free_part(events: Sequence[Event], scope: str) -> FreePart | None:
    """What the scored candidates of one trial show, None where none was scored (naive and random arms).

    Rows that selection sets aside because too much of them is missing are left out. Later candidates descend from earlier choices, so the pool is that of this trial and of no other.
    """
    texts: list[str] = []
    rows: list[Row] = []
    current: Row | None = None
    for event in events:
        if isinstance(event, CandidateScored) and event.scope == scope and event.scores:
            if not comparable(event.scores):
                continue
            if event.variant == KEEP:
                current = event.scores if current is None else current
            else:
                texts.append(event.candidate)
                rows.append(event.scores)
    if not rows:
        return None
    whole = rows if current is None else [*rows, current]
    places = [place for place, cell in enumerate(zip(*whole, strict=True)) if None not in cell]
    if not places:
        return None
    known = [[row[place] or 0.0 for place in places] for row in whole]
    candidates = known[: len(rows)]
    seed = None if current is None else known[-1]
    means = [fmean(row) for row in known]
    return FreePart(
        len(rows),
        len(set(texts)),
        len(places),
        None if seed is None else means[-1],
        fmean(means[: len(rows)]),
        _cross_fitted(candidates),
        None if seed is None else _cross_fitted(candidates, seed),
        max(means),
    )


def _cross_fitted(candidates: Sequence[Sequence[float]], seed: Sequence[float] | None = None) -> float | None:
    """Mean left-out score of the row that is best on the other folds.

    Ties of candidates share equally; the seed's row, where it takes part, wins its ties, as in selection.
    """
    count = len(candidates[0])
    folds = min(FOLDS, count)
    if folds < 2:
        return None
    total = 0.0
    for fold in range(folds):
        rest = [place for place in range(count) if place % folds != fold]
        sums = [sum(row[place] for place in rest) for row in candidates]
        best = max(sums)
        winners = [row for row, value in zip(candidates, sums, strict=True) if value == best]
        if seed is not None and sum(seed[place] for place in rest) >= best:
            winners = [seed]
        total += sum(fmean(row[place] for row in winners) for place in range(fold, count, folds))
    return total / count


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
        missing: examples, over all blocks, that this arm or the one before has no score of.
        missing_decides: whether what is told, or its sign, would change if all that is missing had gone for the arm
            and against the one before, or the other way round.
    """

    ingredient: str
    arm: str
    score: float
    effect: float | None = None
    interval: Interval | None = None
    simultaneous: Interval | None = None
    detectable: float | None = None
    missing: int = 0
    missing_decides: bool = False

    @property
    def told(self) -> bool:
        """Whether the simultaneous interval excludes zero."""
        return _sign(self.simultaneous) != 0


@dataclass(frozen=True, slots=True)
class Ladder:
    """Attribution over complete blocks.

    Attributes:
        blocks: complete blocks used.
        steps: from the seed upwards; effects add up to the top's gain over the seed where nothing is missing.
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
    """Effects of the rungs over blocks that are complete in every rung (STATISTICS, Attribution).

    Two arms of a block are compared over the examples that both have a score of.
    """
    names = [rung.arm.canonical for rung in rungs]
    usable = [block for block in blocks if _complete(block, names)]
    if len(usable) < LEAST_BLOCKS:
        reason = (
            "one draw per arm: not attributable"
            if usable
            else "no block is complete in every rung: not attributable"
        )
        return Ladder(
            len(usable), (), (), f"{reason} ({len(usable)} complete of {LEAST_BLOCKS} blocks needed)"
        )
    level = 1 - 0.05 / max(1, len(rungs) - 1)
    steps = [Step(rungs[0].ingredient, names[0], _score(usable, names[0]))]
    for rung, below in zip(rungs[1:], names, strict=False):
        steps.append(_step(rung, below, usable, level))
    sides: list[tuple[str, float, Interval | None]] = []
    for arm in side:
        pairs = [
            _difference(block.rows[top.canonical], block.rows[arm.canonical])
            for block in usable
            if _complete(block, (top.canonical, arm.canonical))
        ]
        if pairs:
            sides.append((arm.canonical, fmean(pairs), t_interval(pairs)))
    return Ladder(len(usable), tuple(steps), tuple(sides))


def _step(rung: Rung, below: str, blocks: Sequence[Block], level: float) -> Step:
    name = rung.arm.canonical
    pairs = [(block.rows[below], block.rows[name]) for block in blocks]
    effects = [_difference(before, after) for before, after in pairs]
    simultaneous = t_interval(effects, level)
    imputed = [
        t_interval([_imputed(before, after, upwards) for before, after in pairs], level)
        for upwards in (True, False)
    ]
    missing = sum(a is None or b is None for pair in pairs for a, b in zip(*pair, strict=True))
    return Step(
        rung.ingredient,
        name,
        _score(blocks, name),
        fmean(effects),
        t_interval(effects),
        simultaneous,
        detectable(effects, level),
        missing,
        missing > 0 and any(_sign(one) != _sign(simultaneous) for one in imputed),
    )


def _complete(block: Block, names: Sequence[str]) -> bool:
    """Whether each of the arms ran, and has an example in common with the one before it."""
    rows = [block.rows.get(name, ()) for name in names]
    return all(mean_known(row) is not None for row in rows) and all(
        any(a is not None and b is not None for a, b in zip(*pair, strict=True)) for pair in pairwise(rows)
    )


def _score(blocks: Sequence[Block], name: str) -> float:
    return fmean(mean for block in blocks if (mean := mean_known(block.rows[name])) is not None)


def _difference(before: Row, after: Row) -> float:
    """Mean of after − before over the examples that both have."""
    return fmean(b - a for a, b in zip(before, after, strict=True) if a is not None and b is not None)


def _imputed(before: Row, after: Row, upwards: bool) -> float:
    """The same over every example, with what is missing as far towards a gain, or away from one, as scores go."""
    low, high = (0.0, 1.0) if upwards else (1.0, 0.0)
    return fmean(
        (high if b is None else b) - (low if a is None else a) for a, b in zip(before, after, strict=True)
    )


def _sign(interval: Interval | None) -> int:
    """1 or −1 for an interval above or below zero, 0 for one that includes it or is not estimable."""
    return 0 if interval is None or 0.0 in interval else 1 if interval.low > 0 else -1

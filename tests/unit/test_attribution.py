"""The free part and the ladder on constructed facts, against enumeration and SciPy."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from math import comb, prod
from statistics import fmean

import pytest
from scipy import stats

from nullgrad.analysis.study.attribution import FreePart, free_part, ladder_attribution
from nullgrad.core.arms import ladder, parse_arm, side_arms
from nullgrad.core.events import CandidateScored
from nullgrad.core.facts import Block

TOP = parse_arm("gradient/correct/validated@3")

Row = tuple[float | None, ...]


def scored(variant: int, prompt: str, row: Row, step: int = 1) -> CandidateScored:
    return CandidateScored("a#0", step, variant, prompt, row, row, 0)


def free_of(candidates: Sequence[Row], current: Row | None = None) -> FreePart:
    events = [scored(number, str(number), row) for number, row in enumerate(candidates)]
    if current is not None:
        events.insert(0, scored(-1, "seed", current))
    free = free_part(events, "a#0")
    assert free is not None
    return free


def test_free_part_by_hand() -> None:
    events = [
        scored(-1, "seed", (0.0, 1.0, 0.0, 1.0)),
        scored(0, "one", (1.0, 1.0, 1.0, 1.0)),
        scored(1, "two", (0.0, 0.0, 0.0, 0.0)),
    ]
    free = free_part(events, "a#0")
    assert free is not None
    assert (free.candidates, free.distinct, free.examples) == (2, 2, 4)
    assert (free.current, free.blind, free.chosen, free.guarded, free.claimed) == (0.5, 0.5, 1.0, 1.0, 1.0)
    assert (free.choosing, free.guard) == (0.5, 0.0)
    assert free_part(events, "other#0") is None
    assert free_part(events[:1], "a#0") is None


def test_a_strong_seed_is_the_guard_and_no_choosing() -> None:
    """Candidates that are all alike leave nothing to choose, however good the seed prompt is."""
    free = free_of([(0.0, 1.0, 0.0, 0.0)] * 3, current=(1.0, 1.0, 1.0, 1.0))
    assert free.choosing == 0.0
    assert free.guard == 0.75
    assert free.claimed == 1.0


def test_without_the_seeds_row_there_is_no_guard() -> None:
    free = free_of([(0.0, 1.0), (1.0, 1.0)])
    assert (free.current, free.guarded, free.guard) == (None, None, None)


def test_a_text_drawn_twice_counts_twice_in_a_blind_draw() -> None:
    events = [
        scored(0, "good", (1.0, 1.0)),
        scored(1, "bad", (0.0, 0.0)),
        scored(0, "bad", (0.0, 0.0), step=2),
        scored(1, "bad", (0.0, 0.0), step=2),
    ]
    free = free_part(events, "a#0")
    assert free is not None
    assert (free.candidates, free.distinct, free.blind) == (4, 2, 0.25)


def test_a_candidate_that_is_the_seed_text_was_drawn_all_the_same() -> None:
    events = [scored(-1, "seed", (1.0, 0.0)), scored(0, "seed", (1.0, 0.0)), scored(1, "new", (1.0, 1.0))]
    free = free_part(events, "a#0")
    assert free is not None
    assert (free.candidates, free.blind) == (2, 0.75)


def test_every_number_is_of_the_examples_that_all_were_scored_on() -> None:
    free = free_of([(1.0, None, 0.0, 1.0), (1.0, 1.0, 1.0, 0.0)], current=(0.0, 0.0, 1.0, None))
    assert free.examples == 2
    assert (free.current, free.blind, free.claimed) == (0.5, 0.75, 1.0)
    assert free_part([scored(0, "a", (1.0, None)), scored(1, "b", (None, 1.0))], "a#0") is None


def test_one_common_example_cannot_be_cross_fitted() -> None:
    free = free_of([(1.0,), (0.0,)], current=(1.0,))
    assert (free.chosen, free.choosing, free.guarded, free.guard) == (None, None, None, None)


def binomial(n: int, share: float) -> list[float]:
    return [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]


@pytest.mark.parametrize(
    ("n", "shares", "seed"), [(3, (0.5, 0.5), 0.5), (3, (0.2, 0.7), 0.6), (4, (0.4, 0.4), 0.9)]
)
def test_cross_fitting_is_unbiased_by_enumeration(n: int, shares: tuple[float, float], seed: float) -> None:
    """Over every outcome, the means are those of a choice on n − 1 fresh examples, worked out by sums.

    Ties of candidates share equally; the current prompt wins its ties, as in selection.
    """
    truths = (*shares, seed)
    chosen = guarded = choosing = 0.0
    for cells in product((0.0, 1.0), repeat=3 * n):
        rows = [cells[n * k : n * (k + 1)] for k in range(3)]
        weight = prod(
            truth if cell else 1 - truth for row, truth in zip(rows, truths, strict=True) for cell in row
        )
        free = free_of(rows[:2], rows[2])
        assert free.chosen is not None and free.guarded is not None and free.choosing is not None
        chosen += weight * free.chosen
        guarded += weight * free.guarded
        choosing += weight * free.choosing
    expected = guard = 0.0
    for sums in product(range(n), repeat=3):
        weight = prod(binomial(n - 1, truth)[k] for truth, k in zip(truths, sums, strict=True))
        best = max(sums[:2])
        winner = fmean(share for share, k in zip(shares, sums, strict=False) if k == best)
        expected += weight * winner
        guard += weight * (seed if sums[2] >= best else winner)
    assert chosen == pytest.approx(expected)
    assert guarded == pytest.approx(guard)
    assert choosing == pytest.approx(expected - fmean(shares))


def test_choosing_among_equals_adds_nothing_on_average() -> None:
    """Candidates without any effect: the winner claims a gain, cross-fitting does not."""
    stream = random.Random(5)
    chosen, claimed = [], []
    for _ in range(400):
        free = free_of([tuple(float(stream.random() < 0.5) for _ in range(40)) for _ in range(8)])
        assert free.choosing is not None
        chosen.append(free.choosing)
        claimed.append(free.claimed - free.blind)
    assert abs(sum(chosen) / 400) < 0.01
    assert sum(claimed) / 400 > 0.08


NAMES = [rung.arm.canonical for rung in ladder(TOP)] + [arm.canonical for arm in side_arms(TOP)]


def blocks(n: int, spread: float = 0.0) -> list[Block]:
    stream = random.Random(1)
    return [
        Block(
            trial,
            {
                name: (min(1.0, max(0.0, 0.3 + 0.05 * place + spread * stream.gauss(0, 1))),) * 4
                for place, name in enumerate(NAMES)
            },
        )
        for trial in range(n)
    ]


def test_ladder_adds_up() -> None:
    result = ladder_attribution(ladder(TOP), side_arms(TOP), blocks(5, 0.02), TOP)
    assert result.blocks == 5
    assert not result.reason
    effects = [step.effect for step in result.steps[1:] if step.effect is not None]
    assert sum(effects) == pytest.approx(result.steps[-1].score - result.steps[0].score)
    assert len(result.sides) == len(side_arms(TOP))
    for step in result.steps[1:]:
        assert step.interval is not None and step.simultaneous is not None
        assert step.simultaneous.low < step.interval.low < step.interval.high < step.simultaneous.high
        assert step.missing == 0 and not step.missing_decides


TWO = ladder(parse_arm("rewrite/none/naive"))


def two(*pairs: tuple[Row, Row]) -> list[Block]:
    return [
        Block(trial, {"seed": seed, "rewrite/none/naive": row}) for trial, (seed, row) in enumerate(pairs)
    ]


def test_a_rung_is_compared_over_the_examples_that_both_arms_have() -> None:
    """The seed misses a hard example: over different examples the rung would look worse than it is."""
    result = ladder_attribution(
        TWO,
        (),
        two(
            ((1.0, 0.0, None, 0.0), (1.0, 1.0, 0.0, 0.0)),
            ((1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, None)),
            ((1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, 1.0)),
        ),
        TWO[-1].arm,
    )
    differences = [1 / 3, 1 / 3, 1 / 2]
    expected = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    step = result.steps[1]
    assert step.effect == pytest.approx(fmean(differences))
    assert step.interval is not None
    assert (step.interval.low, step.interval.high) == pytest.approx((expected.low, expected.high))
    assert step.missing == 2


def test_missing_answers_that_decide_whether_a_rung_is_told_are_said() -> None:
    seed, better = (0.0,) * 10, (1.0,) * 5 + (0.0,) * 5
    steady = [(seed, (*better[:4], float(k % 2), *better[5:])) for k in range(6)]
    whole = ladder_attribution(TWO, (), two(*steady), TWO[-1].arm).steps[1]
    assert whole.told and not whole.missing_decides
    for holes in (3, 6):  # Against the rung, three a block undo it, and six turn it round.
        holed = [
            ((None,) * holes + seed[holes:], (0.0,) * 6 + (1.0,) * 3 + (float(k % 2),)) for k in range(6)
        ]
        step = ladder_attribution(TWO, (), two(*holed), TWO[-1].arm).steps[1]
        assert step.told and step.missing_decides
        assert step.missing == 6 * holes
    one = [*steady[:5], (seed, (None, *steady[5][1][1:]))]
    little = ladder_attribution(TWO, (), two(*one), TWO[-1].arm).steps[1]
    assert little.told and little.missing == 1 and not little.missing_decides


def test_what_is_not_told_may_hang_on_missing_answers_too() -> None:
    noise = [((0.0, 1.0, 1.0, None), (float(k % 2), 1.0, 0.0, 1.0)) for k in range(4)]
    quiet = ladder_attribution(TWO, (), two(*noise), TWO[-1].arm).steps[1]
    assert not quiet.told and not quiet.missing_decides
    half = [((*(None,) * 9, 0.0), (*(None,) * 9, float(k % 2))) for k in range(4)]
    step = ladder_attribution(TWO, (), two(*half), TWO[-1].arm).steps[1]
    assert not step.told and step.missing_decides


def test_a_clear_effect_is_told_and_noise_is_not() -> None:
    sure = ladder_attribution(ladder(TOP), (), blocks(5, 0.001), TOP)
    assert all(step.told for step in sure.steps[1:])
    unsure = ladder_attribution(ladder(TOP), (), blocks(5, 0.3), TOP)
    assert not any(step.told for step in unsure.steps[1:])


def test_under_three_blocks_nothing_is_attributed() -> None:
    result = ladder_attribution(ladder(TOP), (), blocks(2), TOP)
    assert result.reason.startswith("one draw per arm: not attributable")
    assert result.steps == ()


def test_incomplete_blocks_are_left_out() -> None:
    some = blocks(4)
    some[1].rows["seed"] = (None,) * 4
    del some[2].rows["rewrite/none/naive"]
    assert ladder_attribution(ladder(TOP), (), some, TOP).blocks == 2

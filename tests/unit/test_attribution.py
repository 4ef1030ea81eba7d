"""The free part and the ladder on constructed facts."""

from __future__ import annotations

import random

import pytest

from nullgrad.analysis.attribution import free_part, ladder_attribution
from nullgrad.analysis.classes import class_rows
from nullgrad.core.arms import ladder, parse_arm, side_arms
from nullgrad.core.chat import Failed
from nullgrad.core.events import CandidateScored
from nullgrad.core.facts import Block
from nullgrad.core.task import Example, Scored, UnparsedAnswer

TOP = parse_arm("gradient/correct/validated@3")


def scored(variant: int, prompt: str, row: tuple[float | None, ...], step: int = 1) -> CandidateScored:
    return CandidateScored("a#0", step, variant, prompt, row, row, 0)


def test_free_part_by_hand() -> None:
    events = [
        scored(-1, "seed", (0.0, 1.0, 0.0, 1.0)),
        scored(0, "one", (1.0, 1.0, 1.0, 1.0)),
        scored(1, "two", (0.0, 0.0, 0.0, 0.0)),
        scored(0, "one", (1.0, 1.0, 1.0, 1.0), step=2),
    ]
    free = free_part(events, "a#0", "seed")
    assert free is not None
    assert (free.candidates, free.current, free.blind, free.chosen, free.claimed) == (2, 0.5, 0.5, 1.0, 1.0)
    assert free.choosing == 0.5
    assert free_part(events, "other#0", "seed") is None


def test_choosing_among_equals_adds_nothing_on_average() -> None:
    """Candidates without any effect: the winner claims a gain, cross-fitting does not."""
    stream = random.Random(5)
    chosen, claimed = [], []
    for _ in range(400):
        rows = [tuple(float(stream.random() < 0.5) for _ in range(40)) for _ in range(8)]
        free = free_part([scored(n, str(n), row) for n, row in enumerate(rows)], "a#0", "seed")
        assert free is not None
        chosen.append(free.choosing)
        claimed.append(free.claimed - free.blind)
    assert abs(sum(chosen) / 400) < 0.01
    assert sum(claimed) / 400 > 0.08


def blocks(n: int, spread: float = 0.0) -> list[Block]:
    stream = random.Random(1)
    names = [rung.arm.canonical for rung in ladder(TOP)] + [arm.canonical for arm in side_arms(TOP)]
    return [
        Block(
            trial,
            {name: 0.5 + 0.05 * place + spread * stream.gauss(0, 1) for place, name in enumerate(names)},
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
    some[1].scores["seed"] = None
    del some[2].scores["rewrite/none/naive"]
    assert ladder_attribution(ladder(TOP), (), some, TOP).blocks == 2


def examples(*targets: str) -> tuple[Example, ...]:
    return tuple(Example(str(n), "", target) for n, target in enumerate(targets))


def test_recall_by_class() -> None:
    targets = examples(*["a"] * 6, *["b"] * 2)
    seed = [Scored(1.0, "a")] * 5 + [Failed("server", "x")] + [Scored(0.0, "a"), UnparsedAnswer("empty", "")]
    best = [Scored(1.0, "a")] * 3 + [Scored(0.0, "b")] * 3 + [Scored(1.0, "b")] * 2
    a, b = class_rows(targets, seed, best, ("a", "b"), 1)
    assert (a.n, a.seed.recall, a.seed.predicted, a.best.recall) == (6, 1.0, 6, 0.5)
    assert (b.n, b.seed.recall, b.best.recall, b.best.predicted) == (2, 0.0, 1.0, 5)
    assert a.best.interval is not None
    assert b.best.interval is None, "two examples are not estimable"


def test_recall_by_slot() -> None:
    targets = examples("yes, unknown, no", "no, unknown, no")
    answers = [Scored(1.0, "Yes, unknown, no"), Scored(0.0, "no, yes, no")]
    rows = class_rows(targets, answers, answers, (), 3)
    found = {(row.slot, row.label): (row.n, row.seed.recall) for row in rows}
    assert found[0, "yes"] == (1, 1.0)
    assert found[1, "unknown"] == (2, 0.5)
    assert (1, "no") not in found
    assert found[2, "no"] == (2, 1.0)


def test_open_answers_have_no_classes() -> None:
    assert class_rows(examples("a"), [Scored(1.0, "a")], [Scored(1.0, "a")], (), 1) == ()

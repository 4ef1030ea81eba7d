"""What an ablation shows: effects of sections, their interaction, and the examples that they turn wrong."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from nullgrad.analysis.audit.ablation import MOST_FLIPS, Ablation, analyse_ablation, effect_of
from nullgrad.core.audit import ablate
from nullgrad.core.chat import Failed, Reply
from nullgrad.core.effects import Ask
from tests.support.audits import LABELS, make_plan, obeying, target_of
from tests.support.trials import Recorder, reply, run


def ablated(plan: Any, responder: Any = obeying) -> Ablation:
    return analyse_ablation(plan, run(ablate(plan), Recorder(responder)))


def test_an_effect_is_students_mean_over_examples() -> None:
    values = [0.0, 1.0, 0.5, 0.0, -0.5, 1.0, 1.0]
    effect = effect_of([*values, None], 4)
    half = t.ppf(0.975, 6) * stdev(values) / 7**0.5
    assert effect.n == 7
    assert effect.mean == pytest.approx(fmean(values))
    assert effect.interval is not None
    assert (effect.interval.low, effect.interval.high) == pytest.approx(
        (fmean(values) - half, fmean(values) + half)
    )
    corrected = t.ppf(1 - 0.05 / 4 / 2, 6) * stdev(values) / 7**0.5
    assert effect.corrected is not None
    assert effect.corrected.low == pytest.approx(fmean(values) - corrected)
    assert effect.told is (effect.corrected.low > 0)


def test_too_few_examples_have_no_interval_and_no_variance_is_no_point() -> None:
    assert effect_of([1.0, 1.0, 0.0], 1).interval is None
    none = effect_of([0.0] * 20, 1)
    assert none.interval is not None
    assert none.interval.low < 0 < none.interval.high
    assert not none.told
    every = effect_of([1.0] * 20, 1)
    assert every.interval is not None
    assert 0 < every.interval.low < every.interval.high == 1.0
    assert effect_of([None], 1).mean is None


def test_intervals_cover_and_sections_of_no_effect_are_rarely_told_from_zero() -> None:
    """600 prompts of 4 sections on 50 examples, 5 evaluations each; every example is of its own difficulty."""
    stream = np.random.default_rng(20)
    prompts, sections, examples, repeats = 600, 4, 50, 5
    covered = told = 0
    for _ in range(prompts):
        chance = stream.beta(1.5, 0.8, examples)
        full = stream.binomial(repeats, chance) / repeats
        effects = [
            effect_of((full - stream.binomial(repeats, chance) / repeats).tolist(), sections)
            for _ in range(sections)
        ]
        told += any(effect.told for effect in effects)
        covered += sum(effect.interval is not None and 0.0 in effect.interval for effect in effects)
    n = prompts * sections
    assert 0.93 < covered / n < 0.97, covered / n
    # The family's error is at most 5 %; the upper end of the binomial band of 600 prompts is 6.8 %.
    assert told / prompts <= 0.05 + 1.96 * (0.05 * 0.95 / prompts) ** 0.5, told / prompts


def test_effects_flips_and_classes_of_a_harmful_rule() -> None:
    found = ablated(make_plan(sections=True, repeats=2))
    assert (found.examples, found.repeats, found.full, found.lost) == (20, 2, 0.5, 0)
    first, rule, last = found.sections
    # Without the rule the prompt with "Read it well" is right for 18 of 20, with it for 10.
    assert rule.without == 0.9
    assert rule.effect.mean == pytest.approx(-0.4)
    assert rule.effect.told
    assert [(one.label, one.recall.mean) for one in rule.classes] == [
        ("yes", pytest.approx(0.0)),
        ("no", pytest.approx(-0.8)),
    ]
    assert rule.flipped == 8
    assert rule.flipped_by_class == (("no", 8),)
    assert rule.rescued == 0
    assert all(
        (flip.target, flip.answer, flip.answer_without, flip.repeats) == ("no", "yes", "no", 2)
        for flip in rule.flips
    )
    assert rule.flips[0].input == "validation input 1"
    assert (first.effect.mean, last.effect.mean) == (0.0, 0.0)
    assert (rule.alone, last.alone) == (0.5, 0.8)
    assert found.variants[0] == ("full", 46, 0.5)


def test_a_section_that_helps_rescues() -> None:
    found = ablated(make_plan(after="Read it well. Then go.", sections=True, repeats=1))
    assert found.sections[0].rescued == 2
    assert found.sections[0].flipped == 0
    assert found.sections[0].effect.mean == pytest.approx(0.1)
    assert found.interaction is None


def test_the_interaction_is_the_difference_of_differences() -> None:
    def either(ask: Ask) -> Reply:
        """Right where one of the two words is there; with neither it is wrong."""
        prompt, item = ask.request.messages[0].content, ask.request.messages[-1].content
        right = "Alpha" in prompt or "Beta" in prompt
        answer = target_of(item)
        return reply(answer if right else LABELS[1 - LABELS.index(answer)])

    def both(ask: Ask) -> Reply:
        prompt, item = ask.request.messages[0].content, ask.request.messages[-1].content
        right = "Alpha" in prompt and "Beta" in prompt
        answer = target_of(item)
        return reply(answer if right else LABELS[1 - LABELS.index(answer)])

    plan = make_plan(before="x y", after="Alpha. Beta. Gamma.", sections=True, repeats=1)
    synergy = ablated(plan, both).interaction
    assert synergy is not None
    assert synergy.sections == (0, 1)
    # 1 − 0 − 0 + 0: each is worth everything where the other is there.
    assert (synergy.effect.mean, synergy.both) == (1.0, 0.0)
    replaceable = ablated(plan, either)
    assert replaceable.interaction is not None
    # 1 − 1 − 1 + 0: each is worth nothing where the other is there. Of no effect at all the first two are taken.
    assert (replaceable.interaction.sections, replaceable.interaction.effect.mean) == ((0, 1), -1.0)


def test_two_sections_that_only_harm_apart_interact_by_two() -> None:
    def alike(ask: Ask) -> Reply:
        """Right with both words or with neither."""
        prompt, item = ask.request.messages[0].content, ask.request.messages[-1].content
        answer = target_of(item)
        return reply(
            answer if ("Alpha" in prompt) == ("Beta" in prompt) else LABELS[1 - LABELS.index(answer)]
        )

    found = ablated(make_plan(before="x y", after="Alpha. Beta. Gamma.", sections=True, repeats=1), alike)
    assert found.interaction is not None
    assert (found.interaction.effect.mean, found.interaction.both) == (2.0, 1.0)
    assert found.interaction.effect.interval is not None
    assert found.interaction.effect.interval.high == 2.0


def test_failed_calls_are_missing_in_both() -> None:
    def failing(ask: Ask) -> Reply | Failed:
        return Failed("down", "") if ask.about.example == "validation3" else obeying(ask)

    found = ablated(make_plan(sections=True, repeats=1), failing)
    assert {one.effect.n for one in found.sections} == {19}
    assert found.lost == 7


def test_repeats_that_failed_are_left_out_of_the_examples_mean() -> None:
    def once(ask: Ask) -> Reply | Failed:
        first = ask.about.trial == 0
        return Failed("down", "") if first and ask.about.example == "validation3" else obeying(ask)

    found = ablated(make_plan(sections=True, repeats=2), once)
    assert {one.effect.n for one in found.sections} == {20}
    assert found.lost == 0


def test_transcripts_are_bounded() -> None:
    def wordy(ask: Ask) -> Reply:
        prompt = ask.request.messages[0].content
        return reply(target_of(ask.request.messages[-1].content) if "Never" not in prompt else "hm " * 5000)

    found = ablated(make_plan(sections=True, repeats=1), wordy)
    rule = found.sections[1]
    assert rule.flipped == 20
    assert len(rule.flips) == min(20, MOST_FLIPS)
    assert len(rule.flips[0].reply) < 700
    assert rule.flips[0].answer == "(not-a-label)"

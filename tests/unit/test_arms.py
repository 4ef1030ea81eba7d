"""The grammar of arms, and the ladder."""

from __future__ import annotations

import pytest

from nullgrad.core.arms import SEED, ladder, parse_arm, side_arms
from nullgrad.errors import UserError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("seed", "seed"),
        ("rewrite", "rewrite/none/naive"),
        ("improve", "improve/none/naive"),
        ("rewrite/best@3", "rewrite/none/best@3"),
        ("rewrite/none/best@3", "rewrite/none/best@3"),
        ("gradient/correct", "gradient/correct/naive"),
        ("gradient/wrong/validated@3+wrong", "gradient/wrong/validated@3+wrong"),
        ("one-step/shuffled/best@5+shuffled", "one-step/shuffled/best@5+shuffled"),
        (" gradient/none/random@2 ", "gradient/none/random@2"),
        ("gradient/correct/validated@1", "gradient/correct/validated@1"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    arm = parse_arm(text)
    assert arm.canonical == canonical
    assert parse_arm(arm.canonical) == arm


@pytest.mark.parametrize(
    "text",
    [
        "", "gradient", "gradiant/correct/naive", "gradient/right/naive", "gradient/correct/validated",
        "gradient/correct/validated@0", "gradient/correct/best@1", "gradient/correct/random@1", "gradient/correct/naive@3",
        "gradient/correct/naive+wrong", "gradient/correct/random@3+wrong", "improve/correct/naive", "rewrite/wrong",
        "seed/none/naive", "gradient/critic-binary-wrong+frozen/naive", "improve/critic-smooth/naive", "gradient/correct/best@3+none", "a/b/c/d",
    ],
)  # fmt: skip
def test_combinations_without_meaning_are_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_arm(text)
    assert caught.value.what
    assert caught.value.ways_out


def test_the_nearest_word_is_named() -> None:
    with pytest.raises(UserError, match=r"gradient"):
        parse_arm("gradiant/correct/naive")


def test_the_ladder_of_the_default_arm() -> None:
    rungs = ladder(parse_arm("gradient/correct/validated@3"))
    assert [rung.arm.canonical for rung in rungs] == [
        "seed",
        "rewrite/none/naive",
        "rewrite/none/best@3",
        "improve/none/best@3",
        "one-step/none/best@3",
        "one-step/shuffled/best@3",
        "one-step/correct/best@3",
        "gradient/correct/best@3",
        "gradient/correct/validated@3",
    ]


@pytest.mark.parametrize(
    "text",
    ["gradient/correct/naive", "improve/best@4", "one-step/correct/validated@2", "gradient/none/best@2"],
)
def test_every_ladder_ends_at_its_top_and_begins_at_the_seed(text: str) -> None:
    top = parse_arm(text)
    rungs = ladder(top)
    assert rungs[0].arm == SEED
    assert rungs[-1].arm == top
    assert len({rung.arm for rung in rungs}) == len(rungs)
    assert top not in side_arms(top)


def test_a_control_has_no_ladder() -> None:
    with pytest.raises(UserError):
        ladder(parse_arm("gradient/wrong/validated@3"))

"""Entries, controls and steps of a comparison, counted by hand."""

from __future__ import annotations

import pytest

from nullgrad.api.compare_build import check_budget, check_settings, job_parameters, own_steps, parse_settings
from nullgrad.core.arms import parse_arm
from nullgrad.core.chat import Sampling
from nullgrad.core.compare import Comparison, Entry
from nullgrad.core.compare_entries import (
    CONTROLS,
    DEFAULT_CONTROLS,
    own_arm,
    own_calls,
    parse_controls,
    parse_entries,
    steps_within,
)
from nullgrad.core.foreign_budget import Allowance
from nullgrad.edges.optimizers import KNOWN
from nullgrad.edges.sim import sim_task
from nullgrad.errors import UserError

ADAPTERS = {"gepa": ("feedback", "selection"), "copro": ("selection",)}


def names(texts: str, controls: str = "feedback,selection") -> list[str]:
    """Names of the entries."""
    return [one.name for one in parse_entries(texts.split(","), parse_controls(controls), ADAPTERS)]


def test_every_optimizer_is_followed_by_its_controls() -> None:
    assert names("gepa,validated@3") == [
        "gepa/correct/correct",
        "gepa/wrong/correct",
        "gepa/correct/wrong",
        "gradient/correct/validated@3",
        "gradient/wrong/validated@3",
        "gradient/correct/validated@3+wrong",
    ]


def test_a_control_is_made_for_the_channels_that_an_optimizer_has_and_for_no_other() -> None:
    assert names("copro", "feedback,selection,none") == ["copro/correct/correct", "copro/correct/wrong"]
    assert names("gradient/correct/naive", "feedback,selection,none") == [
        "gradient/correct/naive",
        "gradient/wrong/naive",
        "gradient/none/naive",
    ]
    assert names("rewrite/best@3", "feedback,selection,none") == [
        "rewrite/none/best@3",
        "rewrite/none/best@3+wrong",
    ]
    assert names("gradient/critic-binary+frozen/naive", "feedback,none") == [
        "gradient/critic-binary+frozen/naive",
        "gradient/none/naive",
    ]


def test_off_leaves_the_controls_out_and_the_default_has_two() -> None:
    assert names("gepa,nullgrad", "off") == ["gepa/correct/correct", "gradient/correct/validated@3"]
    assert DEFAULT_CONTROLS == ("feedback", "selection")
    assert parse_controls("none, feedback") == ("feedback", "none")
    assert parse_controls(",".join(CONTROLS)) == CONTROLS


def test_controls_group_with_their_treatment_and_never_compete() -> None:
    entries = parse_entries(["gepa", "nullgrad"], CONTROLS, ADAPTERS)
    for optimizer in ("gepa", "gradient/correct/validated@3"):
        own = [one for one in entries if one.optimizer == optimizer]
        assert [one.control for one in own] == [False, True, True, True]
        assert [(one.feedback, one.selection) for one in own] == [
            ("correct", "correct"), ("wrong", "correct"), ("correct", "wrong"), ("none", "correct"),
        ]  # fmt: skip
        assert {one.own for one in own} == {optimizer != "gepa"}
    comparison = Comparison("t", entries, 3, Allowance(100))
    assert [one.name for one in comparison.competing] == [
        "gepa/correct/correct",
        "gradient/correct/validated@3",
    ]
    assert len(comparison.of("gepa")) == 4


def test_an_own_arm_that_sees_no_label_by_its_nature_is_no_control() -> None:
    (entry,) = parse_entries(["one-step/none/best@3"], (), ADAPTERS)
    assert (entry.control, entry.optimizer) == (False, "one-step/none/best@3")
    _, control = parse_entries(["gepa", "one-step/shuffled/best@3"], (), ADAPTERS)
    assert (control.control, control.optimizer) == (True, "one-step/correct/best@3")


def test_a_control_that_is_named_itself_brings_no_controls_and_is_not_doubled() -> None:
    assert names("naive,gepa/wrong/correct", "selection") == ["gradient/correct/naive", "gepa/wrong/correct"]
    assert names("gepa/wrong/correct,gepa", "feedback") == ["gepa/wrong/correct", "gepa/correct/correct"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gepo", "Did you mean gepa?"),
        ("", "No optimizer is named"),
        ("gepa,gepa/correct", "named twice"),
        ("nullgrad,validated@3", "named twice"),
        ("seed", "The seed prompt is named"),
        ("copro/wrong", "sees none"),
        ("gepa/wrong,gradient/wrong/naive", "none competes"),
        ("validated", "does not say how many"),
        ("gepa/false/correct", "cannot be read"),
    ],
)
def test_what_means_no_optimizer_is_one_line(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says.replace("?", r"\?")) as caught:
        names(text)
    assert "\n" not in str(caught.value)
    assert "Nothing was run." in str(caught.value)


@pytest.mark.parametrize("text", ["", "labels", "off,feedback"])
def test_unknown_controls_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--controls is"):
        parse_controls(text)


def test_every_adapter_can_be_named() -> None:
    entries = parse_entries(list(KNOWN), (), {name: one.channels for name, one in KNOWN.items()})
    assert [one.optimizer for one in entries] == list(KNOWN)


@pytest.mark.parametrize(
    "arm", ["gradient/correct/validated@3", "one-step/correct/best@2", "rewrite", "improve/best@4"]
)
@pytest.mark.parametrize("calls", [0, 1, 57, 400, 1999, 2000])
def test_the_steps_are_the_most_that_the_budget_holds(arm: str, calls: int) -> None:
    view = sim_task("gradient").view

    def cost(steps: int) -> int:
        return own_calls(parse_arm(arm), view, 3, steps).total

    by_counting = next(steps for steps in range(10_000) if cost(steps + 1) > calls)
    assert steps_within(calls, cost) == by_counting


def test_a_budget_without_a_step_or_without_a_second_candidate_is_refused() -> None:
    view = sim_task("gradient").view
    own = Entry("gradient/correct/validated@3", "gradient/correct/validated@3", own=True)
    third = Entry("gepa/correct/correct", "gepa")
    # V (1 + n) + b + n (2 b + 1) with V = 50, n = 3 and b = 3.
    assert own_calls(own_arm(own), view, 3, 1).total == 50 * 4 + 3 + 3 * 7
    assert own_steps([own, third], view, Allowance(224), 3) == {own.name: 1}
    with pytest.raises(UserError, match=r"holds no step of .* which asks 224"):
        own_steps([own], view, Allowance(223), 3)
    check_budget([third], view, Allowance(101))
    with pytest.raises(UserError, match="too small"):
        check_budget([third], view, Allowance(100))
    check_budget([own], view, Allowance(100))
    with pytest.raises(UserError, match="no budget"):
        check_budget([third], view, Allowance())


def test_settings_are_json_where_they_can_be_and_belong_to_who_runs() -> None:
    found = parse_settings(["gepa.size=5", "gepa.name=fast", "dspy-mipro.auto=null"])
    assert found == {"gepa": {"size": 5, "name": "fast"}, "dspy-mipro": {"auto": None}}
    entries = parse_entries(["gepa", "nullgrad"], ("feedback",), ADAPTERS)
    assert check_settings({"gepa": {"size": 5}}, entries) == {"gepa": {"size": 5}}
    with pytest.raises(UserError, match="no third-party optimizer of this comparison"):
        check_settings({"copro": {"breadth": 5}}, entries)
    for wrong in (["gepa"], ["gepa=5"], ["gepa.=5"], [".size=5"], ["gepa.size=5", "gepa.size=6"]):
        with pytest.raises(UserError, match="--set"):
            parse_settings(wrong)


def test_third_party_calls_are_sampled_as_own_ones() -> None:
    assert job_parameters(Sampling(), None) == {}
    assert job_parameters(Sampling(0.5, None, 64), 1.0) == {
        "generator": {"temperature": 0.5, "max_tokens": 64},
        "optimizer": {"temperature": 1.0, "max_tokens": 64},
    }
    assert job_parameters(Sampling(), 1.0) == {"optimizer": {"temperature": 1.0}}

"""Selection by mean score or by balanced accuracy."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nullgrad.core.arms import parse_arm
from nullgrad.core.chat import Failed, Reply
from nullgrad.core.effects import Ask
from nullgrad.core.events import CandidateScored
from nullgrad.core.objective import check_objective, classes_of, objective_row
from nullgrad.core.plan import Plan
from nullgrad.core.rows import mean_known
from nullgrad.core.scoring import make_scorer
from nullgrad.core.setting import Cast, RoleModel
from nullgrad.core.task import Example, Scored, TaskView, UnparsedAnswer
from nullgrad.core.trial import run_trial
from nullgrad.edges.packs import load_pack
from nullgrad.errors import UserError
from tests.support.trials import Recorder, make_setting, make_task, make_view, reply, run


def balanced(view: TaskView, targets: list[str], answers: list[str | None]) -> float | None:
    examples = [Example(str(place), "", target) for place, target in enumerate(targets)]
    outcomes: list[Any] = [
        UnparsedAnswer("x", "")
        if answer is None
        else Failed("down", "")
        if answer == "!"
        else Scored(view.scorer.score(answer, target), answer)
        for target, answer in zip(targets, answers, strict=True)
    ]
    return mean_known(objective_row("balanced", view, examples, {}, outcomes))


def test_the_mean_of_a_row_is_balanced_accuracy() -> None:
    view = make_view(labels=("a", "b", "c"))
    targets = ["a"] * 6 + ["b"] * 3 + ["c"]
    answers: list[str | None] = ["a"] * 6 + ["b", "a", None] + ["a"]
    assert balanced(view, targets, answers) == pytest.approx((1 + 1 / 3 + 0) / 3, abs=1e-12)


def test_classes_that_do_not_occur_do_not_count() -> None:
    view = make_view(labels=("a", "b", "c"))
    assert balanced(view, ["a", "a", "b", "b"], ["a", "a", "b", "a"]) == pytest.approx(0.75)


def test_tuples_are_balanced_in_each_slot() -> None:
    view = replace(
        make_view(labels=("x", "y")), slots=2, scorer=make_scorer("labels", labels=("x", "y"), slots=2)
    )
    targets = ["x, x", "x, y", "x, y", "y, y"]
    answers: list[str | None] = ["x, x", "x, x", "y, y", "y, y"]
    first, second = (2 / 3 + 1) / 2, (1 + 2 / 3) / 2
    assert balanced(view, targets, answers) == pytest.approx((first + second) / 2, abs=1e-12)


def test_failed_calls_are_missing() -> None:
    view = make_view()
    examples = [Example(str(place), "", "yes") for place in range(2)]
    assert objective_row("balanced", view, examples, {}, [Failed("down", ""), Scored(1.0, "yes")])[0] is None


def test_accuracy_is_the_score() -> None:
    view = make_view()
    examples = [Example(str(place), "", "yes") for place in range(3)]
    outcomes = [Scored(0.25, "yes"), UnparsedAnswer("x", ""), Failed("down", "")]
    assert objective_row("accuracy", view, examples, {}, outcomes) == (0.25, 0.0, None)


def test_weights_follow_the_labels_that_selection_is_shown() -> None:
    view = make_view()
    examples = [Example(str(place), "", "yes") for place in range(4)]
    shown = {"0": "no", "1": "yes", "2": "yes", "3": "yes"}
    outcomes = [Scored(1.0, "no"), Scored(1.0, "yes"), Scored(0.0, "no"), Scored(0.0, "no")]
    assert mean_known(objective_row("balanced", view, examples, shown, outcomes)) == pytest.approx(
        (1 + 1 / 3) / 2
    )


def test_open_answers_and_sets_have_no_balanced_accuracy() -> None:
    open_ = replace(make_view(), labels=(), scorer=make_scorer("normalized"))
    sets = replace(make_view(), scorer=make_scorer("labels", labels=("yes", "no")))
    for view in (open_, sets):
        with pytest.raises(UserError, match="no balanced accuracy"):
            check_objective(view, "balanced")
        check_objective(view, "accuracy")


def test_classes_of_answers_of_any_form() -> None:
    view = replace(
        make_view(labels=("yes", "no")), slots=2, scorer=make_scorer("bbeh", labels=("yes", "no"), slots=2)
    )
    assert classes_of("yes,no", view) == ("yes", "no")
    assert classes_of("yes", view) is None
    assert classes_of("yes, perhaps", view) is None
    assert classes_of(None, view) is None


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "task": make_task(), "arm": parse_arm("improve/none/best@2"), "steps": 1, "batch_size": 3, "trials": 1,
        "controls": "none", "seed": 0, "cast": Cast(*[RoleModel("m")] * 4), "pack": load_pack("standard"), **changes,
    }  # fmt: skip
    return Plan(**values)


def test_only_another_objective_is_part_of_the_identity() -> None:
    assert "objective" not in json.loads(plan().spec)
    assert plan().run == plan(objective="accuracy").run
    assert json.loads(plan(objective="balanced").spec)["objective"] == "balanced"
    assert plan().setting(parse_arm("improve"), 0).objective == "accuracy"
    assert plan(objective="balanced").setting(parse_arm("improve"), 0).objective == "balanced"


def test_a_plan_refuses_an_objective_that_the_task_cannot_have() -> None:
    view = replace(make_view(), labels=(), scorer=make_scorer("normalized"))
    with pytest.raises(UserError, match="no balanced accuracy"):
        plan(task=replace(make_task(), view=view), objective="balanced")


def majority(ask: Ask) -> Reply:
    """Two proposals: one answers yes always (right for four of five), the other finds every no and one yes."""
    if ask.about.stage != "forward":
        return reply(f"<prompt>Prompt of variant number {ask.about.variant}.</prompt>")
    prompt, item = ask.request.messages[0].content, ask.request.messages[-1].content
    if "number 0" in prompt:
        return reply("yes")
    return reply("yes" if item.endswith(("input 0", "input 1")) else "no")


@pytest.mark.parametrize(("objective", "taken"), [("accuracy", "number 0"), ("balanced", "number 1")])
def test_the_two_objectives_choose_differently(objective: Any, taken: str) -> None:
    examples = tuple(Example(f"v{n}", f"input {n}", "yes" if n < 8 else "no") for n in range(10))
    view = replace(make_view(), validation=examples)
    setting = replace(make_setting("improve/none/best@2", view=view, steps=1), objective=objective)
    recorder = Recorder(majority)
    result = run(run_trial(setting), recorder)
    assert taken in result.candidate.prompt
    rows = [event for event in recorder.events if isinstance(event, CandidateScored)]
    assert [mean_known(row.scores) for row in sorted(rows, key=lambda one: one.variant)] == [0.8, 0.4]
    if objective == "balanced":
        assert [mean_known(row.shown) for row in sorted(rows, key=lambda one: one.variant)] == [
            pytest.approx(0.5),
            pytest.approx((0.25 + 1) / 2),
        ]
        assert result.validation == pytest.approx(0.625)

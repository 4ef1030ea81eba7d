"""Studies as values: what is refused, what is asked, and which blocks come next."""

from __future__ import annotations

from typing import Any

import pytest

from nullgrad.core.arms import SEED, parse_arm
from nullgrad.core.calls import Calls
from nullgrad.core.setting import Cast, RoleModel
from nullgrad.core.study import ArmPlan, Cell, ContrastSpec, Study, one_ingredient, wanted
from nullgrad.core.study_facts import fold_trials, parse_scope
from nullgrad.core.trial import run_test, run_trial
from nullgrad.edges.packs import load_pack
from nullgrad.errors import UserError
from tests.support.trials import Recorder, make_task, run


def make_cell(name: str = "small@m", **options: Any) -> Cell:
    cast = Cast(*[RoleModel("test-model")] * 4)
    return Cell(name.replace("@", " "), make_task(**options), cast, load_pack("standard"), "small", "m")


def arms(*texts: str, trials: int = 3) -> tuple[ArmPlan, ...]:
    return tuple(ArmPlan(parse_arm(text), trials) for text in texts)


def contrast(first: str, second: str, **changes: Any) -> ContrastSpec:
    values: dict[str, Any] = {"name": f"{first} > {second}", "family": "f", "kind": "arms", **changes}
    return ContrastSpec(arms=(parse_arm(first), parse_arm(second)), **values)


def make_study(**changes: Any) -> Study:
    values: dict[str, Any] = {
        "name": "s", "cells": (make_cell(),), "arms": arms("gradient/correct/naive", "gradient/wrong/naive"),
        "steps": 4, "batch_size": 3, "seed": 0, "design": "paired", **changes,
    }  # fmt: skip
    return Study(**values)


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("gradient/correct/naive", "gradient/wrong/naive", True),
        ("gradient/correct/naive", "one-step/correct/naive", True),
        ("gradient/correct/validated@3", "gradient/correct/naive", True),
        ("gradient/correct/naive", "improve", True),
        ("improve", "seed", True),
        ("gradient/critic-smooth/naive", "gradient/critic-smooth-wrong/naive", True),
        ("gradient/critic-smooth/naive", "gradient/critic-smooth+frozen/naive", True),
        ("gradient/correct/naive", "gradient/critic-binary/naive", True),
        ("gradient/correct/validated@3", "gradient/wrong/naive", False),
        ("gradient/correct/naive", "one-step/wrong/naive", False),
        ("gradient/correct/naive", "seed", False),
        ("gradient/critic-smooth/naive", "gradient/wrong/naive", False),
    ],
)
def test_a_contrast_is_over_one_ingredient(first: str, second: str, one: bool) -> None:
    assert one_ingredient(parse_arm(first), parse_arm(second)) is one
    assert one_ingredient(parse_arm(second), parse_arm(first)) is one


WRONG = {
    "no arm": ({"arms": arms("seed")}, "there is no arm"),
    "an arm twice": ({"arms": arms("improve", "improve/none/naive")}, "listed twice"),
    "no trials": ({"arms": arms("improve", trials=0)}, "0 trials"),
    "steps": ({"steps": -1}, "steps is -1"),
    "two cells": ({"cells": (make_cell(), make_cell())}, "two cells"),
    "a curve too long": ({"curve": (5,)}, "step 5 of 4"),
    "looks without pairs": ({"design": "independent", "sequential": (3,)}, "paired design"),
    "two ingredients": (
        {
            "arms": arms("gradient/correct/naive", "one-step/wrong/naive"),
            "contrasts": (contrast("gradient/correct/naive", "one-step/wrong/naive"),),
        },
        "more than one ingredient",
    ),
    "unequal trials": (
        {
            "arms": (*arms("gradient/correct/naive", trials=5), *arms("gradient/wrong/naive", trials=3)),
            "contrasts": (contrast("gradient/correct/naive", "gradient/wrong/naive"),),
        },
        "is paired",
    ),
    "one contrast twice": (
        {
            "contrasts": (
                contrast("gradient/correct/naive", "gradient/wrong/naive", name="a"),
                contrast("gradient/correct/naive", "gradient/wrong/naive", name="b"),
            )
        },
        "twice",
    ),
    "an arm that does not run": (
        {"contrasts": (contrast("gradient/correct/naive", "improve"),)},
        "does not run",
    ),
    "a margin": (
        {"contrasts": (contrast("gradient/correct/naive", "gradient/wrong/naive", margin=5.0),)},
        "margin",
    ),
    "an unknown model": (
        {
            "contrasts": (
                ContrastSpec("m", "f", "models", (parse_arm("gradient/correct/naive"),), ("m", "other")),
            )
        },
        "two models",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_studied_is_refused_in_one_line(name: str) -> None:
    changes, said = WRONG[name]
    with pytest.raises(UserError, match=said) as caught:
        make_study(**changes)
    assert caught.value.ways_out


def test_a_bundle_may_differ_in_more() -> None:
    both = arms("gradient/correct/naive", "one-step/wrong/naive")
    declared = contrast("gradient/correct/naive", "one-step/wrong/naive", bundle=True)
    assert make_study(arms=both, contrasts=(declared,)).contrasts == (declared,)


def test_calls_asked_are_those_of_trials_and_readings() -> None:
    study = make_study(curve=(1, 2))
    # 4 steps over 7 examples: batches of 3, 3, 1, 3.
    one = Calls(10, 4 + 2 * 10) + Calls(6) * 3
    assert study.asked == (one + one) * 3 + Calls(6) * 3


def test_blocks_go_side_by_side_over_the_cells() -> None:
    study = make_study(cells=(make_cell("a@m"), make_cell("b@m")))
    assert wanted(study, [], [], 3) == (("a m", 0), ("b m", 0), ("a m", 1))
    assert wanted(study, [("a m", 0)], [("b m", 0)], 2) == (("a m", 1),)
    assert wanted(study, [(name, n) for name in ("a m", "b m") for n in range(3)], [], 3) == ()


def test_arms_share_draws_in_the_paired_design_alone() -> None:
    def asked(design: str, arm: str) -> set[str]:
        study = make_study(design=design)
        recorder = Recorder()
        run(run_trial(study.setting(study.cells[0], parse_arm(arm), 0)), recorder)
        return {
            ask.request.identity()
            for ask in recorder.asks
            if ask.about.step == 1 and ask.about.role == "generator"
        }

    first, second = "gradient/correct/naive", "gradient/wrong/naive"
    assert asked("paired", first) == asked("paired", second)
    assert asked("independent", first).isdisjoint(asked("independent", second))


def test_facts_are_folded_from_events_alone() -> None:
    study = make_study(arms=arms("gradient/critic-binary/validated@2"))
    cell, arm = study.cells[0], parse_arm("gradient/critic-binary/validated@2")
    recorder = Recorder()
    result = run(run_trial(study.setting(cell, arm, 1)), recorder)
    run(run_test(study.setting(cell, arm, 1), result.candidate, "final", cell.task.test), recorder)
    ((key, facts),) = fold_trials(recorder.events).items()
    assert key == (cell.name, arm.canonical, 1)
    assert facts.complete
    assert facts.final == result.candidate
    assert len(facts.row or ()) == 6
    assert sorted(facts.steps) == [1, 2, 3, 4]
    assert set(facts.steps[1].scored) == {-1, 0, 1}
    assert all(step.critiqued is not None and step.batch is not None for step in facts.steps.values())


def test_scopes_are_read_back() -> None:
    assert parse_scope("gradient/correct/naive#3@web of lies · small") == (
        "web of lies · small", "gradient/correct/naive", 3,
    )  # fmt: skip
    assert parse_scope("seed#0") == ("", SEED.canonical, 0)
    assert parse_scope("") is None

"""Dials, tasks and mixtures of simulated worlds, and what is declared true in them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nullgrad.analysis.study.verdicts import INVERTED, PREDICTIONS
from nullgrad.core.arms import parse_arm
from nullgrad.edges.models.named import FORMS, default_pack, list_models, open_model
from nullgrad.edges.sim import (
    BATTERY,
    TRUTHS,
    WORLDS,
    SimModel,
    declared_truth,
    final_truths,
    parse_world,
    sim_study,
    sim_task,
    true_curve,
    true_difference,
    true_means,
)
from nullgrad.edges.sim.predictions import BY_STEP
from nullgrad.edges.sim.rules import about_label
from nullgrad.edges.sim.task import SEED_PROMPT
from nullgrad.edges.sim.vocabulary import read_messages
from nullgrad.edges.tasks.shipped import list_tasks, resolve_task
from nullgrad.errors import UserError


def test_a_world_is_opened_as_a_model_and_as_a_task() -> None:
    model = open_model("sim:gradient?rho=0.9&latency=0.1")
    assert isinstance(model, SimModel) and model.simulated and model.constrains and model.max_logprobs == 2
    assert model.name == "sim:gradient?rho=0.9&latency=0.1" and default_pack(model.name) == "standard"
    assert model.world.spec == "sim:gradient?latency=0.1&rho=0.9"
    assert open_model("sim:null?logprobs=0").max_logprobs == 0
    assert resolve_task("sim/gradient").view.labels == ("complaint", "praise")
    names = {one.name for one in list_models()} & {f"sim:{world}" for world in WORLDS}
    assert len(names) == len(WORLDS) == len([one for one in list_tasks() if one.kind == "simulated"])
    assert "sim:WORLD" in FORMS


def test_the_identity_is_world_version_and_dials() -> None:
    plain = parse_world("sim:gradient").identity
    assert (
        plain
        == parse_world("gradient?rho=0.5&redraw=1.0").identity
        == parse_world("gradient?latency=2").identity
    )
    others = [
        "null", "gradient+null", "null+gradient", "gradient?rho=0.9", "gradient?seed=1", "gradient?classes=3",
        "gradient?rare=0.2", "gradient?effect=2", "gradient?find=1", "gradient?critic=1", "gradient?fail=0.1",
        "gradient?fail_for_good=0.1", "gradient?redraw=0", "gradient+null?weight=0.1", "gradient?logprobs=0",
    ]  # fmt: skip
    assert len({plain, *(parse_world(spec).identity for spec in others)}) == len(others) + 1
    for spec in others:
        assert parse_world(parse_world(spec).spec) == parse_world(spec)


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("sim:gradent", "no simulated world 'gradent'", "gradient"),
        ("sim:", "no simulated world ''", "Known"),
        ("sim:gradient+gradient", "two different worlds", "gradient+prevalence"),
        ("sim:gradient+null+chain", "two different worlds", ""),
        ("sim:gradient?roh=1", "no dial 'roh'", "rho"),
        ("sim:gradient?rho", "no dial with one value", "rho=VALUE"),
        ("sim:gradient?rho=1&rho=0", "no dial with one value", ""),
        ("sim:gradient?rho=1.5", "rho is '1.5'", "from 0 to 1"),
        ("sim:gradient?rho=nan", "rho is 'nan'", "from 0 to 1"),
        ("sim:gradient?classes=4", "classes is '4'", "whole number from 2 to 3"),
        ("sim:gradient?classes=2.5", "classes is '2.5'", "whole number"),
        ("sim:gradient?rare=0", "rare is 0", "1/2"),
        ("sim:gradient?rare=0.6", "rare is 0.6", "1/2"),
        ("sim:gradient?weight=0.3", "weight has no meaning", "gradient+null"),
    ],
)
def test_a_bad_dial_is_one_clear_line(spec: str, message: str, hint: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_model(spec)
    assert hint in caught.value.ways_out and "\n" not in str(caught.value)


@pytest.mark.parametrize("world", [*WORLDS, "gradient+prevalence"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_task_has_the_worlds_shares_in_every_split_and_can_be_read(world: str, classes: int) -> None:
    known = parse_world(f"{world}?classes={classes}")
    task = sim_task(known.task_name, split={"train": 40, "validation": 20, "test": 60})
    view = task.view
    assert (len(view.train), len(view.validation), len(task.test)) == (40, 20, 60)
    for examples in (view.train, view.validation, task.test):
        counts = Counter(one.target for one in examples)
        for label, share in zip(known.labels, known.prior, strict=True):
            assert abs(counts[label] - share * len(examples)) < 1 + 1e-9
        topics = Counter(read_messages(one.input)[0].topic for one in examples)
        assert max(topics.values()) - min(topics.values()) <= classes
        assert known.read(examples).labels.tolist() == [known.labels.index(one.target) for one in examples]
    every = [*view.train, *view.validation, *task.test]
    assert (
        len({one.input for one in every}) == len({read_messages(one.input)[0].number for one in every}) == 120
    )
    assert view.scorer.read(known.labels[0]) == known.labels[0] and view.constrained == known.labels


def test_dials_of_a_task_and_what_may_not_be_replaced() -> None:
    task = sim_task(
        "sim/prevalence?rare=0.1&classes=3&seed=2", split={"train": 10, "validation": 10, "test": 100}
    )
    assert Counter(one.target for one in task.test)["question"] == 10
    other = sim_task("sim/prevalence?rare=0.1&classes=3", split={"train": 10, "validation": 10, "test": 100})
    assert {one.input for one in task.test}.isdisjoint({one.input for one in other.test})
    longer = sim_task("sim/prevalence?rare=0.1&classes=3", split={"train": 30, "validation": 10, "test": 100})
    assert longer.test == other.test and longer.digest != other.digest
    again = sim_task("sim/gradient", split={"train": 10, "validation": 10, "test": 10, "seed": 3})
    assert again.test != sim_task("sim/gradient", split={"train": 10, "validation": 10, "test": 10}).test
    assert sim_task("sim/null", prompt="Go.").view.seed_prompt == "Go."
    for ref, more, message in (
        ("sim/nothing", {}, "no simulated world"),
        ("sim/gradient?rho=1", {}, "a dial of the model"),
        ("sim/gradient", {"labels": ["a", "b"]}, "cannot be replaced"),
        ("sim/gradient", {"split": {"train": 0.5}}, "size of the train split"),
        ("sim/gradient", {"split": {"test": 10**6}}, "too many"),
    ):
        with pytest.raises(UserError, match=message):
            resolve_task(ref, **more)


def test_a_mixture_stands_on_the_world_that_leans_and_has_the_effects_of_both() -> None:
    mixed, prevalence = parse_world("gradient+prevalence"), parse_world("prevalence")
    assert mixed.prior == prevalence.prior == parse_world("prevalence+gradient").prior
    assert mixed.truth(SEED_PROMPT) == prevalence.truth(SEED_PROMPT)
    rule = about_label("suppress", 1)[0].sentence
    right = "For messages about billing, go by what has happened to the customer."
    assert mixed.recalls(rule)["praise"] < 0.2 < 0.6 < mixed.recalls("")["praise"]
    assert mixed.accuracy(right) > mixed.accuracy("") == prevalence.accuracy(right)


ARMS = ("rewrite", "improve", "one-step/none/naive", "one-step/correct/naive", "gradient/correct/naive",
        "gradient/wrong/naive", "gradient/none/naive", "gradient/shuffled/naive", "gradient/correct/best@3")  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3])
def test_gains_are_as_large_as_documented(classes: int) -> None:
    gains, spread = {}, {}
    for name in WORLDS:
        world = parse_world(f"{name}?classes={classes}")
        means = true_means(sim_study(world, ARMS), world, trials=40)
        assert 0.59 < means["seed"].mean < 0.7 and means["seed"].error == 0.0
        for arm, one in means.items():
            gains[name, arm.removesuffix("/naive")] = 100 * (one.mean - means["seed"].mean)
            spread[name, arm.removesuffix("/naive")] = one
    for name in WORLDS:
        assert gains[name, "rewrite/none"] == 0.0
    for name in ("null", "overfit"):
        assert all(gain == pytest.approx(0.0, abs=1e-9) for (own, _), gain in gains.items() if own == name)
    assert 8 < gains["gradient", "gradient/correct"] < 15
    assert gains["gradient", "gradient/wrong"] < -8 < -3 < gains["gradient", "gradient/none"] < 3
    assert gains["gradient", "improve/none"] == 0.0
    for update in ("improve/none", "one-step/none", "one-step/correct", "gradient/correct", "gradient/wrong"):
        assert 4 < gains["discovery", update] < 12
        assert 4 < gains["prevalence", update] < 10
        assert 3 < gains["threshold", update] < 10
        assert gains["chain", update] == 0.0 or update == "gradient/correct"
    assert gains["discovery", "gradient/correct/best@3"] > gains["discovery", "gradient/correct"] + 3
    assert 8 < gains["chain", "gradient/correct"] < 15 and gains["chain", "gradient/none"] == 0.0
    last = ("praise", "question")[classes - 2]
    prevalence, threshold = (spread[name, "gradient/correct/best@3"] for name in ("prevalence", "threshold"))
    assert prevalence.recalls[last] < 0.35 and prevalence.balanced < spread["prevalence", "seed"].balanced
    assert threshold.recalls[last] > 0.6 and threshold.balanced > spread["threshold", "seed"].balanced


def test_rules_of_prevalence_and_threshold_leave_discriminability_alone() -> None:
    for name in ("prevalence", "threshold"):
        world = parse_world(name)
        study = sim_study(world, ("improve/best@3",))
        found = final_truths(study, world, trials=5)
        assert found["improve/none/best@3"]
        for kind in ("suppress", "encourage", "less", "more"):
            for rule in about_label(kind, 1):
                assert world.effect(rule.sentence).evidence == world.effect("").evidence


def test_declared_truths_name_the_predictions_of_the_verdicts() -> None:
    assert set(BATTERY) | set(BY_STEP) < set(PREDICTIONS)
    for world in WORLDS:
        assert set(TRUTHS[world]) == set(PREDICTIONS)
        assert {declared_truth(world, name) for name in PREDICTIONS} <= {"true", "false", "not decidable"}
    assert declared_truth("gradient+null", "chain rule") == "not decidable"
    for first, second in BATTERY.values():
        parse_arm(first), parse_arm(second)


@pytest.mark.parametrize("name", WORLDS)
def test_declared_truths_are_true(name: str) -> None:
    world = parse_world(name)
    arms = [arm for arm in dict.fromkeys(arm for pair in BATTERY.values() for arm in pair) if arm != "seed"]
    truths = final_truths(sim_study(world, arms), world, trials=80)
    for prediction, (first, second) in BATTERY.items():
        one, other = (
            np.array([truth.accuracy for truth in truths[parse_arm(arm).canonical]])
            for arm in (first, second)
        )
        difference, error = (one - other).mean(), (one - other).std(ddof=1) / len(one) ** 0.5
        word = declared_truth(name, prediction)
        if prediction in INVERTED:
            assert word == ("true" if difference == 0.0 else "false"), prediction
        elif word == "true":
            assert difference > 2.2 * error and difference > 0.01 - 2 * error, (prediction, difference)
        elif word == "false":
            assert difference < 3.2 * error + 1e-12, (prediction, difference, error)
        else:
            assert abs(difference) < 0.02, (prediction, difference)


@pytest.mark.parametrize("name", WORLDS)
def test_declared_truths_about_steps_are_true(name: str) -> None:
    world = parse_world(name)
    good, bad = "gradient/correct/naive", "gradient/wrong/naive"
    study = sim_study(world, (good, bad), steps=20, train=15)
    train, test = (true_curve(study, world, trials=30, on=on) for on in ("train", "population"))
    rises = {
        "fit of true labels": train[good][-1] - train[good][2],
        # Of two classes, what agrees with the wrong label is what is wrong.
        "fit of shown labels": train[bad][2] - train[bad][-1],
        "overfitting": (train[good][-1] - test[good][-1]) - (train[good][2] - test[good][2]),
        "improvement after two steps": test[good][5] - test[good][2],
    }
    for prediction, rise in rises.items():
        word = declared_truth(name, prediction)
        assert rise > 0.01 if word == "true" else rise < 0.01 or word == "not decidable", (prediction, rise)


def test_true_differences_have_an_error_and_are_of_pairs() -> None:
    world = parse_world("gradient")
    study = sim_study(
        world, ("gradient/correct/naive", "gradient/wrong/naive"), train=10, validation=5, test=40
    )
    difference, error = true_difference(
        study, world, "gradient/correct", "gradient/wrong", trials=100, on="split"
    )
    assert 0.15 < difference < 0.3 and 0 < error < 0.01
    again = true_difference(study, world, "gradient/correct", "gradient/wrong", trials=100, on="split")
    assert again == (difference, error)
    with pytest.raises(UserError, match="no arm improve"):
        true_difference(study, world, "improve", "rewrite", trials=2)


def test_the_numbers_of_the_page_are_the_worlds_own() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "simulated-worlds.md").read_text("utf-8")
    block = page.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    shown = 0
    for line in block.splitlines():
        code, _, number = line.partition("#")
        if number.strip()[:2] == "0.":
            shown += 1
            assert round(eval(code.strip(), names), 4) == float(number.partition(",")[0])
        elif "by label" not in number:
            exec(code, names)
    assert shown == 2
    for name in WORLDS:
        world = parse_world(name)
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |") and "%" in line)
        assert row.split("|")[2].strip() == f"{100 * world.accuracy(SEED_PROMPT):.1f} %"

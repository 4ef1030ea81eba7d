"""Presets: the paper's experiments and its next checks, complete, as data files."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from nullgrad.analysis.study.published import published
from nullgrad.api.study_build import build_study
from nullgrad.core.arms import parse_arm
from nullgrad.core.study import Study
from nullgrad.edges.models.script import ScriptModel
from nullgrad.edges.study.file import (
    list_presets,
    load_preset,
    load_study,
    preset_names,
    scale_study,
    study_schema,
    with_tasks,
)
from nullgrad.edges.study.spec import StudySpec
from nullgrad.errors import UserError

PAPER_TASKS = ["gpqa/diamond", "bbeh/web_of_lies", "bbeh/multistep_arithmetic"]
BOTH = {"naive": 30, "validated@3": 5}

FAMILIES = {
    "paper-main": {
        "chain": 2, "wrong labels": 4, "no evaluation": 4, "prompt-only": 4, "feedback": 2, "validation": 8,
    },
    "paper-critic": {"wrong labels": 4, "against direct": 4, "validation": 4},
    "paper-longrun": {"fit": 2, "plateau": 2},
    "paper-variants": {"discovery": 2, "trend": 1},
    "paper-variants-wide": {"discovery": 4, "trend": 1},
    "balanced-check": {"labels": 3, "interaction in hyperbaton": 3, "interaction in sports_understanding": 3},
    "guard-check": {"guard": 1, "plateau": 2},
    "model-sweep": {"labels": 3, "model": 2, "labels by model": 4},
}  # fmt: skip
"""Contrasts of each family: by task, as they are corrected."""

DATA = {"bbh/hyperbaton": {"B": 129, "A": 121}, "bbh/sports_understanding": {"no": 135, "yes": 115}}


def task_file(folder: Path, name: str, counts: dict[str, int]) -> str:
    rows = [
        f"{label} {number} of {number * 13},{label}"
        for label, count in counts.items()
        for number in range(count)
    ]
    (folder / f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    labels = ", ".join(f'"{label}"' for label in counts)
    (folder / f"{name}.yaml").write_text(
        f"data: {name}.csv\ninput: text\ntarget: label\nlabels: [{labels}]\nscorer: exact\nprompt: Which?\n"
        "leaks: allow\nsplit: {train: 9, validation: 6, test: 10}\n"
    )
    return str(folder / f"{name}.yaml")


def built(name: str, folder: Path, scale: float = 1) -> Study:
    """A preset over small tasks and scripted models."""
    spec = scale_study(load_preset(name), scale)
    own = {ref: task_file(folder, ref.replace("/", "-"), counts) for ref, counts in DATA.items()}
    small = task_file(folder, "small", {"up": 20, "down": 20})
    spec = replace(spec, tasks=tuple(replace(task, ref=own.get(task.ref, small)) for task in spec.tasks))
    names = [entry.name for entry in spec.models] or [""]
    models = {one: ScriptModel([{"match": ".", "reply": f"up {one}"}], f"script:{one}") for one in names}
    return build_study(spec, models=models).study


def test_all_are_there_and_say_what_they_are() -> None:
    assert set(preset_names()) == set(FAMILIES)
    assert all(one.description.endswith((".", "?")) and len(one.description) < 140 for one in list_presets())


@pytest.mark.parametrize("name", FAMILIES)
def test_families_have_their_sizes_in_every_cell(name: str, tmp_path: Path) -> None:
    study = built(name, tmp_path)
    assert Counter(one.family for one in study.contrasts) == FAMILIES[name]
    assert study.preset == name
    assert all(one.margin == 0.05 for one in study.contrasts)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("scale", [0.01, 0.1, 0.3])
def test_every_preset_can_be_shrunk(name: str, scale: float, tmp_path: Path) -> None:
    study = built(name, tmp_path, scale)
    assert min(one.trials for one in study.arms) >= 2
    assert study.steps >= 2
    assert study.asked.total < built(name, tmp_path).asked.total


@pytest.mark.parametrize("name", [one for one in FAMILIES if one.startswith("paper-")])
def test_the_paper_s_setup(name: str) -> None:
    spec = load_preset(name)
    assert (spec.design, spec.alpha, spec.batch_size, spec.models) == ("independent", 0.05, 3, ())
    assert (spec.sampling.temperature, spec.sampling.top_p, spec.sampling.max_tokens) == (0.5, 0.95, 5000)
    assert spec.steps == (100 if name == "paper-longrun" else 10)
    refs = [task.ref for task in spec.tasks]
    assert refs == (["bbeh/web_of_lies"] if "variants" in name else PAPER_TASKS)


def trials(spec: StudySpec) -> dict[str, int]:
    return {one.arm.canonical: one.trials for one in spec.arms}


def test_arms_and_trials_of_the_main_runs() -> None:
    updates = [f"{u}/{e}" for u in ("one-step", "gradient") for e in ("correct", "wrong", "none")]
    updates += ["rewrite/none", "improve/none"]
    assert trials(load_preset("paper-main")) == {
        f"{update}/{selection}": n for update in updates for selection, n in BOTH.items()
    }


def test_arms_and_trials_of_the_critic_runs() -> None:
    evaluations = ["correct", "critic-binary", "critic-binary-wrong", "critic-smooth", "critic-smooth-wrong"]
    assert trials(load_preset("paper-critic")) == {
        f"gradient/{evaluation}/{selection}": n for evaluation in evaluations for selection, n in BOTH.items()
    }


@pytest.mark.parametrize(
    ("name", "numbers"), [("paper-variants", (1, 2, 3, 4, 5)), ("paper-variants-wide", (1, 3, 5, 10, 20))]
)
def test_arms_and_trials_of_the_sweeps(name: str, numbers: tuple[int, ...]) -> None:
    spec = load_preset(name)
    assert trials(spec) == {"gradient/critic-smooth/naive": 40} | {
        f"gradient/critic-smooth/validated@{n}": 15 for n in numbers
    }
    trend = next(one for one in spec.contrasts if one.kind == "trend")
    assert [arm.n for arm in trend.arms] == list(numbers)


def test_directions_are_the_hypothesis_s() -> None:
    for one in load_preset("paper-main").contrasts + load_preset("paper-critic").contrasts:
        better, than = one.arms
        if one.family == "validation":
            assert (better.selection, better.n, than.selection) == ("validated", 3, "naive")
            continue
        assert than.canonical == "seed" or better.selection == than.selection
        assert {
            "chain": (better.update, than.update) == ("gradient", "one-step"),
            "wrong labels": (better.labels, than.labels) == ("correct", "wrong"),
            "no evaluation": (better.evaluator, than.evaluator) == ("direct", "none"),
            "prompt-only": than.canonical == "seed",
            "feedback": (better.update, than.update) == ("gradient", "improve"),
            "against direct": (better.evaluator, than.critic) == ("direct", True),
        }[one.family]


@pytest.mark.parametrize("name", [one for one in FAMILIES if one.startswith("paper-")])
def test_published_values_are_found_beside_the_contrasts(name: str) -> None:
    spec = load_preset(name)
    for one in spec.contrasts:
        if one.published:
            for task in spec.tasks:
                found = published(one.published, task.ref)
                assert found is not None, one.published
                assert found.m == FAMILIES[name.removesuffix("-wide")].get(found.family)
                assert found.family == one.family or one.kind == "trend"
    if name in ("paper-main", "paper-critic", "paper-variants"):
        keys = [one.published for one in spec.contrasts]
        assert all(keys)
        assert len(set(keys)) == len(keys)


def test_the_balanced_check_has_both_versions_in_one_size(tmp_path: Path) -> None:
    study = built("balanced-check", tmp_path)
    for cell in study.cells:
        view, label = cell.task.view, "B" if "hyperbaton" in cell.name else "no"
        share = 0.8 if "80/20" in cell.name else 0.5
        for split, size in ((view.train, 30), (view.validation, 50), (cell.task.test, 75)):
            assert len(split) == size
            assert sum(one.target == label for one in split) == pytest.approx(share * size, abs=0.5)


def test_the_guard_check_gives_one_variant_a_hundred_steps() -> None:
    spec = load_preset("guard-check")
    assert spec.steps == 100
    assert set(trials(spec)) == {"gradient/correct/validated@1", "gradient/correct/naive"}
    assert spec.contrasts[0].arms == (
        parse_arm("gradient/correct/validated@1"),
        parse_arm("gradient/correct"),
    )


def test_the_model_sweep_asks_for_every_model() -> None:
    spec = load_preset("model-sweep")
    assert [entry.name for entry in spec.models] == ["small", "medium", "large"]
    with pytest.raises(UserError, match="no model is given for 'small'") as caught:
        build_study(spec, models={})
    assert "--model small=MODEL" in caught.value.ways_out


def test_a_preset_runs_on_another_task(tmp_path: Path) -> None:
    ref = task_file(tmp_path, "small", {"up": 20, "down": 20})
    model = ScriptModel([{"match": ".", "reply": "up"}], "script:one")
    study = build_study(with_tasks(load_preset("paper-main"), [ref]), models={"": model}).study
    assert [cell.name for cell in study.cells] == ["small"]
    with pytest.raises(UserError, match="compares the tasks"):
        with_tasks(load_preset("balanced-check"), [ref])


def test_a_preset_that_comes_later_says_so() -> None:
    with pytest.raises(UserError, match="'paper-sections' audits one prompt and compares no arms"):
        load_study("paper-sections")


@pytest.mark.parametrize("name", FAMILIES)
def test_presets_keep_to_the_published_schema(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    import nullgrad

    text = (Path(nullgrad.__file__).parent / "presets" / f"{name}.yaml").read_text("utf-8")
    found = jsonschema.Draft202012Validator(study_schema()).iter_errors(yaml.safe_load(text))
    assert [error.message for error in found] == []

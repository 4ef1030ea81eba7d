"""Study files: what they mean, what every bad one is told, and what becomes of them with tasks and models."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nullgrad.api.study_build import build_study, given_models
from nullgrad.core.arms import parse_arm
from nullgrad.edges.models.script import ScriptModel
from nullgrad.edges.study.file import (
    cap_steps,
    cap_trials,
    load_preset,
    load_study,
    read_study,
    scale_study,
    study_schema,
    with_tasks,
)
from nullgrad.edges.study.spec import SamplingEntry, StudySpec
from nullgrad.errors import UserError

YAML = """\
name: my-study
tasks: [support-tickets, web-of-lies]
models:
  small: local:smollm2-135m
  big: {model: openai/qwen3-8b, optimizer: openai/qwen3-32b, temperature: 0.5}
arms:
  gradient/correct/naive: 6
  gradient/wrong/naive: 6
  one-step/wrong/naive: 6
  gradient/correct/validated@3:
trials: 5
steps: 10
batch_size: 3
seed: 0
design: paired
alpha: 0.05
margin: 5 points
curve: [2, 10]
sequential: [4, 6]
contrasts:
  - {family: wrong labels, better: gradient/correct/naive, than: gradient/wrong/naive}
  - {family: fit, fit: gradient/correct/naive}
  - {family: plateau, plateau: gradient/correct/naive, equivalence: true}
  - {family: model, arm: gradient/correct/naive, models: [big, small], margin: 3 points}
"""


def file_of(folder: Path, text: str = YAML) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, "utf-8")
    return path


def read(folder: Path, text: str = YAML) -> StudySpec:
    return read_study(file_of(folder, text))


def changed(*pairs: tuple[str, str]) -> str:
    text = YAML
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def test_a_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    spec = read(tmp_path)
    assert [task.name for task in spec.tasks] == ["support-tickets", "web-of-lies"]
    small, big = spec.models
    assert (small.model, small.optimizer) == ("local:smollm2-135m", None)
    assert (big.optimizer, big.sampling) == ("openai/qwen3-32b", SamplingEntry(temperature=0.5))
    assert [one.trials for one in spec.arms] == [6, 6, 6, 5]
    assert (spec.steps, spec.batch_size, spec.design, spec.curve, spec.sequential) == (
        10,
        3,
        "paired",
        (2, 10),
        (4, 6),
    )
    assert [(one.family, one.kind, one.margin) for one in spec.contrasts] == [
        ("wrong labels", "arms", 0.05), ("fit", "fit", 0.05), ("plateau", "plateau", 0.05), ("model", "models", 0.03),
    ]  # fmt: skip
    assert spec.contrasts[3].models == ("big", "small")
    assert spec.contrasts[0].name == "wrong labels: gradient/correct/naive > gradient/wrong/naive"


def test_the_shortest_file_has_the_paper_s_setup(tmp_path: Path) -> None:
    spec = read(tmp_path, "tasks: support-tickets\narms: [gradient/correct/naive]\ntrials: 3\n")
    assert (spec.name, spec.steps, spec.batch_size, spec.design, spec.models) == (
        "study",
        10,
        3,
        "paired",
        (),
    )
    assert (spec.on_failure, spec.budget.usd, spec.contrasts) == ("missing", None, ())


def test_every_step_of_a_curve(tmp_path: Path) -> None:
    spec = read(tmp_path, changed(("curve: [2, 10]", "curve: all")))
    assert spec.curve == tuple(range(1, 11))


@pytest.mark.parametrize(
    ("text", "share"),
    [("5 points", 0.05), ("2.5 points", 0.025), ("1 point", 0.01), ("0.04", 0.04), ("none", None)],
)
def test_margins(tmp_path: Path, text: str, share: float | None) -> None:
    plain = changed(("margin: 5 points", f"margin: {text}"), (", equivalence: true", ""))
    assert read(tmp_path, plain).contrasts[0].margin == share


def test_no_equivalence_for_one_contrast(tmp_path: Path) -> None:
    spec = read(tmp_path, changed(("equivalence: true", "equivalence: false")))
    assert [one.margin for one in spec.contrasts] == [0.05, 0.05, None, 0.03]


def test_labels_of_a_task_stay_words(tmp_path: Path) -> None:
    spec = read(
        tmp_path,
        changed(
            ("[support-tickets, web-of-lies]", "[{task: a.csv, labels: [yes, no], stratify: true, slots: 2}]")
        ),
    )
    assert spec.tasks[0].overrides == {"labels": ["yes", "no"], "stratify": True, "slots": 2}
    assert spec.tasks[0].name == "a"


STRUCTURAL = {
    "an unknown key": (("steps: 10", "stesp: 10"), "line 12: unknown key 'stesp'", "Did you mean 'steps'?"),
    "a key twice": (("seed: 0", "steps: 9"), "line 14: the key 'steps' occurs twice", "Keep one"),
    "no tasks": (("tasks: [support-tickets, web-of-lies]\n", ""), "the key 'tasks' is missing", "needs tasks"),
    "an empty list of tasks": (("[support-tickets, web-of-lies]", "[]"), "line 2: 'tasks' is empty", "at least one"),
    "an unknown key of a task": (
        ("web-of-lies]", "{task: web-of-lies, splitt: 3}]"),
        "line 2: unknown key 'splitt' in 'tasks[2]'",
        "Did you mean 'split'?",
    ),
    "a task without its reference": (("web-of-lies]", "{name: x}]"), "a task names no 'task'", "Write {task:"),
    "a share": (
        ("web-of-lies]", "{task: web-of-lies, subsample: {share: {yes: 80}}}]"),
        "'tasks[2].subsample.share.yes' is 80",
        "between 0 and 1",
    ),
    "a name with a sign": (
        ("web-of-lies]", "{task: web-of-lies, name: a@b}]"),
        "line 2: the task is called 'a@b'",
        "Give it a name without",
    ),
    "an unknown key of a model": (
        ("temperature: 0.5", "temprature: 0.5"),
        "line 5: unknown key 'temprature' in 'models.big'",
        "Did you mean 'temperature'?",
    ),
    "a temperature": (("temperature: 0.5", "temperature: -1"), "line 5: 'models.big.temperature' is -1", "0 or more"),
    "a pack": (("temperature: 0.5", "pack: compct"), "which is none of standard, compact", "Did you mean 'compact'?"),
    "no optimizer": (("optimizer: openai/qwen3-32b", "optimizer: none"), "every arm needs one", "Name a model"),
    "an unknown update": (
        ("gradient/wrong/naive: 6", "gradeint/wrong/naive: 6"),
        "line 8: 'gradeint' is no update",
        "Did you mean gradient?",
    ),
    "an unknown evaluation": (
        ("gradient/wrong/naive: 6", "gradient/wrnog/naive: 6"),
        "line 8: 'wrnog' is no evaluation",
        "Did you mean wrong?",
    ),
    "an arm without meaning": (
        ("gradient/wrong/naive: 6", "improve/correct/naive: 6"),
        "line 8: the arm 'improve/correct/naive' has no meaning",
        "Write improve/none/naive",
    ),
    "the seed as an arm": (("gradient/wrong/naive: 6", "seed: 6"), "line 8: the seed prompt is tested", "Leave it out"),
    "no trials": (("gradient/wrong/naive: 6", "gradient/wrong/naive: 0"), "line 8: ", "Write such a number"),
    "half a trial": (("trials: 5", "trials: 2.5"), "line 11: 'trials' must be a whole number", "Write such a number"),
    "a text for a number": (("steps: 10", "steps: ten"), "line 12: 'steps' must be a number, and is text", "Write"),
    "steps": (("steps: 10", "steps: -1"), "line 12: 'steps' must be a whole number of at least 0", "Write such"),
    "a design": (
        ("design: paired", "design: pared"),
        "line 15: 'design' is 'pared', which is none of paired, independent",
        "Did you mean 'paired'?",
    ),
    "alpha": (("alpha: 0.05", "alpha: 5"), "line 16: 'alpha' is 5", "between 0 and 1"),
    "a margin without its unit": (("margin: 5 points", "margin: 5"), "line 17: 'margin' is 5", "Write 5 points"),
    "a margin in words": (("margin: 5 points", "margin: some"), "which is no margin", "Write 5 points"),
    "a curve": (("curve: [2, 10]", "curve: every"), "line 18: 'curve' is 'every'", "Known: 'all'."),
    "looks": (("sequential: [4, 6]", "sequential: 6"), "line 19: 'sequential' must be a list", "Write"),
    "a budget": (("seed: 0", "budget: {dollars: 3}"), "unknown key 'dollars' in 'budget'", "Did you mean"),
    "a failure": (("seed: 0", "on_failure: mising"), "which is none of missing, suspend", "Did you mean 'missing'?"),
    "sampling": (("seed: 0", "sampling: {top_p: 2}"), "'sampling.top_p' is 2", "1 at most"),
    "no family": (("family: fit, ", ""), "line 22: a contrast names no 'family'", "corrected together"),
    "an unknown key of a contrast": (
        ("{family: fit, fit:", "{family: fit, fitt:"),
        "line 22: unknown key 'fitt' in 'contrasts[2]'",
        "Did you mean 'fit'?",
    ),
    "nothing to compare": ((", fit: gradient/correct/naive", ""), "line 22: a contrast says nothing", "Write {better"),
    "half a comparison": (
        (", than: gradient/wrong/naive", ""),
        "line 21: a contrast cannot have 'better' alone",
        "Write {better: ARM, than: ARM}",
    ),
    "two comparisons in one": (
        ("fit: gradient/correct/naive", "fit: gradient/correct/naive, plateau: gradient/correct/naive"),
        "cannot have 'fit' and 'plateau' together",
        "Write {better",
    ),
    "one arm without models": (
        (", models: [big, small], margin: 3 points", ""),
        "line 24: a contrast of one arm names no 'models'",
        "Write {arm: ARM, models:",
    ),
    "one model": (("[big, small]", "[big]"), "line 24: 'contrasts[4].models' must name two models", "Write [A, B]"),
    "models of a fit": (
        ("fit: gradient/correct/naive", "fit: gradient/correct/naive, models: [big, small]"),
        "'models' has no meaning in {fit: ARM}",
        "Remove it",
    ),
    "a bundle of a fit": (
        ("fit: gradient/correct/naive", "fit: gradient/correct/naive, bundle: true"),
        "'bundle' has no meaning in a contrast of fit",
        "Remove it",
    ),
    "a bundle in words": (
        ("naive, than: gradient/wrong/naive", "naive, than: gradient/wrong/naive, bundle: 3"),
        "'contrasts[1].bundle' must be true or false",
        "Write true or false",
    ),
}  # fmt: skip
"""Mistakes that the published schema refuses too."""

MEANING = {
    "two tasks of one name": (
        ("web-of-lies]", "support-tickets]"), "line 2: two tasks are called 'support-tickets'", "different names",
    ),
    "an arm twice": (
        ("one-step/wrong/naive: 6", "gradient/wrong: 6"),
        "line 9: the arm gradient/wrong/naive is listed twice (the other at study.yaml, line 8)",
        "List it once",
    ),
    "no number of trials": (
        ("trials: 5\n", ""),
        "nothing says how many trials the arm gradient/correct/validated@3 has",
        "or trials: 5",
    ),
    "a curve too long": (("curve: [2, 10]", "curve: [2, 20]"), "line 18: the curve asks for step 20 of 10", "make more"),
    "a curve that falls": (("curve: [2, 10]", "curve: [10, 2]"), "line 18: 'curve' has 2 after 10", "Let the numbers"),
    "looks that do not end": (
        ("sequential: [4, 6]", "sequential: [4, 5]"),
        "line 19: the last look is at 5 blocks, and 6 are planned",
        "end with 6",
    ),
    "looks without pairs": (
        ("design: paired", "design: independent"), "line 19: sequential looks need the paired design", "design: paired",
    ),
    "an arm that does not run": (
        ("than: gradient/wrong/naive", "than: gradient/none/naive"),
        "line 21: the arm gradient/none/naive does not run",
        "Did you mean",
    ),
    "two ingredients": (
        ("than: gradient/wrong/naive", "than: one-step/wrong/naive"),
        "line 21: the contrast 'wrong labels: gradient/correct/naive > one-step/wrong/naive' is over more than one "
        "ingredient (labels, update)",
        "or say bundle: true",
    ),
    "an arm against itself": (
        ("than: gradient/wrong/naive", "than: gradient/correct/naive"), "line 21: the contrast", "Name two arms",
    ),
    "equivalence without a margin": (
        ("margin: 5 points", "margin: none"),
        "line 23: a contrast asks for equivalence and has no margin",
        "Write margin: 5 points",
    ),
    "unequal trials in pairs": (
        ("than: gradient/wrong/naive", "than: gradient/correct/validated@3"),
        "line 21: the contrast 'wrong labels: gradient/correct/naive > gradient/correct/validated@3' is paired, and "
        "gradient/correct/naive has 6 trials and gradient/correct/validated@3 5",
        "or write design: independent",
    ),
    "one contrast twice": (
        ("  - {family: fit,", "  - {family: wrong labels, better: gradient/correct, than: gradient/wrong}\n"
         "  - {family: fit,"),
        "line 22: the family 'wrong labels' has one contrast twice (the other at study.yaml, line 21)",
        "the correction would count it twice",
    ),
    "one name twice": (
        ("{family: fit, ", "{family: fit, name: 'plateau: plateau of gradient/correct/naive', "),
        "line 23: two contrasts are called",
        "another name",
    ),
    "an unknown model": (("[big, small]", "[bgi, small]"), "line 24: 'bgi' is no model", "Did you mean 'big'?"),
    "an unknown task": (
        ("than: gradient/wrong/naive", "than: gradient/wrong/naive, tasks: [web-of-lies, suport-tickets]"),
        "line 21: 'suport-tickets' is no task of the study",
        "Did you mean 'support-tickets'?",
    ),
    "a trend of unequal trials": (
        ("fit: gradient/correct/naive", "trend: [gradient/correct/naive, gradient/correct/validated@3, gradient/wrong]"),
        "line 22: a trend is paired, and its arms have 5 and 6 trials",
        "Give all as many",
    ),
    "a trend over more than variants": (
        ("fit: gradient/correct/naive", "trend: [gradient/correct, one-step/wrong, gradient/wrong]"),
        "line 22: the contrast 'fit: trend of gradient/correct/naive to gradient/wrong/naive' has arms that differ in",
        "Vary @n alone",
    ),
    "a plateau without its step": (
        ("curve: [2, 10]", "curve: [10]"),
        "line 23: a plateau compares with the prompt after step 2, which the curve does not read",
        "Write curve: [2]",
    ),
    "too few steps for a fit": (
        ("steps: 10\nbatch_size: 3\nseed: 0\ndesign: paired\nalpha: 0.05\nmargin: 5 points\ncurve: [2, 10]",
         "steps: 2\nbatch_size: 3\nseed: 0\ndesign: paired\nalpha: 0.05\nmargin: 5 points\ncurve: [2]"),
        "line 22: the contrast 'fit: fit of gradient/correct/naive' needs more than 2 steps",
        "Give 3 steps or more",
    ),
}  # fmt: skip
"""Mistakes that need more than the form of the file."""


@pytest.mark.parametrize("name", [*STRUCTURAL, *MEANING])
def test_every_mistake_gets_one_line(tmp_path: Path, name: str) -> None:
    pair, said, way_out = (STRUCTURAL | MEANING)[name]
    with pytest.raises(UserError) as caught:
        read(tmp_path, changed(pair))
    assert said in caught.value.what
    assert caught.value.what.startswith("study.yaml")
    assert way_out in caught.value.ways_out
    assert caught.value.consequence == "Nothing was run."
    assert "\n" not in str(caught.value)


def schema() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(study_schema())
    return jsonschema.Draft202012Validator(study_schema())


@pytest.mark.parametrize(
    "name", [one for one in STRUCTURAL if one not in ("a key twice", "an arm without meaning")]
)
def test_the_schema_refuses_what_the_reader_refuses_by_form(name: str) -> None:
    assert not schema().is_valid(yaml.safe_load(changed(STRUCTURAL[name][0])))


def test_the_schema_takes_what_the_reader_takes() -> None:
    assert not list(schema().iter_errors(yaml.safe_load(YAML)))


@pytest.mark.parametrize("name", MEANING)
def test_the_schema_knows_forms_alone(name: str) -> None:
    assert schema().is_valid(yaml.safe_load(changed(MEANING[name][0])))


@pytest.mark.parametrize("text", ["", "- a\n", "tasks: [a\n"])
def test_no_study_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"study\.yaml"):
        read(tmp_path, text)


def test_a_smaller_study(tmp_path: Path) -> None:
    spec = read(tmp_path)
    half = scale_study(spec, 0.5)
    assert [one.trials for one in half.arms] == [3, 3, 3, 3]
    assert (half.steps, half.curve, half.sequential) == (5, (2,), (3,))
    least = scale_study(spec, 0.01)
    # Fit and plateau need a step after the second.
    assert ([one.trials for one in least.arms], least.steps) == ([2, 2, 2, 2], 3)
    assert scale_study(spec, 1) == spec
    assert scale_study(scale_study(spec, 0.1), 0.1) == scale_study(spec, 0.1)
    for scale in (0, -1, 1.5, float("nan")):
        with pytest.raises(UserError, match="--scale"):
            scale_study(spec, scale)


def test_capped_trials_are_the_first_ones_of_the_same_run():
    spec = load_preset("paper-main")
    capped = cap_trials(spec, 12)
    assert {one.trials for one in capped.arms} == {12, 5}
    assert replace(capped, arms=spec.arms) == spec
    assert cap_trials(spec, 30) == spec
    looked = replace(load_preset("balanced-check"), sequential=(5, 10, 30))
    assert cap_trials(looked, 10).sequential == (5, 10)
    assert cap_trials(looked, 8).sequential == (5, 8)
    with pytest.raises(UserError, match="--trials is 0"):
        cap_trials(spec, 0)


def test_capped_steps_leave_out_the_rest_of_the_curve():
    spec = load_preset("guard-check")
    assert spec.steps > 5 and max(spec.curve) > 5
    capped = cap_steps(spec, 5)
    assert (capped.steps, capped.arms) == (5, spec.arms) and max(capped.curve) <= 5
    assert cap_steps(spec, 1000) == spec
    with pytest.raises(UserError, match="--steps is 0"):
        cap_steps(spec, 0)


def test_other_tasks(tmp_path: Path) -> None:
    spec = read(tmp_path)
    assert [one.name for one in with_tasks(spec, ["bbeh/web_of_lies", "support-tickets"]).tasks] == [
        "bbeh/web_of_lies", "support-tickets",
    ]  # fmt: skip
    with pytest.raises(UserError, match="given twice"):
        with_tasks(spec, ["support-tickets", "support-tickets"])


# From here on with tasks and models.

TASK = """\
data: moods.csv
input: text
target: label
labels: [up, down]
scorer: exact
prompt: Up or down?
split: {train: 12, validation: 12, test: 24}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [f"line {number} about day {number * 7},{'up' if number % 2 else 'down'}" for number in range(60)]
    (tmp_path / "moods.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    (tmp_path / "moods.yaml").write_text(TASK)
    (tmp_path / "other.txt").write_text("Is it up, or is it down?\n")
    (tmp_path / "answers.jsonl").write_text('{"match": ".", "reply": "up"}\n')
    (tmp_path / "others.jsonl").write_text('{"match": ".", "reply": "down"}\n')
    return tmp_path


STUDY = """\
tasks:
  - moods.yaml
  - {name: moods 80/20, task: moods.yaml, prompt: {file: other.txt}, subsample: {share: {up: 0.8}}}
models:
  small: script:answers.jsonl
  big: {model: script:answers.jsonl, optimizer: script:others.jsonl, optimizer_temperature: 1}
sampling: {temperature: 0.5, max_tokens: 50}
arms: [gradient/correct/naive, gradient/critic-smooth/naive]
trials: 2
contrasts:
  - {family: a, better: gradient/correct/naive, than: gradient/critic-smooth/naive}
  - {family: b, better: gradient/correct/naive, than: gradient/critic-smooth/naive, tasks: [moods 80/20, moods]}
"""


def test_cells_are_tasks_under_models(folder: Path) -> None:
    study, models, played = build_study(read(folder, STUDY))
    assert [cell.name for cell in study.cells] == [
        "moods · small", "moods · big", "moods 80/20 · small", "moods 80/20 · big",
    ]  # fmt: skip
    # One object for each model, whoever plays it where.
    assert len(models) == 2
    assert played["small"]["optimizer"] is played["big"]["generator"]
    assert played["big"]["optimizer"] is not played["big"]["critic"]
    small, big = study.cells[0].cast, study.cells[1].cast
    assert (small.optimizer.sampling.temperature, small.optimizer.sampling.max_tokens) == (0.5, 50)
    assert (big.optimizer.sampling.temperature, big.generator.sampling.temperature) == (1.0, 0.5)
    skewed = study.cells[2].task
    assert Counter(one.target for one in skewed.view.train)["up"] / len(skewed.view.train) == pytest.approx(
        0.8, abs=0.1
    )
    assert skewed.view.seed_prompt == "Is it up, or is it down?"
    assert study.contrasts[1].kind == "interaction"
    assert study.contrasts[1].tasks == ("moods 80/20", "moods")


def test_a_study_of_one_model_names_its_cells_by_the_task(folder: Path) -> None:
    model = ScriptModel([{"match": ".", "reply": "up"}], "script:one")
    study, models, played = build_study(read(folder, STUDY), models={"": model})
    assert [cell.name for cell in study.cells] == ["moods", "moods 80/20"]
    assert models == {model.identity: model}
    assert set(played) == {"script:one"}


def test_a_model_given_for_a_single_cast_leaves_its_other_roles(folder: Path) -> None:
    model = ScriptModel([{"match": ".", "reply": "up"}], "script:one")
    text = "tasks: moods.yaml\nmodels: {m: {optimizer: script:others.jsonl}}\narms: [improve]\ntrials: 2\n"
    study, _, played = build_study(read(folder, text), models={"": model})
    assert played["m"]["generator"] is model
    assert played["m"]["optimizer"] is not model
    assert [(cell.name, cell.model_name) for cell in study.cells] == [("moods", "m")]
    one = text.replace("{m: {optimizer: script:others.jsonl}}", "script:others.jsonl")
    assert set(build_study(read(folder, one), models={"": model}).played) == {"script:one"}


def test_sampling_of_the_command_is_checked(folder: Path) -> None:
    with pytest.raises(UserError, match="--top-p is 3"):
        build_study(read(folder, STUDY), sampling=SamplingEntry(top_p=3))


def test_a_bundle_may_differ_in_more(tmp_path: Path) -> None:
    spec = read(tmp_path, changed(("than: gradient/wrong/naive", "than: one-step/wrong/naive, bundle: true")))
    assert spec.contrasts[0].bundle


def test_a_model_given_by_name_is_the_generator_of_its_cast(folder: Path) -> None:
    model = ScriptModel([{"match": ".", "reply": "up"}], "script:one")
    _, _, played = build_study(read(folder, STUDY), models={"big": model})
    assert played["big"]["generator"] is model
    assert played["big"]["optimizer"].name.endswith("others.jsonl")
    assert played["small"]["generator"].name.endswith("answers.jsonl")


def test_roles_given_for_all_casts(folder: Path) -> None:
    model = ScriptModel([{"match": ".", "reply": "up"}], "script:one")
    _, _, played = build_study(read(folder, STUDY), critic_model=model)
    assert all(cast["critic"] is model and cast["judge"] is model for cast in played.values())


def test_the_compact_words_keep_their_own_limits(folder: Path) -> None:
    spec = read(folder, STUDY)
    cast = build_study(spec, pack="compact").study.cells[0].cast
    assert (cast.optimizer.sampling.max_tokens, cast.optimizer.sampling.temperature) == (None, 0.5)
    own = build_study(spec, pack="compact", sampling=SamplingEntry(max_tokens=9)).study.cells[0].cast
    assert own.optimizer.sampling.max_tokens == 9


def replaced(old: str, new: str) -> str:
    assert old in STUDY
    return STUDY.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "models", "said", "way_out"),
    [
        (
            replaced("- moods.yaml", "- {name: moods, task: mods.yaml}"),
            None,
            "study.yaml, line 2: ",
            "",
        ),
        (replaced("up: 0.8", "upp: 0.8"), None, "line 3: the train split has no example of the label 'upp'", "'up'"),
        (replaced("script:others.jsonl", "scrpt:others.jsonl"), None, "study.yaml, line 6: 'scrpt:", "Did you mean"),
        (
            replaced("optimizer: script", "critic: none, optimizer: script"),
            None,
            "line 6: the arm gradient/critic-smooth/naive needs a critic, and the model 'big' has none for 'moods'",
            "Name a model as its critic",
        ),
        (STUDY, {"bgi": "script:x"}, "has no model called 'bgi'", "Did you mean 'big'?"),
        (STUDY, {"": "script:x", "big": "script:y"}, "One model is given for all", "Give names"),
        (replaced("small: script:answers.jsonl", "small:"), None, "no model is given for 'small'", "--model small="),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused_in_one_line(
    folder: Path, text: str, models: dict[str, str] | None, said: str, way_out: str
) -> None:
    with pytest.raises(UserError) as caught:
        build_study(read(folder, text), models=models)
    assert said in caught.value.what
    assert way_out in caught.value.ways_out
    assert "\n" not in str(caught.value)


def test_a_study_without_models_asks_for_one(folder: Path) -> None:
    spec = read(folder, "tasks: moods.yaml\narms: [gradient/correct]\ntrials: 2\n")
    with pytest.raises(UserError, match="names no model") as caught:
        build_study(spec)
    assert "--model" in caught.value.ways_out


def test_models_that_a_contrast_compares_must_be_given(folder: Path) -> None:
    text = (
        "tasks: moods.yaml\nmodels: [small, large]\narms: [gradient/correct]\ntrials: 2\ncontrasts:\n"
        "  - {family: m, arm: gradient/correct, models: [large, small]}\n"
    )
    with pytest.raises(UserError, match=r"line 6: the contrast .* does not name two models"):
        build_study(read(folder, text), models={"": ScriptModel([{"match": ".", "reply": "up"}])})


def test_a_judge_must_be_played(folder: Path) -> None:
    task = TASK.replace("scorer: exact", "scorer: {judge: {rubric: Is it right}}").replace(
        "labels: [up, down]\n", ""
    )
    (folder / "moods.yaml").write_text(task)
    text = (
        "tasks: moods.yaml\nmodels: {m: {model: script:answers.jsonl, judge: none}}\narms: [gradient/correct]\n"
        "trials: 2\n"
    )
    with pytest.raises(
        UserError, match=r"line 2: the task 'moods' is scored by a judge, and the model 'm' has none"
    ):
        build_study(read(folder, text))


def test_wrong_targets_are_made_before_anything_is_asked(folder: Path) -> None:
    task = TASK.replace("labels: [up, down]\n", "").replace("scorer: exact", "scorer: exact\nwrong: number")
    (folder / "moods.yaml").write_text(task)
    text = "tasks: moods.yaml\nmodels: script:answers.jsonl\narms: [gradient/wrong]\ntrials: 2\n"
    with pytest.raises(UserError, match=r"study\.yaml, line 1: "):
        build_study(read(folder, text))


def test_models_as_they_are_given() -> None:
    assert given_models(["openai/x"]) == {"": "openai/x"}
    assert given_models(["small=local:a", "large = openai/b=c"]) == {
        "small": "local:a",
        "large": "openai/b=c",
    }
    assert given_models(["script:dir=x/y.py"]) == {"": "script:dir=x/y.py"}
    for texts in (["a", "b"], ["n=a", "n=b"]):
        with pytest.raises(UserError, match="given twice"):
            given_models(texts)


def test_a_study_by_its_name(tmp_path: Path) -> None:
    assert load_study(file_of(tmp_path)).name == "my-study"
    assert load_study("paper-main").preset == "paper-main"
    with pytest.raises(UserError) as caught:
        load_study("paper-mian")
    assert "Did you mean 'paper-main'?" in caught.value.ways_out
    assert parse_arm("gradient/correct") in [one.arm for one in load_study("paper-main").arms]


def test_the_example_of_the_docs_is_a_study(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text("utf-8")
    text = page.split("```yaml\n")[1].split("```")[0]
    spec = read(tmp_path, text)
    built = build_study(spec, models={"": ScriptModel([{"match": ".", "reply": "good"}], "script:one")})
    skewed = built.study.cells[1].task
    assert [len(skewed.view.train), len(skewed.view.validation)] == [30, 40]
    assert Counter(one.target for one in skewed.view.train) == {"good": 24, "bad": 6}
    assert len(built.study.contrasts) == 3
    assert schema().is_valid(yaml.safe_load(text))

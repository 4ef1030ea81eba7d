"""Study files and presets: what tasks, models, arms and contrasts a study has, before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from math import ceil
from pathlib import Path
from typing import Any, cast, get_args

from nullgrad.core import procedural
from nullgrad.core.study import ArmPlan, Design
from nullgrad.edges.study import values as studyvalues
from nullgrad.edges.study.contrasts import probe, read_contrasts
from nullgrad.edges.study.spec import BudgetEntry, OnFailure, SamplingEntry, StudySpec, TaskEntry, located
from nullgrad.edges.tasks.datasets import SUFFIXES, read_text
from nullgrad.edges.tasks.publishers import published_names
from nullgrad.edges.tasks.shipped import shipped_tasks
from nullgrad.edges.tasks.spec import is_hub
from nullgrad.edges.tasks.values import filled
from nullgrad.edges.yamlread import Value, nearest, read_yaml
from nullgrad.errors import UserError

__all__ = [
    "KEYS",
    "PresetInfo",
    "StudySpec",
    "list_presets",
    "load_preset",
    "load_study",
    "preset_names",
    "read_study",
    "scale_study",
    "study_schema",
    "with_tasks",
]

KEYS = (
    "name", "tasks", "models", "arms", "trials", "steps", "batch_size", "seed", "design", "alpha", "margin", "curve",
    "sequential", "sampling", "budget", "on_failure", "contrasts",
)  # fmt: skip

AUDITS = ("paper-sections",)
"""Presets that audit one prompt; they are no studies."""

_NOTHING = "Nothing was run."


@dataclass(frozen=True, slots=True)
class PresetInfo:
    """One preset: its name, and in one line what it is."""

    name: str
    description: str


def load_study(ref: str | Path) -> StudySpec:
    """The study that a user names: a file, or a preset.

    Raises:
        UserError: there is no such study, or it cannot be used.
    """
    path = Path(ref)
    if path.suffix.lower() in (".yaml", ".yml") or path.is_file():
        return read_study(path)
    return load_preset(str(ref))


def read_study(path: Path) -> StudySpec:
    """The study of a file (YAML); paths in it are relative to it.

    Raises:
        UserError: the file cannot be read; a key is unknown or of the wrong type; arms or contrasts cannot be run as
            declared. The message names the line.
    """
    root = read_yaml(path, "study")
    values = root.mapping(KEYS, "a mapping of keys such as tasks, arms, steps and contrasts")
    return _spec(values, path.stem, path.parent, path.name)


def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with the package."""
    return tuple(sorted(path.stem for path in _presets().glob("*.yaml")))


def list_presets() -> list[PresetInfo]:
    """Every preset with its first line."""
    return [
        PresetInfo(name, read_text(_presets() / f"{name}.yaml").splitlines()[0].lstrip("# ").strip())
        for name in preset_names()
    ]


def load_preset(name: str) -> StudySpec:
    """A preset; its models are given by the user.

    Raises:
        UserError: there is no such preset, or it is no study.
    """
    if name in AUDITS:
        raise UserError(
            f"The preset {name!r} audits one prompt and compares no arms, so that it is no study.",
            _NOTHING,
            f"nullgrad run {name} runs it, and so does nullgrad audit TASK --after best --sections.",
        )
    if name not in preset_names():
        hint = nearest(name, preset_names())
        raise UserError(f"There is no study {name!r}.", _NOTHING, f"{hint} Or name a study file (.yaml).")
    spec = read_study(_presets() / f"{name}.yaml")
    return replace(spec, base=Path(), preset=name)


@lru_cache(maxsize=1)
def _schema_text() -> str:
    return (resources.files("nullgrad") / "edges" / "study" / "study.schema.json").read_text("utf-8")


def study_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of study files."""
    return cast(dict[str, Any], json.loads(_schema_text()))


def scale_study(spec: StudySpec, scale: float) -> StudySpec:
    """A smaller study of the same form.

    Trials and steps are multiplied by `scale` and rounded up, to 2 at least (3 steps where a contrast looks at a
    trial's course) and to what the study has at most. Steps of the curve that are no longer made are left out; looks
    that are no longer reached give way to one at the end.

    Raises:
        UserError: `scale` is not above 0 and at most 1.
    """
    if not 0 < scale <= 1:
        raise UserError(f"--scale is {scale:g}.", _NOTHING, "Give more than 0, and 1 at most.")
    exact = Fraction(str(scale))

    def shrink(number: int, least: int) -> int:
        return min(number, max(least, ceil(number * exact)))

    course = any(one.kind in ("fit", "plateau") for one in spec.contrasts)
    steps = shrink(spec.steps, 3 if course else 2)
    fewer = _with_trials(spec, [shrink(one.trials, 2) for one in spec.arms])
    return replace(fewer, steps=steps, curve=tuple(step for step in spec.curve if step <= steps))


def cap_trials(spec: StudySpec, trials: int) -> StudySpec:
    """The study with so many trials of an arm at most; the trials that are left are the same ones.

    Raises:
        UserError: `trials` is below 1.
    """
    if trials < 1:
        raise UserError(f"--trials is {trials}.", _NOTHING, "Give 1 or more.")
    return _with_trials(spec, [min(one.trials, trials) for one in spec.arms])


def cap_steps(spec: StudySpec, steps: int) -> StudySpec:
    """The study with so many update steps of a trial at most; steps of the curve that are no longer made are left out.

    Raises:
        UserError: `steps` is below 1.
    """
    if steps < 1:
        raise UserError(f"--steps is {steps}.", _NOTHING, "Give 1 or more.")
    fewer = min(spec.steps, steps)
    return replace(spec, steps=fewer, curve=tuple(step for step in spec.curve if step <= fewer))


def _with_trials(spec: StudySpec, trials: Sequence[int]) -> StudySpec:
    """Looks that are no longer reached give way to one at the end."""
    arms = tuple(ArmPlan(one.arm, number) for one, number in zip(spec.arms, trials, strict=True))
    blocks = max(trials)
    looks = spec.sequential
    if looks and looks[-1] != blocks:
        looks = (*(look for look in looks if look < blocks), blocks)
    return replace(spec, arms=arms, sequential=looks)


def with_tasks(spec: StudySpec, refs: Sequence[str]) -> StudySpec:
    """The study on other tasks, relative to the working directory.

    Raises:
        UserError: there is none, two have one name, or a contrast names a task that is gone.
    """
    if not refs:
        raise UserError("No task is named.", _NOTHING, "Name at least one.")
    entries: dict[str, TaskEntry] = {}
    for ref in refs:
        name = studyvalues.task_name(ref)
        if name in entries or "#" in name or "@" in name:
            problem = "is given twice" if name in entries else "has # or @ in its name"
            raise UserError(
                f"The task {name!r} {problem}.", _NOTHING, "Write a study file, which can give names."
            )
        # Files of the command line are relative to where it runs, not to the study.
        entries[name] = TaskEntry(name, anchored(ref, Path.cwd()))
    gone = [one for one in spec.contrasts if one.tasks and not set(one.tasks) <= set(entries)]
    if gone:
        raise UserError(
            f"The contrast {gone[0].name!r} compares the tasks {' and '.join(gone[0].tasks)}.",
            _NOTHING,
            "Keep its tasks, or write a study file of your own.",
        )
    return replace(spec, tasks=tuple(entries.values()))


def anchored(ref: str, base: Path) -> str:
    """A task's reference with its file found from `base`; a name stays as it is."""
    path = Path(ref)
    if is_hub(ref):
        return ref
    if path.suffix.lower() in (".yaml", ".yml", *SUFFIXES):
        return str(base / path)
    names = (*shipped_tasks(), *procedural.names(), *published_names())
    if ref not in names and (base / path / "task.yaml").is_file():
        return str(base / path)
    return ref


def _presets() -> Path:
    return Path(str(resources.files("nullgrad"))) / "presets"


def _spec(values: Mapping[str, Value], stem: str, base: Path, file: str) -> StudySpec:
    for key in ("tasks", "arms"):
        if key not in values:
            raise UserError(f"{file}: the key {key!r} is missing.", _NOTHING, "A study needs tasks and arms.")
    steps = values["steps"].integer(0) if "steps" in values else 10
    trials = values["trials"].integer(1) if "trials" in values else None
    arms = studyvalues.arms(values["arms"], trials)
    design = cast(Design, values["design"].word(get_args(Design)) if "design" in values else "paired")
    if "sequential" in values and design != "paired":
        raise values["sequential"].error("sequential looks need the paired design", "Write design: paired.")
    places = {key: value.place for key, value in values.items()}
    spec = StudySpec(
        name=filled(values["name"], "a name").strip() if "name" in values else stem,
        base=base,
        tasks=studyvalues.tasks(values["tasks"]),
        models=studyvalues.models(values["models"]) if "models" in values else (),
        arms=arms,
        steps=steps,
        batch_size=values["batch_size"].integer(1) if "batch_size" in values else 3,
        seed=values["seed"].integer(0) if "seed" in values else 0,
        design=design,
        alpha=studyvalues.alpha(values["alpha"]) if "alpha" in values else 0.05,
        curve=studyvalues.curve(values["curve"], steps) if "curve" in values else (),
        sequential=studyvalues.looks(values["sequential"], max(one.trials for one in arms))
        if "sequential" in values
        else (),
        sampling=studyvalues.sampling(values["sampling"]) if "sampling" in values else SamplingEntry(),
        budget=studyvalues.budget(values["budget"]) if "budget" in values else BudgetEntry(),
        on_failure=cast(OnFailure, values["on_failure"].word(get_args(OnFailure)))
        if "on_failure" in values
        else "missing",
        places=places,
    )
    if "margin" in values:
        studyvalues.margin(values["margin"])
    try:
        probe(spec)
    except UserError as error:
        raise located(error, file) from None
    if "contrasts" not in values:
        return spec
    contrasts, of_contrasts = read_contrasts(values["contrasts"], spec, values.get("margin"))
    return replace(spec, contrasts=contrasts, places=places | of_contrasts)

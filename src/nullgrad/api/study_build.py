"""From a study file to a study: tasks are loaded, models opened, and what cannot be run is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from nullgrad.api.cast import Opener, check_sampling, make_cast
from nullgrad.core.chat import Role, Sampling
from nullgrad.core.evaluation import check_targets
from nullgrad.core.study import Cell, ContrastSpec, Study
from nullgrad.core.subsample import subsample_task
from nullgrad.core.task import Task
from nullgrad.core.words import Pack
from nullgrad.edges.models.named import default_pack
from nullgrad.edges.packs import load_pack
from nullgrad.edges.study.contrasts import check_contrasts
from nullgrad.edges.study.file import anchored
from nullgrad.edges.study.spec import NOBODY, ModelEntry, SamplingEntry, StudySpec, TaskEntry, located
from nullgrad.edges.tasks.shipped import resolve_task
from nullgrad.edges.tasks.spec import is_hub
from nullgrad.edges.yamlread import nearest
from nullgrad.errors import UserError
from nullgrad.ports import Model

_NOTHING = "Nothing was run."

Given = Mapping[str, str | Model]
"""Models by the study's name for them; the name "" stands for one model in place of all."""


_NAMED = re.compile(r"(?P<name>[\w. -]+)=(?P<model>.+)")


def given_models(texts: Sequence[str]) -> dict[str, str]:
    """What `--model` means, given any number of times: `NAME=MODEL`, or one model in place of all.

    Raises:
        UserError: one name is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        match = _NAMED.fullmatch(text)
        name, model = (match["name"].strip(), match["model"].strip()) if match else ("", text)
        if name in found:
            which = f"for {name!r} " if name else ""
            raise UserError(
                f"--model is given twice {which}({found[name]} and {model}).",
                _NOTHING,
                "Give it once, or write --model NAME=MODEL for each model of the study.",
            )
        found[name] = model
    return found


class BuiltStudy(NamedTuple):
    """A study that can be run.

    Attributes:
        study: the study.
        models: every model by its identity, one object each.
        played: by the study's name of a model who plays which role; a role that nobody plays is left out.
    """

    study: Study
    models: dict[str, Model]
    played: Mapping[str, Mapping[Role, Model]]


def build_study(
    spec: StudySpec,
    *,
    models: Given | None = None,
    optimizer_model: str | Model | None = None,
    critic_model: str | Model | None = None,
    judge_model: str | Model | None = None,
    base_url: str | None = None,
    endpoint_name: str | None = None,
    send_seed: bool = True,
    base: Path | None = None,
    sampling: SamplingEntry | None = None,
    pack: str | None = None,
) -> BuiltStudy:
    """The study of a file; nothing is asked.

    Args:
        spec: what the file says.
        models: in place of those of the file, or for names whose model it leaves to the user. A model given for a
            name is its generator, and plays every role that the file does not give to another.
        optimizer_model, critic_model, judge_model: play their role in every cast, before what the file says.
        base_url, endpoint_name: of OpenAI-compatible endpoints whose entry says none.
        send_seed: whether draws are sent as `seed`.
        base: directory to which paths of the file are relative, None for its own.
        sampling: before what the file says.
        pack: before what the file says.

    Raises:
        UserError: a task or a model is not there or cannot be used, or the study cannot be run with them.
    """
    base = spec.base if base is None else base
    if sampling is not None:
        check_sampling(
            sampling.temperature, sampling.optimizer_temperature, sampling.top_p, sampling.max_tokens
        )
    tasks = {entry.name: _task(entry, base, spec) for entry in spec.tasks}
    opener = Opener()
    others: dict[Role, str | Model | None] = {
        "optimizer": optimizer_model,
        "critic": critic_model,
        "judge": judge_model,
    }
    played: dict[str, dict[Role, Model]] = {}
    cells: list[Cell] = []
    casts = []
    for entry, given in _entries(spec, models or {}, base):
        try:
            named = {
                role: opener.open(
                    model,
                    entry.base_url or base_url,
                    entry.endpoint_name or endpoint_name,
                    send_seed,
                )
                for role, model in _roles(entry, given, others).items()
            }
            words = load_pack(pack or entry.pack or default_pack(named["optimizer"].name))
        except UserError as error:
            raise located(error, entry.place) from None
        played[entry.name] = named
        said = _sampling(entry, spec, words, sampling)
        drawn = Sampling(said.temperature, said.top_p, said.max_tokens)
        casts.append((entry, named, make_cast(named, drawn, said.optimizer_temperature), words))
    for name, task in tasks.items():
        for entry, named, cast, words in casts:
            _check_roles(spec, name, task, entry, named)
            cell = name if len(casts) == 1 else f"{name} · {entry.name}"
            cells.append(Cell(cell, task, cast, words, name, entry.name))

    def make(contrasts: tuple[ContrastSpec, ...]) -> Study:
        return Study(
            name=spec.name,
            cells=tuple(cells),
            arms=spec.arms,
            steps=spec.steps,
            batch_size=spec.batch_size,
            seed=spec.seed,
            design=spec.design,
            contrasts=contrasts,
            alpha=spec.alpha,
            curve=spec.curve,
            sequential=spec.sequential,
            preset=spec.preset,
        )

    make(())
    # What the file left open, such as the names of models, can refuse a contrast now.
    check_contrasts(make, spec.contrasts, spec.places)
    return BuiltStudy(make(spec.contrasts), opener.opened, played)


def _task(entry: TaskEntry, base: Path, spec: StudySpec) -> Task:
    try:
        task = resolve_task(anchored(entry.ref, base), **_overrides(entry, base))
        if entry.subsample is not None:
            task = subsample_task(task, entry.subsample)
        if spec.steps:
            check_targets(task.view, [one.arm for one in spec.arms])
    except UserError as error:
        raise located(error, entry.place) from None
    return task


def _overrides(entry: TaskEntry, base: Path) -> dict[str, Any]:
    """Keys that replace those of the task; their files are found from the study, not from the task."""
    found = dict(entry.overrides)
    data = found.get("data")
    if isinstance(data, str):
        found["data"] = _file(data, base)
    elif isinstance(data, Mapping):
        found["data"] = {split: _file(str(source), base) for split, source in data.items()}
    prompt = found.get("prompt")
    if isinstance(prompt, Mapping) and isinstance(prompt.get("file"), str):
        found["prompt"] = {"file": _file(prompt["file"], base)}
    return found


def _file(source: str, base: Path) -> str:
    return source if is_hub(source) else str((base / source).resolve())


def _entries(spec: StudySpec, given: Given, base: Path) -> list[tuple[ModelEntry, str | Model]]:
    """The casts of the study with the generator of each."""
    entries = tuple(_from(base, entry) for entry in spec.models)
    if "" in given:
        if len(given) > 1:
            raise UserError(
                "One model is given for all, and others by name.",
                _NOTHING,
                "Give names to all of them, or to none.",
            )
        only = given[""]
        name = only if isinstance(only, str) else only.name
        if len(entries) != 1:
            return [(ModelEntry(name), only)]
        # Of a single cast the generator alone is replaced; it keeps its name if that is not the old model's.
        (entry,) = entries
        return [(replace(entry, name=name) if entry.name == spec.models[0].model else entry, only)]
    entries = entries or tuple(ModelEntry(name) for name in given)
    names = [entry.name for entry in entries]
    for name in given:
        if name not in names:
            raise UserError(
                f"The study {spec.name!r} has no model called {name!r}.", _NOTHING, nearest(name, names)
            )
        if "#" in name or "@" in name:
            raise UserError(f"A model is called {name!r}.", _NOTHING, "Use names without # and @.")
    if not entries:
        raise UserError(
            f"The study {spec.name!r} names no model.",
            _NOTHING,
            "Give --model, such as --model openai/gpt-4o-mini.",
        )
    found: list[tuple[ModelEntry, str | Model]] = []
    for entry in entries:
        model = given.get(entry.name, entry.model)
        if model == "":
            raise located(
                UserError(
                    f"The study {spec.name!r}: no model is given for {entry.name!r}.",
                    _NOTHING,
                    f"Give --model {entry.name}=MODEL.",
                ),
                entry.place,
            )
        found.append((entry, model))
    return found


def _roles(
    entry: ModelEntry, generator: str | Model, others: Mapping[Role, str | Model | None]
) -> dict[Role, str | Model]:
    """Who plays which role; a critic or a judge that is `none` is left out."""
    critic = others["critic"] or entry.critic or generator
    specs: dict[Role, str | Model] = {
        "generator": generator,
        "optimizer": others["optimizer"] or entry.optimizer or generator,
        "critic": critic,
        "judge": others["judge"] or entry.judge or (generator if critic == NOBODY else critic),
    }
    return {role: spec for role, spec in specs.items() if spec != NOBODY}


def _from(base: Path, entry: ModelEntry) -> ModelEntry:
    """A cast with the files of its models found from the study; those of the command are found from where it runs."""

    def found(spec: str | None) -> str | None:
        for prefix in ("script:", "local:"):
            if spec is not None and spec.startswith(prefix):
                file = base / spec.removeprefix(prefix)
                return f"{prefix}{file}" if file.is_file() else spec
        return spec

    return replace(
        entry,
        model=found(entry.model) or "",
        optimizer=found(entry.optimizer),
        critic=found(entry.critic),
        judge=found(entry.judge),
    )


def _sampling(entry: ModelEntry, spec: StudySpec, pack: Pack, given: SamplingEntry | None) -> SamplingEntry:
    """The command's values before the model's own, and those before the study's.

    The compact words have limits of their own, stage by stage, for models that else ramble: a limit for the whole
    study, such as that of a preset, does not lift them, while one given for the model does.
    """
    common = spec.sampling if pack.name != "compact" else replace(spec.sampling, max_tokens=None)
    said: dict[str, Any] = {}
    for one in fields(SamplingEntry):
        for source in (given, entry.sampling, common):
            value = None if source is None else getattr(source, one.name)
            if value is not None:
                said[one.name] = value
                break
    return SamplingEntry(**said)


def _check_roles(
    spec: StudySpec, name: str, task: Task, entry: ModelEntry, named: Mapping[Role, Model]
) -> None:
    """Every role that the study asks must be played."""
    critic = next((one.arm for one in spec.arms if one.arm.critic), None)
    if critic is not None and "critic" not in named:
        raise located(
            UserError(
                f"The arm {critic.canonical} needs a critic, and the model {entry.name!r} has none for {name!r}.",
                _NOTHING,
                "Name a model as its critic, or leave the arm out.",
            ),
            entry.place,
        )
    if task.view.scorer.asks and "judge" not in named:
        raise located(
            UserError(
                f"The task {name!r} is scored by a judge, and the model {entry.name!r} has none.",
                _NOTHING,
                "Name a model as its judge, or leave the task out.",
            ),
            entry.place,
        )

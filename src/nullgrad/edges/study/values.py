"""Reads the tasks, models, arms and numbers of a study file; an error names the line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nullgrad.core.arms import SEED, Arm, parse_arm
from nullgrad.core.study import ArmPlan
from nullgrad.core.subsample import Subsample
from nullgrad.edges.packs import PACKS
from nullgrad.edges.study.spec import NOBODY, BudgetEntry, ModelEntry, SamplingEntry, TaskEntry, located
from nullgrad.edges.tasks import values as taskvalues
from nullgrad.edges.tasks.datasets import SUFFIXES
from nullgrad.edges.tasks.spec import KEYS as TASK_KEYS
from nullgrad.edges.tasks.spec import is_hub
from nullgrad.edges.tasks.values import SPLITS, filled
from nullgrad.edges.yamlread import Value, nearest
from nullgrad.errors import UserError

SAMPLING_KEYS = ("temperature", "top_p", "max_tokens", "optimizer_temperature")
MODEL_KEYS = (
    "model",
    "optimizer",
    "critic",
    "judge",
    "base_url",
    "endpoint_name",
    *SAMPLING_KEYS,
    "pack",
)

_TASK_KEYS = ("task", "subsample", *TASK_KEYS)
_POINTS = re.compile(r"(?P<points>\d+(?:\.\d+)?)\s*points?")


def unique(seen: dict[str, str], name: str, value: Value, what: str) -> None:
    """Refuse a name that was given before; else remember its place."""
    if name in seen:
        raise value.error(
            f"two {what}s are called {name!r} (the other at {seen[name]})", "Give them different names."
        )
    seen[name] = value.place


def name_of(value: Value, what: str) -> str:
    """A name that results can carry: `#` and `@` separate the parts of what is recorded."""
    return checked_name(filled(value, f"a name of the {what}").strip(), value, what)


def checked_name(name: str, value: Value, what: str) -> str:
    """The name, if results can carry it."""
    for sign in "#@":
        if sign in name:
            raise value.error(
                f"the {what} is called {name!r}, and {sign} cannot stand in a name", "Give it a name without."
            )
    return name


def tasks(value: Value) -> tuple[TaskEntry, ...]:
    """At least one task: a reference, or a mapping with `task` and what is to be replaced."""
    items = value.items("a list of tasks") if value.kind == "list" else (value,)
    found: list[TaskEntry] = []
    seen: dict[str, str] = {}
    for item in items:
        entry = _task(item)
        unique(seen, entry.name, item, "task")
        found.append(entry)
    if not found:
        raise value.error("'tasks' is empty", "Name at least one task.")
    return tuple(found)


def _task(value: Value) -> TaskEntry:
    if value.kind != "mapping":
        ref = filled(value, "a task or a mapping with 'task'").strip()
        return TaskEntry(checked_name(task_name(ref), value, "task"), ref, place=value.place)
    fields = value.mapping(_TASK_KEYS)
    if "task" not in fields:
        raise value.error("a task names no 'task'", "Write {task: bbeh/web_of_lies, …}.")
    ref = filled(fields["task"], "a task").strip()
    name = (
        name_of(fields["name"], "task")
        if "name" in fields
        else checked_name(task_name(ref), fields["task"], "task")
    )
    overrides = taskvalues.replacements(
        {key: item for key, item in fields.items() if key not in ("task", "subsample", "name")}
    )
    return TaskEntry(
        name, ref, overrides, _subsample(fields["subsample"]) if "subsample" in fields else None, value.place
    )


def task_name(ref: str) -> str:
    """How a study calls a task that it gives no name: a file as its task file does, anything else as written."""
    path = Path(ref)
    if path.suffix.lower() in (".yaml", ".yml"):
        return path.resolve().parent.name if path.stem == "task" else path.stem
    if is_hub(ref) or path.suffix.lower() in SUFFIXES:
        return Path(ref.partition("@")[0].replace(":", "/")).stem
    return ref


def _subsample(value: Value) -> Subsample:
    fields = value.mapping(("share", "seed", "sizes"))
    if "share" not in fields:
        raise value.error("'subsample' says no 'share'", "Write {share: {LABEL: 0.8}}.")
    shares: dict[str, float] = {}
    for label, item in fields["share"].mapping(wanted="a mapping from labels to shares").items():
        shares[label] = _between(item, 0, 1)
    if not shares:
        raise fields["share"].error("'share' names no label", "Write {LABEL: 0.8}.")
    if sum(shares.values()) > 1 + 1e-9:
        raise fields["share"].error(
            f"the shares sum to {sum(shares.values()):g}", "Keep their sum at 1 or below."
        )
    sizes = {}
    if "sizes" in fields:
        sizes = {split: item.integer(1) for split, item in fields["sizes"].mapping(SPLITS).items()}
    return Subsample(shares, fields["seed"].integer(0) if "seed" in fields else 0, sizes)


def _between(value: Value, low: float, high: float) -> float:
    """A number strictly between two."""
    number = float(value.number())
    if not low < number < high:
        raise value.error(f"{value.name!r} is {number:g}", f"Give a number between {low:g} and {high:g}.")
    return number


def alpha(value: Value) -> float:
    """A level."""
    return _between(value, 0, 1)


def models(value: Value) -> tuple[ModelEntry, ...]:
    """Casts of models: one text, a list of texts or of names to be given, or a mapping by name."""
    if value.kind == "mapping":
        seen: dict[str, str] = {}
        entries = []
        for name, item in value.mapping().items():
            name = checked_name(name.strip(), item, "model")
            if not name:
                raise item.error("a model has no name", "Give it one.")
            unique(seen, name, item, "model")
            entries.append(_model(name, item))
        found = tuple(entries)
    elif value.kind == "list":
        seen = {}
        listed = []
        for item in value.items():
            text = checked_name(filled(item, "a model or a name").strip(), item, "model")
            unique(seen, text, item, "model")
            # What has a kind is a model; a bare word is a name whose model the user gives.
            listed.append(ModelEntry(text, text if is_model(text) else "", place=item.place))
        found = tuple(listed)
    else:
        text = filled(value, "a model, such as local:smollm2-135m").strip()
        found = (ModelEntry(text, text, place=value.place),)
    if not found:
        raise value.error("'models' is empty", "Name a model, or leave 'models' out and give --model.")
    return found


def is_model(text: str) -> bool:
    """Whether a text is written as a model (`openai/NAME`, `local:NAME`, …) rather than as a name for one."""
    return "/" in text or ":" in text


def _model(name: str, value: Value) -> ModelEntry:
    if value.kind == "nothing":
        return ModelEntry(name, place=value.place)
    if value.kind != "mapping":
        return ModelEntry(name, filled(value, "a model").strip(), place=value.place)
    fields = value.mapping(MODEL_KEYS)
    said: dict[str, Any] = {
        key: filled(fields[key]).strip()
        for key in ("model", "optimizer", "critic", "judge", "base_url", "endpoint_name")
        if key in fields
    }
    for key in ("model", "optimizer"):
        if said.get(key) == NOBODY:
            raise fields[key].error(
                f"{fields[key].name!r} is none, and every arm needs one", "Name a model there."
            )
    if "pack" in fields:
        said["pack"] = fields["pack"].word(PACKS)
    return ModelEntry(name, sampling=_sampling(fields), place=value.place, **said)


def sampling(value: Value) -> SamplingEntry:
    """What is sent with every request of every model."""
    return _sampling(value.mapping(SAMPLING_KEYS))


def _sampling(fields: dict[str, Value]) -> SamplingEntry:
    said: dict[str, Any] = {}
    for key in ("temperature", "optimizer_temperature"):
        if key in fields:
            said[key] = float(fields[key].number())
            if said[key] < 0:
                raise fields[key].error(f"{fields[key].name!r} is {said[key]:g}", "Give 0 or more.")
    if "top_p" in fields:
        said["top_p"] = float(fields["top_p"].number())
        if not 0 < said["top_p"] <= 1:
            raise fields["top_p"].error(
                f"{fields['top_p'].name!r} is {said['top_p']:g}", "Give more than 0, and 1 at most."
            )
    if "max_tokens" in fields:
        said["max_tokens"] = fields["max_tokens"].integer(1)
    return SamplingEntry(**said)


def budget(value: Value) -> BudgetEntry:
    """Limits of one command."""
    fields = value.mapping(("calls", "tokens", "usd"))
    usd = None
    if "usd" in fields:
        usd = float(fields["usd"].number())
        if usd < 0:
            raise fields["usd"].error(f"'budget.usd' is {usd:g}", "Give an amount in dollars, 0 or more.")
    return BudgetEntry(
        fields["calls"].integer(0) if "calls" in fields else None,
        fields["tokens"].integer(0) if "tokens" in fields else None,
        usd,
    )


def arm(value: Value, text: str | None = None) -> Arm:
    """An arm; an error names its line."""
    written = text if text is not None else filled(value, "an arm").strip()
    try:
        return parse_arm(written)
    except UserError as error:
        raise located(error, value.place) from None


def arms(value: Value, default: int | None) -> tuple[ArmPlan, ...]:
    """Arms with their trials: a mapping, or a list with `default` trials each."""
    if value.kind == "mapping":
        written: list[tuple[str, Value, Value | None]] = [
            (text, item, item) for text, item in value.mapping().items()
        ]
    else:
        written = [
            (filled(item, "an arm").strip(), item, None)
            for item in value.items("a list of arms, or a mapping from arms to trials")
        ]
    found: list[ArmPlan] = []
    seen: dict[Arm, str] = {}
    for text, item, count in written:
        made = arm(item, text)
        if made == SEED:
            raise item.error(
                "the seed prompt is tested with every block and is no arm of its own", "Leave it out."
            )
        if made in seen:
            raise item.error(
                f"the arm {made.canonical} is listed twice (the other at {seen[made]})", "List it once."
            )
        seen[made] = item.place
        if count is not None and count.kind != "nothing":
            trials = count.integer(1)
        elif default is not None:
            trials = default
        else:
            raise item.error(
                f"nothing says how many trials the arm {made.canonical} has",
                f"Write {made.canonical}: 5, or trials: 5 for all arms.",
            )
        found.append(ArmPlan(made, trials))
    if not found:
        raise value.error("'arms' is empty", "List at least one, such as gradient/correct/naive.")
    return tuple(found)


def margin(value: Value) -> float | None:
    """A half-width of equality as a share: `5 points`, `0.05`, or none."""
    if value.kind == "number":
        number = float(value.number())
        if 0 < number < 1:
            return number
        raise value.error(
            f"{value.name!r} is {number:g}", f"Write {abs(number):g} points, or a share such as 0.05."
        )
    text = value.text("a margin").strip()
    if text == "none":
        return None
    match = _POINTS.fullmatch(text)
    if match is None:
        raise value.error(f"{value.name!r} is {text!r}, which is no margin", "Write 5 points, 0.05, or none.")
    points = float(match["points"])
    if not 0 < points < 100:
        raise value.error(
            f"{value.name!r} is {points:g} points", "Give more than 0 and less than 100 points."
        )
    return points / 100


def curve(value: Value, steps: int) -> tuple[int, ...]:
    """Steps after which the test is read as well; `all` for every step."""
    if value.kind != "list":
        value.word(("all",))
        return tuple(range(1, steps + 1))
    found = rising(value, "steps")
    for step, item in zip(found, value.items(), strict=True):
        if step > steps:
            raise item.error(
                f"the curve asks for step {step} of {steps}", "Ask for steps that are made, or make more."
            )
    return found


def looks(value: Value, blocks: int) -> tuple[int, ...]:
    """Numbers of blocks at which a look is taken; the last is the planned number."""
    found = rising(value, "numbers of blocks")
    if found and found[-1] != blocks:
        raise value.error(
            f"the last look is at {found[-1]} blocks, and {blocks} are planned",
            f"Let the looks end with {blocks}.",
        )
    return found


def rising(value: Value, what: str) -> tuple[int, ...]:
    """Whole numbers from 1 on that rise."""
    found: list[int] = []
    for item in value.items(f"a list of {what}"):
        number = item.integer(1)
        if found and number <= found[-1]:
            raise item.error(f"{value.name!r} has {number} after {found[-1]}", "Let the numbers rise.")
        found.append(number)
    return tuple(found)


def known(name: str, names: Iterable[str], value: Value, what: str) -> str:
    """A name that the study knows."""
    names = tuple(names)
    if name not in names:
        raise value.error(f"{name!r} is no {what} of the study", nearest(name, names))
    return name

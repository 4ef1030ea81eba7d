"""What a task file says, key by key, before any data is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from nullgrad.core.task import LAYOUTS, Layout, UnparsedPolicy
from nullgrad.edges.tasks import values as taskvalues
from nullgrad.edges.tasks.choices import ChoiceColumns
from nullgrad.edges.tasks.hub import PREFIX
from nullgrad.edges.yamlread import Value
from nullgrad.errors import UserError

LeaksPolicy = Literal["error", "warn", "allow"]

WRONG_RULES = ("choice", "label", "slots", "number", "other-example")
"""The rules of wrong labels; see `TaskView.wrong`."""


class FurtherKeys(TypedDict, total=False):
    """The keys of a task file without which there is a task; plain Python values, None for not given."""

    name: str
    data: str | Mapping[str, str]
    labels: Sequence[str]
    scorer: str | Mapping[str, Any]
    format: str
    split: Mapping[str, int | float]
    id: str
    group: str
    stratify: bool | str
    leaks: str
    unparsed: str
    layout: str | Sequence[Mapping[str, str]]
    slots: int
    wrong: str
    constrain: bool
    choices: str | Mapping[str, Any]
    procedural: str | Mapping[str, Any]


class Overrides(FurtherKeys, total=False):
    """The keys of a task file, each of which a call or an option may replace."""

    input: str
    target: str
    prompt: str | Mapping[str, str]


KEYS = tuple(Overrides.__annotations__)
"""Every key of a task file."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task file, read and checked as far as it can be without its data.

    Attributes:
        name: the task's name.
        base: the directory to which its paths are relative.
        places: file and line of every key given, for messages.
        data: path or `hf:` reference by split; the key "" for one source of all splits; empty where procedural.
        input: a column, or a template over columns.
        target: the column of the target, "" for none (see `needs_no_target`).
        prompt: the seed prompt, None where the procedural task's own is meant.
        format: the format suffix, None where it was not said.
        labels: the closed label set, None where it was not said.
        scorer: kind, None where it was not said.
        scorer_options: options of the scorer.
        sizes: size by split, absolute (int) or as a fraction (float); empty where it was not said.
        seed: of the split.
        id: the column of the id, None for row numbers.
        group: the column of the group, None for none.
        stratify: whether each class has its share in every split; a text names the column of the class.
        leaks: what an exact duplicate across splits is.
        unparsed: what an unparsed answer counts as.
        layout: which message carries what.
        slots: number of slots of an answer, None where it was not said.
        wrong: the rule of wrong labels, None for the scorer's own.
        constrain: whether replies are held to the closed answers; see `TaskView`.
        choices: the columns of the options of a multiple-choice data set.
        procedural: name of the generated task, "" for none.
        dials: of the generated task, its seed included.
    """

    name: str
    base: Path
    places: Mapping[str, str]
    data: Mapping[str, str] = field(default_factory=dict)
    input: str = ""
    target: str = ""
    prompt: str | None = None
    format: str | None = None
    labels: tuple[str, ...] | None = None
    scorer: str | None = None
    scorer_options: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int | float] = field(default_factory=dict)
    seed: int = 0
    id: str | None = None
    group: str | None = None
    stratify: bool | str = False
    leaks: LeaksPolicy = "error"
    unparsed: UnparsedPolicy = "wrong"
    layout: Layout = LAYOUTS["system-user"]
    slots: int | None = None
    wrong: str | None = None
    constrain: bool | None = None
    choices: ChoiceColumns | None = None
    procedural: str = ""
    dials: Mapping[str, Any] = field(default_factory=dict)

    def error(self, key: str, problem: str, ways_out: str) -> UserError:
        """An error that names the place of a key, or the task where the key was not given."""
        place = self.places.get(key, f"Task {self.name}")
        return UserError(f"{place}: {problem}.", "Nothing was run.", ways_out)

    def located(self, key: str, error: UserError, about: str = "") -> UserError:
        """An error of another layer with the place of the key that it is about before it."""
        place = self.places.get(key, f"Task {self.name}")
        said = continued(error.what)
        what = f"{place}: {about}: {said}" if about else f"{place}: {said}"
        return UserError(what, error.consequence, error.ways_out)


def continued(sentence: str) -> str:
    """A sentence as it reads behind the place that it is about."""
    return f"the {sentence[4:]}" if sentence.startswith("The ") else sentence


def read_spec(values: Mapping[str, Value], name: str, base: Path, file: str) -> TaskSpec:
    """Check the values of a task file.

    Args:
        values: by key, only keys of `KEYS`.
        name: of the task where no key says it.
        base: directory to which paths are relative.
        file: name of the task file, for messages about keys that are missing.

    Raises:
        UserError: a value is of the wrong type or contradicts another; the message names its line.
    """
    values = {key: value for key, value in values.items() if value.kind != "nothing" or key != "format"}
    _check_together(values, file)
    said: dict[str, Any] = {"name": name}
    said |= {key: read(values[key]) for key, read in _READERS.items() if key in values}
    if "prompt" in values:
        said["prompt"] = taskvalues.prompt(values["prompt"], base)
    if "scorer" in values:
        said["scorer"], said["scorer_options"] = taskvalues.scorer(values["scorer"])
    if "split" in values:
        said["sizes"], said["seed"] = taskvalues.split(values["split"])
    if "procedural" in values:
        said["procedural"], said["dials"] = taskvalues.procedural(values["procedural"])
    return TaskSpec(base=base, places={key: value.place for key, value in values.items()}, **said)


_READERS: dict[str, Callable[[Value], Any]] = {
    "name": taskvalues.filled,
    "data": taskvalues.data,
    "input": taskvalues.filled,
    "target": taskvalues.filled,
    "format": Value.text,
    "labels": taskvalues.labels,
    "id": taskvalues.filled,
    "group": taskvalues.filled,
    "stratify": taskvalues.stratify,
    "leaks": lambda value: value.word(get_args(LeaksPolicy)),
    "unparsed": lambda value: value.word(get_args(UnparsedPolicy)),
    "layout": taskvalues.layout,
    "slots": lambda value: value.integer(1),
    "wrong": lambda value: value.word(WRONG_RULES),
    "constrain": Value.boolean,
    "choices": taskvalues.choices,
}
"""How each key is read that stands for one field of its own name."""


def _check_together(values: Mapping[str, Value], file: str) -> None:
    """Which keys need, and which exclude, each other."""
    if "procedural" in values:
        for key in ("data", "input", "target", "id", "group", "choices"):
            if key in values:
                raise values[key].error(
                    f"{key!r} has no meaning beside 'procedural', whose examples are generated",
                    "Remove one of the two.",
                )
        return
    for key in ("target", "labels", "slots"):
        if "choices" in values and key in values:
            raise values[key].error(
                f"{key!r} has no meaning beside 'choices', which makes the letters", "Remove one of the two."
            )
    needed = ["data", "input", "target", "prompt"]
    if "choices" in values or ("scorer" in values and _needs_no_target(values["scorer"])):
        needed.remove("target")
    for key in needed:
        if key not in values:
            raise UserError(
                f"{file}: the key {key!r} is missing.",
                "Nothing was run.",
                f"A task needs {', '.join(needed)}.",
            )


def _needs_no_target(value: Value) -> bool:
    return needs_no_target(taskvalues.scorer(value)[0])


def needs_no_target(kind: str) -> bool:
    """Whether a kind of scorer can do without a right answer: a judge and a user's function can."""
    return kind == "judge" or ":" in kind


def is_hub(source: str) -> bool:
    """Whether a source of data is a reference to the Hugging Face Hub."""
    return source.startswith(PREFIX)

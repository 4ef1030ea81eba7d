"""What a task file says, key by key, before any data is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

from nullgrad.core.chat import MessageRole
from nullgrad.core.task import LAYOUTS, Layout, UnparsedPolicy, layout
from nullgrad.core.words import TemplateError
from nullgrad.edges.datasets import read_text
from nullgrad.edges.hub import PREFIX
from nullgrad.edges.yamlread import Value
from nullgrad.errors import UserError

LeaksPolicy = Literal["error", "warn", "allow"]

SPLITS = ("train", "validation", "test")

WRONG_RULES = ("choice", "label", "slots", "number", "other-example")
"""The rules of wrong labels; see `TaskView.wrong`."""


class Overrides(TypedDict, total=False):
    """The keys of a task file, each of which a call or an option may replace; plain Python values."""

    name: str
    data: str | Mapping[str, str]
    input: str
    target: str
    labels: list[str]
    scorer: str | Mapping[str, Any]
    prompt: str | Mapping[str, str]
    format: str
    split: Mapping[str, int | float]
    id: str
    group: str
    stratify: bool | str
    leaks: str
    unparsed: str
    layout: str | list[dict[str, str]]
    slots: int
    wrong: str
    choices: str | Mapping[str, Any]
    procedural: str | Mapping[str, Any]


KEYS = tuple(Overrides.__annotations__)
"""Every key of a task file."""


@dataclass(frozen=True, slots=True)
class ChoiceColumns:
    """Columns of a multiple-choice data set from which question, options and target are made.

    Attributes:
        correct: the column of the right answer.
        incorrect: the columns of the wrong ones, at least one.
    """

    correct: str
    incorrect: tuple[str, ...]


GPQA = ChoiceColumns(
    "Correct Answer", ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
)
"""The columns as the publisher of GPQA names them."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task file, read and checked as far as it can be without its data.

    Attributes:
        name: the task's name.
        base: the directory to which its paths are relative.
        places: file and line of every key given, for messages.
        data: path or `hf:` reference by split; the key "" for one source of all splits; empty where procedural.
        input: a column, or a template over columns.
        target: the column of the target.
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
        choices: the columns of the options of a multiple-choice data set.
        procedural: name of the generated task, "" for none.
        dials: of the generated task, its seed included.
    """

    name: str
    base: Path
    places: Mapping[str, str]
    data: Mapping[str, str]
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
    choices: ChoiceColumns | None = None
    procedural: str = ""
    dials: Mapping[str, Any] = field(default_factory=dict)

    def error(self, key: str, problem: str, ways_out: str) -> UserError:
        """An error that names the place of a key, or the task where the key was not given."""
        place = self.places.get(key, f"Task {self.name}")
        return UserError(f"{place}: {problem}.", "Nothing was run.", ways_out)


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
    given = values.__contains__
    _check_together(values, file)
    scorer, options = _scorer(values["scorer"]) if given("scorer") else (None, {})
    sizes, seed = _split(values["split"]) if given("split") else ({}, 0)
    procedural, dials = _procedural(values["procedural"]) if given("procedural") else ("", {})
    choices = _choices(values["choices"]) if given("choices") else None
    return TaskSpec(
        name=_filled(values["name"]) if given("name") else name,
        base=base,
        places={key: value.place for key, value in values.items()},
        data=_data(values["data"]) if given("data") else {},
        input=_filled(values["input"]) if given("input") else "",
        target=_filled(values["target"]) if given("target") else "",
        prompt=_prompt(values["prompt"], base) if given("prompt") else None,
        format=values["format"].text() if given("format") else None,
        labels=_labels(values["labels"]) if given("labels") else None,
        scorer=scorer,
        scorer_options=options,
        sizes=sizes,
        seed=seed,
        id=_filled(values["id"]) if given("id") else None,
        group=_filled(values["group"]) if given("group") else None,
        stratify=_stratify(values["stratify"]) if given("stratify") else False,
        leaks=cast(LeaksPolicy, values["leaks"].word(get_args(LeaksPolicy))) if given("leaks") else "error",
        unparsed=(
            cast(UnparsedPolicy, values["unparsed"].word(get_args(UnparsedPolicy)))
            if given("unparsed")
            else "wrong"
        ),
        layout=_layout(values["layout"]) if given("layout") else LAYOUTS["system-user"],
        slots=values["slots"].integer(1) if given("slots") else None,
        wrong=values["wrong"].word(WRONG_RULES) if given("wrong") else None,
        choices=choices,
        procedural=procedural,
        dials=dials,
    )


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
    if "choices" in values and "target" in values:
        raise values["target"].error(
            "'target' has no meaning beside 'choices', which makes the letters", "Remove one of the two."
        )
    needed = ["data", "input", "prompt"] if "choices" in values else ["data", "input", "target", "prompt"]
    for key in needed:
        if key not in values:
            raise UserError(
                f"{file}: the key {key!r} is missing.",
                "Nothing was run.",
                f"A task needs {', '.join(needed)}.",
            )


def _filled(value: Value, wanted: str = "text") -> str:
    text = value.text(wanted)
    if not text.strip():
        raise value.error(f"{value.name!r} is empty", f"Write {wanted} there.")
    return text


def _data(value: Value) -> dict[str, str]:
    if value.kind != "mapping":
        return {"": _filled(value, "a path")}
    sources = {key: _filled(item, "a path") for key, item in value.mapping(SPLITS).items()}
    for key in ("train", "test"):
        if key not in sources:
            raise value.error(
                f"'data' names no source for {key}",
                "Give train and test (and validation, else it is taken from train), or one file for all.",
            )
    return sources


def _prompt(value: Value, base: Path) -> str:
    if value.kind != "mapping":
        return _filled(value).strip()
    fields = value.mapping(("file",))
    if "file" not in fields:
        raise value.error("'prompt' is an empty mapping", "Write the prompt, or {file: prompt.md}.")
    path = _filled(fields["file"], "a path")
    try:
        return read_text(base / path).strip()
    except UserError as error:
        raise UserError(f"{value.place}: {error.what}", error.consequence, error.ways_out) from None


def _labels(value: Value) -> tuple[str, ...]:
    items = value.items("a list of labels")
    labels: list[str] = []
    for item in items:
        label = _filled(item, "a label").strip()
        if label in labels:
            raise item.error(f"the label {label!r} occurs twice", "Remove one of them.")
        labels.append(label)
    if len(labels) < 2:
        raise value.error(
            "'labels' needs at least two labels", "Name them all, or leave 'labels' out for open answers."
        )
    return tuple(labels)


def plain(value: Value) -> Any:
    """A value as Python's: text, number, boolean, None, list or dictionary."""
    if value.kind == "list":
        return [plain(item) for item in value.items()]
    if value.kind == "mapping":
        return {key: plain(item) for key, item in value.mapping().items()}
    if value.kind == "nothing":
        return None
    if value.kind == "boolean":
        return value.boolean()
    return value.number() if value.kind == "number" else value.text()


def _scorer(value: Value) -> tuple[str, dict[str, Any]]:
    if value.kind != "mapping":
        return _filled(value, "a kind of scorer"), {}
    kinds = value.mapping()
    if len(kinds) != 1:
        raise value.error(
            f"'scorer' names {len(kinds)} kinds", "Write one, such as {number: {tolerance: 0.01}}."
        )
    kind, options = next(iter(kinds.items()))
    if options.kind == "nothing":
        return kind, {}
    return kind, {key: plain(item) for key, item in options.mapping(wanted="a mapping of options").items()}


def _split(value: Value) -> tuple[dict[str, int | float], int]:
    fields = value.mapping((*SPLITS, "seed"))
    seed = fields["seed"].integer(0) if "seed" in fields else 0
    sizes: dict[str, int | float] = {}
    for key in SPLITS:
        if key not in fields:
            continue
        item = fields[key]
        size = item.number()
        if size <= 0:
            raise item.error(f"the {key} split would be empty", "Give it at least one example.")
        if isinstance(size, float) and size >= 1:
            raise item.error(
                f"{item.name!r} is {size}, neither a whole number nor a fraction below 1",
                "Write a number of examples such as 30, or a fraction such as 0.15.",
            )
        sizes[key] = size
    fractions = sum(size for size in sizes.values() if isinstance(size, float))
    if fractions > 1 + 1e-9:
        raise value.error(f"the fractions of 'split' sum to {fractions:g}", "Keep their sum at 1 or below.")
    return sizes, seed


def _stratify(value: Value) -> bool | str:
    return value.boolean() if value.kind == "boolean" else _filled(value, "true, false or a column")


def _layout(value: Value) -> Layout:
    if value.kind != "list":
        return LAYOUTS[value.word(LAYOUTS)]
    messages: list[tuple[MessageRole, str]] = []
    for item in value.items():
        fields = item.mapping(get_args(MessageRole), "a mapping of one role to its text")
        messages += [(cast(MessageRole, role), text.text()) for role, text in fields.items()]
    try:
        made = layout(*messages)
    except TemplateError as error:
        raise value.error(str(error), "Use {prompt}, {format} and {input}; {{ and }} mean braces.") from None
    used = [name for _, template in made.messages for name in template.names]
    for needed in ("prompt", "format", "input"):
        if used.count(needed) != 1:
            raise value.error(
                f"'layout' uses {{{needed}}} {used.count(needed)} times", "Use each of the three once."
            )
    return made


def _choices(value: Value) -> ChoiceColumns:
    if value.kind != "mapping":
        value.word(("gpqa",))
        return GPQA
    fields = value.mapping(("correct", "incorrect"))
    if set(fields) != {"correct", "incorrect"}:
        raise value.error(
            "'choices' needs both 'correct' and 'incorrect'",
            "Write {correct: COLUMN, incorrect: [COLUMN, ...]}, or gpqa.",
        )
    incorrect = fields["incorrect"].texts("a list of columns")
    if not 1 <= len(incorrect) <= 25:
        raise value.error(f"'choices' names {len(incorrect)} wrong answers", "Name 1 to 25 columns.")
    return ChoiceColumns(_filled(fields["correct"], "a column"), incorrect)


def _procedural(value: Value) -> tuple[str, dict[str, Any]]:
    if value.kind != "mapping":
        return _filled(value, "the name of a generated task"), {}
    fields = value.mapping()
    if "task" not in fields:
        raise value.error("'procedural' names no task", "Write {task: web-of-lies}.")
    return _filled(fields.pop("task")), {key: plain(item) for key, item in fields.items()}


def is_hub(source: str) -> bool:
    """Whether a source of data is a reference to the Hugging Face Hub."""
    return source.startswith(PREFIX)

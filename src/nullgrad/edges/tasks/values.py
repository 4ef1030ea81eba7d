"""Reads the single values of a task file; an error names the line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

from nullgrad.core.chat import MessageRole
from nullgrad.core.task import LAYOUTS, Layout
from nullgrad.core.task import layout as make_layout
from nullgrad.core.words import TemplateError
from nullgrad.edges.tasks.choices import GPQA, ChoiceColumns
from nullgrad.edges.tasks.datasets import read_text
from nullgrad.edges.yamlread import Value
from nullgrad.errors import UserError

SPLITS = ("train", "validation", "test")


def filled(value: Value, wanted: str = "text") -> str:
    """A scalar with something in it."""
    text = value.text(wanted)
    if not text.strip():
        raise value.error(f"{value.name!r} is empty", f"Write {wanted} there.")
    return text


def data(value: Value) -> dict[str, str]:
    """Path or reference by split; the key "" for one source of all splits."""
    if value.kind != "mapping":
        return {"": _source(value)}
    sources = {key: _source(item) for key, item in value.mapping(SPLITS).items()}
    for key in ("train", "test"):
        if key not in sources:
            raise value.error(
                f"'data' names no source for {key}",
                "Give train and test (and validation, else it is taken from train), or one file for all.",
            )
    return sources


def _source(value: Value) -> str:
    source = filled(value, "a path")
    if source.startswith(("http://", "https://")):
        raise value.error(
            f"{value.name!r} is an address on the web, which is not read",
            "Download the file and give its path, or hf:owner/name for the Hugging Face Hub.",
        )
    return source


def prompt(value: Value, base: Path) -> str:
    """A text, or `{file: …}` relative to `base`; without the space around it."""
    if value.kind != "mapping":
        return filled(value).strip()
    fields = value.mapping(("file",))
    if "file" not in fields:
        raise value.error("'prompt' is an empty mapping", "Write the prompt, or {file: prompt.md}.")
    path = filled(fields["file"], "a path")
    try:
        return read_text(base / path).strip()
    except UserError as error:
        raise UserError(f"{value.place}: {error.what}", error.consequence, error.ways_out) from None


def labels(value: Value) -> tuple[str, ...]:
    """At least two different labels."""
    found: list[str] = []
    for item in value.items("a list of labels"):
        label = filled(item, "a label").strip()
        if label in found:
            raise item.error(f"the label {label!r} occurs twice", "Remove one of them.")
        found.append(label)
    if len(found) < 2:
        raise value.error(
            "'labels' needs at least two labels", "Name them all, or leave 'labels' out for open answers."
        )
    return tuple(found)


_AS_VALUES = frozenset({"split", "stratify", "scorer", "procedural", "slots", "constrain"})
"""Keys of a task whose numbers and booleans are meant as such; all others keep the text that was written."""


def replacements(fields: Mapping[str, Value]) -> dict[str, Any]:
    """Keys that replace those of another task, as plain values; lists keep their words: `labels: [yes, no]` are two."""
    return {key: plain(item) if key in _AS_VALUES else as_written(item) for key, item in fields.items()}


def as_written(value: Value) -> Any:
    """Lists and mappings of the texts that were written, None for nothing."""
    if value.kind == "list":
        return [as_written(item) for item in value.items()]
    if value.kind == "mapping":
        return {key: as_written(item) for key, item in value.mapping().items()}
    return None if value.kind == "nothing" else value.text()


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


def scorer(value: Value) -> tuple[str, dict[str, Any]]:
    """Kind and options: `exact`, or `{number: {tolerance: 0.01}}`."""
    if value.kind != "mapping":
        return filled(value, "a kind of scorer"), {}
    kinds = value.mapping()
    if len(kinds) != 1:
        raise value.error(
            f"'scorer' names {len(kinds)} kinds", "Write one, such as {number: {tolerance: 0.01}}."
        )
    kind, options = next(iter(kinds.items()))
    if options.kind == "nothing":
        return kind, {}
    return kind, {key: plain(item) for key, item in options.mapping(wanted="a mapping of options").items()}


def split(value: Value) -> tuple[dict[str, int | float], int]:
    """Sizes by split, numbers of examples or fractions below 1, and the seed."""
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


def stratify(value: Value) -> bool | str:
    """True, false or the column of the class."""
    return value.boolean() if value.kind == "boolean" else filled(value, "true, false or a column")


def layout(value: Value) -> Layout:
    """A named layout, or a list of `{role: text}`."""
    if value.kind != "list":
        return LAYOUTS[value.word(LAYOUTS)]
    messages: list[tuple[MessageRole, str]] = []
    for item in value.items():
        fields = item.mapping(get_args(MessageRole), "a mapping of one role to its text")
        messages += [(cast(MessageRole, role), text.text()) for role, text in fields.items()]
    try:
        made = make_layout(*messages)
    except TemplateError as error:
        raise value.error(str(error), "Use {prompt}, {format} and {input}; {{ and }} mean braces.") from None
    used = [name for _, template in made.messages for name in template.names]
    for needed in ("prompt", "format", "input"):
        if needed not in used:
            raise value.error(f"'layout' nowhere uses {{{needed}}}", "Use each of the three.")
    return made


def choices(value: Value) -> ChoiceColumns:
    """`gpqa`, or `{correct: COLUMN, incorrect: [COLUMN, …]}`."""
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
    return ChoiceColumns(filled(fields["correct"], "a column"), incorrect)


def procedural(value: Value) -> tuple[str, dict[str, Any]]:
    """Name and dials: `web-of-lies`, or `{task: web-of-lies, unknown: 0.3}`."""
    if value.kind != "mapping":
        return filled(value, "the name of a generated task"), {}
    fields = value.mapping()
    if "task" not in fields:
        raise value.error("'procedural' names no task", "Write {task: web-of-lies}.")
    return filled(fields.pop("task")), {key: plain(item) for key, item in fields.items()}

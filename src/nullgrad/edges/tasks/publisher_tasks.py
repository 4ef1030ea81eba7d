"""Task definitions for published data sets: seed prompt, format suffix, scorer, labels, the paper's splits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from nullgrad.core import procedural
from nullgrad.core.task import Task
from nullgrad.edges.tasks.build import build_task
from nullgrad.edges.tasks.datasets import Row, read_rows
from nullgrad.edges.tasks.file import given
from nullgrad.edges.tasks.inference import infer_labels, is_number
from nullgrad.edges.tasks.publishers import is_fetched, published_files, task_directory
from nullgrad.edges.tasks.rows import Pool
from nullgrad.edges.tasks.spec import Overrides, read_spec
from nullgrad.errors import UserError

_LETTER = re.compile(r"\(?([A-Z])\)?")

_BBEH_FORMAT = 'Finish with a line that reads "The answer is: " followed by your answer.'
_CHOICE_FORMAT = 'Finish with a line that reads "The answer is: " followed by the letter of the right option.'

_SEED_PROMPTS = {
    "boardgame_qa": "Decide from the rules and their preferences whether the statement is proved, disproved or unknown.",
    "boolean_expressions": "Work out the value of the logical expressions.",
    "buggy_tables": "Repair the table as described, then answer the question about it.",
    "causal_judgement": "Answer the question about cause and effect as a typical person would.",
    "causal_understanding": "Answer the question about cause and effect as a typical person would.",
    "date_understanding": "Work out the date from the context.",
    "disambiguation_qa": "Decide what the pronoun in the sentence refers to.",
    "dyck_languages": "Check that the brackets are closed in the right order.",
    "formal_fallacies": "Decide whether the argument follows from its premises by deduction.",
    "geometric_shapes": "Name the shape that the path draws.",
    "hyperbaton": "Decide which order of the adjectives is right.",
    "linguini": "Solve the puzzle about an unfamiliar language from its examples.",
    "movie_recommendation": "Pick the recommendation that suits the movies named.",
    "multistep_arithmetic_two": "Work out the value of the expression.",
    "navigate": "Follow the instructions and say whether you return to where you started.",
    "nycc": "Pick the caption that people found funniest.",
    "object_counting": "Count the objects asked for.",
    "object_properties": "Follow the changes to the objects, then answer the question.",
    "penguins_in_a_table": "Answer the question about the table.",
    "reasoning_about_colored_objects": "Answer the question about the colours of the objects.",
    "ruin_names": "Pick the humorous edit of the name.",
    "salient_translation_error_detection": "Name the kind of error in the translation.",
    "sarc_triples": "Decide for each of the three replies whether it is sarcastic (1) or not (0).",
    "shuffled_objects": "Follow the swaps and say who ends with what.",
    "snarks": "Pick the sarcastic statement.",
    "spatial_reasoning": "Follow the moves and answer the question about places.",
    "sports_understanding": "Decide whether the sentence about sports is plausible.",
    "sportqa": "Answer the questions about sports.",
    "temporal_sequence": "Work out from the calendars when everyone is free.",
    "temporal_sequences": "Work out when the person could have gone there.",
    "time_arithmetic": "Answer the question about dates and times.",
    "web_of_lies": "Decide who tells the truth.",
    "word_sorting": "Sort the words in the order described.",
    "zebra_puzzles": "Solve the logic puzzle.",
}

_GENERATED = {"web_of_lies": "web-of-lies", "multistep_arithmetic": "multistep-arithmetic"}
"""BBEH tasks that have a generated twin, with which they share the seed prompt and the format suffix."""

_SLOTS = {"web_of_lies": (3, ["yes", "no", "unknown"]), "sarc_triples": (3, ["0", "1"])}
"""BBEH tasks whose answer is a tuple: slots and the labels of each."""


def load_named(name: str, /, *, cache: Path | None = None, **overrides: Unpack[Overrides]) -> Task:
    """The task of a published data set that was fetched before.

    BBEH and BBH: 30 train, 50 validation, the rest (120 of 200) test, as the paper splits. BANKING77:
    154, 231 and 770, equal by intent, test from the publisher's test part. GPQA Diamond: its 198 questions
    are the test, train (30) and validation (50) come from the main set without them, as in the paper.

    Args:
        name: as `fetch_task` takes it.
        cache: see `publishers.cache_directory`.
        overrides: keys of a task file to replace, all but the data.

    Raises:
        UserError: it was not fetched, the name is unknown, or an override cannot be used.
    """
    published_files(name)
    for key in ("data", "procedural", "choices", "id", "group"):
        if key in overrides:
            raise UserError(
                f"The key {key!r} of the published task {name} cannot be replaced.",
                "Nothing was run.",
                "Write a task file of your own for other data.",
            )
    if not is_fetched(name, cache):
        raise UserError(
            f"The task {name} has not been fetched.", "Nothing was run.", f"Run: nullgrad tasks fetch {name}"
        )
    directory = task_directory(name, cache)
    family, _, task = name.partition("/")
    if family == "banking77":
        defaults, pools, notes = _banking77(directory)
    elif family == "gpqa":
        defaults, pools, notes = _gpqa(directory)
    else:
        defaults, pools, notes = _big_bench(family, task, directory)
    # The source is named for `read_spec`, which wants one; its rows are those of the pools.
    values = given({"data": str(directory), "name": name} | defaults | dict(overrides))
    return build_task(read_spec(values, name, directory, name), pools, notes)


Definition = tuple[dict[str, Any], list[Pool], list[str]]


def _big_bench(family: str, task: str, directory: Path) -> Definition:
    rows = read_rows(directory / "task.json")
    for number, row in enumerate(rows, 1):
        row["row"] = str(number)
    rows, labels, notes = _letters(rows)
    targets = [row["target"] for row in rows]
    extra = family == "bbeh"
    defaults: dict[str, Any] = {
        "input": "input",
        "target": "target",
        "id": "row",
        "group": "same",
        "prompt": _SEED_PROMPTS.get(task, "Answer the question."),
        "format": _BBEH_FORMAT,
        "scorer": "bbeh",
        "split": {"train": 30, "validation": 50, "test": max(1, len(rows) - 80)},
    }
    if extra and task in _SLOTS:
        defaults["slots"], defaults["labels"] = _SLOTS[task]
    elif labels:
        defaults |= {"labels": labels, "format": _CHOICE_FORMAT, "wrong": "choice"}
        defaults["scorer"] = "bbeh" if extra else "choice"
    elif all(map(is_number, targets)):
        defaults |= {"wrong": "number", "scorer": "bbeh" if extra else "number"}
    elif closed := infer_labels(targets):
        defaults["labels"] = list(closed)
    if extra and task in _GENERATED:
        twin = _GENERATED[task]
        defaults["prompt"] = procedural.seed_prompt(twin)
        defaults["format"] = procedural.format_suffix(twin)
    return defaults, [Pool("", f"{family}/{task}", _grouped(rows))], notes


def _letters(rows: list[Row]) -> tuple[list[Row], list[str], list[str]]:
    """Rows with bare letters as targets, and the letters; rows as they are and no letters where open.

    A few published rows of multiple-choice tasks name no option (three in BBH): nothing could be right.
    """
    found = [_LETTER.fullmatch(row["target"].strip()) for row in rows]
    lettered = [match is not None for match in found]
    if sum(lettered) < 0.95 * len(rows):
        return rows, [], []
    kept = [row | {"target": match[1]} for row, match in zip(rows, found, strict=True) if match is not None]
    last = max(row["target"] for row in kept)
    left_out = [row["row"] for row in rows if not _LETTER.fullmatch(row["target"].strip())]
    notes = (
        [f"Left out, because the published target names no option: row {', '.join(left_out)}."]
        if left_out
        else []
    )
    return kept, [chr(letter) for letter in range(ord("A"), ord(last) + 1)], notes


def _grouped(rows: Sequence[Row]) -> list[Row]:
    """Rows with the column `same`, which keeps equal inputs in one split."""
    first: dict[str, str] = {}
    return [row | {"same": first.setdefault(_folded(row["input"]), row["row"])} for row in rows]


def _folded(text: str) -> str:
    """A text as `core.leaks` compares it: without regard to case, Unicode form and white space."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _banking77(directory: Path) -> Definition:
    train, test = read_rows(directory / "train.csv"), read_rows(directory / "test.csv")
    tested = {_folded(row["text"]) for row in test}
    apart = [row for row in train if _folded(row["text"]) not in tested]
    notes = (
        [f"Left out of the train part, because the test part has the same text: {len(train) - len(apart)}."]
        if len(apart) < len(train)
        else []
    )
    for rows, prefix in ((apart, "train"), (test, "test")):
        seen: dict[str, str] = {}
        for number, row in enumerate(rows, 1):
            row["row"] = f"{prefix}-{number}"
            row["same"] = seen.setdefault(_folded(row["text"]), row["row"])
    defaults = {
        "input": "text",
        "target": "category",
        "id": "row",
        "group": "same",
        "prompt": "Name the intent of the bank customer's message.",
        "labels": sorted({row["category"] for row in test}),
        "scorer": "exact",
        "stratify": True,
        "split": {"train": 154, "validation": 231, "test": 770},
    }
    return defaults, [Pool("train", "train.csv", apart), Pool("test", "test.csv", test)], notes


def _gpqa(directory: Path) -> Definition:
    test = read_rows(directory / "gpqa_diamond.csv")
    diamond = {row.get("Record ID") for row in test}
    rest = [row for row in read_rows(directory / "gpqa_main.csv") if row.get("Record ID") not in diamond]
    defaults = {
        "input": "Question",
        "choices": "gpqa",
        "id": "Record ID",
        "prompt": "Answer the multiple-choice question.",
        "format": _CHOICE_FORMAT,
        "scorer": "choice",
        "split": {"train": 30, "validation": 50},
    }
    return defaults, [Pool("train", "gpqa_main.csv", rest), Pool("test", "gpqa_diamond.csv", test)], []

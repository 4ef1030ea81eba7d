"""Multiple-choice questions from data sets that keep each option in a column of its own, such as GPQA."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class ChoiceColumns:
    """Columns of a multiple-choice data set from which question, options and target are made.

    Attributes:
        correct: the column of the right answer.
        incorrect: the columns of the wrong ones, at least one.
    """

    correct: str
    incorrect: tuple[str, ...]


GPQA = ChoiceColumns("Correct Answer", ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"))
"""The columns as the publisher of GPQA names them."""


def order(identity: str, count: int) -> list[int]:
    """In which order the options of a question are shown: a permutation of 0 … count - 1.

    It depends on the question's identity alone, so that it is the same on every machine, in every split
    and whatever other rows there are.
    """
    return sorted(
        range(count),
        key=lambda place: hashlib.sha256(f"choices\x1f{identity}\x1f{place}".encode()).digest(),
    )


def with_options(
    question: str, identity: str, options: ChoiceColumns, row: Mapping[str, str]
) -> tuple[str, str]:
    """The question with its lettered options, and the letter of the right one.

    Raises:
        KeyError: the row lacks a column.
        ValueError: two options of the row are equal, so that no letter alone is right.
    """
    texts = [row[column].strip() for column in (options.correct, *options.incorrect)]
    if len(set(texts)) != len(texts):
        raise ValueError("two of its options are equal")
    places = order(identity, len(texts))
    lines = [f"({LETTERS[shown]}) {texts[place]}" for shown, place in enumerate(places)]
    return "\n".join([question.strip(), "", *lines]), LETTERS[places.index(0)]


def letters(options: ChoiceColumns) -> tuple[str, ...]:
    """The label set: A, B, …"""
    return tuple(LETTERS[: 1 + len(options.incorrect)])


def missing(options: ChoiceColumns, columns: Sequence[str]) -> list[str]:
    """Columns that the options name and the data lack."""
    return [column for column in (options.correct, *options.incorrect) if column not in columns]

"""What a generated item is, and the dials that say which items are generated."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from nullgrad.errors import UserError


@dataclass(frozen=True, slots=True)
class Item:
    """A generated item.

    Attributes:
        input: the question and nothing else; the answer's format is the task's format suffix.
        target: the right answer.
    """

    input: str
    target: str


@dataclass(frozen=True, slots=True)
class Dial:
    """One dial of a procedural task.

    Attributes:
        default: the value when nothing is said; an int makes the dial whole-numbered, a float makes it a share.
        low, high: the range, both ends included.
        doc: what it changes, one line.
    """

    default: int | float
    low: int | float
    high: int | float
    doc: str


def settled(task: str, dials: Mapping[str, Dial], given: Mapping[str, object]) -> dict[str, int | float]:
    """Every dial's value, from what was given and the defaults.

    Raises:
        UserError: a dial that the task does not have, a value that is no number, or one out of range.
    """
    for name in given:
        if name not in dials:
            raise UserError(
                f"{task} has no dial {name!r}.",
                "Nothing was generated.",
                f"Its dials are {', '.join(f'{key} ({_span(dial)})' for key, dial in dials.items())}.",
            )
    return {name: _value(task, name, dial, given.get(name, dial.default)) for name, dial in dials.items()}


def flags(share: float, n: int, stream: random.Random) -> list[bool]:
    """`n` flags in random order, of which `share` (0 to 1), rounded half up, are set."""
    count = int(share * n + 0.5)
    marked = [True] * count + [False] * (n - count)
    stream.shuffle(marked)
    return marked


def _value(task: str, name: str, dial: Dial, value: object) -> int | float:
    whole = isinstance(dial.default, int)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, int | float) or not number or (whole and value != value // 1):
        raise UserError(
            f"The dial {name} of {task} cannot be {value!r}.",
            "Nothing was generated.",
            f"Give a {'whole ' if whole else ''}number in {_span(dial)}.",
        )
    if not dial.low <= value <= dial.high:
        raise UserError(
            f"The dial {name} of {task} is {value}, out of its range.",
            "Nothing was generated.",
            f"Give a {'whole ' if whole else ''}number in {_span(dial)}.",
        )
    return int(value) if whole else float(value)


def _span(dial: Dial) -> str:
    return f"{dial.low} to {dial.high}"

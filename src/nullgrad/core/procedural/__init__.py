"""Procedural tasks: items generated without end, with dials, and solvers that know their answers.

The forms are those of BIG-Bench Extra Hard (Kazemi et al. 2025, Apache-2.0). Code and sentences are our own;
the solvers also read the published items.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nullgrad.core.draws import stream
from nullgrad.core.procedural import (
    multistep_arithmetic,
    multistep_arithmetic_items,
    web_of_lies,
    web_of_lies_items,
)
from nullgrad.core.procedural.dials import Dial, Item, settled
from nullgrad.errors import UserError

__all__ = ["Dial", "Item", "dials", "format_suffix", "generate", "names", "seed_prompt", "solve"]

_ATTEMPTS = 100
"""Draws for one item that differs from all before it."""


@dataclass(frozen=True, slots=True)
class _Form:
    seed_prompt: str
    format_suffix: str
    dials: Mapping[str, Dial]
    solve: Callable[[str], str]
    plan: Callable[[int, int, Mapping[str, float]], list[Any]]
    item: Callable[[Any, Mapping[str, float], random.Random], Item]


_FORMS: Mapping[str, _Form] = {
    "web-of-lies": _Form(
        web_of_lies.SEED_PROMPT,
        web_of_lies.FORMAT_SUFFIX,
        web_of_lies_items.DIALS,
        web_of_lies.solve,
        web_of_lies_items.plan,
        web_of_lies_items.item,
    ),
    "multistep-arithmetic": _Form(
        multistep_arithmetic.SEED_PROMPT,
        multistep_arithmetic.FORMAT_SUFFIX,
        multistep_arithmetic_items.DIALS,
        multistep_arithmetic.solve,
        multistep_arithmetic_items.plan,
        multistep_arithmetic_items.item,
    ),
}


def names() -> tuple[str, ...]:
    """The procedural tasks."""
    return tuple(_FORMS)


def dials(name: str) -> Mapping[str, Dial]:
    """The dials of a task by name.

    Raises:
        UserError: there is no such task.
    """
    return _form(name).dials


def seed_prompt(name: str) -> str:
    """The instruction to begin with.

    Raises:
        UserError: there is no such task.
    """
    return _form(name).seed_prompt


def format_suffix(name: str) -> str:
    """The fixed instruction on the answer's format; the items themselves say nothing about it.

    Raises:
        UserError: there is no such task.
    """
    return _form(name).format_suffix


def solve(name: str, text: str) -> str:
    """The right answer to an item's text, generated or published.

    Raises:
        UserError: there is no such task.
        ValueError: the text is not of the task's form.
    """
    return _form(name).solve(text)


def generate(name: str, n: int, seed: int, **dials: float) -> list[Item]:
    """`n` distinct items, the same ones for the same arguments.

    Args:
        name: one of `names()`.
        n: how many, at least 1.
        seed: any whole number; another seed gives other items.
        dials: values for some of `dials(name)`; the others keep their defaults.

    Raises:
        UserError: there is no such task or dial, a value is out of range, or the dials leave too few items.
    """
    form = _form(name)
    if n < 1:
        raise UserError(
            f"{n} items of {name} were asked for.", "Nothing was generated.", "Ask for 1 or more."
        )
    values = settled(name, form.dials, dials)
    seen: set[str] = set()
    items = []
    for number, kind in enumerate(form.plan(n, seed, values)):
        for attempt in range(_ATTEMPTS):
            item = form.item(kind, values, stream("procedural", name, seed, number, attempt))
            if item.input not in seen:
                break
        else:
            raise UserError(
                f"The dials of {name} leave fewer than {n} distinct items.",
                "Nothing was generated.",
                "Ask for fewer items, or turn up the dials that make them larger.",
            )
        seen.add(item.input)
        items.append(item)
    return items


def _form(name: str) -> _Form:
    if name not in _FORMS:
        raise UserError(
            f"There is no procedural task {name!r}.", "", f"The procedural tasks are {', '.join(_FORMS)}."
        )
    return _FORMS[name]

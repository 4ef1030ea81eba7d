"""Examples that a task has not seen: items of its generator made anew, at its own or at other shares of a class."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nullgrad.core import procedural
from nullgrad.core.draws import draw_of
from nullgrad.core.scoring import canonical_target
from nullgrad.core.task import Example, Made, Task
from nullgrad.errors import UserError

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of the class of a curve."""

ITEMS = 60
"""Items made at each share, where nothing else is said."""


def has_share(made: Made, label: str) -> bool:
    """Whether the generator has a dial for the share of a class: one that is called as the class is."""
    dial = procedural.dials(made.generator).get(label)
    return dial is not None and not isinstance(dial.default, int)


def fresh_items(task: Task, made: Made, n: int, seed: int) -> tuple[Example, ...]:
    """`n` items made as those of the task were, with other random draws.

    Raises:
        UserError: the dials leave too few distinct items.
    """
    return _items(task, made, n, draw_of("fresh-items", made.seed, seed), "fresh", dict(made.dials))


def items_at(
    task: Task, made: Made, label: str, shares: Sequence[float], n: int, seed: int
) -> dict[float, tuple[Example, ...]]:
    """`n` items at each share of a class; the other dials stay, but what would not fit beside it gives way.

    Raises:
        UserError: a share is none, or the dials leave too few distinct items.
    """
    found: dict[float, tuple[Example, ...]] = {}
    for share in shares:
        if not 0 <= share <= 1:
            raise UserError(
                f"The share {share:g} of {label} is not between 0 and 1.",
                "Nothing was run.",
                "Give shares such as 0,0.25,0.5.",
            )
        dials = {**dict(made.dials), label: share}
        if dials.get("places", 0.0) > 1 - share:
            # Items told by places determine every answer, so that both shares have to fit into 1.
            dials["places"] = 1 - share
        place = draw_of("fresh-items", made.seed, seed, label, f"{share:g}")
        found[share] = _items(task, made, n, place, f"fresh-{share:g}", dials)
    return found


def _items(
    task: Task, made: Made, n: int, seed: int, prefix: str, dials: dict[str, float]
) -> tuple[Example, ...]:
    view = task.view
    kind = str(json.loads(view.scorer.spec)["kind"])
    items = procedural.generate(made.generator, n, seed, **dials)
    return tuple(
        Example(
            f"{prefix}-{number}", item.input, canonical_target(kind, item.target, view.labels, view.slots)
        )
        for number, item in enumerate(items)
    )

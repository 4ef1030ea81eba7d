"""Tasks of simulated worlds: `sim/WORLD`, natural sentences whose class can be read off the text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from nullgrad.core.draws import stream
from nullgrad.core.task import Task
from nullgrad.edges.sim.dials import parse_dials, split_spec
from nullgrad.edges.sim.vocabulary import MOST, TOPICS, write_message
from nullgrad.edges.sim.worlds import World, parse_world
from nullgrad.errors import UserError

PREFIX = "sim/"

SIZES = {"train": 30, "validation": 50, "test": 200}
"""The default split."""

SEED_PROMPT = "Read the customer's message and decide what kind it is."

_TASK_DIALS = ("seed", "classes", "rare")


def sim_task(ref: str, **overrides: Any) -> Task:
    """The task of a world.

    Every split has the world's shares of classes, to within one example, and each class the topics in equal shares.
    The messages of a split do not depend on the sizes of the others.

    Args:
        ref: `sim/WORLD`, with the dials `classes`, `rare` and `seed`, such as `sim/prevalence?rare=0.1&seed=2`.
        overrides: keys of a task file to replace, above all `split={"train": 30, "validation": 50, "test": 200}`.

    Raises:
        UserError: there is no such world or dial, a size is no whole number, or a key makes no sense here.
    """
    from nullgrad.edges.tasks.build import build_task
    from nullgrad.edges.tasks.file import given
    from nullgrad.edges.tasks.rows import Pool
    from nullgrad.edges.tasks.spec import read_spec

    world, seed = _world(ref)
    for key in (
        "data",
        "input",
        "target",
        "labels",
        "scorer",
        "id",
        "group",
        "choices",
        "procedural",
        "slots",
    ):
        if overrides.get(key) is not None:
            raise UserError(
                f"{ref}: {key!r} cannot be replaced: a world reads its own messages and answers with its own labels.",
                "Nothing was run.",
                "Replace prompt, format, layout or split.",
            )
    fixed = {
        "data": ref, "input": "message", "target": "kind", "id": "id", "labels": list(world.labels), "scorer": "exact",
        "leaks": "allow", "format": f"Answer with one of: {', '.join(world.labels)}.", "prompt": SEED_PROMPT,
    }  # fmt: skip
    spec = read_spec(given({**fixed, **overrides}), ref, Path(), ref)
    sizes = _sizes(ref, spec.sizes)
    pools = [
        Pool(name, ref, _rows(world, name, place, size, spec.seed + 1000 * seed))
        for place, (name, size) in enumerate(sizes.items())
    ]
    return build_task(replace(spec, sizes={}, data={pool.split: ref for pool in pools}), pools)


def _world(ref: str) -> tuple[World, int]:
    """The world, and the seed of the task's messages."""
    _, values = split_spec(ref.removeprefix(PREFIX), ref)
    other = [key for key in values if key not in _TASK_DIALS]
    if other:
        raise UserError(
            f"{ref}: {other[0]!r} is a dial of the model, not of the task.",
            "Nothing was run.",
            f"Write it behind --model sim:WORLD; a task has {', '.join(_TASK_DIALS)}.",
        )
    seed = parse_dials({"seed": values.get("seed", "0")}, ref).seed
    return parse_world("sim:" + ref.removeprefix(PREFIX)), seed


def _sizes(ref: str, given: Any) -> dict[str, int]:
    sizes = {**SIZES, **dict(given)}
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 2:
            raise UserError(
                f"{ref}: the size of the {name} split is {size}.",
                "Messages are generated, so there is no whole of which it could be a share; nothing was run.",
                "Give a whole number of at least 2.",
            )
    if sum(sizes.values()) > MOST // 8:
        raise UserError(
            f"{ref}: {sum(sizes.values())} messages are too many.",
            "Nothing was run.",
            f"Ask for at most {MOST // 8}.",
        )
    return sizes


def _rows(world: World, split: str, place: int, size: int, seed: int) -> list[dict[str, str]]:
    """The messages of a split: classes by largest remainder, topics in turn, in a random order."""
    counts = _counts(world.prior, size)
    kinds = [(label, topic % len(TOPICS)) for label, count in enumerate(counts) for topic in range(count)]
    stream("sim-order", seed, split).shuffle(kinds)
    return [
        {
            "id": f"{split}-{number + 1}",
            "message": write_message(number * 4 + place, label, topic, seed),
            "kind": world.labels[label],
        }
        for number, (label, topic) in enumerate(kinds)
    ]


def _counts(prior: tuple[float, ...], size: int) -> list[int]:
    exact = [share * size for share in prior]
    counts = [max(int(one), 1) for one in exact]
    order = sorted(range(len(prior)), key=lambda place: (counts[place] - exact[place], place))
    for place in range(size - sum(counts)):
        counts[order[place % len(order)]] += 1
    while sum(counts) > size:
        counts[counts.index(max(counts))] -= 1
    return counts

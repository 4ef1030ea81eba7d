"""Divides the examples of a task's sources into train, validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nullgrad.core.splits import split_examples
from nullgrad.core.task import Example
from nullgrad.edges.tasks.rows import Read
from nullgrad.edges.tasks.spec import TaskSpec
from nullgrad.edges.tasks.values import SPLITS
from nullgrad.errors import UserError

SHARES = {"train": 0.15, "validation": 0.25, "test": 0.60}
"""Default shares of one source: 30, 50 and 120 of 200, as in the paper."""

MOST = 1000
"""The most examples that default splits use: more cost more and must be asked for."""


def default_sizes(count: int) -> dict[str, int]:
    """Sizes of the three splits of `count` examples, of at most `MOST` of them; each at least 1.

    Raises:
        ValueError: fewer than three examples.
    """
    if count < len(SPLITS):
        raise ValueError(count)
    used = min(count, MOST)
    train = max(1, round(used * SHARES["train"]))
    validation = max(1, round(used * SHARES["validation"]))
    return {"train": train, "validation": validation, "test": used - train - validation}


def split_reads(spec: TaskSpec, reads: Sequence[Read], said: list[str]) -> dict[str, tuple[Example, ...]]:
    """The three splits, none of them empty.

    Args:
        spec: sizes, seed and stratification.
        reads: examples of one source for all splits, or of one per split (validation is taken from train
            where it has none).
        said: notes, to which the sizes are added where they were not given.

    Raises:
        UserError: ids repeat across sources, a size is missing or too large, a split is empty.
    """
    seen: dict[str, str] = {}
    for read in reads:
        for example in read.examples:
            if example.id in seen:
                raise spec.error(
                    "id",
                    f"the id {example.id!r} occurs in {seen[example.id]} and in {read.pool.source}",
                    "Give every example an id of its own, or leave 'id' out for row numbers.",
                )
        seen |= {example.id: read.pool.source for example in read.examples}
    splits: dict[str, tuple[Example, ...]] = {}
    for read in reads:
        splits |= _divide(spec, read, _sizes(spec, read, {r.pool.split for r in reads}, said))
    for split in SPLITS:
        if not splits.get(split):
            raise spec.error(
                "split", f"the {split} split is empty", "Give more examples, or other sizes in 'split'."
            )
    return {split: splits[split] for split in SPLITS}


def _sizes(spec: TaskSpec, read: Read, sources: set[str], said: list[str]) -> Mapping[str, int | float]:
    """How many examples of a pool go to which split."""
    count, split = len(read.examples), read.pool.split
    wanted = [split] if split else list(SPLITS)
    if split == "train" and "validation" not in sources:
        wanted.append("validation")
    given = {name: size for name, size in spec.sizes.items() if name in wanted}
    if not given:
        if len(wanted) == 1:
            return {split: count}
        if count < len(wanted):
            raise spec.error(
                "data",
                f"{read.pool.source} holds {count} examples, too few for {len(wanted)} splits",
                "Give more examples.",
            )
        sizes = default_sizes(count) if len(wanted) == 3 else _train_and_validation(count)
        shown = ", ".join(f"{size} {name}" for name, size in sizes.items())
        left = count - sum(sizes.values())
        said.append(
            f"No split was given: {shown}"
            + (f"; {left} of {count} examples are left out, 'split' takes more." if left else ".")
        )
        return sizes
    for name in wanted:
        if name not in given:
            raise spec.error(
                "split", f"'split' gives no size for {name}", f"Give all of {', '.join(wanted)}."
            )
    return given


def _train_and_validation(count: int) -> dict[str, int]:
    used = min(count, round(MOST * (SHARES["train"] + SHARES["validation"])))
    train = max(1, round(used * SHARES["train"] / (SHARES["train"] + SHARES["validation"])))
    return {"train": train, "validation": used - train}


def _divide(spec: TaskSpec, read: Read, sizes: Mapping[str, int | float]) -> dict[str, tuple[Example, ...]]:
    if list(sizes.values()) == [len(read.examples)]:
        return dict.fromkeys(sizes, read.examples)
    # The split stratifies by the target: it is shown the class instead, and the targets are put back.
    shown = [replace(example, target=read.classes[example.id]) for example in read.examples]
    try:
        drawn = split_examples(shown, sizes, spec.seed, stratify=bool(spec.stratify))
    except UserError as error:
        raise spec.located("split", error, read.pool.source) from None
    by_id = {example.id: example for example in read.examples}
    return {
        name: tuple(by_id[example.id] for example in part) for name, part in drawn.items() if name in sizes
    }

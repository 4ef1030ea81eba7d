"""Dividing examples: sizes, independence of order, groups, classes, and a test split that stays."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from fractions import Fraction

import pytest

from nullgrad.core.splits import SPLITS, split_examples
from nullgrad.core.task import Example
from nullgrad.errors import UserError


def pool(n: int, *, groups: int = 0, classes: tuple[int, ...] = (1,)) -> list[Example]:
    """`n` examples; `classes` are the weights of the targets, `groups` the size of a group."""
    turns = [f"class {number}" for number, weight in enumerate(classes) for _ in range(weight)]
    return [
        Example(f"id{i}", f"input {i}", turns[i % len(turns)], f"g{i // groups}" if groups else "")
        for i in range(n)
    ]


def sizes_of(splits: dict) -> tuple[int, ...]:
    return tuple(len(splits[name]) for name in SPLITS)


@pytest.mark.parametrize(
    ("n", "asked", "sizes"),
    [
        (200, {"train": 30, "validation": 50, "test": 120}, (30, 50, 120)),
        (201, {"train": 30, "validation": 50, "test": 120}, (30, 50, 120)),
        (10, {"test": 10}, (0, 0, 10)),
        (10, {"train": 1, "test": 1}, (1, 0, 1)),
        (10, {"train": 0.5, "test": 0.5}, (5, 0, 5)),
        (20, {"train": 0.15, "validation": 0.25, "test": 0.6}, (3, 5, 12)),
        (7, {"train": 0.15, "validation": 0.25, "test": 0.6}, (1, 2, 4)),  # Shares of 1 use every example.
        (101, {"train": 0.1, "validation": 0.2, "test": 0.7}, (10, 20, 71)),
        (10, {"train": 0.25, "test": 0.25}, (2, 0, 3)),  # 2.5 each are 5: the tie goes by name.
        (100, {"train": 30, "test": 0.5}, (30, 0, 50)),
        (100, {"test": 0.29}, (0, 0, 29)),  # A little less than 29 in binary.
    ],
)
@pytest.mark.parametrize("stratify", [False, True])
def test_sizes(n: int, asked: dict, sizes: tuple[int, ...], stratify: bool) -> None:
    splits = split_examples(pool(n, classes=(2, 1)), asked, 0, stratify=stratify)
    assert sizes_of(splits) == sizes
    taken = [example.id for part in splits.values() for example in part]
    assert len(set(taken)) == len(taken)


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("groups", [0, 3])
def test_the_order_of_the_data_does_not_matter_and_the_seed_does(stratify: bool, groups: int) -> None:
    examples = pool(120, groups=groups, classes=(3, 1))
    asked = {"train": 24, "validation": 30, "test": 60}
    first = split_examples(examples, asked, 5, stratify=stratify)
    for turned in (examples[::-1], random.Random(1).sample(examples, 120)):
        assert split_examples(turned, asked, 5, stratify=stratify) == first
    others = [split_examples(examples, asked, seed, stratify=stratify) for seed in range(4)]
    assert len({tuple(one.id for one in splits["test"]) for splits in [first, *others]}) == 5


def test_a_draw_and_no_slice_of_the_data() -> None:
    seen: Counter[str] = Counter()
    for seed in range(300):
        seen.update(one.id for one in split_examples(pool(20), {"test": 5}, seed)["test"])
    assert len(seen) == 20
    assert max(abs(count - 75) for count in seen.values()) < 4.5 * (300 * 0.25 * 0.75) ** 0.5


@pytest.mark.parametrize("stratify", [False, True])
def test_other_sizes_leave_the_test_split_as_it_is(stratify: bool) -> None:
    examples = pool(200, classes=(3, 1, 1))

    def drawn(train: int, validation: int, test: int = 100) -> dict:
        asked = {"train": train, "validation": validation, "test": test}
        return split_examples(examples, {k: v for k, v in asked.items() if v}, 3, stratify=stratify)

    whole = drawn(30, 50)
    for train, validation in ((10, 50), (50, 50), (30, 10), (30, 0), (0, 50)):
        assert drawn(train, validation)["test"] == whole["test"]
    assert drawn(10, 50)["validation"] == whole["validation"]
    assert set(drawn(10, 50)["train"]) <= set(whole["train"]) or stratify
    assert drawn(30, 50, 90)["test"] != whole["test"]


def test_more_data_moves_few_examples() -> None:
    before = split_examples(pool(200), {"test": 100}, 0)["test"]
    after = split_examples(pool(220), {"test": 100}, 0)["test"]
    assert len(set(before) & set(after)) >= 80


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [2, 5, 7])
def test_groups_stay_together(size: int, seed: int, stratify: bool) -> None:
    asked = {"train": 40, "validation": 50, "test": 100}
    splits = split_examples(pool(210, groups=size, classes=(2, 1)), asked, seed, stratify=stratify)
    homes = defaultdict(set)
    for name, part in splits.items():
        assert abs(len(part) - asked[name]) <= asked[name] / 4
        for example in part:
            homes[example.group].add(name)
    assert all(len(names) == 1 for names in homes.values())


def test_a_group_and_an_id_of_one_name_are_two_things() -> None:
    examples = [Example("a", "1", "x", "b"), Example("b", "2", "y"), Example("c", "3", "x", "b")]
    splits = split_examples(examples, {"train": 2, "test": 1}, 0)
    assert {one.id for one in splits["train"]} == {"a", "c"} and splits["test"] == (examples[1],)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [(1, 1), (7, 3), (12, 5, 2, 1), (1,) * 17])
def test_every_class_keeps_its_share_to_within_one(classes: tuple[int, ...], seed: int) -> None:
    examples = pool(340, classes=classes)
    asked = {"train": 33, "validation": 57, "test": 111}
    splits = split_examples(examples, asked, seed, stratify=True)
    left = Counter(one.target for one in examples)
    for name in ("test", "validation", "train"):
        total = sum(left.values())
        found = Counter(one.target for one in splits[name])
        assert found.total() == asked[name]
        for target, count in left.items():
            assert abs(found[target] - Fraction(asked[name] * count, total)) < 1
        left -= found
    whole = Counter(one.target for one in examples)
    for target, count in whole.items():
        assert abs(Counter(one.target for one in splits["test"])[target] - 111 * count / 340) < 1


def test_without_strata_shares_vary() -> None:
    found = {
        Counter(one.target for one in split_examples(pool(100), {"test": 30}, seed)["test"])["class 0"]
        for seed in range(20)
    }
    mixed = {
        Counter(one.target for one in split_examples(pool(100, classes=(1, 1)), {"test": 30}, seed)["test"])[
            "class 0"
        ]
        for seed in range(20)
    }
    assert found == {30} and len(mixed) > 3


@pytest.mark.parametrize(
    ("asked", "examples", "fragments"),
    [
        ({}, pool(5), ["No split has a size"]),
        ({"trian": 1}, pool(5), ["'trian'", "train, validation, test"]),
        ({"train": 0}, pool(5), ["train", "from 1"]),
        ({"train": -1}, pool(5), ["-1"]),
        ({"train": True}, pool(5), ["True"]),
        ({"train": 1.0}, pool(5), ["1.0", "whole number"]),
        ({"train": 1.5}, pool(5), ["1.5"]),
        ({"train": float("nan")}, pool(5), ["nan"]),
        ({"train": 3, "test": 3}, pool(5), ["6 examples (3 train, 3 test)", "there are 5"]),
        ({"train": 0.6, "test": 0.6}, pool(5), ["6 examples", "there are 5"]),
        ({"train": 3, "test": 0.6}, pool(5), ["6 examples"]),
        ({"train": 0.1, "test": 0.5}, pool(5), ["train split would be empty", "0.1 of 5"]),
        ({"test": 1}, [], ["there are 0"]),
        ({"test": 1}, [*pool(3), *pool(1)], ["'id0'", "twice"]),
        ({"train": 10, "test": 10}, pool(30, groups=15), ["whole groups give it 15", "'g0'", "15 examples"]),
        ({"test": 3}, pool(30, groups=30), ["whole groups give it 0", "30 examples"]),
    ],
)
def test_what_cannot_be_divided_is_said(asked: dict, examples: list[Example], fragments: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        split_examples(examples, asked, 0)
    message = str(caught.value)
    assert caught.value.ways_out
    for fragment in fragments:
        assert fragment in message, message

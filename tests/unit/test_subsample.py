"""Subsamples: shares reached, ids kept, the draw a function of what it names."""

from __future__ import annotations

from collections import Counter

import pytest

from nullgrad.core.subsample import Subsample, subsample, subsample_task
from nullgrad.core.task import Example
from nullgrad.errors import UserError
from tests.support.trials import make_task


def examples(**counts: int) -> list[Example]:
    return [
        Example(f"{label}{number}", f"text {number}", label)
        for label, count in counts.items()
        for number in range(count)
    ]


def kept(rule: Subsample, **counts: int) -> Counter[str]:
    return Counter(one.target for one in subsample(examples(**counts), rule, "train"))


def test_as_many_are_kept_as_the_shares_allow() -> None:
    assert kept(Subsample({"yes": 0.8}), yes=50, no=50) == {"yes": 50, "no": 12}
    assert kept(Subsample({"yes": 0.5}), yes=10, no=40) == {"yes": 10, "no": 10}
    assert kept(Subsample({"yes": 0.2}), yes=10, no=40) == {"yes": 10, "no": 40}


def test_a_size_is_reached_exactly() -> None:
    assert kept(Subsample({"yes": 0.8}, sizes={"train": 30}), yes=25, no=23) == {"yes": 24, "no": 6}


def test_labels_that_are_not_named_keep_their_proportions() -> None:
    assert kept(Subsample({"a": 0.5}, sizes={"train": 24}), a=20, b=20, c=10) == {"a": 12, "b": 8, "c": 4}
    assert kept(Subsample({"a": 0.5, "b": 0.5}, sizes={"train": 8}), a=20, b=20, c=10) == {"a": 4, "b": 4}


def test_the_draw_depends_on_seed_split_and_ids_and_not_on_the_order() -> None:
    pool = examples(yes=50, no=50)
    first = subsample(pool, Subsample({"yes": 0.8}), "train")
    again = subsample(pool[::-1], Subsample({"yes": 0.8}), "train")
    assert {one.id for one in first} == {one.id for one in again}
    assert [one.id for one in first] == [one.id for one in pool if one in first]
    for other in (
        subsample(pool, Subsample({"yes": 0.8}, seed=1), "train"),
        subsample(pool, Subsample({"yes": 0.8}), "test"),
    ):
        assert {one.id for one in other} != {one.id for one in first}


@pytest.mark.parametrize("yes", range(1, 12))
@pytest.mark.parametrize("no", range(1, 12))
def test_rounding_never_asks_for_what_is_not_there(yes: int, no: int) -> None:
    found = kept(Subsample({"yes": 0.8}), yes=yes, no=no)
    assert 0 < found["yes"] <= yes
    assert found["no"] <= no


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Subsample({"maybe": 0.8}), "no example of the label 'maybe'"),
        (
            Subsample({"yes": 0.8}, sizes={"train": 100}),
            "has 50 examples of 'yes', and 100 with these shares need 80",
        ),
        (Subsample({"yes": 0.8, "no": 0.1}), "name every label and sum to 0.9"),
        (Subsample({"yes": 0.8, "no": 0.3}), "sum to more than 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(rule: Subsample, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        kept(rule, yes=50, no=50)
    assert caught.value.ways_out


def test_a_subsampled_task_is_another_one() -> None:
    task = make_task(train=20, validation=20, test=20)
    found = subsample_task(task, Subsample({"yes": 0.8}))
    for split, before in ((found.view.train, task.view.train), (found.test, task.test)):
        assert Counter(one.target for one in split) == {"yes": 10, "no": 2}
        assert set(split) <= set(before)
    assert found.digest != task.digest
    assert found.digest == subsample_task(task, Subsample({"yes": 0.8})).digest
    assert found.digest != subsample_task(task, Subsample({"yes": 0.8}, seed=3)).digest
    assert found.view.name == task.view.name
    assert found.notes[-1].startswith("Subsampled to yes 80%: train 12 of 20")

"""Occurrences, budgets of a foreign trial, its arms, and what its job tells."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import get_args

import pytest

from nullgrad.core.arms import Labels
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Role, Usage
from nullgrad.core.draws import DrawPath
from nullgrad.core.events import ForeignCandidate, ForeignDone, ForeignStarted, parse_event
from nullgrad.core.foreign import (
    Caller,
    Claim,
    Occurrences,
    Use,
    best_claim,
    finite,
    foreign_draw,
)
from nullgrad.core.foreign_budget import Allowance, Meter, parse_allowance
from nullgrad.core.foreign_job import FEEDBACKS, ForeignArm, job_rows, parse_foreign_arm, pieces
from nullgrad.core.task import LAYOUTS, Example, TaskView, layout
from nullgrad.errors import UserError
from tests.support.trials import make_view

KEY = (Caller("gepa/correct/correct", 0, "generator"), "a request")
OTHER = (Caller("gepa/correct/correct", 1, "generator"), "a request")


def test_occurrences_count_each_request_of_each_caller_apart() -> None:
    numbers = Occurrences()
    assert [numbers.take(KEY) for _ in range(3)] == [(0, True), (1, True), (2, True)]
    assert numbers.take(OTHER) == (0, True)


def test_a_number_that_did_not_arrive_is_given_again_the_lowest_first() -> None:
    numbers = Occurrences()
    for _ in range(4):
        numbers.take(KEY)
    numbers.give_back(KEY, 2)
    numbers.give_back(KEY, 1)
    assert [numbers.take(KEY) for _ in range(3)] == [(1, False), (2, False), (4, True)]


def test_numbers_that_were_not_used_come_again_as_new_ones() -> None:
    numbers = Occurrences()
    numbers.take(KEY)
    numbers.take(KEY)
    numbers.undo(KEY, 2)
    assert numbers.take(KEY) == (0, True)


def test_every_part_of_the_path_makes_another_draw() -> None:
    base = (DrawPath(0, 0), "generator", None, 0)
    others = [
        (DrawPath(1, 0), "generator", None, 0),
        (DrawPath(0, 1), "generator", None, 0),
        (DrawPath(0, 0, "gepa/correct/correct"), "generator", None, 0),
        (DrawPath(0, 0), "optimizer", None, 0),
        (DrawPath(0, 0), "generator", 0, 0),
        (DrawPath(0, 0), "generator", None, 1),
    ]
    draws = {foreign_draw(*one) for one in (base, *others)}  # type: ignore[arg-type]
    assert len(draws) == 7
    assert all(0 <= draw < 2**63 for draw in draws)
    assert foreign_draw(*base) == 530_324_126_389_997_933, "recorded ledgers must still replay"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2000calls", Allowance(2000)),
        ("1call", Allowance(1)),
        ("2 kcalls", Allowance(2000)),
        ("1.5Mtokens", Allowance(tokens=1_500_000)),
        ("0.5usd, 100calls", Allowance(100, None, Decimal("0.5"))),
    ],
)
def test_budgets_are_read(text: str, means: Allowance) -> None:
    assert parse_allowance(text) == means


@pytest.mark.parametrize("text", ["", "2000", "calls", "-1calls", "1calls,2calls", "1e3calls", "5 dollars"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="budget"):
        parse_allowance(text)


def test_a_budget_of_calls_is_hard_and_stays_spent() -> None:
    meter = Meter(Allowance(calls=3))
    assert meter.admit(2)
    meter.settle(Usage(1, 1))
    meter.settle(None)
    assert meter.admit()
    assert not meter.admit(), "what is in flight counts"
    meter.release()
    assert not meter.admit(), "it stays closed even where a place is given back"
    assert "3 calls" in meter.closed
    assert meter.calls == 2, "a failed call is a call"


def test_several_replies_at_once_are_admitted_all_or_none() -> None:
    meter = Meter(Allowance(calls=3))
    assert not meter.admit(4)
    assert meter.in_flight == 0


def test_budgets_of_tokens_and_dollars_count_what_is_in_flight_by_the_mean() -> None:
    meter = Meter(Allowance(tokens=100))
    for _ in range(2):
        assert meter.admit()
        meter.settle(Usage(20, 5))
    assert meter.admit()
    assert meter.admit()
    assert not meter.admit()
    dollars = Meter(Allowance(usd=Decimal(1)))
    assert dollars.admit()
    dollars.settle(Usage(1, 1), Decimal(1))
    assert not dollars.admit()


@pytest.mark.parametrize("allowance", [Allowance(tokens=100), Allowance(usd=Decimal(1))])
def test_a_limit_of_what_nobody_counts_is_an_error(allowance: Allowance) -> None:
    meter = Meter(allowance)
    meter.admit()
    with pytest.raises(UserError):
        meter.settle(Usage(None, None))


def test_uses_add_up_and_an_unknown_price_stays_unknown() -> None:
    total = Use(calls=1, usd=Decimal(1)) + Use(calls=2, usd=Decimal(2))
    assert (total.calls, total.usd) == (3, Decimal(3))
    assert (Use(usd=None) + Use(usd=Decimal(1))).usd is None


def test_the_best_candidate_is_the_first_of_the_highest_score() -> None:
    def claim(number: int, score: float | None) -> Claim:
        return Claim(number, Candidate.of(str(number)), score)

    assert best_claim(()) is None
    assert best_claim((claim(0, 0.0), claim(1, 0.5), claim(2, 0.5), claim(3, None))) == claim(1, 0.5)
    assert best_claim((claim(0, -2.0), claim(1, -1.0))) == claim(1, -1.0)
    assert best_claim((claim(0, None), claim(1, None))) == claim(1, None)


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), [1]])
def test_what_is_no_score_is_none(value: object) -> None:
    assert finite(value) is None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("gepa", "gepa/correct/correct"),
        ("gepa/wrong", "gepa/wrong/correct"),
        (" gepa/none/shuffled ", "gepa/none/shuffled"),
    ],
)
def test_foreign_arms_are_read(text: str, canonical: str) -> None:
    assert parse_foreign_arm(text).canonical == canonical


@pytest.mark.parametrize(
    "text", ["", "/wrong", "gepa/right", "gepa/correct/none", "gepa/correct/correct/correct"]
)
def test_what_is_no_foreign_arm_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        parse_foreign_arm(text)


def sentinel_view() -> TaskView:
    """A task whose targets are words that occur nowhere else."""
    labels = ("SENTINELONE", "SENTINELTWO", "SENTINELTHREE")
    return make_view(labels=labels, train=9, validation=6)


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("selection", get_args(Labels))
def test_the_two_channels_are_corrupted_apart(feedback: str, selection: str) -> None:
    view = sentinel_view()
    arm = ForeignArm("gepa", feedback, selection)  # type: ignore[arg-type]
    rows = job_rows(view, arm, DrawPath(0, 0))
    train = dict(zip((one.id for one in view.train), rows["train"], strict=True))
    validation = dict(zip((one.id for one in view.validation), rows["validation"], strict=True))
    kinds = {
        "shown": (
            feedback,
            [train[one.id]["shown"] for one in view.train],
            [one.target for one in view.train],
        ),
        "target": (
            selection if feedback == "none" else feedback,
            [train[one.id]["target"] for one in view.train],
            [one.target for one in view.train],
        ),
        "selection": (
            selection,
            [validation[one.id]["target"] for one in view.validation],
            [one.target for one in view.validation],
        ),
    }
    for kind, told, right in kinds.values():
        if kind == "correct":
            assert told == right
        elif kind == "wrong":
            assert all(one != other for one, other in zip(told, right, strict=True))
        elif kind == "shuffled":
            assert sorted(told) == sorted(right)
            assert told != right
        else:
            assert told == [None] * len(right)
    assert all(row["shown"] is None for row in rows["validation"]), "no optimizer may read a validation label"


def test_no_right_target_is_in_a_job_that_must_not_tell_it() -> None:
    view = sentinel_view()
    for row, one in zip(
        [
            line
            for lines in job_rows(view, ForeignArm("gepa", "wrong", "wrong"), DrawPath(0, 0)).values()
            for line in lines
        ],
        (*view.train, *view.validation),
        strict=True,
    ):
        assert one.target not in json.dumps(row)


@pytest.mark.parametrize("name", [*LAYOUTS, "twice"])
def test_a_prompt_put_between_the_pieces_gives_the_tasks_own_messages(name: str) -> None:
    stream = random.Random(5)
    made = LAYOUTS.get(name) or layout(("system", "{prompt}"), ("user", " {prompt}|{input}|{format} "))
    base = make_view()
    view = TaskView(
        base.name, base.train, base.validation, base.seed_prompt, base.format, base.labels, 1, base.scorer, made,
        "wrong", "label",
    )  # fmt: skip
    for _ in range(200):
        text = "".join(stream.choices(" \n{}ab\ue0000\ue001", k=stream.randrange(12)))
        prompt = "".join(stream.choices(" \n{}xy", k=stream.randrange(8)))
        one = Example("e", text, "yes")
        shown = TaskView(
            view.name, (one,), (), view.seed_prompt, view.format, view.labels, 1, view.scorer, made, "wrong", "label",
        )  # fmt: skip
        row = job_rows(shown, ForeignArm("gepa"), DrawPath(0, 0))["train"][0]
        rendered = [(role, prompt.join(parts).strip()) for role, parts in row["messages"]]
        expected = [(message.role, message.content) for message in shown.messages(prompt, one)]
        assert [one for one in rendered if one[1]] == expected


def test_pieces_hold_the_prompt_once_for_each_place() -> None:
    view = make_view()
    assert [len(parts) for _, parts in pieces(view, view.train[0], "\ue0000\ue001")] == [2, 1]


@pytest.mark.parametrize(
    "event",
    [
        ForeignStarted("gepa/correct/correct#0", "gepa", "0.1.4", "d", (("generator", "p"),)),
        ForeignCandidate("gepa/correct/correct#0", 3, "d", (("generator", "p"),), 0.5, (0, 1)),
        ForeignDone("gepa/correct/correct#0", "budget", "d", 0.5, (("generator", 3),), 1, "why"),
    ],
)
def test_events_are_read_back_as_they_were_written(event: ForeignStarted) -> None:
    assert parse_event(event.canonical()) == event


def test_roles_are_those_of_the_calls() -> None:
    from nullgrad.core.foreign import ROLES

    assert get_args(Role) == ROLES

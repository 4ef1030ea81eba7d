"""Log-probabilities of labels out of a reply's first token."""

from __future__ import annotations

from math import exp, log

import pytest

from nullgrad.core.chat import Failed, Reply, Request, TokenLogprob
from nullgrad.core.draws import draw_of
from nullgrad.core.label_logprobs import label_scores
from nullgrad.core.setting import RoleModel
from tests.support.trials import make_setting

LABELS = ("good", "bad", "unknown")


def said(text: str, first: str, *top: tuple[str, float]) -> Reply:
    logprob = dict(top).get(first, log(0.001))
    return Reply(text, logprobs=(TokenLogprob(first, logprob, tuple(top)), TokenLogprob("x", 0.0)))


def test_each_label_is_scored_by_the_token_that_begins_it() -> None:
    reply = said("good", "good", ("good", log(0.5)), (" bad", log(0.2)), ("unk", log(0.1)), ("The", log(0.1)))
    found = label_scores([reply], LABELS)
    assert found.rows[0] == pytest.approx((log(0.5), log(0.2), log(0.1)))
    assert (found.known, found.reason) == (1, "")


def test_tokens_of_one_label_are_added() -> None:
    reply = said(
        "bad",
        "bad",
        ("bad", log(0.2)),
        ("Bad", log(0.1)),
        ("b", log(0.1)),
        ("good", log(0.3)),
        ("un", log(0.1)),
    )
    (row,) = label_scores([reply], LABELS).rows
    assert row is not None
    assert exp(row[1]) == pytest.approx(0.4)


def test_the_sampled_token_counts_where_it_is_not_among_the_alternatives() -> None:
    reply = said("unknown", "unknown", ("good", log(0.6)), ("bad", log(0.3)))
    assert label_scores([reply], LABELS).rows[0] == pytest.approx((log(0.6), log(0.3), log(0.001)))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (said("good", "good", ("good", log(0.5)), ("bad", log(0.2))), "not among the returned tokens"),
        (Reply("good"), "returned no log-probabilities"),
        (said("I think good", "I", ("I", log(0.5))), "does not begin with a label"),
    ],
)
def test_what_is_not_known_says_why(reply: Reply, reason: str) -> None:
    found = label_scores([reply], LABELS)
    assert found.rows == (None,)
    assert reason in found.reason
    assert "1 of 1" in found.reason


def test_labels_that_begin_alike_are_not_told_apart() -> None:
    labels = ("card arrival", "card payment")
    shared = said("card arrival", "card", ("card", log(0.9)), ("the", log(0.05)))
    assert "share their first token" in label_scores([shared], labels).reason


def test_a_label_that_begins_another_is_told_by_its_whole_token() -> None:
    reply = said("no", "no", ("no", log(0.6)), ("none", log(0.3)))
    assert label_scores([reply], ("no", "none")).rows[0] == pytest.approx((log(0.6), log(0.3)))


def test_a_little_of_what_is_shared_is_neglected() -> None:
    labels = ("spam", "sport")
    reply = said("spam", "spam", ("spam", log(0.6)), ("sport", log(0.3)), ("sp", log(0.01)))
    assert label_scores([reply], labels).rows[0] == pytest.approx((log(0.6), log(0.3)))


def test_failed_calls_are_unknown_and_no_reason() -> None:
    reply = said("good", "good", ("good", log(0.5)), ("bad", log(0.2)), ("un", log(0.1)))
    found = label_scores([Failed("down", ""), reply], LABELS)
    assert (found.rows[0], found.known, found.reason) == (None, 1, "")


def test_log_probabilities_are_asked_for_on_free_replies_only_where_an_audit_wants_them() -> None:
    setting = make_setting("seed")
    assert setting.request("generator", (), draw_of(1)).logprobs == 0
    from dataclasses import replace

    wanting = replace(setting, logprobs=20)
    assert wanting.request("generator", (), draw_of(1)).logprobs == 20
    assert wanting.request("judge", (), draw_of(1)).logprobs == 0
    constrained = RoleModel("m", constrains=True, logprobs=5)
    cast = replace(setting.cast, generator=constrained)
    request: Request = replace(wanting, cast=cast).request("generator", (), 1, choices=("a", "b"))
    assert request.logprobs == 5

"""From recorded answers to an audit: what becomes of labels, tuples, failures and log-probabilities."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Any

import pytest

from nullgrad.analysis.audit.predictions import MISSING
from nullgrad.analysis.audit.rows import (
    AnswerPair,
    AnswerRow,
    answered_row,
    audit_answers,
    no_classes,
    recorded_row,
)
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Failed, Reply, TokenLogprob
from nullgrad.core.effects import Ask
from nullgrad.core.events import CandidateScored, TestScored
from nullgrad.core.forward import score_split
from nullgrad.core.scoring import make_scorer
from nullgrad.core.task import Example, TaskView
from tests.support.trials import Recorder, make_setting, make_view, reply, run

SLOTTED = replace(
    make_view(labels=("yes", "no", "unknown")),
    slots=2,
    scorer=make_scorer("bbeh", labels=("yes", "no", "unknown"), slots=2),
)


def recorded(scores: Any, answers: Any) -> TestScored:
    return TestScored("s", "final", "c", tuple(scores), 0, tuple(answers))


def test_recorded_answers_are_labels_unparsed_or_missing() -> None:
    row = recorded_row(make_view(), recorded((1.0, 0.0, None, 0.0), ("yes", "no", None, None)))
    assert row == AnswerRow(("yes", "no", MISSING, None))


def test_tuples_are_taken_apart_and_what_is_none_is_unparsed() -> None:
    row = recorded_row(SLOTTED, recorded((1.0, 0.0, 0.0), ("yes,unknown", "yes", "yes, perhaps")))
    assert row == AnswerRow((("yes", "unknown"), None, None))


def test_older_ledgers_keep_no_answers() -> None:
    assert recorded_row(make_view(), recorded((1.0, 0.0), ())) is None


def test_a_validation_row_under_another_objective_is_read_by_what_failed() -> None:
    event = CandidateScored("s", 1, 0, "c", (1.0, 0.0, None), (1.7, 0.0, None), 0, ("yes", "no", None))
    assert recorded_row(make_view(), event) == AnswerRow(("yes", "no", MISSING))


def test_open_answers_and_sets_have_no_classes() -> None:
    assert no_classes(make_view()) == ""
    assert no_classes(SLOTTED) == ""
    assert "are open" in no_classes(replace(make_view(), labels=(), scorer=make_scorer("normalized")))
    assert "sets of labels" in no_classes(
        replace(make_view(), scorer=make_scorer("labels", labels=("yes", "no")))
    )


def read(view: TaskView, responder: Any) -> AnswerRow:
    setting = make_setting("seed", view=view)
    scores = run(score_split(setting, Candidate.of("p"), "validation", view.validation), Recorder(responder))
    return answered_row(view, scores)


def surely(label: str) -> Reply:
    other = "no" if label == "yes" else "yes"
    top = ((label, log(0.8)), (other, log(0.1)))
    return Reply(label, logprobs=(TokenLogprob(label, log(0.8), top),))


def test_log_probabilities_are_taken_from_the_replies() -> None:
    row = read(make_view(), lambda ask: surely("yes"))
    assert row.answers == ("yes",) * 4
    assert row.scores[0] == pytest.approx((log(0.8), log(0.1)))
    assert row.reason == ""


def test_too_few_log_probabilities_are_none_and_say_why() -> None:
    def half(ask: Ask) -> Reply:
        return surely("yes") if ask.about.example in ("validation0", "validation1") else reply("no")

    row = read(make_view(), half)
    assert row.scores == ()
    assert "returned no log-probabilities" in row.reason
    assert "several slots" in read(SLOTTED, lambda ask: reply("The answer is: yes, no")).reason


def test_failed_calls_are_missing() -> None:
    row = read(
        make_view(), lambda ask: Failed("down", "") if ask.about.example == "validation0" else surely("no")
    )
    assert row.answers == (MISSING, "no", "no", "no")
    assert len(row.scores) == 4


def pair(
    view: TaskView, truths: list[str], before: list[Any], after: list[Any], scores: Any = ()
) -> AnswerPair:
    examples = [Example(str(place), "", target) for place, target in enumerate(truths)]
    return AnswerPair(examples, AnswerRow(tuple(before), scores), AnswerRow(tuple(after)))


TRUTHS = ["yes"] * 30 + ["no"] * 30


def test_missing_and_unparsed_are_counted_apart() -> None:
    before = ["yes"] * 58 + [MISSING, "no"]
    after = [None] + ["yes"] * 29 + ["no"] * 30
    audit = audit_answers(make_view(), pair(make_view(), TRUTHS, before, after))
    assert (audit.counts.given, audit.counts.pairs, audit.counts.missing) == (60, 59, 1)
    assert audit.counts.unparsed_after == 1
    assert audit.fitted == "cross-fitted"
    assert audit.verdict == "genuine"


def test_under_exclude_unparsed_answers_leave_the_pair_out() -> None:
    view = replace(make_view(), unparsed="exclude")
    after = [None] + ["yes"] * 29 + ["no"] * 30
    audit = audit_answers(view, pair(view, TRUTHS, ["yes"] * 60, after))
    assert (audit.counts.pairs, audit.counts.excluded) == (59, 1)


def test_what_is_fitted_is_fitted_on_validation_where_it_has_every_class() -> None:
    view = make_view()
    swapped = ["no"] * 30 + ["yes"] * 30
    test = pair(view, TRUTHS, swapped, TRUTHS)
    fitted = audit_answers(view, test, pair(view, TRUTHS, swapped, TRUTHS))
    # A swap of the labels alone: the before prompt with its labels renamed is as good.
    assert (fitted.fitted, fitted.fitted_on, fitted.verdict) == ("validation", 60, "relabelling")
    lacking = audit_answers(view, test, pair(view, ["yes"] * 9, ["yes"] * 9, ["yes"] * 9))
    assert lacking.fitted == "cross-fitted"


def test_a_threshold_shift_is_told_where_the_replies_give_log_probabilities() -> None:
    view = make_view()
    # Every answer is yes, by a log-probability that tells the classes apart: a shifted threshold would find them all.
    scores = tuple((log(0.9), log(0.05)) for _ in range(30)) + tuple((log(0.6), log(0.4)) for _ in range(30))
    before, after = ["yes"] * 60, ["yes"] * 30 + ["no"] * 30
    one = pair(view, TRUTHS, before, after, scores)
    assert audit_answers(view, one, one).verdict == "threshold"
    without = replace(one, before=AnswerRow(tuple(before)))
    assert audit_answers(view, without, without).verdict == "genuine"
    assert audit_answers(view, one, without).decomposition.biased is None


def test_tuples_are_audited_by_slot() -> None:
    truths = ["yes, unknown"] * 20 + ["no, yes"] * 20
    before = [("yes", "unknown")] * 20 + [("no", "unknown")] * 20
    after = [("yes", "yes")] * 20 + [("no", "yes")] * 20
    audit = audit_answers(SLOTTED, pair(SLOTTED, truths, before, after))
    assert len(audit.slots) == 2
    assert audit.slots[0].decomposition.accuracy.difference == 0
    recalls = {row.label: row.recall for row in audit.slots[1].classes}
    assert recalls["unknown"] is not None
    assert (recalls["unknown"].before, recalls["unknown"].after) == (1.0, 0.0)
    assert (1, "unknown") in audit.suppressed

"""Recall by class, slot and label of a set; and the answers of BIG-Bench Extra Hard that it is read from."""

from __future__ import annotations

from itertools import product

import pytest

from nullgrad.analysis.classes import class_rows
from nullgrad.core.chat import Failed
from nullgrad.core.scoring import make_scorer
from nullgrad.core.task import Example, Outcome, Scored, UnparsedAnswer


def examples(*targets: str) -> tuple[Example, ...]:
    return tuple(Example(str(n), "", target) for n, target in enumerate(targets))


def test_recall_by_class() -> None:
    targets = examples(*["a"] * 6, *["b"] * 2)
    seed = [Scored(1.0, "a")] * 5 + [Failed("server", "x")] + [Scored(0.0, "a"), UnparsedAnswer("empty", "")]
    best = [Scored(1.0, "a")] * 3 + [Scored(0.0, "b")] * 3 + [Scored(1.0, "b")] * 2
    a, b = class_rows(targets, seed, best, ("a", "b"), 1)
    assert (a.n, a.seed.recall, a.seed.predicted, a.best.recall) == (6, 1.0, 6, 0.5)
    assert (b.n, b.seed.recall, b.best.recall, b.best.predicted) == (2, 0.0, 1.0, 5)
    assert a.best.interval is not None
    assert b.best.interval is None, "two examples are not estimable"


def test_recall_by_slot() -> None:
    targets = examples("yes, unknown, no", "no, unknown, no")
    answers = [Scored(1.0, "Yes, unknown, no"), Scored(0.0, "no, yes, no")]
    rows = class_rows(targets, answers, answers, (), 3)
    found = {(row.slot, row.label): (row.n, row.seed.recall) for row in rows}
    assert found[0, "yes"] == (1, 1.0)
    assert found[1, "unknown"] == (2, 0.5)
    assert (1, "no") not in found
    assert found[2, "no"] == (2, 1.0)


def test_open_answers_have_no_classes() -> None:
    assert class_rows(examples("a"), [Scored(1.0, "a")], [Scored(1.0, "a")], (), 1) == ()
    assert class_rows(examples("a, b"), [Scored(1.0, "a")], [Scored(1.0, "a")], (), 1, sets=True) == ()


def test_recall_of_a_label_in_sets_is_by_presence() -> None:
    targets = examples("a, b", "a", "b", "none", "a, b")
    seed = [Scored(1.0, "a, b"), Scored(0.0, "b"), UnparsedAnswer("empty", ""), Scored(0.0, "a"), Failed("server", "x")]  # fmt: skip
    best = [Scored(1.0, target.target) for target in targets]
    a, b, c = class_rows(targets, seed, best, ("a", "b", "c"), 1, sets=True)
    assert (a.label, a.n, a.seed.recall, a.seed.predicted) == ("a", 3, 0.5, 2)
    assert (b.label, b.n, b.seed.recall, b.seed.predicted) == ("b", 3, 0.5, 2)
    assert (a.best.recall, a.best.predicted) == (1.0, 3)
    assert (c.n, c.seed.recall, c.seed.predicted) == (0, None, 0)


def test_a_set_is_read_as_its_scorer_reads_it() -> None:
    """Labels with a comma in them, and a label that is written like the empty set."""
    labels = ("red, green", "none", "blue")
    scorer = make_scorer("labels", labels=labels)
    answer = scorer.read("Answer: blue")
    assert isinstance(answer, str)
    rows = class_rows(examples("blue"), [Scored(1.0, answer)], [Scored(1.0, answer)], labels, 1, sets=True)
    assert {row.label: row.best.predicted for row in rows} == {"red, green": 0, "none": 0, "blue": 1}


LABELS = ("Yes", "No", "Unknown")
DRESS = (
    "The answer is: {}", "{}", "The final answer is: [{}].", "[{}]", "[{}", "{}]", "[[{}]]", "**{}**", "{}?", "[{}]?",
    r"\boxed{{{}}}", "${}$", "({})", "{}.", "{}\nbecause", "I say {}", "{},", "'{}'", "The answer is {}",
)  # fmt: skip
JOINTS = (", ", ",", " , ", ",  ", "', '", "','", "; ", "?, ")


def publishers_verdict(reply: str, target: str) -> bool:
    """The published rules of BBEH in words of our own, for the cases above."""
    text = reply.strip()
    for mark in ("The answer is:", "The final answer is ", "The final answer is: ", "The answer is "):
        text = text.split(mark)[-1].strip() if mark in text else text
    text = text[:-1] if text[-1:] == "." else text
    text = text[1:-1] if text[:1] == "$" == text[-1:] else text
    for wrapper in ("boxed{", "text{", "texttt{"):
        text = text[:-1].split(wrapper)[1] if wrapper in text and text[-1:] == "}" else text
    text = text.lower().replace(", ", ",").replace("**", "").split("\n")[0]
    text = text[:-1] if text[-1:] == "." else text
    right = target.strip().lower().replace(", ", ",")
    return (
        text == right
        or text.replace("'", "") == right.replace("'", "")
        or text == "[" + right + "]"
        or right == "[" + text + "]"
        or text == right + "?"
    )


@pytest.mark.parametrize("labels", [LABELS, ()])
def test_bbeh_slots_score_as_the_publisher_does(labels: tuple[str, ...]) -> None:
    scorer = make_scorer("bbeh", labels=labels, slots=3)
    tuples = [", ".join(one) for one in product(LABELS, repeat=3)]
    right = 0
    for dress, joint, inner in product(DRESS, JOINTS, [("Yes", "no", "UNKNOWN"), ("yes", "maybe", "no")]):
        reply = dress.format(joint.join(inner))
        answer = scorer.read(reply)
        for target in [*tuples, "yes, maybe, no"]:
            score = scorer.score(answer, target) if isinstance(answer, str) else 0.0
            if labels and "maybe" in target:
                continue
            assert score == publishers_verdict(reply, target), (reply, target, answer)
            right += score == 1.0
    assert right > 20


@pytest.mark.parametrize(
    "reply", ["[yes, no, unknown]", "'yes', 'no', 'unknown'", "Yes, No, Unknown?", "yes,no,unknown."]
)
@pytest.mark.parametrize("labels", [LABELS, ()])
def test_a_bbeh_answer_in_brackets_or_quotes_counts_in_every_slot(
    reply: str, labels: tuple[str, ...]
) -> None:
    scorer = make_scorer("bbeh", labels=labels, slots=3)
    answer = scorer.read(reply)
    assert isinstance(answer, str)
    outcome = [Scored(scorer.score(answer, "Yes, No, Unknown"), answer)]
    assert outcome[0].score == 1.0
    if labels:
        assert answer == "Yes, No, Unknown"
        rows = class_rows(examples("Yes, No, Unknown"), outcome, outcome, labels, 3)
        assert [row.best.recall for row in rows] == [1.0, 1.0, 1.0]


def test_what_the_publisher_matches_with_no_tuple_is_unparsed() -> None:
    scorer = make_scorer("bbeh", labels=LABELS, slots=3)
    for reply in ("[yes, no, unknown", "yes, no, perhaps", "yes, no"):
        outcome: Outcome | str = scorer.read(reply)
        assert isinstance(outcome, UnparsedAnswer), reply


def test_labels_with_marks_of_their_own_are_still_found() -> None:
    scorer = make_scorer("bbeh", labels=("why?", "don't"), slots=2)
    assert scorer.read("don't, why?") == "don't, why?"
    assert scorer.score("don't, why?", "don't, why?") == 1.0

"""Scorers: what of a reply is right against a target, missing, or the model's own failure; and the rules of BBEH."""

from __future__ import annotations

import contextlib
import json
import pickle
import random
from collections.abc import Generator

import pytest

from nullgrad.core.answers import fuzzy_match, prediction_of, reference_of
from nullgrad.core.chat import Failed, Message
from nullgrad.core.scorers.judge import JudgeScorer
from nullgrad.core.scoring import SCORERS, canonical_target, make_scorer
from nullgrad.core.task import Example, Scored, Scorer, UnparsedAnswer
from nullgrad.edges.packs import load_pack
from nullgrad.errors import UserError
from tests.support.shared import needs_shared, shared

YES_NO = ("yes", "no", "unknown")
COLORS = ("red", "blue", "green")


def ends(answer: str, target: str) -> float:
    return float(answer.endswith(target))


def points(scorer: Scorer, reply: str, target: str) -> float | None:
    """The score of a reply, None where it is unparsed."""
    answer = scorer.read(reply)
    return None if isinstance(answer, UnparsedAnswer) else scorer.score(answer, target)


# kind, how it is made, target, replies with their scores; targets come in the form that `canonical_target` gives.
SCORED = [
    ("exact", {"labels": YES_NO}, "yes", [("**Yes.**", 1), ("Answer: **yes**", 1), ("no", 0), ("Yes, it is", None)]),
    ("exact", {}, "New York", [("New  York", 1), ("**New York**.", 1), ("new york", 0), ("York", 0), ("", None)]),
    ("exact", {}, "St.", [("St.", 1), ("St", 1), ("st.", 0)]),
    ("normalized", {}, "The Beatles", [("beatles!", 1), ("Answer: the beatles", 1), ("The Beetles", 0), (" ", None)]),
    ("normalized", {}, "C++", [("c", 1), ("D", 0)]),
    ("normalized", {"labels": YES_NO}, "no", [("No!", 1), ("unknown", 0), ("none", None)]),
    ("contains", {"labels": YES_NO}, "no", [("No, never.", 1), ("yes", 0), ("yes, no", None), ("nothing", None)]),
    ("choice", {"labels": ("(A)", "(B)")}, "(A)", [("a", 1), ("The answer is (A).", 1), ("B", 0), ("A or B", None)]),
    ("choice", {}, "c", [("(C)", 1), ("The answer is D", 0), ("none of them", None)]),
    ("number", {}, "1234.5", [("The answer is 1,234.50.", 1), ("1234.500001", 0), ("-1234.5", 0), ("many", None)]),
    ("number", {}, "9007199254740993", [("9007199254740993", 1), ("9007199254740992", 0)]),
    ("number", {}, "-5", [("−5", 1), ("5", 0)]),
    ("number", {}, "0.3", [("0.3000000001", 1), ("0.30000001", 0)]),
    ("number", {"options": {"tolerance": 0}}, "0.1", [("0.1", 1), ("0.10", 1), ("0.1000000000000001", 0)]),
    ("number", {"options": {"tolerance": 0.01}}, "2", [("2.01", 1), ("1.99", 1), ("2.0101", 0), ("1.98", 0)]),
    ("number", {"options": {"relative": 0.05}}, "1000", [("1050", 1), ("950", 1), ("1051", 0), ("949.9", 0)]),
    ("number", {"options": {"relative": 0.05}}, "-1000", [("-1050", 1), ("1000", 0)]),
    ("number", {"options": {"relative": 0.05}}, "0", [("0", 1), ("0.01", 0)]),
    ("number", {"options": {"relative": 0.1, "tolerance": 5}}, "10", [("15", 1), ("15.1", 0)]),
    ("number", {"options": {"relative": 0.1, "tolerance": 5}}, "100", [("110", 1), ("110.1", 0)]),
    ("labels", {"labels": YES_NO, "slots": 3}, "yes, no, yes",
     [("Yes, no, yes.", 1), ("yes, no, no", 0), ("yes, no", None), ("no, yes, yes", 0)]),
    ("labels", {"labels": YES_NO, "slots": 3, "options": {"partial": True}}, "yes, no, yes",
     [("yes, no, yes", 1), ("yes, no, no", 2 / 3), ("no, yes, no", 0), ("yes, no", None)]),
    ("labels", {"slots": 2}, "Rome, Oslo", [("rome, OSLO", 1), ("Oslo, Rome", 0)]),
    ("labels", {"labels": COLORS}, "red, blue", [("blue, red", 1), ("red", 0), ("red, blue, green", 0), ("none", 0)]),
    ("labels", {"labels": COLORS, "options": {"partial": True}}, "red, blue",
     [("blue; red", 1), ("red", 1 / 2), ("red, blue, green", 2 / 3), ("green", 0), ("none", 0), ("pink", None)]),
    ("labels", {"labels": COLORS}, "none", [("none", 1), ("[]", 1), ("red", 0)]),
    ("labels", {"labels": COLORS, "options": {"partial": True}}, "none", [("None.", 1), ("red", 0)]),
    ("labels", {}, "b, a", [("A, B", 1), ("a", 0)]),
    ("regex", {"options": {"pattern": "is (.*)"}}, "Rome", [("It is Rome", 1), ("It is rome", 0), ("Rome", None)]),
    ("regex", {"options": {"pattern": "is (.*)", "flags": "i"}}, "Rome", [("IT IS ROME", 1), ("is Oslo", 0)]),
    ("regex", {"labels": YES_NO, "options": {"pattern": "is (.*)"}}, "yes", [("is Yes.", 1), ("is no", 0), ("is it", None)]),
    ("mine:ends", {"function": ends}, "Rome", [(" to Rome ", 1), ("Roma", 0), ("", None)]),
    ("mine:half", {"function": lambda answer, target: 0.5}, "", [("anything", 0.5)]),
    ("mine:true", {"function": lambda answer, target: True}, "", [("anything", 1)]),
    ("bbeh", {}, "25.0", [("The answer is: **25**\nWhy: x", 1), ("25", 1), ("26", 0), ("", None)]),
    ("bbeh", {}, "(A)", [("The answer is: a", 1), ("(a)", 1), ("B", 0)]),
    ("bbeh", {"labels": YES_NO}, "yes", [("The answer is Yes.", 1), ("no", 0), ("Answer: yes", None)]),
    ("bbeh", {"labels": YES_NO, "slots": 2}, "yes, no", [("The answer is yes, no", 1), ("no,no", 0), ("yes", None)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "how", "target", "reply", "score"),
    [(kind, how, target, *reply) for kind, how, target, replies in SCORED for reply in replies],
)
def test_a_reply_against_a_target(kind: str, how: dict, target: str, reply: str, score: float | None) -> None:
    scorer = make_scorer(kind, **how)
    assert not scorer.asks
    assert points(scorer, reply, target) == score
    if score is not None:
        answer = scorer.read(reply)
        with pytest.raises(StopIteration) as stopped:
            next(scorer.grade(answer, Example("x", "q", "other"), target, no_judge))
        assert stopped.value.value == Scored(score, answer)


def test_every_kind_is_tried() -> None:
    assert {kind for kind, *_ in SCORED if ":" not in kind} == set(SCORERS) - {"judge"}


@pytest.mark.parametrize(("kind", "how", "target"), [row[:3] for row in SCORED if "function" not in row[1]])
def test_the_right_answer_is_right_in_its_canonical_form_and_after_pickling(kind, how, target) -> None:
    scorer = pickle.loads(pickle.dumps(make_scorer(kind, **how)))
    shown = canonical_target(kind, target, how.get("labels", ()), how.get("slots", 1))
    assert canonical_target(kind, shown, how.get("labels", ()), how.get("slots", 1)) == shown
    reply = f"It is {shown}" if kind == "regex" else shown
    assert points(scorer, reply, shown) == 1.0


def test_the_specification_tells_scorers_apart() -> None:
    made = [
        make_scorer("exact"), make_scorer("normalized"), make_scorer("exact", labels=YES_NO),
        make_scorer("exact", labels=YES_NO[::-1]), make_scorer("number"), make_scorer("number", options={"tolerance": 1}),
        make_scorer("number", options={"relative": 1}), make_scorer("labels"), make_scorer("labels", slots=2),
        make_scorer("labels", options={"partial": True}), make_scorer("regex", options={"pattern": "a"}),
        make_scorer("regex", options={"pattern": "a", "flags": "i"}), make_scorer("mine:a", function=ends),
        make_scorer("mine:b", function=ends), judge(), judge(rubric="Another."), judge(threshold=0.5),
    ]  # fmt: skip
    specs = [scorer.spec for scorer in made]
    assert len(set(specs)) == len(specs)
    assert all(json.loads(spec)["v"] for spec in specs)
    assert make_scorer("exact", labels=YES_NO).spec == specs[2]


# A judge


def judge(rubric: str = "Is it kind?", **options: object) -> JudgeScorer:
    scorer = make_scorer(
        "judge", options={"rubric": rubric, **options}, judge_words=load_pack("standard")["judge"]
    )
    assert isinstance(scorer, JudgeScorer)
    return scorer


def no_judge(messages: tuple[Message, ...]) -> Generator[object, None, str | Failed]:
    raise AssertionError("nobody may be asked")
    yield


def graded(scorer: JudgeScorer, said: str | Failed) -> tuple[object, str]:
    """The outcome, and what the judge was asked."""
    asked: list[str] = []

    def says(messages: tuple[Message, ...]) -> Generator[object, None, str | Failed]:
        asked.append("\n".join(message.content for message in messages))
        yield "question"
        return said

    steps = scorer.grade("an {answer}", Example("x", "the {input}", "right"), "the expected", says)
    assert next(steps) == "question"
    with pytest.raises(StopIteration) as stopped:
        next(steps)
    (question,) = asked
    return stopped.value.value, question


@pytest.mark.parametrize(
    ("threshold", "said", "score"),
    [
        (None, "Score: 85", 0.85),
        (None, "Score: 0", 0.0),
        (0.8, "Score: 80", 1.0),
        (0.8, "Score: 79.9", 0.0),
        (1, "Score: 100", 1.0),
        (1, "Score: 99", 0.0),
        (None, "It is kind.", None),
        (None, "Score: 850", None),
        (0.5, "Score: 40 or Score: 60", None),
        (0.5, "", None),
        (None, Failed("server", "broken"), None),
    ],
)
def test_a_judge(threshold: float | None, said: str | Failed, score: float | None) -> None:
    scorer = judge(**({} if threshold is None else {"threshold": threshold}))
    outcome, question = graded(scorer, said)
    for part in ("Is it kind?", "an {answer}", "the {input}", "the expected"):
        assert part in question
    assert "right" not in question.replace("bright", "")
    if score is not None:
        assert outcome == Scored(score, "an {answer}")
    elif isinstance(said, Failed):
        assert outcome is said
    else:  # Missing, never wrong: the answer is not to blame for its judge.
        assert isinstance(outcome, Failed) and outcome.kind == "judge-unparsed"


def test_a_judge_reads_any_reply_and_scores_only_by_asking() -> None:
    scorer = judge()
    assert scorer.asks and scorer.read("  x ") == "x" and isinstance(scorer.read(" "), UnparsedAnswer)
    with pytest.raises(TypeError):
        scorer.score("x", "x")


# A function of the user


@pytest.mark.parametrize(
    ("function", "fragment"),
    [
        (lambda answer, target: 1.01, "1.01"),
        (lambda answer, target: -0.1, "-0.1"),
        (lambda answer, target: float("nan"), "nan"),
        (lambda answer, target: "1", "'1'"),
        (lambda answer, target: None, "None"),
        (lambda answer, target: [1], "[1]"),
        (lambda answer, target: 1 / 0, "ZeroDivisionError"),
        (lambda answer, target: answer[99], "IndexError"),
    ],
)
def test_a_function_that_gives_no_score_is_an_error_and_never_a_score(function, fragment: str) -> None:
    scorer = make_scorer("mine:score", function=function)
    with pytest.raises(UserError) as caught:
        scorer.score("the answer", "the target")
    message = str(caught.value)
    for part in ("mine:score", fragment, "'the answer'", "'the target'", "No score was made up"):
        assert part in message


# What cannot be made, and targets that cannot be scored


@pytest.mark.parametrize(
    ("kind", "how", "fragment"),
    [
        ("exakt", {}, "Did you mean exact"),
        ("mine:score", {}, "no scorer"),
        ("exact", {"options": {"tolerance": 1}}, "no option 'tolerance'"),
        ("number", {"options": {"tolerence": 1}}, "Did you mean tolerance"),
        ("number", {"options": {"tolerance": -1}}, "0 or more"),
        ("number", {"options": {"tolerance": "1"}}, "a number"),
        ("number", {"options": {"relative": float("nan")}}, "a number"),
        ("number", {"options": {"relative": True}}, "a number"),
        ("labels", {"options": {"partial": 1}}, "true or false"),
        ("regex", {}, "lacks its pattern"),
        ("regex", {"options": {"pattern": "("}}, "cannot be compiled"),
        ("regex", {"options": {"pattern": "a", "flags": "q"}}, "letters out of"),
        ("regex", {"options": {"pattern": " "}}, "a text"),
        ("judge", {"options": {"rubric": "r"}}, "no words"),
        ("judge", {"options": {"threshold": 0.5}, "judge_words": load_pack("standard")["judge"]}, "lacks its rubric"),
        ("judge", {"options": {"rubric": "r", "threshold": 80}, "judge_words": load_pack("standard")["judge"]}, "0.8"),
        ("contains", {}, "looks for labels"),
        ("exact", {"slots": 2}, "2 slots"),
        ("exact", {"slots": 0}, "0 slots"),
        ("labels", {"labels": ("a, b", "c"), "slots": 2}, "comma"),
        ("choice", {"labels": ("one", "two")}, "letter or digit"),
        ("exact", {"labels": ("a", "a")}, "twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_made(kind: str, how: dict, fragment: str) -> None:
    with pytest.raises(UserError) as caught:
        make_scorer(kind, **how)
    assert fragment in str(caught.value)


CANONICAL = [
    ("exact", " Yes ", YES_NO, 1, "yes"),
    ("exact", "anything", (), 1, "anything"),
    ("exact", "maybe", YES_NO, 1, None),
    ("exact", " ", (), 1, None),
    ("number", "$1,000.50", (), 1, "1000.5"),
    ("number", "1e3", (), 1, "1000"),
    ("number", "ten", (), 1, None),
    ("choice", "b", ("(A)", "(B)"), 1, "(B)"),
    ("choice", "b", (), 1, "B"),
    ("choice", "c", ("A", "B"), 1, None),
    ("labels", "b, a, b", ("a", "b"), 1, "a, b"),
    ("labels", "", ("a", "b"), 1, "none"),
    ("labels", "a, c", ("a", "b"), 1, None),
    ("labels", "Yes;no", YES_NO, 2, "yes, no"),
    ("labels", "yes", YES_NO, 2, None),
    ("labels", "yes, maybe", YES_NO, 2, None),
    ("bbeh", "yes,no", (), 2, "yes, no"),
    ("bbeh", "'yes'", YES_NO, 1, "yes"),
    ("bbeh", "a", ("(A)", "(B)"), 1, "(A)"),
    ("judge", "", (), 1, ""),
    ("mine:score", "", (), 1, ""),
]


@pytest.mark.parametrize(("kind", "target", "labels", "slots", "form"), CANONICAL)
def test_the_form_in_which_a_target_is_scored(kind, target, labels, slots, form) -> None:
    if form is not None:
        assert canonical_target(kind, target, labels, slots) == form
        return
    with pytest.raises(UserError):
        canonical_target(kind, target, labels, slots)


@pytest.mark.parametrize(
    ("kind", "how", "target"),
    [
        ("exact", {"labels": YES_NO}, "maybe"),
        ("choice", {"labels": ("A", "B")}, "C"),
        ("number", {}, "ten"),
        ("labels", {"labels": YES_NO, "slots": 2}, "yes"),
        ("labels", {"labels": COLORS}, "pink"),
    ],
)
def test_a_target_that_no_answer_could_meet_is_an_error(kind: str, how: dict, target: str) -> None:
    scorer = make_scorer(kind, **how)
    answer = {"number": "3", "choice": "A"}.get(kind, ", ".join(how.get("labels", ())[: how.get("slots", 1)]))
    with pytest.raises(UserError, match="No answer could be scored as right"):
        scorer.score(answer, target)


# BIG-Bench Extra Hard, against a reading of its own of what the publisher's rules do


def by_the_publisher(reply: str, reference: str) -> bool:
    """The rules, told in other words: announcements, LaTeX at the end, one line, and five ways of being equal."""
    answer = reply.strip()
    for announcement in (
        "The answer is:", "The final answer is ", "The final answer is: ", "The answer is ",
    ):  # fmt: skip
        _, found, behind = answer.rpartition(announcement)
        answer = behind.strip() if found else answer
    answer = answer[:-1] if answer[-1:] == "." else answer
    if answer[:1] == "$" == answer[-1:]:
        answer = answer[1:-1]
    for command in ("boxed", "text", "texttt"):
        opening = command + "{"
        if answer[-1:] == "}" and opening in answer:
            answer = answer[:-1].partition(opening)[2].partition(opening)[0]
    answer = ",".join(answer.lower().split(", "))
    answer = "".join(answer.split("**")).partition("\n")[0]
    answer = answer[:-1] if answer[-1:] == "." else answer
    truth = ",".join(reference.strip().lower().split(", "))
    for one, other in ((answer, truth), (truth, answer)):
        if answer != truth and len(one) == 3 and one[0] + one[2] == "()":
            return one[1] == other
    ways = [
        answer == truth,
        answer.replace("'", "") == truth.replace("'", ""),
        f"[{answer}]" == truth,
        answer == f"[{truth}]",
        answer == truth + "?",
    ]
    with contextlib.suppress(ValueError):
        ways.append(float(answer) == float(truth))
    return any(ways)


BEFORE = [
    "", "", "Let me think.\n", "Ok. ", "The answer is not clear. ", "The answer is: 3. No. ", "so ", "\n\n ", "**",
]  # fmt: skip
ANNOUNCED = [
    "", "The answer is: ", "The answer is:", "The answer is ", "The final answer is: ", "The final answer is ",
    "the answer is: ", "Answer: ", "**The answer is:** ", "The final answer is:\n",
]  # fmt: skip
DRESSED = [
    "{}", "{}", "{}", "{}.", "**{}**", "**{}**.", "\\boxed{{{}}}", "$\\boxed{{{}}}$", "$\\boxed{{\\text{{{}}}}}$.", "${}$", "[{}]",
    "'{}'", "({})", "\\texttt{{{}}}", "\\text{{{}}}", "{}?", "{}\nBecause.", "{}..", "{}...", '"{}"', "{}!", " {} ", "{}}}", "${}",
]  # fmt: skip
REFERENCES = [
    "4", "25.0", "-7", "1e3", "(A)", "a", "B", "yes", "Yes", "No", "yes, no, unknown", "2, 3, 4", "2,3,4", "[1, 2]",
    "it's", "Rome?", "(1)", "nan", "x", "boxed{x", "unknown", "1,000", "no, no, no", "yes, yes, no",
]  # fmt: skip


def replies(n: int, answers: list[str], seed: int) -> list[str]:
    draws = random.Random(seed)
    made = []
    for _ in range(n):
        body = draws.choice(answers)
        body = draws.choice(
            [body, body, body.upper(), body.replace(", ", ","), body.strip("()[]"), f"({body})"]
        )
        made.append(draws.choice(BEFORE) + draws.choice(ANNOUNCED) + draws.choice(DRESSED).format(body))
    return made


def test_open_answers_are_scored_as_the_publisher_does() -> None:
    scorer, seen = make_scorer("bbeh"), {True: 0, False: 0}
    for reply in replies(600, REFERENCES, 1):
        for reference in REFERENCES:
            expected = by_the_publisher(reply, reference)
            seen[expected] += 1
            assert fuzzy_match(prediction_of(reply), reference_of(reference)) == expected, (reply, reference)
            assert bool(points(scorer, reply, reference)) == expected, (reply, reference)
    assert min(seen.values()) > 300


@pytest.mark.parametrize(
    ("labels", "slots"),
    [
        (("yes", "no", "unknown"), 1),
        (("(A)", "(B)", "(C)"), 1),
        (("4", "25.0", "-7"), 1),
        (("yes", "no", "unknown"), 3),
        ((), 3),
    ],
)
def test_labels_and_slots_change_no_score(labels: tuple[str, ...], slots: int) -> None:
    """What is unparsed because of the labels would be wrong for the publisher, too."""
    scorer = make_scorer("bbeh", labels=labels, slots=slots)
    if slots == 1:
        targets = list(labels)
    else:
        targets = ["yes, no, unknown", "no, no, no", "yes, yes, no"]
    right = 0
    for reply in replies(800, [*targets, *targets, *REFERENCES], 2):
        for target in targets:
            expected = by_the_publisher(reply, target)
            right += expected
            assert bool(points(scorer, reply, target)) == expected, (reply, target)
    assert right > 60


@needs_shared
@pytest.mark.parametrize("file", ["web_of_lies", "multistep_arithmetic"])
def test_published_targets_are_right_for_themselves_and_wrong_for_others(file: str) -> None:
    rows = json.loads(shared("data", "bbeh", f"{file}.json").read_text())["examples"]
    slots = 3 if file == "web_of_lies" else 1
    scorer = make_scorer("bbeh", slots=slots)
    targets = sorted({canonical_target("bbeh", row["target"], (), slots) for row in rows})
    for target in targets:
        for reply in (target, f"Hm.\nThe answer is: {target}.", f"The final answer is: \\boxed{{{target}}}."):
            assert points(scorer, reply, target) == 1.0
        assert [other for other in targets if points(scorer, target, other)] == [target]

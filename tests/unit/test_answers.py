"""Reading answers out of replies as models write them; what is not certain is unparsed, never a guess."""

from __future__ import annotations

import pytest

from nullgrad.core.answers import number_of, options_of
from nullgrad.core.reading.labels import label_set
from nullgrad.core.reading.number import spell
from nullgrad.core.reading.text import (
    after_mark,
    clean,
    fold,
    fold_loosely,
    normalize,
    parts,
    undress,
    word_count,
)
from nullgrad.core.scorers.judge import read_score
from nullgrad.core.scoring import make_scorer
from nullgrad.core.task import UnparsedAnswer
from nullgrad.errors import UserError

YES_NO = ("yes", "no", "unknown")


def read(text: str, kind: str, **how) -> str:
    """The answer, or "?" and the reason why there is none."""
    answer = make_scorer(kind, **how).read(text)
    if isinstance(answer, UnparsedAnswer):
        assert answer.text == text, "the whole reply is kept"
        return f"?{answer.reason}"
    assert answer.strip()
    return answer


# One closed label. Replies, then what `exact`, `normalized` and `contains` read ("" where it is as before).
CLOSED = [
    ("yes", "yes", "", ""),
    ("  Yes\n", "yes", "", ""),
    ("YES.", "yes", "", ""),
    ("**Yes**", "yes", "", ""),
    ("**Yes.**", "yes", "", ""),
    ("*yes*", "yes", "", ""),
    ("`yes`", "yes", "", ""),
    ("```\nyes\n```", "yes", "", ""),
    ('"yes"', "yes", "", ""),
    ("'Yes'.", "yes", "", ""),
    ("“yes”", "yes", "", ""),
    ("«yes»", "yes", "", ""),
    ("no\u200b", "no", "", ""),
    ("\ufeffno", "no", "", ""),
    ("Answer: yes", "yes", "", ""),
    ("answer = yes", "yes", "", ""),
    ("**Answer:** yes", "yes", "", ""),
    ("Answer: **yes**", "yes", "", ""),
    ("**Answer:**yes", "yes", "", ""),
    ("**Answer:** **yes**.", "yes", "", ""),
    ("***Answer:*** yes", "yes", "", ""),
    ("**Answer: Yes**", "yes", "", ""),
    ("The answer is yes.", "yes", "", ""),
    ("The answer is **yes**.", "yes", "", ""),
    ("The final answer is: *no*", "no", "", ""),
    ("> Correct answer: no", "no", "", ""),
    ("Answer: *no*", "no", "", ""),
    ("YES!", "?not-a-label", "yes", "yes"),
    ("(yes)", "?not-a-label", "yes", "yes"),
    ("- yes", "?not-a-label", "yes", "yes"),
    ("# yes", "?not-a-label", "yes", "yes"),
    ("Yes…", "?not-a-label", "yes", "yes"),
    ("The yes", "?not-a-label", "yes", "yes"),
    ("Yes, because it floats.", "?not-a-label", "?not-a-label", "yes"),
    ("Answer: yes\n\nIt floats.", "?not-a-label", "?not-a-label", "yes"),
    ("<answer>yes</answer>", "?not-a-label", "?not-a-label", "yes"),
    (r"$\boxed{\text{yes}}$", "?not-a-label", "?not-a-label", "yes"),
    ("not yes", "?not-a-label", "?not-a-label", "yes"),  # `contains` does not understand negations.
    ("yes yes", "?not-a-label", "?not-a-label", "yes"),
    ("yes or no", "?not-a-label", "?not-a-label", "?ambiguous"),
    ("Not yes. No!", "?not-a-label", "?not-a-label", "?ambiguous"),
    ("yesterday", "?not-a-label", "?not-a-label", "?no-label"),
    ("I know nothing", "?not-a-label", "?not-a-label", "?no-label"),
    ("I think so", "?not-a-label", "?not-a-label", "?no-label"),
    ("...", "?not-a-label", "?not-a-label", "?no-label"),
    ("Да", "?not-a-label", "?not-a-label", "?no-label"),
    ("\ud800\0", "?not-a-label", "?not-a-label", "?no-label"),
    ("", "?empty", "?empty", "?empty"),
    (" \n\t ", "?empty", "?empty", "?empty"),
]


@pytest.mark.parametrize(("text", "exact", "normalized", "contains"), CLOSED)
def test_a_closed_label(text: str, exact: str, normalized: str, contains: str) -> None:
    assert read(text, "exact", labels=YES_NO) == exact
    assert read(text, "normalized", labels=YES_NO) == (normalized or exact)
    assert read(text, "contains", labels=YES_NO) == (contains or exact)


@pytest.mark.parametrize(
    ("labels", "text", "exact", "contains"),
    [
        # The most forgiving comparison in which the labels stay distinct.
        (("card_arrival", "card_linking"), "Card arrival", "card_arrival", "card_arrival"),
        (("card_arrival", "card_linking"), "it is Card-Linking!", "?not-a-label", "card_linking"),
        (("card_arrival", "card_linking"), "Answer: *card_arrival*", "card_arrival", "card_arrival"),
        (("a-b", "a_b"), "a-b", "a-b", "a-b"),
        (("a-b", "a_b"), "a b", "?not-a-label", "?no-label"),
        (("US", "us"), "us", "us", "us"),
        (("US", "us"), "Us", "?not-a-label", "?no-label"),
        # A label inside a longer one.
        (("good", "not good"), "not good", "not good", "not good"),
        (("good", "not good"), "It is not good.", "?not-a-label", "not good"),
        (("good", "not good"), "not good, I mean good", "?not-a-label", "?ambiguous"),
        (("positive", "very positive"), "Very  positive.", "very positive", "very positive"),
        # Composed and decomposed letters, other scripts, signs.
        (("caf\u00e9", "bar"), "Cafe\u0301", "caf\u00e9", "caf\u00e9"),
        (("Straße", "Weg"), "STRASSE", "Straße", "Straße"),
        (("正面", "负面"), "正面。", "?not-a-label", "正面"),
        (("C++", "C"), "C++", "C++", "C++"),
        (("C++", "C"), "I use C.", "?not-a-label", "C"),
        (("1", "2"), "1.", "1", "1"),
        (("1", "2"), "12", "?not-a-label", "?no-label"),
        (("St.", "Ave."), "St.", "St.", "St."),
    ],
)
def test_labels_of_many_kinds(labels: tuple[str, ...], text: str, exact: str, contains: str) -> None:
    assert read(text, "exact", labels=labels) == exact
    assert read(text, "contains", labels=labels) == contains


OPEN = [
    ("New York", "New York", "new york"),
    ("**New York**.", "New York", "new york"),
    ("Answer: **New York**", "New York", "new york"),
    ("The answer is The Beatles.", "The Beatles", "beatles"),
    ("rock-'n'-roll!", "rock-'n'-roll!", "rocknroll"),
    ("the", "the", "the"),
    ("!!!", "!!!", "!!!"),
    ("wait...", "wait...", "wait"),
    ("", "?empty", "?empty"),
    ("Answer:", "?empty", "?empty"),
]


@pytest.mark.parametrize(("text", "exact", "normalized"), OPEN)
def test_an_open_answer(text: str, exact: str, normalized: str) -> None:
    assert read(text, "exact") == exact
    assert read(text, "normalized") == normalized


CHOICE = [
    ("B", "B"),
    ("b", "B"),
    ("(B)", "B"),
    ("B.", "B"),
    ("**B**", "B"),
    ("B) Paris", "B"),
    ("**B**. Paris", "B"),
    ("The answer is (B).", "B"),
    ("The answer is **(B)**.", "B"),
    ("The correct answer is **B) Paris**", "B"),
    ("Answer: B", "B"),
    ("Answer:\n\n**B**", "B"),
    ('The answer is "B"', "B"),
    ("The best choice is C.", "C"),
    ("The correct option is: B", "B"),
    ("answer is option b.", "B"),
    (r"$\boxed{\text{B}}$", "B"),
    ("I'd go with (D)", "D"),
    ("Option B fits.", "B"),
    ("B) Paris, because (A) is wrong.", "B"),
    ("The answer is: (C) because (A) is bad", "C"),
    ("First I thought the answer is A. No: the answer is C.", "C"),
    ("Let's see.\n(A) no\n(B) yes\nSo the answer is (B)", "B"),
    ("Let's see.\n(A) no\n(B) yes\n**B**", "B"),
    ("A good question. The answer is B", "B"),
    # Denials.
    ("(A) is wrong because x. (B) is right.", "B"),
    ("(A) isn't right, (C) cannot be, so (D) it is", "D"),
    ("It isn't option A. Option B fits.", "B"),
    ("Not (A) but (B).", "B"),
    ("The answer is not (A)", "?no-option"),
    ("Not B", "?no-option"),
    # Two, none, or another.
    ("The answer is A or B", "?ambiguous"),
    ("Answer: (B), (C)", "?ambiguous"),
    ("Either (A) or (B).", "?ambiguous"),
    ("(A) yes\n(B) yes too", "?ambiguous"),
    ("A or B", "?no-option"),
    ("The answer is a matter of taste", "?no-option"),
    ("A cat sat.", "?no-option"),
    ("I am sure", "?no-option"),
    ("E", "?no-option"),
    ("The answer is (E).", "?no-option"),
    ("", "?empty"),
]


@pytest.mark.parametrize(("text", "answer"), CHOICE)
def test_a_choice(text: str, answer: str) -> None:
    assert read(text, "choice", labels=("A", "B", "C", "D")) == answer
    bracketed = answer if answer.startswith("?") else f"({answer})"
    assert read(text, "choice", labels=("(A)", "(B)", "(C)", "(D)")) == bracketed


def test_options() -> None:
    assert options_of(()).label("z") == "Z"
    assert options_of(("1", "2")).label("(2)") == "2"
    for labels in (("A", "a"), ("(A)", "A"), ("AB", "C"), ("",), ("Ä", "B")):
        with pytest.raises(UserError, match=r"letter or digit"):
            options_of(labels)


NUMBER = [
    ("42", "42"),
    ("42.", "42"),
    ("**42**", "42"),
    ("042.50", "42.5"),
    (".5", "0.5"),
    ("-.5", "-0.5"),
    ("-0", "0"),
    ("+5", "5"),
    ("−5", "-5"),
    ("–5", "-5"),
    ("The answer is −5.", "-5"),
    ("(-5)", "-5"),
    ("-$5", "-5"),
    ("$-5", "-5"),
    ("€1,234.50", "1234.5"),
    ("1,234,567", "1234567"),
    ("1\u202f234\u202f567", "1234567"),
    ("1\u00a0000", "1000"),
    (r"\boxed{1{,}000}", "1000"),
    (r"$12\,345$", "12345"),
    ("50%", "50"),
    ("3/4", "0.75"),
    ("1e3", "1000"),
    ("1.5E−3", "0.0015"),
    ("9007199254740993", "9007199254740993"),
    ("0.1", "0.1"),
    ("about 3.14.", "3.14"),
    ("12th", "12"),
    ("#### 72", "72"),
    (r"So it is \boxed{-42}.", "-42"),
    # Several: behind the last announcement the first, else the last of all.
    ("First 3, then 4, so 7", "7"),
    ("Step 1: 5. Step 2: 6.", "6"),
    ("The answer is 7, not 8", "7"),
    ("The answer is 12 apples and 3 pears", "12"),
    ("The answer is **12** (see step 3)", "12"),
    ("The answer is 5.\n\nNote: 3 steps.", "5"),
    ("Answer:\n\n17\n\nIt has 2 digits.", "17"),
    ("The answer is 3. Wait: the answer is 4.", "4"),
    ("The answer is 5 + 3 = 8", "8"),
    ("answer: x = 8, as 2 = 2 answer: none", "2"),
    ("Answer: forty-two (42)", "42"),
    ("The answer is below.\n\n12 is it", "12"),
    ("The answers are 3 and 4", "4"),
    ("5-3=2", "2"),
    # None.
    ("forty-two", "?no-number"),
    ("A1 or v1.2.3", "?no-number"),
    ("nan infinity", "?no-number"),
    ("١٢", "?no-number"),
    ("1/0", "?number-out-of-range"),
    ("1" * 1001, "?number-out-of-range"),
    ("", "?empty"),
]


@pytest.mark.parametrize(("text", "answer"), NUMBER)
def test_a_number(text: str, answer: str) -> None:
    assert read(text, "number") == answer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,000", "1000"), ("$5", "5"), ("25 %", "25"), ("1/2", "0.5"), ("-3.", "-3"), ("1e400", "1E+400"),
        ("5 apples", None), ("1,00", None), ("1 000", None), ("", None), ("x", None), ("1/0", None), ("--1", None),
    ],
)  # fmt: skip
def test_a_text_that_is_a_number(text: str, value: str | None) -> None:
    found = number_of(text)
    assert (None if found is None else spell(found)) == value


SLOTS = [
    ("yes, no, unknown", "yes, no, unknown"),
    ("Yes, No, Unknown.", "yes, no, unknown"),
    ("**yes, no, unknown**", "yes, no, unknown"),
    ("The answer is: **Yes, no, unknown**.", "yes, no, unknown"),
    ("The answers are yes, no, yes.", "yes, no, yes"),
    ("**The answers are: yes, no, yes**", "yes, no, yes"),
    ("**Answer: yes, no, yes**\n\nbecause", "yes, no, yes"),
    ("Answer: yes, no, yes\nbecause", "yes, no, yes"),
    ("Thinking, thinking.\n\nAnswer:\n\nyes, no, yes", "yes, no, yes"),
    ("Reasoning.\n\nyes, no, yes", "yes, no, yes"),
    ("yes\nno\nunknown", "yes, no, unknown"),
    ("1. yes\n2. no\n3. unknown", "yes, no, unknown"),
    ("- **yes**\n- **no**\n- **yes**", "yes, no, yes"),
    ('["yes", "no", "yes"]', "yes, no, yes"),
    ("(yes, no, yes)", "yes, no, yes"),
    ("yes; no; and yes", "yes, no, yes"),
    ("yes no unknown", "?wrong-count"),
    ("yes, no", "?wrong-count"),
    ("yes, no, yes, no", "?wrong-count"),
    ("yes, no, maybe", "?not-a-label"),
    ("yes, not no, yes", "?not-a-label"),
    ("", "?empty"),
]


@pytest.mark.parametrize(("text", "answer"), SLOTS)
def test_a_tuple_of_slots(text: str, answer: str) -> None:
    assert read(text, "labels", labels=YES_NO, slots=3) == answer


SETS = [
    ("red", "red"),
    ("Blue; red", "red, blue"),
    ("[blue, red, red]", "red, blue"),
    ("- blue\n- red", "red, blue"),
    ("The answer is blue, red.", "red, blue"),
    ("Answer: **red, blue**", "red, blue"),
    ("none", "none"),
    ("None.", "none"),
    ("[]", "none"),
    ("red, white and blue", "red, white and blue"),
    ("red and blue", "?not-a-label"),
    ("red, pink", "?not-a-label"),
    ("I see red", "?not-a-label"),
    ("", "?empty"),
]


@pytest.mark.parametrize(("text", "answer"), SETS)
def test_a_set_of_labels(text: str, answer: str) -> None:
    assert read(text, "labels", labels=("red", "blue", "red, white and blue")) == answer


def test_an_open_set_is_sorted_and_folded() -> None:
    assert read("b, A, a", "labels") == "a, b"


@pytest.mark.parametrize(
    ("pattern", "flags", "text", "answer"),
    [
        (r"Answer: (\w+)", "", "Answer: 5\nAnswer: 6", "6"),
        (r"Answer: (\w+)", "", "answer: 7", "?no-match"),
        (r"Answer: (\w+)", "i", "answer: 7", "7"),
        (r"Answer: (\w*)", "", "Answer: ", "?empty"),
        (r"\d+", "", "1 22 333", "333"),
        (r"a(\d)?", "", "a1 a", "a"),  # The group took no part in the last match.
        (r"(\d)-(\d)", "", "1-2", "1"),
        (r"(?:x)(\d)", "", "x1", "1"),
        (r"^(\w+)$", "m", "one\ntwo\n", "two"),
        (r"<a>(.*)</a>", "s", "<a>x\ny</a>", "x\ny"),
        (r"<a>(.*)</a>", "", "<a>x\ny</a>", "?no-match"),
        (r"(\d) # digit", "x", "5", "5"),
        (r"(\w+)", "a", "é9", "9"),
        (r".", "", "", "?no-match"),
    ],
)
def test_a_pattern(pattern: str, flags: str, text: str, answer: str) -> None:
    assert read(text, "regex", options={"pattern": pattern, "flags": flags}) == answer


def test_what_a_pattern_finds_is_a_label_where_there_are_some() -> None:
    options = {"pattern": "Answer: (.*)"}
    assert read("Answer: **YES**", "regex", labels=YES_NO, options=options) == "yes"
    assert read("Answer: perhaps", "regex", labels=YES_NO, options=options) == "?not-a-label"


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Score: 85", 0.85),
        ("**Score:** 85", 0.85),
        ("Score: **85**/100", 0.85),
        ("score = 7.5", 0.075),
        ("It is fine.\nScore: 100", 1.0),
        ("Score: 0", 0.0),
        ("Score: 85. I repeat: Score: 85", 0.85),
        ("85", 0.85),
        (" **85**. ", 0.85),
        ("85/100", 0.85),
        ("Score: 8/10", None),
        ("8/10", None),
        ("Score: 101", None),
        ("Score: -5", None),
        ("Score: 85%", None),
        ("Score: 85 then Score: 90", None),
        ("Score: high", None),
        ("I give it 85 points", None),
        ("Score: 8.5.1", None),
        ("", None),
        ("underscore: 5", None),
    ],
)
def test_a_judges_score(text: str, score: float | None) -> None:
    assert read_score(text) == score


# Texts


@pytest.mark.parametrize(
    ("text", "cleaned", "undressed"),
    [
        (" **a**. ", "a", "a"),
        ("**a** and **b**", "**a** and **b**", "**a** and **b**"),
        ("a...", "a...", "a..."),
        ("it's", "it's", "it's"),
        ('"', '"', '"'),
        ("**", "**", "**"),
        ("`**_a_**`", "a", "a"),
        ("Answer: 'a'", "Answer: 'a'", "a"),
        ("Answers: a", "Answers: a", "a"),
        ("_Answer:_ a_b", "_Answer:_ a_b", "a_b"),
        ("Answer: _a_b_", "Answer: _a_b_", "a_b"),
        ("The answer isn't a", "The answer isn't a", "The answer isn't a"),
        ("Unanswered: a", "Unanswered: a", "Unanswered: a"),
    ],
)
def test_dress(text: str, cleaned: str, undressed: str) -> None:
    assert (clean(text), undress(text)) == (cleaned, undressed)


def test_what_follows_the_last_mark() -> None:
    assert after_mark("answer: a\nThe answer is **b** c") == "b c"
    assert after_mark("**answer: a b**\n\nc **d**") == "a b\n\nc **d**"
    assert after_mark("Answer: _a_b_, so") == "a_b, so"
    assert after_mark("no such word") is None


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a, b", ("a", "b")),
        ("[a; 'b']", ("a", "b")),
        ("1) a\n2) b", ("a", "b")),
        ("a, and b,", ("a", "b")),
        ("", ()),
        (" , ;\n", ()),
        ("andy, and bob", ("andy", "bob")),
    ],
)
def test_parts(text: str, items: tuple[str, ...]) -> None:
    assert parts(text) == items


def test_forms() -> None:
    assert fold("  Ä  B ") == fold("a\u0308 b")
    assert fold_loosely("Card-arrival _x") == fold_loosely("card_ARRIVAL _x") == "card arrival x"
    assert normalize("The «Card—Arrival», an a!") == "cardarrival"
    assert [word_count(text) for text in ("", "...", "two words", "it's", "判断情感", "ข่าว", "don’t")] == [
        0, 0, 2, 2, 4, 4, 2,
    ]  # fmt: skip


def test_labels_that_cannot_be_told_apart() -> None:
    for labels in ((), ("",), ("a", " "), ("a", "a"), ("a b", "a  b"), ("é", "e\u0301")):
        with pytest.raises(UserError):
            label_set(labels)
    assert label_set(("A", "a")).find("a") == "a"


# Megabytes: a reading that is not linear in the length would not come to its end here.

UNITS = [
    "answer: ",
    "answer: x=",
    "(A) ",
    "1,234,",
    "*",
    " ",
    "\n",
    "\\boxed{",
    "not (",
    "_a",
    "e\u0301",
    "```x\n",
]
ALL = [
    ("exact", {"labels": YES_NO}), ("exact", {}), ("normalized", {}), ("contains", {"labels": ("good", "not good")}),
    ("choice", {}), ("number", {}), ("labels", {"labels": YES_NO, "slots": 3}), ("labels", {"labels": YES_NO}),
    ("bbeh", {}), ("bbeh", {"labels": YES_NO, "slots": 3}), ("regex", {"options": {"pattern": r"Answer: (\w+)"}}),
]  # fmt: skip


@pytest.mark.timeout(200)
@pytest.mark.parametrize("unit", UNITS)
def test_degenerate_replies_are_read_in_linear_time(unit: str) -> None:
    for kind, how in ALL:
        make_scorer(kind, **how).read("x " + unit * (300_000 // len(unit)) + " x")


@pytest.mark.timeout(200)
def test_a_reply_of_a_megabyte() -> None:
    text = "Let us think about it, one by one. " * 30_000 + "\nThe answer is 7."
    assert len(text) > 1_000_000
    assert read(text, "number") == "7"
    assert read(text, "bbeh") == "7"
    assert read(text, "exact", labels=YES_NO) == "?not-a-label"
    assert read(text, "contains", labels=YES_NO) == "?no-label"
    assert read(text, "choice") == "?no-option"
    assert read(text, "labels", labels=YES_NO, slots=3) == "?wrong-count"

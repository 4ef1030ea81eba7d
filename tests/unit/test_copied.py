"""Text of examples in a prompt, and the labels that it names."""

from __future__ import annotations

from nullgrad.core.copied import COMMON_LEAST, WORDS, copied_text, label_words
from nullgrad.core.task import Example


def rows(*texts: str) -> tuple[Example, ...]:
    return tuple(Example(f"t{number}", text, "x") for number, text in enumerate(texts))


MANY = rows(*(f"customer number {number} asks about delivery of parcel {number}" for number in range(100)))


def test_a_passage_is_found_whatever_its_case_and_punctuation() -> None:
    train = rows("The blue parrot sang at midnight, twice.", "Something else entirely different here now.")
    found = copied_text("Rule one. the BLUE parrot sang at Midnight twice; stop.", {"train": train})
    (passage,) = found.passages
    assert passage.text == "the BLUE parrot sang at Midnight twice"
    assert (passage.words, passage.split, passage.examples, passage.count) == (7, "train", ("t0",), 1)
    assert (found.words, found.copied) == (10, 7)
    assert found.share == 0.7


def test_fewer_words_are_no_passage() -> None:
    train = rows("The blue parrot sang at midnight, twice.")
    assert WORDS == 5
    assert copied_text("the blue parrot sang", {"train": train}).passages == ()
    assert len(copied_text("the blue parrot sang at", {"train": train}).passages) == 1


def test_phrases_of_the_seed_prompt_and_the_format_are_nobodys() -> None:
    train = rows("Decide whether the text is good or bad: great film")
    prompt = "Decide whether the text is good or bad, please."
    assert copied_text(prompt, {"train": train}).copied == 8
    assert copied_text(prompt, {"train": train}, ("decide whether the text is good or bad!",)).passages == ()


def test_what_many_examples_share_is_the_tasks_own_wording() -> None:
    train = rows(*(f"Please classify the following customer message: item {number}" for number in range(50)))
    prompt = "Please classify the following customer message: be careful."
    assert copied_text(prompt, {"train": train}).passages == ()
    few = train[:COMMON_LEAST]
    assert len(copied_text(prompt, {"train": few}).passages) == 1


def test_a_passage_ends_where_no_example_has_it_on() -> None:
    train = rows("a b c d e f", "d e f g h i")
    found = copied_text("a b c d e f g h i", {"train": train})
    assert [(one.text, one.examples) for one in found.passages] == [
        ("a b c d e f", ("t0",)),
        ("d e f g h i", ("t1",)),
    ]
    assert found.copied == 9


def test_splits_are_told_apart() -> None:
    found = copied_text(
        "one two three four five six. red green blue black white",
        {"train": rows("one two three four five six"), "test": rows("say red green blue black white")},
    )
    assert [(one.split, one.words) for one in found.passages] == [("train", 6), ("test", 5)]


def test_nothing_is_copied_from_nothing() -> None:
    assert copied_text("", {"train": MANY}).share == 0.0
    assert copied_text("Answer with care and say which it is.", {"train": MANY}).passages == ()


def test_label_words_are_counted() -> None:
    labels = ("good", "bad", "no")
    assert label_words('Say good or bad. Good is better; there is no doubt. Or "no".', labels) == (
        ("good", 2),
        ("bad", 1),
        ("no", 1),
    )

"""Rules against and for labels: what is found, what is not, and the examples that they get wrong."""

from __future__ import annotations

import pytest

from nullgrad.core.procedural import generate, solve
from nullgrad.core.sections import cut
from nullgrad.core.suspicious import counterexamples, mentions, suspicious_rules
from nullgrad.core.task import Example

LABELS = ("yes", "no", "unknown")

FOUND = [
    ("Never answer unknown.", "against", ("unknown",)),
    ('Never accept "unknown" too early; work on until it is yes or no.', "against", ("unknown",)),
    ("Use unknown only if nothing else works.", "against", ("unknown",)),
    ("Use unknown as a last resort.", "against", ("unknown",)),
    ("Unknown should never be your final answer.", "against", ("unknown",)),
    ("UNKNOWN is not acceptable.", "against", ("unknown",)),
    ("Avoid unknown unless it cannot be determined.", "against", ("unknown",)),
    ("Don't say unknown; decide.", "against", ("unknown",)),
    ("Do not answer unknown if it can be determined.", "against", ("unknown",)),
    ("Answer only with yes or no.", "against", ("unknown",)),
    ("Never answer no.", "against", ("no",)),
    ("When in doubt, answer yes.", "towards", ("yes",)),
    ("Always answer yes.", "towards", ("yes",)),
    ("If you are unsure, default to unknown.", "towards", ("unknown",)),
    ("If it is unclear, never say unknown, prefer no.", "towards", ("no",)),
]

NOT_FOUND = [
    "Always answer with yes, no or unknown.",
    "Answer only with yes, no, or unknown.",
    "Never guess: answer unknown.",
    "There is no way around it. Never give up, no matter what.",
    "Only one person lies.",
    "Always check whether the answer is unknown.",
    "The answer is yes, no or unknown. Do not add anything else.",
    "Say unknown where it cannot be determined.",
    "Read carefully.",
]


@pytest.mark.parametrize(("prompt", "direction", "labels"), FOUND)
def test_rules_that_are_found(prompt: str, direction: str, labels: tuple[str, ...]) -> None:
    rules = suspicious_rules(cut(prompt), LABELS)
    assert (direction, labels) in [(rule.direction, rule.labels) for rule in rules]


@pytest.mark.parametrize("prompt", NOT_FOUND)
def test_sentences_that_are_none(prompt: str) -> None:
    assert suspicious_rules(cut(prompt), LABELS) == ()


def test_both_sides_of_one_sentence_are_two_rules() -> None:
    rules = suspicious_rules(cut("If it is unclear, never say unknown, prefer no."), LABELS)
    assert {(rule.direction, rule.labels, rule.words) for rule in rules} == {
        ("against", ("unknown",), ("never",)),
        ("towards", ("no",), ("prefer",)),
    }


def test_a_rule_names_its_section() -> None:
    rules = suspicious_rules(
        cut("# Task\nRead it.\n\n# Rules\n- Be kind.\n- Never answer\n  unknown."), LABELS
    )
    assert [(rule.section, rule.sentence) for rule in rules] == [(1, "- Never answer unknown.")]


def test_options_are_labels_where_they_are_marked() -> None:
    options = ("A", "B", "C")
    assert [one.label for one in mentions("A good answer is A, not (B). I saw a cat.", options)] == ["A", "B"]
    (rule,) = suspicious_rules(cut("Option C is never right. A thing is never easy."), options)
    assert (rule.direction, rule.labels) == ("against", ("C",))


def test_the_longer_of_two_labels_at_a_place_counts() -> None:
    labels = ("card arrival", "card", "refund")
    assert [one.label for one in mentions("card-arrival or Card?", labels)] == ["card arrival", "card"]


def test_labels_in_a_list_with_another_one_count() -> None:
    assert [one.label for one in mentions("one of yes, no, or unknown", LABELS)] == ["yes", "no", "unknown"]
    assert [one.label for one in mentions("there is no need", LABELS)] == []


def test_open_answers_have_no_rules() -> None:
    assert suspicious_rules(cut("Never answer unknown."), ()) == ()


def _rule(prompt: str) -> object:
    (rule,) = suspicious_rules(cut(prompt), LABELS)
    return rule


def test_counterexamples_of_a_rule_against_are_the_items_of_its_label() -> None:
    items = generate("web-of-lies", 20, 5, unknown=0.4)
    examples = [Example(str(place), one.input, one.target) for place, one in enumerate(items)]
    (found,) = counterexamples(
        _rule("Never answer unknown."), examples, 3, lambda text: solve("web-of-lies", text)
    )  # type: ignore[arg-type]
    unknown = tuple(place for place, one in enumerate(items) if one.target.split(", ")[1] == "unknown")
    assert len(unknown) == 8
    assert (found.slot, found.places, found.solved) == (1, unknown, True)


def test_the_solver_and_not_the_target_says_what_is_true() -> None:
    items = generate("web-of-lies", 10, 5, unknown=0.5)
    examples = [Example(str(place), one.input, "yes, yes, yes") for place, one in enumerate(items)]
    rule = _rule("Never answer unknown.")
    (found,) = counterexamples(rule, examples, 3, lambda text: solve("web-of-lies", text))  # type: ignore[arg-type]
    assert len(found.places) == 5
    assert counterexamples(rule, examples, 3) == ()  # type: ignore[arg-type]


def test_counterexamples_of_a_rule_for_a_label_are_all_others() -> None:
    examples = [
        Example(str(place), "text", label) for place, label in enumerate(("yes", "no", "unknown", "yes"))
    ]
    (found,) = counterexamples(_rule("When in doubt, answer yes."), examples, 1)  # type: ignore[arg-type]
    assert (found.places, found.solved) == ((1, 2), False)


def test_items_of_another_form_are_judged_by_their_target() -> None:
    examples = [Example("0", "no puzzle", "unknown")]
    (found,) = counterexamples(
        _rule("Never answer unknown."), examples, 1, lambda text: solve("web-of-lies", text)
    )  # type: ignore[arg-type]
    assert not found.solved

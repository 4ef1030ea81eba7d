"""The rules that worlds know: natural sentences, recognized anywhere in a prompt whatever stands around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from nullgrad.edges.sim.vocabulary import LABELS, TOPICS

RuleKind = Literal[
    "right",
    "harmful",
    "helpful",
    "unhelpful",
    "suppress",
    "encourage",
    "less",
    "more",
    "single",
    "note",
    "opener",
]
"""`right` and `harmful` are about one topic; `helpful` and `unhelpful` about all messages; `suppress`, `encourage`, `less` and
`more` move the bias for the last label (a lot, or a little); `single` names one message; `note` and `opener` say nothing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        sentence: as it is written into a prompt.
        kind: what it is about; which effect that has is the world's matter.
        slot: a prompt has one rule a slot.
        topic: of `right` and `harmful`, else -1.
        label: that a `single` rule names, else -1.
        number: reference of the message that a `single` rule names, else -1.
    """

    sentence: str
    kind: RuleKind
    slot: str
    topic: int = -1
    label: int = -1
    number: int = -1


RIGHT = tuple(
    Rule(
        f"For messages about {name}, go by what has happened to the customer.",
        "right",
        f"topic {topic}",
        topic,
    )
    for topic, name in enumerate(TOPICS)
)
HARMFUL = tuple(
    Rule(
        f"For messages about {name}, go by how politely the customer writes.",
        "harmful",
        f"topic {topic}",
        topic,
    )
    for topic, name in enumerate(TOPICS)
)

_HELPFUL = (
    "Weigh the whole message before any single word.", "Tell apart what happened and how it is told.",
    "Ask what the customer would like to happen next.", "Give the verb more weight than the adjectives.",
    "Read the sentence about the matter itself twice.", "Set the greeting and the reference aside.",
)  # fmt: skip
_UNHELPFUL = ("Decide by the greeting alone.", "Take the length of the message for a sign of its kind.")
HELPFUL = tuple(Rule(text, "helpful", text) for text in _HELPFUL)
UNHELPFUL = tuple(Rule(text, "unhelpful", text) for text in _UNHELPFUL)

_SUPPRESS = (
    'Never answer "{label}" unless nothing else is possible.', 'Avoid the answer "{label}" as far as you can.',
    'Keep "{label}" for the one obvious case in a hundred.',
)  # fmt: skip
_ENCOURAGE = ('Answer "{label}" whenever it seems possible.',)
_LESS = (
    'Ask for a little more evidence before you answer "{label}".', 'Lean slightly less towards "{label}".',
    'Let a small doubt count against "{label}".',
)  # fmt: skip
_MORE = ('Lean slightly more towards "{label}".',)

_HOW = (
    "slowly", "calmly", "as a whole", "with care", "in one go", "from the beginning", "without haste", "line by line",
    "attentively", "once more", "to its end", "in peace", "word by word", "with a fresh eye", "in silence", "patiently",
)  # fmt: skip
_BEFORE = (
    "decide", "answer", "choose", "judge it", "reply", "settle on an answer", "make up your mind", "give your answer",
    "commit yourself", "conclude", "say what it is", "pick an answer", "come to a verdict", "respond", "name its kind",
    "write anything",
)  # fmt: skip
_WORK = (
    "carefully", "thoroughly", "steadily", "precisely", "quietly", "diligently", "soberly", "evenly", "openly", "neatly",
    "plainly", "fairly", "firmly", "alertly", "faithfully", "reliably",
)  # fmt: skip

NOTES = tuple(
    Rule(f"Read the message {how} before you {before}.", "note", "note") for how in _HOW for before in _BEFORE
)
"""Advice without any effect."""

OPENERS = tuple(
    Rule(f"Work {first} and {second}.", "opener", "opener")
    for first in _WORK
    for second in _WORK
    if first != second
)
"""What a rewrite puts before a prompt; without any effect."""


@lru_cache(maxsize=8)
def about_label(kind: RuleKind, label: int) -> tuple[Rule, ...]:
    """The rules of a kind that move the bias for a label."""
    sentences = {"suppress": _SUPPRESS, "encourage": _ENCOURAGE, "less": _LESS, "more": _MORE}[kind]
    made = [text.format(label=LABELS[label]) for text in sentences]
    return tuple(Rule(text, kind, text, label=label) for text in made)


def single(number: int, label: int) -> Rule:
    """The rule that names one message and its answer."""
    text = f'The message with the reference {number} is to be answered with "{LABELS[label]}".'
    return Rule(text, "single", f"message {number}", label=label, number=number)


def _loose(sentence: str) -> str:
    """A pattern for a sentence without regard to what stands between its words."""
    return r"\W+".join(map(re.escape, re.findall(r"\w+", sentence)))


def _known() -> tuple[Rule, ...]:
    moved = tuple(
        rule
        for kind in ("suppress", "encourage", "less", "more")
        for label in (1, 2)
        for rule in about_label(kind, label)
    )
    return (*RIGHT, *HARMFUL, *HELPFUL, *UNHELPFUL, *moved)


def _words(sentence: str) -> str:
    return " ".join(re.findall(r"\w+", sentence)).lower()


_BY_WORDS = {_words(rule.sentence): rule for rule in (*_known(), *NOTES, *OPENERS)}


def _alternatives(*texts: str) -> str:
    return "|".join(_loose(text) for text in sorted(texts, key=len, reverse=True))


_RULE = re.compile(
    rf"(?<!\w)(?:{_alternatives(*(rule.sentence for rule in _known()))}"
    rf"|Read\W+the\W+message\W+(?:{_alternatives(*_HOW)})\W+before\W+you\W+(?:{_alternatives(*_BEFORE)})"
    rf"|Work\W+(?:{'|'.join(_WORK)})\W+and\W+(?:{'|'.join(_WORK)})"
    rf"|{_loose('The message with the reference')}\W+(?P<number>\d{{6}})\W+{_loose('is to be answered with')}\W+(?P<label>{'|'.join(LABELS)})"
    r")(?!\w)[\"'”’»]?[.!]?",
    re.IGNORECASE,
)


def find_rules(text: str) -> Iterator[tuple[Rule, int, int]]:
    """Every rule that stands in a text, with its place, in order."""
    for match in _RULE.finditer(text):
        if match["number"]:
            label = [one.lower() for one in LABELS].index(match["label"].lower())
            yield single(int(match["number"]), label), *match.span()
        else:
            rule = _BY_WORDS.get(_words(match[0]))
            if rule is not None:
                yield rule, *match.span()

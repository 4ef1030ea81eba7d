"""Web of lies with three answers: yes (tells the truth), no (lies), unknown (cannot be determined).

The form is that of BIG-Bench Extra Hard (Kazemi et al. 2025, Apache-2.0); its items can be read and solved
here. Code and word lists are our own and no item is copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nullgrad.core.procedural.truth import Statement, forced

SEED_PROMPT = "Work out from the statements who tells the truth and who lies, then answer the question."

FORMAT_SUFFIX = (
    'End with one line that reads "The answer is: " and one word for each person asked about, in the order asked: '
    "yes if the person tells the truth, no if the person lies, unknown if it cannot be determined. "
    "For example: The answer is: yes, unknown, no"
)

TRIPLE_CLAIMS: Mapping[str, frozenset[int]] = {
    "exactly one of {} tells the truth": frozenset({1}),
    "only one of {} tells the truth": frozenset({1}),
    "exactly two of {} tell the truth": frozenset({2}),
    "only one of {} lies": frozenset({2}),
    "{} all tell the truth": frozenset({3}),
    "either exactly two of {} tell the truth or none of them": frozenset({0, 2}),
    "either all three of {} lie, or two of them tell the truth": frozenset({0, 2}),
    "either exactly one of {} tells the truth, or all three of them": frozenset({1, 3}),
    "either all three of {} tell the truth or only one of them": frozenset({1, 3}),
}
"""Claims about three people, and the counts of truth-tellers under which each is true."""

SINGLE_CLAIMS: Mapping[str, frozenset[int]] = {
    "{} tells the truth": frozenset({1}),
    "{} lies": frozenset({0}),
}
"""Claims about one person."""


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A puzzle as read.

    Attributes:
        people: names, or "the person at the zoo", in order of appearance.
        statements: over indices into `people`.
        asked: indices of the people asked about, in order.
    """

    people: tuple[str, ...]
    statements: tuple[Statement, ...]
    asked: tuple[int, ...]


def solve(text: str) -> str:
    """The answer, one of yes, no, unknown for each person asked about, joined by ", ".

    Raises:
        ValueError: the text is not of the form, or its statements contradict one another.
    """
    puzzle = parse(text)
    truths = forced(len(puzzle.people), puzzle.statements, puzzle.asked)
    return ", ".join("unknown" if truth is None else "yes" if truth else "no" for truth in truths)


def parse(text: str) -> Puzzle:
    """Read a puzzle; an instruction on the answer's format after the question is passed over.

    Raises:
        ValueError: the text is not of the form.
    """
    match = _PUZZLE.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a web of lies: no assumption, statements and question in that order")
    people: dict[str, int] = {}
    statements = []
    for sentence in re.split(r"\.\s*", match["body"]):
        if sentence and not _IDLE.fullmatch(sentence):
            statements.append(_statement(sentence, people))
    asked = []
    for person in _ASKED.split(match["asked"])[1:-1]:
        if _key(person) not in people:
            raise ValueError(f"not a web of lies: asks about {person!r}, of whom nothing is said")
        asked.append(people[_key(person)])
    return Puzzle(tuple(people), tuple(statements), tuple(asked))


def _statement(sentence: str, people: dict[str, int]) -> Statement:
    match = _SPOKEN.fullmatch(sentence)
    speaker, claim = (match["speaker"], match["claim"]) if match else (None, sentence)
    for pattern, counts in _CLAIMS:
        about = pattern.fullmatch(claim)
        if about and (match or len(about.groups()) == 1):
            members = tuple(_number(person, people) for person in about.groups())
            return Statement(None if speaker is None else _number(speaker, people), members, counts)
    raise ValueError(f"not a web of lies: cannot read {sentence!r}")


def _number(person: str, people: dict[str, int]) -> int:
    return people.setdefault(_key(person), len(people))


def _key(person: str) -> str:
    return person.replace("The person", "the person")


_ASKED = re.compile(r"(?: tell the truth\?)? ?Does |Do |, (?:and )?| tell the truth\?$")
"""What stands before, between and behind the people asked about."""

_WHO = r"(?:[Tt]he person at the [a-z]+(?: [a-z]+)*?|(?!Do\b|Does\b|The\b)[A-Z]\w*)(?= |,|$|\?)"

_PUZZLE = re.compile(
    r"[^.]*either always tells the truth or always lies\.\s*"
    r"(?P<body>.*\.)\s*"
    rf"(?P<asked>Do {_WHO}(?:, (?:and )?{_WHO})* tell the truth\?|(?:Does {_WHO} tell the truth\? ?)+(?<=\?))"
    r"(?:\s+Your answer should be .*)?",
    re.DOTALL,
)

_SPOKEN = re.compile(rf"(?P<speaker>{_WHO}) says (?P<claim>.*)")

_IDLE = re.compile(rf"{_WHO} (?:is at the [a-z ]+|saw an? [a-z ]+|thinks their [a-z ]+)")
"""Sentences that bear on no one asked about: who stands where, what was seen, opinions about outsiders."""


def _claims() -> list[tuple[re.Pattern[str], frozenset[int]]]:
    """The claims as patterns; the published items write "exactly one of A, B and C tell" as well as "tells"."""
    three = rf"({_WHO}), ({_WHO}) and ({_WHO})"
    patterns = []
    for claims, people in ((SINGLE_CLAIMS, rf"({_WHO})"), (TRIPLE_CLAIMS, three)):
        for claim, counts in claims.items():
            lenient = re.sub(r"(?<=\{\}) tells? ", " tells? ", claim) if people is three else claim
            patterns.append((re.compile(lenient.replace("{}", people)), counts))
    return patterns


_CLAIMS = _claims()

"""Rules of a prompt that speak against, or in favour of, one of the labels: what prevalence hacking looks like.

Only words are read here. Whether a rule is false is for the examples to say that it would get wrong (`counterexamples`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from nullgrad.core.reading.text import fold, parts
from nullgrad.core.sections import Section, sentences
from nullgrad.core.task import Example

Direction = Literal["against", "towards"]
"""Whether a rule keeps a label from being answered, or makes it the answer."""

_AGAINST = (
    r"never|avoid(?:s|ing)?|do not|don['’]t|must not|mustn['’]t|should not|shouldn['’]t|can ?not|can['’]t|may not|"
    r"refrain from|rule out|not acceptable|unacceptable|forbidden|prohibited|under no circumstances|in no case|"
    r"rarely|seldom|hardly ever|reluctant|last resort|hesitate|be (?:very |extremely )?(?:careful|cautious|wary)"
)
_TOWARDS = (
    r"always|invariably|without exception|in every case|in (?:any|all) cases?|whenever possible|default(?:s|ing)? to|"
    r"by default|prefer(?:s|ably)?|when(?:ever)? in doubt|if in doubt|if (?:you are )?(?:unsure|uncertain)|assume|"
    r"lean towards?|err on the side of"
)
_TRIGGER = re.compile(
    rf"\b(?:(?P<against>{_AGAINST})|(?P<towards>{_TOWARDS})|(?P<only>only|solely|exclusively))\b", re.I
)
_RESTRICTED = re.compile(
    r"\b(?:if|when|after|where|once|unless|in case|for|as a last resort)\b", re.IGNORECASE
)
_TURN = re.compile(
    r"[;:—–]|\b(?:unless|until|but|instead|rather than|over|except|otherwise|because|since|if|when|whenever|where|whether|while|although)\b",
    re.IGNORECASE,
)
"""Behind these a clause speaks of something else."""

_COMMON = frozenset(
    ("a", "i", "no", "in", "on", "up", "down", "it", "is", "other", "none", "all", "so", "one", "right", "left",
     "true", "false", "open", "general", "question", "answer", "statement")
)  # fmt: skip
"""Labels that are words of any prompt: they count only where they are marked as an answer."""

_AUXILIARY = re.compile(r"\b(?:is|are|should|must|can|may|be|was|will)\b|^\s*(?:\w+\s+){0,3}$", re.IGNORECASE)
"""What stands between a label and what is said of it behind it: "unknown is not acceptable", "use unknown rarely"."""

_LISTED = re.compile(r"[\"'”’`*_)]*(?:\s*[,/|;]\s*(?:and\s+|or\s+)?|\s+(?:and|or|nor)\s+)[\"'“‘`*_(]*$")
"""What stands between two labels of one list."""

_ANSWERING = (
    r"(?:answer(?:ed|ing|s)?|say(?:ing|s)?|respond(?:ing|s)?(?: with)?|repl(?:y|ies|ying)(?: with)?|label(?:led|ed|s)?|"
    r"output(?:s|ting)?|choos(?:e|es|ing)|select(?:s|ing)?|pick(?:s|ing)?|return(?:s|ing)?|predict(?:s|ing)?|writ(?:e|es|ing)|"
    r"conclud(?:e|es|ing)|accept(?:s|ing)?|prefer(?:s|ring)?|class|option|default(?:s|ing)? to|as|is|or|be)"
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A label where a text names it; `start` and `end` count characters."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SuspiciousRule:
    """A sentence that says never, always, only, avoid or the like with a label.

    Attributes:
        section: number of the section that it stands in.
        sentence: on one line.
        words: what it says it with, lower case.
        direction: `against` the labels, or `towards` them.
        labels: the labels meant, in their order.
    """

    section: int
    sentence: str
    words: tuple[str, ...]
    direction: Direction
    labels: tuple[str, ...]

    def breaks(self, truth: str) -> bool:
        """Whether an item whose answer is `truth` shows the rule to be false: what it forbids is right there, or what
        it prefers is not."""
        known = {fold(label) for label in self.labels}
        return (fold(truth) in known) == (self.direction == "against")


def mentions(text: str, labels: Sequence[str]) -> tuple[Mention, ...]:
    """Where a text names labels, in order, as whole words and whatever their case; the longest of labels at one place.

    A label that is a word of any prompt ("no", "a", "other") counts only in quotes or emphasis, written in capitals, behind
    a word such as answer, say or choose, or in a list with another label.
    """
    found: list[Mention] = []
    maybe: list[Mention] = []
    taken = [False] * len(text)
    for label in sorted(labels, key=len, reverse=True):
        for match in _word(label).finditer(text):
            if any(taken[match.start() : match.end()]):
                continue
            one = Mention(label, match.start(), match.end())
            if not _meant(text, match, label):
                maybe.append(one)
                continue
            taken[match.start() : match.end()] = [True] * (match.end() - match.start())
            found.append(one)
    while listed := [one for one in maybe if any(_in_one_list(text, one, other) for other in found)]:
        found += listed
        maybe = [one for one in maybe if one not in listed]
    return tuple(sorted(found, key=lambda one: one.start))


def _in_one_list(text: str, one: Mention, other: Mention) -> bool:
    first, second = sorted((one, other), key=lambda mention: mention.start)
    return first.label != second.label and _LISTED.fullmatch(text[first.end : second.start]) is not None


def suspicious_rules(sections: Sequence[Section], labels: Sequence[str]) -> tuple[SuspiciousRule, ...]:
    """Every sentence that speaks against or for some of the labels, in order; () for open answers.

    A sentence that lists all labels alike, as a rule of format does ("answer only with yes or no"), is none.
    """
    if len(labels) < 2:
        return ()
    found: list[SuspiciousRule] = []
    for section in sections:
        for sentence in sentences(section.text):
            found += _rules(section.number, " ".join(sentence.split()), labels)
    return tuple(found)


def _rules(section: int, sentence: str, labels: Sequence[str]) -> list[SuspiciousRule]:
    named = mentions(sentence, labels)
    by_sense: dict[tuple[Direction, tuple[str, ...]], list[str]] = {}
    for trigger in _TRIGGER.finditer(sentence):
        sense = _sense(sentence, trigger, named, labels)
        if sense is not None:
            words = by_sense.setdefault(sense, [])
            word = trigger[0].lower()
            if word not in words:
                words.append(word)
    return [
        SuspiciousRule(section, sentence, tuple(words), direction, own)
        for (direction, own), words in by_sense.items()
    ]


def _sense(
    sentence: str, trigger: re.Match[str], named: Sequence[Mention], labels: Sequence[str]
) -> tuple[Direction, tuple[str, ...]] | None:
    """What a trigger says of which labels: those of its own clause behind it, else the nearest before it."""
    end = len(sentence)
    own = next((one for one in named if one.start >= trigger.end()), None)
    for pattern in (_TURN, _TRIGGER):
        behind = pattern.search(sentence, max(trigger.end(), own.start if own is not None else 0))
        end = min(end, behind.start() if behind is not None else end)
    meant = [one.label for one in named if trigger.end() <= one.start < end]
    between = sentence[trigger.end() : own.start] if own is not None else ""
    if not meant or _TURN.search(between):
        before = [one for one in named if one.end <= trigger.start()]
        gap = sentence[before[-1].end : trigger.start()] if before else ","
        if "," in gap or _TURN.search(gap) or not _AUXILIARY.search(gap):
            # "Never guess: answer unknown" says nothing against unknown.
            return None
        meant = [before[-1].label]
    some = tuple(label for label in labels if label in meant)
    if not some or len(some) == len(labels):
        return None
    if trigger["only"]:
        rest = tuple(label for label in labels if label not in some)
        restricted = _RESTRICTED.search(sentence, trigger.end())
        return ("against", some) if restricted else ("against", rest)
    return ("against" if trigger["against"] else "towards"), some


def _meant(text: str, match: re.Match[str], label: str) -> bool:
    if fold(label) not in _COMMON and len(label) > 1:
        return True
    before, behind = text[: match.start()], text[match.end() :]
    if before and behind and before[-1] in "\"'“‘`*_(" and behind[0] in "\"'”’`*_)":
        return True
    if len(label) > 1 and match[0] == label.upper() and match[0] != label:
        return True
    if len(label) == 1 and match[0] != label:
        return False
    return _BEHIND_ANSWER.search(before) is not None and _NOUN_BEHIND.match(behind) is None


_BEHIND_ANSWER = re.compile(rf"\b{_ANSWERING}[:,]?\s+$", re.IGNORECASE)
_NOUN_BEHIND = re.compile(
    r"\s+(?:\w+\s+)?(?:statement|matter|person|one|way|reason|evidence|more|less|longer|other|need|doubt)s?\b",
    re.IGNORECASE,
)
"""What makes of "no" in front of it a word and not an answer."""


def _word(label: str) -> re.Pattern[str]:
    loose = r"[\s_-]+".join(re.escape(piece) for piece in re.split(r"[\s_-]+", label.strip()) if piece)
    return re.compile(rf"(?<!\w){loose or re.escape(label)}(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Counterexamples:
    """Examples that a rule would get wrong.

    Attributes:
        slot: of the answer, 0 for single answers.
        places: positions among the examples, in order.
        solved: whether their truth was worked out by a solver, or is the task's own target.
    """

    slot: int
    places: tuple[int, ...]
    solved: bool


Solver = Callable[[str], str]
"""From an example's input to its right answer; ValueError where it is not of the solver's form."""


def counterexamples(
    rule: SuspiciousRule, examples: Sequence[Example], slots: int, solve: Solver | None = None
) -> tuple[Counterexamples, ...]:
    """The examples at which following a rule is a mistake, by slot; slots without one are left out.

    Args:
        rule: the rule.
        examples: with their targets.
        slots: of an answer.
        solve: works out the truth anew, so that it does not rest on the target; None takes the targets.
    """
    truths = [_truth(example, slots, solve) for example in examples]
    found: list[Counterexamples] = []
    for slot in range(slots):
        places = tuple(
            place
            for place, (truth, _) in enumerate(truths)
            if len(truth) == slots and rule.breaks(truth[slot])
        )
        if places:
            found.append(Counterexamples(slot, places, all(truths[place][1] for place in places)))
    return tuple(found)


def _truth(example: Example, slots: int, solve: Solver | None) -> tuple[tuple[str, ...], bool]:
    if solve is not None:
        try:
            return answer_slots(solve(example.input), slots), True
        except ValueError:
            pass
    return answer_slots(example.target, slots), False


def answer_slots(answer: str, slots: int) -> tuple[str, ...]:
    """An answer by slot."""
    return (answer,) if slots == 1 else parts(answer)

"""Scorers that compute: they never ask a model. One small frozen class per kind, so that they can be pickled."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from decimal import Decimal

from nullgrad.core import answers
from nullgrad.core.answers import LabelSet, Options
from nullgrad.core.effects import Effect
from nullgrad.core.reading.labels import as_labels, set_items
from nullgrad.core.reading.number import near, spell
from nullgrad.core.task import Example, Judge, Outcome, Scored, UnparsedAnswer
from nullgrad.errors import UserError


@dataclass(frozen=True, slots=True)
class PureScorer:
    """What all of them share.

    Attributes:
        spec: canonical JSON of everything that changes a score.
        labels: the closed label set, None for open answers.
    """

    spec: str
    labels: LabelSet | None

    @property
    def asks(self) -> bool:
        """Never."""
        return False

    def read(self, text: str) -> str | UnparsedAnswer:
        """The answer in a reply; never an exception."""
        raise NotImplementedError

    def score(self, answer: str, target: str) -> float:
        """0 to 1."""
        raise NotImplementedError

    def grade(
        self, answer: str, example: Example, target: str, judge: Judge
    ) -> Generator[Effect, None, Outcome]:
        """`score` as a generator that yields nothing."""
        yield from ()
        return Scored(self.score(answer, target), answer)


@dataclass(frozen=True, slots=True)
class ExactScorer(PureScorer):
    """The whole reply is the answer. Open answers compare as written but for dress and white space."""

    def read(self, text: str) -> str | UnparsedAnswer:
        return answers.read_exact(text, self.labels)

    def score(self, answer: str, target: str) -> float:
        return _same(answer, target, self.labels)


@dataclass(frozen=True, slots=True)
class NormalizedScorer(PureScorer):
    """The whole reply by SQuAD's rule."""

    def read(self, text: str) -> str | UnparsedAnswer:
        return answers.read_normalized(text, self.labels)

    def score(self, answer: str, target: str) -> float:
        if self.labels is not None:
            return _same(answer, target, self.labels)
        right = answers.undress(target)
        return float(answer == (answers.normalize(right) or answers.fold(right)))


@dataclass(frozen=True, slots=True)
class ContainsScorer(PureScorer):
    """The only label that the reply contains."""

    def read(self, text: str) -> str | UnparsedAnswer:
        assert self.labels is not None
        return answers.read_contained(text, self.labels)

    def score(self, answer: str, target: str) -> float:
        return _same(answer, target, self.labels)


@dataclass(frozen=True, slots=True)
class ChoiceScorer(PureScorer):
    """The letter of an option."""

    options: Options

    def read(self, text: str) -> str | UnparsedAnswer:
        return answers.read_choice(text, self.options)

    def score(self, answer: str, target: str) -> float:
        right = self.options.label(target)
        if right is None:
            raise _unfit(target, "none of the options")
        return float(answer == right)


@dataclass(frozen=True, slots=True)
class NumberScorer(PureScorer):
    """A number, within the greater of an absolute and a relative tolerance."""

    tolerance: Decimal
    relative: Decimal

    def read(self, text: str) -> str | UnparsedAnswer:
        if not text.strip():
            return UnparsedAnswer("empty", text)
        found = answers.read_number(text)
        return found if isinstance(found, UnparsedAnswer) else spell(found)

    def score(self, answer: str, target: str) -> float:
        left, right = answers.number_of(answer), answers.number_of(target)
        if right is None:
            raise _unfit(target, "no number")
        return float(left is not None and near(left, right, self.tolerance, self.relative))


@dataclass(frozen=True, slots=True)
class LabelsScorer(PureScorer):
    """A tuple of slots, or a set of labels; all or nothing, or with `partial` in part.

    In part means the share of equal slots, and for sets the size of the intersection over that of the union.
    """

    slots: int
    partial: bool

    def read(self, text: str) -> str | UnparsedAnswer:
        if self.slots > 1:
            return answers.read_slots(text, self.slots, self.labels)
        return answers.read_set(text, self.labels)

    def score(self, answer: str, target: str) -> float:
        left, right = self._items(answer), self._items(target)
        if left is None or right is None or (self.slots > 1 and len(right) != self.slots):
            raise _unfit(target, "no list of as many slots" if self.slots > 1 else "no list of labels")
        if not self.partial or left == right:
            return float(left == right)
        if self.slots > 1:
            return sum(one == other for one, other in zip(left, right, strict=True)) / self.slots
        return len(set(left) & set(right)) / len(set(left) | set(right))

    def _items(self, text: str) -> tuple[str, ...] | None:
        if self.slots > 1:
            return as_labels(answers.parts(text), self.labels)
        return set_items(text, self.labels)


@dataclass(frozen=True, slots=True)
class RegexScorer(PureScorer):
    """The last match of a pattern, compared as written, or without regard to case under the flag `i`."""

    pattern: re.Pattern[str]

    def read(self, text: str) -> str | UnparsedAnswer:
        return answers.read_pattern(text, self.pattern, self.labels)

    def score(self, answer: str, target: str) -> float:
        if self.labels is not None:
            return _same(answer, target, self.labels)
        if self.pattern.flags & re.IGNORECASE:
            return float(answers.fold(answer) == answers.fold(target))
        return float(answer.strip() == target.strip())


@dataclass(frozen=True, slots=True)
class BbehScorer(PureScorer):
    """The publisher's rules of BIG-Bench Extra Hard."""

    slots: int

    def read(self, text: str) -> str | UnparsedAnswer:
        return answers.read_bbeh(text, self.labels, self.slots)

    def score(self, answer: str, target: str) -> float:
        if self.labels is not None:
            prediction = answers.reference_of(answer)
        else:
            prediction = answer.replace(", ", ",") if self.slots > 1 else answer
        return float(answers.fuzzy_match(prediction, answers.reference_of(target)))


def _same(answer: str, target: str, labels: LabelSet | None) -> float:
    if labels is None:
        return float(" ".join(answer.split()) == " ".join(answers.undress(target).split()))
    right = labels.find(target)
    if right is None:
        raise _unfit(target, "none of the labels")
    return float(answer == right)


def _unfit(target: str, problem: str) -> UserError:
    """A target that `scoring.canonical_target` would have refused: against it every answer would be wrong."""
    return UserError(
        f"The target {target[:80]!r} is {problem}.",
        "No answer could be scored as right; no score was made up.",
        "Correct the target, or the labels.",
    )

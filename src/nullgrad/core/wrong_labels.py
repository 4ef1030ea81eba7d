"""Wrong and shuffled targets: what an optimizer or a selection is told where it must not be told the truth.

A wrong target is misinformation, never the right answer, and a deterministic function of the question's text:
the same in every arm, every trial and every order of the examples. A shuffled target may happen to be the
right one: the targets of a split are permuted, so that their frequencies stay and the information goes.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate, islice, product

from nullgrad.core.draws import stream
from nullgrad.core.reading.number import EXACT, number_of, spell
from nullgrad.core.reading.text import fold, normalize, parts
from nullgrad.core.task import Example, Scorer, UnparsedAnswer
from nullgrad.errors import UserError

RULES: tuple[str, ...] = ("choice", "label", "slots", "number", "other-example")
"""Rules of wrong labels; each is explained at `wrong_target`."""

_OPTION = re.compile(r"[(\[]?([A-Z]|[0-9])[)\]]?")
_OFFSETS = tuple(offset for offset in range(-10, 11) if offset)
_TRIES = 32
_MOST_TUPLES = 10_000


def default_rule(kind: str, labels: tuple[str, ...], slots: int) -> str:
    """The rule of wrong labels that fits a scorer of this kind with these labels and slots."""
    if slots > 1:
        return "slots"
    if kind == "number":
        return "number"
    if kind == "labels":
        return "other-example"
    if kind == "choice" or (len(labels) > 1 and all(_OPTION.fullmatch(label) for label in labels)):
        return "choice"
    return "label" if labels else "other-example"


def wrong_target(
    rule: str, example: Example, labels: tuple[str, ...], pool: Sequence[Example], *, scorer: Scorer
) -> str:
    """A target for the example that is not the right one.

    - `choice`: the next label, cyclically; where the question lists its options, the next of those.
    - `label`: a random other label.
    - `slots`: a random other tuple, each slot's value from the labels, or from what occurs in that slot in the pool.
    - `number`: the true number plus a random integer from -10 to 10, never 0.
    - `other-example`: the target of a random other example of the pool whose target differs.

    None of them is a target against which the scorer would count the right answer as right: what it takes for
    the same (a number within the tolerance, a list in another order) would inform. A scorer that asks a model is
    not asked.

    Args:
        rule: one of `RULES`.
        example: the example; "random" is seeded from its input and nothing else.
        labels: the closed label set in its order; where it is empty, the pool's targets stand in.
        pool: the examples of the split, in any order.
        scorer: by which outputs are scored.

    Raises:
        UserError: there is no wrong target (all targets are equal or within the tolerance, a target is no
            number), or no such rule.
    """
    if rule not in _RULES:
        raise UserError(
            f"{rule!r} is no rule of wrong labels.", "Nothing was run.", f"Known: {', '.join(RULES)}."
        )
    return _RULES[rule](_Question(example, labels, pool, scorer), stream("wrong", rule, example.input))


def shuffled_targets(examples: Sequence[Example], rng: random.Random) -> dict[str, str]:
    """The targets of the examples permuted, by id: the same frequencies, no information.

    A permutation, so that some examples may keep their targets; a derangement would be information. The result
    depends on the examples and the state of `rng`, not on their order.
    """
    ordered = sorted(examples, key=lambda one: one.id)
    targets = [one.target for one in ordered]
    rng.shuffle(targets)
    return {one.id: target for one, target in zip(ordered, targets, strict=True)}


class _Question:
    """One example with all that decides which targets are wrong for it."""

    __slots__ = ("_right", "example", "labels", "pool", "scorer")

    def __init__(
        self, example: Example, labels: tuple[str, ...], pool: Sequence[Example], scorer: Scorer
    ) -> None:
        self.example = example
        self.labels = labels
        self.pool = pool
        self.scorer = scorer
        read = "" if scorer.asks else scorer.read(example.target)
        # A target alone need not have the form of a reply, such as one that a pattern demands.
        self._right = example.target if isinstance(read, UnparsedAnswer) else read

    def misleads(self, target: str) -> bool:
        """Whether the right answer would not count as right against this target."""
        return self.scorer.asks or self.scorer.score(self._right, target) < 1.0

    def any_of(self, targets: Sequence[str], rng: random.Random) -> str:
        """One of the targets that mislead, each as likely as the others.

        Raises:
            UserError: none does.
        """
        for _ in range(_TRIES):
            drawn = rng.choice(targets)
            if self.misleads(drawn):
                return drawn
        left = [target for target in targets if self.misleads(target)]
        if not left:
            raise _accepted(self.example)
        return rng.choice(left)


def _choice(question: _Question, rng: random.Random) -> str:
    example = question.example
    known = question.labels or _table(question.pool).spellings
    listed = tuple(label for label in known if _lists(example.input, label))
    place = _index(example.target, listed)
    if place is None or len(listed) < 2 or listed != known[: len(listed)]:
        listed, place = known, _index(example.target, known)
    if place is None:
        raise _outside(example, known)
    if len(listed) < 2:
        raise _impossible(example, "there is only one choice")
    for label in (*listed[place + 1 :], *listed[:place]):
        if question.misleads(label):
            return label
    raise _accepted(example)


def _lists(question: str, label: str) -> bool:
    """Whether a question lists an option under this label: "(A) …" or "A) …" or "A. …" or "A: …" begins a line."""
    match = _OPTION.fullmatch(label)
    if match is None:
        return False
    return re.search(rf"^[ \t]*+[(\[]?{match[1]}[)\].:](?:\s|$)", question, re.MULTILINE) is not None


def _label(question: _Question, rng: random.Random) -> str:
    example = question.example
    known = question.labels or _table(question.pool).spellings
    place = _index(example.target, known)
    others = sorted(label for number, label in enumerate(known) if number != place)
    if place is None:
        raise _outside(example, known)
    if not others:
        raise _impossible(example, "there is only one label")
    return question.any_of(others, rng)


def _slots(question: _Question, rng: random.Random) -> str:
    target = parts(question.example.target)
    if question.labels:
        values = [tuple(sorted(question.labels))] * len(target)
    else:
        table = _table(question.pool)
        values = [table.slot(place, len(target), own) for place, own in enumerate(target)]
    right = tuple(map(fold, target))
    if all(fold(option) == own for own, options in zip(right, values, strict=True) for option in options):
        raise _impossible(question.example, "every slot has only one value")
    for _ in range(_TRIES):
        drawn = tuple(rng.choice(options) for options in values)
        if tuple(map(fold, drawn)) != right and question.misleads(", ".join(drawn)):
            return ", ".join(drawn)
    others = [one for one in islice(product(*values), _MOST_TUPLES) if tuple(map(fold, one)) != right]
    return question.any_of([", ".join(one) for one in others], rng)


def _number(question: _Question, rng: random.Random) -> str:
    example = question.example
    value = number_of(example.target)
    if value is None:
        raise UserError(
            f"The target {_short(example.target)} of example {example.id!r} is not a number.",
            "The rule `number` of wrong labels cannot add to it; nothing was run.",
            "Correct the target, or give the task another rule under `wrong`, such as other-example.",
        )
    moved = [spell(EXACT.add(value, Decimal(offset))) for offset in _OFFSETS]
    if question.labels:
        known = {_key(label): label for label in question.labels}
        moved = [known[_key(one)] for one in moved if _key(one) in known]
        if not moved:
            raise _impossible(example, "no label is within 10 of it")
    return question.any_of(moved, rng)


def _other_example(question: _Question, rng: random.Random) -> str:
    return _table(question.pool).other(question, rng)


_RULES: dict[str, Callable[[_Question, random.Random], str]] = {
    "choice": _choice,
    "label": _label,
    "slots": _slots,
    "number": _number,
    "other-example": _other_example,
}


@dataclass(frozen=True, slots=True)
class _Table:
    """The targets of a pool, independent of its order.

    Attributes:
        spellings: distinct targets, sorted; of spellings that mean the same the first.
        cumulative: how many examples have this target or an earlier one.
        items: of every target its parts.
    """

    spellings: tuple[str, ...]
    cumulative: tuple[int, ...]
    items: tuple[tuple[str, ...], ...]

    def other(self, question: _Question, rng: random.Random) -> str:
        """A target that differs, drawn by its frequency."""
        right = question.example.target
        differing = False
        for same in (_same_set, _same_list):
            for _ in range(_TRIES):
                drawn = self.spellings[bisect_right(self.cumulative, rng.randrange(self.cumulative[-1]))]
                if not same(drawn, right) and question.misleads(drawn):
                    return drawn
            others = [target for target in self.spellings if not same(target, right)]
            differing = differing or bool(others)
            left = [target for target in others if question.misleads(target)]
            if left:
                return rng.choice(left)
        raise (
            _accepted(question.example)
            if differing
            else _impossible(question.example, "all targets are equal")
        )

    def slot(self, place: int, count: int, own: str) -> tuple[str, ...]:
        """The distinct values in one slot, sorted, over the targets with `count` slots."""
        return _distinct([own, *(items[place] for items in self.items if len(items) == count)])


def _table(pool: Sequence[Example]) -> _Table:
    """The table of a pool; for a tuple, which cannot change, made once."""
    return _cached(_Identity(pool)) if isinstance(pool, tuple) else _make_table(pool)


class _Identity:
    """A tuple as a key by identity: hashing ten thousand examples at every look-up would be quadratic."""

    __slots__ = ("pool",)

    def __init__(self, pool: tuple[Example, ...]) -> None:
        self.pool = pool

    def __hash__(self) -> int:
        return id(self.pool)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.pool is other.pool


@lru_cache(maxsize=8)
def _cached(key: _Identity) -> _Table:
    return _make_table(key.pool)


def _make_table(pool: Iterable[Example]) -> _Table:
    counts = Counter(_key(one.target) for one in pool)
    spellings = _distinct(one.target for one in pool)
    return _Table(
        spellings,
        tuple(accumulate(counts[_key(target)] for target in spellings)),
        tuple(parts(target) for target in spellings),
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    """Sorted, with one spelling of those that mean the same."""
    first: dict[str, str] = {}
    for value in sorted(values):
        first.setdefault(_key(value), value)
    return tuple(sorted(first.values()))


def _key(text: str) -> str:
    """What two spellings of one answer share under every scorer: numbers by value, texts by SQuAD's rule."""
    number = number_of(text)
    if number is not None:
        return "=" + spell(number)
    return normalize(text) or fold(text)


def _same_list(left: str, right: str) -> bool:
    return _key(left) == _key(right)


def _same_set(left: str, right: str) -> bool:
    """Stricter: lists of the same items in another order count as equal, which they are for multi-label tasks."""
    return _same_list(left, right) or set(map(_key, parts(left))) == set(map(_key, parts(right)))


def _index(target: str, labels: tuple[str, ...]) -> int | None:
    """The place of a target among labels: as written, or without regard to case where that is one label."""
    if target in labels:
        return labels.index(target)
    found = [place for place, label in enumerate(labels) if fold(label) == fold(target)]
    return found[0] if len(found) == 1 else None


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _outside(example: Example, labels: tuple[str, ...]) -> UserError:
    return UserError(
        f"The target {_short(example.target)} of example {example.id!r} is none of the labels.",
        "It has no wrong label; nothing was run.",
        f"Correct the target, or add it to the labels ({', '.join(labels[:20])}).",
    )


def _impossible(example: Example, reason: str) -> UserError:
    return UserError(
        f"Example {example.id!r} has no wrong target: {reason}.",
        "An arm with wrong labels would have to show it the right one; nothing was run.",
        "Use a task with at least two different answers, give its labels, or leave out the arms with wrong labels.",
    )


def _accepted(example: Example) -> UserError:
    return UserError(
        f"Example {example.id!r} has no wrong target: the scorer takes the right answer {_short(example.target)}"
        " for right against every one that the rule allows.",
        "An arm with wrong labels would be told the truth; nothing was run.",
        "Lower the scorer's tolerance, give the task another rule under `wrong`, such as other-example, or leave"
        " out the arms with wrong labels.",
    )

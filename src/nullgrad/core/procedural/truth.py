"""Who tells the truth: what every consistent assignment of truth and lies has in common.

A statement ties its speaker to the number of truth-tellers among the people that it is about. Every person is
kept as an affine form over GF(2) in the people still free; each statement yields all the linear equations that
it implies on its own few people, until none is new. Parities, chains and cycles are solved by that alone;
what is left is searched, each independent part for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

MAX_SPLITS = 2_000
"""Case distinctions before a puzzle is given up; published and generated items need none."""


@dataclass(frozen=True, slots=True)
class Statement:
    """The speaker tells the truth exactly when the count of truth-tellers is one of `counts`.

    Attributes:
        speaker: number of the speaker, None for a fact of the puzzle.
        about: numbers of the people that it is about, at most five.
        counts: the counts of truth-tellers among `about` under which the statement is true.
    """

    speaker: int | None
    about: tuple[int, ...]
    counts: frozenset[int]

    @property
    def people(self) -> tuple[int, ...]:
        """Everyone that the statement ties, the speaker last."""
        return self.about if self.speaker is None else (*self.about, self.speaker)


def forced(people: int, statements: Sequence[Statement], asked: Sequence[int]) -> list[bool | None]:
    """For each person asked about: True or False if every consistent assignment says so, else None.

    Args:
        people: how many people there are, numbered from 0.

    Raises:
        ValueError: no assignment is consistent, or more than `MAX_SPLITS` case distinctions are needed.
    """
    search = _Search()
    known = _Known([2 << person for person in range(people)])
    try:
        open_ = known.propagate(statements)
    except _Contradiction:
        open_ = None
    if open_ is None or not search.satisfiable(known, open_):
        raise ValueError("the statements contradict one another")
    answers: list[bool | None] = []
    for person in asked:
        form = known.forms[person]
        can_lie, can_tell = (search.satisfiable(known, open_, form ^ value) for value in (0, 1))
        answers.append(None if can_lie and can_tell else can_tell)
    return answers


class _Contradiction(Exception):
    pass


class _Known:
    """Each person's truth as a bit mask: bit 0 is the constant 1, bit i + 1 is the free person i."""

    __slots__ = ("forms",)

    def __init__(self, forms: list[int]) -> None:
        self.forms = forms

    def learn(self, zero: int) -> bool:
        """Take in that a form equals 0; whether that was new."""
        if zero == 0:
            return False
        if zero == 1:
            raise _Contradiction
        pivot = 1 << (zero.bit_length() - 1)
        self.forms = [form ^ zero if form & pivot else form for form in self.forms]
        return True

    def propagate(self, statements: Sequence[Statement]) -> list[Statement]:
        """Learn all that single statements imply; the statements that then say more than is known."""
        open_ = list(statements)
        learned = True
        while learned:
            learned = False
            remaining = []
            for statement in open_:
                news, spent = self._apply(statement)
                learned = learned or news
                if not spent:
                    remaining.append(statement)
            open_ = remaining
        return open_

    def _apply(self, statement: Statement) -> tuple[bool, bool]:
        """Learn from one statement: (whether something was new, whether nothing is left in it)."""
        news = False
        while True:
            sums = self._sums(statement.people)
            relations = [(subset, form) for subset, form in enumerate(sums) if form in (0, 1)]
            possible = [
                pattern
                for pattern in range(len(sums))
                if all((pattern & subset).bit_count() & 1 == value for subset, value in relations)
            ]
            table = _table(len(statement.about), statement.speaker is not None, statement.counts)
            allowed = [pattern for pattern in possible if pattern in table]
            if not allowed:
                raise _Contradiction
            if len(allowed) == len(possible):
                return news, True
            if not self._learn_parity(sums, allowed):
                return news, False
            news = True

    def _sums(self, people: Sequence[int]) -> list[int]:
        """The sum over GF(2) of every subset's forms, indexed by the subset as a bit mask."""
        sums = [0]
        for person in people:
            sums += [form ^ self.forms[person] for form in sums]
        return sums

    def _learn_parity(self, sums: list[int], allowed: list[int]) -> bool:
        """Learn the first new equation that holds in every allowed pattern."""
        for subset, form in enumerate(sums):
            parities = {(pattern & subset).bit_count() & 1 for pattern in allowed}
            if len(parities) == 1 and self.learn(form ^ parities.pop()):
                return True
        return False


class _Search:
    """Case distinctions with propagation after each, up to a limit."""

    __slots__ = ("_splits",)

    def __init__(self) -> None:
        self._splits = 0

    def satisfiable(self, known: _Known, open_: Sequence[Statement], zero: int = 0) -> bool:
        """Whether an assignment is consistent with what is known, the open statements and `zero` = 0."""
        trial = _Known(known.forms)
        try:
            trial.learn(zero)
            left = trial.propagate(open_)
        except _Contradiction:
            return False
        return all(self._group_satisfiable(trial, group) for group in _groups(trial, left))

    def _group_satisfiable(self, known: _Known, group: list[Statement]) -> bool:
        self._splits += 1
        if self._splits > MAX_SPLITS:
            raise ValueError(f"the puzzle needs more than {MAX_SPLITS} case distinctions")
        form = next(known.forms[person] for person in group[0].people if known.forms[person] > 1)
        return any(self.satisfiable(known, group, form ^ value) for value in (0, 1))


def _groups(known: _Known, statements: Sequence[Statement]) -> list[list[Statement]]:
    """The statements in parts that share no free person."""
    groups: list[tuple[int, list[Statement]]] = []
    for statement in statements:
        mask, members = 0, [statement]
        for person in statement.people:
            mask |= known.forms[person] & ~1
        apart = []
        for other_mask, others in groups:
            if other_mask & mask:
                mask |= other_mask
                members = others + members
            else:
                apart.append((other_mask, others))
        groups = [*apart, (mask, members)]
    return [members for _, members in groups]


@lru_cache(maxsize=256)
def _table(about: int, spoken: bool, counts: frozenset[int]) -> frozenset[int]:
    """The patterns of truth (bit i: person i of `people`) that a statement allows."""
    heads = 1 << about
    if not spoken:
        return frozenset(pattern for pattern in range(heads) if pattern.bit_count() in counts)
    return frozenset(pattern | (heads if pattern.bit_count() in counts else 0) for pattern in range(heads))

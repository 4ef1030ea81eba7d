"""Text of the examples that stands in a prompt, and how often a prompt names each label.

An n-gram counts as copied where it is nobody's phrase: it is neither in the seed prompt nor in the format, and only in few
examples. What many examples share is the task's own wording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nullgrad.core.reading.text import WORD
from nullgrad.core.suspicious import mentions
from nullgrad.core.task import Example

WORDS = 5
"""Consecutive words (letters and digits, whatever their case) that make an n-gram."""

COMMON_SHARE = 0.02
"""An n-gram in more than this share of a split's examples, and in more than `COMMON_LEAST` of them, is a common phrase."""

COMMON_LEAST = 2

MOST_NAMED = 3
"""Examples named for one passage."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a prompt that stands in an example.

    Attributes:
        text: as the prompt has it, on one line.
        words: how many, at least `WORDS`.
        split: of the examples.
        examples: ids of the first `MOST_NAMED` that have it.
        count: how many have it.
    """

    text: str
    words: int
    split: str
    examples: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Copied:
    """What of a prompt stands in the examples.

    Attributes:
        words: of the prompt.
        copied: how many of them stand in a passage.
        passages: the longest first.
    """

    words: int
    copied: int
    passages: tuple[Passage, ...]

    @property
    def share(self) -> float:
        """Of the prompt's words, 0 to 1."""
        return self.copied / self.words if self.words else 0.0


def copied_text(
    prompt: str, splits: Mapping[str, Sequence[Example]], tolerated: Sequence[str] = (), words: int = WORDS
) -> Copied:
    """Passages of a prompt that stand in the inputs of examples.

    Args:
        prompt: the text to be looked through.
        splits: examples by the name of their split.
        tolerated: texts whose phrases are nobody's: the seed prompt, the format.
        words: length of an n-gram, at least 2.
    """
    spots = [(match.start(), match.end()) for match in WORD.finditer(prompt)]
    own = _grams([prompt[start:end].casefold() for start, end in spots], words)
    free = {gram for text in tolerated for gram in _grams(_words(text), words)}
    passages: list[Passage] = []
    covered: set[int] = set()
    for split, examples in splits.items():
        holders = _holders(frozenset(own) - free, examples, words)
        for first, last, ids in _runs(own, holders):
            covered.update(range(first, last + words))
            start, end = spots[first][0], spots[last + words - 1][1]
            text = " ".join(prompt[start:end].split())
            passages.append(Passage(text, last - first + words, split, tuple(ids[:MOST_NAMED]), len(ids)))
    passages.sort(key=lambda one: -one.words)
    return Copied(len(spots), len(covered), tuple(passages))


def _words(text: str) -> list[str]:
    return [match[0].casefold() for match in WORD.finditer(text)]


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def _holders(
    wanted: frozenset[tuple[str, ...]], examples: Sequence[Example], n: int
) -> dict[tuple[str, ...], dict[str, None]]:
    """Ids of the examples that have each n-gram, in order, without common phrases."""
    found: dict[tuple[str, ...], dict[str, None]] = defaultdict(dict)
    for example in examples:
        for gram in _grams(_words(example.input), n):
            if gram in wanted:
                found[gram][example.id] = None
    most = max(COMMON_LEAST, COMMON_SHARE * len(examples))
    return {gram: ids for gram, ids in found.items() if len(ids) <= most}


def _runs(
    grams: Sequence[tuple[str, ...]], holders: Mapping[tuple[str, ...], Mapping[str, None]]
) -> list[tuple[int, int, list[str]]]:
    """Longest runs of consecutive n-grams that some example has in common: (first, last, ids)."""
    runs: list[tuple[int, int, list[str]]] = []
    place = 0
    while place < len(grams):
        ids = list(holders.get(grams[place], ()))
        if not ids:
            place += 1
            continue
        last = place
        while last + 1 < len(grams):
            rest = [one for one in ids if one in holders.get(grams[last + 1], ())]
            if not rest:
                break
            ids, last = rest, last + 1
        runs.append((place, last, ids))
        place = last + 1
    return runs


def label_words(prompt: str, labels: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """How often a prompt names each label, in the labels' order."""
    counts = dict.fromkeys(labels, 0)
    for one in mentions(prompt, labels):
        counts[one.label] += 1
    return tuple(counts.items())

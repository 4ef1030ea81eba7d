"""Examples of one split that are found in another: exact and near-duplicates of inputs."""

from __future__ import annotations

import hashlib
import heapq
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from nullgrad.core.reading.text import WORD
from nullgrad.core.task import Example

NEAR = 0.8
"""From this Jaccard similarity of word 3-shingles on, two inputs are near-duplicates."""

SKETCH = 256
"""The most shingles kept of one input: those with the smallest hashes, an unbiased sample of them."""

MOST_WORDS = 200_000
"""Words of an input behind these do not count for near-duplicates."""

MOST_COMPARED = 200
"""The most inputs with which one is compared in full, those that share its rarest shingles first."""

_ORDER = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two examples in different splits.

    Attributes:
        first: id in the earlier split (train before validation before test).
        first_split: its split.
        second: id in the later split.
        second_split: its split.
        similarity: 1.0 for an exact duplicate, else the (estimated) Jaccard similarity, from `NEAR` on.
    """

    first: str
    first_split: str
    second: str
    second_split: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Leaks:
    """What was found; at most one pair of each kind per example of the later split and earlier split.

    Attributes:
        exact: inputs that are equal but for case, Unicode form and white space.
        near: others whose similarity is at least `NEAR`.
    """

    exact: tuple[Pair, ...]
    near: tuple[Pair, ...]


def find_leaks(splits: Mapping[str, Sequence[Example]]) -> Leaks:
    """Duplicates of inputs across splits, whatever their targets.

    Every example of validation is looked for in train, every one of test in train and in validation; of several
    duplicates in one split one is reported. Similarity is Jaccard's over the sets of three consecutive words
    (letters and digits, without regard to case; characters in scripts without spaces); inputs of fewer than three words are only compared exactly.
    Inputs of more than `SKETCH` distinct shingles are compared by a sample of them (standard error about 0.025).
    Where more than `MOST_COMPARED` inputs are similar but not similar enough, a near-duplicate can be missed.
    The result does not depend on the order of the examples.
    """
    names = [name for name in _ORDER if splits.get(name)]
    names += sorted(name for name in splits if name not in _ORDER and splits[name])
    inputs = {name: [_Input.of(one) for one in sorted(splits[name], key=_by_id)] for name in names}
    if len(names) < 2:
        return Leaks((), ())
    common = Counter(shingle for group in inputs.values() for one in group for shingle in one.sketch)
    earlier: list[tuple[str, _Index]] = []
    exact: list[Pair] = []
    near: list[Pair] = []
    for name in names:
        for one in inputs[name]:
            for before, index in earlier:
                same = index.texts.get(one.digest)
                if same is not None:
                    exact.append(Pair(same, before, one.id, name, 1.0))
                    continue
                found = index.nearest(one, common)
                if found is not None:
                    near.append(Pair(found[0], before, one.id, name, found[1]))
        if name != names[-1]:
            earlier.append((name, _Index.of(inputs[name], common)))
    return Leaks(tuple(exact), tuple(near))


def _by_id(example: Example) -> str:
    return example.id


@dataclass(frozen=True, slots=True)
class _Input:
    """An input as it is compared.

    Attributes:
        id: of the example.
        digest: hash of the normalized text.
        count: number of distinct shingles.
        sketch: hashes of the shingles, the `SKETCH` smallest.
    """

    id: str
    digest: bytes
    count: int
    sketch: frozenset[int]

    @classmethod
    def of(cls, example: Example) -> _Input:
        text = unicodedata.normalize("NFC", example.input).casefold()
        plain = " ".join(text.split())
        digest = hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        words = [match[0] for match in islice(WORD.finditer(plain), MOST_WORDS)]
        shingles = set(_hashes(words))
        sketch = shingles if len(shingles) <= SKETCH else heapq.nsmallest(SKETCH, shingles)
        return cls(example.id, digest, len(shingles), frozenset(sketch))

    def prefix(self, common: Mapping[int, int]) -> list[int]:
        """The rarest shingles, so many that every input that is similar enough shares one of them."""
        needed = int(NEAR * len(self.sketch))
        by_rarity = sorted(self.sketch, key=lambda shingle: (common[shingle], shingle))
        return by_rarity[: len(by_rarity) - needed + 1]

    def similarity(self, other: _Input) -> float:
        """Jaccard's, exact where both sketches are complete, else estimated from the smallest hashes of the union."""
        if min(self.count, other.count) < NEAR * max(self.count, other.count):
            return 0.0
        shared = self.sketch & other.sketch
        if max(self.count, other.count) <= SKETCH:
            return len(shared) / (self.count + other.count - len(shared))
        sample = heapq.nsmallest(SKETCH, self.sketch | other.sketch)
        return sum(shingle in shared for shingle in sample) / len(sample)


def _hashes(words: Sequence[str]) -> Iterator[int]:
    for start in range(len(words) - 2):
        text = " ".join(words[start : start + 3]).encode("utf-8", "surrogatepass")
        yield int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class _Index:
    """One split, to be looked through.

    Attributes:
        texts: from the digest of a text to the first id that has it.
        holders: from a shingle to the inputs that have it among their rarest.
    """

    texts: dict[bytes, str]
    holders: dict[int, list[_Input]]

    @classmethod
    def of(cls, inputs: Iterable[_Input], common: Mapping[int, int]) -> _Index:
        texts: dict[bytes, str] = {}
        holders: dict[int, list[_Input]] = defaultdict(list)
        for one in inputs:
            if one.digest in texts:
                continue
            texts[one.digest] = one.id
            for shingle in one.prefix(common):
                holders[shingle].append(one)
        return cls(texts, dict(holders))

    def nearest(self, one: _Input, common: Mapping[int, int]) -> tuple[str, float] | None:
        """The id and the similarity of the first input found that is similar enough, None where none is."""
        seen: set[str] = set()
        for shingle in one.prefix(common):
            for other in self.holders.get(shingle, ()):
                if other.id in seen:
                    continue
                if len(seen) == MOST_COMPARED:
                    return None
                seen.add(other.id)
                similarity = one.similarity(other)
                if similarity >= NEAR:
                    return other.id, similarity
        return None

"""A candidate: the texts that are optimized together, by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

GENERATOR = "generator"
"""Name of the instruction that the generator is given."""

CRITIC = "critic"
"""Name of the prompt that an LLM critic is given."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """From the name of a text to the text; two candidates with the same texts are equal.

    Attributes:
        texts: (name, text), sorted by name.
    """

    texts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, texts: Mapping[str, str] | str) -> Candidate:
        """From texts by name, or from the generator's prompt alone."""
        named = {GENERATOR: texts} if isinstance(texts, str) else texts
        return cls(tuple(sorted(named.items())))

    def __getitem__(self, name: str) -> str:
        for own, text in self.texts:
            if own == name:
                return text
        raise KeyError(name)

    @property
    def prompt(self) -> str:
        """The generator's instruction."""
        return self[GENERATOR]

    def having(self, name: str, text: str) -> Candidate:
        """This candidate with one text replaced or added."""
        return Candidate.of({**dict(self.texts), name: text})

    @property
    def digest(self) -> str:
        """Identity: the first 16 hexadecimal digits of the SHA-256 of the texts as JSON."""
        text = json.dumps(self.texts, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

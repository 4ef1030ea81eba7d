"""A prompt as a world reads it: what it knows of it (rules) and the rest, and a new prompt made of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from nullgrad.edges.sim.rules import Rule, find_rules


@dataclass(frozen=True, slots=True)
class Parts:
    """A prompt taken apart.

    Attributes:
        opener: what a rewrite put before it, None for nothing.
        base: the text without rules, its white space collapsed.
        rules: what it knows, in order, notes included; each once.
    """

    opener: Rule | None
    base: str
    rules: tuple[Rule, ...]

    @property
    def text(self) -> str:
        """The prompt on one line: every reply form can carry it."""
        first = [self.opener.sentence] if self.opener else []
        middle = [self.base] if self.base else []
        return " ".join([*first, *middle, *(rule.sentence for rule in self.rules)])

    def having(self, rule: Rule, most: int) -> Parts:
        """With a rule in its slot at the end; of more than `most` (notes aside) the oldest goes."""
        if rule.slot == "opener":
            return replace(self, opener=rule)
        kept = [one for one in self.rules if one.slot != rule.slot]
        real = [one for one in kept if one.slot != "note"]
        if rule.slot != "note" and len(real) >= most:
            kept.remove(real[0])
        return replace(self, rules=(*kept, rule))


@lru_cache(maxsize=16384)
def read_prompt(text: str) -> Parts:
    """Take a prompt apart."""
    opener: Rule | None = None
    rules: dict[str, Rule] = {}
    rest, place = [], 0
    for rule, start, stop in find_rules(text):
        rest.append(text[place:start])
        place = stop
        if rule.kind == "opener":
            opener = rule
        else:
            rules.setdefault(rule.sentence, rule)
    rest.append(text[place:])
    return Parts(opener, " ".join(" ".join(rest).split()), tuple(rules.values()))

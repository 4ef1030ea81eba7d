"""What each world consists of: how hard its messages are, how its seed prompt leans, and what its rules do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nullgrad.edges.sim.rules import HELPFUL, UNHELPFUL, Rule, RuleKind, about_label

PARTS = ("gradient", "discovery", "prevalence", "threshold", "null", "overfit", "chain")
"""Names of the worlds."""


@dataclass(frozen=True, slots=True)
class Part:
    """One world's constants. Evidence and bias are in standard deviations of the noise between two classes.

    Attributes:
        about: one line for lists.
        evidence: for the right class, by number of classes: of the seed prompt.
        lean: bias for the last class, by number of classes: of the seed prompt.
        rare: share of the last class, by number of classes; None for equal shares.
        find: chance that a proposal finds a rule with an effect.
        effects: by kind of rule, what it adds to the evidence (`single`: for the named label on the named message), or
            to the bias for the last class.
        pool: kinds of the rules that are found by luck, () where they come of examples.
    """

    about: str
    evidence: Mapping[int, float]
    find: float
    effects: Mapping[RuleKind, float]
    lean: Mapping[int, float]
    rare: Mapping[int, float | None]
    pool: tuple[RuleKind, ...] = ()

    def rules(self, last: int) -> tuple[Rule, ...]:
        """What luck can find; `last` is the place of the last class."""
        found: list[Rule] = []
        for kind in self.pool:
            if kind == "helpful":
                found += HELPFUL
            elif kind == "unhelpful":
                found += UNHELPFUL
            else:
                found += about_label(kind, last)
        return tuple(found)


_PLAIN = {2: 0.42, 3: 0.77}
"""Evidence with which about 66 % of the answers are right."""

_NO_LEAN = {2: 0.0, 3: 0.0}
_EQUAL: dict[int, float | None] = {2: None, 3: None}

CATALOGUE: Mapping[str, Part] = {
    "gradient": Part(
        "the right label leads to the right rule, a wrong one misleads",
        _PLAIN, 0.7, {"right": 0.45, "harmful": -0.4}, _NO_LEAN, _EQUAL,
    ),
    "discovery": Part(
        "good and bad rules are found by luck; labels do not matter",
        _PLAIN, 0.6, {"helpful": 0.16, "unhelpful": -0.16}, _NO_LEAN, _EQUAL, ("helpful", "unhelpful"),
    ),
    "prevalence": Part(
        "lucky rules suppress the rare class, whose recall collapses",
        {2: 0.5, 3: 0.9}, 0.4, {"suppress": -1.7, "encourage": 0.5}, {2: 0.1, 3: 0.6}, {2: 0.25, 3: 0.15},
        ("suppress", "encourage"),
    ),
    "threshold": Part(
        "lucky rules move only the bias between the classes, towards a better one",
        {2: 0.7, 3: 1.1}, 0.55, {"less": -0.35, "more": 0.35}, {2: 1.0, 3: 1.1}, _EQUAL, ("less", "more"),
    ),
    "null": Part("no prompt has any effect", _PLAIN, 0.0, {}, _NO_LEAN, _EQUAL),
    "overfit": Part(
        "rules name single training examples and help those alone", _PLAIN, 1.0, {"single": 2.5}, _NO_LEAN, _EQUAL
    ),
    "chain": Part(
        "good rules are found from right labels that are told, and through the three stages alone",
        _PLAIN, 0.7, {"right": 0.45}, _NO_LEAN, _EQUAL,
    ),
}  # fmt: skip
"""The worlds by name."""

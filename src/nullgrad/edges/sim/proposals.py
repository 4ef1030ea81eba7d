"""What an optimizer's call finds: the one decision behind all replies, shared by requests and the vectorized executor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nullgrad.edges.sim.catalogue import CATALOGUE
from nullgrad.edges.sim.mix import Luck, mix
from nullgrad.edges.sim.prompts import Parts
from nullgrad.edges.sim.rules import HARMFUL, NOTES, OPENERS, RIGHT, Rule, single
from nullgrad.edges.sim.vocabulary import Message
from nullgrad.edges.sim.worlds import World

Update = Literal["rewrite", "improve", "one-step", "gradient"]

STAGE_KEYS = {
    "rewrite": 11, "improve": 12, "one-step": 13, "gradient-output": 14, "gradient-prompt": 15, "gradient-update": 16,
    "critic": 17, "generic": 18, "fail": 19, "fail-for-good": 20, "latency": 21,
}  # fmt: skip
"""Keys of the kinds of calls."""

_PART, _FIND, _WHICH, _NOTE, _OPENER, _COIN, _OTHER = range(1, 8)

Lead = tuple[Rule, ...]
"""The rules that one example leads to, given what is told of it."""

_MASK = (1 << 64) - 1


def luck_of(world: World, stage: str, prompt: int, shown: Sequence[int], draw: int) -> Luck:
    """The luck of one call: other requests have other luck.

    Args:
        world: the world.
        stage: a key of `STAGE_KEYS`.
        prompt: key of the prompt's text.
        shown: keys of what is shown besides, `shown_key` of examples; their order does not matter.
        draw: of the request.
    """
    key = mix(mix(world.key, STAGE_KEYS[stage]), prompt)
    return Luck(mix(mix(key, sum(shown) & _MASK), draw))


def shown_key(message: int, told: int | None) -> int:
    """Key of an example that is shown, by its message and the label that is told of it, None for none."""
    return mix(message, 0 if told is None else told + 1)


def guess(world: World, luck: Luck, message: Message, number: int = 0) -> int:
    """The label that an optimizer assumes where it is told nothing: the right one in half of the cases."""
    if luck.uniform(_COIN, number) < 0.5:
        return message.label
    return another(world, luck, message.label, number)


def another(world: World, luck: Luck, label: int, number: int = 0) -> int:
    """A label other than this one, each as likely."""
    place = luck.below(world.size - 1, _OTHER, number)
    return place if place < label else place + 1


def lead(world: World, message: Message, label: int, told: bool) -> Lead:
    """What an example leads to where its label is taken to be `label`; `told` says that it is no guess."""
    found: list[Rule] = []
    if "gradient" in world.parts:
        found.append((RIGHT if label == message.label else HARMFUL)[message.topic])
    elif "chain" in world.parts and told and label == message.label:
        found.append(RIGHT[message.topic])
    if "overfit" in world.parts:
        found.append(single(message.number, label))
    return tuple(found)


def propose(world: World, prompt: Parts, update: Update, luck: Luck, leads: Sequence[Lead] = ()) -> Parts:
    """The new prompt of one proposal.

    A rewrite keeps every rule. Any other update draws, in a mixture, the world that it comes from, then whether
    it finds a rule with an effect, then which: one that the prompt does not hold, out of the pool or out of what the
    examples lead to. Where nothing is found, it adds a note without effect.

    Args:
        world: the world.
        prompt: the current one.
        update: what was asked for.
        luck: of the call that writes the prompt.
        leads: by example.
    """
    if update == "rewrite":
        return prompt.having(_fresh(OPENERS, prompt.opener, luck, _OPENER), world.most_rules)
    rule = _find(world, prompt, update, luck, leads)
    if rule is None:
        current = next((one for one in prompt.rules if one.slot == "note"), None)
        rule = _fresh(NOTES, current, luck, _NOTE)
    return prompt.having(rule, world.most_rules)


def _find(world: World, prompt: Parts, update: Update, luck: Luck, leads: Sequence[Lead]) -> Rule | None:
    name = world.parts[0]
    if len(world.parts) > 1 and luck.uniform(_PART) >= world.dials.weight:
        name = world.parts[1]
    part = CATALOGUE[name]
    chance = part.find if world.dials.find is None else world.dials.find
    if luck.uniform(_FIND) >= chance:
        return None
    if part.pool:
        found = [rule for rule in world.pools[name] if rule not in prompt.rules]
    elif update == "improve" or (name == "chain" and update != "gradient"):
        return None
    else:
        found = [
            rule for one in leads for rule in one if rule.kind in part.effects and rule not in prompt.rules
        ]
    return found[luck.below(len(found), _WHICH)] if found else None


def _fresh(rules: tuple[Rule, ...], current: Rule | None, luck: Luck, purpose: int) -> Rule:
    """One of many, other than the current one."""
    place = luck.below(len(rules), purpose)
    return rules[(place + 1) % len(rules)] if rules[place] == current else rules[place]

"""A world as optimizer of another tool: what a request that is none of nullgrad's own finds, whatever its form.

Labels lead to rules where the request tells them of examples, or where prose of an earlier reply carries on what they
led to. Where no label is told, it is guessed; where nothing is shown at all, a rule is found by luck.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nullgrad.edges.sim.forms import Sought
from nullgrad.edges.sim.messages import check_class, read_message
from nullgrad.edges.sim.mix import Luck, text_key
from nullgrad.edges.sim.optimizer import change_of, leads_of
from nullgrad.edges.sim.prompts import Parts, read_prompt
from nullgrad.edges.sim.proposals import Lead, Update, luck_of, propose, shown_key
from nullgrad.edges.sim.rules import HARMFUL, RIGHT, find_rules
from nullgrad.edges.sim.vocabulary import TOPICS, Message
from nullgrad.edges.sim.worlds import World

BASE = "Decide what kind of message it is."
"""What a new instruction begins from where the request shows none."""

_TOPIC, _SIDE = 8, 9


def foreign_reply(world: World, sought: Sought, draw: int) -> str:
    """The reply to a request that a form has read, `answer` excepted.

    Raises:
        UserError: a message is of a class that the world does not have.
    """
    messages: list[Message] = []
    labels: list[int | None] = []
    told_alone: list[int] = []
    for text, told in sought.shown:
        message, label = read_message(text), label_in(world, told)
        if message is not None:
            check_class(message, world.size, world.spec)
            messages.append(message)
            labels.append(label)
        elif label is not None:
            told_alone.append(label)
    current = sought.prompt or BASE
    keys = [shown_key(one.key, label) for one, label in zip(messages, labels, strict=True)]
    keys += [text_key(one) for one in (sought.notes, *sought.others) if one.strip()]
    luck = luck_of(world, "generic", text_key(current), keys, draw)
    if sought.kind == "rewrite":
        return sought.write(propose(world, read_prompt(current), "rewrite", luck).text)
    carried = _carried(sought.notes)
    leads = [*carried, *leads_of(world, messages, labels, luck)]
    if sought.kind == "describe":
        return sought.write(_prose(world, messages, labels, told_alone, leads))
    update: Update = "gradient" if carried else "one-step"
    start = _merged(world, current, sought.others)
    return sought.write(propose(world, start, update, luck, leads or _lucky(world, luck)).text)


def label_in(world: World, text: str) -> int | None:
    """The place of the first of the world's labels in a text that tells one, None for none."""
    found = re.search(rf"\b(?:{'|'.join(world.labels)})\b", text, re.IGNORECASE)
    return world.labels.index(found[0].lower()) if found else None


def _carried(notes: str) -> list[Lead]:
    """The rules that earlier replies named, each once."""
    named = (rule for rule, _, _ in find_rules(notes) if rule.kind not in ("note", "opener"))
    return [(rule,) for rule in dict.fromkeys(named)]


def _lucky(world: World, luck: Luck) -> list[Lead]:
    """Where nothing is shown: the rule of some topic, right or harmful by a coin, as for a label that is guessed."""
    if "gradient" not in world.parts:
        return []
    rules = RIGHT if luck.uniform(_SIDE) < 0.5 else HARMFUL
    return [(rules[luck.below(len(TOPICS), _TOPIC)],)]


def _merged(world: World, first: str, others: Sequence[str]) -> Parts:
    """The first instruction with the rules of the others."""
    merged = read_prompt(first)
    for other in others:
        for rule in read_prompt(other).rules:
            if rule not in merged.rules:
                merged = merged.having(rule, world.most_rules)
    return merged


def _prose(
    world: World,
    messages: Sequence[Message],
    labels: Sequence[int | None],
    told_alone: Sequence[int],
    leads: Sequence[Lead],
) -> str:
    """What a later request reads: the rules found, the label that was told, or advice without content."""
    if leads and any(leads):
        return " ".join(dict.fromkeys(rule.sentence for one in leads for rule in one))
    if messages:
        said = (
            change_of(world, one, label, label is not None)
            for one, label in zip(messages, labels, strict=True)
        )
        return " ".join(dict.fromkeys(said))
    if told_alone:
        return f'It should say "{world.labels[told_alone[0]]}".'
    return "Say more clearly what counts in a message."

"""Optimizer requests that are none of nullgrad's own: another tool asks for a better instruction in its own words.

The path is small on purpose. It finds the current instruction between fences or tags or behind a marker, and returns it with
what a proposal finds. It does not know which label belongs to which example unless a marker stands before it.
"""

from __future__ import annotations

import re

from nullgrad.edges.sim.messages import check_class
from nullgrad.edges.sim.mix import text_key
from nullgrad.edges.sim.optimizer import leads_of
from nullgrad.edges.sim.prompts import read_prompt
from nullgrad.edges.sim.proposals import Update, luck_of, propose, shown_key
from nullgrad.edges.sim.vocabulary import read_messages
from nullgrad.edges.sim.worlds import World

_ASKS = re.compile(
    r"\b(?:improv|rewrit|rephras|paraphras|reword|revis|refin|optimi[sz]|propos|generat|writ|creat|suggest|variat|mutat|crossover|better|new)"
    r"\w*\b[^.!?\n]{0,120}\b(?:prompt|instruction)s?\b",
    re.IGNORECASE,
)
_KEEPS = re.compile(
    r"\b(?:paraphras|rephras|reword)\w*|keep(?:ing)? (?:its|the) (?:semantic )?meaning|semantic(?:ally)?[ -]\w*",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```[^\n]*\n(.*?)\n?```", re.DOTALL)
_TAGGED = re.compile(
    r"<(?P<tag>(?:current_?|initial_?|old_?)?(?:prompt|instructions?))>(.*?)</(?P=tag)>",
    re.DOTALL | re.IGNORECASE,
)
_MARKED = re.compile(
    r"(?:(?:current|basic|initial|old|existing|original|base)\W{1,3})?(?:prompt|instructions?)\W{0,3}:[ \t]*\n?(?P<text>.+?)(?:\n\s*\n|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_TARGET = re.compile(
    r"(?:correct|expected|right|true|gold|reference|target)\b[^.\n]{0,30}?[:=]?\s*[\"'“`*]*(?P<label>[a-z]+)",
    re.IGNORECASE,
)


def asks_for_prompt(text: str) -> bool:
    """Whether a request wants an instruction."""
    return _ASKS.search(text) is not None


def generic_reply(world: World, text: str, draw: int) -> str | None:
    """A new instruction in the form that is asked for, None where no current one is found."""
    current = _current(text)
    if current is None:
        return None
    key = text_key(current)
    if _KEEPS.search(text):
        luck = luck_of(world, "generic", key, [], draw)
        return _framed(propose(world, read_prompt(current), "rewrite", luck).text, text)
    messages = read_messages(text)
    for message in messages:
        check_class(message, world.size, world.spec)
    ends = [*(one.start for one in messages[1:]), len(text)]
    labels = [_label(world, text[one.stop : end]) for one, end in zip(messages, ends, strict=False)]
    shown = [shown_key(one.key, label) for one, label in zip(messages, labels, strict=True)]
    luck = luck_of(world, "generic", key, shown, draw)
    update: Update = "one-step" if messages else "improve"
    leads = leads_of(world, messages, labels, luck)
    return _framed(propose(world, read_prompt(current), update, luck, leads).text, text)


def _current(text: str) -> str | None:
    for match in (*_FENCE.finditer(text), *_TAGGED.finditer(text)):
        body = match[match.lastindex or 1].strip()
        if len(body.split()) >= 2 and not read_messages(body):
            return body
    marked = _MARKED.search(text)
    return marked["text"].strip() if marked and len(marked["text"].split()) >= 2 else None


def _label(world: World, text: str) -> int | None:
    """The label that stands behind a marker such as "correct answer:"."""
    for match in _TARGET.finditer(text):
        if match["label"].lower() in world.labels:
            return world.labels.index(match["label"].lower())
    return None


def _framed(prompt: str, text: str) -> str:
    tags = re.findall(r"<(prompt|instruction|new_prompt|new_instruction)>", text, re.IGNORECASE)
    if tags:
        return f"<{tags[-1]}>{prompt}</{tags[-1]}>"
    return f"```\n{prompt}\n```" if "```" in text else prompt

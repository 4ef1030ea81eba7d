"""An instruction between fences or tags or behind a marker, and an improved one in the same dress: GEPA, and most prose."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nullgrad.core.chat import Message
from nullgrad.edges.sim.forms.sought import Sought, by_message, keeps_meaning
from nullgrad.edges.sim.vocabulary import read_messages

NAME = "fenced"

_ASKS = re.compile(
    r"\b(?:improv|rewrit|rephras|paraphras|reword|revis|refin|optimi[sz]|propos|generat|writ|creat|suggest|variat|mutat|crossover|better|new)"
    r"\w*\b[^.!?\n]{0,120}\b(?:prompt|instruction)s?\b",
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


def read(messages: Sequence[Message]) -> Sought | None:
    """A request that asks for an instruction and shows a current one."""
    text = "\n".join(one.content for one in messages)
    if _ASKS.search(text) is None:
        return None
    current = _current(text)
    if current is None:
        return None
    return Sought(
        NAME,
        "rewrite" if keeps_meaning(text) else "improve",
        lambda prompt: _framed(prompt, text),
        current,
        shown=by_message(text),
    )


def _current(text: str) -> str | None:
    for match in (*_FENCE.finditer(text), *_TAGGED.finditer(text)):
        body = match[match.lastindex or 1].strip()
        if len(body.split()) >= 2 and not read_messages(body):
            return body
    marked = _MARKED.search(text)
    return marked["text"].strip() if marked and len(marked["text"].split()) >= 2 else None


def _framed(prompt: str, text: str) -> str:
    tags = re.findall(r"<(prompt|instruction|new_prompt|new_instruction)>", text, re.IGNORECASE)
    if tags:
        return f"<{tags[-1]}>{prompt}</{tags[-1]}>"
    return f"```\n{prompt}\n```" if "```" in text else prompt

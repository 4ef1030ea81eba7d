"""promptolution's `<prompt>` tags: a scored history with examples (OPRO), two parents to merge, one to rephrase (CAPO)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nullgrad.core.chat import Message
from nullgrad.edges.sim.forms.sought import Sought, by_message, keeps_meaning

NAME = "promptolution"

_SCORED = re.compile(r"^text:\n(?P<text>.+?)\nscore:\s*(?P<score>-?\d+(?:\.\d+)?)", re.MULTILINE | re.DOTALL)
_PARENT = re.compile(
    r"^Prompt (?P<number>\d+):\s*(?P<text>.+?)(?=\nPrompt \d+:|\n\s*\n|\n\d+\.|\Z)", re.MULTILINE | re.DOTALL
)
_ONE = re.compile(r"^(?:Prompt|Input):\s*(?P<text>.+?)(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_OUTPUT = re.compile(r"Output:\s*(?P<rest>[^\n]*)")


def read(messages: Sequence[Message]) -> Sought | None:
    """A request that wants its reply between `<prompt>` tags."""
    text = messages[-1].content if messages else ""
    if "<prompt>" not in text or "</prompt>" not in text:
        return None

    def write(prompt: str) -> str:
        return f"<prompt>{prompt}</prompt>"

    scored = sorted(
        (
            (float(match["score"]), number, match["text"].strip())
            for number, match in enumerate(_SCORED.finditer(text))
        ),
    )
    if scored:
        return Sought(NAME, "improve", write, scored[-1][2], shown=_shown(text))
    parents = _last_parents(text)
    if len(parents) > 1:
        return Sought(NAME, "merge", write, parents[0], tuple(parents[1:]))
    kept = keeps_meaning(text)
    one = _ONE.search(text)
    if one is not None:
        return Sought(
            NAME,
            "rewrite" if kept else "improve",
            write,
            one["text"].strip(),
            shown=() if kept else _shown(text),
        )
    return None


def _shown(text: str) -> tuple[tuple[str, str], ...]:
    return by_message(text, lambda rest: "\n".join(match["rest"] for match in _OUTPUT.finditer(rest)))


def _last_parents(text: str) -> list[str]:
    """The prompts that are to be merged; earlier ones of the same numbers are an example of how to do it."""
    found = {match["number"]: match["text"].strip() for match in _PARENT.finditer(text)}
    return list(found.values())

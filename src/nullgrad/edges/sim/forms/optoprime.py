"""Trace's OptoPrime: a problem in sections headed `#Variables`, `#Feedback` and so on, and JSON with a "suggestion"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from nullgrad.core.chat import Message
from nullgrad.edges.sim.forms.sought import Sought, by_message, telling
from nullgrad.edges.sim.vocabulary import read_messages

NAME = "optoprime"

_HEADING = re.compile(
    r"^#(?P<name>Instruction|Code|Documentation|Variables|Constraints|Inputs|Others|Outputs|Feedback)[ \t]*\n",
    re.MULTILINE,
)
_VARIABLE = re.compile(
    r"^\(str\) (?P<name>\w+)=(?P<value>.*?)(?=\n\(\w+\) \w+[=:]|\Z)", re.MULTILINE | re.DOTALL
)
_INPUT = re.compile(
    r"^\(\w+\) [a-zA-Z_]\w*?(?P<number>\d+)=(?P<value>.*?)(?=\n\(\w+\) \w+[=:]|\Z)", re.MULTILINE | re.DOTALL
)
_LINE = re.compile(r"^ID (?P<number>\d+):", re.MULTILINE)


def read(messages: Sequence[Message]) -> Sought | None:
    """A request with variables that are to be changed."""
    text = messages[-1].content if messages else ""
    if '"suggestion"' not in "\n".join(one.content for one in messages):
        return None
    parts = _parts(text)
    variable = _VARIABLE.search(parts.get("Variables", ""))
    if variable is None:
        return None
    name = variable["name"]
    return Sought(
        NAME,
        "improve",
        lambda prompt: json.dumps(
            {"reasoning": "It follows from the feedback.", "answer": "", "suggestion": {name: prompt}},
            ensure_ascii=False,
        ),
        variable["value"].strip(),
        shown=_shown(parts),
    )


def _parts(text: str) -> dict[str, str]:
    """The sections of the last problem, by heading."""
    matches = list(_HEADING.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)]
    return {match["name"]: text[match.end() : end].strip() for match, end in zip(matches, ends, strict=True)}


def _shown(parts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Examples told in the feedback itself; else its numbered lines, each about the input of that place."""
    feedback = parts.get("Feedback", "")
    own = by_message(feedback)
    if own:
        return own
    inputs = _inputs(parts.get("Inputs", ""))
    places = [match.start() for match in _LINE.finditer(feedback)]
    if len(places) != len(inputs):
        return tuple((one, "") for one in inputs)
    lines = (feedback[start:end] for start, end in zip(places, [*places[1:], len(feedback)], strict=True))
    return tuple((one, telling(line)) for one, line in zip(inputs, lines, strict=True))


def _inputs(text: str) -> list[str]:
    """Messages in the order of the numbers that the nodes' names end with: they are listed in any order."""
    found: list[tuple[int, str]] = []
    for match in _INPUT.finditer(text):
        messages = read_messages(match["value"])
        if len(messages) == 1:
            found.append((int(match["number"]), match["value"]))
    return [value for _, value in sorted(found)]

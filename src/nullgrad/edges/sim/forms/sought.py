"""What a request of another tool's optimizer asks for, whatever form it is written in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from nullgrad.edges.sim.vocabulary import read_messages

Kind = Literal["improve", "rewrite", "merge", "describe", "answer"]
"""`improve` an instruction; `rewrite` it with its meaning kept; `merge` several; `describe` in prose what is shown, for a
later request; `answer` an example, as the task's own model."""

_MARK = re.compile(
    r"\b(?:correct|expected|right|true|truth|gold|reference|target|should\s+(?:say|be))\b(?P<rest>[^\n]*)",
    re.IGNORECASE,
)
_KEEPS = re.compile(
    r"\b(?:paraphras|rephras|reword)\w*|\b(?:keep|preserv)\w*\s+(?:(?:its|the)\s+)?(?:\w+\s+)?meaning|semantic(?:ally)?[ -]\w*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sought:
    """A request, read.

    Attributes:
        form: the form's name.
        kind: what is asked for.
        write: from what is asked for to the whole reply.
        prompt: the instruction that it begins from, "" where none is shown.
        others: further instructions, such as the other parent of a crossover.
        shown: examples as (text that holds the input, text that tells the right label), "" for what is not shown.
        notes: prose of earlier replies, such as feedback or a summary of the data.
    """

    form: str
    kind: Kind
    write: Callable[[str], str]
    prompt: str = ""
    others: tuple[str, ...] = ()
    shown: tuple[tuple[str, str], ...] = ()
    notes: str = ""


def telling(text: str) -> str:
    """What stands behind words such as "correct answer:", up to the end of its line; "" where there are none."""
    return "\n".join(match["rest"] for match in _MARK.finditer(text))


def keeps_meaning(text: str) -> bool:
    """Whether a request wants the meaning kept."""
    return _KEEPS.search(text) is not None


def by_message(text: str, told: Callable[[str], str] = telling) -> tuple[tuple[str, str], ...]:
    """The examples in a text: each message, and what is told between it and the next one."""
    messages = read_messages(text)
    return tuple(
        (text[one.start : one.stop], told(text[one.stop : after.start if after else len(text)]))
        for one, after in zip_longest(messages, messages[1:])
    )


def tagged(text: str, tag: str) -> list[str]:
    """What stands between a tag and its end, each stripped, in order."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL | re.IGNORECASE)
    return [one.strip() for one in found]

"""TextGrad's tags: feedback on a variable, call by call back to the prompt, and the improved variable."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nullgrad.core.chat import Message
from nullgrad.edges.sim.forms.sought import Sought, tagged, telling

NAME = "textgrad"

_CUT = re.compile(r"\s*\(\.\.\.\)\s*")
"""Where a long variable is shortened to its first and last words."""


def read(messages: Sequence[Message]) -> Sought | None:
    """A backward call or an update."""
    text = messages[-1].content if messages else ""
    variables = tagged(text, "VARIABLE")
    if not variables:
        return None
    if "<IMPROVED_VARIABLE>" in "\n".join(one.content for one in messages):
        return Sought(
            NAME,
            "improve",
            lambda prompt: f"<IMPROVED_VARIABLE>{prompt}</IMPROVED_VARIABLE>",
            _whole(variables[0], tagged(text, "LM_SYSTEM_PROMPT")),
            notes="\n".join(tagged(text, "FEEDBACK")),
        )
    objective = tagged(text, "OBJECTIVE_FUNCTION")
    if not objective:
        return None
    inputs = tagged(text, "LM_INPUT")
    evaluated = tagged(text, "INPUTS_TO_FUNCTION") + tagged(text, "OUTPUT_OF_FUNCTION")
    told = telling("\n".join([*evaluated, *objective]))
    return Sought(NAME, "describe", lambda prose: prose, shown=tuple((one, told) for one in inputs or [""]))


def _whole(short: str, prompts: Sequence[str]) -> str:
    """A variable as it is: its own span where that is whole, else from its first to its last words in the conversation."""
    parts = _CUT.split(short, maxsplit=1)
    if len(parts) == 1:
        return short
    head, tail = parts
    for prompt in prompts:
        start, end = prompt.find(head), prompt.rfind(tail)
        if 0 <= start < end:
            return prompt[start : end + len(tail)]
    return f"{head} {tail}"

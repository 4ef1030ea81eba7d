"""DSPy's field formats: sections headed `[[ ## field ## ]]`, or a JSON object with the fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from nullgrad.core.chat import Message
from nullgrad.edges.sim.forms.sought import Sought, by_message, keeps_meaning, telling
from nullgrad.edges.sim.vocabulary import LABELS, read_messages

NAME = "dspy"

_OUTPUTS = re.compile(r"Your output fields are:\n(?P<fields>.*?)(?:\n[^\n]*\[\[ ## |\n\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"^\s*\d+\. `(?P<name>\w+)`", re.MULTILINE)
_HEADER = re.compile(r"^\[\[ ## (?P<name>\w+) ## \]\][ \t]*\n?", re.MULTILINE)
_ATTEMPT = re.compile(
    r"Instruction #\d+:\s*(?P<text>.+?)(?=\s*(?:»|\n\[\d+\]|Prefix #|Resulting Score #|\Z))", re.DOTALL
)
_LABEL = re.compile(rf"['\"]?\w+['\"]?\s*[:=]\s*['\"]?({'|'.join(LABELS)})\b", re.IGNORECASE)

_PROSE = ("observations", "summary", "description", "program_description", "module_description")
"""Outputs that are read by a later request."""

_DATA = ("examples", "examples_with_feedback", "task_demos", "program_example")
"""Inputs that show examples."""

_BESIDE = ("previous_instructions", "additional_instructions", "attempted_instructions")
"""Inputs that are no instruction to begin from."""

_NOTES = (
    "dataset_description",
    "prior_observations",
    "observations",
    "program_description",
    "module_description",
)


def read(messages: Sequence[Message]) -> Sought | None:
    """A request whose first message lists output fields."""
    if len(messages) < 2:
        return None
    listed = _OUTPUTS.search(messages[0].content)
    outputs = [match["name"] for match in _FIELD.finditer(listed["fields"])] if listed else []
    if not outputs:
        return None
    fields = _fields(messages[-1].content)
    as_json = "[[ ## completed ## ]]" not in messages[0].content
    wanted = next((name for name in outputs if _is_instruction(name)), None)
    shown = tuple(one for name, value in fields.items() if name in _DATA for one in by_message(value, _told))
    notes = "\n".join(value for name, value in fields.items() if name in _NOTES)
    if wanted is not None:
        keeps = keeps_meaning(messages[0].content)
        return Sought(
            NAME,
            "rewrite" if keeps else "improve",
            lambda prompt: _written(outputs, {wanted: prompt}, as_json),
            _current(fields),
            shown=shown,
            notes=notes,
        )
    if any(name in _PROSE for name in outputs):
        return Sought(
            NAME,
            "describe",
            lambda prose: _written(outputs, {name: prose for name in outputs if name in _PROSE}, as_json),
            shown=shown,
            notes=notes,
        )
    if len(read_messages(messages[-1].content)) != 1:
        return None
    return Sought(NAME, "answer", lambda label: _written(outputs, {outputs[-1]: label}, as_json))


def _is_instruction(name: str) -> bool:
    return ("instruction" in name or name.endswith("prompt")) and "prefix" not in name


def _fields(text: str) -> dict[str, str]:
    """The input fields of the last message, by name."""
    matches = list(_HEADER.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)]
    found = {match["name"]: text[match.end() : end].strip() for match, end in zip(matches, ends, strict=True)}
    if found:
        # What follows the last field is DSPy's own sentence about the form of the reply.
        last = matches[-1]["name"]
        found[last] = found[last].rpartition("\n\n")[0].strip() or found[last]
    return found


def _current(fields: Mapping[str, str]) -> str:
    """The instruction to begin from; of attempts, which stand in the order of their scores, the best one."""
    for value in fields.values():
        attempts = [match["text"] for match in _ATTEMPT.finditer(value)]
        if attempts:
            return attempts[-1].strip().strip("«»\"'")
    own = {name: value for name, value in fields.items() if _is_instruction(name) and name not in _BESIDE}
    return next(iter(own.values()), "")


def _told(text: str) -> str:
    """The label of an example: told in words, or the field behind the input."""
    said = telling(text)
    if said or "Feedback" in text or "Generated Outputs" in text:
        return said
    field = _LABEL.search(text)
    return field[1] if field else ""


def _written(outputs: Sequence[str], values: Mapping[str, str], as_json: bool) -> str:
    whole = {
        name: values.get(name, "Answer:" if "prefix" in name else "It follows from what is shown.")
        for name in outputs
    }
    if as_json:
        return json.dumps(whole, ensure_ascii=False)
    sections = [f"[[ ## {name} ## ]]\n{value}" for name, value in whole.items()]
    return "\n\n".join([*sections, "[[ ## completed ## ]]"])

"""Candidates, and reading a new prompt out of an optimizer's reply.

What cannot be read with certainty is `Unparsed`: never an exception, never a guess, and never asked again
(asking until it parses would give the arm with the worse replies more draws than its control).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.words import ReplyForm

Candidate = Mapping[str, str]
"""From the name of a text to the text; `generator` is the instruction being optimized."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A new prompt was read."""

    prompt: str


@dataclass(frozen=True, slots=True)
class Unparsed:
    """No prompt came of a reply.

    `reason` is one of `failed`, `empty`, `truncated`, `filtered`, `refusal`, `preamble`, `no-block`,
    `several-blocks`, `too-short`, `label`, `no-feedback`.
    """

    reason: str
    text: str


_TAGGED = re.compile(r"<prompt>(.*?)</prompt>", re.DOTALL | re.IGNORECASE)
_OPEN_TAG = re.compile(r"</?prompt>", re.IGNORECASE)
_FENCED = re.compile(r"^```[^\n`]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
_REFUSAL = re.compile(
    r"^\W*(?:i['’]?m (?:very |really |so )?sorry|sorry\b|i (?:can ?not|can['’]t|am unable to|am not able to|won['’]t|"
    r"must decline|apologi[sz]e)|i['’]m (?:unable|not able|afraid)|my apologies|unfortunately,? i\b|as an ai\b)",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^\W*(?:sure\b|certainly\b|of course\b|absolutely\b|okay[,!. ]|great[,!]|here(?:['’]s| is| are)\b|"
    r"below is (?:the|a|an|my)\b|the (?:new|improved|rewritten|revised|updated) (?:prompt|instruction)s?\b[^.\n]{0,40}:|"
    r"(?:new|improved|rewritten|revised|updated) (?:prompt|instruction)s?\s*:|i(?:['’]ve| have) (?:rewritten|improved|revised|updated)\b)",
    re.IGNORECASE,
)
_LINE_DRESS = re.compile(r"^(?:[-*•]\s+|\d+[.)]\s+)?")


def parse_prompt(reply: Reply | Failed, form: ReplyForm, labels: tuple[str, ...] = ()) -> Parsed | Unparsed:
    """The new prompt in an optimizer's reply.

    Args:
        reply: what came back.
        form: `prompt-fenced` (between tags, or in the only code fence), `prompt-line` (the first line).
        labels: closed labels; a reply that is nothing but a label is the task's answer, not a prompt.
    """
    if isinstance(reply, Failed):
        return Unparsed("failed", reply.message)
    text = reply.text
    if reply.finish_reason == "length":
        return Unparsed("truncated", text)
    if reply.finish_reason == "content_filter":
        return Unparsed("filtered", text)
    if reply.finish_reason == "refusal":
        return Unparsed("refusal", text)
    if not text.strip():
        return Unparsed("empty", text)
    found = _line(text) if form == "prompt-line" else _block(text)
    if isinstance(found, Unparsed):
        return found
    prompt = found.strip()
    reason = _unfit(prompt, labels, minimum_words=3 if form == "prompt-line" else 1)
    return Unparsed(reason, text) if reason else Parsed(prompt)


def _block(text: str) -> str | Unparsed:
    tagged: list[str] = _TAGGED.findall(text)
    if len(_OPEN_TAG.findall(text)) != 2 * len(tagged):
        return Unparsed("several-blocks", text)
    blocks: list[str] = tagged or _FENCED.findall(text)
    if len(blocks) == 1:
        return blocks[0]
    if blocks:
        return Unparsed("several-blocks", text)
    return Unparsed("refusal" if _REFUSAL.match(text.strip()) else "no-block", text)


def _line(text: str) -> str:
    line = text.strip().splitlines()[0].strip()
    line = _LINE_DRESS.sub("", line, count=1)
    if len(line) > 1 and line[0] == line[-1] and line[0] in "\"'`":
        line = line[1:-1]
    return line


def _unfit(prompt: str, labels: tuple[str, ...], minimum_words: int) -> str:
    """The reason why a text cannot be a prompt, "" if it can."""
    if not prompt or not any(character.isalnum() for character in prompt):
        return "empty"
    if _REFUSAL.match(prompt):
        return "refusal"
    first_line = prompt.splitlines()[0]
    if _PREAMBLE.match(first_line):
        return "preamble"
    bare = prompt.strip(" .!?\"'`*").casefold()
    if bare in {label.casefold() for label in labels}:
        return "label"
    if len(prompt.split()) < minimum_words:
        return "too-short"
    return ""

"""Reading a new prompt out of an optimizer's reply.

What cannot be read with certainty is `Unparsed`: never an exception, never a guess, and never asked again
(asking until it parses would give the arm with the worse replies more draws than its control).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.reading.text import fold, parts, word_count
from nullgrad.core.words import ReplyForm


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


_TAG = re.compile(r"</?prompt>", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*```.*$", re.MULTILINE)
_LINE_DRESS = re.compile(r"^(?:[-*•]\s+|\d+[.)]\s+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

_CANNOT = (
    r"i(?:['’]m| am) (?:unable|not able|afraid)\b|i (?:can ?not|can['’]t|could ?n['’]t|won['’]t|will not|must decline|"
    r"have to decline|(?:must )?apologi[sz]e)\b"
)
_SORRY = (
    r"i(?:['’]m| am)(?: \w+)? sorry\b|sorry(?=[,.!:;]| but\b| i\b| about\b| for\b|$)|(?:my|our) apologies\b"
)
_OPENS_AS_REFUSAL = re.compile(rf"\W*(?:{_SORRY}|{_CANNOT}|unfortunately,? i\b|as an ai\b)", re.IGNORECASE)
"""What a reply without delimiters must not begin with."""

_DENIAL = re.compile(
    rf"\W*(?:as an ai\b[^.!?]{{0,60}}?,? )?(?:(?:{_SORRY}|unfortunately|i (?:must )?apologi[sz]e)[^.!?]{{0,60}}?\b)?"
    r"i(?:['’]m afraid (?:that )?i)? ?(?:can ?not|can['’]t|won['’]t|will not|['’]m (?:unable|not able) to|am (?:unable|not able) to)"
    r" (?:\w+ )?(?:help|assist|comply|do|fulfil|fulfill|provide|rewrite|write|create|generate|improve|answer|continue|support|"
    r"engage|produce|offer|complete|process)\b[^.!?]*[.!?]?|\W*(?:i (?:must|have to) decline|as an ai\b[^.!?]*\bi must decline)\b[^.!?]*[.!?]?",
    re.IGNORECASE,
)
_AROUND_DENIAL = re.compile(
    rf"\W*(?:(?:{_SORRY})[^.!?]*|i (?:must )?apologi[sz]e\b[^.!?]*|please (?:let me know|ask|try|provide|feel free)\b[^.!?]*|"
    r"if (?:you|there)\b[^.!?]*|is there (?:anything|something) else\b[^.!?]*|let me know\b[^.!?]*)[.!?]?",
    re.IGNORECASE,
)
_PROMPT_WORD = r"(?:prompt|instruction|version|text|wording|template)s?"
_NEW = r"(?:new|improved|better|rewritten|revised|updated|refined|optimi[sz]ed|final|modified|reworded|rephrased|suggested)"
_PREAMBLE = re.compile(
    r"\W*(?:(?:sure|certainly|of course|absolutely|definitely|great|understood|got it|no problem|yes|okay|ok|alright|all right|"
    r"thank you|thanks|happy to help|gladly)(?:\s*[,!.:;–—]|\s+(?:thing|here|i\b|let|below|for)|\s*$)|"
    r"here(?:['’]s| is| are| you (?:go|are))\b|(?:below|following) (?:is|are) (?:the|a|an|my)\b|as requested\b|"
    rf"(?:the |my |your )?{_NEW}(?: {_NEW})? {_PROMPT_WORD}\b(?: (?:is|would be|could be|reads|as follows|below)\b[^.\n]{{0,40}}|[^.\w\n][^.\n]{{0,40}})?(?::|$)|"
    rf"(?:the |my |your )?{_NEW}(?: {_NEW})? {_PROMPT_WORD} (?:is|would be|could be|reads)\b|"
    rf"{_PROMPT_WORD}\W*:|i(?:['’]ve| have|['’]ll| will| would|['’]d)(?: \w+)? "
    r"(?:rewritten|rewrite|improved?|revised?|updated?|refined?|changed?|made|make|suggest|provided?|reworded|rephrased?)\b|"
    r"let me\b|let['’]s (?:improve|rewrite|revise)\b|to improve (?:the|this|your)\b)",
    re.IGNORECASE,
)
"""What a reply without delimiters begins with where it is about the prompt."""


def parse_prompt(reply: Reply | Failed, form: ReplyForm, labels: tuple[str, ...] = ()) -> Parsed | Unparsed:
    """The new prompt in an optimizer's reply.

    Args:
        reply: what came back.
        form: `prompt-fenced` (between tags, or in the only code fence), `prompt-line` (the first line; tags count
            there, too). Between delimiters stands the prompt, whatever its first words; a line that begins like
            a refusal or like talk about the prompt is none.
        labels: closed labels; a reply of nothing but labels is the task's answer, not a prompt.
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
    tagged = form == "prompt-fenced" or _TAG.search(text) is not None
    found = _block(text) if tagged else _line(text)
    if isinstance(found, Unparsed):
        return found
    prompt = found.strip()
    reason = _unfit(prompt, labels) or (_no_prompt(prompt) if tagged else _no_line(prompt, text))
    return Unparsed(reason, text) if reason else Parsed(prompt)


def _block(text: str) -> str | Unparsed:
    tags = list(_TAG.finditer(text))
    if tags:
        if [tag[0].lower() for tag in tags] != ["<prompt>", "</prompt>"]:
            return Unparsed("several-blocks", text)
        return text[tags[0].end() : tags[1].start()]
    fences = list(_FENCE.finditer(text))
    # With a fence inside a fence it cannot be told where the block ends.
    if len(fences) > 2 or (len(fences) == 2 and fences[1][0].strip() != "```"):
        return Unparsed("several-blocks", text)
    if len(fences) == 2:
        return text[fences[0].end() : fences[1].start()]
    return Unparsed("refusal" if _OPENS_AS_REFUSAL.match(text) else "no-block", text)


def _line(text: str) -> str:
    line = text.strip().splitlines()[0].strip()
    line = _LINE_DRESS.sub("", line, count=1)
    if len(line) > 1 and line[0] == line[-1] and line[0] in "\"'`":
        line = line[1:-1]
    return line


def _unfit(prompt: str, labels: tuple[str, ...]) -> str:
    """The reason why a text cannot be a prompt, wherever it stood; "" if it can."""
    if not any(character.isalnum() for character in prompt):
        return "empty"
    known = {fold(label) for label in labels}
    if known and all(fold(item.strip(" .!?\"'`*")) in known for item in parts(prompt)):
        return "label"
    return ""


def _no_prompt(block: str) -> str:
    """The reason why a delimited block is no prompt: it is, as a whole, a refusal or an announcement."""
    sentences = _SENTENCE_END.split(block)
    if any(_DENIAL.fullmatch(one) for one in sentences) and all(
        _DENIAL.fullmatch(one) or _AROUND_DENIAL.fullmatch(one) for one in sentences
    ):
        return "refusal"
    if block.endswith(":") and "\n" not in block and _PREAMBLE.match(block):
        return "preamble"
    return "too-short" if word_count(block) < 2 else ""


def _no_line(line: str, text: str) -> str:
    """The reason why the first line of a reply is no prompt: without delimiters its opening must say so."""
    if _OPENS_AS_REFUSAL.match(line):
        return "refusal"
    # "Classify the text:" can be an instruction; before further lines it announces what was not read.
    if _PREAMBLE.match(line) or (line.rstrip("*_ ").endswith(":") and len(text.strip().splitlines()) > 1):
        return "preamble"
    return "too-short" if word_count(line) < 3 else ""

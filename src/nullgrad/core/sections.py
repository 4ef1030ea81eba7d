"""Sections of a prompt: Markdown blocks, else paragraphs, else sentences; the prompt without some, or with some alone.

Sections are cut so that their texts, put together, are the prompt again. A heading belongs to what follows it, an item of
a list keeps what is indented under it, and nothing inside a code fence is a boundary.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

SectionKind = Literal["block", "paragraph", "sentence"]

_HEADING = re.compile(r" {0,3}#{1,6}(?:\s|$)|(?:\*\*|__)[^*_\n]{1,120}(?:\*\*|__):?\s*$")
"""A heading: `#` to `######`, or a line that is bold as a whole."""

_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)\s*$")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+\S")
"""The beginning of an item of a list that is not itself inside an item."""

_FENCE = re.compile(r" {0,3}(?:```|~~~)")
_SENTENCE_END = re.compile(
    r"[.!?…]+[\"'”’)\]*_]*\s+(?=[\"'“‘(\[*_]*[^\W_a-z])|[。！？]+[」』”’）]*\s*(?=\S)"
    r"|[.!?:;…][\"'”’)\]*_]*\s*\n\s*(?=\S)|\n\s*(?=[-*+•#\"'“(\[]|[^\W_a-z])"
)
"""Where a sentence ends; a line's end counts where the next line looks like a beginning, not where text is wrapped."""

_ABBREVIATED = re.compile(
    r"\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|mr|mrs|ms|dr|prof|fig|eq)\.$|^\s*\(?\d{1,3}\.$", re.IGNORECASE
)
"""What ends in a period without ending a sentence: abbreviations, the number of an item."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a prompt.

    Attributes:
        number: from 0, in the order of the prompt.
        kind: how the prompt was cut.
        text: as it stands there, with the white space behind it.
    """

    number: int
    kind: SectionKind
    text: str

    @property
    def shown(self) -> str:
        """The text on one line."""
        return " ".join(self.text.split())


def cut(prompt: str) -> tuple[Section, ...]:
    """The sections of a prompt; a single one where it has no inner boundary, () where it is empty.

    Markdown blocks where headings or lists make two or more of them, else paragraphs where there are two or more, else
    sentences.
    """
    if not prompt.strip():
        return ()
    blocks, marked = _blocks(prompt)
    if len(blocks) > 1:
        return _numbered(blocks, "block" if marked else "paragraph")
    return _numbered(_sentences(prompt), "sentence")


def joined(sections: Iterable[Section]) -> str:
    """The prompt that consists of these sections."""
    return "".join(section.text for section in sections).strip()


def without(sections: Iterable[Section], left_out: Collection[int]) -> str:
    """The prompt without the sections of these numbers."""
    return joined(section for section in sections if section.number not in left_out)


def only(sections: Iterable[Section], kept: Collection[int]) -> str:
    """The prompt of the sections of these numbers alone."""
    return joined(section for section in sections if section.number in kept)


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text without the white space around them; a line end counts as an end."""
    return tuple(one for piece in _sentences(text) if (one := piece.strip()))


def _numbered(texts: Iterable[str], kind: SectionKind) -> tuple[Section, ...]:
    return tuple(Section(number, kind, text) for number, text in enumerate(texts))


def _blocks(prompt: str) -> tuple[list[str], bool]:
    """Blocks, and whether Markdown marks them; without marks they are the paragraphs."""
    lines = prompt.splitlines(keepends=True)
    headings, items, gaps = _boundaries(lines)
    # With headings, a section is what stands under one: cutting its list as well would leave headings alone.
    starts = headings if len(_pieces(lines, headings)) > 1 else headings | items | gaps
    return _pieces(lines, starts), bool(headings or items)


def _boundaries(lines: list[str]) -> tuple[set[int], set[int], set[int]]:
    """Numbers of the lines that begin a heading, an item of a list, a paragraph; none of them inside a fence."""
    headings: set[int] = set()
    items: set[int] = set()
    gaps: set[int] = set()
    fenced, listed, after_gap, after_heading = False, False, False, False
    for number, line in enumerate(lines):
        if _FENCE.match(line):
            if not fenced and after_gap and not listed:
                gaps.add(number)
            fenced = not fenced
            after_gap = False
            continue
        if fenced:
            continue
        if not line.strip():
            after_gap = True
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if _HEADING.match(line) or (_UNDERLINE.match(following) and (after_gap or number == 0)):
            headings.add(number)
            listed, after_heading = False, True
        elif _ITEM.match(line):
            if not after_heading:
                items.add(number)
            listed, after_heading = True, False
        else:
            if after_gap and not (listed and line[0] in " \t") and not after_heading:
                gaps.add(number)
                listed = False
            after_heading = False
        after_gap = False
    return headings, items, gaps


def _pieces(lines: list[str], starts: set[int]) -> list[str]:
    """Texts that begin at these lines; what is blank goes with what stands before it, or at the top behind it."""
    pieces: list[str] = []
    for number, line in enumerate(lines):
        if (pieces and number not in starts) or (pieces and not pieces[-1].strip()):
            pieces[-1] += line
        else:
            pieces.append(line)
    return pieces


def _sentences(text: str) -> list[str]:
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        if _ABBREVIATED.search(text[start : end.end()].rstrip()) or not text[start : end.end()].strip():
            continue
        found.append(text[start : end.end()])
        start = end.end()
    if text[start:].strip() or not found:
        found.append(text[start:])
    elif text[start:]:
        found[-1] += text[start:]
    return found

"""What a page is made of: sections of blocks, which the templates lay out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nullgrad.surfaces.charts.base import Chart, Column, Row, Table
from nullgrad.surfaces.html.diff import Piece

Kind = Literal[
    "charts",
    "table",
    "words",
    "note",
    "text",
    "heading",
    "facts",
    "diff",
    "prompt",
    "lineage",
    "quotes",
    "verdict",
]


@dataclass(frozen=True, slots=True)
class Block:
    """One block.

    Attributes:
        kind: which template lays it out.
        value: `charts`: charts, side by side where there is room; `table`: a `Table`; `words`: a `WordTable`; `note`, `text`,
            `heading`: a text; `facts`: (term, description) pairs; `diff`: pieces; `prompt`: a text in full; `lineage`: a
            `Lineage`; `quotes`: raw texts; `verdict`: (word, reason) of an audit.
        title: above it, "" for none.
    """

    kind: Kind
    value: Any
    title: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One section.

    Attributes:
        id: of its element, which others can link.
        title: its heading.
        blocks: in order.
    """

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class WordTable:
    """A table that is laid out in the page itself, since it is read and not looked up.

    Attributes:
        table: its data, for the download.
        tones: by column and word, how the word is coloured: `good`, `bad`, `equal` or `unsure`.
    """

    table: Table
    tones: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a lineage: a prompt gave way to another.

    Attributes:
        title: which step.
        remarks: scores and what was seen, one sentence each.
        texts: (name of the text, its pieces, characters left out).
        feedback: (what it is about, its words).
        feedback_left_out: replies that are not shown.
    """

    title: str
    remarks: tuple[str, ...]
    texts: tuple[tuple[str, tuple[Piece, ...], int], ...]
    feedback: tuple[tuple[str, str], ...]
    feedback_left_out: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """The prompts of one trial.

    Attributes:
        title: arm and trial.
        remarks: why this trial, and what was left out.
        seed: what it began from.
        changes: step by step.
        open: whether it is unfolded at first.
    """

    title: str
    remarks: tuple[str, ...]
    seed: str
    changes: tuple[Change, ...]
    open: bool


def charts(found: Sequence[Chart], title: str = "") -> Block:
    """Charts as one block."""
    return Block("charts", tuple(found), title)


def table_of(name: str, title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """A table of a page."""
    return Table(name, title, tuple(columns), tuple(rows))

"""Two versions of a text, word by word."""

from __future__ import annotations

import difflib
import re
from typing import Literal, NamedTuple

MOST_PAIRS = 2_000_000
"""Words of one text times words of the other up to which they are matched; beyond, what differs is shown as a whole."""


class Piece(NamedTuple):
    """A run of words: in both, only before (`del`), or only after (`ins`)."""

    kind: Literal["same", "del", "ins"]
    text: str


def word_diff(before: str, after: str) -> list[Piece]:
    """What goes and what comes; the pieces of `same` and `del` are `before`, those of `same` and `ins` `after`."""
    # A word with the space behind it: were spaces tokens, matching would be quadratic in them.
    a, b = re.findall(r"\s+|\S+\s*", before), re.findall(r"\s+|\S+\s*", after)
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    pieces = [Piece("same", "".join(a[:head]))]
    inner_a, inner_b = a[head : len(a) - tail], b[head : len(b) - tail]
    if len(inner_a) * len(inner_b) > MOST_PAIRS:
        pieces += [Piece("del", "".join(inner_a)), Piece("ins", "".join(inner_b))]
    else:
        # The last word of a text has no space behind it, and is the same word all the same.
        words = [one.rstrip() for one in inner_a], [one.rstrip() for one in inner_b]
        matcher = difflib.SequenceMatcher(None, *words, autojunk=False)
        for kind, a0, a1, b0, b1 in matcher.get_opcodes():
            if kind == "equal":
                for old, new in zip(inner_a[a0:a1], inner_b[b0:b1], strict=True):
                    pieces += _same(old, new)
                continue
            pieces += [Piece("del", "".join(inner_a[a0:a1])), Piece("ins", "".join(inner_b[b0:b1]))]
    pieces.append(Piece("same", "".join(a[len(a) - tail :])))
    return _joined(pieces)


def _same(old: str, new: str) -> list[Piece]:
    """One word in both texts, and what differs in the space behind it."""
    if old == new:
        return [Piece("same", old)]
    word = old.rstrip()
    return [Piece("same", word), Piece("del", old[len(word) :]), Piece("ins", new[len(word) :])]


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Without empty pieces, neighbours of one kind joined."""
    found: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if found and found[-1].kind == piece.kind:
            found[-1] = Piece(piece.kind, found[-1].text + piece.text)
        else:
            found.append(piece)
    return found

"""Log-probabilities of the labels, as a reply's first token gives them.

An engine returns the likeliest tokens before its grammar. A label is scored by the token that begins it; where a label is
not among them, or two labels begin with the same token, nothing is known of that example.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.reading.text import fold

_DRESS = " \t\r\n▁Ġ\"'`*"
"""What a token can have before the label's own characters: white space, also as tokenizers write it, and quotes."""

MOST_SHARED = 0.05
"""Probability of tokens that begin several labels, relative to those that begin one, up to which it is neglected."""


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Log-probabilities of the labels over some examples.

    Attributes:
        rows: in the order of the examples, each in that of the labels; None where they are not known.
        known: how many rows are.
        reason: why rows are unknown, in the words of the commonest cause; "" where all are known.
    """

    rows: tuple[tuple[float, ...] | None, ...]
    known: int
    reason: str


def label_scores(replies: Sequence[Reply | Failed], labels: Sequence[str]) -> LabelScores:
    """What the replies' first tokens say of the labels; failed calls are unknown, and no cause."""
    rows: list[tuple[float, ...] | None] = []
    causes: Counter[str] = Counter()
    for reply in replies:
        found = _row(reply, labels) if isinstance(reply, Reply) else None
        if isinstance(found, str):
            causes[found] += 1
            found = None
        rows.append(found)
    known = sum(row is not None for row in rows)
    reason = ""
    if causes:
        cause, count = causes.most_common(1)[0]
        reason = f"{cause} ({count} of {len(replies)} replies)"
    return LabelScores(tuple(rows), known, reason)


def _row(reply: Reply, labels: Sequence[str]) -> tuple[float, ...] | str:
    """The labels' log-probabilities, or why they are not known."""
    if not reply.logprobs:
        return "the endpoint returned no log-probabilities"
    first = next((token for token in reply.logprobs if token.token.strip(_DRESS)), None)
    if first is None:
        return "the reply has no first token"
    folded = [fold(label) for label in labels]
    answer = fold(reply.text.lstrip(_DRESS))
    if not any(answer.startswith(label) for label in folded):
        return "the reply does not begin with a label"
    own: dict[int, list[float]] = {}
    shared: list[float] = []
    for token, logprob in dict(((first.token, first.logprob), *first.top)).items():
        piece = fold(token.strip(_DRESS))
        begun = [place for place, label in enumerate(folded) if piece and _begins(piece, label)]
        whole = [place for place in begun if folded[place] == piece]
        if len(begun) > 1 and len(whole) != 1:
            shared.append(logprob)
        elif begun:
            own.setdefault((whole or begun)[0], []).append(logprob)
    if sum(map(exp, shared)) > MOST_SHARED * sum(exp(one) for some in own.values() for one in some):
        return "labels share their first token"
    if len(own) < len(labels):
        return "a label is not among the returned tokens, of which more can be asked for"
    return tuple(log(sum(map(exp, own[place]))) for place in range(len(labels)))


def _begins(piece: str, label: str) -> bool:
    """Whether a token begins a label, or is the label with its punctuation behind it."""
    return label.startswith(piece) or piece.rstrip(".,!:") == label

"""What every way of reading shares: dress taken off a reply, comparison forms, parts of a list.

Nothing here raises on any text, and every function is linear in its length: replies can hold NUL, lone
surrogates, or megabytes of one character.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import deque

_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_PAIRS = (
    ("```", "```"), ("**", "**"), ("__", "__"), ("`", "`"), ("*", "*"), ("_", "_"),
    ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("„", "“"), ("«", "»"),
)  # fmt: skip
_ROUNDS = 8

ANSWER_MARK = re.compile(
    r"\banswers?+(?:[\s*_]*+[:=]|\s++is\b[\s*_]*+:?+|\s++are\b[\s*_]*+:?+)[\s*_]*+", re.IGNORECASE
)
"""What announces an answer: "answer:", "answer is", "answers are", with Markdown around it."""

_LEADING_MARK = re.compile(
    r"[\s*_#>]*+(?:the\s++)?+(?:(?:final|correct)\s++)?+" + ANSWER_MARK.pattern.removeprefix(r"\b"),
    re.IGNORECASE,
)
_BULLET = re.compile(r"(?:[-*•]\s++|\d{1,3}[.)]\s++)(?=\S)")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_JOINT = re.compile(r"(?<=[^\W_])[\s_-]++(?=[^\W_])")
# Scripts without spaces between words: of these every character counts as a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
"""A word: letters and digits; a single character in a script without spaces."""
_CLOSINGS = tuple((mark, re.compile(re.escape(mark) + r"(?!\w)")) for mark in ("**", "__", "*", "_"))
_BRACKETS = {"[": "]", "(": ")", "{": "}"}


def clean(text: str) -> str:
    """The text without the dress around it: whitespace, Markdown emphasis and code marks, quotes, a final period.

    Marks go only in pairs, and only where they enclose the whole text; an ellipsis stays.
    """
    for _ in range(_ROUNDS):
        before = text
        text = text.strip().strip(_INVISIBLE).strip()
        if text.endswith(".") and not text.endswith(".."):
            text = text[:-1]
        for opening, closing in _PAIRS:
            ends = len(opening) + len(closing)
            if len(text) > ends and text.startswith(opening) and text.endswith(closing):
                inside = text[len(opening) : -len(closing)]
                if opening not in inside and closing not in inside:
                    text = inside
                    break
        if text == before:
            break
    return text


def undress(text: str) -> str:
    """`clean`, and without an "Answer:" or "The answer is" at the beginning."""
    text = clean(text)
    mark = _LEADING_MARK.match(text)
    return clean(_behind(text, mark)) if mark else text


def after_mark(text: str) -> str | None:
    """What follows the last "answer:" or "answer is", None where neither occurs."""
    mark = last_match(ANSWER_MARK, text)
    return _behind(text, mark) if mark else None


def _behind(text: str, mark: re.Match[str]) -> str:
    """What follows a mark; of emphasis that began before or in the mark, such as "answer: **yes**", not the end."""
    before, rest = text[text.rfind("\n", 0, mark.start()) + 1 : mark.end()], text[mark.end() :]
    for emphasis, closing in _CLOSINGS:
        if before.count(emphasis) % 2:
            rest = closing.sub("", rest, count=1)
        before = before.replace(emphasis, "")
    return rest


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last of the matches that do not overlap, None where there is none."""
    last = deque(pattern.finditer(text), maxlen=1)
    return last[0] if last else None


def word_count(text: str) -> int:
    """How many words there are."""
    return sum(1 for _ in WORD.finditer(text))


def squash(text: str) -> str:
    """One Unicode form (NFC) and single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def fold(text: str) -> str:
    """`squash` without regard to case."""
    return squash(squash(text).casefold())


def fold_loosely(text: str) -> str:
    """`fold` with the hyphens and underscores between words as spaces: "Card-arrival" is "card_arrival"."""
    return _JOINT.sub(" ", fold(text))


def normalize(text: str) -> str:
    """SQuAD's rule: case, punctuation, the articles a, an, the, and extra whitespace do not count.

    Punctuation is ASCII's, as published, and Unicode's categories P*. "" where nothing else is left.
    Source: the evaluation script of SQuAD 1.1, `normalize_answer`.
    """
    text = unicodedata.normalize("NFC", text).casefold()
    dropped = {ord(one): None for one in set(text) if one in string.punctuation or _is_punctuation(one)}
    return " ".join(_ARTICLE.sub(" ", text.translate(dropped)).split())


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")


def parts(text: str) -> tuple[str, ...]:
    """The items of a list: between commas, semicolons or lines; without brackets, bullets, quotes, "and"; no empty ones."""
    text = clean(text)
    if len(text) >= 2 and _BRACKETS.get(text[0]) == text[-1]:
        text = text[1:-1]
    found = []
    for piece in text.replace("\n", ",").replace(";", ",").split(","):
        piece = piece.strip()
        bullet = _BULLET.match(piece)
        piece = piece[bullet.end() :] if bullet else piece
        piece = clean(piece[4:] if piece[:4].casefold() == "and " else piece)
        if piece:
            found.append(piece)
    return tuple(found)

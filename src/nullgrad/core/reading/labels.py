"""Closed labels: which label a text means, whichever way it is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from nullgrad.core.reading.text import after_mark, clean, fold, fold_loosely, parts, squash, undress
from nullgrad.core.task import UnparsedAnswer
from nullgrad.errors import UserError

_FORMS: tuple[Callable[[str], str], ...] = (fold_loosely, fold, squash)
"""Ways of comparing, from the most forgiving to the strictest."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """A closed set of labels, compared in the most forgiving way in which they stay distinct.

    Attributes:
        labels: at least one, in their order.
        form: index of the way of comparing: 0 without regard to case, hyphens and underscores; 1 without
            regard to case; 2 as written but for white space.
        index: from the compared form to the label.
    """

    labels: tuple[str, ...]
    form: int
    index: dict[str, str]

    def compared(self, text: str) -> str:
        """The form of a text in which it is compared."""
        return _FORMS[self.form](text)

    def find(self, text: str) -> str | None:
        """The label that the whole text is, None if it is none; an "Answer:" before it and dress around it are allowed."""
        longest = 4 * max(map(len, self.labels)) + 1000
        # Most replies are the bare label, and undressing costs more than all the rest.
        for take in (str.strip, clean, undress):
            candidate = take(text)
            if len(candidate) <= longest:
                label = self.index.get(self.compared(candidate))
                if label is not None:
                    return label
        return None

    def occurring(self, text: str) -> tuple[str, ...]:
        """The labels that occur as whole words, in their order; a label inside an occurrence of a longer one does not count."""
        seen = self.compared(text)
        forms = list(self.index)
        found = set()
        for form, label in self.index.items():
            if form not in seen:
                continue
            longer = sorted((one for one in forms if one != form and form in one), key=len, reverse=True)
            rest = _words(*longer).sub("\0", seen) if longer else seen
            if _words(form).search(rest):
                found.add(label)
        return tuple(label for label in self.labels if label in found)


@lru_cache(maxsize=256)
def label_set(labels: tuple[str, ...]) -> LabelSet:
    """The set of some labels.

    Raises:
        UserError: there is none, one is empty, or two are the same.
    """
    if not labels or not all(label.strip() for label in labels):
        raise UserError(
            "A label is empty." if labels else "There are no labels.",
            "No reply could be read as it; nothing was run.",
            "List every label once, each with at least one character.",
        )
    for form, compared in enumerate(_FORMS):
        index = {compared(label): label for label in labels}
        if len(index) == len(labels):
            return LabelSet(labels, form, index)
    twice = next(label for place, label in enumerate(labels) if squash(label) in map(squash, labels[:place]))
    raise UserError(
        f"The label {twice!r} is listed twice.",
        "Nothing was run.",
        "List every label once; labels may differ in case, but not in white space alone.",
    )


@lru_cache(maxsize=1024)
def _words(*forms: str) -> re.Pattern[str]:
    """Any of the forms, not inside a word."""
    return re.compile(
        "|".join(
            (r"(?<!\w)" if _is_word(form[0]) else "")
            + re.escape(form)
            + (r"(?!\w)" if _is_word(form[-1]) else "")
            for form in forms
        )
    )


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def read_exact(text: str, labels: LabelSet | None) -> str | UnparsedAnswer:
    """The whole reply as an answer; with labels, it must be one of them."""
    if not text.strip():
        return UnparsedAnswer("empty", text)
    if labels is None:
        answer = undress(text)
        return answer or UnparsedAnswer("empty", text)
    return labels.find(text) or UnparsedAnswer("not-a-label", text)


def read_contained(text: str, labels: LabelSet) -> str | UnparsedAnswer:
    """The only label that occurs in a reply as a whole word. Negations are not understood: "not good" has "good"."""
    if not text.strip():
        return UnparsedAnswer("empty", text)
    found = labels.occurring(text)
    if len(found) == 1:
        return found[0]
    return UnparsedAnswer("ambiguous" if found else "no-label", text)


def as_labels(items: tuple[str, ...], labels: LabelSet | None) -> tuple[str, ...] | None:
    """Items as labels, or folded where the labels are open; None if one is no label."""
    if labels is None:
        return tuple(map(fold, items))
    known = [labels.find(item) for item in items]
    return tuple(label for label in known if label) if all(known) else None


def read_slots(text: str, slots: int, labels: LabelSet | None) -> str | UnparsedAnswer:
    """An answer of several slots in their order, joined by ", ".

    Tried in turn: what follows the last "answer is" or "answer:" up to an empty line, its first line; without such
    a mark the whole reply and, where the labels are closed, its last line.
    """
    if not text.strip():
        return UnparsedAnswer("empty", text)
    reason = "wrong-count"
    for region in _regions(text, closed=labels is not None):
        items = parts(region)
        if len(items) != slots:
            continue
        known = as_labels(items, labels)
        if known is not None:
            return ", ".join(known)
        reason = "not-a-label"
    return UnparsedAnswer(reason, text)


def read_set(text: str, labels: LabelSet | None) -> str | UnparsedAnswer:
    """A set of labels, each once, in the labels' order, joined by ", "; the empty set is written "none"."""
    if not text.strip():
        return UnparsedAnswer("empty", text)
    items = set_items(_regions(text, closed=False)[0], labels)
    return UnparsedAnswer("not-a-label", text) if items is None else join_set(items)


def set_items(text: str, labels: LabelSet | None) -> tuple[str, ...] | None:
    """The labels in a list, each once, in the labels' order or, where they are open, sorted; None if one is no label."""
    single = labels.find(text) if labels else None
    if single is not None:
        return (single,)
    items = parts(text)
    if not items or tuple(map(fold, items)) == (EMPTY_SET,):
        return ()
    known = as_labels(items, labels)
    if known is None:
        return None
    return (
        tuple(sorted(set(known))) if labels is None else tuple(one for one in labels.labels if one in known)
    )


def join_set(items: tuple[str, ...]) -> str:
    """How a set is written as an answer and as a target."""
    return ", ".join(items) or EMPTY_SET


EMPTY_SET = "none"
"""How the answer of no label at all is written, unless a label is written so."""


def _regions(text: str, *, closed: bool) -> tuple[str, ...]:
    """Where in a reply a list can stand, the likeliest place first."""
    marked = after_mark(text)
    if marked is not None:
        paragraph = marked.strip().split("\n\n", 1)[0]
        return paragraph, paragraph.split("\n", 1)[0]
    whole = text.strip()
    return (whole, whole.rsplit("\n", 1)[-1]) if closed else (whole,)

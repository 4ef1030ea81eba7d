"""Reading an answer out of a reply. No function here raises, whatever the text.

What cannot be read with certainty is an `UnparsedAnswer` whose `reason` is one of `empty`, `not-a-label`,
`no-label`, `ambiguous`, `no-option`, `no-number`, `number-out-of-range`, `wrong-count`, `no-match`. It holds
the whole reply. One way of reading per kind of scorer; each lies in its module of `reading`.
"""

from __future__ import annotations

import re

from nullgrad.core.reading.bbeh import (
    extract_answer,
    fuzzy_match,
    prediction_of,
    reference_of,
    strip_latex,
)
from nullgrad.core.reading.choice import Options, options_of, read_choice
from nullgrad.core.reading.labels import (
    LabelSet,
    label_set,
    read_contained,
    read_exact,
    read_set,
    read_slots,
)
from nullgrad.core.reading.number import number_of, read_number
from nullgrad.core.reading.text import clean, fold, last_match, normalize, parts, undress
from nullgrad.core.task import UnparsedAnswer

__all__ = [
    "LabelSet",
    "Options",
    "clean",
    "extract_answer",
    "fold",
    "fuzzy_match",
    "label_set",
    "normalize",
    "number_of",
    "options_of",
    "parts",
    "prediction_of",
    "read_bbeh",
    "read_choice",
    "read_contained",
    "read_exact",
    "read_normalized",
    "read_number",
    "read_pattern",
    "read_set",
    "read_slots",
    "read_whole",
    "reference_of",
    "strip_latex",
    "undress",
]


def read_whole(text: str) -> str | UnparsedAnswer:
    """The reply as it is, without white space around it."""
    return text.strip() or UnparsedAnswer("empty", text)


def read_normalized(text: str, labels: LabelSet | None) -> str | UnparsedAnswer:
    """The whole reply (behind an "Answer:") by SQuAD's rule; with labels, the one that it is by this rule."""
    if not text.strip():
        return UnparsedAnswer("empty", text)
    if labels is not None:
        exact = labels.find(text)
        if exact is not None:
            return exact
    plain = undress(text)
    answer = normalize(plain) or fold(plain)
    if labels is None:
        return answer or UnparsedAnswer("empty", text)
    found = [label for label in labels.labels if (normalize(label) or fold(label)) == answer]
    if len(found) == 1:
        return found[0]
    return UnparsedAnswer("ambiguous" if found else "not-a-label", text)


def read_pattern(text: str, pattern: re.Pattern[str], labels: LabelSet | None) -> str | UnparsedAnswer:
    """The last match of a pattern: its first group where it has one that took part, else all of it."""
    match = last_match(pattern, text)
    if match is None:
        return UnparsedAnswer("no-match", text)
    found = match[1] if pattern.groups and match[1] is not None else match[0]
    if not found.strip():
        return UnparsedAnswer("empty", text)
    if labels is None:
        return found.strip()
    return labels.find(found) or UnparsedAnswer("not-a-label", text)


def read_bbeh(text: str, labels: LabelSet | None, slots: int) -> str | UnparsedAnswer:
    """The answer by the publisher's rules of BIG-Bench Extra Hard.

    With labels, a reply that the publisher's rules match with none of them (with slots, with no tuple of them) is
    unparsed, which scores as the publisher does. Labels are given in their own spelling, slots joined by ", ".
    """
    prediction = prediction_of(text)
    if not prediction.strip():
        return UnparsedAnswer("empty", text)
    if slots > 1:
        return _bbeh_slots(text, prediction, labels, slots)
    if labels is None:
        return prediction
    found = [label for label in labels.labels if fuzzy_match(prediction, reference_of(label))]
    if len(found) == 1:
        return found[0]
    return UnparsedAnswer("ambiguous" if found else "not-a-label", text)


def _bbeh_slots(text: str, prediction: str, labels: LabelSet | None, slots: int) -> str | UnparsedAnswer:
    # Taken apart more forgivingly than the publisher does, whose rules then decide about the whole.
    bare = prediction.strip("[]").removesuffix("?")
    if labels is None:
        # As it is: without its dress an open answer would match targets that the publisher's rules keep apart.
        return (
            prediction.replace(",", ", ")
            if len(bare.split(",")) == slots
            else UnparsedAnswer("wrong-count", text)
        )
    known = {reference_of(label).replace("'", ""): label for label in labels.labels}
    reason = "wrong-count"
    for form in dict.fromkeys((prediction, bare)):
        items = form.replace("'", "").split(",")
        if len(items) == slots:
            reason = "not-a-label"
            canonical = ", ".join(known.get(item, "") for item in items)
            if known.keys() >= set(items) and fuzzy_match(prediction, reference_of(canonical)):
                return canonical
    return UnparsedAnswer(reason, text)

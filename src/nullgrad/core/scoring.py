"""Making scorers, and bringing targets into the form in which they are scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from nullgrad.core.answers import fuzzy_match, label_set, number_of, options_of, parts, reference_of
from nullgrad.core.chat import text_hash
from nullgrad.core.reading.labels import as_labels, join_set, set_items
from nullgrad.core.reading.number import spell
from nullgrad.core.scorers import options as given
from nullgrad.core.scorers.function import FunctionScorer
from nullgrad.core.scorers.judge import JudgeScorer
from nullgrad.core.scorers.pure import (
    BbehScorer,
    ChoiceScorer,
    ContainsScorer,
    ExactScorer,
    LabelsScorer,
    NormalizedScorer,
    NumberScorer,
    RegexScorer,
)
from nullgrad.core.task import Scorer
from nullgrad.core.words import Words
from nullgrad.errors import UserError

SCORERS: tuple[str, ...] = (
    "exact", "normalized", "contains", "choice", "number", "labels", "regex", "bbeh", "judge",
)  # fmt: skip
"""Kinds of scorers; `module:function` is a kind, too."""

SPEC_VERSION = 2
"""Raised when a rule of reading or scoring changes: scores by another rule belong to another task."""

_SLOTTED = ("labels", "bbeh", "judge")
_NOTHING = "Nothing was run."


def make_scorer(
    kind: str,
    *,
    labels: tuple[str, ...] = (),
    slots: int = 1,
    options: Mapping[str, Any] | None = None,
    function: Callable[..., float] | None = None,
    judge_words: Words | None = None,
) -> Scorer:
    """The scorer of a kind.

    Args:
        kind: one of `SCORERS`, or `module:function`.
        labels: the closed label set in its order, () for open answers.
        slots: number of slots of a tuple answer, 1 for a single answer.
        options: `number` takes tolerance (absolute, 1e-9) and relative (0); the greater margin counts. `regex`
            takes pattern and flags (letters out of i, m, s, x, a); `judge` rubric and threshold (0 to 1);
            `labels` partial (true: the share of slots, or for sets intersection over union).
        function: what a `module:function` names; takes the answer's text and the target, returns 0 to 1.
        judge_words: the pack's `judge`, needed by the kind `judge`.

    Raises:
        UserError: an unknown kind or option, an option's value out of range, labels that the kind cannot use.
    """
    named = dict(options or {})
    _check(kind, labels, slots, function)
    given.check_names(kind, named)
    known = label_set(labels) if labels and kind != "choice" else None
    spec = _spec(kind, labels, slots, named, judge_words if kind == "judge" else None)
    match kind:
        case "exact":
            return ExactScorer(spec, known)
        case "normalized":
            return NormalizedScorer(spec, known)
        case "contains":
            return ContainsScorer(spec, known)
        case "choice":
            return ChoiceScorer(spec, known, options_of(labels))
        case "number":
            tolerance = given.amount(named, kind, "tolerance", "1e-9")
            return NumberScorer(spec, known, tolerance, given.amount(named, kind, "relative", "0"))
        case "labels":
            return LabelsScorer(spec, known, slots, given.switch(named, kind, "partial"))
        case "regex":
            return RegexScorer(spec, known, given.pattern(named))
        case "bbeh":
            return BbehScorer(spec, known, slots)
        case "judge":
            if judge_words is None:
                raise UserError(
                    "The scorer judge was given no words to ask with.",
                    _NOTHING,
                    "Pass the template `judge` of a pack.",
                )
            rubric, threshold = (
                given.needed_text(named, kind, "rubric"),
                given.share(named, kind, "threshold"),
            )
            return JudgeScorer(spec, judge_words, rubric, threshold)
        case _:
            assert function is not None
            return FunctionScorer(spec, known, kind, function)


def canonical_target(kind: str, target: str, labels: tuple[str, ...], slots: int) -> str:
    """A target in the form in which it is scored and shown: its label's spelling, a plain number, slots joined by ", ".

    Args:
        kind: of the scorer.
        target: as the data has it.
        labels: the closed label set, () for open answers.
        slots: number of slots, 1 for a single answer.

    Raises:
        UserError: the target is empty (a judge, a function and a set may do without), no label, no number, or
            has another number of slots.
    """
    text = target.strip()
    if kind == "labels" and slots == 1:
        return _canonical_set(text, labels)
    if not text:
        if kind == "judge" or ":" in kind:
            return ""
        raise UserError(
            "A target is empty.", "Nothing could be scored against it.", "Fill it in, or remove the row."
        )
    if slots > 1:
        return _canonical_slots(text, labels, slots)
    if kind == "number":
        number = number_of(text)
        if number is None:
            raise UserError(
                f"The target {_short(text)} is no number.",
                "The scorer number cannot compare with it.",
                "Write it in digits, or use the scorer exact or normalized.",
            )
        return spell(number)
    if kind == "choice":
        return _known(options_of(labels).label(text), text, labels or ("a letter of an option",))
    if not labels:
        return text
    found = label_set(labels).find(text)
    if found is None and kind == "bbeh":
        found = next((one for one in labels if fuzzy_match(reference_of(text), reference_of(one))), None)
    return _known(found, text, labels)


def _canonical_set(text: str, labels: tuple[str, ...]) -> str:
    known = label_set(labels) if labels else None
    items = set_items(text, known)
    if items is not None:
        return join_set(items)
    assert known is not None
    return _known(None, next((one for one in parts(text) if known.find(one) is None), text), labels)


def _canonical_slots(text: str, labels: tuple[str, ...], slots: int) -> str:
    items = parts(text)
    if len(items) != slots:
        raise UserError(
            f"The target {_short(text)} has {len(items)} slots instead of {slots}.",
            "It could never be scored as right.",
            'Separate the slots by commas, such as "yes, no, yes", or correct the number of slots.',
        )
    if not labels:
        return ", ".join(items)
    known = label_set(labels)
    for item in items:
        if known.find(item) is None:
            _known(None, item, labels)
    return ", ".join(as_labels(items, known) or ())


def _known(label: str | None, text: str, labels: tuple[str, ...]) -> str:
    if label is not None:
        return label
    listed = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
    raise UserError(
        f"The target {_short(text)} is none of the labels.",
        "No answer could be scored as right.",
        f"Correct it, or add it to the labels ({listed}).",
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _check(kind: str, labels: tuple[str, ...], slots: int, function: Callable[..., float] | None) -> None:
    """Refuse an unknown kind, and labels or slots that the kind cannot use."""
    if kind not in SCORERS and function is None:
        raise UserError(
            f"There is no scorer {kind!r}.", _NOTHING, given.nearest(kind, (*SCORERS, "module:function"))
        )
    if slots < 1:
        raise UserError(f"An answer cannot have {slots} slots.", _NOTHING, "Give 1 or more.")
    if slots > 1 and kind in SCORERS and kind not in _SLOTTED:
        raise UserError(
            f"The scorer {kind} reads a single answer, and the task has {slots} slots.",
            _NOTHING,
            "Use the scorer labels or bbeh, or leave out the slots.",
        )
    if kind == "contains" and not labels:
        raise UserError(
            "The scorer contains looks for labels, and the task has none.",
            _NOTHING,
            "List the labels, or use the scorer normalized or regex.",
        )
    if slots > 1 and any(len(parts(label)) != 1 for label in labels):
        raise UserError(
            "A label has a comma, a semicolon or a line end in it, which separate the slots.",
            _NOTHING,
            "Write the labels without.",
        )


def _spec(
    kind: str, labels: tuple[str, ...], slots: int, options: Mapping[str, Any], words: Words | None
) -> str:
    value: dict[str, Any] = {
        "v": SPEC_VERSION,
        "kind": kind,
        "labels": labels,
        "slots": slots,
        "options": options,
    }
    if words is not None:
        asked = [[role, template.text] for role, template in words.messages]
        value["words"] = text_hash(json.dumps([asked, words.stop, words.max_tokens]))
    try:
        return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError):
        raise UserError(
            f"An option of the scorer {kind} is no plain value.",
            _NOTHING,
            "Give texts, numbers, true or false.",
        ) from None


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError

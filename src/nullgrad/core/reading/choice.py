"""Multiple choice: which option's letter a reply settles on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from nullgrad.core.reading.text import last_match, undress
from nullgrad.core.task import UnparsedAnswer
from nullgrad.errors import UserError

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""The options where a task does not list its own."""

_LABEL = re.compile(r"[(\[]?([A-Za-z0-9])[)\].:]?")
# An "A" before a word can be the article; before one of these it is the option.
_AFTER_LETTER = r"(?:because|since|as|due|which|and|or|is|given|for|with|based)\b"

_NOT_BEFORE = re.compile(
    r"(?:\b(?:not|neither|nor|never|without|excludes?|eliminates?|rejects?|rules? out|ruling out)|n['’]t)"
    r"(?: (?:the|be|option|choice|answer)){0,3} [(\[]?$",
    re.IGNORECASE,
)
_NOT_AFTER = re.compile(
    r"[)\].:]? ?(?:(?:is|was|seems|must be|would be)(?: \w+)? (?:not|wrong|incorrect|false|excluded|impossible|out)\b"
    r"|(?:is|does|would)n['’]t\b|cannot\b|can ?not\b|can['’]t\b|does not\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a multiple-choice task.

    Attributes:
        labels: from the option's letter or digit, upper case, to the label as the task writes it.
        announced: an option announced as the answer: "answer is (B)", "choice: B", a boxed B.
        mentioned: an option in brackets, or behind the word "option", "choice" or "answer".
        heading: an option's mark at the beginning of a line, followed by its text.
    """

    labels: dict[str, str]
    announced: re.Pattern[str]
    mentioned: re.Pattern[str]
    heading: re.Pattern[str]

    def label(self, text: str) -> str | None:
        """The label that a text is as a whole: "B", "(b)", "B.", "Answer: B"; None if it is none."""
        match = _LABEL.fullmatch(undress(text)[:5])
        return self.labels.get(match[1].upper()) if match else None


def read_choice(text: str, options: Options) -> str | UnparsedAnswer:
    """The option that a reply answers with.

    In this order: the whole reply is an option; the last announced one ("the answer is B"; "A or B" is
    ambiguous); the last line is one; the only one that heads a line or is mentioned in brackets, but for those that
    are denied there ("not (A)", "(A) is wrong").
    """
    if not text.strip():
        return UnparsedAnswer("empty", text)
    whole = options.label(text)
    if whole is not None:
        return whole
    plain = _plain(text)
    announced = last_match(options.announced, plain)
    if announced is not None:
        if announced["other"] and announced["other"].upper() != announced["option"].upper():
            return UnparsedAnswer("ambiguous", text)
        return options.labels[announced["option"].upper()]
    last = options.label(plain.rsplit("\n", 1)[-1])
    if last is not None:
        return last
    for pattern in (options.heading, options.mentioned):
        found = {match["option"].upper() for match in pattern.finditer(plain) if not _denied(plain, match)}
        if len(found) == 1:
            return options.labels[found.pop()]
        if found:
            return UnparsedAnswer("ambiguous", text)
    return UnparsedAnswer("no-option", text)


def _denied(text: str, match: re.Match[str]) -> bool:
    """Whether a mention excludes its option: "not (A)", "(A) is wrong"."""
    before = text[max(0, match.start("option") - 40) : match.start("option")]
    return _NOT_BEFORE.search(before) is not None or _NOT_AFTER.match(text, match.end("option")) is not None


def _plain(text: str) -> str:
    """Without Markdown's and TeX's marks, and with no white space but single spaces and line ends."""
    text = re.sub(
        r"\\(?:text|mathrm|mathbf|textbf)\{", "", text.replace("*", "").replace("`", "").replace("$", "")
    )
    text = re.sub(r"[^\S\n]++", " ", text)
    return re.sub(r" ?\n[ \n]*+", "\n", text).strip()


@lru_cache(maxsize=64)
def options_of(labels: tuple[str, ...]) -> Options:
    """The options with these labels; A to Z where there are none.

    Raises:
        UserError: a label is neither a letter nor a digit (brackets around it are allowed), or two are the same.
    """
    known: dict[str, str] = {}
    for label in labels or LETTERS:
        match = _LABEL.fullmatch(label.strip())
        if match is None or match[1].upper() in known:
            raise UserError(
                f"The label {label!r} is no letter or digit of an option, or is listed twice.",
                "The scorer `choice` reads single letters such as A or (A); nothing was run.",
                "List the options' letters as labels, or use the scorer exact or contains for other labels.",
            )
        known[match[1].upper()] = label
    upper = "".join(known)
    either = re.escape(upper + upper.lower())
    # A bare lower-case letter must stand alone: "the answer is a matter of taste" names no option.
    option = (
        rf"[(\[\"'“‘]?(?:(?P<option>(?<=[(\[])[{either}](?=[)\]])"
        rf"|[{re.escape(upper)}](?![\w'’-])(?! (?!{_AFTER_LETTER})[a-z])"
        rf"|[{re.escape(upper.lower())}](?=[\"'”’]?(?:[)\].:,;}}]|\n|$))))"
    )
    other = rf"(?:[)\].:\"'”’}}]{{0,2}} ?(?:or|and|/|&|,) ?[(\[]?(?P<other>[{re.escape(upper)}])(?![\w'’]))?"
    return Options(
        known,
        re.compile(
            r"(?:\b(?i:answer|choice|option)(?: (?i:is|would be|must be|should be)\b ?:?| ?[:=])[ \n]?(?:\\boxed\{)?|\\boxed\{)"
            rf"(?:(?i:option|choice|answer) )?{option}{other}"
        ),
        re.compile(
            rf"(?:[(\[](?=[{either}][)\]])|\b(?i:option|choice|answer) [(\[]?(?=[{re.escape(upper)}](?![\w'’])))(?P<option>[{either}])"
        ),
        re.compile(rf"^[(\[]?(?P<option>[{re.escape(upper)}])[)\].:] ?(?=\S)", re.MULTILINE),
    )

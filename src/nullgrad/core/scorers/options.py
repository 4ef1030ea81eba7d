"""Which options each kind of scorer takes, and reading them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from nullgrad.errors import UserError

OPTIONS: dict[str, tuple[str, ...]] = {
    "exact": (),
    "normalized": (),
    "contains": (),
    "choice": (),
    "number": ("tolerance", "relative"),
    "labels": ("partial",),
    "regex": ("pattern", "flags"),
    "bbeh": (),
    "judge": ("rubric", "threshold"),
}
"""By kind; a user's function takes none."""

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}
_NOTHING = "Nothing was run."


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint that names the nearest known word and all of them."""
    known = list(words)
    near = difflib.get_close_matches(word, known, 1)
    return (f"Did you mean {near[0]}? " if near else "") + f"Known: {', '.join(known) or 'none'}."


def check_names(kind: str, options: Mapping[str, Any]) -> None:
    """Refuse options that the kind does not take.

    Raises:
        UserError: naming the nearest.
    """
    known = OPTIONS.get(kind, ())
    for name in options:
        if name not in known:
            raise UserError(f"The scorer {kind} has no option {name!r}.", _NOTHING, nearest(str(name), known))


def amount(options: Mapping[str, Any], kind: str, name: str, default: str) -> Decimal:
    """A finite number, 0 or more."""
    value = options.get(name, default)
    if name in options and (
        isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0
    ):
        raise _unfit(kind, name, value, "a number, 0 or more")
    return Decimal(str(value))


def switch(options: Mapping[str, Any], kind: str, name: str) -> bool:
    """True or false, false where it is not given."""
    value = options.get(name, False)
    if not isinstance(value, bool):
        raise _unfit(kind, name, value, "true or false")
    return value


def share(options: Mapping[str, Any], kind: str, name: str) -> float | None:
    """A number above 0 and up to 1, None where it is not given."""
    value = options.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise _unfit(kind, name, value, "a number above 0 and up to 1 (0.8 for 80 of 100)")
    return float(value)


def needed_text(options: Mapping[str, Any], kind: str, name: str) -> str:
    """A text that is not blank."""
    value = options.get(name)
    if not isinstance(value, str) or not value.strip():
        raise (
            _unfit(kind, name, value, "a text")
            if name in options
            else UserError(
                f"The scorer {kind} lacks its {name}.",
                _NOTHING,
                f'Write scorer: {{{kind}: {{{name}: "..."}}}} in the task file.',
            )
        )
    return value


def pattern(options: Mapping[str, Any]) -> re.Pattern[str]:
    """The compiled pattern of `regex`."""
    text, letters = needed_text(options, "regex", "pattern"), options.get("flags", "")
    if not isinstance(letters, str) or not set(letters) <= set(_FLAGS):
        raise _unfit("regex", "flags", letters, f"letters out of {', '.join(_FLAGS)}")
    flags = re.NOFLAG
    for letter in letters:
        flags |= _FLAGS[letter]
    try:
        return re.compile(text, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(
            f"The pattern {text!r} of the scorer regex cannot be compiled: {error}.",
            _NOTHING,
            "Write it as a regular expression of Python.",
        ) from None


def _unfit(kind: str, name: str, value: object, wanted: str) -> UserError:
    return UserError(f"The option {name!r} of the scorer {kind} is {value!r}.", _NOTHING, f"Give {wanted}.")

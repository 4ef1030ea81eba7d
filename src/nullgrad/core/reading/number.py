"""Reading a number out of a reply, exactly: decimals, never binary fractions."""

from __future__ import annotations

import re
from decimal import Context, Decimal, DecimalException

from nullgrad.core.reading.text import last_match
from nullgrad.core.task import UnparsedAnswer

EXACT = Context(prec=2100, Emax=9999, Emin=-9999)
"""Precision of comparisons: more digits than any number that is read can need."""

_LONGEST = 1000
_NUMBER = re.compile(
    r"""
    (?P<sign>(?<![\w.)\]])[-+\u2212\u2013])?+
    (?<![0-9A-Za-z_.])
    (?:[$€£¥]|\\\$)?+(?P<inner>(?<=[$€£¥])[-\u2212])?+
    (?:
      (?P<above>[0-9]++)/(?P<below>[0-9]++)(?![0-9/])
      |
      (?P<digits>(?:[0-9]{1,3}(?:[,\u00a0\u202f\u2009][0-9]{3})+(?![0-9])|[0-9]++)(?:\.[0-9]++)?+|\.[0-9]++)
      (?:[eE](?P<power>[-+\u2212]?[0-9]{1,4}(?![0-9])))?
    )
    """,
    re.VERBOSE,
)
_MARK = re.compile(r"\banswer(?:[\s*_]*+[:=]|\s++is\b|\s++would\s++be\b)|####|\\boxed\{", re.IGNORECASE)


def number_of(text: str) -> Decimal | None:
    """The number that a text is as a whole, None where it is anything else.

    Thousands may be grouped with commas; "$", "%" and a final period are dress (25 % is 25); "1/2" is 0.5.
    """
    text = _plain(text.strip().removesuffix(".").removesuffix("%").rstrip())
    match = _NUMBER.match(text) if len(text) <= _LONGEST else None
    return _value(match) if match and match.end() == len(text) else None


def read_number(text: str) -> Decimal | UnparsedAnswer:
    r"""The number that a reply answers with.

    After the last "answer is", "answer:", "####" or "\boxed{" that a number follows it is the first one, or,
    where an equation stands on that line, the first behind its last "="; elsewhere the last number of the reply.
    """
    plain = _plain(text)
    limit = len(plain)
    for mark in reversed(list(_MARK.finditer(plain))):
        found = _announced(plain, mark.end(), limit)
        if found is not None:
            return _checked(found, text)
        limit = mark.start()
    last = last_match(_NUMBER, plain)
    return UnparsedAnswer("no-number", text) if last is None else _checked(last, text)


def spell(value: Decimal) -> str:
    """One spelling for one number: no grouping, no exponent where digits will do, no trailing zeros."""
    if not value:
        return "0"
    if value.adjusted() > 30 or value.adjusted() < -30:
        return str(value.normalize(EXACT))
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def near(left: Decimal, right: Decimal, tolerance: Decimal, relative: Decimal) -> bool:
    """Whether two numbers differ by at most `tolerance`, or by at most `relative` of the right one."""
    margin = max(tolerance, EXACT.multiply(relative, abs(right)))
    return abs(EXACT.subtract(left, right)) <= margin


def _plain(text: str) -> str:
    r"""With a comma for what groups thousands in TeX, `{,}` and `\,`."""
    return text.replace("{,}", ",").replace("\\,", ",")


def _announced(text: str, start: int, limit: int) -> re.Match[str] | None:
    """The number behind a mark and before the next one, on the first line there that holds anything."""
    while start < limit and text[start].isspace():
        start += 1
    end = text.find("\n", start, limit)
    end = limit if end < 0 else end
    equals = text.rfind("=", start, end)
    behind = _NUMBER.search(text, equals + 1, end) if equals >= 0 else None
    return behind or _NUMBER.search(text, start, end)


def _checked(match: re.Match[str], text: str) -> Decimal | UnparsedAnswer:
    value = _value(match)
    return UnparsedAnswer("number-out-of-range", text) if value is None else value


def _value(match: re.Match[str]) -> Decimal | None:
    """The value of a match; None where it is too long to be meant as one, or divides by zero."""
    if match.end() - match.start() > _LONGEST:
        return None
    negative = bool(match["inner"]) or (match["sign"] or "+") != "+"
    try:
        if match["above"]:
            value = Context(prec=34).divide(Decimal(match["above"]), Decimal(match["below"]))
        else:
            digits = re.sub(r"[^0-9.]", "", match["digits"])
            power = (match["power"] or "0").replace("\u2212", "-")
            value = Decimal(f"{digits}e{power}")
    except DecimalException:
        return None
    return value.copy_negate() if negative and value else value

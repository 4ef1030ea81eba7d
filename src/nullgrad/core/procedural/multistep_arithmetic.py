"""Multistep arithmetic over operators that the text itself defines.

The form is that of BIG-Bench Extra Hard (Kazemi et al. 2025, Apache-2.0); its items can be read and solved
here. Code is our own and no item is copied. The conventions, each of them settled by the published answers:
composed operators go from left to right over the same right operand, a number below 2 is not prime, the
greatest common divisor is never negative, and definitions refer to earlier ones only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

SEED_PROMPT = "Work through the definitions step by step and compute the value that is asked for."

FORMAT_SUFFIX = (
    'End with one line that reads "The answer is: " and the value as a whole number in digits. '
    "For example: The answer is: -17"
)

NUMBER_WORDS: Mapping[str, int] = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
}

MAX_BITS = 1 << 24
"""Size at which an intermediate value is refused; the largest in the published items has 15 397 591 bits."""

Program = tuple["int | str | tuple[str, ...]", ...]
"""Postfix: an int, a variable or function of the operands, or a tuple of operator symbols to apply in order."""

_BUILT_IN: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}

_OPERANDS: Mapping[str, Callable[[int, int], int]] = {
    "a": lambda a, b: a,
    "b": lambda a, b: b,
    "-a": lambda a, b: -a,
    "-b": lambda a, b: -b,
    "min(a, b)": min,
    "max(a, b)": max,
    "gcd(a, b)": math.gcd,
    "|a-b|": lambda a, b: abs(a - b),
}

_RELATIONS: Mapping[str, Callable[[int, int], bool]] = {
    "<": lambda x, y: x < y,
    ">": lambda x, y: x > y,
    "==": lambda x, y: x == y,
}


class TooLarge(ValueError):
    """An intermediate value exceeds the calculator's limit."""


@dataclass(frozen=True, slots=True)
class Definition:
    """`a op b` equals `then` where `left relation right` holds, `otherwise` elsewhere.

    Attributes:
        relation: "<", ">", "==", or "prime": whether a or b is prime (`left` and `right` are empty then).
    """

    then: Program
    left: Program
    relation: str
    right: Program
    otherwise: Program


@dataclass(slots=True)
class Calculator:
    """Operators as defined so far.

    Attributes:
        max_bits: size of a value beyond which `TooLarge` is raised.
        composed: whether `a <op1><op2> b` may be written.
    """

    max_bits: int = MAX_BITS
    composed: bool = False
    definitions: dict[str, Definition] = field(default_factory=dict)

    def define(self, symbol: str, text: str) -> None:
        """Take in the right side of a definition, such as "$a + b$ if $a > b$ and $b$ otherwise.".

        Raises:
            ValueError: it cannot be read, or the symbol begins like another one.
        """
        taken = [*_BUILT_IN, *self.definitions]
        if any(symbol.startswith(other) or other.startswith(symbol) for other in taken):
            raise ValueError(f"not multistep arithmetic: operator {symbol!r} cannot be told from another one")
        match = _DEFINITION.fullmatch(text)
        if match is None:
            raise ValueError(f"not multistep arithmetic: cannot read the definition {text!r}")
        empty: Program = ()
        self.definitions[symbol] = Definition(
            then=self.program(match["then"]),
            left=self.program(match["left"]) if match["left"] else empty,
            relation=match["relation"] or "prime",
            right=self.program(match["right"]) if match["right"] else empty,
            otherwise=self.program(match["else1"] or match["else2"]),
        )

    def program(self, text: str) -> Program:
        """An expression in postfix; each pair of parentheses holds one operation, so that no precedence is needed.

        Raises:
            ValueError: it is not of the form, or uses an operator that is not defined before it.
        """
        out: list[int | str | tuple[str, ...]] = []
        groups: list[list[tuple[str, ...] | None]] = [[]]
        for token in _TOKEN.findall(text):
            if token == "(":
                groups.append([])
                continue
            if token == ")":
                closed = groups.pop()
                if not groups:
                    raise ValueError(f"not multistep arithmetic: unbalanced parentheses in {text!r}")
                _close(closed, out, text)
                groups[-1].append(None)
            elif (leaf := _leaf(token)) is not None:
                out.append(leaf)
                groups[-1].append(None)
            else:
                groups[-1].append(self._symbols(token))
        if len(groups) != 1:
            raise ValueError(f"not multistep arithmetic: unbalanced parentheses in {text!r}")
        _close(groups[0], out, text)
        return tuple(out)

    def run(self, program: Program, a: int = 0, b: int = 0) -> int:
        """The value of a program, for operands `a` and `b` where it stands in a definition.

        Raises:
            TooLarge: an intermediate value exceeds `max_bits`.
        """
        stack: list[int] = []
        for step in program:
            if isinstance(step, int):
                stack.append(step)
            elif isinstance(step, str):
                stack.append(_OPERANDS[step](a, b))
            else:
                right = stack.pop()
                for symbol in step:
                    stack.append(self.apply(symbol, stack.pop(), right))
        return stack.pop()

    def apply(self, symbol: str, a: int, b: int) -> int:
        """`a symbol b`.

        Raises:
            TooLarge: an intermediate value exceeds `max_bits`.
        """
        if symbol in _BUILT_IN:
            if symbol == "*" and a.bit_length() + b.bit_length() > self.max_bits + 1:
                raise TooLarge(f"an intermediate value exceeds {self.max_bits} bits")
            value = _BUILT_IN[symbol](a, b)
            if value.bit_length() > self.max_bits:
                raise TooLarge(f"an intermediate value exceeds {self.max_bits} bits")
            return value
        definition = self.definitions[symbol]
        if definition.relation == "prime":
            holds = is_prime(a) or is_prime(b)
        else:
            left, right = self.run(definition.left, a, b), self.run(definition.right, a, b)
            holds = _RELATIONS[definition.relation](left, right)
        return self.run(definition.then if holds else definition.otherwise, a, b)

    def _symbols(self, token: str) -> tuple[str, ...]:
        """The operators that a token is composed of; no symbol begins like another, so there is one reading."""
        found: list[str] = []
        rest = token
        while rest:
            symbol = next((one for one in (*_BUILT_IN, *self.definitions) if rest.startswith(one)), None)
            if symbol is None or (found and not self.composed):
                raise ValueError(f"not multistep arithmetic: unknown operator {token!r}")
            found.append(symbol)
            rest = rest[len(symbol) :]
        return tuple(found)


def solve(text: str) -> str:
    """The value asked for, in digits.

    Raises:
        ValueError: the text is not of the form, or an intermediate value exceeds `MAX_BITS`.
    """
    calculator = Calculator(composed="<op1><op2>" in text)
    values: dict[str, int] = {}
    asked = None
    for line in text.splitlines():
        if definition := _DEFINITION_LINE.fullmatch(line.strip()):
            calculator.define(definition["symbol"], definition["text"])
        elif let := _LET_LINE.fullmatch(line.strip()):
            program = calculator.program(let["text"])
            if any(isinstance(step, str) for step in program):
                raise ValueError(f"not multistep arithmetic: an unbound letter in {line!r}")
            values[let["name"]] = calculator.run(program)
        elif compute := _COMPUTE_LINE.fullmatch(line.strip()):
            asked = compute["sum"]
        elif not _OTHER_LINE.fullmatch(line.strip()):
            raise ValueError(f"not multistep arithmetic: cannot read the line {line!r}")
    if asked is None:
        raise ValueError("not multistep arithmetic: nothing is to be computed")
    total = 0
    for sign, name in re.findall(r"([+-]?) ?([A-Z])", asked):
        if name not in values:
            raise ValueError(f"not multistep arithmetic: {name} has no value")
        total += -values[name] if sign == "-" else values[name]
    if total.bit_length() > 4096:
        raise ValueError("not multistep arithmetic: the answer has more than a thousand digits")
    return str(total)


def is_prime(n: int) -> bool:
    """Whether a number is prime; below 2 none is. Exact below 3.3e24, by Miller and Rabin's test beyond.

    Raises:
        TooLarge: a number of more than 4096 bits without a small factor.
    """
    if n < 2:
        return False
    for prime in _SMALL_PRIMES:
        if n % prime == 0:
            return n == prime
    if n.bit_length() > 4096:
        raise TooLarge("whether a number of more than 4096 bits is prime takes too long to say")
    twos = ((n - 1) & -(n - 1)).bit_length() - 1
    for base in _SMALL_PRIMES[:13]:
        x = pow(base, (n - 1) >> twos, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


_SMALL_PRIMES = tuple(n for n in range(2, 1000) if all(n % k for k in range(2, math.isqrt(n) + 1)))

_TOKEN = re.compile(r"(?:min|max|gcd)\(a, b\)|\|a-b\||[()]|[^\s()]+")

_DEFINITION_LINE = re.compile(r"\$a (?P<symbol>[^\s\w()$|]+) b\$ equals (?P<text>.+)")

_DEFINITION = re.compile(
    r"\$(?P<then>[^$]+)\$ if "
    r"(?:either \$a\$ or \$b\$ is prime|\$(?P<left>[^$]+) (?P<relation>[<>]|==) (?P<right>[^\s$]+)\$)"
    r"(?: and \$(?P<else1>[^$]+)\$ otherwise(?:, where .*)?|; otherwise,\s+it equals \$(?P<else2>[^$]+)\$)\."
)

_LET_LINE = re.compile(r"Let (?P<name>[A-Z]) = (?P<text>.+?)\.?")

_COMPUTE_LINE = re.compile(r"Compute (?P<sum>[A-Z](?: [+-] [A-Z])*)\.(?: Your final answer must be .*)?")

_OTHER_LINE = re.compile(r"|.*\boperat(?:or|ion)s\b.*:|For brevity, .*<op1><op2>.*")


def _leaf(token: str) -> int | str | None:
    """A number or an operand; None for an operator."""
    if token in _OPERANDS:
        return token
    if token in NUMBER_WORDS:
        return NUMBER_WORDS[token]
    return int(token) if re.fullmatch(r"-?[0-9]{1,9}", token) else None


def _close(group: list[tuple[str, ...] | None], out: list[int | str | tuple[str, ...]], text: str) -> None:
    """Put the one operation of a closed group behind its operands (None stands for an operand)."""
    if len(group) == 3 and group[0] is None and group[1] is not None and group[2] is None:
        out.append(group[1])
    elif group != [None]:
        raise ValueError(f"not multistep arithmetic: more or less than one operation in a group of {text!r}")

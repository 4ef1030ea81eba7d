"""Generated multistep arithmetic: new operators and three expressions over them."""

from __future__ import annotations

import random
from collections.abc import Mapping

from nullgrad.core.draws import stream
from nullgrad.core.procedural.dials import Dial, Item, flags
from nullgrad.core.procedural.multistep_arithmetic import NUMBER_WORDS, Calculator, TooLarge

DIALS: Mapping[str, Dial] = {
    "operators": Dial(5, 1, 12, "new operators that an item defines (4 to 6 in BBEH)"),
    "depth": Dial(4, 1, 6, "levels of an expression that branches: 2 ** depth numbers (4 in BBEH)"),
    "length": Dial(17, 1, 40, "operations of an expression that is a chain (11 to 23 in BBEH)"),
    "chains": Dial(0.5, 0.0, 1.0, "share of expressions that are chains instead of branching (0.5 in BBEH)"),
    "composed": Dial(
        0.5, 0.0, 1.0, "share of items that compose operators, as in a <op1><op2> b (0.5 in BBEH)"
    ),
}

SYMBOLS = ("!", "#", "%", "&", "?", "@", "^", "~", ":", "<>", "[]", "><")
"""No symbol begins like another one, or composed operators could not be read."""

MAX_VALUE = 100_000
"""Bound on the size of every subexpression, as in most published items: digits are not the difficulty meant."""

_MAX_BITS = 64

_COMPOSITION = (
    "For brevity, $a <op1><op2> b$ stands for $(a op1 b) op2 b$, and so on for three operators. "
    "So $7 *+ 3$ is $(7 * 3) + 3$."
)

Plan = tuple[bool, tuple[bool, bool, bool]]
"""Whether an item composes operators, and which of its expressions A, B and C are chains."""


def plan(n: int, seed: int, dials: Mapping[str, float]) -> list[Plan]:
    """What each of `n` items is to be, in random order, with exact shares."""
    draws = stream("procedural", "multistep-arithmetic", seed, "plan")
    composed = flags(dials["composed"], n, draws)
    chains = flags(dials["chains"], 3 * n, draws)
    return [(composed[i], (chains[3 * i], chains[3 * i + 1], chains[3 * i + 2])) for i in range(n)]


def item(kind: Plan, dials: Mapping[str, float], draws: random.Random) -> Item:
    """One item as planned."""
    composed, chains = kind
    calculator = Calculator(max_bits=_MAX_BITS, composed=composed)
    lines = ["In this problem, these operators are new:", ""]
    templates: list[str] = []
    for symbol in draws.sample(SYMBOLS, int(dials["operators"])):
        templates = templates or draws.sample(_TEMPLATES, len(_TEMPLATES))
        text = _filled(templates.pop(), ["+", "-", "*", *calculator.definitions], draws)
        calculator.define(symbol, text)
        lines.append(f"$a {symbol} b$ equals {text}")
    lines.append(_COMPOSITION if composed else "")
    writer = _Writer(calculator, draws)
    total = 0
    for name, sign, chain in zip("ABC", (1, 1, -1), chains, strict=True):
        text, value = writer.chain(int(dials["length"])) if chain else writer.tree(int(dials["depth"]))
        lines.append(f"Let {name} = {text}")
        total += sign * value
    lines.append("Compute A + B - C.")
    return Item("\n".join(lines), str(total))


class _Writer:
    """Writes expressions and keeps their values, so that none grows beyond `MAX_VALUE`."""

    __slots__ = ("_calculator", "_draws")

    def __init__(self, calculator: Calculator, draws: random.Random) -> None:
        self._calculator = calculator
        self._draws = draws

    def tree(self, depth: int) -> tuple[str, int]:
        """A balanced expression over 2 ** depth numbers."""
        if depth == 0:
            return self._number()
        return self._join(self.tree(depth - 1), self.tree(depth - 1))

    def chain(self, length: int) -> tuple[str, int]:
        """An expression in which each operation takes the value so far and a number."""
        whole = self._number()
        for _ in range(length):
            whole = self._join(whole, self._number())
        return whole

    def _number(self) -> tuple[str, int]:
        value = self._draws.choice([*range(-10, 0), *range(1, 11)])
        if value > 0 and self._draws.random() < 0.5:
            return list(NUMBER_WORDS)[value - 1], value
        return str(value), value

    def _join(self, left: tuple[str, int], right: tuple[str, int]) -> tuple[str, int]:
        for _ in range(50):
            symbols = self._operator()
            try:
                value = left[1]
                for symbol in symbols:
                    value = self._calculator.apply(symbol, value, right[1])
            except TooLarge:
                continue
            if abs(value) <= MAX_VALUE:
                return f"({left[0]} {''.join(symbols)} {right[0]})", value
        # One of sum and difference is never larger than the larger operand.
        symbol = "+" if abs(left[1] + right[1]) <= MAX_VALUE else "-"
        return f"({left[0]} {symbol} {right[0]})", self._calculator.apply(symbol, left[1], right[1])

    def _operator(self) -> list[str]:
        count = self._draws.randint(1, 3) if self._calculator.composed else 1
        pool = ["+", "-", "*", *self._calculator.definitions]
        return [self._draws.choice(pool) for _ in range(count)]


_TEMPLATES = (
    "$a X b$ if $gcd(a, b) == 1$ and $gcd(a, b)$ otherwise, where gcd is the greatest common divisor.",
    "$min(a, b)$ if either $a$ or $b$ is prime and $max(a, b)$ otherwise.",
    "$(2 X b) Y a$ if $a > b$ and $b$ otherwise.",
    "$(b X a) Y b$ if $|a-b| < 2$ and $(a X b) Y a$ otherwise.",
    "$(a X a) Y b$ if $b < 2$ and $(b X b) Y a$ otherwise.",
    "$(a X b)$ if $a Y b > 0$; otherwise, it equals $a Z b$.",
    "$(a X b)$ if $a Y b > 0$; otherwise, it equals $-a X -b$.",
)
"""Definitions with operators X, Y and Z to be drawn."""


def _filled(template: str, pool: list[str], draws: random.Random) -> str:
    """A definition over operators of the pool; X and Z differ, or the two cases would be one."""
    x, y = draws.choice(pool), draws.choice(pool)
    z = draws.choice([symbol for symbol in pool if symbol != x])
    return template.replace(" X ", f" {x} ").replace(" Y ", f" {y} ").replace(" Z ", f" {z} ")

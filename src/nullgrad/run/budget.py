"""Budgets that hold to within the calls in flight, with the sealed test set aside first."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from nullgrad.core.chat import Usage
from nullgrad.errors import BudgetReached, UserError


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user allows for paid calls; None is no limit.

    Attributes:
        calls: number of calls.
        tokens: prompt plus completion tokens.
        usd: dollars.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Reserve:
    """What is set aside for the sealed test, and still unspent."""

    calls: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)

    def without(self, calls: int) -> Reserve:
        """What is left once `calls` of it are made, or need not be; tokens and dollars go in proportion."""
        left = max(self.calls - calls, 0)
        if left == 0:
            return Reserve()
        return Reserve(left, self.tokens * left // self.calls, self.usd * left / self.calls)


ENOUGH = 20
"""Calls of the generator from which on their mean cost replaces the forecast of the test's."""

MARGIN = 1.25
"""How much more than the mean a call of the test is taken to cost: the best prompt may be a long one."""


class Budget:
    """Counts what is spent against the limits; `unpriced` and `uncounted` are calls whose price or tokens are unknown.

    `admit` is asked before a call; what is in flight counts with the mean cost of the calls seen so far, and what is
    set aside for the test with that of the generator's calls, once there are enough of them to know it.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.calls = 0
        self.tokens = 0
        self.usd = Decimal(0)
        self.unpriced = self.uncounted = 0
        self.in_flight = 0
        self.reserve = Reserve()
        self._forward = Reserve()

    @property
    def held(self) -> Reserve:
        """What the reserve amounts to by what is known so far: the forecast, then the generator's own mean cost."""
        left, seen = self.reserve, self._forward
        if seen.calls < ENOUGH:
            return left
        share = left.calls * MARGIN / seen.calls
        return Reserve(left.calls, int(seen.tokens * share), seen.usd * Decimal(share))

    def admit(self, *, reserved: bool) -> None:
        """Take a place for one call.

        Args:
            reserved: whether the call belongs to what the reserve was made for.

        Raises:
            BudgetReached: the limits do not allow another call.
        """
        held = Reserve() if reserved else self.held
        done = max(self.calls, 1)
        mean_tokens = self.tokens / done
        mean_usd = self.usd / done
        limits = self.limits
        if limits.calls is not None and self.calls + self.in_flight + held.calls + 1 > limits.calls:
            raise _reached("calls", str(limits.calls), "--max-calls")
        if (
            limits.tokens is not None
            and self.tokens + self.in_flight * mean_tokens + held.tokens >= limits.tokens
        ):
            raise _reached("tokens", str(limits.tokens), "--max-tokens")
        if limits.usd is not None and self.usd + self.in_flight * mean_usd + held.usd >= limits.usd:
            raise _reached("dollars", str(limits.usd), "--max-usd")
        self.in_flight += 1
        if reserved:
            self.reserve = self.reserve.without(1)

    def settle(self, usage: Usage | None, usd: Decimal | None, *, forward: bool = False) -> None:
        """Give the place back and book what the call cost; `usage` is None where it failed.

        `forward` marks the generator's calls, by which the test's cost is judged.

        A reply whose cost is unknown is booked with the mean of those before it: 0 would let a limit never be reached.

        Raises:
            UserError: no cost is known yet of what is limited, so that the limit cannot be held.
        """
        self.in_flight -= 1
        if usage is None:
            return
        tokens = None
        if usage.prompt is not None and usage.completion is not None:
            tokens = usage.prompt + usage.completion
        unknown_tokens = tokens is None and self.uncounted == self.calls
        unknown_usd = usd is None and self.unpriced == self.calls
        self.tokens += self.tokens // max(self.calls, 1) if tokens is None else tokens
        self.usd += self.usd / max(self.calls, 1) if usd is None else usd
        self.uncounted += tokens is None
        self.unpriced += usd is None
        self.calls += 1
        if forward and tokens is not None:
            seen = self._forward
            self._forward = Reserve(seen.calls + 1, seen.tokens + tokens, seen.usd + (usd or Decimal(0)))
        if unknown_tokens and self.limits.tokens is not None:
            raise _unknown("how many tokens", "--max-tokens")
        if unknown_usd and self.limits.usd is not None:
            raise _unknown("what", "--max-usd")

    def set_aside(self, reserve: Reserve) -> None:
        """Keep `reserve` for the sealed test; an empty one gives back what is left of it."""
        self.reserve = reserve

    def check(self, reserve: Reserve) -> None:
        """Refuse limits that cannot pay for the sealed test.

        Raises:
            UserError: the limits are too small for it.
        """
        limits = self.limits
        for name, need, limit, option in (
            ("calls", reserve.calls, limits.calls, "--max-calls"),
            ("tokens", reserve.tokens, limits.tokens, "--max-tokens"),
            ("dollars", reserve.usd, limits.usd, "--max-usd"),
        ):
            if limit is not None and need > limit:
                raise UserError(
                    f"The sealed test alone needs {need} {name}, and {option} allows {limit}.",
                    "Nothing was asked: without the test there is no gain to report.",
                    f"Raise {option}, or shrink split.test in the task.",
                )


def _reached(what: str, limit: str, option: str) -> BudgetReached:
    return BudgetReached(
        f"The budget of {limit} {what} is spent.",
        "The run stopped; every reply paid for is in the ledger.",
        f"Run the same command with a larger {option} to go on from there.",
    )


def _unknown(what: str, option: str) -> UserError:
    return UserError(
        f"The endpoint does not say {what} a reply costs.",
        f"{option} cannot be held, so the run stopped; the replies paid for are in the ledger.",
        "Use --max-calls.",
    )

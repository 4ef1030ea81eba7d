"""What one trial of a foreign program may ask for.

It is counted as if nothing were shared: a replayed call counts like a paid one, or a resumed trial would get further
than an undisturbed one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from nullgrad.core.chat import Usage
from nullgrad.errors import UserError


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one trial may ask for; None is no limit.

    Attributes:
        calls: number of calls, of all roles.
        tokens: prompt plus completion tokens.
        usd: dollars.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: Decimal | None = None


_AMOUNT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<factor>[kM]?)\s*(?P<unit>calls?|tokens?|usd)")


def parse_allowance(text: str) -> Allowance:
    """What `2000calls`, `1.5Mtokens`, `5usd` or several of them with commas mean.

    Raises:
        UserError: a part cannot be read, or a unit is given twice.
    """
    found: dict[str, Decimal] = {}
    for part in text.split(","):
        match = _AMOUNT.fullmatch(part.strip())
        unit = {"c": "calls", "t": "tokens", "u": "usd"}[match["unit"][0]] if match else ""
        if match is None or unit in found:
            raise UserError(
                f"The budget {text!r} cannot be read.",
                "Nothing was run.",
                "Write such as 2000calls, 500ktokens or 5usd, or several of them with commas.",
            )
        found[unit] = Decimal(match["number"]) * {"": 1, "k": 1000, "M": 1_000_000}[match["factor"]]
    calls, tokens = found.get("calls"), found.get("tokens")
    return Allowance(
        None if calls is None else int(calls), None if tokens is None else int(tokens), found.get("usd")
    )


class Meter:
    """What one trial has asked, as if nothing were shared, against its allowance.

    Once it refuses a call it stays closed: a program that swallows the error gets no further.

    Attributes:
        closed: why it is closed, "" while it is open.
    """

    def __init__(self, allowance: Allowance | None = None) -> None:
        self.allowance = allowance or Allowance()
        self.calls = self.tokens = self.in_flight = 0
        self.usd = Decimal(0)
        self.closed = ""

    def admit(self, calls: int = 1) -> bool:
        """Take places for calls, all or none; what is in flight counts with the mean of those answered."""
        if self.closed:
            return False
        limits, done = self.allowance, max(self.calls, 1)
        if limits.calls is not None and self.calls + self.in_flight + calls > limits.calls:
            self.closed = f"The budget of {limits.calls} calls is spent."
        elif limits.tokens is not None and self.tokens + self.in_flight * self.tokens / done >= limits.tokens:
            self.closed = f"The budget of {limits.tokens} tokens is spent."
        elif limits.usd is not None and self.usd + self.in_flight * self.usd / done >= limits.usd:
            self.closed = f"The budget of {limits.usd} dollars is spent."
        else:
            self.in_flight += calls
        return not self.closed

    def settle(self, usage: Usage | None, usd: Decimal | None = None) -> None:
        """Book an answered call; `usage` is None where it failed, which counts as a call.

        Raises:
            UserError: what is limited is not known of this call, so that the limit cannot be held.
        """
        self.in_flight -= 1
        self.calls += 1
        if usage is None:
            return
        self.usd += usd or Decimal(0)
        if usage.prompt is not None and usage.completion is not None:
            self.tokens += usage.prompt + usage.completion
        elif self.allowance.tokens is not None:
            raise _unknown("how many tokens")
        if usd is None and self.allowance.usd is not None:
            raise _unknown("how many dollars")

    def release(self) -> None:
        """Give back the place of a call that was never made."""
        self.in_flight -= 1


def _unknown(what: str) -> UserError:
    return UserError(
        f"Nobody says {what} a reply costs.",
        "The budget cannot be held, so the gateway stopped; the replies paid for are in the ledger.",
        "Give the budget in calls.",
    )

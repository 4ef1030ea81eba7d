"""An optimizer that is not ours: who calls, which draw a call means, what was asked, how its trial ended.

Such a program sends requests and knows nothing of draws. A repeated request is another draw: how often it was asked
before within (arm, trial, role) enters the draw, so that a program that starts over is answered from the ledger in
the same order.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Literal, get_args

from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Message, Request, Role, Sampling
from nullgrad.core.draws import DrawPath, draw_of
from nullgrad.core.effects import About

ROLES: tuple[Role, ...] = get_args(Role)
"""Every role that a key can speak for."""

STAGE = "foreign"
"""`About.stage` of a call that a foreign program makes; what it is for, only that program knows."""

Ending = Literal["returned", "budget", "failed"]
"""How a trial ended: the optimizer returned, its budget was spent first, or it failed."""


class Refused(Exception):
    """A call that gets no reply, as HTTP says it.

    Attributes:
        status: 400 to 599; one that clients do not try again, unless trying again can help.
        code: a stable word.
        message: what happened and what to do.
        param: the parameter at fault, None for none.
    """

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a key speaks.

    Attributes:
        arm: canonical arm, such as `gepa/correct/correct`, or the name that the user gave a program.
        trial: trial number, from 0.
        role: whose model answers, and under which the call is counted.
    """

    arm: str
    trial: int
    role: Role

    @property
    def scope(self) -> str:
        """Scope of the trial's events."""
        return f"{self.arm}#{self.trial}"

    @property
    def about(self) -> About:
        """What its calls are for."""
        return About(self.role, STAGE, self.arm, self.trial)


@dataclass(frozen=True, slots=True)
class Order:
    """What one call asks for.

    Attributes:
        model: the model's name as the client wrote it; which one answers, the role decides.
        messages: in order.
        sampling: the parameters that the client sent.
        stop: texts that end a reply.
        logprobs: alternatives per token, 0 for no log-probabilities.
        seed: as the client sent it: a part of the request. None if it sent none.
        n: replies wanted, each a draw of its own, 1 or more.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    logprobs: int = 0
    seed: int | None = None
    n: int = 1

    def request(self, model: str, draw: int, choices: tuple[str, ...] = ()) -> Request:
        """The request to the model with this identity; `choices` are what an engine holds the reply to."""
        return Request(model, self.messages, self.sampling, choices, self.stop, self.logprobs, draw)


def foreign_draw(path: DrawPath, role: Role, seed: int | None, occurrence: int) -> int:
    """The draw of a call: (study seed, trial, arm in the `independent` design, role, client's seed, occurrence)."""
    return draw_of("foreign", path.study_seed, path.trial, path.arm, role, seed, occurrence)


class Occurrences:
    """How often each identical request was asked, by whatever tells requests apart.

    A number whose reply never reached the client (it hung up) is given again, the lowest first: a client that tries
    again after its own time-out gets the reply that it is waiting for, and not another draw.
    """

    def __init__(self) -> None:
        self._next: dict[tuple[Caller, str], int] = {}
        self._returned: dict[tuple[Caller, str], list[int]] = {}

    def take(self, key: tuple[Caller, str]) -> tuple[int, bool]:
        """The number of this occurrence, from 0, and whether it is a new one."""
        returned = self._returned.get(key)
        if returned:
            number = heapq.heappop(returned)
            if not returned:
                del self._returned[key]
            return number, False
        number = self._next.get(key, 0)
        self._next[key] = number + 1
        return number, True

    def give_back(self, key: tuple[Caller, str], number: int) -> None:
        """The reply with this number did not arrive."""
        heapq.heappush(self._returned.setdefault(key, []), number)

    def undo(self, key: tuple[Caller, str], count: int) -> None:
        """The last `count` new numbers were not used: nothing was asked."""
        self._next[key] -= count


@dataclass(slots=True)
class Use:
    """What was asked under one role.

    Attributes:
        calls: answered calls, failed ones included; `paid` + `replayed` + `joined` + `failed`.
        paid: calls that were made now.
        replayed: answered from the ledger.
        joined: answered by an identical call in flight.
        failed: calls that failed for good; the client got an error.
        refused: calls that got an error before any model was asked (not by a budget); not among `calls`.
        prompt_tokens, completion_tokens: of all answered calls, whoever paid.
        uncounted: replies whose tokens are unknown.
        usd: dollars of all answered calls, as if nothing were shared, None where a price is unknown.
        paid_usd: dollars of the calls that were made now, None likewise.
    """

    calls: int = 0
    paid: int = 0
    replayed: int = 0
    joined: int = 0
    failed: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    usd: Decimal | None = Decimal(0)
    paid_usd: Decimal | None = Decimal(0)

    def __add__(self, other: Use) -> Use:
        total = Use()
        for one in fields(self):
            left, right = getattr(self, one.name), getattr(other, one.name)
            setattr(total, one.name, None if left is None or right is None else left + right)
        return total


@dataclass(frozen=True, slots=True)
class Claim:
    """A candidate that a foreign optimizer reported.

    Attributes:
        number: in the order in which they arose, from 0.
        candidate: the prompt.
        score: the library's own score of it, None where it has none.
        parents: numbers of the candidates it was made from.
    """

    number: int
    candidate: Candidate
    score: float | None = None
    parents: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignResult:
    """What one trial of a foreign optimizer came to.

    Attributes:
        arm: canonical arm.
        trial: trial number, from 0.
        ended: how it ended, whatever the library made of it.
        candidate: the best prompt, None where there is no result.
        claimed: the library's own score of it, None where it has none.
        candidates: those reported as they arose, () without a hook.
        version: of the package, "" where the process did not say.
        use: by role, as if nothing were shared.
        counters: the library's own counts, by their names.
        failures: calls that got an error (failed ones and refused ones); a library that returned in spite of
            them has swallowed them.
        reason: why there is no result, or why it ended early; "" for a plain return.
    """

    arm: str
    trial: int
    ended: Ending
    candidate: Candidate | None
    claimed: float | None
    candidates: tuple[Claim, ...]
    version: str
    use: Mapping[str, Use]
    counters: Mapping[str, float]
    failures: int = 0
    reason: str = ""

    @property
    def swallowed(self) -> bool:
        """Whether the library returned although calls had failed: its scores may hold failures as zeros."""
        return self.ended == "returned" and self.failures > 0


def best_claim(claims: tuple[Claim, ...]) -> Claim | None:
    """The best of the candidates by the library's own scores, the first of equals; without scores the last to arise."""
    scored = [one for one in claims if one.score is not None]
    if scored:
        return max(scored, key=lambda one: (one.score or 0.0, -one.number))
    return claims[-1] if claims else None


def finite(value: object) -> float | None:
    """A score as a library gives it, None where it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)

"""Before a token is spent: calls by role, tokens, dollars, and the smallest gain that the test split resolves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nullgrad.analysis.stats.intervals import resolvable_gain
from nullgrad.analysis.study.attribution import LEAST_BLOCKS
from nullgrad.core.calls import Calls
from nullgrad.core.chat import Role, Usage
from nullgrad.core.plan import Plan

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English; forecasts made with it are marked as estimates."""

REPLY_TOKENS = 300
"""Assumed length of a free reply where no limit is set."""

JUDGE_TOKENS = 60
"""Assumed length of a judge's reply."""

WORDS_TOKENS = 250
"""Assumed length of the words around what an optimizer, critic or judge is shown."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will ask and about what it costs.

    Attributes:
        main: calls asked by the main arm and its sealed test; exact when every rewrite parses.
        controls: calls asked by controls; shared requests are paid once, so that less is paid.
        test: calls of the sealed test, part of `main`.
        prompt_tokens, completion_tokens: estimates over all calls asked.
        test_tokens: estimate for the sealed test.
        usd: estimate in dollars, None where a price is unknown.
        test_usd: of the sealed test.
        resolvable: half-width of the gain's interval in points, if a fifth of the answers changes.
        test_examples: size of the test split.
        note: what the controls asked for cannot show, "" where there is nothing to say.
    """

    main: Calls
    controls: Calls
    test: Calls
    prompt_tokens: int
    completion_tokens: int
    test_tokens: int
    usd: Decimal | None
    test_usd: Decimal | None
    resolvable: float
    test_examples: int
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        roles = {"main": dict(self.main.by_role), "controls": dict(self.controls.by_role)}
        return {
            "calls": {"asked": (self.main + self.controls).total, **roles, "sealed_test": self.test.total},
            "tokens_estimate": {"prompt": self.prompt_tokens, "completion": self.completion_tokens},
            "usd_estimate": None if self.usd is None else float(self.usd),
            "resolvable_gain_points": round(self.resolvable, 2),
            "test_examples": self.test_examples,
            "note": self.note,
        }


Price = Callable[[str, Usage], Decimal | None]


def forecast(plan: Plan, price: Price) -> Forecast:
    """Forecast a plan; `price` gives dollars of a usage by a model's identity, None where unknown."""
    view = plan.task.view
    test = plan.reading * plan.readings
    every = plan.main_calls + plan.control_calls
    sample = (*view.train, *view.validation, *plan.task.test)[:200]
    forward = _mean_tokens(
        [sum(len(message.content) for message in view.messages(view.seed_prompt, one)) for one in sample]
    )
    batch = plan.batch_size * forward if plan.arm.uses_examples else 0
    prompts: dict[Role, int] = {
        "generator": forward,
        "optimizer": WORDS_TOKENS + batch,
        "critic": WORDS_TOKENS + forward,
        "judge": WORDS_TOKENS + forward,
    }
    usages = {role: Usage(prompt, _reply(plan, role)) for role, prompt in prompts.items()}

    def tokens(calls: Calls) -> tuple[int, int]:
        asked = calls.by_role.items()
        return (
            sum(count * (usages[role].prompt or 0) for role, count in asked),
            sum(count * (usages[role].completion or 0) for role, count in asked),
        )

    def dollars(calls: Calls) -> Decimal | None:
        total = Decimal(0)
        for role, count in calls.by_role.items():
            if count:
                one = price(plan.cast[role].model, usages[role])
                if one is None:
                    return None
                total += one * count
        return total

    asked = tokens(every)
    return Forecast(
        plan.main_calls,
        plan.control_calls,
        test,
        asked[0],
        asked[1],
        sum(tokens(test)),
        dollars(every),
        dollars(test),
        100 * resolvable_gain(len(plan.task.test)),
        len(plan.task.test),
        f"The controls run in {plan.trials} of the {LEAST_BLOCKS} trials that an attribution needs: it will say "
        "that nothing can be attributed. Give --trials 3 or more."
        if plan.control_arms and plan.trials < LEAST_BLOCKS
        else "",
    )


def _mean_tokens(lengths: list[int]) -> int:
    return max(1, round(sum(lengths) / max(1, len(lengths)) / CHARACTERS_PER_TOKEN))


def _reply(plan: Plan, role: Role) -> int:
    """Tokens of a reply: a label and its surroundings where the answer is one, else what free texts take."""
    limit = plan.cast[role].sampling.max_tokens
    labels = plan.task.view.labels
    free = REPLY_TOKENS
    if role == "generator" and labels:
        free = plan.task.view.slots * (2 + max(len(label) for label in labels) // CHARACTERS_PER_TOKEN)
    elif role == "judge":
        free = JUDGE_TOKENS
    return min(limit, free) if limit else free

"""What an audit will ask and about what it costs, before a token is spent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from nullgrad.analysis.forecast import (
    CHARACTERS_PER_TOKEN,
    JUDGE_TOKENS,
    REPLY_TOKENS,
    WORDS_TOKENS,
    Forecast,
    Price,
)
from nullgrad.analysis.stats.intervals import resolvable_gain
from nullgrad.core.audit_plan import AuditPlan
from nullgrad.core.calls import Calls
from nullgrad.core.chat import Role, Usage


def forecast_audit(plan: AuditPlan, price: Price) -> Forecast:
    """Forecast an audit; calls are at most these, for what is recorded or comes out alike is not asked again.

    Args:
        plan: what is asked for.
        price: dollars of a usage by a model's identity, None where unknown.
    """
    view = plan.task.view
    sample = (*view.validation, *plan.task.test)[:200]
    lengths = [
        sum(len(message.content) for message in view.messages(prompt, one))
        for one in sample
        for prompt in (plan.before, plan.after)
    ]
    forward = max(1, round(sum(lengths) / max(1, len(lengths)) / CHARACTERS_PER_TOKEN))
    usages: dict[Role, Usage] = {
        "generator": Usage(forward, _reply(plan, "generator")),
        "judge": Usage(WORDS_TOKENS + forward, _reply(plan, "judge")),
    }

    def tokens(calls: Calls) -> tuple[int, int]:
        asked = [(count, usages[role]) for role, count in calls.by_role.items() if count]
        return (
            sum(count * (usage.prompt or 0) for count, usage in asked),
            sum(count * (usage.completion or 0) for count, usage in asked),
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

    calls, test = plan.calls, plan.test_calls
    prompt, completion = tokens(calls)
    return Forecast(
        main=calls,
        controls=Calls(),
        test=test,
        prompt_tokens=prompt,
        completion_tokens=completion,
        test_tokens=sum(tokens(test)),
        usd=dollars(calls),
        test_usd=dollars(test),
        resolvable=100 * resolvable_gain(len(plan.task.test)),
        test_examples=len(plan.task.test),
        note=_note(plan),
    )


def main_test(plan: AuditPlan, expected: Forecast) -> Forecast:
    """The forecast with the sealed test of the two prompts alone: what a budget must at least allow."""
    both = 2 * len(plan.task.test)
    share = both / max(expected.test.generator, 1)
    usd = expected.test_usd
    calls = Calls(both, judge=both if plan.task.view.scorer.asks else 0)
    return replace(
        expected,
        test=calls,
        test_tokens=round(expected.test_tokens * share),
        test_usd=None if usd is None else usd * Decimal(share),
    )


def _note(plan: AuditPlan) -> str:
    parts = [f"{plan.reading_calls.total:,} for both prompts on validation and test"]
    if plan.fresh:
        parts.append(f"{plan.fresh_calls.total:,} for a new run of both")
    if plan.sections:
        parts.append(
            f"up to {plan.section_calls.total:,} for the ablation of {len(plan.cuts)} sections, each prompt "
            f"{plan.repeats} times on validation"
        )
    return f"Of these {'; '.join(parts)}. What the ledger holds is not asked again."


def _reply(plan: AuditPlan, role: Role) -> int:
    """Tokens of a reply: a label and its surroundings where the answer is one, else what free texts take."""
    limit = plan.cast[role].sampling.max_tokens
    labels = plan.task.view.labels
    free = JUDGE_TOKENS if role == "judge" else REPLY_TOKENS
    if role == "generator" and labels:
        free = plan.task.view.slots * (2 + max(len(label) for label in labels) // CHARACTERS_PER_TOKEN)
    return min(limit, free) if limit else free

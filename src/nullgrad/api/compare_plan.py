"""Before a comparison asks anything: calls at most by entry, readings of the test, and about what that costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nullgrad.analysis.forecast import CHARACTERS_PER_TOKEN, REPLY_TOKENS, WORDS_TOKENS
from nullgrad.api.cashier import Cashier
from nullgrad.core.calls import test_calls
from nullgrad.core.chat import Role, Usage
from nullgrad.core.compare import Entry
from nullgrad.core.compare_entries import MOST_STEPS, own_arm, own_calls
from nullgrad.core.foreign_budget import Allowance
from nullgrad.edges.optimizers import KNOWN
from nullgrad.ports import Model
from nullgrad.run.compare import CompareWork


@dataclass(frozen=True, slots=True)
class EntryPlan:
    """What one trial of an entry asks.

    Attributes:
        name: canonical.
        package: requirement of its package, "" for an own arm.
        calls: at most, None where the budget is not in calls.
        by_role: calls by role of an own arm, exact when every rewrite parses; {} of others.
        steps: update steps of an own arm; None of others, and where the budget is not in calls.
    """

    name: str
    package: str
    calls: int | None
    by_role: dict[str, int]
    steps: int | None


@dataclass(frozen=True, slots=True)
class ComparePlan:
    """What a comparison asks at most.

    Attributes:
        entries: of one trial each.
        trials: of each entry.
        budget: of one trial.
        reading: calls of one reading of the sealed test.
        readings: at most; a prompt that is the block's seed prompt is read for free.
        processes: third-party trials, each a process of its own.
        parallel: trials side by side.
        calls: at most, readings included; None where the budget is not in calls.
        usd: about, at most; None where a price is unknown or the budget is in tokens alone.
        test: examples of the test split.
    """

    entries: tuple[EntryPlan, ...]
    trials: int
    budget: Allowance
    reading: int
    readings: int
    processes: int
    parallel: int
    calls: int | None
    usd: Decimal | None
    test: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "entries": [
                {
                    "name": one.name, "package": one.package or None, "calls_per_trial": one.calls,
                    "calls_by_role": one.by_role or None, "steps": one.steps,
                }
                for one in self.entries
            ],
            "trials": self.trials,
            "budget": {
                "calls": self.budget.calls,
                "tokens": self.budget.tokens,
                "usd": None if self.budget.usd is None else float(self.budget.usd),
            },
            "sealed_test": {"examples": self.test, "calls_per_reading": self.reading, "readings": self.readings},
            "processes": self.processes,
            "parallel": self.parallel,
            "calls": self.calls,
            "usd_estimate": None if self.usd is None else float(self.usd),
        }  # fmt: skip


def plan_compare(work: CompareWork, cashier: Cashier) -> ComparePlan:
    """The plan of a comparison."""
    comparison, view = work.comparison, work.task.view
    entries = tuple(_entry(work, one) for one in comparison.entries)
    reading = test_calls(len(work.task.test), view.scorer.asks).total
    readings = comparison.trials * (1 + len(entries))
    trials = comparison.trials * len(entries)
    calls = [one.calls for one in entries if one.calls is not None]
    whole = len(calls) == len(entries)
    return ComparePlan(
        entries,
        comparison.trials,
        comparison.budget,
        reading,
        readings,
        comparison.trials * sum(not one.own for one in comparison.entries),
        work.parallel,
        comparison.trials * sum(calls) + reading * readings if whole else None,
        _dollars(work, cashier, trials, reading * readings),
        len(work.task.test),
    )


def _entry(work: CompareWork, entry: Entry) -> EntryPlan:
    budget = work.comparison.budget.calls
    if not entry.own:
        adapter = KNOWN[entry.optimizer]
        return EntryPlan(entry.name, f"{adapter.package}{adapter.release}", budget, {}, None)
    steps = work.steps[entry.name]
    if steps == MOST_STEPS:
        return EntryPlan(entry.name, "", None, {}, None)
    calls = own_calls(own_arm(entry), work.task.view, work.batch_size, steps)
    asked = {str(role): count for role, count in calls.by_role.items() if count}
    return EntryPlan(entry.name, "", calls.total, asked, steps)


def _dollars(work: CompareWork, cashier: Cashier, trials: int, reading: int) -> Decimal | None:
    """About the dollars of everything at most: a call as the generator's forward one, by the rule of thumb."""
    budget, view = work.comparison.budget, work.task.view
    sample = (*view.train, *view.validation)[:200]
    characters = sum(
        len(message.content) for one in sample for message in view.messages(view.seed_prompt, one)
    )
    forward = Usage(max(1, characters // max(1, len(sample)) // CHARACTERS_PER_TOKEN), REPLY_TOKENS)
    proposing = Usage((forward.prompt or 0) + WORDS_TOKENS, REPLY_TOKENS)
    roles: tuple[tuple[Role, Usage], ...] = (("generator", forward), ("optimizer", proposing))
    prices = [cashier.price(cashier.named[role].identity, usage) for role, usage in roles]
    known = [one for one in prices if one is not None]
    if len(known) < len(prices):
        return None
    if budget.usd is not None:
        return budget.usd * trials + known[0] * reading
    if budget.calls is None:
        return None
    # Which role a library's calls have, it decides: the dearer one is an upper bound.
    return max(known) * budget.calls * trials + known[0] * reading


def compare_intent(work: CompareWork, models: Iterable[Model]) -> dict[str, Any]:
    """What a comparison intends, for whoever watches its ledger."""
    reading = test_calls(len(work.task.test), work.task.view.scorer.asks).total
    planned = [_entry(work, one) for one in work.comparison.entries]
    trials = work.comparison.trials
    rows = [
        {"cell": "", "arm": one.name, "trials": trials, "calls": (one.calls or 0) + reading}
        for one in planned
    ]
    return {
        "work": rows,
        "steps": max((one.steps or 0 for one in planned), default=0),
        "models": {one.identity: (one.name, str(getattr(one, "base_url", ""))) for one in models},
        "asked": trials * (reading + sum((one.calls or 0) + reading for one in planned)),
    }

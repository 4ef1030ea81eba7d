"""What a comparison asks at most, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE = 120
"""Columns where there is no terminal."""

Value = Mapping[str, Any]


def print_compare_plan(plan: Value, stream: IO[str]) -> None:
    """Print a plan as `ComparePlan.to_dict` gives it: entries, then the sums."""
    out = Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE)
    table = Table(box=None, pad_edge=False)
    table.add_column("entry", no_wrap=True)
    table.add_column("package", no_wrap=True)
    table.add_column("calls of a trial", justify="right", no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
    for one in plan["entries"]:
        calls = one["calls_per_trial"]
        told = "the budget's" if calls is None else f"{calls:,}" if one["steps"] else f"at most {calls:,}"
        steps = "" if one["steps"] is None else f"{one['steps']:,}"
        table.add_row(Text(one["name"]), Text(one["package"] or "nullgrad"), told, steps)
    out.print(table)
    out.print()
    for line in plan_lines(plan):
        out.print(Text(line))


def plan_lines(plan: Value) -> list[str]:
    """The sums, a line each."""
    test, entries, trials = plan["sealed_test"], len(plan["entries"]), plan["trials"]
    asked = (
        "as many calls as the budgets allow" if plan["calls"] is None else f"{plan['calls']:,} calls at most"
    )
    usd = plan["usd_estimate"]
    cost = "" if usd is None else f", about ${usd:.2f} at most" if usd else ", no charge"
    return [
        f"{_count(entries, 'entry', 'entries')} × {_count(trials, 'trial', 'trials')}: {asked}{cost}; what is shared is paid once.",
        f"Sealed test: {test['readings']:,} readings of {test['examples']:,} examples at most, which no trial's budget pays for.",
        f"{_count(plan['processes'], 'process', 'processes')} of third-party packages, {plan['parallel']} side by side.",
    ]


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"

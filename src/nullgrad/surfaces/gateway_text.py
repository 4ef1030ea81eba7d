"""What a gateway prints: where it serves, notices meanwhile, and at the end a table by role."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from nullgrad.api import GatewayReport, Serving

PIPE = 120
"""Columns where there is no terminal."""


class Notices:
    """An observer that says on standard error what a person should know, and nothing else."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def on_event(self, event: Any) -> None:
        """Nothing."""

    def on_answer(self, about: Any, answer: Any, source: str) -> None:
        """Nothing."""

    def on_notice(self, text: str) -> None:
        """Say it."""
        if not self._quiet:
            click.echo(text, err=True)


def print_serving(serving: Serving, stream: IO[str], *, program: bool) -> None:
    """Where it serves, and a key for each role; a program gets them by its environment."""
    out = _console(stream)
    if program:
        out.print(Text(f"Gateway at {serving.base_url} (run {serving.run})."))
        return
    out.print(Text(f"Gateway at {serving.base_url} (run {serving.run}). Ctrl-C ends it.\n"))
    table = Table(box=None, pad_edge=False)
    for name in ("role", "model", "key"):
        table.add_column(name, no_wrap=True, overflow="ignore")
    for role, key in serving.keys.items():
        table.add_row(role, serving.models[role], key)
    out.print(table, crop=False)
    out.print(
        Text(
            f"\nexport OPENAI_BASE_URL={serving.base_url}\nexport OPENAI_API_KEY={serving.keys['generator']}"
        ),
        crop=False,
        soft_wrap=True,
    )
    stream.flush()


def print_gateway(report: GatewayReport, stream: IO[str]) -> None:
    """Calls, tokens and dollars by role."""
    out = _console(stream)
    out.print()
    if report.simulated:
        out.print(Text(f"Simulation: {', '.join(report.simulated)} is no real model.", style="bold yellow"))
    table = Table(box=None, pad_edge=False)
    table.add_column("role", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    rows = [*report.to_dict()["roles"].items(), ("all", report.to_dict()["total"])]
    for role, use in rows:
        table.add_row(role, *(_cell(use, name) for name in _COLUMNS.values()))
    out.print(table)
    total = report.total
    if total.failed or total.refused:
        out.print(
            Text(
                f"{total.failed} calls failed for good and {total.refused} were refused; a program that went on "
                "after these errors may have scored them as wrong answers."
            )
        )
    if total.uncounted:
        out.print(Text(f"The tokens of {total.uncounted} replies are unknown and in no count."))
    if report.closed:
        out.print(Text(f"{report.closed} Every later call was refused, whatever the program made of it."))


_COLUMNS = {
    "calls": "calls",
    "paid": "paid",
    "replayed": "replayed",
    "joined": "joined",
    "failed": "failed",
    "refused": "refused",
    "prompt": "prompt_tokens",
    "completion": "completion_tokens",
    "dollars": "usd",
    "dollars paid": "paid_usd",
}


def _cell(use: dict[str, Any], name: str) -> str:
    value = use[name]
    if value is None:
        return "unknown"
    return f"{value:,.4f}" if isinstance(value, float) else f"{value:,}"


def _console(stream: IO[str]) -> Console:
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE)

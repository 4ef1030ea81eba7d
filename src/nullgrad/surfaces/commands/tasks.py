"""`nullgrad tasks`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


@click.group(name="tasks", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON list on standard output.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List tasks by name: shipped, procedural, and those that publishers keep."""
    if ctx.invoked_subcommand is not None:
        return
    from nullgrad.api import list_tasks

    rows = list_tasks()
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2, default=str))
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        here = "" if row.available else "  (nullgrad tasks fetch it first)"
        click.echo(f"{row.name:<{width}}  {row.kind:<10}  {row.description}{here}")


@command.command(name="fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def fetch(names: tuple[str, ...], as_json: bool) -> None:
    """Fetch tasks from their publishers into the cache, checked against known hashes."""
    from nullgrad.api import fetch_task

    found: dict[str, Any] = {}
    for name in names:
        path: Path = fetch_task(name, lambda text: click.echo(text, err=True))
        found[name] = str(path)
        if not as_json:
            click.echo(f"{name}: {path}")
    if as_json:
        click.echo(json.dumps(found, indent=2))

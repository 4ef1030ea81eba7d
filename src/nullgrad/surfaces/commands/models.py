"""`nullgrad models`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.group(name="models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON list on standard output.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List how models are named, known local weights, and known prices."""
    if ctx.invoked_subcommand is not None:
        return
    from nullgrad.api import list_models

    rows = list_models()
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2, default=str))
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        price = f"  {row.price}" if getattr(row, "price", None) else ""
        click.echo(f"{row.name:<{width}}  {row.kind:<8}  {row.note}{price}")


@command.command(name="fetch")
@click.argument("name", default="smollm2-135m")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def fetch(name: str, as_json: bool) -> None:
    """Fetch the weights of a known local model into the cache, checked against a known hash."""
    from nullgrad.api import fetch_weights

    path: Path = fetch_weights(name.removeprefix("local:"), lambda text: click.echo(text, err=True))
    click.echo(json.dumps({"name": name, "path": str(path)}) if as_json else f"{name}: {path}")

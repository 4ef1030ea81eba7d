"""`nullgrad init`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click


@click.command(name="init")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The task file [default: beside the data].")
@click.option("--input", "input_", help="Input column [default: guessed].")
@click.option("--target", help="Target column [default: guessed].")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def command(
    data: Path, out: Path | None, input_: str | None, target: str | None, force: bool, as_json: bool
) -> None:
    """Write a commented task file for DATA (CSV, JSONL, JSON or Parquet), guessed from its columns."""
    from nullgrad.api import scaffold_task

    path = scaffold_task(data, out, input=input_, target=target, force=force)
    if as_json:
        click.echo(json.dumps({"task": str(path)}))
    else:
        named = shlex.quote(str(path))
        click.echo(f"Wrote {path}. Read it over, then: nullgrad optimize {named} --model local:smollm2-135m")

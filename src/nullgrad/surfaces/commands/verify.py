"""`nullgrad verify`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click


@click.command(name="verify")
@click.option("--ledger", type=click.Path(path_type=Path), help="The ledger [default: .nullgrad/ledger.db].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def command(ledger: Path | None, as_json: bool) -> int:
    """Re-derive every hash and every folded state in a ledger and say what differs (exit code 2 then)."""
    from nullgrad.api import DEFAULT_LEDGER, verify_ledger

    shown = 0

    def progress(table: str, done: int, total: int) -> None:
        nonlocal shown
        if sys.stderr.isatty() and done - shown >= 5_000:
            shown = done
            click.echo(f"\r{table}: {done:,}/{total:,}", err=True, nl=False)

    report = verify_ledger(ledger or DEFAULT_LEDGER, progress)
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2, default=str))
    else:
        counts = ", ".join(
            f"{count:,} {_singular(name) if count == 1 else name}" for name, count in report.checked.items()
        )
        click.echo(f"Checked {counts}.")
        for problem in report.problems:
            click.echo(f"{problem.table} {problem.key}: {problem.what}")
        click.echo("Everything agrees." if not report.problems else _problems(len(report.problems)))
    return 2 if report.problems else 0


def _problems(count: int) -> str:
    return "1 problem." if count == 1 else f"{count:,} problems."


def _singular(name: str) -> str:
    return f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")

"""`nullgrad conformance`."""

from __future__ import annotations

import sys
from typing import Any

import click

from nullgrad.surfaces.options import RESULT, shared

FAILED = 1
"""Exit code where an adapter fails a check."""


@click.command(name="conformance")
@click.argument("optimizers", nargs=-1, metavar="[OPTIMIZERS]...")
@click.option("--check", "checks", multiple=True, help="This check alone; may be repeated.")
@click.option(
    "--full", is_flag=True, help="Say what is behind every judgement, not only those that did not pass."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of every run.")
@shared(RESULT)
def command(**options: Any) -> int:
    """Run the adapters of third-party optimizers through the checks, offline, in simulated worlds.

    Each optimizer's own package runs behind the gateway, as in any other run. All that nullgrad knows are run if
    OPTIMIZERS is empty; a package that is not installed is a row that says so.

    \b
    nullgrad conformance gepa dspy-mipro
    Exit codes: 0 done, 1 a check failed, 2 your mistake.
    """
    from nullgrad.api import check_out, write_out
    from nullgrad.api.conformance import conformance
    from nullgrad.core.conformance import CHECKS
    from nullgrad.surfaces.conformance_text import print_conformance

    out = options["out"]
    if out is not None:
        check_out(out, only_results=True)
    report = conformance(
        options["optimizers"],
        checks=options["checks"] or tuple(CHECKS),
        seed=options["seed"],
        progress=None if options["quiet"] else lambda name, what: click.echo(f"{name}: {what}", err=True),
    )
    if out is not None:
        write_out(
            out,
            report.to_json() + "\n",
            "The result is not kept.",
            "Run the same command with another --out: it gives the same.",
        )
    if options["as_json"]:
        click.echo(report.to_json())
    else:
        print_conformance(report.to_dict(), sys.stdout, full=options["full"])
    return FAILED if report.failed else 0

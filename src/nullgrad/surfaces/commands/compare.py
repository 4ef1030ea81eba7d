"""`nullgrad compare`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from nullgrad.surfaces.delivery import deliver
from nullgrad.surfaces.options import (
    ENDPOINT,
    LEDGER,
    OPTIMIZER_TEMPERATURE,
    RESULT,
    SAMPLING,
    SPENDING,
    WORDS,
    asked,
    roles,
    shared,
)

EXIT_BUDGET = 4


@click.command(name="compare")
@click.argument("task", metavar="TASK")
@click.option(
    "--optimizers",
    required=True,
    metavar="NAME,NAME,…",
    help="Third-party packages (gepa, dspy-mipro, textgrad, …), nullgrad, or its own arms (validated@3).",
)
@click.option(
    "--budget",
    required=True,
    help="What each trial may ask for, as if nothing were shared: 2000calls, 500ktokens, 5usd, or several with commas.",
)
@click.option("--trials", default=5, show_default=True, help="Complete optimizations of each entry.")
@click.option(
    "--controls",
    default="feedback,selection",
    show_default=True,
    help="Label controls beside each: feedback and selection labels made wrong, none shown (none); off for no control.",
)
@shared(roles(), ENDPOINT)
@click.option("--seed", default=0, show_default=True, help="The study's seed.")
@click.option(
    "--alpha", default=0.05, show_default=True, help="One-sided level of a family of contrasts, a share."
)
@click.option("--margin", type=float, help="Points within which two optimizers are called equal.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME.KEY=VALUE",
    help="A setting of an optimizer's library, such as gepa.reflection_minibatch_size=5; may be repeated.",
)
@click.option("--batch-size", default=3, show_default=True, help="Training examples of a step of own arms.")
@shared(SAMPLING, OPTIMIZER_TEMPERATURE, WORDS)
@click.option("--parallel", default=2, show_default=True, help="Trials side by side.")
@shared(SPENDING)
@click.option("--dry-run", is_flag=True, help="Say what it asks at most, and stop.")
@shared(LEDGER, RESULT)
def command(**options: Any) -> int:
    """Compare optimizers on TASK at one budget, each with its label controls, on sealed test data.

    The same command again goes on where it stopped, and prints what has ended for free.

    \b
    nullgrad compare task.yaml --optimizers gepa,dspy-mipro,nullgrad --budget 800calls --model openai/gpt-4o-mini

    \b
    Exit codes: 0 done, 2 your mistake, 3 the endpoint's failure, 4 a budget reached, 130 interrupted.
    """
    from nullgrad.api import DEFAULT_LEDGER, check_out
    from nullgrad.surfaces.compare_plan_text import plan_lines, print_compare_plan
    from nullgrad.surfaces.compare_progress import make_compare_progress
    from nullgrad.surfaces.interrupt import run_interruptibly

    if options["out"] is not None:
        check_out(options["out"], only_results=True)
    job = comparison_of(options)
    plan = job.plan().to_dict()
    if options["dry_run"]:
        if options["as_json"]:
            click.echo(json.dumps({"dry_run": True, "run": job.run_id, **plan}, indent=2))
        else:
            print_compare_plan(plan, sys.stdout)
        return 0
    if not options["quiet"]:
        for line in (*plan_lines(plan), *(f"note: {note}" for note in job.task.notes)):
            click.echo(line, err=True)
    ledger = options["ledger"] or DEFAULT_LEDGER
    before = job.ended(ledger)
    if before and not options["quiet"]:
        click.echo(f"{before} trials have ended already and are not run again.", err=True)
    progress = make_compare_progress(job.comparison, plan["calls"] or 0, before, quiet=options["quiet"])
    with progress:
        result = run_interruptibly(lambda: job.run(ledger=ledger, observer=progress), progress)
    from nullgrad.surfaces.compare_text import print_comparison

    deliver(
        result, options["out"], options["as_json"], lambda: print_comparison(result.to_dict(), sys.stdout)
    )
    return EXIT_BUDGET if result.stopped else 0


def comparison_of(options: dict[str, Any]) -> Any:
    """The comparison that the options mean.

    Raises:
        UserError: it cannot be run as asked.
    """
    from nullgrad.api import Compare, parse_settings

    margin = options["margin"]
    return Compare(
        options["task"],
        options["optimizers"],
        margin=None if margin is None else margin / 100,
        settings=parse_settings(options["settings"]),
        pack=options["words"],
        **asked(options, "budget", "trials", "controls", "seed", "alpha", "batch_size", "parallel"),
    )

"""`nullgrad optimize`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from nullgrad.surfaces.delivery import deliver
from nullgrad.surfaces.options import (
    ENDPOINT,
    LEDGER,
    ON_FAILURE,
    OPTIMIZER_TEMPERATURE,
    RESULT,
    SAMPLING,
    SPENDING,
    TASK,
    WORDS,
    asked,
    roles,
    shared,
    task_overrides,
)

EXIT_BUDGET = 4


@click.command(name="optimize")
@click.argument("task", metavar="TASK")
@shared(roles(), ENDPOINT)
@click.option(
    "--arm", default=None, help="update/evaluation/selection [default: gradient/correct/validated@3]."
)
@click.option("--steps", default=10, show_default=True, help="Update steps; 0 only scores the seed prompt.")
@click.option("--batch-size", default=3, show_default=True, help="Training examples per step.")
@click.option(
    "--objective",
    type=click.Choice(["accuracy", "balanced"]),
    default="accuracy",
    show_default=True,
    help="What validation selects by: the mean score, or the mean recall of the classes.",
)
@click.option("--trials", type=int, help="Complete optimizations of the arm [default: 1; 5 with --why].")
@click.option(
    "--controls",
    type=click.Choice(["none", "standard", "full"]),
    help="Arms run beside it for the attribution.",
)
@click.option("--why", is_flag=True, help="Short for --controls standard --trials 5.")
@click.option(
    "--dry-run", is_flag=True, help="Forecast calls, price and the smallest resolvable gain, and stop."
)
@click.option("--seed", default=0, show_default=True, help="The study's seed.")
@shared(SAMPLING, OPTIMIZER_TEMPERATURE, WORDS, SPENDING, ON_FAILURE, LEDGER, RESULT, TASK)
def command(**options: Any) -> int:
    """Optimize the prompt of TASK: a task file, a data file, or a task's name.

    \b
    Exit codes: 0 done, 2 your mistake, 3 the endpoint's failure, 4 a budget reached, 130 interrupted.
    """
    from nullgrad.api import DEFAULT_ARM, DEFAULT_LEDGER, Optimization, check_out, load_task
    from nullgrad.surfaces.interrupt import run_interruptibly
    from nullgrad.surfaces.progress import make_progress
    from nullgrad.surfaces.text import print_forecast, print_result

    if options["out"] is not None:
        check_out(options["out"], only_results=True)
    task = load_task(options["task"], **task_overrides(options))
    job = Optimization(
        task,
        arm=DEFAULT_ARM if options["arm"] is None else options["arm"],
        pack=options["words"],
        **asked(
            options, "steps", "batch_size", "trials", "objective", "controls", "why", "seed", "on_failure"
        ),
    )
    forecast = job.forecast
    if options["dry_run"]:
        if options["as_json"]:
            click.echo(json.dumps({"dry_run": True, **forecast.to_dict()}, indent=2))
        else:
            print_forecast(forecast, job.price_date, sys.stdout)
        return 0
    if not options["quiet"]:
        print_forecast(forecast, job.price_date, sys.stderr)
        for note in task.notes:
            click.echo(f"note: {note}", err=True)
    progress = make_progress(forecast, quiet=options["quiet"])
    with progress:
        ledger = options["ledger"] or DEFAULT_LEDGER
        result = run_interruptibly(lambda: job.run(ledger=ledger, observer=progress), progress)
    deliver(result, options["out"], options["as_json"], lambda: print_result(result, sys.stdout))
    return 0 if result.complete else EXIT_BUDGET

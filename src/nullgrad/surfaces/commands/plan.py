"""`nullgrad plan`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from nullgrad.surfaces.study_options import study_of, study_options


@click.command(name="plan")
@study_options
@click.option(
    "--sd",
    type=float,
    default=5.0,
    show_default=True,
    help="Standard deviation of a trial score that power is computed with, in points.",
)
@click.option(
    "--pilot",
    type=int,
    default=0,
    metavar="CALLS",
    help="Make at most that many real calls first, to measure tokens and times; a run replays them.",
)
@click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    help="Whose recorded calls of the study are measured [default: .nullgrad/ledger.db].",
)
@click.option("--allow-unreachable", is_flag=True, help="Warn of contrasts that can never be significant.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def command(**options: Any) -> int:
    """Say what STUDY (a study file, or a preset's name) will ask, cost and be able to tell.

    Nothing is asked without --pilot. Tokens and times come from calls of the study that the ledger holds, else tokens
    from a rule of thumb.

    A contrast that cannot reach its corrected level is refused, in the paper's presets warned of.
    """
    from nullgrad.api import DEFAULT_LEDGER
    from nullgrad.errors import UserError
    from nullgrad.surfaces.audit_preset import run_audit_preset
    from nullgrad.surfaces.interrupt import run_interruptibly
    from nullgrad.surfaces.study_progress import make_study_progress
    from nullgrad.surfaces.study_text import print_plan

    audited = run_audit_preset(options, dry=True)
    if audited is not None:
        return audited
    ledger, pilot = options["ledger"] or DEFAULT_LEDGER, options["pilot"]
    if pilot < 0:
        raise UserError(f"--pilot is {pilot}.", "Nothing was run.", "Give a number of calls, 0 or more.")
    job = study_of(options)
    refuse = False if options["allow_unreachable"] else None
    if pilot:
        # What is refused is refused before a call is paid for.
        job.plan(sd=options["sd"] / 100, refuse=refuse)
        progress = make_study_progress(job.study, job.cost, quiet=True)
        paid = run_interruptibly(lambda: job.apilot(pilot, ledger=ledger, observer=progress), progress)
        click.echo(f"Pilot: {paid} calls paid; a run replays them.", err=True)
    plan = {
        **job.plan(ledger=ledger, sd=options["sd"] / 100, refuse=refuse).to_dict(),
        "run": job.study.run,
        "models": dict(job.models),
        "simulated": list(job.simulated),
        "calls_in_flight": job.limit,
    }
    if options["as_json"]:
        click.echo(json.dumps(plan, ensure_ascii=False, indent=2))
    else:
        print_plan(plan, sys.stdout, job.price_date)
    return 0

"""`nullgrad run`."""

from __future__ import annotations

import sys
from typing import Any

import click

from nullgrad.surfaces.delivery import deliver
from nullgrad.surfaces.options import LEDGER, RESULT, shared
from nullgrad.surfaces.study_options import study_of, study_options

EXIT_BUDGET = 4


@click.command(name="run")
@study_options
@shared(LEDGER, RESULT)
def command(**options: Any) -> int:
    """Run or resume STUDY: a study file, or a preset's name. The same command goes on where it stopped.

    The preset paper-sections is an audit of the best prompt that a recorded run found for its task.

    \b
    Exit codes: 0 done, 2 your mistake, 3 the endpoint's failure, 4 a budget reached, 130 interrupted.
    """
    from nullgrad.api import DEFAULT_LEDGER, check_out
    from nullgrad.surfaces.audit_preset import run_audit_preset
    from nullgrad.surfaces.interrupt import run_interruptibly
    from nullgrad.surfaces.study_progress import make_study_progress
    from nullgrad.surfaces.study_text import print_intent, print_report

    audited = run_audit_preset(options)
    if audited is not None:
        return audited
    if options["out"] is not None:
        check_out(options["out"], only_results=True)
    job = study_of(options)
    ledger = options["ledger"] or DEFAULT_LEDGER
    if not options["quiet"]:
        plan = {**job.plan(ledger=ledger, refuse=False).to_dict(), "calls_in_flight": job.limit}
        print_intent(plan, sys.stderr, job.price_date)
    progress = make_study_progress(job.study, job.cost, quiet=options["quiet"])
    with progress:
        result = run_interruptibly(lambda: job.arun(ledger=ledger, observer=progress), progress)
    deliver(result, options["out"], options["as_json"], lambda: print_report(result.to_dict(), sys.stdout))
    return EXIT_BUDGET if result.stopped else 0

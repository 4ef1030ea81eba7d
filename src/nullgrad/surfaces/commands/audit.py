"""`nullgrad audit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from nullgrad.surfaces.delivery import deliver
from nullgrad.surfaces.options import (
    ENDPOINT,
    LEDGER,
    ON_FAILURE,
    RESULT,
    SAMPLING,
    SPENDING,
    TASK,
    asked,
    roles,
    shared,
    task_overrides,
)

EXIT_BUDGET = 4

PROMPT_SUFFIXES = (".md", ".txt")
"""Endings of files that `--minimize` may replace: a slip such as `--minimize task.yaml` must not cost the task."""


@click.command(name="audit")
@click.argument("task", metavar="TASK")
@click.option(
    "--before",
    default="seed",
    show_default=True,
    help="A file, also one saved by GEPA or DSPy; run:ID or last (the seed prompt of a recorded optimization); seed (the task's seed prompt).",
)
@click.option(
    "--after",
    required=True,
    help="A file, also one saved by GEPA or DSPy; run:ID or last (the best prompt of a recorded optimization); best (of all recorded runs of the task).",
)
@click.option("--component", help="Which prompt of a saved program that has several.")
@shared(
    roles(
        optimizer=None,
        critic=None,
        judge="Who grades, for the scorer `judge` [default: the generator's model].",
    ),
    ENDPOINT,
)
@click.option("--sections", is_flag=True, help="Ablate the after prompt's sections, on validation.")
@click.option("--repeats", default=5, show_default=True, help="Evaluations of each prompt of the ablation.")
@click.option(
    "--minimize",
    type=click.Path(path_type=Path),
    help="Write the shortest prompt within the margin there; implies --sections.",
)
@click.option(
    "--margin",
    default=5.0,
    show_default=True,
    help="Points: a gain below it is none, and the shortest prompt may lose as much.",
)
@click.option(
    "--prior", help="Re-weight accuracy to these shares of the classes too, such as good=0.5,bad=0.5."
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Run both prompts anew: on new items where the task is procedural, else on the test under fresh draws.",
)
@click.option(
    "--curve",
    metavar="CLASS",
    help="Accuracy over the share of a class; on new items where they can be made.",
)
@click.option("--shares", help="Shares of a curve on new items [default: 0,0.2,0.4,0.6,0.8,1].")
@click.option("--items", default=60, show_default=True, help="New items at each share.")
@click.option("--ordinal", is_flag=True, help="The order of the labels means something.")
@click.option("--seed", type=int, help="Of the draws [default: the recorded run's, else 0].")
@click.option("--trial", type=int, help="Of the draws [default: the recorded run's, else 0].")
@click.option(
    "--no-logprobs", is_flag=True, help="Ask for no log-probabilities, for endpoints that refuse them."
)
@click.option(
    "--logprobs",
    type=int,
    help="Alternatives of a token to ask for [default: what the model usually gives]; more makes new requests.",
)
@shared(SAMPLING)
@click.option("--dry-run", is_flag=True, help="Forecast calls and price, and stop.")
@shared(SPENDING, ON_FAILURE, LEDGER, RESULT, TASK)
def command(**options: Any) -> int:
    """Audit a change of prompt of TASK, whoever wrote it: class by class, and what the gain is made of.

    \b
    Exit codes: 0 done, 2 your mistake, 3 the endpoint's failure, 4 a budget reached, 130 interrupted.
    """
    from nullgrad.api import (
        DEFAULT_LEDGER,
        Audit,
        check_component,
        check_out,
        given_prompt,
        load_task,
    )
    from nullgrad.surfaces.audit_text import print_audit
    from nullgrad.surfaces.interrupt import run_interruptibly
    from nullgrad.surfaces.progress import make_progress
    from nullgrad.surfaces.text import print_forecast

    if options["out"] is not None:
        check_out(options["out"], only_results=True)
    minimize = options["minimize"]
    if minimize is not None:
        check_minimize(minimize, options)
    ledger = options["ledger"] or DEFAULT_LEDGER
    task = load_task(options["task"], **task_overrides(options))
    part = options["component"]
    before = given_prompt(options["before"], "before", task, ledger, part)
    after = given_prompt(options["after"], "after", task, ledger, part)
    check_component(part, before, after)
    recorded = after if after.seed is not None else before
    more: dict[str, Any] = {}
    if options["shares"] is not None:
        more["shares"] = shares_of(options["shares"])
    job = Audit(
        task,
        before.text,
        after.text,
        sections=options["sections"] or minimize is not None,
        prior=None if options["prior"] is None else prior_of(options["prior"]),
        seed=options["seed"] if options["seed"] is not None else recorded.seed or 0,
        trial=options["trial"] if options["trial"] is not None else recorded.trial or 0,
        logprobs=asked_logprobs(options),
        names=(before.name, after.name),
        notes=(*before.notes, *after.notes),
        **asked(options, "repeats", "margin", "fresh", "curve", "items", "ordinal", "on_failure"),
        **more,
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
        for note in job.task.notes:
            click.echo(f"note: {note}", err=True)
    progress = make_progress(forecast, quiet=options["quiet"])
    with progress:
        report = run_interruptibly(lambda: job.run(ledger=ledger, observer=progress), progress)
    deliver(report, options["out"], options["as_json"], lambda: print_audit(report.to_dict(), sys.stdout))
    if minimize is not None and report.shortest is not None:
        _write_minimal(minimize, report, quiet=options["quiet"])
    return 0 if report.complete else EXIT_BUDGET


def asked_logprobs(options: dict[str, Any]) -> bool | int:
    """How many log-probabilities to ask for.

    Raises:
        UserError: both options were given.
    """
    from nullgrad.errors import UserError

    if options["logprobs"] is None:
        return not options["no_logprobs"]
    if options["no_logprobs"]:
        raise UserError(
            "--logprobs asks for log-probabilities, and --no-logprobs for none.",
            "Nothing was run.",
            "Drop one of them.",
        )
    return int(options["logprobs"])


def check_minimize(path: Path, options: dict[str, Any]) -> None:
    """Refuse a place that cannot be written, that one of the prompts came from, or that holds something else than a prompt.

    Raises:
        UserError: it is one of the prompts' own files, exists and is no text by its ending, or cannot be written.
    """
    from nullgrad.api import check_out
    from nullgrad.errors import UserError

    for side in ("before", "after"):
        source = Path(options[side])
        if source.is_file() and path.exists() and source.resolve() == path.resolve():
            raise UserError(
                f"--minimize {path} is the file of the {side} prompt.",
                "It was left as it is, and nothing was run.",
                "Name another file.",
            )
    if path.is_file() and path.stat().st_size and path.suffix.lower() not in PROMPT_SUFFIXES:
        raise UserError(
            f"--minimize {path} exists and is no prompt, by its ending.",
            "It was left as it is, and nothing was run.",
            "Name a file that ends in .md or .txt.",
        )
    check_out(path, option="--minimize")


def prior_of(text: str) -> dict[str, float]:
    """Shares of classes as they are written: `good=0.5,bad=0.5`.

    Raises:
        UserError: they are written otherwise.
    """
    from nullgrad.errors import UserError

    found: dict[str, float] = {}
    for part in text.split(","):
        label, equals, share = part.rpartition("=")
        try:
            found[label.strip()] = float(share)
        except ValueError:
            equals = ""
        if not equals or not label.strip():
            raise UserError(
                f"--prior is {text!r}.",
                "Nothing was run.",
                "Give shares of classes such as good=0.5,bad=0.5.",
            )
    return found


def shares_of(text: str) -> tuple[float, ...]:
    """Shares as they are written: `0,0.25,0.5`.

    Raises:
        UserError: one is no share.
    """
    from nullgrad.errors import UserError

    try:
        found = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or not all(0 <= share <= 1 for share in found):
        raise UserError(f"--shares is {text!r}.", "Nothing was run.", "Give shares such as 0,0.25,0.5.")
    return found


def _write_minimal(path: Path, report: Any, *, quiet: bool) -> None:
    from nullgrad.api import write_out

    write_out(
        path,
        report.shortest.prompt + "\n",
        "The report stands above; the prompt was not written.",
        "Run the same command again with another --minimize: nothing is paid again.",
        "--minimize",
    )
    if not quiet:
        click.echo(f"Written: {path}, {report.shortest.characters} characters.", err=True)

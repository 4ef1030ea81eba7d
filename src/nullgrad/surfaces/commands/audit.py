"""`nullgrad audit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from nullgrad.surfaces.delivery import deliver

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
@click.option(
    "--model",
    "-m",
    required=True,
    help="Generator: openai/NAME, local:NAME-or-FILE.gguf, litellm/…, script:FILE.",
)
@click.option("--judge-model", help="Who grades, for the scorer `judge` [default: the generator's model].")
@click.option(
    "--base-url", help="Of an OpenAI-compatible endpoint [default: $OPENAI_BASE_URL, else the official one]."
)
@click.option("--endpoint-name", help="Name under which its replies are kept [default: the base URL].")
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
@click.option("--concurrency", default=32, show_default=True, help="Calls in flight per model at most.")
@click.option("--temperature", type=float, help="Sent only if given.")
@click.option("--top-p", type=float, help="Sent only if given.")
@click.option(
    "--max-completion", "max_tokens", type=int, help="Limit of a reply in tokens; sent only if given."
)
@click.option("--no-seed", is_flag=True, help="Send no `seed`, for endpoints that refuse it.")
@click.option("--dry-run", is_flag=True, help="Forecast calls and price, and stop.")
@click.option("--max-calls", type=int, help="Paid calls that this command may make.")
@click.option("--max-tokens", "max_total_tokens", type=int, help="Tokens that this command may pay for.")
@click.option("--max-usd", type=float, help="Dollars that this command may spend.")
@click.option(
    "--on-failure",
    type=click.Choice(["missing", "suspend"]),
    default="missing",
    show_default=True,
    help="What becomes of a call that failed for good.",
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Where replies are kept [default: .nullgrad/ledger.db]."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the report there as JSON.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--input", help='For a data file: input column, or a template such as "{title}: {body}".')
@click.option("--target", help="For a data file: the column of the right answer.")
@click.option("--prompt", help="The seed prompt; replaces the task file's.")
@click.option("--format", "format_", help="The fixed suffix that prescribes the form of the answer.")
@click.option(
    "--scorer", help="exact, normalized, contains, choice, number, labels, regex, judge or module:function."
)
@click.option("--labels", help="Closed label set, separated by commas.")
@click.option("--split", help="Examples per split, such as 30/50/120.")
def command(**options: Any) -> int:
    """Audit a change of prompt of TASK, whoever wrote it: class by class, and what the gain is made of.

    \b
    Exit codes: 0 done, 2 your mistake, 3 the endpoint's failure, 4 a budget reached, 130 interrupted.
    """
    from nullgrad.api import (
        DEFAULT_LEDGER,
        Audit,
        Spending,
        check_component,
        check_out,
        given_prompt,
        load_task,
    )
    from nullgrad.surfaces.audit_text import print_audit
    from nullgrad.surfaces.commands.optimize import task_overrides
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
        model=options["model"],
        judge_model=options["judge_model"],
        base_url=options["base_url"],
        endpoint_name=options["endpoint_name"],
        send_seed=not options["no_seed"],
        sections=options["sections"] or minimize is not None,
        repeats=options["repeats"],
        margin=options["margin"],
        prior=None if options["prior"] is None else prior_of(options["prior"]),
        fresh=options["fresh"],
        curve=options["curve"],
        items=options["items"],
        ordinal=options["ordinal"],
        seed=options["seed"] if options["seed"] is not None else recorded.seed or 0,
        trial=options["trial"] if options["trial"] is not None else recorded.trial or 0,
        logprobs=asked_logprobs(options),
        concurrency=options["concurrency"],
        temperature=options["temperature"],
        top_p=options["top_p"],
        max_tokens=options["max_tokens"],
        spending=Spending(options["max_calls"], options["max_total_tokens"], options["max_usd"]),
        on_failure=options["on_failure"],
        names=(before.name, after.name),
        notes=(*before.notes, *after.notes),
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

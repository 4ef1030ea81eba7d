"""`nullgrad optimize`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from nullgrad.surfaces.delivery import deliver

EXIT_BUDGET = 4


@click.command(name="optimize")
@click.argument("task", metavar="TASK")
@click.option(
    "--model",
    "-m",
    required=True,
    help="Generator: openai/NAME, local:NAME-or-FILE.gguf, litellm/…, script:FILE.",
)
@click.option("--optimizer-model", help="Who proposes prompts [default: the generator's model].")
@click.option("--critic-model", help="Who evaluates outputs in critic arms [default: the generator's model].")
@click.option("--judge-model", help="Who grades, for the scorer `judge` [default: the critic's model].")
@click.option(
    "--base-url", help="Of an OpenAI-compatible endpoint [default: $OPENAI_BASE_URL, else the official one]."
)
@click.option("--endpoint-name", help="Name under which its replies are kept [default: the base URL].")
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
@click.option("--concurrency", default=32, show_default=True, help="Calls in flight per model at most.")
@click.option("--temperature", type=float, help="Sent only if given.")
@click.option("--optimizer-temperature", type=float, help="The optimizer's own [default: --temperature].")
@click.option("--top-p", type=float, help="Sent only if given.")
@click.option(
    "--max-completion", "max_tokens", type=int, help="Limit of a reply in tokens; sent only if given."
)
@click.option("--no-seed", is_flag=True, help="Send no `seed`, for endpoints that refuse it.")
@click.option(
    "--words",
    type=click.Choice(["standard", "compact"]),
    help="Pack of words sent to the optimizer [default: by its size].",
)
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
@click.option("--out", type=click.Path(path_type=Path), help="Write the result there as JSON.")
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
    """Optimize the prompt of TASK: a task file, a data file, or a task's name.

    \b
    Exit codes: 0 done, 2 your mistake, 3 the endpoint's failure, 4 a budget reached, 130 interrupted.
    """
    from nullgrad.api import DEFAULT_ARM, DEFAULT_LEDGER, Optimization, Spending, check_out, load_task
    from nullgrad.surfaces.interrupt import run_interruptibly
    from nullgrad.surfaces.progress import make_progress
    from nullgrad.surfaces.text import print_forecast, print_result

    if options["out"] is not None:
        check_out(options["out"], only_results=True)
    task = load_task(options["task"], **task_overrides(options))
    job = Optimization(
        task,
        model=options["model"],
        optimizer_model=options["optimizer_model"],
        critic_model=options["critic_model"],
        judge_model=options["judge_model"],
        base_url=options["base_url"],
        endpoint_name=options["endpoint_name"],
        arm=DEFAULT_ARM if options["arm"] is None else options["arm"],
        steps=options["steps"],
        batch_size=options["batch_size"],
        trials=options["trials"],
        objective=options["objective"],
        controls=options["controls"],
        why=options["why"],
        seed=options["seed"],
        concurrency=options["concurrency"],
        temperature=options["temperature"],
        optimizer_temperature=options["optimizer_temperature"],
        top_p=options["top_p"],
        max_tokens=options["max_tokens"],
        send_seed=not options["no_seed"],
        pack=options["words"],
        spending=Spending(options["max_calls"], options["max_total_tokens"], options["max_usd"]),
        on_failure=options["on_failure"],
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


def task_overrides(options: dict[str, Any]) -> dict[str, Any]:
    """Keys of a task file that the command line replaces."""
    from nullgrad.errors import UserError

    found = {
        name: options[name] for name in ("input", "target", "prompt", "scorer") if options[name] is not None
    }
    if options["format_"] is not None:
        found["format"] = options["format_"]
    if options["labels"] is not None:
        found["labels"] = [label.strip() for label in options["labels"].split(",")]
    if options["split"] is not None:
        parts = options["split"].split("/")
        if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
            raise UserError(
                f"--split is {options['split']!r}.",
                "Nothing was run.",
                "Give three numbers of examples such as 30/50/120 (train/validation/test).",
            )
        found["split"] = dict(zip(("train", "validation", "test"), map(int, parts), strict=True))
    return found

"""`nullgrad rate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command(name="rate")
@click.argument("run", required=False, default="last", metavar="[RUN|last]")
@click.option(
    "--absolute/--pairwise", "absolute", default=True, help="One prompt at a time [default], or two."
)
@click.option("--raters", help="Names, separated by commas, that may rate [default: whoever gives a name].")
@click.option(
    "--per-arm", type=int, default=1, show_default=True, help="Trials of each arm whose prompts are rated."
)
@click.option("--pairs", type=int, default=60, show_default=True, help="Pairs at most.")
@click.option(
    "--examples", type=int, default=2, show_default=True, help="Training examples shown with each prompt."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every order.")
@click.option(
    "--task", "tasks", multiple=True, help="The run's task, for right answers and verdicts; may be repeated."
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Where runs are kept [default: .nullgrad/ledger.db]."
)
@click.option(
    "--ratings", type=click.Path(path_type=Path), help="Where ratings are kept [default: LEDGER.ratings]."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="To listen on [default: a free one].")
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
@click.option(
    "--export", type=click.Path(path_type=Path), help="Write every rating there as CSV, and serve nothing."
)
@click.option("--results", is_flag=True, help="Print what the ratings say, and serve nothing.")
@click.option("--json", "as_json", is_flag=True, help="The results as one JSON object, and serve nothing.")
def command(
    run: str,
    absolute: bool,
    raters: str | None,
    per_arm: int,
    pairs: int,
    examples: int,
    seed: int,
    tasks: tuple[str, ...],
    ledger: Path | None,
    ratings: Path | None,
    port: int,
    no_browser: bool,
    export: Path | None,
    results: bool,
    as_json: bool,
) -> None:
    """Blind rating of a run's prompts by people, on a local page; the same command resumes.

    Raters see the seed prompt and the prompts that each arm ended with, in an order of their own, and neither where a prompt
    comes from nor how it scored. With --export, --results or --json: what they said so far.
    """
    from nullgrad.api import DEFAULT_LEDGER, open_rating, rating_rows, rating_summary, write_out
    from nullgrad.errors import UserError
    from nullgrad.surfaces.rating_text import print_ratings
    from nullgrad.surfaces.tables import to_csv
    from nullgrad.surfaces.web.serve import imported, serve

    book = ledger or DEFAULT_LEDGER
    chosen = click.get_current_context().get_parameter_source("absolute")
    mode = "absolute" if absolute else "pairwise"
    if export is not None or results or as_json:
        rows = rating_rows(run, book, tasks=tasks, ratings=ratings)
        if not rows:
            raise UserError(
                f"Nobody has rated prompts of the run {run!r}.",
                "There is nothing to show.",
                "nullgrad rate begins a session.",
            )
        if export is not None:
            write_out(export, to_csv(rows))
        if results or as_json:
            wanted = mode if chosen == click.core.ParameterSource.COMMANDLINE else None
            summary = rating_summary(run, book, mode=wanted, tasks=tasks, ratings=ratings)
            if summary is None:
                raise UserError(
                    f"There are no {mode} ratings.",
                    "There is nothing to show.",
                    "Leave out --absolute or --pairwise.",
                )
            if as_json:
                click.echo(json.dumps(summary.to_dict(), ensure_ascii=False, indent=2))
            else:
                print_ratings(summary.to_dict(), sys.stdout)
        return
    imported()
    from nullgrad.surfaces.web.rate_app import rate_app

    rating = open_rating(
        run, book, mode=mode, raters=[one for one in (raters or "").split(",") if one.strip()], seed=seed, per_arm=per_arm,
        pairs=pairs, examples=examples, tasks=tasks, ratings=ratings,
    )  # fmt: skip
    try:
        serve(rate_app(rating), port=port, opens=not no_browser, what="Rating")
    finally:
        rating.close()

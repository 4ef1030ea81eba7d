"""`nullgrad export`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nullgrad.surfaces.export import FORMATS, export

WHOLE = ("inspect", "mlflow", "wandb")
"""Formats of a whole run, which write folders; promptfoo's is one where `--out` is a folder."""

MOST_SHOWN = 10
"""Files that are printed one by one; `--json` names all of them."""


@click.command(name="export")
@click.argument("source", required=False, metavar="[RESULT.json|RUN|last]")
@click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS, *WHOLE]),
    default="text",
    show_default=True,
    help="Of the export. inspect (logs of inspect_ai), mlflow and wandb take a whole run, a study's too; promptfoo one prompt, "
    "or into a folder the seed and the best prompt with the sealed test.",
)
@click.option("--which", type=click.Choice(["best", "seed"]), help="Which prompt [default: best].")
@click.option(
    "--task", "tasks", multiple=True, help="The run's task file, for its examples; may be repeated."
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Where runs are kept [default: .nullgrad/ledger.db]."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write there: a prompt to a file instead of to standard output, a run into a folder [default: inspect-RUN; mlflow and "
    "wandb as these are set up].",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Of a prompt short for --format json; of a run what was written."
)
def command(
    source: str | None,
    form: str,
    which: str | None,
    tasks: tuple[str, ...],
    ledger: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write an optimized prompt, or a run with its transcripts and figures, for other tools.

    Of a result file (`--out`, `--json` of the run), of a run by its identity, or of the last run. Nothing is asked of any model.

    \b
    nullgrad export
    nullgrad export last --format inspect --task task.yaml
    nullgrad export last --format promptfoo --task task.yaml --out promptfoo
    """
    from nullgrad.api import DEFAULT_LEDGER, check_out, last_report, read_report, write_out

    book = ledger or DEFAULT_LEDGER
    if form in WHOLE or (form == "promptfoo" and out is not None and _is_folder(out)):
        _refuse_which(which, form)
        _whole(form, source or "last", book, out, tasks, as_json)
        return
    if tasks:
        _refuse_tasks(form)
    if out is not None:
        check_out(out, "Nothing was written.")
    if source is not None and (source.endswith(".json") or Path(source).is_file()):
        report = read_report(Path(source))
    else:
        report = last_report(book, None if source == "last" else source)
    text = export(report, "json" if as_json else form, which or "best")
    if out is None:
        click.echo(text, nl=False)
    else:
        write_out(out, text)


def _is_folder(path: Path) -> bool:
    return path.is_dir() or (not path.exists() and not path.suffix)


def _whole(
    form: str, run: str, ledger: Path, out: Path | None, tasks: tuple[str, ...], as_json: bool
) -> None:
    from nullgrad.api import export_run

    done = export_run(
        form, run, ledger, out=out, tasks=tasks, on_notice=lambda text: click.echo(f"note: {text}", err=True)
    )
    if as_json:
        click.echo(json.dumps(done.to_dict(), ensure_ascii=False, indent=2))
        return
    for place in done.written[:MOST_SHOWN]:
        click.echo(place)
    if len(done.written) > MOST_SHOWN:
        click.echo(f"… and {len(done.written) - MOST_SHOWN} more")
    click.echo(done.say)


def _refuse_which(which: str | None, form: str) -> None:
    from nullgrad.errors import UserError

    if which is not None:
        raise UserError(
            f"--which chooses one prompt, and --format {form} writes a run with all of its own.",
            "Nothing was written.",
            "Leave it out.",
        )


def _refuse_tasks(form: str) -> None:
    from nullgrad.errors import UserError

    raise UserError(
        f"--task gives examples, and --format {form} writes a prompt alone.",
        "Nothing was written.",
        "Leave it out, or take --format inspect, or promptfoo with --out FOLDER.",
    )

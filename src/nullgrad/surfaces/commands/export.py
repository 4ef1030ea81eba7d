"""`nullgrad export`."""

from __future__ import annotations

from pathlib import Path

import click

from nullgrad.surfaces.export import FORMATS, export


@click.command(name="export")
@click.argument("source", required=False, metavar="[RESULT.json|RUN]")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="Of the export."
)
@click.option(
    "--which", type=click.Choice(["best", "seed"]), default="best", show_default=True, help="Which prompt."
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Where runs are kept [default: .nullgrad/ledger.db]."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write there instead of to standard output.")
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
def command(
    source: str | None, form: str, which: str, ledger: Path | None, out: Path | None, as_json: bool
) -> None:
    """Write an optimized prompt: of a result file (`--out`, `--json`), of a run, or of the last run."""
    from nullgrad.api import DEFAULT_LEDGER, check_out, last_report, read_report, write_out

    if out is not None:
        check_out(out, "Nothing was written.")

    if source is not None and (source.endswith(".json") or Path(source).is_file()):
        report = read_report(Path(source))
    else:
        report = last_report(ledger or DEFAULT_LEDGER, source)
    text = export(report, "json" if as_json else form, which)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_out(out, text)

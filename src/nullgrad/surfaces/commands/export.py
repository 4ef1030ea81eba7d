"""`nullgrad export`."""

from __future__ import annotations

import json
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
    from nullgrad.api import DEFAULT_LEDGER, last_report
    from nullgrad.errors import UserError

    if source is not None and (source.endswith(".json") or Path(source).is_file()):
        try:
            report = json.loads(Path(source).read_text("utf-8"))
            report["best_prompt"], report["layout"]
        except FileNotFoundError:
            raise UserError(
                f"There is no file {source}.", "There is nothing to export.", "Give what --out wrote."
            ) from None
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{source} is no result of nullgrad optimize.",
                "There is nothing to export.",
                "Give what --out wrote.",
            ) from None
    else:
        report = last_report(ledger or DEFAULT_LEDGER, source)
    text = export(report, "json" if as_json else form, which)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")

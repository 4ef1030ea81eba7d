"""`nullgrad report`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click


@click.command(name="report")
@click.argument("run", required=False, default="last", metavar="[RUN|last|RESULT.json]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "parquet", "html"]),
    help="Of the report [default: table]. html is one page that needs no network.",
)
@click.option(
    "--html", type=click.Path(path_type=Path), help="Write the page there [default: report-RUN.html]."
)
@click.option(
    "--png", type=click.Path(path_type=Path), metavar="DIRECTORY", help="Write every chart there as PNG."
)
@click.option(
    "--svg", type=click.Path(path_type=Path), metavar="DIRECTORY", help="Write every chart there as SVG."
)
@click.option("--table", "name", help="Which table to write as CSV or Parquet, or to print alone.")
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Where runs are kept [default: .nullgrad/ledger.db]."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write there instead of to standard output.")
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
def command(
    run: str,
    form: str | None,
    html: Path | None,
    png: Path | None,
    svg: Path | None,
    name: str | None,
    ledger: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """What a run found: by its identity (or a beginning of it), of the last one, or of a result file.

    Nothing is asked and nothing computed: it is what the run reported, as it is kept in the ledger. Tables are of studies and comparisons;
    so are pages and pictures, which are of optimizations as well and show what the ledger knows of the prompts' lineage.
    """
    form = "json" if as_json else form
    if form == "html" or html is not None or png is not None or svg is not None:
        from nullgrad.surfaces.html.write import write_pictures

        _refuse_mixture(form, name)
        write_pictures(
            run, ledger, page=form == "html" or html is not None, html=html or out, png=png, svg=svg
        )
        return
    _tables(run, form or "table", name, ledger, out)


def _refuse_mixture(form: str | None, name: str | None) -> None:
    from nullgrad.errors import UserError

    if form not in (None, "html"):
        raise UserError(
            f"Pages and pictures are asked for together with --format {form}.",
            "Nothing was written.",
            "Give one command for each.",
        )
    if name is not None:
        raise UserError(
            "--table is of tables, and a page has all of them.", "Nothing was written.", "Leave it out."
        )


def _tables(run: str, form: str, name: str | None, ledger: Path | None, out: Path | None) -> None:
    from nullgrad.api import DEFAULT_LEDGER, check_out, study_report, write_out
    from nullgrad.errors import UserError
    from nullgrad.surfaces.compare_text import print_comparison
    from nullgrad.surfaces.study_text import print_report
    from nullgrad.surfaces.tables import to_csv, to_parquet

    if out is not None:
        check_out(out, "Nothing was written.")
    elif form == "parquet":
        raise UserError("Parquet is no text for a terminal.", "Nothing was written.", "Give --out FILE.")
    report = study_report(run, ledger or DEFAULT_LEDGER)
    show = print_report if "study" in report else print_comparison
    if form == "table":
        if out is None:
            show(report, sys.stdout, only=_known(report, name) if name else None)
        else:
            with click.open_file(str(out), "w", encoding="utf-8") as stream:
                show(report, stream, only=_known(report, name) if name else None)
        return
    if form == "json":
        value: Any = report if name is None else report["tables"][_known(report, name)]
        text: str | bytes = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    else:
        rows = report["tables"][_known(report, name or next(iter(report["tables"])))]
        text = to_csv(rows) if form == "csv" else to_parquet(rows)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_out(out, text)


def _known(report: Any, name: str) -> str:
    from nullgrad.errors import UserError

    if name not in report["tables"]:
        raise UserError(
            f"There is no table {name!r}.", "Nothing was written.", f"Known: {', '.join(report['tables'])}."
        )
    return name

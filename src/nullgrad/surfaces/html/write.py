"""Writing a report's page and its charts as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click

from nullgrad.api import DEFAULT_LEDGER, rating_summary, read_run, run_history, write_out
from nullgrad.errors import UserError
from nullgrad.surfaces.charts.base import slug
from nullgrad.surfaces.charts.render import picture
from nullgrad.surfaces.html.page import build_page, is_comparison, report_charts
from nullgrad.surfaces.html.scrub import scrubbed

NOTHING = "Nothing was written."
OURS = 'name="generator" content="nullgrad'
"""By what a page of nullgrad's own is known, which a later one may replace."""

_SHOWN_OF = 8_192
"""Bytes of a file in which its origin has to stand."""


def write_pictures(
    run: str, ledger: Path | None, *, page: bool, html: Path | None, png: Path | None, svg: Path | None
) -> None:
    """Write what is asked for, and say where.

    Args:
        run: identity, beginning, `last` or a result file.
        ledger: None takes the usual one.
        page: whether the page is wanted; html: where, None for `report-RUN.html`.
        png, svg: directories for the charts, made where they are missing.

    Raises:
        UserError: there is no such run, the extra is not installed, or a place cannot be written.
    """
    book = ledger or DEFAULT_LEDGER
    if html is not None and page:
        _check_page(html)
    for place in (png, svg):
        if place is not None and place.exists() and not place.is_dir():
            raise UserError(f"{place} is a file.", NOTHING, "Name a directory for the charts.")
    report = scrubbed(read_run(run, book))
    # Of a comparison nothing is folded: most of its trials are other programs', whose steps the ledger does not know.
    history = None if is_comparison(report) else scrubbed(run_history(report, book))
    # Of a file the name of the run may be anything.
    name = slug(report["run"])
    ratings = _ratings(report, history, book) if page else None
    with _whole(run):
        text = build_page(report, history, ratings) if page else ""
        charts = [chart for group in report_charts(report, history) for chart in group.charts]
    if page:
        path = html or Path(f"report-{name}.html")
        _check_page(path)
        # A lone surrogate, half of a character that a model's token limit cut, is written as its escape.
        data = text.encode("utf-8", "backslashreplace")
        write_out(path, data, NOTHING, "Name another file with --html.", option="--html")
        click.echo(f"{path}: {len(data) / 1e6:.1f} MB, opens without a network.")
    forms: tuple[tuple[Literal["png", "svg"], Path | None], ...] = (("png", png), ("svg", svg))
    for form, folder in forms:
        if folder is None:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for chart in charts:
            place = folder / f"{name}-{chart.name}.{form}"
            write_out(place, picture(chart, form), NOTHING, "Name another directory.", option=f"--{form}")
        click.echo(f"{folder}: {len(charts)} charts as {form.upper()}.")


def _ratings(report: Mapping[str, Any], history: object, book: Path) -> Mapping[str, Any] | None:
    """What people's ratings of the run say, None where its ledger is not at hand, or nobody has rated."""
    found = None if history is None else rating_summary(str(report["run"]), book)
    return None if found is None else found.to_dict()


@contextmanager
def _whole(run: str) -> Iterator[None]:
    """Say of a file that lacks what a page shows that it does, instead of failing somewhere in it."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if not Path(run).is_file():
            raise
        raise UserError(
            f"{run} is no whole result of nullgrad ({type(error).__name__}: {error}).",
            NOTHING,
            "Give the file as --out wrote it, of the same version.",
        ) from None


def _check_page(path: Path) -> None:
    """Refuse to replace what is no page of nullgrad's: a slip must not cost a task."""
    if path.is_dir():
        raise UserError(f"--html {path} is a directory.", NOTHING, "Name a file in it.")
    if not path.parent.is_dir():
        raise UserError(f"There is no directory {path.parent} for --html {path}.", NOTHING, "Make it.")
    if path.is_file() and path.stat().st_size and OURS.encode() not in path.read_bytes()[:_SHOWN_OF]:
        raise UserError(
            f"--html {path} exists and is no report of nullgrad.",
            f"It was left as it is. {NOTHING}",
            "Name another file.",
        )

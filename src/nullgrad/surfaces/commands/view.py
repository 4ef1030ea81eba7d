"""`nullgrad view`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="view")
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Where runs are kept [default: .nullgrad/ledger.db]."
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    help="A task file whose examples are shown beside answers; may be repeated.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="To listen on [default: a free one].")
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
def command(ledger: Path | None, tasks: tuple[str, ...], port: int, no_browser: bool) -> None:
    """A local web page over a ledger: progress, trajectories, prompts, transcripts; while a run goes on or afterwards.

    Only this machine can reach it, and only with the address that is printed. It reads the ledger and never writes to it.
    """
    from nullgrad.api import DEFAULT_LEDGER, open_view
    from nullgrad.surfaces.web.serve import imported, serve
    from nullgrad.surfaces.web.view_app import view_app

    imported()
    view = open_view(ledger or DEFAULT_LEDGER, tasks)
    try:
        serve(view_app(view), port=port, opens=not no_browser, what="View")
    finally:
        view.close()

"""Handing over a result: written to its file, then shown; what fails is said last, for the result is paid for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

KEPT = "The result is kept in the ledger."
AGAIN = "Run the same command again: nothing is paid again."


def deliver(result: Any, out: Path | None, as_json: bool, show: Callable[[], None]) -> None:
    """Write `result` to `out`, and print it as JSON or by `show`.

    Raises:
        UserError: standard output, or after showing it `out`, cannot be written.
        BrokenPipeError: whoever read the output has gone.
    """
    from nullgrad.errors import UserError

    unsaved = _save(result, out)
    try:
        if as_json:
            click.echo(result.to_json())
        else:
            show()
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(
            f"Standard output cannot be written: {error.strerror or error}.", KEPT, AGAIN
        ) from None
    if unsaved is not None:
        raise unsaved


def _save(result: Any, out: Path | None) -> Exception | None:
    from nullgrad.api import write_out
    from nullgrad.errors import UserError

    if out is not None:
        try:
            write_out(out, result.to_json() + "\n", KEPT, f"{AGAIN} Give --out another place.")
        except UserError as error:
            return error
    return None

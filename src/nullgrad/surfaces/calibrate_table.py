"""What the texts of calibration share: a console, a table whose numbers are never cut, shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE = 150
"""Columns where there is no terminal."""

Value = Mapping[str, Any]


class Lines(Console):
    """Where texts go, line by line."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(file=stream, highlight=False, width=None if stream.isatty() else PIPE)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which gives it an exit code; rich would end the process with 1."""
        raise BrokenPipeError

    def line(self, text: str = "", style: str = "") -> None:
        """One line of plain text, wrapped where the terminal ends."""
        self.print(Text(text, style=style))


def number_table(title: str, names: Sequence[str], left: Sequence[str]) -> Table:
    """Columns of numbers are never cut."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in names:
        words = name in left
        table.add_column(name, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    return table


def share(value: float) -> str:
    """As a percentage."""
    return f"{100 * value:.1f} %"


def ends(row: Value, name: str) -> str:
    """Both ends of the interval of a share."""
    return f"{100 * row[f'{name}_low']:.1f}–{100 * row[f'{name}_high']:.1f}"

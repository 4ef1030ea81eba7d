"""Numbers and tables of an audit's text, in one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE = 120
"""Columns where there is no terminal."""

WIDE = 90
"""Columns from which on tables have all their columns; a narrower terminal gets fewer, for cut numbers are worse."""

LEAST_NAME = 16
"""Columns that the first column of a table gets at least."""

Value = Mapping[str, Any]


class Printer(Console):
    """A console that prints plain lines, and leaves a broken pipe to the command line."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(file=stream, highlight=False, width=None if stream.isatty() else PIPE)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which gives it an exit code; rich would end the process with 1."""
        raise BrokenPipeError

    @property
    def wide(self) -> bool:
        """Whether there is room for all columns."""
        return self.width >= WIDE

    def line(self, text: str = "", style: str = "") -> None:
        """One line of plain text, wrapped where the terminal ends."""
        self.print(Text(text, style=style))


class Grid:
    """Rows under a title: a table where the terminal has room for it, else a few lines for each row.

    The first column is words and may wrap; the others are numbers, which are never cut.
    """

    def __init__(self, title: str, columns: Sequence[str]) -> None:
        self._title = title
        self._columns = tuple(columns)
        self._rows: list[tuple[tuple[str, ...], str]] = []

    def add_row(self, *cells: str, style: str = "") -> None:
        """One row; cells that are left out are empty."""
        self._rows.append((cells + ("",) * (len(self._columns) - len(cells)), style))

    def show(self, out: Printer) -> None:
        """Print it."""
        widths = [
            max(len(name), *(len(cells[place]) for cells, _ in self._rows))
            for place, name in enumerate(self._columns)
        ]
        # Above the table and not its title, which would wrap where the table is narrow.
        out.line(self._title, "italic")
        if min(widths[0], LEAST_NAME) + sum(width + 2 for width in widths[1:]) <= out.width:
            out.print(self._table())
            return
        for cells, style in self._rows:
            named = [
                f"{name} {cell}".strip()
                for name, cell in zip(self._columns[1:], cells[1:], strict=True)
                if cell.strip()
            ]
            out.line(f"{cells[0]}: {', '.join(named)}", style)

    def _table(self) -> Table:
        grid = Table(box=None, pad_edge=False)
        for place, name in enumerate(self._columns):
            grid.add_column(name, justify="right" if place else "left", no_wrap=bool(place))
        for cells, style in self._rows:
            grid.add_row(*(Text(cell) for cell in cells), style=style or None)
        return grid


def percent(value: float | None) -> str:
    """A share."""
    return "–" if value is None else f"{100 * value:.1f} %"


def signed(value: float | None) -> str:
    """Points; never −0."""
    return "–" if value is None else f"{round(value, 1) + 0.0:+.1f}"


def plain_range(ends: Sequence[float] | None, factor: float = 1.0) -> str:
    """Both ends of an interval."""
    return "not estimable" if ends is None else f"{factor * ends[0]:.1f} to {factor * ends[1]:.1f}"


def change(value: Value | None) -> str:
    """Before and after, in percent."""
    if value is None or "not_estimable" in value:
        return "–"
    return f"{_bare(value['before'])} → {_bare(value['after'])} %"


def points(value: Value | None) -> str:
    """A difference with its interval."""
    if value is None or "not_estimable" in value:
        return "–"
    ends = value["interval"]
    return signed(value["points"]) + ("" if ends is None else f" ({plain_range(ends)})")


def _bare(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"

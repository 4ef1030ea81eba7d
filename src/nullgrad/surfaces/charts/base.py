"""A chart, the table behind it, and the parts that all specifications share.

Specifications are Vega-Lite 6 without data (rows are given by name, once) and without colours (names such as `@good`, which
`themes` fills for light and dark).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Row = Mapping[str, Any]
Spec = dict[str, Any]
Kind = Literal["text", "percent", "points", "number", "p", "count", "yes"]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
ROWS = "rows"
"""Name of the data set that a specification refers to."""

MINUS = "\N{MINUS SIGN}"
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
"""Arms differ by shape as well, for who does not see colours apart."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: key in the rows.
        title: as people read it.
        kind: how it is shown: `percent` and `points` are of numbers from 0 to 100; downloads hold them unrounded.
        shown: whether people see it; what only the drawing needs is in neither table nor download.
    """

    name: str
    title: str
    kind: Kind = "text"
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a caption, shown and downloaded.

    Attributes:
        name: unique on a page, fit for a file's name.
        title: its caption.
        columns: what is shown, in order.
        rows: one mapping a row; None is unknown.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def values(self) -> list[list[Any]]:
        """Rows as lists in the order of the columns."""
        return [[row.get(column.name) for column in self.columns] for row in self.rows]

    @property
    def shown(self) -> tuple[Column, ...]:
        """Columns for people."""
        return tuple(column for column in self.columns if column.shown)


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture.

    Attributes:
        table: its data; every field that the specification draws is a column.
        spec: Vega-Lite without data, theme and colours.
        summary: what it shows in a sentence or two, also for who does not see it.
        least: pixels of width below which it is scrolled and not squeezed.
    """

    table: Table
    spec: Spec
    summary: str
    least: int = 480

    @property
    def name(self) -> str:
        """Of its table."""
        return self.table.name

    @property
    def title(self) -> str:
        """Of its table."""
        return self.table.title


def chart_spec(*layers: Spec, height: int) -> Spec:
    """A layered specification as wide as what it stands in."""
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"name": ROWS},
        "layer": list(layers),
    }


def hidden(*names: str) -> tuple[Column, ...]:
    """Columns for the drawing alone."""
    return tuple(Column(name, name, "text", False) for name in names)


def layer(mark: str | Spec, *filters: str, **encoding: Any) -> Spec:
    """One layer: a mark, filters as Vega expressions, and channels."""
    found: Spec = {"mark": mark if isinstance(mark, dict) else {"type": mark}, "encoding": encoding}
    if filters:
        found["transform"] = [{"filter": one} for one in filters]
    return found


def field(name: str, type_: str = "quantitative", **more: Any) -> Spec:
    """A channel's field."""
    return {"field": name, "type": type_, **more}


def names_axis(name: str, values: Iterable[Any], limit: int = 300, **more: Any) -> Spec:
    """A vertical axis of names in the order given, each once."""
    axis = {"title": None, "labelLimit": limit, "ticks": False, "domain": False, **more}
    scale = {"domain": list(dict.fromkeys(values))}
    return field(name, "nominal", sort=None, scale=scale, axis=axis)


def whole(values: Iterable[int], title: str) -> Spec:
    """A horizontal channel of whole numbers such as steps: a tick on each while there are few."""
    places = sorted(set(values))
    axis: Spec = {"title": title, "grid": False, "format": "d"}
    if len(places) <= 12:
        axis["values"] = places
    else:
        axis["tickMinStep"] = 1
    scale = {"nice": False, "zero": False, "padding": 14, "domain": [places[0], places[-1]]}
    return field("at", axis=axis, scale=scale)


WITHIN = "datum.value >= 0 && datum.value <= 100 ? datum.label : ''"
"""Labels of an axis of percentages that intervals or text stretch beyond what can be."""


def tooltip(columns: Sequence[Column]) -> list[Spec]:
    """Every column, rounded as the table rounds it."""
    formats = {"percent": ".1f", "points": "+.1f", "number": ".3~g", "p": ".2~g", "count": ",.0f"}
    found = []
    for column in columns:
        one = field(column.name, "quantitative" if column.kind in formats else "nominal", title=column.title)
        if column.kind in formats:
            one["format"] = formats[column.kind]
        found.append(one)
    return found


def domain_of(values: Iterable[float | None], *, room: float = 0.05, after: float = 0.0) -> list[float]:
    """Ends of an axis: all values, with a share of room on both sides and more of it behind for text."""
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    span = high - low or 1.0
    return [low - room * span, high + (room + after) * span]


def percent(share: float | None) -> float | None:
    """A share from 0 to 1 as a number from 0 to 100."""
    return None if share is None else round(100 * share, 6)


def signed(value: float | None, places: int = 1) -> str:
    """A difference with its sign."""
    if value is None:
        return "not estimable"
    text = f"{value:+.{places}f}"
    return text.replace("-", MINUS) if float(text) else f"{0:.{places}f}"


def between(low: float | None, high: float | None) -> str:
    """An interval's ends in brackets, "" where there is none."""
    if low is None or high is None:
        return ""
    return f"[{low:.1f}, {high:.1f}]".replace("-", MINUS)


def p_text(p: float | None) -> str:
    """Two significant digits, never 0."""
    if p is None:
        return ""
    return f"{p:.2g}" if p >= 1e-5 else f"{p:.0e}"


def number(value: float | None, places: int = 1) -> str:
    """A plain number, "" where unknown."""
    return "" if value is None else f"{value:.{places}f}".replace("-", MINUS)


def arm_colours(arms: Sequence[str], present: Sequence[str]) -> Spec:
    """Colour by arm, the same in every chart that is given the same arms; the legend has those that are present."""
    places = [f"@c{place % 10}" for place in range(len(arms))]
    return field(
        "arm", "nominal", scale={"domain": list(arms), "range": places}, legend=_legend("arm", present)
    )


def arm_shapes(arms: Sequence[str], present: Sequence[str]) -> Spec:
    """Shape by arm."""
    shapes = [SHAPES[place % len(SHAPES)] for place in range(len(arms))]
    return field(
        "arm", "nominal", scale={"domain": list(arms), "range": shapes}, legend=_legend("arm", present)
    )


def _legend(title: str, values: Sequence[str]) -> Spec:
    return {
        "title": title,
        "values": list(values),
        "orient": "bottom",
        "columns": 2,
        "labelLimit": 320,
        "symbolLimit": 40,
        "symbolOpacity": 1,
    }


def slug(*parts: object) -> str:
    """A name that a file and an element's id can bear."""
    text = "-".join(str(part) for part in parts).lower()
    kept = "".join(one if one.isascii() and one.isalnum() else "-" for one in text)
    return "-".join(part for part in kept.split("-") if part)

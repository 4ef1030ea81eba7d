"""Charts as pictures for papers; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from nullgrad.surfaces.charts.base import ROWS, Chart
from nullgrad.surfaces.charts.themes import CONFIG, THEMES, Theme, filled

WIDTH = 760
"""Pixels of a picture's plot; a PNG has twice as many."""
SCALE = 2.0


def complete(chart: Chart, theme: Theme = "light", width: int = WIDTH) -> dict[str, Any]:
    """The specification with data, colours and title: what any Vega-Lite tool draws."""
    spec: dict[str, Any] = filled({**chart.spec, "config": CONFIG}, THEMES[theme])
    names = [column.name for column in chart.table.columns]
    rows = [dict(zip(names, values, strict=True)) for values in chart.table.values()]
    return {
        **spec,
        "title": {"text": chart.title, "anchor": "start", "fontSize": 14},
        "description": chart.summary,
        "width": max(width, chart.least),
        "datasets": {ROWS: rows},
    }


def picture(chart: Chart, form: Literal["png", "svg"], theme: Theme = "light") -> bytes:
    """One chart as PNG or SVG.

    Raises:
        UserError: the extra `report` is not installed.
    """
    convert = converter()
    # As a text: the converter takes no numbers of NumPy, and orders keys itself.
    spec = complete(chart, theme)
    if form == "png":
        data: bytes = convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=SCALE)
        return data
    text: str = convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    return text.encode("utf-8")


VEGA_LITE = "6.4"
"""Of the converter's versions the one that pages and pictures are drawn with."""


def converter() -> Any:
    """The package that draws pictures and holds the scripts of Vega.

    Raises:
        UserError: it is not installed.
    """
    from nullgrad.errors import UserError

    try:
        import vl_convert
    except ImportError:
        raise UserError(
            "Charts need vl-convert-python, which is not installed.",
            "Nothing was written.",
            "pip install 'nullgrad[report]', or take --format table, json or csv.",
        ) from None
    return vl_convert


def file_names(charts: Mapping[str, Chart], run: str, form: str) -> dict[str, str]:
    """File name of each chart of a run."""
    return {name: f"{run}-{name}.{form}" for name in charts}

"""Colours of light and dark, as names that specifications and the style sheet share.

Text has a contrast of 4.5 : 1 or more against the paper, marks of 3 : 1, in both; categories are told apart under the common
forms of colour blindness (after Okabe and Ito, Color Universal Design), and arms by shape as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Theme = Literal["light", "dark"]

LIGHT = {
    "paper": "#ffffff", "panel": "#f5f7f9", "ink": "#1b1f24", "muted": "#525c68", "grid": "#d5dbe1",
    "soft": "#868f9a", "faint": "#e3e7ec", "good": "#1a7f4b", "bad": "#b3261e", "equal": "#0b5fb5",
    "unsure": "#7d5800", "before": "#6b7480", "after": "#0b5fb5", "insert": "#d9f2e3", "delete": "#fbe1de",
    "c0": "#0072b2", "c1": "#c44900", "c2": "#00805b", "c3": "#b0488a", "c4": "#7a6000", "c5": "#2f8fc7",
    "c6": "#b37400", "c7": "#4a4f57", "c8": "#7a3ea1", "c9": "#9c4a2f",
}  # fmt: skip
DARK = {
    "paper": "#12161c", "panel": "#1a2029", "ink": "#e8ebef", "muted": "#a7b0bc", "grid": "#333c47",
    "soft": "#7d8896", "faint": "#262e38", "good": "#4fc78d", "bad": "#ff8b80", "equal": "#79b8ff",
    "unsure": "#e3b341", "before": "#98a2af", "after": "#79b8ff", "insert": "#12402a", "delete": "#552522",
    "c0": "#58a9dd", "c1": "#ff8f4d", "c2": "#45c9a0", "c3": "#e79bc6", "c4": "#dcc74a", "c5": "#9fd0ff",
    "c6": "#ffc04d", "c7": "#c3c9d1", "c8": "#c79cff", "c9": "#dda083",
}  # fmt: skip
THEMES: dict[Theme, dict[str, str]] = {"light": LIGHT, "dark": DARK}

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

CONFIG: dict[str, Any] = {
    "background": "@paper",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "@ink", "titleColor": "@muted", "gridColor": "@grid", "domainColor": "@soft", "tickColor": "@soft",
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelPadding": 6,
    },
    "legend": {
        "labelColor": "@ink", "titleColor": "@muted", "labelFontSize": 12, "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "text": {"color": "@ink", "fontSize": 12},
    "header": {"labelColor": "@ink", "titleColor": "@muted"},
    "title": {"color": "@ink"},
}  # fmt: skip
"""Of every chart, its colours by name."""


def filled(value: Any, tokens: Mapping[str, str]) -> Any:
    """A specification with the names of colours replaced."""
    if isinstance(value, str):
        return tokens.get(value[1:], value) if value.startswith("@") else value
    if isinstance(value, Mapping):
        return {key: filled(part, tokens) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [filled(part, tokens) for part in value]
    return value


def style_variables(theme: Theme) -> str:
    """The colours as declarations of CSS variables."""
    return " ".join(f"--{name}: {colour};" for name, colour in THEMES[theme].items())

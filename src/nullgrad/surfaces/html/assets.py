"""Scripts and styles of a page, each inlined once and named by its hash in the page's Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib import resources

from nullgrad.surfaces.charts.render import VEGA_LITE, converter
from nullgrad.surfaces.charts.themes import style_variables

NOTICE = (
    "/*! Vega, Vega-Lite, Vega-Embed and vega-interpreter, https://vega.github.io, copyright (c) University of Washington "
    "Interactive Data Lab, BSD-3-Clause; with their dependencies (d3 and others), BSD, ISC and MIT. */\n"
)
_EMBED = "window.vegaEmbed = vegaEmbed;"


@lru_cache(maxsize=1)
def vega_script() -> str:
    """Vega-Embed with all that it needs; it holds the interpreter of expressions, so that no `eval` is needed.

    Raises:
        UserError: the extra `report` is not installed.
    """
    bundle: str = converter().javascript_bundle(_EMBED, vl_version=VEGA_LITE)
    return inlined(NOTICE + bundle)


def inlined(script: str) -> str:
    """A script as it may stand in an element: nothing in it ends the element or opens a comment of HTML."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def static(name: str) -> str:
    """A file of the package."""
    return resources.files("nullgrad.surfaces.html").joinpath("static", name).read_text("utf-8")


@lru_cache(maxsize=1)
def style() -> str:
    """The style sheet with the colours of both themes."""
    light, dark = style_variables("light"), style_variables("dark")
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}\n"
        f":root[data-theme=light] {{ color-scheme: light; }}\n"
        f":root[data-theme=dark] {{ color-scheme: dark; {dark} }}\n"
        f"@media print {{ :root, :root[data-theme] {{ color-scheme: light; {light} }} }}\n"
        f"@media print and (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {light} }} }}\n"
        + static("report.css")
    )


def source_hash(text: str) -> str:
    """How a Content-Security-Policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"


def policy(scripts: list[str], styles: list[str]) -> str:
    """Only what is inlined runs; nothing is loaded, sent, framed or submitted."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(source_hash, scripts))}",
            f"style-src {' '.join(map(source_hash, styles))}",
            "img-src data:",
            "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )

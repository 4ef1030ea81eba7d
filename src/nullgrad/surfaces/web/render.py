"""Templates and files of the local pages. Every value is escaped, and keys are hidden, wherever a template prints one."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from nullgrad.errors import UserError
from nullgrad.surfaces.html import assets
from nullgrad.surfaces.html.scrub import LEAST, scrubbed, secrets

MOST_SHOWN = 2_000_000
"""Characters of one text on a page; the whole is a link away."""


@lru_cache(maxsize=1)
def environment() -> Any:
    """The templates' environment.

    Raises:
        UserError: the extra `view` is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise missing("Jinja2") from None
    hidden = secrets()

    def shown(value: Any) -> Any:
        if value is None:
            return ""
        if type(value) is not str or (len(value) < LEAST and value.isascii()):
            return value
        # A lone surrogate, which a model's cut-off escape can leave, is no text that a page can hold.
        return _visible(scrubbed(value, hidden))

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("nullgrad.surfaces.web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=shown,
    )
    made.filters.update(count=count, percent=percent, clock=clock, duration=duration, usd=usd, query=query)
    made.globals.update(most_shown=MOST_SHOWN)
    for name in made.list_templates(extensions=["html"]):
        made.get_template(name)  # compiled now, and not while somebody waits for a page
    return made


def _visible(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def page(name: str, **values: Any) -> str:
    """A template filled in."""
    text: str = environment().get_template(name).render(**values)
    return text


def missing(package: str) -> UserError:
    """What to do where an extra is not installed."""
    return UserError(
        f"Local pages need {package}, which is not installed.",
        "Nothing was served.",
        "pip install 'nullgrad[view]'.",
    )


@lru_cache(maxsize=8)
def file(name: str) -> tuple[bytes, str] | None:
    """A script or a style sheet with its media type, None where there is none of that name."""
    kinds = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
    if name == "report.css":
        return assets.style().encode(), kinds["css"]
    if name == "report.js":
        return assets.static("report.js").encode(), kinds["js"]
    if name == "vega.js":
        return assets.vega_script().encode(), kinds["js"]
    if name not in ("view.css", "view.js", "rate.js"):
        return None
    text = resources.files("nullgrad.surfaces.web").joinpath("static", name).read_text("utf-8")
    return text.encode(), kinds[name.rpartition(".")[2]]


def count(value: float | None) -> str:
    """A whole number with separators, "" where unknown."""
    return "" if value is None else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """A share as percent with one decimal, "" where unknown."""
    return "" if value is None else f"{100 * value:.1f} %"


def clock(value: str) -> str:
    """A time in UTC, to the second."""
    return f"{value[:10]} {value[11:19]} UTC" if value else ""


def duration(seconds: float | None) -> str:
    """A time in the largest two units."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def usd(value: float | None) -> str:
    """Dollars; what is unknown is never 0."""
    if value is None:
        return "unknown"
    return "no charge" if value == 0 else f"${value:,.4f}" if value < 1 else f"${value:,.2f}"


def query(values: dict[str, Any], **changes: Any) -> str:
    """A query with some values replaced; empty ones are left out."""
    kept = {name: value for name, value in {**values, **changes}.items() if value not in (None, "", False)}
    return urlencode(kept, errors="replace")

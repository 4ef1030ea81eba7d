"""The report of a run as one page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nullgrad.surfaces.charts import Chart, Group, Table, comparison_charts, optimize_charts, study_charts
from nullgrad.surfaces.charts.themes import CONFIG, THEMES
from nullgrad.surfaces.html import assets
from nullgrad.surfaces.html.blocks import Block, Section
from nullgrad.surfaces.html.comparison_sections import comparison_sections
from nullgrad.surfaces.html.headline import of_comparison, of_optimization, of_study
from nullgrad.surfaces.html.optimize_sections import optimize_sections
from nullgrad.surfaces.html.rating_section import rating_section
from nullgrad.surfaces.html.scrub import scrubbed
from nullgrad.surfaces.html.study_sections import study_sections

Value = Mapping[str, Any]


def is_comparison(report: Value) -> bool:
    """Whether a result is of a comparison of optimizers."""
    return "comparison" in report


def is_study(report: Value) -> bool:
    """Whether a result is a study's; else it is a comparison's or an optimization's."""
    return "tables" in report and not is_comparison(report)


def report_charts(report: Value, history: Value | None = None) -> tuple[Group, ...]:
    """Every chart of a result, as the page draws them."""
    if is_comparison(report):
        return comparison_charts(report)
    return (study_charts if is_study(report) else optimize_charts)(report, history)


def build_page(report: Value, history: Value | None = None, ratings: Value | None = None) -> str:
    """The page.

    Args:
        report: what a result's `to_dict` gives, or the ledger keeps of it.
        history: what `nullgrad.api.run_history` gives; None leaves out lineage and tokens.
        ratings: what `RatingSummary.to_dict` gives; None where nobody has rated.

    Raises:
        UserError: the extra `report` is not installed.
    """
    report, history = scrubbed(report), scrubbed(history)
    groups = report_charts(report, history)
    by_group = {group.about: group.charts for group in groups}
    if is_comparison(report):
        head, sections = of_comparison(report), comparison_sections(report, by_group)
        kind, title = "Comparison", f"Optimizers on {report['comparison']}"
    elif is_study(report):
        head, sections = of_study(report), study_sections(report, history, by_group)
        kind, title = "Study", str(report["study"])
    else:
        head, sections = of_optimization(report), optimize_sections(report, history, by_group)
        kind, title = "Optimization", f"{report['task']}, {report['arm']}"
    place = next((n for n, one in enumerate(sections) if one.id == "lineage"), len(sections) - 1)
    sections = [*sections[: place + 1], *rating_section(scrubbed(ratings)), *sections[place + 1 :]]
    scripts = [assets.vega_script(), assets.inlined(assets.static("report.js"))]
    styles = [assets.style()]
    page: str = _template("report.html").render(
        policy=assets.policy(scripts, styles),
        scripts=scripts,
        styles=styles,
        data=_data(report, sections),
        kind=kind,
        title=title,
        report=report,
        simulated=report["simulated"],
        head=head,
        sections=sections,
    )
    return page


def _template(name: str) -> Any:
    from nullgrad.errors import UserError

    try:
        import jinja2
    except ImportError:
        raise UserError(
            "Pages need Jinja2, which is not installed.",
            "Nothing was written.",
            "pip install 'nullgrad[report]', or take --format table, json or csv.",
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nullgrad.surfaces.html"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)


def _data(report: Value, sections: Sequence[Section]) -> str:
    """Everything that the script needs, once: as JSON that no HTML can end."""
    tables: dict[str, Any] = {}
    specs: dict[str, Any] = {}
    for block in (block for section in sections for block in section.blocks):
        for table in _tables(block):
            tables[table.name] = {
                "title": table.title,
                "columns": [
                    {"name": one.name, "title": one.title, "kind": one.kind, "shown": one.shown}
                    for one in table.columns
                ],
                "rows": table.values(),
            }
        for chart in block.value if block.kind == "charts" else ():
            specs[chart.name] = chart.spec
    value = {"run": report["run"], "tables": tables, "specs": specs, "config": CONFIG, "themes": THEMES}
    return json_in_html(value)


def json_in_html(value: Any) -> str:
    """JSON in which no character can end or escape the element that holds it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in ("&", "<", ">", "\u2028", "\u2029"):
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    # A lone surrogate, which a model's cut-off escape can leave, is no text that a file can hold.
    return "".join(f"\\u{ord(one):04x}" if "\ud800" <= one <= "\udfff" else one for one in text)


def _tables(block: Block) -> Iterable[Table]:
    if block.kind == "charts":
        found: Sequence[Chart] = block.value
        return [chart.table for chart in found]
    if block.kind == "table":
        return [block.value]
    if block.kind == "words":
        return [block.value.table]
    return []

"""Every chart that a result supports, in groups by what they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nullgrad.surfaces.charts.ablation import section_charts
from nullgrad.surfaces.charts.arms import arms_chart, variants_charts
from nullgrad.surfaces.charts.audit import audit_charts, verdict_chart
from nullgrad.surfaces.charts.base import Chart, Row
from nullgrad.surfaces.charts.candidates import candidates_chart
from nullgrad.surfaces.charts.classes import classes_chart, result_rows
from nullgrad.surfaces.charts.course import best_of_k_chart, course_charts, diversity_charts
from nullgrad.surfaces.charts.forest import forest_chart
from nullgrad.surfaces.charts.spend import spend_chart
from nullgrad.surfaces.charts.waterfall import free_chart, ladder_chart

Value = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """Charts about one thing.

    Attributes:
        about: `waterfall`, `classes`, `contrasts`, `arms`, `course`, `variants`, `candidates`, `diversity`, `sections` or
            `cost`.
        charts: in order.
    """

    about: str
    charts: tuple[Chart, ...]


def study_charts(report: Value, history: Value | None = None) -> tuple[Group, ...]:
    """Of a study's result.

    Args:
        report: what `StudyResult.to_dict` gives, or the ledger keeps.
        history: what `run_history` gives, None without a ledger.
    """
    tables: Mapping[str, list[Row]] = report["tables"]
    found: dict[str, list[Chart | None]] = {}
    for place, cell in enumerate(report["cells"]):
        name = str(cell["cell"])

        def own(table: str, cell: str = name) -> list[Row]:
            return [row for row in tables.get(table, ()) if row["cell"] == cell]

        arms, trials, contrasts = own("arms"), own("trials"), own("contrasts")
        order = [arm["arm"] for arm in arms if arm["arm"] != "seed"]
        _add(
            found,
            "waterfall",
            (
                ladder_chart(f"waterfall-{place}-{number}", one["top"], one)
                for number, one in enumerate(report["attribution"])
                if one["cell"] == name and one["steps"]
            ),
        )
        _add(found, "classes", [verdict_chart(f"verdicts-{place}", name, own("audits"))])
        _add(found, "contrasts", [forest_chart(f"forest-{place}", name, contrasts)] if contrasts else [])
        _add(found, "arms", [arms_chart(f"arms-{place}", name, arms, trials)])
        _add(found, "course", course_charts(f"course-{place}", name, own("trajectory"), order))
        _add(found, "variants", variants_charts(f"variants-{place}", name, arms, trials, contrasts))
        _add(found, "diversity", diversity_charts(f"diversity-{place}", name, own("diversity"), order))
        _add(found, "diversity", [best_of_k_chart(f"best-of-k-{place}", name, own("best_of_k"), order)])
    _add(found, "cost", [spend_chart("cost", history["replies"])] if history else [])
    return _groups(found)


def optimize_charts(report: Value, history: Value | None = None) -> tuple[Group, ...]:
    """Of an optimization's result; what was followed by step comes from the ledger.

    Args:
        report: what `OptimizeResult.to_dict` gives, or the ledger keeps.
        history: what `run_history` gives, None without a ledger.
    """
    found: dict[str, list[Chart | None]] = {}
    attribution = report["attribution"]
    ladder, free = attribution["ladder"], attribution["free"]
    if ladder is not None and ladder["steps"]:
        _add(found, "waterfall", [ladder_chart("waterfall", report["arm"], ladder)])
    elif free is not None:
        _add(found, "waterfall", [free_chart("waterfall", free)])
    rows = result_rows(report)
    _add(
        found,
        "classes",
        [classes_chart("classes", "Recall of each class, before and after", rows)] if rows else [],
    )
    _add(found, "classes", audit_charts("audit", report.get("audit")))
    _add(found, "sections", section_charts("sections", report.get("audit")))
    if history is not None:
        arms = list(dict.fromkeys(row["arm"] for row in history["trajectory"]))
        _add(found, "course", course_charts("course", report["task"], history["trajectory"], arms))
        title = "Candidates on validation, by step"
        _add(found, "candidates", [candidates_chart("candidates", title, history["candidates"])])
        _add(found, "cost", [spend_chart("cost", history["replies"])])
    return _groups(found)


def _add(found: dict[str, list[Chart | None]], about: str, charts: Iterable[Chart | None]) -> None:
    found.setdefault(about, []).extend(charts)


def _groups(found: Mapping[str, list[Chart | None]]) -> tuple[Group, ...]:
    kept = {about: tuple(chart for chart in charts if chart is not None) for about, charts in found.items()}
    return tuple(Group(about, charts) for about, charts in kept.items() if charts)

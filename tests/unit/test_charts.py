"""Charts: the rows are the result's numbers, every field is there, and what is drawn is legible in both themes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from nullgrad.core.arms import ladder, parse_arm
from nullgrad.surfaces.charts import Chart, Group, study_charts
from nullgrad.surfaces.charts.ablation import section_charts
from nullgrad.surfaces.charts.audit import audit_charts
from nullgrad.surfaces.charts.classes import MOST, class_row, classes_chart
from nullgrad.surfaces.charts.course import course_charts
from nullgrad.surfaces.charts.forest import forest_chart
from nullgrad.surfaces.charts.render import complete
from nullgrad.surfaces.charts.spend import spend_chart
from nullgrad.surfaces.charts.themes import THEMES, filled
from nullgrad.surfaces.charts.waterfall import ADDS, TAKES, UNTOLD, free_chart, ladder_chart
from nullgrad.surfaces.html.assets import static
from tests.support.study_facts import a_contrast, a_study, analysed, batches, keyed, of_scores, scored, within

TOP = "gradient/correct/validated@3"


@pytest.fixture(scope="module")
def report() -> Mapping[str, Any]:
    """A study with a ladder, a trend, a plateau and variants."""
    stream = np.random.default_rng(3)
    arms = [rung.arm.canonical for rung in ladder(parse_arm(TOP))]
    arms += ["gradient/correct/naive", "gradient/correct/validated@1", "gradient/correct/validated@10"]
    scores = {arm: (20 + place + stream.integers(-2, 3, 6)).tolist() for place, arm in enumerate(arms)}
    trials = dict(of_scores(scores))
    for number in range(6):
        own = trials["small", "gradient/correct/naive", number]
        batches(own, [[1.0, 0.0, 1.0]] * 4, [[1.0, 0.0, 0.0]] * 4)
        guarded = trials["small", TOP, number]
        for step in range(1, 5):
            rows = {v: (stream.random(10) < 0.5).astype(float).tolist() for v in (-1, 0, 1, 2)}
            scored(guarded, step, rows, number % 3)
    study = a_study(
        {arm: 6 for arm in arms if arm != "seed"},
        [
            a_contrast(TOP, "gradient/correct/best@3", "guard", margin=0.05),
            a_contrast("gradient/correct/naive", "rewrite/none/naive", "other", bundle=True),
            within("plateau", "gradient/correct/naive", "course"),
        ],
    )
    return analysed(study, keyed(trials.values())).to_dict()


@pytest.fixture(scope="module")
def groups(report: Mapping[str, Any]) -> dict[str, Group]:
    return {group.about: group for group in study_charts(report)}


def fields_of(value: Any) -> Iterator[str]:
    """Every field that a specification reads."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key == "field" and isinstance(part, str):
                yield part
            else:
                yield from fields_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from fields_of(part)


def calculated(spec: Mapping[str, Any]) -> set[str]:
    return {one["as"] for layer in spec["layer"] for one in layer.get("transform", ()) if "calculate" in one}


def check(chart: Chart) -> None:
    """What holds of every chart."""
    names = {column.name for column in chart.table.columns}
    assert len(names) == len(chart.table.columns), "a column's name is unique"
    assert set(fields_of(chart.spec)) <= names | calculated(chart.spec), chart.name
    json.dumps(complete(chart), allow_nan=False)
    for theme in THEMES:
        text = json.dumps(filled(chart.spec, THEMES[theme]), ensure_ascii=False)
        assert '"@' not in text, "every colour is known"
    assert chart.summary.endswith("."), chart.summary
    assert f".plot.w{chart.least} " in static("report.css"), "the style sheet knows its least width"
    altair = pytest.importorskip("altair")
    altair.Chart.from_dict(complete(chart), validate=True)


def test_a_study_has_every_chart(groups: dict[str, Group]) -> None:
    assert set(groups) >= {"waterfall", "contrasts", "arms", "course", "variants", "diversity"}
    charts = [chart for group in groups.values() for chart in group.charts]
    names = [chart.name for chart in charts]
    assert len(set(names)) == len(names)
    for chart in charts:
        check(chart)


def test_the_waterfall_is_the_ladder(report: Mapping[str, Any], groups: dict[str, Group]) -> None:
    (chart,) = groups["waterfall"].charts
    (attribution,) = report["attribution"]
    rows = [row for row in chart.table.rows if row["kind"] == "step"]
    steps = attribution["steps"]
    assert [row["points"] for row in rows] == [step["points"] for step in steps[1:]]
    assert [(row["low"], row["high"]) for row in rows] == [
        tuple(step["ci95_simultaneous"] or (None, None)) for step in steps[1:]
    ]
    assert [row["label"] for row in rows] == [step["ingredient"] for step in steps[1:]]
    for row, step in zip(rows, steps[1:], strict=True):
        assert row["end"] - row["start"] == pytest.approx(step["points"])
        assert row["end"] == pytest.approx(100 * step["score"], abs=1e-3), (
            "steps add up where nothing is missing"
        )
    first, last = chart.table.rows[0], chart.table.rows[-1]
    assert first["score"] == pytest.approx(100 * steps[0]["score"])
    assert last["score"] == pytest.approx(100 * steps[-1]["score"], abs=1e-3)


def a_step(points: float | None, ends: tuple[float, float] | None, **more: Any) -> dict[str, Any]:
    told = ends is not None and not ends[0] <= 0 <= ends[1]
    return {
        "ingredient": f"step {points}", "arm": "a", "score": 0.5, "points": points, "ci95": ends, "told": told,
        "ci95_simultaneous": ends, "detectable_points": 3.0, "missing": 0, "missing_decides": False, **more,
    }  # fmt: skip


def test_what_cannot_be_told_is_not_coloured() -> None:
    steps = [
        a_step(None, None, ingredient="seed"), a_step(4.0, (1.0, 7.0)), a_step(-4.0, (-7.0, -1.0)), a_step(2.0, (-1.0, 5.0)),
        a_step(5.0, (1.0, 9.0), missing_decides=True), a_step(0.0, None),
    ]  # fmt: skip
    chart = ladder_chart("w", "top", {"blocks": 5, "reason": "", "steps": steps})
    assert [row["told"] for row in chart.table.rows[1:-1]] == [ADDS, TAKES, UNTOLD, UNTOLD, UNTOLD]
    assert "step 4.0, step -4.0" in chart.summary
    check(chart)


def test_the_free_part_stands_in_for_a_ladder() -> None:
    free = {
        "candidates": 9, "distinct": 9, "validation_examples": 20, "validation_seed": 0.4, "validation_blind_draw": 0.59,
        "validation_chosen_cross_fitted": 0.6, "validation_guarded_cross_fitted": 0.6, "validation_claimed": 0.75,
        "choosing_points": 1.0, "guard_points": 0.0,
    }  # fmt: skip
    chart = free_chart("w", free)
    check(chart)
    points = {row["label"]: row["points"] for row in chart.table.rows}
    assert points["a blind draw among the candidates"] == pytest.approx(19.0)
    assert points["choosing among them"] == 1.0
    assert chart.table.rows[-1]["end"] == 75.0
    chart = free_chart("w", {**free, "validation_seed": None})
    check(chart)
    assert chart.table.rows[0]["end"] == 59.0
    assert "keeping the seed as a candidate" not in {row["label"] for row in chart.table.rows}


def test_the_forest_has_every_contrast_once(report: Mapping[str, Any], groups: dict[str, Group]) -> None:
    (chart,) = groups["contrasts"].charts
    contrasts = report["tables"]["contrasts"]
    assert sorted(row["family"] for row in chart.table.rows) == sorted(one["family"] for one in contrasts)
    by_name = {one["name"].removeprefix(f"{one['family']}: "): one for one in contrasts}
    for row in chart.table.rows:
        one = by_name[row["contrast"]]
        shown = (row["difference"], row["low"], row["high"], row["p_corrected"], row["g"], row["detectable"])
        names = ("difference_points", "low_points", "high_points", "p_holm", "g", "detectable_points")
        assert shown == tuple(one[name] for name in names)
        assert row["verdict"] == one["verdict"]
    assert "published" not in {column.name for column in chart.table.columns}


def test_published_values_stand_beside_ours(report: Mapping[str, Any]) -> None:
    contrasts = [
        {**one, "published": "published: p = 0.0037 (α 0.025)"} for one in report["tables"]["contrasts"]
    ]
    contrasts[0] |= {"detectable_points": 500.0, "tau": 0.25, "difference_points": None}
    chart = forest_chart("f", "cell", contrasts)
    check(chart)
    assert {row["published"] for row in chart.table.rows} == {"p = 0.0037 (α 0.025)"}
    row = next(row for row in chart.table.rows if row["detectable"] == 500.0)
    assert row["grey_high"] < 100, "it is drawn to the end of the plot"
    assert row["effect"] == "τ = 0.250"


def test_labels_shown_have_a_curve_only_where_they_differ() -> None:
    def row(measure: str, at: int, mean: float) -> dict[str, Any]:
        return {"cell": "c", "arm": "a", "measure": measure, "unit": "step", "at": at, "n": 2, "mean": mean, "low": None, "high": None}  # fmt: skip

    true = [row("train true", at, 0.5) for at in (1, 2)]
    same = [row("train shown", at, 0.5) for at in (1, 2)]
    other = [row("train shown", at, 0.2) for at in (1, 2)]
    assert len(course_charts("c", "cell", true + same, ["a"])) == 1
    both = course_charts("c", "cell", true + other, ["a"])
    assert len(both) == 2
    for chart in both:
        check(chart)
    assert course_charts("c", "cell", [row("validation", 1, 0.5)], ["a"]) == [], "one point is no curve"


def test_variants_are_ordered_by_number(groups: dict[str, Group]) -> None:
    (chart,) = [one for one in groups["variants"].charts if "validated@n" in one.title]
    sort = chart.spec["layer"][0]["encoding"]["x"]["sort"]
    assert sort == ["naive", "1", "3", "10"]
    means = {row["variants"]: row["score"] for row in chart.table.rows if row["what"] == "mean"}
    assert set(means) == set(sort)


def test_many_classes_are_cut_in_the_drawing_alone() -> None:
    rows = [
        class_row(f"class {n}", 10, 0.5, (0.3, 0.7), 9, 0.5 + n / 1000, (0.3, 0.7), 10) for n in range(77)
    ]
    rows[3] = class_row('quote " and \\', 2, None, None, 0, 1.0, None, 2)
    chart = classes_chart("c", "Recall", rows)
    check(chart)
    assert len(chart.table.rows) == 77
    drawn = chart.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert len(drawn) == MOST
    assert "class 76" in drawn
    assert "class 4" not in drawn
    assert rows[3]["text"] == "not estimable"


def test_the_decomposition_of_an_audit() -> None:
    from nullgrad.analysis.audit.predictions import audit_predictions

    stream = np.random.default_rng(0)
    truth = stream.choice(["a", "b"], 200, p=[0.8, 0.2]).tolist()
    before = [one if stream.random() < 0.6 else "b" for one in truth]
    audit = audit_predictions(truth, before, ["a"] * 200, resamples=50).to_dict()
    charts = audit_charts("audit", audit)
    assert audit_charts("audit", {"predictions": audit}) == charts, "an audit report holds it"
    assert audit_charts("audit", None) == []
    for chart in charts:
        check(chart)
    rows = {row["label"]: row for row in charts[0].table.rows}
    parts = audit["decomposition"]
    assert rows["change in accuracy (ΔA)"]["points"] == parts["accuracy"]["points"]
    assert rows["of it calibration, Δ(A − A*)"]["points"] == parts["calibration"]["points"]


def test_the_section_ablation() -> None:
    effect = {"points": -4.0, "ci95": [-6.0, -2.0], "ci95_corrected": [-7.0, -1.0], "told": True, "n": 40}
    none = {"points": None, "ci95": None, "ci95_corrected": None, "told": False, "n": 0}
    sections = [
        {
            "number": number, "text": f"Section {number} <b>says</b> much. " * 9, "effect": effect if number == 1 else none,
            "classes": [{"slot": 1, "label": "up", "recall": effect}], "score_alone": None, "score_without": 0.5,
        }
        for number in (1, 2)
    ]  # fmt: skip
    ablation = {"examples": 40, "repeats": 5, "sections": sections}
    (chart,) = section_charts("s", {"ablation": ablation})
    check(chart)
    assert len(chart.table.rows) == 4
    assert "Told from 0: 1. Section 1" in chart.summary
    assert section_charts("s", {"ablation": None}) == []


def test_no_token_no_chart() -> None:
    row = {"role": "generator", "model": "a", "prompt_tokens": 0, "completion_tokens": 0}
    assert spend_chart("cost", [row]) is None
    two = [{**row, "model": name, "prompt_tokens": 1_000} for name in ("a", "b")]
    chart = spend_chart("cost", two)
    assert chart is not None
    assert {one["role"] for one in chart.table.rows} == {"generator, a", "generator, b"}
    chart = spend_chart("cost", two[:1])
    assert chart is not None
    check(chart)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", list(THEMES))
def test_colours_are_legible(theme: Any) -> None:
    colours = THEMES[theme]
    assert set(colours) == set(THEMES["light"])
    for text in ("ink", "muted", "good", "bad", "equal", "unsure"):
        for behind in ("paper", "panel"):
            assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
    for mark in ("soft", "before", "after", *(f"c{place}" for place in range(10))):
        assert contrast(colours[mark], colours["paper"]) >= 3.0, mark
    for behind in ("insert", "delete"):
        assert contrast(colours["ink"], colours[behind]) >= 4.5


def test_every_dark_colour_has_one_light_colour_and_back() -> None:
    """A page is recoloured for paper by its colours alone."""
    for here, there in ((THEMES["dark"], THEMES["light"]), (THEMES["light"], THEMES["dark"])):
        found: dict[str, set[str]] = {}
        for name, colour in here.items():
            found.setdefault(colour, set()).add(there[name])
        assert all(len(others) == 1 for others in found.values()), found


def test_pictures_need_no_network(groups: dict[str, Group]) -> None:
    pytest.importorskip("vl_convert")
    from nullgrad.surfaces.charts.render import picture

    (chart,) = groups["waterfall"].charts
    assert picture(chart, "png").startswith(b"\x89PNG")
    svg = picture(chart, "svg").decode()
    assert chart.title in svg
    for row in chart.table.rows:
        assert row["text"] in svg

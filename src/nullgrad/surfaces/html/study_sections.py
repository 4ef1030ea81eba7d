"""The sections of a study's report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.surfaces.charts.base import Column, Row, percent
from nullgrad.surfaces.html.blocks import Block, Section, WordTable, charts, table_of
from nullgrad.surfaces.html.shared_sections import (
    Charts,
    Value,
    chart_section,
    cost_section,
    lineage_section,
    repeat_section,
    unparsed_table,
)

TONES = {
    "holds": "good",
    "supported": "good",
    "fails": "bad",
    "contradicted": "bad",
    "equal": "equal",
    "cannot tell": "unsure",
}

SCORECARD = (
    Column("prediction", "prediction"),
    Column("selection", "selection"),
    Column("verdict", "verdict"),
    Column("says", "why"),
    Column("evidence", "evidence"),
    Column("signatures", "signatures"),
)
SELECTION = (
    Column("cell", "cell"),
    Column("arm", "arm"),
    Column("candidates", "candidates", "count"),
    Column("claimed", "the winner claims (%)", "percent"),
    Column("corrected", "corrected (%)", "percent"),
    Column("inflation", "if all were equal (points)", "percent"),
    Column("final_claimed", "final prompt claims (%)", "percent"),
    Column("final_test", "final prompt on test (%)", "percent"),
)
FAILURES = (
    Column("cell", "cell"),
    Column("arm", "arm"),
    Column("answers", "test answers", "count"),
    Column("unparsed", "unparsed (wrong)", "count"),
    Column("failed", "failed (missing)", "count"),
    Column("incomplete", "incomplete trials", "count"),
    Column("proposals", "proposals", "count"),
    Column("unparsed_proposals", "without a prompt", "count"),
)


def study_sections(report: Value, history: Value | None, found: Charts) -> list[Section]:
    """From top to bottom."""
    sections = [Section("gain", "What the gain is made of", _gain(report, found))]
    sections += _classes(found)
    if report["tables"]["verdicts"] or report["signatures"]:
        sections.append(
            Section("hypothesis", "The gradient hypothesis, prediction by prediction", _scorecard(report))
        )
    sections += chart_section("contrasts", "All contrasts", found.get("contrasts", ()))
    sections += chart_section("arms", "Arms", found.get("arms", ()))
    sections += chart_section("course", "Trajectories by step", found.get("course", ()))
    sections += chart_section("variants", "Variants against score", found.get("variants", ()))
    sections += lineage_section(history, found, len(report["cells"]))
    sections += _choice(report, found)
    sections += chart_section("sections", "Section ablation", found.get("sections", ()))
    gain, of = _gained(report)
    sections += cost_section(report, history, found, gain, of)
    sections.append(Section("failures", "Failures and unparsed answers", _failures(report, history)))
    sections.append(repeat_section(report, history, _command(report), _facts(report)))
    return sections


def _gain(report: Value, found: Charts) -> tuple[Block, ...]:
    blocks = [charts(found["waterfall"])] if "waterfall" in found else []
    for one in report["attribution"]:
        if one["reason"]:
            blocks.append(Block("text", f"Attribution of {one['top']} in {one['cell']}: {one['reason']}."))
    if not blocks:
        blocks.append(
            Block(
                "text",
                "This study's arms do not form a ladder in which each adds one ingredient, so its gain is not attributed; the "
                "contrasts below compare one ingredient each.",
            )
        )
    blocks += [Block("note", note) for note in report["notes"]]
    return tuple(blocks)


def _classes(found: Charts) -> list[Section]:
    return chart_section("classes", "Gain decomposition, arm by arm", found.get("classes", ()))


def _scorecard(report: Value) -> tuple[Block, ...]:
    rows: Sequence[Row] = report["tables"]["verdicts"]
    several = len(report["cells"]) > 1
    blocks = []
    for place, cell in enumerate(report["cells"]):
        own = [row for row in rows if row["cell"] == cell["cell"]]
        if own:
            title = f"Predictions in {cell['cell']}"
            seen = SCORECARD if any(row["signatures"] for row in own) else SCORECARD[:-1]
            table = table_of(f"scorecard-{place}", title, seen, own)
            blocks.append(Block("words", WordTable(table, {"verdict": TONES}), title if several else ""))
    for one in report["signatures"]:
        evidence = "; ".join(one["evidence"])
        blocks.append(Block("note", f"Failure signature in {one['cell']}: {one['signature']} ({evidence})."))
    if report["undeclared"]:
        blocks.append(
            Block("text", f"Not tested, for no contrast is declared: {', '.join(report['undeclared'])}.")
        )
    return tuple(blocks)


def _choice(report: Value, found: Charts) -> list[Section]:
    """Diversity, best of k, and the bias of the winner."""
    blocks = [charts(found["diversity"])] if "diversity" in found else []
    rows = [
        {**row, **{key: percent(row.get(key)) for key in ("claimed", "corrected", "inflation", "final_claimed", "final_test")}}
        for row in report["tables"]["selection"]
        if row.get("claimed") is not None
    ]  # fmt: skip
    if rows:
        blocks.append(
            Block(
                "table",
                table_of(
                    "selection",
                    "What the winners of the first step claim, and what is left of it",
                    SELECTION,
                    rows,
                ),
            )
        )
    return [Section("diversity", "Diversity, and the best of k", tuple(blocks))] if blocks else []


def _gained(report: Value) -> tuple[float | None, str]:
    """Points that the highest arm stands above the seed prompt; of several cells, each with a gain of its own, none."""
    if len(report["cells"]) != 1:
        return None, ""
    cell = report["cells"][0]["cell"]
    means = {
        row["arm"]: row["mean"]
        for row in report["tables"]["arms"]
        if row["cell"] == cell and row["mean"] is not None
    }
    seed = means.pop("seed", None)
    if seed is None or not means:
        return None, "a gain over the seed prompt"
    best = max(means, key=lambda arm: means[arm])
    return 100 * (means[best] - seed), f"the gain of {best} over the seed prompt in {cell}, the highest arm"


def _failures(report: Value, history: Value | None) -> tuple[Block, ...]:
    rows = report["tables"]["arms"]
    unparsed, failed = sum(row["unparsed"] for row in rows), sum(row["failed"] for row in rows)
    text = (
        f"Of {sum(row['answers'] for row in rows):,} test answers of final prompts {unparsed:,} could not be read, which "
        f"counts as wrong, and {failed:,} calls failed, which is missing and never wrong."
    )
    table = table_of("failures", "Failures and unparsed answers by arm", FAILURES, rows)
    return (Block("text", text), Block("table", table), *unparsed_table(history))


def _command(report: Value) -> str:
    name = report["preset"] or "STUDY.yaml"
    models: Mapping[str, Any] = report["models"]
    line = ["nullgrad", "run", name]
    roles = {key: str(value) for key, value in models.items()}
    generators = {key: value for key, value in roles.items() if key.rpartition(" ")[2] == "generator"}
    for key, value in generators.items():
        before = key.rpartition(" ")[0]
        line += ["--model", f"{before}={value}" if before else value]
    return shlex.join(line)


def _facts(report: Value) -> list[tuple[str, str]]:
    trials: dict[str, int] = {}
    for row in report["tables"]["arms"]:
        trials[row["arm"]] = max(trials.get(row["arm"], 0), row["declared"])
    seen = [f"{report['seed']} (study), trials 0 to {max(0, report['blocks'] - 1)}"]
    return [
        ("study", str(report["study"]) + (f", preset {report['preset']}" if report["preset"] else "")),
        ("design", f"{report['design']} draws, α = {report['alpha']:g} by family"),
        ("steps", f"{report['steps']} of {report['batch_size']} examples"),
        ("seeds", seen[0]),
        ("cells", "; ".join(f"{one['cell']} ({one['test_examples']} test examples, {one['complete_blocks']} of {report['blocks']} blocks complete)" for one in report["cells"])),
        ("arms", "; ".join(f"{arm}: {count} trials" for arm, count in trials.items())),
        ("curve", ", ".join(map(str, report["curve"])) or "the final prompt alone"),
        ("looks", ", ".join(map(str, report["sequential"])) or "one analysis at the end"),
        ("sealed test", f"read {report['test_readings']} times for what counts here"),
        ("ended", report["stopped"] or ("complete" if report["complete"] else "not every block ran")),
    ]  # fmt: skip

"""The sections of an optimization's report."""

from __future__ import annotations

import shlex
from typing import Any

from nullgrad.surfaces.charts.base import Column
from nullgrad.surfaces.html.audit_blocks import audit_tables, audit_words
from nullgrad.surfaces.html.blocks import Block, Section, charts, table_of
from nullgrad.surfaces.html.diff import word_diff
from nullgrad.surfaces.html.shared_sections import (
    Charts,
    Value,
    chart_section,
    cost_section,
    lineage_section,
    repeat_section,
    unparsed_table,
)

MOST_PROMPT = 40_000
"""Characters of a prompt that are shown."""
MOST_REPLY = 4_000
"""Characters of a raw reply that are shown."""

SPLITS = (
    Column("split", "split"),
    Column("scored", "scored", "count"),
    Column("unparsed", "unparsed (wrong)", "count"),
    Column("failed", "failed (missing)", "count"),
    Column("ungraded", "never graded", "count"),
)
TEST = (
    Column("prompt", "prompt"),
    Column("score", "score (%)", "percent"),
    Column("low", "from (%)", "percent"),
    Column("high", "to (%)", "percent"),
    Column("unparsed", "unparsed", "count"),
    Column("failed", "failed", "count"),
)


def optimize_sections(report: Value, history: Value | None, found: Charts) -> list[Section]:
    """From top to bottom."""
    sections = [Section("gain", "What the gain is made of", _gain(report, found))]
    sections += _classes(report, found)
    sections.append(Section("prompts", "The prompts", _prompts(report)))
    sections += chart_section("course", "Trajectories by step", found.get("course", ()))
    sections += lineage_section(history, found, 1)
    sections += chart_section("sections", "Section ablation", found.get("sections", ()))
    gain = report["test"]["gain"]["points"]
    sections += cost_section(report, history, found, gain, "the gain on the sealed test")
    sections.append(Section("failures", "Failures and unparsed answers", _failures(report)))
    sections.append(repeat_section(report, history, _command(report, history), _facts(report)))
    return sections


def _gain(report: Value, found: Charts) -> tuple[Block, ...]:
    test = report["test"]
    rows = []
    for name, key in (("seed", "seed"), ("best", "best")):
        one = test[key]
        low, high = one["ci95"] or (None, None)
        rows.append(
            {
                "prompt": name, "score": _percent(one["score"]), "low": _percent(low), "high": _percent(high),
                "unparsed": one["outcomes"]["unparsed"], "failed": one["outcomes"]["failed"],
            }
        )  # fmt: skip
    gain = test["gain"]
    blocks: list[Block] = [Block("note", warning) for warning in report["warnings"]]
    told = "" if gain["p_mcnemar"] is None else f"; McNemar p = {gain['p_mcnemar']:.2g}"
    blocks.append(
        Block(
            "text",
            f"On the sealed test {gain['gained']} answers became right and {gain['lost']} wrong, of {gain['pairs']} pairs{told}. "
            f"This test resolves gains of about ±{test['resolvable_points']:.0f} points.",
        )
    )
    reported = report["reported"]
    if reported["of"] > 1:
        how = "best of {} by validation" if reported["chosen_by"] == "validation" else "the first of {}"
        blocks.append(Block("text", f"Reported is trial {reported['trial']}, {how.format(reported['of'])}."))
    blocks.append(Block("table", table_of("test", "The sealed test", TEST, rows)))
    ladder = report["attribution"]["ladder"]
    if ladder is not None and ladder["reason"]:
        blocks.append(Block("text", f"Attribution: {ladder['reason']}."))
    elif ladder is None and report["steps"]:
        blocks.append(
            Block(
                "text",
                "One arm alone is not attributable: nullgrad optimize --why runs the controls beside it.",
            )
        )
    if "waterfall" in found:
        blocks.append(charts(found["waterfall"]))
    if ladder is not None and ladder["side_arms"]:
        sides = [
            {
                "arm": one["arm"], "points": one["points_to_main"], "low": (one["ci95"] or (None, None))[0],
                "high": (one["ci95"] or (None, None))[1],
            }
            for one in ladder["side_arms"]
        ]  # fmt: skip
        columns = (
            Column("arm", "arm"), Column("points", "points to the main arm", "points"), Column("low", "from", "points"),
            Column("high", "to", "points"),
        )  # fmt: skip
        blocks.append(Block("table", table_of("side-arms", "Arms beside the ladder", columns, sides)))
    return tuple(blocks)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _classes(report: Value, found: Charts) -> list[Section]:
    blocks = audit_words(report.get("audit"))
    if "classes" in found:
        blocks.append(charts(found["classes"]))
    blocks += audit_tables(report.get("audit"))
    return [Section("classes", "Before and after, class by class", tuple(blocks))] if blocks else []


def _prompts(report: Value) -> tuple[Block, ...]:
    seed, best = str(report["seed_prompt"]), str(report["best_prompt"])
    blocks = []
    if seed == best:
        blocks.append(Block("text", "The best prompt is the seed prompt, unchanged."))
    elif max(len(seed), len(best)) <= MOST_PROMPT:
        blocks.append(Block("diff", word_diff(seed, best), "Seed prompt → best prompt"))
    blocks.append(Block("prompt", _cut(best, MOST_PROMPT), "Best prompt"))
    blocks.append(
        Block("prompt", _cut(str(report["format"]), MOST_REPLY), "Format suffix, which never changes")
    )
    return tuple(blocks)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} […, {len(text) - most:,} characters more]"


def _failures(report: Value) -> tuple[Block, ...]:
    outcomes = report["outcomes"]
    rows = [
        {"split": split, **outcomes[split]} for split in ("train", "validation", "test") if split in outcomes
    ]
    text = (
        f"{outcomes['unparsed']:,} answers could not be read, which counts as wrong, and {outcomes['failed']:,} calls failed, "
        "which is missing and never wrong."
    )
    blocks = [
        Block("text", text),
        Block("table", table_of("failures", "Forward answers by split", SPLITS, rows)),
    ]
    blocks += unparsed_table(None, report["unparsed_proposals"])
    if report["unparsed_replies"]:
        quotes = [_cut(str(reply), MOST_REPLY) for reply in report["unparsed_replies"]]
        blocks.append(Block("quotes", quotes, "Raw test replies that could not be read"))
    return tuple(blocks)


def _command(report: Value, history: Value | None) -> str:
    models = report["models"]
    line = ["nullgrad", "optimize", str(report["task"]), "--model", str(models["generator"])]
    for role in ("optimizer", "critic", "judge"):
        if models.get(role) not in (None, models["generator"]):
            line += [f"--{role}-model", str(models[role])]
    line += [
        "--arm",
        str(report["arm"]),
        "--steps",
        str(report["steps"]),
        "--batch-size",
        str(report["batch_size"]),
    ]
    line += [
        "--trials",
        str(report["trials"]),
        "--controls",
        str(report["controls"]),
        "--seed",
        str(report["seed"]),
    ]
    line += ["--pack", str(report["pack"])]
    sampling: dict[str, Any] = history["spec"]["cast"]["generator"]["sampling"] if history is not None else {}
    for key, option in (
        ("temperature", "--temperature"),
        ("top_p", "--top-p"),
        ("max_tokens", "--max-completion"),
    ):
        if sampling.get(key) is not None:
            line += [option, str(sampling[key])]
    return shlex.join(line)


def _facts(report: Value) -> list[tuple[str, str]]:
    test = report["test"]
    return [
        ("task", str(report["task"])),
        ("arm", str(report["arm"])),
        ("steps", f"{report['steps']} of {report['batch_size']} examples"),
        ("trials", f"{report['trials']}, controls {report['controls']}"),
        ("seed", str(report["seed"])),
        (
            "words",
            f"pack {report['pack']}"
            + (", answers constrained to the labels" if report["constrained"] else ""),
        ),
        (
            "sealed test",
            f"opened {test['readings']} times by this run, {test['readings_before']} times by earlier ones",
        ),
        ("ended", report["stopped"] or "complete"),
        *(("note", str(note)) for note in report["notes"]),
    ]

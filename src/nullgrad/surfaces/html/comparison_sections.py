"""The sections of a comparison's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.surfaces.charts.base import Column, Row
from nullgrad.surfaces.compare_words import budget_of, highest_rows, label_of, needed_of, verdicts_of
from nullgrad.surfaces.html.blocks import Block, Section, WordTable, charts, table_of
from nullgrad.surfaces.html.shared_sections import Charts, Value, chart_section, cost_section, repeat_section
from nullgrad.surfaces.html.study_sections import TONES

RESULTS = (
    Column("label", "optimizer"),
    Column("trials", "trials", "count"),
    Column("failed", "without a result", "count"),
    Column("sealed", "sealed gain (points)", "points"),
    Column("verdict", "verdict"),
    Column("claimed", "claimed (points)", "points"),
    Column("phantom", "phantom part (points)", "points"),
    Column("audit", "audit"),
    Column("words", "words", "number"),
    Column("growth", "times the seed prompt's", "number"),
)
LABELS = (
    Column("optimizer", "optimizer"),
    Column("channel", "labels"),
    Column("correct", "gain with correct ones (points)", "points"),
    Column("others", "gain with others (points)", "points"),
    Column("difference", "difference (points)", "points"),
    Column("low", "from (points)", "points"),
    Column("high", "to (points)", "points"),
    Column("verdict", "verdict"),
)
LEADS = (
    Column("other", "other"),
    Column("lead", "lead (points)", "points"),
    Column("detectable", "detectable (points)", "percent"),
    Column("verdict", "verdict"),
    Column("population", "on other examples"),
    Column("needed", "trials needed"),
)
COSTS = (
    Column("entry", "entry"),
    Column("role", "role"),
    Column("calls_per_trial", "calls a trial", "number"),
    Column("tokens_per_trial", "tokens a trial", "number"),
    Column("usd_per_trial", "dollars a trial", "number"),
    Column("calls", "calls", "count"),
    Column("paid", "calls paid", "count"),
    Column("failed", "failed", "count"),
    Column("usd", "dollars", "number"),
)
FAILURES = (
    Column("entry", "entry"),
    Column("trial", "trial", "number"),
    Column("ended", "ended"),
    Column("failures", "failed calls", "count"),
    Column("swallowed", "returned all the same"),
    Column("unparsed", "unparsed on test", "count"),
    Column("missing", "missing on test", "count"),
    Column("reason", "reason"),
)


def comparison_sections(report: Value, found: Charts) -> list[Section]:
    """From top to bottom."""
    return [
        Section("gain", "Gains, sealed and claimed", _gains(report, found)),
        *_labels(report),
        *_leads(report),
        *chart_section("waterfall", "What nullgrad's own gain is made of", found.get("waterfall", ())),
        *chart_section("classes", "Gain decomposition, entry by entry", found.get("classes", ())),
        *chart_section("contrasts", "All contrasts", found.get("contrasts", ())),
        Section("prompts", "Prompts of the first trial", _prompts(report)),
        *_costs(report),
        Section("failures", "How trials ended", _failures(report)),
        repeat_section(report, None, _command(report), _facts(report)),
    ]


def _gains(report: Value, found: Charts) -> tuple[Block, ...]:
    audits = report["tables"]["audits"]
    audited = {row["entry"] for row in audits}
    rows = [
        {
            "label": label_of(one).strip()
            if one["competes"]
            else f"{one['optimizer']}, {label_of(one).strip()}",
            "trials": one["ended"],
            "failed": one["failed"],
            "sealed": one["sealed_points"],
            "verdict": one["verdict"] or "",
            "claimed": one["claimed_points"],
            "phantom": one["phantom_points"],
            "audit": verdicts_of(audits, one["entry"])[1] if one["entry"] in audited else "",
            "words": one["words"],
            "growth": one["growth"],
        }
        for one in report["tables"]["entries"]
    ]
    blocks = [charts(found["gains"])] if "gains" in found else []
    blocks.append(
        Block("words", WordTable(table_of("results", "Results", RESULTS, rows), {"verdict": TONES}))
    )
    blocks.append(
        Block(
            "text",
            "A trial without a result counts with a gain of 0: its user keeps the seed prompt. Phantom part: claimed − sealed gain "
            "within a trial.",
        )
    )
    blocks += [Block("note", note) for note in report["notes"]]
    return tuple(blocks)


def _labels(report: Value) -> list[Section]:
    by_name = {row["entry"]: row for row in report["tables"]["entries"]}
    rows = [
        {
            "optimizer": by_name[one["first"]]["optimizer"],
            "channel": one["channel"],
            "correct": by_name[one["first"]]["sealed_points"],
            "others": by_name[one["second"]]["sealed_points"],
            "difference": one["difference_points"],
            "low": one["low_points"],
            "high": one["high_points"],
            "verdict": one["verdict"],
        }
        for one in _family(report, "labels")
    ]
    if not rows:
        return []
    table = table_of("labels", "Gain with correct labels and with others", LABELS, rows)
    text = (
        "Wrong labels mislead: what remains with them needs no true label, and the difference holds their harm as well as the right "
        "ones' worth."
    )
    blocks = (Block("words", WordTable(table, {"verdict": TONES})), Block("text", text))
    return [Section("labels", "Dependence on labels", blocks)]


def _family(report: Value, family: str) -> Sequence[Row]:
    return [one for one in report["tables"]["contrasts"] if one["family"] == family]


def _leads(report: Value) -> list[Section]:
    by_name = {row["entry"]: row for row in report["tables"]["entries"]}
    rows = [
        {
            "other": by_name[other]["optimizer"],
            "lead": None if one["difference_points"] is None else sign * one["difference_points"],
            "detectable": one["detectable_points"],
            "verdict": one["verdict"],
            "population": one["population_verdict"],
            "needed": needed_of(one),
        }
        for one, other, sign in highest_rows(report)
    ]
    if not rows:
        return []
    highest = by_name[report["crown"]["highest"]]["optimizer"]
    table = table_of("leads", f"{highest} against each other", LEADS, rows)
    tones = {"verdict": TONES, "population": TONES}
    return [Section("leads", "The highest against each other", (Block("words", WordTable(table, tones)),))]


def _prompts(report: Value) -> tuple[Block, ...]:
    """Of the first trial, whatever it scored: the best of several would be over-stated by its choice."""
    blocks = [Block("prompt", report["seed_prompt"]["text"], "Seed prompt")]
    competing = {row["entry"]: row["optimizer"] for row in report["tables"]["entries"] if row["competes"]}
    for row in report["tables"]["trials"]:
        if row["trial"] == 0 and row["prompt"] and row["entry"] in competing:
            blocks.append(Block("prompt", row["prompt"], competing[row["entry"]]))
    return tuple(blocks)


def _costs(report: Value) -> list[Section]:
    shared = cost_section(report, None, {}, None, "")
    before = shared[0].blocks if shared else ()
    table = table_of(
        "costs",
        "As if nothing were shared; readings of the test are not in it",
        COSTS,
        report["tables"]["costs"],
    )
    return [Section("cost", "Cost", (*before, Block("table", table)))]


def _failures(report: Value) -> tuple[Block, ...]:
    rows = [{**row, "swallowed": "yes" if row["swallowed"] else ""} for row in report["tables"]["trials"]]
    counts = {word: sum(row["ended"] == word for row in rows) for word in ("returned", "budget", "failed")}
    text = (
        f"Of {len(rows)} trials {counts['returned']} returned by themselves, {counts['budget']} were ended by the budget, which is a "
        f"normal end, and {counts['failed']} failed."
    )
    return Block("text", text), Block("table", table_of("trials", "Trials", FAILURES, rows))


def _command(report: Value) -> str:
    budget = ",".join(f"{value:g}{unit}" for unit, value in report["budget"].items() if value is not None)
    names = ",".join(row["optimizer"] for row in report["tables"]["entries"] if row["competes"])
    return f"nullgrad compare TASK --optimizers {names} --budget {budget} --trials {report['trials']} --seed {report['seed']}"


def _facts(report: Value) -> list[tuple[str, str]]:
    margin: float | None = report["margin_points"]
    versions: Mapping[str, Any] = {
        row["optimizer"]: row["versions"] for row in report["tables"]["entries"] if row["versions"]
    }
    return [
        ("task", str(report["task"])),
        ("budget", f"{budget_of(report['budget'])} a trial"),
        ("trials", f"{report['blocks']} of {report['trials']} blocks complete, paired draws, seed {report['seed']}"),
        ("level", f"α = {report['alpha']:g} by family" + ("" if margin is None else f", margin {margin:g} points")),
        ("packages", ", ".join(f"{name} {version}" for name, version in versions.items()) or "none"),
        ("sealed test", f"{report['test_examples']} examples, read {report['test_readings']} times"),
        ("ended", report["stopped"] or ("complete" if report["complete"] else "not every block ran")),
    ]  # fmt: skip

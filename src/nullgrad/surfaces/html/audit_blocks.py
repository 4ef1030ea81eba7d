"""The audit of an optimization's prompts: its verdict in words, and the class-wise table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nullgrad.surfaces.charts.audit import predictions_of
from nullgrad.surfaces.charts.base import Column, percent
from nullgrad.surfaces.html.blocks import Block, table_of

CLASSES = (
    Column("slot", "slot", "count"),
    Column("label", "class"),
    Column("n", "examples", "count"),
    Column("prior", "prevalence (%)", "percent"),
    Column("recall_points", "recall (points)", "points"),
    Column("recall_low", "from", "points"),
    Column("recall_high", "to", "points"),
    Column("precision_before", "precision before (%)", "percent"),
    Column("precision_after", "after (%)", "percent"),
    Column("rate_before", "answered before (%)", "percent"),
    Column("rate_after", "after (%)", "percent"),
    Column("suppressed", "suppressed", "yes"),
    Column("remark", "remark"),
)
INFORMATION = (
    Column("slot", "slot", "count"),
    Column("prompt", "prompt"),
    Column("corrected", "information (bits)", "number"),
    Column("plugin", "plug-in (bits)", "number"),
    Column("chance", "of it by chance (bits)", "number"),
    Column("p", "p by permutation", "p"),
)
REWEIGHTED = (
    Column("slot", "slot", "count"),
    Column("prior", "prevalence"),
    Column("before", "accuracy before (%)", "percent"),
    Column("after", "after (%)", "percent"),
    Column("points", "change (points)", "points"),
    Column("low", "from", "points"),
    Column("high", "to", "points"),
)


def audit_words(audit: Mapping[str, Any] | None) -> list[Block]:
    """Verdict, reason and notes; none without an audit."""
    found = predictions_of(audit)
    if found is None:
        return []
    fitted = "validation" if found["fitted"] == "validation" else "these examples, cross-fitted"
    blocks = [
        Block("verdict", (found["verdict"], found["reason"])),
        Block(
            "text",
            f"{found['counts']['pairs']} pairs of answers; relabellings and biases are fitted on {fitted}; margin "
            f"{found['margin_points']:g} points.",
        ),
    ]
    notes = dict.fromkeys([*found["notes"], *(note for slot in found["slots"] for note in slot["notes"])])
    return blocks + [Block("note", note) for note in notes]


def audit_tables(audit: Mapping[str, Any] | None) -> list[Block]:
    """Classes, information, and accuracy at other prevalences; none without an audit."""
    found = predictions_of(audit)
    if found is None:
        return []
    parts = (
        ("audit-classes", "Classes in the audit", CLASSES, _classes),
        ("audit-information", "Mutual information of truth and answer", INFORMATION, _information),
        (
            "audit-reweighted",
            "At another prevalence, re-weighted from recorded answers",
            REWEIGHTED,
            _reweighted,
        ),
    )
    blocks = []
    for name, title, columns, rows_of in parts:
        rows = [row for slot in found["slots"] for row in rows_of(slot)]
        own = columns if len(found["slots"]) > 1 else columns[1:]
        if rows:
            blocks.append(Block("table", table_of(name, title, own, rows)))
    return blocks


def _classes(slot: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for row in slot["classes"]:
        recall, precision, rate = row["recall"] or {}, row["precision"] or {}, row["rate"] or {}
        low, high = recall.get("interval") or (None, None)
        remark = "" if row["estimable"] else "not estimable: too few examples"
        remark = "perhaps suppressed, perhaps chance" if row.get("doubtful") else remark
        rows.append(
            {
                "slot": slot["slot"] + 1, "label": row["label"], "n": row["n"], "prior": percent(row["prior"]),
                "recall_points": recall.get("points"), "recall_low": low, "recall_high": high,
                "precision_before": percent(precision.get("before")), "precision_after": percent(precision.get("after")),
                "rate_before": percent(rate.get("before")), "rate_after": percent(rate.get("after")),
                "suppressed": row["suppressed"], "remark": recall.get("not_estimable", remark),
            }
        )  # fmt: skip
    return rows


def _information(slot: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "slot": slot["slot"] + 1, "prompt": prompt, "corrected": told["corrected_bits"], "plugin": told["plugin_bits"],
            "chance": told["chance_bits"], "p": told["p"],
        }
        for prompt in ("before", "after")
        if (told := slot["information"][prompt])
    ]  # fmt: skip


def _reweighted(slot: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for one in slot["reweighted"]:
        accuracy = one["accuracy"] or {}
        low, high = accuracy.get("interval") or (None, None)
        rows.append(
            {
                "slot": slot["slot"] + 1, "prior": one["name"], "before": percent(accuracy.get("before")),
                "after": percent(accuracy.get("after")), "points": accuracy.get("points"), "low": low, "high": high,
            }
        )  # fmt: skip
    return rows

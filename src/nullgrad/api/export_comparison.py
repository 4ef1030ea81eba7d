"""A comparison of optimizers as experiment trackers keep it: its means and contrasts, and a child for each trial."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from nullgrad.api.export_figures import CONTRAST_FIGURES, known
from nullgrad.edges.export.values import Figure, TrackedRun

Value = Mapping[str, Any]

ENTRY_FIGURES = (
    "score", "sealed_points", "sealed_low_points", "sealed_high_points", "claimed_points", "phantom_points", "calls",
    "tokens", "usd", "seconds", "words", "failed",
)  # fmt: skip
TRIAL_FIGURES = (
    "sealed_points", "claimed", "claimed_seed", "claimed_points", "phantom_points", "calls", "calls_paid", "tokens", "usd",
    "seconds", "words", "unparsed", "missing", "failures",
)  # fmt: skip
"""Columns that become figures; what is unknown is left out, never 0. The whole tables are in the result."""

PARAMS = ("task", "trials", "alpha", "margin_points", "seed", "test_examples")


def tracked_comparison(
    report: Value, tags: Mapping[str, str], note: str, begun: str = "", ended: str = ""
) -> TrackedRun:
    """A comparison with its trials as children.

    Args:
        report: its result.
        tags, note: as every run has them.
        begun, ended: ISO 8601 in UTC, "" where unknown.
    """
    name = f"{report['task']} comparison"
    tables = report["tables"]
    params = {one: report[one] for one in PARAMS if report.get(one) is not None}
    params |= {f"budget_{unit}": most for unit, most in report["budget"].items() if most is not None}
    params |= {f"model_{role}": model for role, model in report["models"].items()}
    entries = {row["entry"]: row for row in tables["entries"]}
    return TrackedRun(
        name=name,
        kind="comparison",
        group=name,
        params=params,
        tags={**tags, "nullgrad.best": str(report["crown"]["best"] or "none")},
        figures=(*_figures(report), *_spent(report)),
        files={
            "prompts/seed.md": str(report["seed_prompt"]["text"]) + "\n",
            "result.json": json.dumps(report, ensure_ascii=False, indent=2) + "\n",
        },
        note=f"{note} {report['crown']['text']}".strip(),
        begun=begun,
        ended=ended,
        children=tuple(
            replace(_trial(report, row, entries[row["entry"]], tags, note, name), begun=begun, ended=ended)
            for row in tables["trials"]
        ),
    )


def _trial(
    report: Value, row: Value, entry: Value, tags: Mapping[str, str], note: str, group: str
) -> TrackedRun:
    params = {one: entry[one] for one in ("entry", "optimizer", "feedback", "selection")}
    params |= {"task": report["task"], "trial": row["trial"], "seed": report["seed"]}
    told = {"nullgrad.ended": row["ended"], "nullgrad.audit": row["audit"], "version": row["version"]}
    figures = [*_known("", row, TRIAL_FIGURES)]
    # A trial without a result counts with the seed prompt's score: its user keeps that prompt.
    if row["result"] and row["score"] is not None:
        figures.append(Figure("test", row["score"]))
    return TrackedRun(
        name=f"{row['entry']} #{row['trial']}",
        kind="trial",
        group=group,
        params=params,
        tags={**tags, **{key: text for key, text in told.items() if text}},
        figures=tuple(figures),
        files={"prompt.md": row["prompt"] + "\n"} if row["prompt"] else {},
        note=f"{note} {row['reason']}".strip(),
    )


def _figures(report: Value) -> Iterator[Figure]:
    yield from known("test_seed", report["seed_prompt"]["score"])
    for row in report["tables"]["entries"]:
        yield from _known(f"entry/{row['entry']}/", row, ENTRY_FIGURES)
    for row in report["tables"]["contrasts"]:
        yield from _known(f"contrast/{row['family']}/{row['name']}/", row, CONTRAST_FIGURES)


def _spent(report: Value) -> Iterator[Figure]:
    """What all trials together paid for, over all commands."""
    costs = [row for row in report["tables"]["costs"] if row["role"] == "all"]
    yield Figure("calls", sum(row["paid"] for row in costs))
    yield Figure("calls_failed", sum(row["failed"] for row in costs))
    prices = [row["paid_usd"] for row in costs]
    if prices and None not in prices:
        yield Figure("usd", round(sum(prices), 6))


def _known(prefix: str, row: Value, names: tuple[str, ...]) -> Iterator[Figure]:
    for name in names:
        yield from known(prefix + name, row[name])

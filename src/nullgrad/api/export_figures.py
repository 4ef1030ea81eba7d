"""The figures of a run: of its calls, of its trials by step, of its test. What is not known is left out, never 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nullgrad.analysis.study.rows import SHOWN, TRUE, train_scores, validation_rows
from nullgrad.core.arms import parse_arm
from nullgrad.core.rows import mean_known
from nullgrad.core.study_facts import TrialFacts
from nullgrad.edges.export.values import Figure

CONTRAST_FIGURES = ("difference_points", "low_points", "high_points", "p_holm", "detectable_points")
"""Columns of a contrast that become figures; the whole table is in the result."""


def usage(replies: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """Calls, tokens and dollars of the run over all its commands; what is not known is left out, never 0."""
    roles: dict[str, int] = {}
    for one in replies:
        roles[one["role"]] = roles.get(one["role"], 0) + one["replies"] + one["failed"]
    yield Figure("calls", sum(roles.values()))
    yield from (Figure(f"calls_{role}", count) for role, count in roles.items())
    yield Figure("calls_failed", sum(one["failed"] for one in replies))
    if not any(one["uncounted"] for one in replies):
        yield Figure("prompt_tokens", sum(one["prompt_tokens"] for one in replies))
        yield Figure("completion_tokens", sum(one["completion_tokens"] for one in replies))
    prices = [one["usd"] for one in replies]
    if prices and None not in prices:
        yield Figure("usd", round(sum(prices), 6))


def spent(report: Mapping[str, Any]) -> Iterator[Figure]:
    """What the command of a result file paid; a result out of the ledger does not say."""
    if "calls" in report:
        yield Figure("calls", report["calls"]["paid"])
        yield Figure("calls_failed", report["calls"]["failed"])
        if not report["tokens"]["uncounted_calls"]:
            yield Figure("prompt_tokens", report["tokens"]["prompt"])
            yield Figure("completion_tokens", report["tokens"]["completion"])
        if report["usd"] is not None:
            yield Figure("usd", report["usd"])


def course(facts: TrialFacts) -> Iterator[Figure]:
    """By step: mean of the current prompt on validation, and on its batch; by right labels, and by those that were shown."""
    for step, row in validation_rows(facts).items():
        seen = [float(score) for score in row if score == score]
        if seen:
            yield Figure("validation", sum(seen) / len(seen), step)
    for name, labels in (("train", TRUE), ("train_shown", SHOWN)):
        for step, batch in sorted(train_scores(facts, parse_arm(facts.arm), labels).items()):
            mean = mean_known(score for _, score in batch)
            if mean is not None:
                yield Figure(name, mean, step)


def gain_figures(report: Mapping[str, Any]) -> Iterator[Figure]:
    """Of an optimization: both prompts on the sealed test, the gain, recall by class, and what each ingredient added.

    Scores, recalls and their intervals are shares from 0 to 1; names with `points` are in points.
    """
    test = report["test"]
    gain = test["gain"]
    for which in ("seed", "best"):
        yield from known(f"test_{which}", test[which]["score"])
        yield from _ends(f"test_{which}", test[which]["ci95"])
        for kind, count in test[which]["outcomes"].items():
            yield Figure(f"test_{which}_{kind}", count)
    yield from known("gain_points", gain["points"])
    yield from _ends("gain_points", gain["ci95"])
    yield from known("p_mcnemar", gain["p_mcnemar"])
    for label, row in report["classes"].items():
        for which in ("seed", "best"):
            yield from known(f"recall_{which}/{label}", row[which]["recall"])
    for rung in (report["attribution"]["ladder"] or {}).get("steps", ()):
        yield from known(f"attribution_points/{rung['ingredient']}", rung["points"])
        yield from _ends(f"attribution_points/{rung['ingredient']}", rung["ci95"])


def study_figures(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Figure]:
    """Of a study: its contrasts, in points, and the mean test score of each arm, a share."""
    for row in tables["contrasts"]:
        for name in CONTRAST_FIGURES:
            yield from known(f"contrast/{row['cell']}/{row['name']}/{name}", row[name])
    for row in tables["arms"]:
        for name in ("mean", "low", "high"):
            yield from known(f"arm/{row['cell']}/{row['arm']}/test_{name}", row[name])


def known(name: str, value: float | None) -> Iterator[Figure]:
    """A figure of a value, none where it is unknown."""
    if value is not None:
        yield Figure(name, value)


def _ends(name: str, ends: Sequence[float] | None) -> Iterator[Figure]:
    if ends is not None:
        yield Figure(f"{name}_ci95_low", ends[0])
        yield Figure(f"{name}_ci95_high", ends[1])

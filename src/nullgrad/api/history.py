"""What the ledger knows of a run beside its result: the lineage of prompts with the feedback that led to them, and tokens by role.

Folded from events and replies; nothing is asked. Everything is bounded, and says where it was cut.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from nullgrad.api.feedback import Feedback, collect_feedback, find_feedback, keys_of
from nullgrad.api.run_usage import paid_replies, sharing_runs
from nullgrad.core.arms import SEED, Arm, parse_arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.facts import reported_trial, standings, unparsed_proposals
from nullgrad.core.rows import mean_known
from nullgrad.core.selection import KEEP
from nullgrad.core.study_facts import StepFacts, TrialFacts, fold_trials
from nullgrad.edges.ledger.store import open_ledger

MOST_LINEAGES = 16
"""Trials whose lineage is told."""

MOST_STEPS = 24
"""Steps of a lineage that are told: those that took another prompt."""

MOST_TEXT = 12_000
"""Characters of one prompt."""

MOST_TOTAL = 700_000
"""Characters of all prompts and feedback together: a page has to stay small."""


class _Room:
    """Characters that are left."""

    def __init__(self) -> None:
        self.left = MOST_TOTAL

    def cut(self, text: str) -> tuple[str, int]:
        """As much of a text as there is room for, and the number of characters left out."""
        kept = text[: max(0, min(MOST_TEXT, self.left))]
        self.left -= len(kept)
        return kept, len(text) - len(kept)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A trial whose lineage is told, with the reason why this one."""

    facts: TrialFacts
    why: str


def run_history(report: Mapping[str, Any], ledger: Path) -> dict[str, Any] | None:
    """What the ledger holds of the run of a result, as JSON values; None where it does not hold that run.

    Keys: `begun`, `version`, `spec`; `lineage` (one entry a trial: `cell`, `arm`, `trial`, `why`, `steps`, `steps_left_out`); `lineages_left_out`;
    `candidates` (validation means of the variants of those trials); `trajectory` (of an optimization, with the columns of a
    study's table); `replies` (by role and model: `replies`, `failed`, `prompt_tokens`, `completion_tokens`, `usd`);
    `shared_with` (other runs of the ledger that ask the same models for the same arms, whose replies are counted too);
    `unparsed_proposals` by reason.

    Args:
        report: a result as `to_dict` gives it.
        ledger: where the run is kept.
    """
    if not ledger.exists():
        return None
    with open_ledger(ledger, read_only=True) as book:
        rows = {row.run: row for row in book.runs()}
        row = rows.get(str(report["run"]))
        if row is None:
            return None
        spec: dict[str, Any] = json.loads(row.spec)
        events = list(book.events(row.run))
        trials = fold_trials(events)
        every = _shown(report, spec, list(trials.values()), events)
        shown = every[:MOST_LINEAGES]
        room = _Room()
        wanted = {
            key
            for one in shown
            for number, step in _changes(one.facts)
            for key in keys_of(one.facts, number, step)
        }
        told = collect_feedback(book, wanted)
        arms = {facts.arm for facts in trials.values()}
        return {
            "begun": row.created_at,
            "version": row.version,
            "spec": spec,
            "lineages_left_out": len(every) - len(shown),
            "lineage": [
                _lineage(one, lambda *at: find_feedback(book, told, spec, *at), room) for one in shown
            ],
            "candidates": [found for one in shown for found in _candidates(one.facts)],
            "trajectory": [] if spec["verb"] == "study" else _trajectory(spec, trials.values()),
            "replies": paid_replies(book, report, spec, arms),
            "shared_with": sharing_runs(
                spec, row.run, {run: json.loads(other.spec) for run, other in rows.items()}
            ),
            "unparsed_proposals": dict(sorted(unparsed_proposals(events).items())),
        }


def _shown(
    report: Mapping[str, Any], spec: Mapping[str, Any], trials: Sequence[TrialFacts], events: Sequence[Any]
) -> list[_Shown]:
    if spec["verb"] != "study":
        arm = parse_arm(str(spec["arm"]))
        own = {facts.trial: facts for facts in trials if facts.arm == arm.canonical}
        number = int(report.get("trial", reported_trial(arm, len(own), standings(events)) if own else 0))
        return [_Shown(own[number], "the trial whose prompt is reported")] if number in own else []
    best: dict[tuple[str, str], TrialFacts] = {}
    for facts in sorted(trials, key=lambda one: one.trial):
        if facts.arm == SEED.canonical or not facts.steps:
            continue
        key = facts.cell, facts.arm
        if key not in best or (_test(facts) or -1.0) > (_test(best[key]) or -1.0):
            best[key] = facts
    why = "of this arm the trial with the highest test score, which is too high for being chosen by it"
    order = [str(row["arm"]) for row in report["tables"]["arms"]]
    cells = [str(row["cell"]) for row in report["cells"]]
    # Arm by arm over the cells: where some are left out, every cell has its first arms.
    kept = [best[cell, arm] for arm in dict.fromkeys(order) for cell in cells if (cell, arm) in best]
    return [_Shown(facts, why) for facts in kept]


def _test(facts: TrialFacts) -> float | None:
    return mean_known(facts.row) if facts.row is not None else None


def _changes(facts: TrialFacts) -> list[tuple[int, int]]:
    """The steps that are told, each with the variant that was taken."""
    taken = [
        (number, step.chosen)
        for number, step in sorted(facts.steps.items())
        if step.chosen is not None and step.chosen != KEEP and step.candidate in facts.texts
    ]
    return taken[:MOST_STEPS]


def _lineage(one: _Shown, feedback: Callable[..., Feedback], room: _Room) -> dict[str, Any]:
    facts = one.facts
    current = facts.texts.get(facts.seed)
    steps: list[dict[str, Any]] = []
    changed = 0
    for number, step in sorted(facts.steps.items()):
        taken = facts.texts.get(step.candidate) if step.chosen not in (None, KEEP) else None
        if taken is None or current is None:
            continue
        changed += 1
        if changed <= MOST_STEPS and room.left > 0:
            told = feedback(facts, number, int(step.chosen or 0), current)
            steps.append(_step(number, step, current, taken, told, room))
        current = taken
    seed = facts.texts.get(facts.seed)
    return {
        "cell": facts.cell,
        "arm": facts.arm,
        "trial": facts.trial,
        "why": one.why,
        "test": _test(facts),
        "seed_prompt": room.cut(seed.prompt)[0] if seed is not None else "",
        "made": len(facts.steps),
        "changed": changed,
        "steps": steps,
        "steps_left_out": changed - len(steps),
    }


def _step(
    number: int, step: StepFacts, before: Candidate, after: Candidate, feedback: Feedback, room: _Room
) -> dict[str, Any]:
    texts = []
    old = dict(before.texts)
    for name, text in after.texts:
        if old.get(name, "") != text:
            was, was_cut = room.cut(old.get(name, ""))
            now, now_cut = room.cut(text)
            texts.append({"name": name, "before": was, "after": now, "cut": was_cut + now_cut})
    scores = {variant: mean_known(one.scores or one.shown) for variant, one in step.scored.items()}
    told = []
    for one in feedback.told:
        text, cut = room.cut(one.text)
        if text:
            told.append({"stage": one.stage, "example": one.example, "text": text, "cut": cut + one.cut})
    return {
        "step": number,
        "variant": step.chosen,
        "variants": len(step.proposed) + len(step.unparsed),
        "unparsed": {str(variant): reason for variant, reason in sorted(step.unparsed.items())},
        "validation_before": scores.get(KEEP),
        "validation_after": scores.get(step.chosen) if step.chosen is not None else None,
        "batch": _batch(step),
        "texts": texts,
        "feedback": told,
        "feedback_left_out": feedback.left_out + len(feedback.told) - len(told),
    }


def _batch(step: StepFacts) -> dict[str, Any] | None:
    """The examples that the update saw, with the scores that it was told; None where it saw none."""
    if step.batch is None:
        return None
    shown = step.batch.shown or step.batch.scores
    return {"examples": list(step.batch.examples), "scores": list(shown), "unparsed": step.batch.unparsed}


def _candidates(facts: TrialFacts) -> Iterator[dict[str, Any]]:
    for number, step in sorted(facts.steps.items()):
        for variant, one in sorted(step.scored.items()):
            yield {
                "cell": facts.cell,
                "arm": facts.arm,
                "trial": facts.trial,
                "step": number,
                "variant": variant,
                "validation": mean_known(one.scores or one.shown),
                "taken": variant == step.chosen and variant != KEEP,
            }


def _trajectory(spec: Mapping[str, Any], trials: Any) -> list[dict[str, Any]]:
    """Means over the trials of the reported arm, with the columns of a study's table."""
    from nullgrad.analysis.stats.estimate import NotEstimable
    from nullgrad.analysis.study.rows import SHOWN, TRUE, train_scores, validation_rows
    from nullgrad.analysis.study.trajectory import mean_over

    arm: Arm = parse_arm(str(spec["arm"]))
    values: dict[tuple[str, int], list[float]] = {}
    for facts in trials:
        if facts.arm != arm.canonical:
            continue
        for step, row in validation_rows(facts).items():
            known = [float(score) for score in row if score == score]
            if known:
                values.setdefault(("validation", step), []).append(fmean(known))
        for measure, labels in (("train true", TRUE), ("train shown", SHOWN)):
            for step, batch in train_scores(facts, arm, labels).items():
                mean = mean_known(score for _, score in batch)
                if mean is not None:
                    values.setdefault((measure, step), []).append(mean)
    rows = []
    for (measure, step), own in sorted(values.items()):
        over = mean_over(own)
        ends = over.interval
        low, high = (None, None) if isinstance(ends, NotEstimable) else (ends.low, ends.high)
        mean = None if isinstance(over.mean, NotEstimable) else over.mean
        rows.append(
            {
                "cell": "", "arm": arm.canonical, "measure": measure, "unit": "step", "at": step, "n": over.n, "mean": mean,
                "low": low, "high": high,
            }
        )  # fmt: skip
    return rows

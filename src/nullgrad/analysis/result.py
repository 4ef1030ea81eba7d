"""The frozen result of one optimization: what every surface prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nullgrad.analysis import serialize
from nullgrad.analysis.audit.predictions import PredictionAudit
from nullgrad.analysis.audit.rows import AnswerPair, answered_row, audit_if_any, no_classes
from nullgrad.analysis.classes import ClassRow, balanced_accuracy, class_rows
from nullgrad.analysis.gain import Gain, PromptScore, paired_gain, prompt_score
from nullgrad.analysis.recommendation import (
    Advice,
    Recommendation,
    class_warnings,
    course_of,
    recommend,
    unchanged,
    unreadable,
)
from nullgrad.analysis.selection_report import SelectionReport, selection_report
from nullgrad.analysis.stats.intervals import resolvable_gain
from nullgrad.analysis.study.attribution import FreePart, Ladder, free_part, ladder_attribution
from nullgrad.analysis.written import Recorded, frame
from nullgrad.core.arms import side_arms
from nullgrad.core.chat import Reply
from nullgrad.core.events import TestOpened
from nullgrad.core.facts import Facts, Spend, Tally, outcome_tally, standings, unparsed_proposals
from nullgrad.core.forward import SplitScores
from nullgrad.core.rows import mean_known, score_row
from nullgrad.core.selection import Objective
from nullgrad.core.setting import scope_of
from nullgrad.core.task import Example, TaskView, UnparsedAnswer

MANY_UNPARSED = 0.10
"""Share of unparsed test answers from which raw replies are shown."""

BY_BALANCE = (
    "Validation selected by balanced accuracy, so that validation means and the winner's scores under Selection are balanced, too; "
    "the free part of the attribution is estimated for selection by the mean score alone, and left out."
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """How the reported trial was chosen, and what the trials of its arm are worth on average.

    Attributes:
        by: `validation` (the best mean), or `number` (the first: nothing was scored on validation).
        mean_test: mean test score over the trials that were tested, known only with controls.
        tested: how many were.
    """

    by: Literal["validation", "number"]
    mean_test: float | None
    tested: int


@dataclass(frozen=True, slots=True)
class OptimizeResult(Recorded):
    """What one optimization found.

    Attributes:
        run: identity of the run in the ledger.
        version: of nullgrad.
        task, arm: names; the arm in its canonical form.
        steps, batch_size, trials, objective, controls, seed: as asked for.
        models: (role, model as the user wrote it).
        simulated: models that are simulations or scripts.
        constrained: whether the engine held the generator to the labels.
        pack: the pack of words.
        seed_prompt, best_prompt, format: the texts; the format suffix never changes.
        layout: (role, template) of the messages.
        trial: the trial whose prompt is reported.
        chosen: how it was chosen among the trials.
        recommendation, reason: what to do, and why.
        warnings: what speaks against the recommendation's plain reading.
        seed_test, best_test: scores on the sealed test.
        gain: best over seed; None if no example was scored for both.
        classes: recall by class and slot, () for open answers.
        slots: slots of an answer.
        audit: what the gain is made of, class by class, from recorded answers; None for open answers, and where there is no
            new prompt or nothing was answered twice.
        free: what the scored candidates show; None where none was scored.
        selection: what the winner claims on the examples that chose it, and what corrects it; None where nothing chose.
        ladder: attribution over blocks; None without controls.
        forecast_resolvable: points that the test split resolves if a fifth of the answers changes.
        trial_prompts: final prompt of each trial of the arm with its validation mean.
        outcomes: forward answers by split.
        unparsed_proposals: (reason, count) of optimizer replies of which no prompt came.
        unparsed_replies: up to three raw replies, where many test answers are unparsed.
        test_readings: how often this run opened the sealed test, each opening as it is recorded.
        test_readings_before: how often earlier runs had opened the test of this task.
        complete: False if a budget ended the run early.
        stopped: why, "" if complete.
        notes: what loading the task noticed.
        spend: calls, tokens, dollars, seconds.
    """

    run: str
    version: str
    task: str
    arm: str
    steps: int
    batch_size: int
    trials: int
    objective: Objective
    controls: str
    seed: int
    models: tuple[tuple[str, str], ...]
    simulated: tuple[str, ...]
    constrained: bool
    pack: str
    seed_prompt: str
    best_prompt: str
    format: str
    layout: tuple[tuple[str, str], ...]
    trial: int
    chosen: Chosen
    recommendation: Recommendation
    reason: str
    warnings: tuple[str, ...]
    seed_test: PromptScore
    best_test: PromptScore
    gain: Gain | None
    classes: tuple[ClassRow, ...]
    slots: int
    audit: PredictionAudit | None
    free: FreePart | None
    selection: SelectionReport | None
    ladder: Ladder | None
    forecast_resolvable: float
    trial_prompts: tuple[tuple[str, float | None], ...]
    outcomes: tuple[tuple[str, Tally], ...]
    unparsed_proposals: tuple[tuple[str, int], ...]
    unparsed_replies: tuple[str, ...]
    test_readings: int
    test_readings_before: int
    complete: bool
    stopped: str
    notes: tuple[str, ...]
    spend: Spend

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: the contract of `--json`.

        Scores, recalls and validation means are shares from 0 to 1; gains and effects are in points.
        """
        total = sum((tally for _, tally in self.outcomes), Tally())
        splits = {split: serialize.tally_dict(tally) for split, tally in self.outcomes}
        slots = range(self.slots)
        return {
            "run": self.run,
            "nullgrad": self.version,
            "task": self.task,
            "arm": self.arm,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "trials": self.trials,
            "objective": self.objective,
            "controls": self.controls,
            "seed": self.seed,
            "models": dict(self.models),
            "simulated": list(self.simulated),
            "constrained": self.constrained,
            "pack": self.pack,
            "seed_prompt": self.seed_prompt,
            "best_prompt": self.best_prompt,
            "format": self.format,
            "layout": [{"role": role, "text": text} for role, text in self.layout],
            "recommendation": self.recommendation,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "test": {
                "seed": serialize.score_dict(self.seed_test),
                "best": serialize.score_dict(self.best_test),
                "gain": serialize.gain_dict(self.gain),
                "readings": self.test_readings,
                "readings_before": self.test_readings_before,
                "resolvable_points": round(self.forecast_resolvable, serialize.PLACES),
            },
            "classes": serialize.class_dicts(self.classes, 0) if self.slots == 1 else {},
            "slots": [serialize.class_dicts(self.classes, n) for n in slots] if self.slots > 1 else [],
            "audit": None if self.audit is None else self.audit.to_dict(),
            "attribution": {
                "free": serialize.free_dict(self.free),
                "ladder": serialize.ladder_dict(self.ladder),
            },
            "selection": serialize.selection_dict(self.selection),
            "trial": self.trial,
            "reported": {
                "trial": self.trial,
                "of": self.trials,
                "chosen_by": self.chosen.by,
                "mean_test_score": serialize.share(self.chosen.mean_test),
                "trials_tested": self.chosen.tested,
            },
            "trial_prompts": [
                {"prompt": prompt, "validation": serialize.share(mean)} for prompt, mean in self.trial_prompts
            ],
            "outcomes": {**serialize.tally_dict(total), **splits},
            "unparsed_proposals": dict(self.unparsed_proposals),
            "unparsed_replies": list(self.unparsed_replies),
            "complete": self.complete,
            "stopped": self.stopped,
            "notes": list(self.notes),
            **serialize.spend_dict(self.spend),
        }

    def to_pandas(self) -> Any:
        """The class-wise table as a DataFrame, one row per slot and label.

        Raises:
            UserError: pandas is not installed.
        """
        return frame(
            [
                {
                    "slot": row.slot,
                    "label": row.label,
                    "n": row.n,
                    "seed_recall": row.seed.recall,
                    "best_recall": row.best.recall,
                    "seed_predicted": row.seed.predicted,
                    "best_predicted": row.best.predicted,
                }
                for row in self.classes
            ]
        )


def analyse(
    facts: Facts,
    *,
    version: str,
    models: tuple[tuple[str, str], ...],
    simulated: tuple[str, ...],
    readings_before: int = 0,
) -> OptimizeResult:
    """The result that the facts of a run support.

    Args:
        facts: of the run.
        version: of nullgrad.
        models: (role, model as the user wrote it).
        simulated: models that are simulations or scripts.
        readings_before: how often runs begun before this one had opened the test of this task; a number that a replay
            finds again.
    """
    plan = facts.plan
    view = plan.task.view
    seed_outcomes, best_outcomes = facts.seed_reading.scores.shown, facts.best_reading.scores.shown
    same = facts.best.prompt == view.seed_prompt
    seed_test = prompt_score(seed_outcomes, view.unparsed)
    best_test = prompt_score(best_outcomes, view.unparsed)
    gain = paired_gain(score_row(seed_outcomes, view.unparsed), score_row(best_outcomes, view.unparsed))
    recommendation, reason = _advice(facts, seed_test, best_test, gain)
    kind = _scorer_kind(view)
    rows = class_rows(
        plan.task.test,
        seed_outcomes,
        best_outcomes,
        view.labels,
        view.slots,
        sets=kind == "labels" and view.slots == 1,
    )
    folded = standings(facts.events)
    finals = [folded.get(scope_of(plan.arm, trial)) for trial in range(plan.trials)]
    opened = {event.canonical() for event in facts.events if isinstance(event, TestOpened)}
    by_score = plan.objective == "accuracy"
    return OptimizeResult(
        run=plan.run,
        version=version,
        task=view.name,
        arm=plan.arm.canonical,
        steps=plan.steps,
        batch_size=plan.batch_size,
        trials=plan.trials,
        objective=plan.objective,
        controls=plan.controls,
        seed=plan.seed,
        models=models,
        simulated=simulated,
        constrained=plan.cast.generator.constrains and bool(view.constrained),
        pack=plan.pack.name,
        seed_prompt=view.seed_prompt,
        best_prompt=facts.best.prompt,
        format=view.format,
        layout=tuple((role, template.text) for role, template in view.layout.messages),
        trial=facts.trial,
        chosen=_chosen(facts, any(one is not None and one.validation is not None for one in finals)),
        recommendation=recommendation,
        reason=reason,
        warnings=() if same else class_warnings(rows),
        seed_test=seed_test,
        best_test=best_test,
        gain=gain,
        classes=rows,
        slots=view.slots,
        audit=None if same or gain is None else _audit(facts),
        free=free_part(facts.events, scope_of(plan.arm, facts.trial)) if by_score else None,
        selection=selection_report(
            facts.events,
            plan.arm,
            steps=plan.steps,
            trials=plan.trials,
            claimed=None if (final := finals[facts.trial]) is None else final.validation,
            test=best_test.score if by_score else balanced_accuracy(rows),
            seed=plan.seed,
        ),
        ladder=(
            ladder_attribution(
                plan.rungs, side_arms(plan.arm) if plan.controls == "full" else (), facts.blocks, plan.arm
            )
            if plan.rungs
            else None
        ),
        forecast_resolvable=100 * resolvable_gain(len(plan.task.test)),
        trial_prompts=tuple((one.candidate.prompt, one.validation) for one in finals if one is not None),
        outcomes=tuple(outcome_tally(facts.events).items()),
        unparsed_proposals=tuple(sorted(unparsed_proposals(facts.events).items())),
        unparsed_replies=_raw_unparsed(facts),
        test_readings=len(opened),
        test_readings_before=readings_before,
        complete=not facts.stopped,
        stopped=facts.stopped,
        notes=plan.task.notes if by_score else (*plan.task.notes, BY_BALANCE),
        spend=facts.spend,
    )


def _advice(facts: Facts, seed: PromptScore, best: PromptScore, gain: Gain | None) -> Advice:
    """What cannot be read comes first: no score of it means what its name says."""
    plan, view = facts.plan, facts.plan.task.view
    same = facts.best.prompt == view.seed_prompt
    for which, score in (("the seed prompt", seed), ("the new prompt", best)):
        reason = unreadable(which, score.outcomes, view.format, _scorer_kind(view))
        if reason:
            return "cannot tell", reason
    if same:
        return unchanged(plan.arm, plan.steps, course_of(facts.events, plan.arm, plan.trials))
    return recommend(gain)


def _audit(facts: Facts) -> PredictionAudit | None:
    """The gain decomposition of the reported prompt over the seed, fitted on validation where both were run there."""
    view = facts.plan.task.view
    if no_classes(view):
        return None

    def pair(examples: Sequence[Example], before: SplitScores, after: SplitScores) -> AnswerPair:
        return AnswerPair(examples, answered_row(view, before), answered_row(view, after))

    test = pair(facts.plan.task.test, facts.seed_reading.scores, facts.best_reading.scores)
    known = facts.validation
    return audit_if_any(view, test, None if known is None else pair(view.validation, *known))


def _scorer_kind(view: TaskView) -> str:
    return str(json.loads(view.scorer.spec)["kind"])


def _chosen(facts: Facts, validated: bool) -> Chosen:
    own = [block.rows.get(facts.plan.arm.canonical, ()) for block in facts.blocks]
    means = [mean for row in own if (mean := mean_known(row)) is not None]
    return Chosen("validation" if validated else "number", mean_known(means), len(means))


def _raw_unparsed(facts: Facts) -> tuple[str, ...]:
    """Three replies that could not be read, of the prompt that has more of them, if there are many."""
    found: list[str] = []
    for reading in (facts.seed_reading, facts.best_reading):
        pairs = zip(reading.scores.outputs, reading.scores.shown, strict=True)
        bad = [
            output.reply.text
            for output, outcome in pairs
            if isinstance(outcome, UnparsedAnswer) and isinstance(output.reply, Reply)
        ]
        if len(bad) > MANY_UNPARSED * len(reading.scores.shown) and len(bad) > len(found):
            found = bad
    return tuple(found[:3])

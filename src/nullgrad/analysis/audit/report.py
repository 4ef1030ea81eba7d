"""The frozen report of one audit: what every surface prints of two prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nullgrad.analysis import serialize
from nullgrad.analysis.audit import serialize as values
from nullgrad.analysis.audit.ablation import Ablation, analyse_ablation
from nullgrad.analysis.audit.findings import (
    FreshRun,
    LeakReport,
    MadeCurve,
    RuleFinding,
    Shortest,
    fresh_run,
    leak_report,
    made_curve,
    rule_findings,
)
from nullgrad.analysis.audit.predictions import AuditVerdict, PredictionAudit
from nullgrad.analysis.audit.rows import AnswerPair, AnswerRow, answered_row, audit_answers, no_classes
from nullgrad.analysis.gain import Gain, PromptScore, paired_gain, prompt_score
from nullgrad.analysis.recommendation import unreadable
from nullgrad.analysis.written import Recorded, frame
from nullgrad.core.audit import AblationRun, AuditFacts, Readings
from nullgrad.core.audit_plan import AuditPlan
from nullgrad.core.events import TestOpened
from nullgrad.core.facts import Spend
from nullgrad.core.forward import SplitScores
from nullgrad.core.rows import mean_known, score_row
from nullgrad.core.sections import Section
from nullgrad.errors import UserError

OUTSIDE_CURVE = "fresh:"
"""How the group of fresh examples at a share of a class is named, with the share behind it."""


@dataclass(frozen=True, slots=True)
class AuditReport(Recorded):
    """What an audit of two prompts found.

    Attributes:
        run, version: identity of the run in the ledger; nullgrad's version.
        task: its name.
        models: (role, model as the user wrote it).
        simulated: models that are simulations or scripts.
        constrained: whether the engine held the generator to the labels.
        before_name, after_name: where the prompts came from.
        before_prompt, after_prompt, format: the texts; the format suffix is fixed.
        seed, trial: of the draws.
        margin: as a share.
        slots: of an answer.
        before_test, after_test: scores on the sealed test.
        gain: after over before on the test; None if no example was scored for both.
        before_validation, after_validation: scores on validation, None where they were not read there.
        verdict, reason: of the gain decomposition, unless most answers could not be read; None and "" for open answers.
        predictions: class-wise table, gain decomposition and verdict; None for open answers.
        unscored: why there is no bias-fitted benchmark, "" where there is one.
        fresh: what a new run of both prompts shows; None without one.
        curve: both prompts on made items over the share of a class; None without it.
        sections: of the after prompt.
        ablation, shortest: None where sections were not ablated.
        rules: suspicious rules of the after prompt.
        leaks: copied text and label words.
        not_applicable: parts that this task or this run cannot have, one sentence each.
        test_readings: how often this run opened the sealed test; test_readings_before: how often earlier runs had.
        complete: False if a budget ended the run early; stopped: why.
        notes: what loading the task noticed.
        spend: calls, tokens, dollars, seconds.
    """

    run: str
    version: str
    task: str
    models: tuple[tuple[str, str], ...]
    simulated: tuple[str, ...]
    constrained: bool
    before_name: str
    after_name: str
    before_prompt: str
    after_prompt: str
    format: str
    seed: int
    trial: int
    margin: float
    slots: int
    before_test: PromptScore
    after_test: PromptScore
    gain: Gain | None
    before_validation: PromptScore | None
    after_validation: PromptScore | None
    verdict: AuditVerdict | None
    reason: str
    predictions: PredictionAudit | None
    unscored: str
    fresh: FreshRun | None
    curve: MadeCurve | None
    sections: tuple[Section, ...]
    ablation: Ablation | None
    shortest: Shortest | None
    rules: tuple[RuleFinding, ...]
    leaks: LeakReport
    not_applicable: tuple[str, ...]
    test_readings: int
    test_readings_before: int
    complete: bool
    stopped: str
    notes: tuple[str, ...]
    spend: Spend

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values: the contract of `--json`. Scores and recalls are shares, differences are points."""
        return {
            "run": self.run,
            "nullgrad": self.version,
            "task": self.task,
            "models": dict(self.models),
            "simulated": list(self.simulated),
            "constrained": self.constrained,
            "before": {"name": self.before_name, "prompt": self.before_prompt},
            "after": {"name": self.after_name, "prompt": self.after_prompt},
            "format": self.format,
            "seed": self.seed,
            "trial": self.trial,
            "margin_points": serialize.points(self.margin),
            "verdict": self.verdict,
            "reason": self.reason,
            "test": {
                "before": serialize.score_dict(self.before_test),
                "after": serialize.score_dict(self.after_test),
                "gain": serialize.gain_dict(self.gain),
                "readings": self.test_readings,
                "readings_before": self.test_readings_before,
            },
            "validation": {
                "before": None
                if self.before_validation is None
                else serialize.score_dict(self.before_validation),
                "after": None
                if self.after_validation is None
                else serialize.score_dict(self.after_validation),
            },
            "predictions": None if self.predictions is None else self.predictions.to_dict(),
            "bias_fitted_unavailable": self.unscored,
            "fresh": values.fresh_dict(self.fresh),
            "curve": values.curve_dict(self.curve),
            "sections": [
                {"number": one.number + 1, "kind": one.kind, "text": one.text.strip()}
                for one in self.sections
            ],
            "ablation": values.ablation_dict(self.ablation),
            "shortest": values.shortest_dict(self.shortest),
            "rules": [values.rule_dict(one) for one in self.rules],
            "leaks": values.leak_dict(self.leaks),
            "not_applicable": list(self.not_applicable),
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
        rows = []
        for slot in () if self.predictions is None else self.predictions.slots:
            for one in slot.classes:
                row: dict[str, Any] = {"slot": slot.slot, "label": one.label, "n": one.n, "prior": one.prior}
                for name in ("recall", "precision", "rate"):
                    change = getattr(one, name)
                    row[f"{name}_before"] = None if change is None else change.before
                    row[f"{name}_after"] = None if change is None else change.after
                rows.append({**row, "suppressed": one.suppressed, "doubtful": one.doubtful})
        return frame(rows)


def analyse_audit(
    found: AuditFacts,
    *,
    version: str,
    models: tuple[tuple[str, str], ...],
    simulated: tuple[str, ...],
    names: tuple[str, str] = ("before", "after"),
    readings_before: int = 0,
    prior: Mapping[str, float] | None = None,
    curve: str | None = None,
    ordinal: bool = False,
    asked: tuple[str, ...] = (),
) -> AuditReport:
    """The report that the facts of an audit support.

    Args:
        found: the facts.
        version: of nullgrad.
        models: (role, model as the user wrote it).
        simulated: models that are simulations or scripts.
        names: where the before and the after prompt came from.
        readings_before: openings of this task's test by runs begun before.
        prior: {label: share} at which accuracy is re-weighted.
        curve: the class of a curve.
        ordinal: whether the labels' order means something.
        asked: parts that were asked for and that the task cannot have, one sentence each.
    """
    plan, view, test = found.plan, found.plan.task.view, found.test
    missing = [*asked]
    reason = no_classes(view)
    pair = validation = predictions = None
    unscored = ""
    if reason:
        missing.append(reason)
        missing.append("Without closed labels there are no suspicious rules and no label words to look for.")
    else:
        pair = _pair(plan, test)
        validation = None if found.validation is None else _pair(plan, found.validation)
        unscored = _unscored(pair.before, None if validation is None else validation.before)
        try:
            predictions = audit_answers(
                view, pair, validation, prior=prior, curve=curve, ordinal=ordinal, margin=plan.margin
            )
        except UserError as error:
            # The answers are paid for: what else they show is still reported.
            missing.append(f"There is no class-wise table and no gain decomposition: {error.what}")
    verdict, why = _verdict(plan, test, predictions)
    made = {
        float(group.removeprefix(OUTSIDE_CURVE)): readings
        for group, readings in found.fresh.items()
        if group.startswith(OUTSIDE_CURVE)
    }
    anew = next(((g, r) for g, r in found.fresh.items() if not g.startswith(OUTSIDE_CURVE)), None)
    opened = {event.canonical() for event in found.events if isinstance(event, TestOpened)}
    return AuditReport(
        run=plan.run,
        version=version,
        task=view.name,
        models=models,
        simulated=simulated,
        constrained=plan.cast.generator.constrains and bool(view.constrained),
        before_name=names[0],
        after_name=names[1],
        before_prompt=plan.before,
        after_prompt=plan.after,
        format=view.format,
        seed=plan.seed,
        trial=plan.trial,
        margin=plan.margin,
        slots=view.slots,
        before_test=prompt_score(test.before.shown, view.unparsed),
        after_test=prompt_score(test.after.shown, view.unparsed),
        gain=_gain(plan, test.before, test.after),
        before_validation=_score(plan, None if found.validation is None else found.validation.before),
        after_validation=_score(plan, None if found.validation is None else found.validation.after),
        verdict=verdict,
        reason=why,
        predictions=predictions,
        unscored=unscored,
        fresh=fresh_run(view, *anew, validation, plan.margin, ordinal) if anew is not None else None,
        curve=made_curve(view, curve, made) if made and curve is not None else None,
        sections=plan.cuts,
        ablation=None if found.ablation is None else analyse_ablation(plan, found.ablation),
        shortest=None if found.ablation is None else _shortest(found, found.ablation),
        rules=rule_findings(plan, test),
        leaks=leak_report(plan),
        not_applicable=tuple(missing),
        test_readings=len(opened),
        test_readings_before=readings_before,
        complete=not found.stopped,
        stopped=found.stopped,
        notes=plan.task.notes,
        spend=found.spend,
    )


def _verdict(
    plan: AuditPlan, test: Readings, predictions: PredictionAudit | None
) -> tuple[AuditVerdict | None, str]:
    """What cannot be read comes first: two prompts whose answers nobody reads are alike for that reason alone."""
    if predictions is None:
        return None, ""
    view = plan.task.view
    for which, scores in (("the before prompt", test.before), ("the after prompt", test.after)):
        tally = prompt_score(scores.shown, view.unparsed).outcomes
        reason = unreadable(which, tally, view.format, str(json.loads(view.scorer.spec)["kind"]))
        if reason:
            return "cannot tell", reason
    return predictions.verdict, predictions.reason


def _pair(plan: AuditPlan, readings: Readings) -> AnswerPair:
    view = plan.task.view
    return AnswerPair(
        readings.examples, answered_row(view, readings.before), answered_row(view, readings.after)
    )


def _unscored(test: AnswerRow, validation: AnswerRow | None) -> str:
    """Why the before prompt's log-probabilities do not make a benchmark."""
    for row in (test, validation):
        if row is not None and not row.scores:
            return row.reason or "the endpoint returned no log-probabilities"
    return ""


def _gain(plan: AuditPlan, before: SplitScores, after: SplitScores) -> Gain | None:
    policy = plan.task.view.unparsed
    return paired_gain(score_row(before.shown, policy), score_row(after.shown, policy))


def _score(plan: AuditPlan, scores: SplitScores | None) -> PromptScore | None:
    return None if scores is None else prompt_score(scores.shown, plan.task.view.unparsed)


def _shortest(found: AuditFacts, run: AblationRun) -> Shortest:
    chosen, plan = run.shortest, found.plan
    return Shortest(
        chosen.variant.name,
        chosen.variant.text,
        len(chosen.variant.text),
        len(run.full.variant.text),
        mean_known(chosen.row),
        mean_known(run.full.row),
        _score(plan, found.shortest),
        None if found.shortest is None else _gain(plan, found.test.after, found.shortest),
    )

"""The frozen result of one optimization: what every surface prints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nullgrad.analysis.attribution import FreePart, Ladder, free_part, ladder_attribution
from nullgrad.analysis.classes import ClassRow, class_rows
from nullgrad.analysis.gain import Gain, Recommendation, mean_score, paired_gain, recommend, score_row
from nullgrad.analysis.intervals import Interval, resolvable_gain, wilson
from nullgrad.core.arms import side_arms
from nullgrad.core.chat import Failed, Reply
from nullgrad.core.events import TestOpened
from nullgrad.core.facts import (
    Facts,
    Reading,
    Spend,
    Tally,
    outcome_tally,
    standings,
    unparsed_proposals,
)
from nullgrad.core.task import Outcome, UnparsedAnswer
from nullgrad.errors import UserError

MANY_UNPARSED = 0.10
"""Share of unparsed test answers from which raw replies are shown."""


@dataclass(frozen=True, slots=True)
class PromptScore:
    """One prompt on the sealed test.

    Attributes:
        score: mean, 0 to 1.
        interval: Wilson's for right-or-wrong scores, 95 %; None for graded ones.
        outcomes: what became of the answers.
    """

    score: float
    interval: Interval | None
    outcomes: Tally


@dataclass(frozen=True, slots=True)
class OptimizeResult:
    """What one optimization found.

    Attributes:
        run: identity of the run in the ledger.
        version: of nullgrad.
        task, arm: names; the arm in its canonical form.
        steps, batch_size, trials, controls, seed: as asked for.
        models: (role, model as the user wrote it).
        simulated: models that are simulations or scripts.
        constrained: whether the engine held the generator to the labels.
        pack: the pack of words.
        seed_prompt, best_prompt, format: the texts; the format suffix never changes.
        layout: (role, template) of the messages.
        trial: the trial whose prompt is reported.
        recommendation, reason: what to do, and why.
        warnings: what speaks against the recommendation's plain reading.
        seed_test, best_test: scores on the sealed test.
        gain: best over seed; None if no example was scored for both.
        classes: recall by class and slot, () for open answers.
        slots: slots of an answer.
        free: what the scored candidates show; None where none was scored.
        ladder: attribution over blocks; None without controls.
        forecast_resolvable: points that the test split resolves if a fifth of the answers changes.
        trial_prompts: final prompt of each trial of the arm with its validation mean.
        outcomes: forward answers by split.
        unparsed_proposals: (reason, count) of optimizer replies of which no prompt came.
        unparsed_replies: up to three raw replies, where many test answers are unparsed.
        test_readings: how often the sealed test was opened.
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
    recommendation: Recommendation
    reason: str
    warnings: tuple[str, ...]
    seed_test: PromptScore
    best_test: PromptScore
    gain: Gain | None
    classes: tuple[ClassRow, ...]
    slots: int
    free: FreePart | None
    ladder: Ladder | None
    forecast_resolvable: float
    trial_prompts: tuple[tuple[str, float | None], ...]
    outcomes: tuple[tuple[str, Tally], ...]
    unparsed_proposals: tuple[tuple[str, int], ...]
    unparsed_replies: tuple[str, ...]
    test_readings: int
    complete: bool
    stopped: str
    notes: tuple[str, ...]
    spend: Spend

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: the contract of `--json`.

        Scores, recalls and validation means are shares from 0 to 1; gains and effects are in points.
        """
        from nullgrad.analysis.serialize import result_dict

        return result_dict(self)

    def to_json(self) -> str:
        """`to_dict` as text, the same bytes for the same result."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def canonical(self) -> str:
        """What the ledger keeps: JSON without what this or that command paid, the same for every replay."""
        from nullgrad.analysis.serialize import SPEND_KEYS

        value = {key: part for key, part in self.to_dict().items() if key not in SPEND_KEYS}
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))

    def to_pandas(self) -> Any:
        """The class-wise table as a DataFrame, one row per slot and label.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped]
        except ImportError:
            raise UserError(
                "pandas is not installed.", "There is no table to return.", "pip install pandas"
            ) from None
        return pandas.DataFrame(
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
    facts: Facts, *, version: str, models: tuple[tuple[str, str], ...], simulated: tuple[str, ...]
) -> OptimizeResult:
    """The result that the facts of a run support."""
    plan = facts.plan
    view = plan.task.view
    seed_row = score_row(facts.seed_reading.scores.shown, view.unparsed)
    best_row = score_row(facts.best_reading.scores.shown, view.unparsed)
    same = facts.best == view.seed_prompt
    gain = paired_gain(seed_row, best_row)
    recommendation, reason = recommend(gain, same)
    rows = class_rows(
        plan.task.test,
        facts.seed_reading.scores.shown,
        facts.best_reading.scores.shown,
        view.labels,
        view.slots,
    )
    folded = standings(facts.events)
    finals = [folded.get(f"{plan.arm.canonical}#{trial}") for trial in range(plan.trials)]
    return OptimizeResult(
        run=plan.run,
        version=version,
        task=view.name,
        arm=plan.arm.canonical,
        steps=plan.steps,
        batch_size=plan.batch_size,
        trials=plan.trials,
        controls=plan.controls,
        seed=plan.seed,
        models=models,
        simulated=simulated,
        constrained=plan.cast.generator.constrains and bool(view.constrained),
        pack=plan.pack.name,
        seed_prompt=view.seed_prompt,
        best_prompt=facts.best,
        format=view.format,
        layout=tuple((role, template.text) for role, template in view.layout.messages),
        trial=facts.trial,
        recommendation=recommendation,
        reason=reason,
        warnings=() if same else _warnings(rows),
        seed_test=_prompt_score(facts.seed_reading, seed_row),
        best_test=_prompt_score(facts.best_reading, best_row),
        gain=gain,
        classes=rows,
        slots=view.slots,
        free=free_part(facts.events, f"{plan.arm.canonical}#{facts.trial}", view.seed_prompt),
        ladder=(
            ladder_attribution(
                plan.rungs, side_arms(plan.arm) if plan.controls == "full" else (), facts.blocks, plan.arm
            )
            if plan.rungs
            else None
        ),
        forecast_resolvable=100 * resolvable_gain(len(plan.task.test)),
        trial_prompts=tuple((one.prompt, one.validation) for one in finals if one is not None),
        outcomes=tuple(outcome_tally(facts.events).items()),
        unparsed_proposals=tuple(sorted(unparsed_proposals(facts.events).items())),
        unparsed_replies=_raw_unparsed(facts),
        test_readings=len({(one.scope, one.prompt) for one in facts.events if isinstance(one, TestOpened)}),
        complete=not facts.stopped,
        stopped=facts.stopped,
        notes=plan.task.notes,
        spend=facts.spend,
    )


def _prompt_score(reading: Reading, row: tuple[float | None, ...]) -> PromptScore:
    known = [score for score in row if score is not None]
    binary = all(score in (0.0, 1.0) for score in known)
    return PromptScore(
        mean_score(row) or 0.0,
        wilson(round(sum(known)), len(known)) if binary else None,
        _outcomes(reading.scores.shown),
    )


def _outcomes(outcomes: tuple[Outcome, ...]) -> Tally:
    unparsed = sum(isinstance(outcome, UnparsedAnswer) for outcome in outcomes)
    failed = sum(isinstance(outcome, Failed) for outcome in outcomes)
    return Tally(len(outcomes) - unparsed - failed, unparsed, failed)


def _warnings(rows: tuple[ClassRow, ...]) -> tuple[str, ...]:
    """Classes that the new prompt recognizes less often than the seed's interval allows."""
    found: list[str] = []
    for row in rows:
        before, after = row.seed, row.best
        if before.interval is None or before.recall is None or after.recall is None:
            continue
        if after.recall < before.interval.low:
            found.append(
                f"The recall of {row.label!r} fell from {before.recall:.0%} to {after.recall:.0%}: "
                "the gain may be a bias towards other answers."
            )
    return tuple(found)


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

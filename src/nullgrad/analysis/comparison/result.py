"""The frozen result of a comparison of optimizers: what every surface prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nullgrad.analysis import serialize
from nullgrad.analysis.comparison import tables as comparison_tables
from nullgrad.analysis.comparison.audits import (
    OwnLadder,
    Part,
    Verdicts,
    audit_comparison,
    own_ladders,
    parts,
)
from nullgrad.analysis.comparison.crown import Crown, crown, ranking
from nullgrad.analysis.comparison.entries import EntryResult, entry_results
from nullgrad.analysis.comparison.families import (
    CompareContrast,
    best_contrasts,
    gain_contrasts,
    label_contrasts,
    over_population,
)
from nullgrad.analysis.comparison.notes import notes_of
from nullgrad.analysis.comparison.rows import SHARE, CompareRows, Mean, claimed_gain, mean_of
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.permutation import RESAMPLES
from nullgrad.analysis.study.audits import ArmAudits
from nullgrad.analysis.written import Tabled
from nullgrad.core.compare import ComparedTrial, Comparison, SeedScores
from nullgrad.core.facts import Spend
from nullgrad.core.task import TaskView


@dataclass(frozen=True, slots=True)
class TrialLine:
    """One trial; scores and gains as shares.

    Attributes:
        trial: what it came to.
        in_means: whether its block is complete, so that it is in the means and the contrasts.
        score: mean test score that it left its user with (without a result the seed prompt's), None where a score is missing.
        seed_score: of the seed prompt with the draws of its block, None likewise.
        gain: the difference.
        phantom: claimed gain − `gain`, None where it is not estimated.
        audit: verdict on its answers, "" for none.
        unparsed: test answers that could not be read.
    """

    trial: ComparedTrial
    in_means: bool
    score: float | None
    seed_score: float | None
    gain: float | None
    phantom: float | None
    audit: str
    unparsed: int


@dataclass(frozen=True, slots=True)
class CompareResult(Tabled):
    """What a comparison found.

    Attributes:
        run, version: identity of the run in the ledger; nullgrad's version.
        comparison: as declared.
        models: (role, model as the user wrote it).
        simulated: models that are simulations or scripts.
        test_examples: of the sealed test.
        blocks: complete blocks, from which all means and contrasts are.
        seed_prompt: the task's; seed_score: its mean test score over these blocks.
        entries, trials, contrasts, parts, ladders, audits, crown: see their classes.
        test_readings: readings of the sealed test.
        complete: whether every declared block ran.
        stopped: why it ended early, "" if it did not.
        notes: what a reader of the numbers has to know.
        spend: calls, tokens, dollars, seconds of this command.
    """

    MAIN: ClassVar[str] = "entries"

    run: str
    version: str
    comparison: Comparison
    models: tuple[tuple[str, str], ...]
    simulated: tuple[str, ...]
    test_examples: int
    blocks: int
    seed_prompt: str
    seed_score: Mean
    entries: tuple[EntryResult, ...]
    trials: tuple[TrialLine, ...]
    contrasts: tuple[CompareContrast, ...]
    parts: tuple[Part, ...]
    ladders: tuple[OwnLadder, ...]
    audits: tuple[ArmAudits, ...]
    crown: Crown
    test_readings: int
    complete: bool
    stopped: str
    notes: tuple[str, ...]
    spend: Spend

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tidy tables, one dictionary a row: the contract of CSV and Parquet. See `comparison.tables`."""
        return comparison_tables.tables(self)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values: the contract of `--json`.

        Scores are shares from 0 to 1; gains, differences and margins are in points. A number that is not estimable is null, and
        its reason stands under `not_estimable`.
        """
        declared, found = self.comparison, self.crown
        budget = declared.budget
        needed = found.trials_needed
        return {
            "run": self.run,
            "nullgrad": self.version,
            "comparison": declared.task,
            "task": declared.task,
            "trials": declared.trials,
            "blocks": self.blocks,
            "alpha": declared.alpha,
            "margin_points": serialize.points(declared.margin),
            "seed": declared.seed,
            "budget": {
                "calls": budget.calls,
                "tokens": budget.tokens,
                "usd": None if budget.usd is None else float(budget.usd),
            },
            "models": dict(self.models),
            "simulated": list(self.simulated),
            "test_examples": self.test_examples,
            "seed_prompt": {
                "text": self.seed_prompt,
                "score": _share(self.seed_score),
                "ci95": _ends(self.seed_score),
            },
            "crown": {
                "highest": found.highest,
                "best": found.best,
                "worse": list(found.worse),
                "equal": list(found.equal),
                "open": list(found.open),
                "gained": found.gained,
                "on_other_examples": found.on_other_examples,
                "trials_needed": None if isinstance(needed, NotEstimable) else int(needed),
                "text": found.text,
            },
            "tables": self.tables(),
            "attribution": [
                {"top": one.top, **(serialize.ladder_dict(one.ladder) or {})} for one in self.ladders
            ],
            "test_readings": self.test_readings,
            "complete": self.complete,
            "stopped": self.stopped,
            "notes": list(self.notes),
            **serialize.spend_dict(self.spend),
        }


def compare_trials(
    comparison: Comparison,
    view: TaskView,
    seeds: Sequence[SeedScores],
    trials: Sequence[ComparedTrial],
    *,
    targets: Sequence[str],
    run: str,
    version: str,
    models: tuple[tuple[str, str], ...],
    simulated: tuple[str, ...],
    spend: Spend,
    stopped: str = "",
    steps: Mapping[str, int] | None = None,
    resamples: int = RESAMPLES,
) -> CompareResult:
    """The result that the trials of a comparison support; asks no model.

    Means and contrasts are over complete blocks: those of which the seed prompt and one trial of every entry ended. What trials
    cost, and how long they took, is over all that ended.

    Args:
        comparison: as declared.
        view: the task without its test.
        seeds: the seed prompt by block.
        trials: all that ended, in any order.
        targets: right answers of the test examples in their order, for the audit.
        run: identity of the run.
        version: of nullgrad.
        models: (role, model as the user wrote it).
        simulated: models that are simulations or scripts.
        spend: of this command.
        stopped: why the comparison ended early, "" if it did not.
        steps: of own arms, by the name of the entry.
        resamples: of the permutation tests where they do not enumerate.
    """
    data = CompareRows.of(comparison, view.unparsed, len(targets), seeds, trials)
    gains = tuple(over_population(data, one) for one in gain_contrasts(data, resamples))
    labels = tuple(over_population(data, one) for one in label_contrasts(data, resamples))
    highest = next((name for name, _ in ranking(data)), "")
    pairs = tuple(
        over_population(data, one) if highest in (one.first, one.second) else one
        for one in best_contrasts(data, resamples)
    )
    contrasts = (*gains, *labels, *pairs)
    entries = entry_results(data, view.seed_prompt, steps or {})
    audits, verdicts = audit_comparison(view, targets, data)
    return CompareResult(
        run=run,
        version=version,
        comparison=comparison,
        models=models,
        simulated=simulated,
        test_examples=len(targets),
        blocks=len(data.blocks),
        seed_prompt=view.seed_prompt,
        seed_score=mean_of(
            [score for number in data.blocks if (score := data.seed_score(number)) is not None],
            "no block is complete",
            SHARE,
        ),
        entries=entries,
        trials=tuple(
            _line(data, one, verdicts) for entry in comparison.entries for one in data.of_entry(entry)
        ),
        contrasts=contrasts,
        parts=parts(data),
        ladders=own_ladders(data),
        audits=audits,
        crown=crown(data, gains, pairs),
        test_readings=len(data.seeds) + sum(bool(one.test) for one in data.trials.values()),
        complete=len(data.blocks) == comparison.trials,
        stopped=stopped,
        notes=notes_of(data, entries, contrasts),
        spend=spend,
    )


def _line(data: CompareRows, trial: ComparedTrial, verdicts: Verdicts) -> TrialLine:
    gain, claimed = data.gain(trial), claimed_gain(trial)
    right = trial.entry.selection == "correct" and bool(trial.test)
    return TrialLine(
        trial,
        trial.trial in data.blocks,
        data.score(trial) if trial.test or trial.trial in data.seeds else None,
        data.seed_score(trial.trial),
        gain,
        claimed - gain if right and claimed is not None and gain is not None else None,
        verdicts.get((trial.entry.name, trial.trial), ""),
        sum(
            answer is None and score is not None
            for answer, score in zip(trial.answers, trial.test, strict=False)
        ),
    )


def _share(over: Mean) -> float | None:
    return None if isinstance(over.mean, NotEstimable) else serialize.share(over.mean)


def _ends(over: Mean) -> list[float | None] | None:
    if isinstance(over.interval, NotEstimable):
        return None
    return [serialize.share(over.interval.low), serialize.share(over.interval.high)]

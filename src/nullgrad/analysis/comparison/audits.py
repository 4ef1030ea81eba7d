"""What the gains of a comparison are made of: the audit of every trial's final answers, and what remains under other labels.

Audits are of recorded answers alone: without log-probabilities a threshold shift is not excluded, and relabellings are
cross-fitted on the test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nullgrad.analysis.audit.predictions import PredictionAudit
from nullgrad.analysis.audit.rows import AnswerPair, audit_if_any, known_row, no_classes
from nullgrad.analysis.comparison.families import channel
from nullgrad.analysis.comparison.rows import DIFFERENCE, CompareRows, Mean, mean_of
from nullgrad.analysis.study.attribution import Ladder, ladder_attribution
from nullgrad.analysis.study.audits import UNCHANGED, ArmAudits, count_audits
from nullgrad.core.arms import SEED, Arm, Rung, ladder, parse_arm
from nullgrad.core.compare import ComparedTrial, Entry, SeedScores
from nullgrad.core.facts import Block
from nullgrad.core.task import Example, TaskView
from nullgrad.errors import UserError

Verdicts = Mapping[tuple[str, int], str]
"""Verdict of the audit by entry and trial; "" where answers are missing or the trial has no result."""


def audit_comparison(
    view: TaskView, targets: Sequence[str], data: CompareRows
) -> tuple[tuple[ArmAudits, ...], Verdicts]:
    """Counts of verdicts by entry, and each trial's own; nothing where the answers have no classes."""
    if no_classes(view):
        return (), {}
    examples = [Example(str(place), "", target) for place, target in enumerate(targets)]
    known: dict[tuple[object, ...], PredictionAudit | str | None] = {}
    verdicts: dict[tuple[str, int], str] = {}
    counts: list[ArmAudits] = []
    for entry in data.comparison.entries:
        found: list[PredictionAudit | str | None] = []
        for trial in data.of_entry(entry):
            seed = data.seeds.get(trial.trial)
            # Entries that end with the same prompt share its answers, and need one audit.
            key = trial.trial, trial.candidate, trial.answers, trial.test
            if key not in known:
                known[key] = _audit(view, examples, seed, trial)
            found.append(known[key])
            verdicts[entry.name, trial.trial] = _word(known[key])
        counts += count_audits(view.name, entry.name, found)
    return tuple(counts), verdicts


def _audit(
    view: TaskView, examples: Sequence[Example], seed: SeedScores | None, trial: ComparedTrial
) -> PredictionAudit | str | None:
    """`UNCHANGED` where the trial ended with the seed prompt, None where answers are missing or there is no result."""
    if not trial.test or trial.candidate is None:
        return None
    if trial.candidate.prompt == view.seed_prompt:
        return UNCHANGED
    before = None if seed is None else known_row(view, seed.test, seed.answers)
    after = known_row(view, trial.test, trial.answers)
    if before is None or after is None:
        return None
    return audit_if_any(view, AnswerPair(examples, before, after), brief=True)


def _word(found: PredictionAudit | str | None) -> str:
    return "" if found is None else found if isinstance(found, str) else found.verdict


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the gain of an optimizer with correct labels; shares over complete blocks, failed trials with a gain of 0.

    Attributes:
        optimizer: the entry with correct labels.
        control: the entry with other labels.
        channel: which labels differ, such as `feedback wrong`.
        part: `whole`, `remains` (the control's own gain) or `labels` (the difference).
        says: the part in words.
        over: mean and 95 % interval, not corrected: verdicts are in the family `labels`.
    """

    optimizer: str
    control: str
    channel: str
    part: str
    says: str
    over: Mean


_REMAINS = {
    "feedback wrong": "remains when the feedback tells wrong labels",
    "feedback shuffled": "remains when the feedback tells labels without information",
    "feedback none": "remains when the feedback tells no label",
    "selection wrong": "remains when candidates are scored by wrong labels",
    "selection shuffled": "remains when candidates are scored by labels without information",
}
_LABELS = {
    "feedback wrong": "correct feedback labels add over wrong ones",
    "feedback shuffled": "correct feedback labels add over labels without information",
    "feedback none": "feedback labels add over none",
    "selection wrong": "correct selection labels add over wrong ones",
    "selection shuffled": "correct selection labels add over labels without information",
}


def parts(data: CompareRows) -> tuple[Part, ...]:
    """The gain with correct labels split by each control that ran beside it.

    Wrong labels mislead, so that what remains with them is what needs no true feedback, less the harm of false one; and
    what correct labels add over wrong ones is no more than that sum.
    """
    found: list[Part] = []
    for entry in data.comparison.competing:
        for control in data.comparison.of(entry.optimizer):
            if control.control:
                found += _parts(data, entry, control)
    return tuple(found)


def _parts(data: CompareRows, entry: Entry, control: Entry) -> list[Part]:
    which = channel(control)
    both = [
        (own, other)
        for one, two in zip(data.in_blocks(entry), data.in_blocks(control), strict=True)
        if (own := data.gain(one)) is not None and (other := data.gain(two)) is not None
    ]
    values = {
        "whole": ("gain with correct labels", [own for own, _ in both]),
        "remains": (_REMAINS.get(which, f"remains with {which}"), [other for _, other in both]),
        "labels": (
            _LABELS.get(which, f"correct labels add over {which}"),
            [own - other for own, other in both],
        ),
    }
    return [
        Part(entry.name, control.name, which, part, says, mean_of(own, "no block is complete", DIFFERENCE))
        for part, (says, own) in values.items()
    ]


@dataclass(frozen=True, slots=True)
class OwnLadder:
    """The attribution ladder of one of nullgrad's own arms."""

    top: str
    ladder: Ladder


def own_ladders(data: CompareRows) -> tuple[OwnLadder, ...]:
    """The longest ladders of which every rung above the seed prompt is an entry; a ladder within another one is left out.

    Rungs have the same budget, and so not the same number of steps: a cheaper rung takes more of them.
    """
    entries = {one.name: one for one in data.comparison.entries if one.own}
    tops: dict[Arm, tuple[Rung, ...]] = {}
    for name in entries:
        arm = parse_arm(name)
        try:
            rungs = ladder(arm)
        except UserError:
            continue
        if len(rungs) >= 3 and all(rung.arm == SEED or rung.arm.canonical in entries for rung in rungs):
            tops[arm] = rungs
    found: list[OwnLadder] = []
    for arm, rungs in tops.items():
        own = {rung.arm for rung in rungs}
        if not any(own < {rung.arm for rung in other} for other in tops.values()):
            blocks = _blocks(data, [entries[rung.arm.canonical] for rung in rungs if rung.arm != SEED])
            found.append(OwnLadder(arm.canonical, ladder_attribution(rungs, (), blocks, arm)))
    return tuple(found)


def _blocks(data: CompareRows, entries: Sequence[Entry]) -> list[Block]:
    found = []
    for number in data.blocks:
        seed = data.seeds[number].test
        rows = {SEED.canonical: seed}
        for entry in entries:
            rows[entry.name] = data.trials[entry.name, number].test or seed
        found.append(Block(number, rows))
    return found

"""What to do about the optimized prompt, why in one sentence, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nullgrad.analysis.classes import ClassRow
from nullgrad.analysis.gain import Gain
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.core.arms import SEED, Arm
from nullgrad.core.events import CandidateScored, Event, Proposed, StepDone, TrialDone
from nullgrad.core.facts import Tally, unparsed_proposals
from nullgrad.core.selection import KEEP, Row, common_means, comparable
from nullgrad.core.setting import scope_of

Recommendation = Literal["switch", "keep", "cannot tell"]

Advice = tuple[Recommendation, str]
"""What to do, and why in one sentence."""

ALPHA = 0.05
"""Two-sided level of the exact McNemar test that a switch needs beside its interval."""

SHOWN = 120
"""Characters of a format suffix that a reason quotes."""


def recommend(gain: Gain | None) -> Advice:
    """What to do about a new prompt by its gain.

    `switch` needs the whole interval above zero and, for right-or-wrong scores, McNemar's exact test below `ALPHA`:
    the interval alone finds too much where many answers change. Both must hold whatever the missing scores would have
    been. `keep` is said where nothing speaks for a change, and the missing scores could not have shown the opposite.
    """
    if gain is None:
        return "cannot tell", "No test example was scored for both prompts."
    if _better(gain.interval, gain.p):
        if not _better(gain.worst, gain.worst_p):
            return "cannot tell", "The gain is above zero only if the missing answers were not against it."
        return "switch", "The whole interval of the gain is above zero."
    if gain.mean <= 0:
        if gain.best_case.low > 0:
            return (
                "cannot tell",
                f"The new prompt is not better where both were scored, but {gain.missing} examples with a missing "
                "answer could make it so.",
            )
        return "keep", "The new prompt is not better on the sealed test."
    p = "" if gain.p is None else f"p = {gain.p:.3g}, and {ALPHA:g} or less is needed"
    if gain.interval.low > 0:
        return (
            "cannot tell",
            f"The interval of the gain is above zero, but the exact McNemar test does not agree ({p}): it may be noise.",
        )
    if gain.p is not None and gain.p <= ALPHA:
        return (
            "cannot tell",
            f"The exact McNemar test finds a gain (p = {gain.p:.3g}), but its interval includes zero: it may be noise.",
        )
    return "cannot tell", "The interval of the gain includes zero: with this test split it may be noise."


def _better(interval: Interval, p: float | None) -> bool:
    return interval.low > 0 and (p is None or p <= ALPHA)


def unreadable(which: str, outcomes: Tally, format_: str, scorer: str) -> str:
    """Why nothing can be told of a prompt most of whose answers could not be read; "" if most could."""
    answers = outcomes.scored + outcomes.unparsed
    if 2 * outcomes.unparsed <= answers:
        return ""
    suffix = f"the format {_short(format_)}" if format_.strip() else "the empty format"
    return (
        f"{outcomes.unparsed} of {answers} test answers to {which} could not be read: {suffix} does not bring about "
        f"answers that the scorer {scorer} reads."
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


@dataclass(frozen=True, slots=True)
class Course:
    """How the trials of an arm went.

    Attributes:
        candidates: prompts read from the optimizer's replies.
        compared: candidates that a finished step compared by their scores.
        unread: (reason, count) of replies of which no prompt came.
        early: whether a budget ended it.
    """

    candidates: int
    compared: int
    unread: tuple[tuple[str, int], ...]
    early: bool


def course_of(events: Sequence[Event], arm: Arm, trials: int) -> Course:
    """Fold the events of an arm's trials."""
    scopes = {scope_of(arm, trial) for trial in range(trials)}
    own = [event for event in events if event.scope in scopes]
    current: dict[str, Row] = {}
    step: dict[str, dict[int, Row]] = {scope: {} for scope in scopes}
    compared = 0
    for event in own:
        if isinstance(event, CandidateScored):
            step[event.scope][event.variant] = event.shown
        elif isinstance(event, StepDone):
            rows = step[event.scope]
            variants = [row for variant, row in rows.items() if variant != KEEP and comparable(row)]
            rivals: list[Row] = []
            if arm.selection == "validated":
                current[event.scope] = rows.get(KEEP, current.get(event.scope, ()))
                rivals = [current[event.scope]]
            if all(map(comparable, rivals)) and variants and common_means([*rivals, *variants]) is not None:
                compared += len(variants)
            if event.variant in rows:
                current[event.scope] = rows[event.variant]
            step[event.scope] = {}
    return Course(
        sum(isinstance(event, Proposed) for event in own),
        compared,
        tuple(sorted(unparsed_proposals(own).items())),
        sum(isinstance(event, TrialDone) for event in own) < trials,
    )


def unchanged(arm: Arm, steps: int, course: Course) -> Advice:
    """What to say where the reported prompt is the seed prompt: it won, or nothing was there to beat it."""
    if steps == 0:
        return "keep", "Nothing was optimized: with 0 steps the seed prompt is only scored."
    if arm == SEED:
        return "keep", "Nothing was optimized: the arm seed is the seed prompt itself."
    unread = sum(count for _, count in course.unread)
    reasons = ", ".join(f"{count} {reason}" for reason, count in course.unread)
    if not course.candidates:
        none = f"no candidate could be read from the optimizer's replies (0 of {unread}: {reasons})"
        if course.early:
            seen = f"; until then {none}" if unread else ""
            return "cannot tell", f"The budget ended before there was a candidate{seen}."
        return "cannot tell", f"{none[0].upper()}{none[1:]}."
    if not arm.validates:
        return "keep", "The last candidate taken is the seed prompt, word for word."
    if not course.compared:
        if course.early:
            return (
                "cannot tell",
                "The budget ended before a candidate was compared with others on validation.",
            )
        return "cannot tell", "No candidate could be compared on validation: too many calls failed."
    before = " before the budget ended" if course.early else ""
    if arm.selection == "best":
        return "keep", f"The best candidate on validation{before} is the seed prompt, word for word."
    counts = f"{course.compared} compared{before}" + (f", {unread} could not be read" if unread else "")
    return "keep", f"No candidate was better than the seed prompt on validation ({counts})."


def class_warnings(rows: Sequence[ClassRow]) -> tuple[str, ...]:
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

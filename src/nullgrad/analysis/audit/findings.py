"""Parts of an audit report beside the gain decomposition: suspicious rules, leaks, what was run anew, the shortest prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nullgrad.analysis.audit.ablation import Flip, answer_text, bounded, reply_text
from nullgrad.analysis.audit.predictions import PredictionAudit
from nullgrad.analysis.audit.rows import AnswerPair, answered_row, audit_answers, no_classes
from nullgrad.analysis.gain import Gain, PromptScore, paired_gain, prompt_score
from nullgrad.analysis.stats.intervals import Interval, wilson
from nullgrad.core.audit import Readings
from nullgrad.core.audit_plan import AuditPlan
from nullgrad.core.copied import Copied, copied_text, label_words
from nullgrad.core.forward import SplitScores, points
from nullgrad.core.objective import classes_of, has_classes
from nullgrad.core.rows import mean_known, score_row
from nullgrad.core.solvers import solver_of
from nullgrad.core.suspicious import SuspiciousRule, counterexamples, suspicious_rules
from nullgrad.core.task import Outcome, Scored, TaskView
from nullgrad.errors import UserError

MOST_TRANSCRIPTS = 5
"""Examples shown of one rule."""


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A rule on the test examples at which following it is a mistake.

    Attributes:
        slot: of the answer.
        count: how many there are.
        solved: whether a solver worked out their truth; else it is the task's target.
        before, after: share of them answered rightly in this slot; None where all calls failed.
        gain: after over before, paired; None without an example that both answered.
        broken: examples answered rightly before and wrongly after, at most `MOST_TRANSCRIPTS`.
    """

    slot: int
    count: int
    solved: bool
    before: float | None
    after: float | None
    gain: Gain | None
    broken: tuple[Flip, ...]


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """A suspicious rule of the after prompt.

    Attributes:
        rule: the rule.
        new: whether the before prompt does not have this sentence.
        tests: by slot; () where no test example breaks it.
    """

    rule: SuspiciousRule
    new: bool
    tests: tuple[RuleTest, ...]


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What the after prompt has of the examples, and how often it names each label.

    Attributes:
        copied: passages of examples in the after prompt.
        labels: (label, times in the before prompt, in the after prompt); () for open answers.
    """

    copied: Copied
    labels: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class FreshRun:
    """Both prompts on examples that neither was recorded on.

    Attributes:
        group: `fresh` or `test`: items made for it, or the test under fresh draws.
        examples: how many.
        before, after: their scores.
        gain: after over before; None if no example was scored for both.
        predictions: the decomposition on these answers; None for open answers.
    """

    group: str
    examples: int
    before: PromptScore
    after: PromptScore
    gain: Gain | None
    predictions: PredictionAudit | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Both prompts on items of which a class has this share.

    Attributes:
        share: of the class, as the items were made.
        examples: how many items.
        before, after: whole answers right, 0 to 1, and Wilson's interval.
        gain: after over before.
        slot_before, slot_after: the class's slot right; None for single answers.
    """

    share: float
    examples: int
    before: PromptScore
    after: PromptScore
    gain: Gain | None
    slot_before: tuple[float, Interval | None] | None
    slot_after: tuple[float, Interval | None] | None


@dataclass(frozen=True, slots=True)
class MadeCurve:
    """Both prompts on freshly made items over the share of one class.

    Attributes:
        label: the class.
        slot: where it occurs, from 0.
        points: by rising share.
        crossings: shares at which the lines of both prompts cross, between points linearly.
        slot_crossings: the same of the class's slot; () for single answers.
    """

    label: str
    slot: int
    points: tuple[CurvePoint, ...]
    crossings: tuple[float, ...]
    slot_crossings: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Shortest:
    """The shortest prompt within the margin.

    Attributes:
        name: what it consists of.
        prompt: its text.
        characters, full_characters: its length, and that of the after prompt.
        validation, full_validation: mean scores on validation, over the repeats; by them it was chosen.
        test: its score on the sealed test, read once; None where it is the after prompt, or a budget ended the run before.
        gain: on test over the after prompt.
    """

    name: str
    prompt: str
    characters: int
    full_characters: int
    validation: float | None
    full_validation: float | None
    test: PromptScore | None
    gain: Gain | None


def rule_findings(plan: AuditPlan, test: Readings) -> tuple[RuleFinding, ...]:
    """Suspicious rules of the after prompt, and how both prompts do where following them is a mistake."""
    view = plan.task.view
    if not has_classes(view):
        return ()
    known = {" ".join(plan.before.split())}
    solve = solver_of(view)
    found: list[RuleFinding] = []
    for rule in suspicious_rules(plan.cuts, view.labels):
        tests = tuple(
            _rule_test(view, test, group.slot, group.places, group.solved)
            for group in counterexamples(rule, test.examples, view.slots, solve)
        )
        found.append(RuleFinding(rule, not any(rule.sentence in text for text in known), tests))
    return tuple(found)


def _rule_test(view: TaskView, test: Readings, slot: int, places: Sequence[int], solved: bool) -> RuleTest:
    before = [_slot_hit(view, test, test.before, place, slot) for place in places]
    after = [_slot_hit(view, test, test.after, place, slot) for place in places]
    broken = [place for place, a, b in zip(places, before, after, strict=True) if a == 1.0 and b == 0.0]
    return RuleTest(
        slot,
        len(places),
        solved,
        mean_known(before),
        mean_known(after),
        paired_gain(before, after),
        tuple(_broken(test, place) for place in broken[:MOST_TRANSCRIPTS]),
    )


def _slot_hit(view: TaskView, test: Readings, scores: SplitScores, place: int, slot: int) -> float | None:
    return slot_hit(view, scores.shown[place], test.examples[place].target, slot)


def slot_hit(view: TaskView, outcome: Outcome, target: str, slot: int) -> float | None:
    """Whether one slot of an answer is right; None where the call failed."""
    if points(outcome) is None:
        return None
    right = classes_of(target, view)
    given = classes_of(outcome.answer, view) if isinstance(outcome, Scored) else None
    return float(right is not None and given is not None and given[slot] == right[slot])


def _broken(test: Readings, place: int) -> Flip:
    example = test.examples[place]
    return Flip(
        example.id,
        example.target,
        1,
        bounded(example.input),
        answer_text(test.after.shown[place]),
        reply_text(test.after.outputs[place]),
        answer_text(test.before.shown[place]),
        reply_text(test.before.outputs[place]),
    )


def leak_report(plan: AuditPlan) -> LeakReport:
    """Passages of train, validation and test in the after prompt; phrases of the before prompt and the format are nobody's."""
    view = plan.task.view
    splits = {"train": view.train, "validation": view.validation, "test": plan.task.test}
    copied = copied_text(plan.after, splits, (plan.before, view.seed_prompt, view.format))
    before, after = (dict(label_words(prompt, view.labels)) for prompt in (plan.before, plan.after))
    return LeakReport(copied, tuple((label, before[label], after[label]) for label in view.labels))


def fresh_run(
    view: TaskView, group: str, fresh: Readings, validation: AnswerPair | None, margin: float, ordinal: bool
) -> FreshRun:
    """What a new run of both prompts shows; what is fitted is fitted on the recorded validation."""
    pair = AnswerPair(fresh.examples, answered_row(view, fresh.before), answered_row(view, fresh.after))
    return FreshRun(
        group,
        len(fresh.examples),
        prompt_score(fresh.before.shown, view.unparsed),
        prompt_score(fresh.after.shown, view.unparsed),
        _gain(view, fresh),
        None if no_classes(view) else audit_answers(view, pair, validation, margin=margin, ordinal=ordinal),
    )


def _predictions(
    view: TaskView, pair: AnswerPair, validation: AnswerPair | None, margin: float, ordinal: bool
) -> PredictionAudit | None:
    if no_classes(view):
        return None
    try:
        return audit_answers(view, pair, validation, margin=margin, ordinal=ordinal)
    except UserError:
        return None


def made_curve(view: TaskView, label: str, groups: Mapping[float, Readings]) -> MadeCurve:
    """Both prompts over the share of a class, from items made at each share."""
    truths = [classes_of(example.target, view) or () for one in groups.values() for example in one.examples]
    slot = max(range(view.slots), key=lambda at: sum(truth[at : at + 1] == (label,) for truth in truths))
    made = tuple(_point(view, share, groups[share], slot) for share in sorted(groups))
    shares = [one.share for one in made]
    whole = [None if one.gain is None else one.gain.mean for one in made]
    parts_ = [
        None if one.slot_before is None or one.slot_after is None else one.slot_after[0] - one.slot_before[0]
        for one in made
    ]
    return MadeCurve(label, slot, made, crossings(shares, whole), crossings(shares, parts_))


def _point(view: TaskView, share: float, readings: Readings, slot: int) -> CurvePoint:
    sides: list[tuple[float, Interval | None] | None] = []
    for scores in (readings.before, readings.after):
        hits = [
            slot_hit(view, outcome, example.target, slot)
            for outcome, example in zip(scores.shown, readings.examples, strict=True)
        ]
        known = [hit for hit in hits if hit is not None]
        mean = mean_known(known)
        sides.append(
            None if mean is None or view.slots == 1 else (mean, wilson(round(sum(known)), len(known)))
        )
    return CurvePoint(
        share,
        len(readings.examples),
        prompt_score(readings.before.shown, view.unparsed),
        prompt_score(readings.after.shown, view.unparsed),
        _gain(view, readings),
        sides[0],
        sides[1],
    )


def crossings(shares: Sequence[float], differences: Sequence[float | None]) -> tuple[float, ...]:
    """Where a piecewise linear difference changes its sign; a stretch at exactly 0 between two signs counts at its middle."""
    known = [(share, value) for share, value in zip(shares, differences, strict=True) if value is not None]
    signed = [(place, share, value) for place, (share, value) in enumerate(known) if value != 0.0]
    found: list[float] = []
    for (i, a, first), (j, b, second) in pairwise(signed):
        if first * second < 0:
            between = known[i + 1 : j]
            middle = (
                (between[0][0] + between[-1][0]) / 2 if between else a + (b - a) * first / (first - second)
            )
            found.append(middle)
    return tuple(found)


def _gain(view: TaskView, readings: Readings) -> Gain | None:
    return paired_gain(
        score_row(readings.before.shown, view.unparsed), score_row(readings.after.shown, view.unparsed)
    )

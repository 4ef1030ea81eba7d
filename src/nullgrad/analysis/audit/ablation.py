"""What each section of a prompt does: to the score and to each class's recall, alone and together with another.

The effect of a section is the score with it minus the score without it, on validation, for each example the mean over
repeats. Intervals are Student's over examples. Over the sections of one prompt they are also given with Bonferroni's
correction, and a section counts as told from 0 by that one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from nullgrad.analysis.classes import ESTIMABLE
from nullgrad.analysis.stats.intervals import Interval, paired_proportions, t_interval
from nullgrad.core.audit import AblationRun, VariantRun
from nullgrad.core.audit_plan import AuditPlan
from nullgrad.core.chat import Reply
from nullgrad.core.forward import Output, points
from nullgrad.core.objective import classes_of, has_classes
from nullgrad.core.reading.text import parts
from nullgrad.core.rows import mean_known
from nullgrad.core.sections import Section
from nullgrad.core.task import Example, Outcome, Scored, TaskView

MOST_FLIPS = 20
"""Flipped examples kept for one section."""

MOST_CHARACTERS = 600
"""Characters kept of an input or a reply: its beginning and its end."""

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Effect:
    """A difference over examples; shares, −1 to 1, of an interaction −2 to 2.

    Attributes:
        mean: mean difference, None without an example.
        interval: 95 %, over examples; None ("not estimable") below `ESTIMABLE` examples.
        corrected: the same at 1 − 0.05 / (number of sections).
        n: examples.
    """

    mean: float | None
    interval: Interval | None
    corrected: Interval | None
    n: int

    @property
    def told(self) -> bool:
        """Whether the corrected interval excludes 0."""
        return self.corrected is not None and 0.0 not in self.corrected


@dataclass(frozen=True, slots=True)
class ClassEffect:
    """Of one class in one slot: recall with the section minus recall without it."""

    slot: int
    label: str
    recall: Effect


@dataclass(frozen=True, slots=True)
class Flip:
    """An example that is answered rightly without a section and wrongly with it.

    Attributes:
        example, target: id and right answer.
        repeats: of how many repeats.
        input: bounded, as the texts below.
        answer, reply: with the section, of the first such repeat.
        answer_without, reply_without: without it.
    """

    example: str
    target: str
    repeats: int
    input: str
    answer: str
    reply: str
    answer_without: str
    reply_without: str


@dataclass(frozen=True, slots=True)
class SectionEffect:
    """One section.

    Attributes:
        section: the section.
        effect: on the score, the full prompt minus the prompt without it.
        classes: on each class's recall; () for open answers.
        alone: mean score of the section as the whole prompt, None where it was not run.
        without: mean score of the prompt without it.
        flips: examples that it turns from right to wrong, those of most repeats first, at most `MOST_FLIPS`.
        flipped: how many there are.
        flipped_by_class: (target, how many), of the flipped ones.
        rescued: how many examples it turns from wrong to right.
    """

    section: Section
    effect: Effect
    classes: tuple[ClassEffect, ...]
    alone: float | None
    without: float | None
    flips: tuple[Flip, ...]
    flipped: int
    flipped_by_class: tuple[tuple[str, int], ...]
    rescued: int


@dataclass(frozen=True, slots=True)
class Interaction:
    """Of the two strongest sections: what both do together beyond what each does in the other's presence.

    Attributes:
        sections: their numbers, from 0.
        both: mean score of the prompt without both.
        effect: score with both − without the first − without the second + without both.
    """

    sections: tuple[int, int]
    both: float | None
    effect: Effect


@dataclass(frozen=True, slots=True)
class Ablation:
    """What an ablation found, on validation.

    Attributes:
        examples, repeats: validation examples, and evaluations of each prompt.
        full: mean score of the full prompt.
        sections: one for each, in the order of the prompt.
        interaction: None of fewer than three sections.
        variants: (name, characters, mean score) of every prompt that was run, the full one first.
        lost: answers that no repeat gave, over all prompts: failed calls.
    """

    examples: int
    repeats: int
    full: float | None
    sections: tuple[SectionEffect, ...]
    interaction: Interaction | None
    variants: tuple[tuple[str, int, float | None], ...]
    lost: int


def analyse_ablation(plan: AuditPlan, run: AblationRun) -> Ablation:
    """What the runs of an ablation show."""
    view, sections = plan.task.view, plan.cuts
    every = range(len(sections))

    def without(*numbers: int) -> VariantRun | None:
        return run.find([number for number in every if number not in numbers])

    found: list[SectionEffect] = []
    for section in sections:
        other = without(section.number)
        if other is not None:
            alone = run.find((section.number,))
            found.append(_section(view, section, run.full, other, alone, len(sections)))
    interaction = None
    if run.strongest is not None:
        first, second = (without(number) for number in run.strongest)
        both = without(*run.strongest)
        if first is not None and second is not None and both is not None:
            signs = ((1, run.full.row), (-1, first.row), (-1, second.row), (1, both.row))
            interaction = Interaction(
                run.strongest, mean_known(both.row), effect_of(_combined(signs), 1, most=2.0)
            )
    runs = (run.full, *run.variants)
    return Ablation(
        len(view.validation),
        plan.repeats,
        mean_known(run.full.row),
        tuple(found),
        interaction,
        tuple((one.variant.name, len(one.variant.text), mean_known(one.row)) for one in runs),
        sum(score is None for one in runs for score in one.row),
    )


def effect_of(values: Values, tests: int, least: int = ESTIMABLE, most: float = 1.0) -> Effect:
    """Mean and intervals of differences over examples; None is missing.

    Without any variance the interval is as wide as for right-or-wrong scores of which none changed, never a point.

    Args:
        values: one difference for each example.
        tests: how many effects are looked at together, 1 or more.
        least: examples that an interval needs.
        most: the largest difference there can be: 2 for an interaction.
    """
    known = [value for value in values if value is not None]

    def interval(level: float) -> Interval | None:
        if len(known) < least:
            return None
        estimated = t_interval(known, level)
        if estimated is None:
            shift, rest = fmean(known), paired_proportions(0, 0, len(known), level)
            estimated = Interval(shift + rest.low, shift + rest.high)
        return Interval(max(-most, estimated.low), min(most, estimated.high))

    return Effect(mean_known(known), interval(0.95), interval(1 - 0.05 / tests), len(known))


def _section(
    view: TaskView,
    section: Section,
    full: VariantRun,
    other: VariantRun,
    alone: VariantRun | None,
    tests: int,
) -> SectionEffect:
    classes: list[ClassEffect] = []
    if has_classes(view):
        for slot in range(view.slots):
            hits = [_hits(view, one, slot) for one in (full, other)]
            truths = [
                labels and labels[slot]
                for labels in (classes_of(one.target, view) for one in view.validation)
            ]
            for label in (label for label in view.labels if label in truths):
                own = [
                    None if a is None or b is None else a - b
                    for truth, a, b in zip(truths, *hits, strict=True)
                    if truth == label
                ]
                classes.append(ClassEffect(slot, label, effect_of(own, tests)))
    flips, by_class = _flips(view, full, other)
    return SectionEffect(
        section,
        effect_of(_combined(((1, full.row), (-1, other.row))), tests),
        tuple(classes),
        None if alone is None else mean_known(alone.row),
        mean_known(other.row),
        flips[:MOST_FLIPS],
        len(flips),
        by_class,
        _turned(other, full),
    )


def _combined(signed: Sequence[tuple[int, Values]]) -> list[float | None]:
    """Sum of signed rows by example; None where one is missing."""
    columns = zip(*(row for _, row in signed), strict=True)
    signs = [sign for sign, _ in signed]
    return [
        None
        if any(value is None for value in column)
        else sum(sign * (value or 0.0) for sign, value in zip(signs, column, strict=True))
        for column in columns
    ]


def _hits(view: TaskView, run: VariantRun, slot: int) -> list[float | None]:
    """Whether each example's slot was right, the mean over repeats; None where every call failed."""

    def hit(outcome: Outcome, example: Example) -> float | None:
        if points(outcome) is None:
            return None
        right, given = classes_of(example.target, view), None
        if isinstance(outcome, Scored):
            given = classes_of(outcome.answer, view)
        return float(right is not None and given is not None and given[slot] == right[slot])

    rows = [
        [hit(outcome, example) for outcome, example in zip(one.shown, view.validation, strict=True)]
        for one in run.repeats
    ]
    return [mean_known(column) for column in zip(*rows, strict=True)]


def _right(outcome: Outcome) -> bool:
    return points(outcome) == 1.0


def _pairs(
    first: VariantRun, second: VariantRun, turned: Callable[[Outcome, Outcome], bool]
) -> dict[int, list[int]]:
    """By place of the example: the repeats in which its outcome turned from one run to the other."""
    found: dict[int, list[int]] = {}
    for repeat, (one, other) in enumerate(zip(first.repeats, second.repeats, strict=True)):
        for place, (a, b) in enumerate(zip(one.shown, other.shown, strict=True)):
            if points(a) is not None and points(b) is not None and turned(a, b):
                found.setdefault(place, []).append(repeat)
    return found


def _turned(first: VariantRun, second: VariantRun) -> int:
    """How many examples are wrong in the first and right in the second run, in any repeat."""
    return len(_pairs(first, second, lambda a, b: not _right(a) and _right(b)))


def _flips(
    view: TaskView, full: VariantRun, other: VariantRun
) -> tuple[tuple[Flip, ...], tuple[tuple[str, int], ...]]:
    turned = _pairs(other, full, lambda a, b: _right(a) and not _right(b))
    by_class: dict[str, int] = {}
    flips: list[Flip] = []
    for place, repeats in sorted(turned.items(), key=lambda one: (-len(one[1]), one[0])):
        example, repeat = view.validation[place], repeats[0]
        for name in _named(view, example, full.repeats[repeat].shown[place]):
            by_class[name] = by_class.get(name, 0) + 1
        given, instead = full.repeats[repeat], other.repeats[repeat]
        flips.append(
            Flip(
                example.id,
                example.target,
                len(repeats),
                bounded(example.input),
                answer_text(given.shown[place]),
                reply_text(given.outputs[place]),
                answer_text(instead.shown[place]),
                reply_text(instead.outputs[place]),
            )
        )
    return tuple(flips), tuple(sorted(by_class.items(), key=lambda one: -one[1]))


def _named(view: TaskView, example: Example, outcome: Outcome) -> tuple[str, ...]:
    """The classes that a flip counts for: of a tuple answer the right labels of the slots that are wrong now."""
    if view.slots == 1:
        return (example.target,) if has_classes(view) else ()
    right = parts(example.target)
    given = parts(outcome.answer) if isinstance(outcome, Scored) else ()
    return tuple(label for place, label in enumerate(right) if given[place : place + 1] != (label,))


def answer_text(outcome: Outcome) -> str:
    """An answer as read; why there is none in brackets."""
    if isinstance(outcome, Scored):
        return outcome.answer
    return f"({getattr(outcome, 'reason', 'failed')})"


def reply_text(output: Output) -> str:
    """What the model said, bounded; "" where the call failed."""
    return bounded(output.reply.text) if isinstance(output.reply, Reply) else ""


def bounded(text: str, most: int = MOST_CHARACTERS) -> str:
    """The beginning and the end of a long text."""
    return text if len(text) <= most else f"{text[: most // 2]} […] {text[-most // 2 :]}"

"""Asking for an audit: both prompts on validation and the sealed test, on what is run anew, and the section ablation."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nullgrad.core.audit_plan import TEST_AGAIN, AuditPlan, Variant, first_variants, leaving_out
from nullgrad.core.candidate import Candidate
from nullgrad.core.effects import Effect, emit, parallel
from nullgrad.core.events import AuditStarted, Event, PromptRun
from nullgrad.core.facts import Spend
from nullgrad.core.forward import SplitScores, answers, points, score_split, unparsed
from nullgrad.core.rows import mean_known
from nullgrad.core.selection import Row
from nullgrad.core.setting import Setting
from nullgrad.core.task import Example
from nullgrad.core.trial import run_test

PARTS = ("before", "after")


@dataclass(frozen=True, slots=True)
class Readings:
    """Both prompts on one group of examples.

    Attributes:
        examples: in order.
        before, after: what came of them.
    """

    examples: tuple[Example, ...]
    before: SplitScores
    after: SplitScores


@dataclass(frozen=True, slots=True)
class VariantRun:
    """A prompt of an ablation on validation.

    Attributes:
        variant: the prompt.
        repeats: what came of it, once for each repeat.
    """

    variant: Variant
    repeats: tuple[SplitScores, ...]

    @property
    def row(self) -> Row:
        """Score of each example, the mean over the repeats that were answered; None where none was."""
        rows = [tuple(points(outcome) for outcome in one.shown) for one in self.repeats]
        return tuple(mean_known(column) for column in zip(*rows, strict=True))


@dataclass(frozen=True, slots=True)
class AblationRun:
    """What an ablation established.

    Attributes:
        full: the prompt as it is.
        variants: the others, in the order in which they were asked for.
        strongest: numbers of the two sections whose removal changes the score most; None of fewer than three sections.
        shortest: the shortest prompt that loses no more than the margin on validation; `full` where none does.
    """

    full: VariantRun
    variants: tuple[VariantRun, ...]
    strongest: tuple[int, int] | None
    shortest: VariantRun

    def find(self, kept: Sequence[int]) -> VariantRun | None:
        """The run of a variant by the sections that it consists of."""
        every = (self.full, *self.variants)
        return next((one for one in every if one.variant.kept == tuple(kept)), None)


@dataclass(frozen=True)
class AuditFacts:
    """Everything that an audit established.

    Attributes:
        plan: what was asked for.
        events: every fact stated.
        validation: both prompts on validation; None where the task has none, or a budget ended the run before.
        test: both prompts on the sealed test.
        fresh: both prompts on what was run anew, by the name of the group.
        ablation: None where it was not asked for, or a budget ended the run before.
        shortest: the shortest prompt of the ablation on the sealed test; None where it is the full one, or was not read.
        stopped: why the run ended early ("" if it did not).
        spend: calls, tokens and dollars.
    """

    plan: AuditPlan
    events: tuple[Event, ...]
    validation: Readings | None
    test: Readings
    fresh: Mapping[str, Readings]
    ablation: AblationRun | None
    shortest: SplitScores | None
    stopped: str
    spend: Spend


def start(plan: AuditPlan) -> Generator[Effect, Any, None]:
    """State what is audited."""
    named = plan.candidates
    texts = tuple((one.digest, one.prompt) for one in named.values())
    yield from emit(AuditStarted(plan.setting().scope, named["before"].digest, named["after"].digest, texts))


def read_validation(plan: AuditPlan) -> Generator[Effect, Any, Readings]:
    """Both prompts on validation."""
    examples = plan.task.view.validation
    scores = yield from parallel(
        run_prompt(plan.setting(), candidate, part, "validation", examples)
        for part, candidate in plan.candidates.items()
    )
    return Readings(examples, *scores)


def read_test(plan: AuditPlan) -> Generator[Effect, Any, Readings]:
    """Both prompts on the sealed test; each opening is stated."""
    scores = yield from parallel(
        run_test(plan.setting(), candidate, part, plan.task.test)
        for part, candidate in plan.candidates.items()
    )
    return Readings(plan.task.test, *scores)


def read_fresh(plan: AuditPlan) -> Generator[Effect, Any, Mapping[str, Readings]]:
    """Both prompts on every group of fresh examples, under fresh draws; the test's own examples are opened once more."""
    setting = plan.setting(fresh=True)

    def run(group: str, part: str, candidate: Candidate) -> Generator[Effect, Any, SplitScores]:
        if group == TEST_AGAIN:
            return run_test(setting, candidate, f"{part}-fresh", plan.task.test)
        return run_prompt(setting, candidate, part, group, plan.fresh[group])

    scores = yield from parallel(
        run(group, part, candidate) for group in plan.fresh for part, candidate in plan.candidates.items()
    )
    return {
        group: Readings(examples, scores[2 * place], scores[2 * place + 1])
        for place, (group, examples) in enumerate(plan.fresh.items())
    }


def run_prompt(
    setting: Setting,
    candidate: Candidate,
    part: str,
    split: str,
    examples: Sequence[Example],
    repeat: int = 0,
    text: str = "",
) -> Generator[Effect, Any, SplitScores]:
    """Run one prompt on examples that are not the sealed test, and state what came of it."""
    scores = yield from score_split(setting, candidate, split, examples)
    row = tuple(points(outcome) for outcome in scores.shown)
    lost = unparsed(scores.shown)
    yield from emit(
        PromptRun(
            setting.scope, part, split, candidate.digest, row, lost, answers(scores.shown), repeat, text
        )
    )
    return scores


def ablate(plan: AuditPlan) -> Generator[Effect, Any, AblationRun]:
    """Leave each section out, keep each alone, remove the two strongest, and go on removing what costs least.

    Sections are ranked by what their removal did to the score on validation; of equals the first in the prompt comes
    first. After the least harmful one, the next least harmful is removed as well, and so on.
    """
    sections = plan.cuts
    runs = yield from _run_variants(plan, first_variants(sections))
    known = {one.variant.kept: one for one in runs}
    full = known[tuple(range(len(sections)))]
    effect = {
        one.number: _change(full, known[leaving_out(sections, frozenset((one.number,))).kept])
        for one in sections
    }
    later: list[Variant] = []
    strongest: tuple[int, int] | None = None
    if len(sections) > 2:
        first, second = sorted(effect, key=lambda number: -abs(effect[number]))[:2]
        strongest = (min(first, second), max(first, second))
        later.append(leaving_out(sections, frozenset(strongest)))
        order = sorted(effect, key=lambda number: -effect[number])
        later += [leaving_out(sections, frozenset(order[:count])) for count in range(2, len(sections) - 1)]
    fresh = {variant.kept: variant for variant in later if variant.kept not in known}
    more = yield from _run_variants(plan, tuple(fresh.values()))
    every = [one for one in (*runs, *more) if one is not full]
    return AblationRun(full, tuple(every), strongest, shortest_within(full, every, plan.margin))


def read_shortest(plan: AuditPlan, ablation: AblationRun) -> Generator[Effect, Any, SplitScores | None]:
    """The chosen prompt on the sealed test, once; None where it is the full prompt, which was read."""
    if ablation.shortest is ablation.full:
        return None
    candidate = Candidate.of(ablation.shortest.variant.text)
    scores = yield from run_test(plan.setting(), candidate, "shortest", plan.task.test)
    return scores


def shortest_within(full: VariantRun, others: Sequence[VariantRun], margin: float) -> VariantRun:
    """The prompt of the fewest characters whose mean is at most `margin` below the full prompt's; of equals the better.

    Means are over the examples that both were scored on.
    """
    within = [one for one in others if one.variant.text and _change(full, one) >= -margin]
    shorter = [one for one in within if len(one.variant.text) < len(full.variant.text)]
    return min(shorter, key=lambda one: (len(one.variant.text), -_change(full, one)), default=full)


def _run_variants(
    plan: AuditPlan, variants: Sequence[Variant]
) -> Generator[Effect, Any, tuple[VariantRun, ...]]:
    scores = yield from parallel(
        run_prompt(
            plan.setting(repeat),
            Candidate.of(variant.text),
            variant.name,
            "validation",
            plan.task.view.validation,
            repeat,
            variant.text if variant.removed and repeat == 0 else "",
        )
        for variant in variants
        for repeat in range(plan.repeats)
    )
    return tuple(
        VariantRun(variant, tuple(scores[place * plan.repeats : (place + 1) * plan.repeats]))
        for place, variant in enumerate(variants)
    )


def _change(full: VariantRun, other: VariantRun) -> float:
    """Mean score of a variant minus that of the full prompt, over the examples that both were scored on; 0 without any."""
    pairs = [(a, b) for a, b in zip(full.row, other.row, strict=True) if a is not None and b is not None]
    return sum(b - a for a, b in pairs) / len(pairs) if pairs else 0.0

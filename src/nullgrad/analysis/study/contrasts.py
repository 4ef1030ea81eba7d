"""Every declared contrast of a study in every cell: its data, its numbers, its correction and its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from math import ceil
from typing import Literal

import numpy as np

from nullgrad.analysis.stats.contrast import (
    Contrast,
    ContrastResult,
    Declared,
    Verdict,
    contrast_family,
    decided,
)
from nullgrad.analysis.stats.differences import DifferenceInterval, population_interval
from nullgrad.analysis.stats.estimate import Design, Estimate, Floats, NotEstimable
from nullgrad.analysis.stats.families import bonferroni, holm
from nullgrad.analysis.stats.trend import Trend, kendall_trend
from nullgrad.analysis.study.look import family_size, study_looks, walk
from nullgrad.analysis.study.published import published_text
from nullgrad.analysis.study.rows import SHOWN, TRUE, CellData, Rows, matrix, whole
from nullgrad.core.arms import Arm
from nullgrad.core.study import Cell, ContrastKind, ContrastSpec, Study

POPULATION_RESAMPLES = 1_999
"""Bootstrap resamples of each population interval, more where 20 would not fall beyond the corrected level."""

PLATEAU_STEP = 2
"""The paper's scores level off after one or two steps."""

Role = Literal["declared", "beside"]
"""`declared` contrasts are corrected in their family; those `beside` one read the same trials in another way (other
labels, the growth of the gap between train and test), at the same level and outside the family."""


@dataclass(frozen=True, slots=True)
class StudyContrast:
    """One contrast in one cell.

    Attributes:
        name, family, kind: as declared.
        role: `declared`, or read beside a declared one.
        cell: its name; across cells that of the first one.
        task, model: of the cell; across cells both, as in `large > small`.
        arms: as declared.
        first, second: what is compared, in words.
        labels: `true` or `shown` for what is scored on train, "" elsewhere.
        on: the split that is scored; "train and test" for the growth of their gap.
        size: contrasts in the family.
        margin: as declared, None where equality is not claimed.
        result: every number of a comparison; None of a trend.
        trend: of a trend; None elsewhere.
        population: interval over trials and examples, at the level of `result.interval`, which is over trials.
        population_verdict: read off that interval.
        p, p_opposite: one-sided, of the declared and of the opposite direction.
        p_bonferroni, p_holm: corrected over the family within the cell.
        p_equivalence_bonferroni, p_equivalence_holm: likewise, of equivalence.
        attainable: smallest p that these numbers of trials allow.
        alpha: corrected level.
        verdict, reason: on this split.
        not_run: trials (paired: blocks) declared that were not run.
        look: blocks at the look that the numbers are of, 0 without looks.
        stop: why the contrast stopped at that look, "" if it did not.
        biased: whether the difference is biased by a stop before the end.
        published: the published result in words, "" for none.
    """

    name: str
    family: str
    kind: ContrastKind
    role: Role
    cell: str
    task: str
    model: str
    arms: tuple[Arm, ...]
    first: str
    second: str
    labels: str
    on: str
    size: int
    margin: float | None
    result: ContrastResult | None
    trend: Trend | NotEstimable | None
    population: DifferenceInterval | NotEstimable
    population_verdict: Verdict
    p: Estimate
    p_opposite: Estimate
    p_bonferroni: Estimate
    p_holm: Estimate
    p_equivalence_bonferroni: Estimate
    p_equivalence_holm: Estimate
    attainable: Estimate
    alpha: float
    verdict: Verdict
    reason: str
    not_run: int
    look: int
    stop: str
    biased: bool
    published: str

    @property
    def difference(self) -> Estimate:
        """First − second as a share; of a trend there is none."""
        return NotEstimable("a trend has no difference") if self.result is None else self.result.difference


@dataclass(slots=True)
class _Item:
    """One comparison before its numbers: rows by trial, NaN where missing.

    `halved` rows hold differences, moved to 0 to 1 by (1 + difference) / 2.
    """

    spec: ContrastSpec
    cell: Cell
    first: Rows
    second: Rows
    words: tuple[str, str]
    design: Design
    on: str = "test"
    labels: str = ""
    role: Role = "declared"
    task: str = ""
    model: str = ""
    halved: bool = False
    raw: tuple[Rows, Rows] | None = None
    declared: int = 0
    why: str = ""
    width: int = 1
    numbers: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    alpha: float = 0.05
    look: int = 0
    stop: str = ""
    biased: bool = False

    @property
    def margin(self) -> float | None:
        """In the units of the rows."""
        margin = self.spec.margin
        return margin / 2 if margin is not None and self.halved else margin

    def matrices(self, raw: bool = False) -> tuple[Floats, Floats]:
        first, second = self.raw if raw and self.raw else (self.first, self.second)
        return matrix(first, self.numbers[0], self.width), matrix(second, self.numbers[1], self.width)


def study_contrasts(study: Study, cells: Mapping[str, CellData]) -> tuple[StudyContrast, ...]:
    """All contrasts, in the order of cells and declarations, each followed by what is read beside it."""
    items = [item for spec in study.contrasts if spec.kind != "trend" for item in _items(study, cells, spec)]
    for item in items:
        _number(study, item)
    found: list[StudyContrast] = []
    results: dict[int, ContrastResult] = {}
    for design in ("paired", "independent"):
        own = [(place, item) for place, item in enumerate(items) if item.design == design]
        results.update(
            zip((place for place, _ in own), _results(study, [i for _, i in own], design), strict=True)
        )
    for place, item in enumerate(items):
        found.append(_contrast(study, item, results[place]))
    for spec in study.contrasts:
        if spec.kind == "trend":
            found.extend(_trend(study, data, spec) for data in cells.values())
    return _in_order(study, _corrected(study, found))


def _items(study: Study, cells: Mapping[str, CellData], spec: ContrastSpec) -> Iterator[_Item]:
    if spec.kind in ("models", "interaction"):
        made = _models if spec.kind == "models" else _interaction
        for one, two in _pairs(study, spec):
            yield made(study, spec, cells[one.name], cells[two.name])
        return
    for data in cells.values():
        if spec.kind == "arms":
            yield _arms(study, spec, data)
        elif spec.kind == "fit":
            yield from _fit(study, spec, data)
        elif spec.kind == "plateau":
            yield _plateau(study, spec, data)


def _arms(study: Study, spec: ContrastSpec, data: CellData) -> _Item:
    one, two = spec.arms
    return _Item(
        spec,
        data.cell,
        data.test_rows(one),
        data.test_rows(two),
        (one.canonical, two.canonical),
        study.design,
        raw=(data.test_rows(one, fill=False), data.test_rows(two, fill=False)),
        declared=study.trials(one) if study.design == "paired" else study.trials(one) + study.trials(two),
        width=len(data.cell.task.test),
    )


def _pairs(study: Study, spec: ContrastSpec) -> Iterator[tuple[Cell, Cell]]:
    """The cells that a contrast across cells compares: for every task two models, or for every model two tasks."""
    known = {(cell.task_name, cell.model_name): cell for cell in study.cells}
    if spec.models:
        places = [
            [(task, model) for model in spec.models]
            for task in dict.fromkeys(cell.task_name for cell in study.cells)
        ]
    else:
        places = [
            [(task, model) for task in spec.tasks]
            for model in dict.fromkeys(cell.model_name for cell in study.cells)
        ]
    for one, two in places:
        if one in known and two in known:
            yield known[one], known[two]


def _interaction(study: Study, spec: ContrastSpec, one: CellData, two: CellData) -> _Item:
    """What an ingredient brings in one cell against what it brings in the other, block by block.

    Under independent draws the trials of two arms are paired by their numbers, which pairs independent scores at
    random: the differences are a sample, and the two cells are two samples of them.
    """
    ingredient = f"{spec.arms[0].canonical} − {spec.arms[1].canonical}"
    names = spec.models or spec.tasks
    item = _Item(
        spec,
        one.cell,
        _differences(one, spec),
        _differences(two, spec),
        (f"{ingredient} · {names[0]}", f"{ingredient} · {names[1]}"),
        study.design,
        halved=True,
        declared=min(map(study.trials, spec.arms)) * (1 if study.design == "paired" else 2),
    )
    if spec.models:
        item.model = " > ".join(spec.models)
        item.width = len(one.cell.task.test)
    else:
        item.task = " > ".join(spec.tasks)
    return item


def _differences(data: CellData, spec: ContrastSpec) -> Rows:
    first, second = (data.test_rows(arm) for arm in spec.arms)
    return {
        number: (1 + first[number] - second[number]) / 2 for number in sorted(first.keys() & second.keys())
    }


def _models(study: Study, spec: ContrastSpec, one: CellData, two: CellData) -> _Item:
    (arm,) = spec.arms
    names = tuple(f"{arm.canonical} · {model}" for model in spec.models)
    return _Item(
        spec,
        one.cell,
        one.test_rows(arm),
        two.test_rows(arm),
        (names[0], names[1]),
        study.design,
        model=" > ".join(spec.models),
        raw=(one.test_rows(arm, fill=False), two.test_rows(arm, fill=False)),
        declared=study.trials(arm) * (1 if study.design == "paired" else 2),
        width=len(one.cell.task.test),
    )


def _fit(study: Study, spec: ContrastSpec, data: CellData) -> Iterator[_Item]:
    """Against the labels that the update was given first; then the other labels, and the gap to the test."""
    (arm,) = spec.arms
    own = TRUE if arm.labels == "correct" else SHOWN
    both = [own] if arm.labels == "correct" and not arm.critic else [own, SHOWN if own == TRUE else TRUE]
    if arm.critic and not arm.joint:
        both = [TRUE]
    for place, labels in enumerate(both):
        first, second, why = _epochs(data, arm, labels)
        yield _Item(
            spec, data.cell, first, second, ("last epoch", "first epoch"), "paired", on="train", labels=labels,
            role="beside" if place else "declared", declared=study.trials(arm), why=why,
            width=len(next(iter(first.values()), np.zeros(1))),
        )  # fmt: skip
    first, second, why = _gaps(data, arm)
    yield _Item(
        spec, data.cell, first, second, ("gap in the last epoch", "gap in the first epoch"), "paired",
        on="train and test", halved=True, labels=TRUE, role="beside", declared=study.trials(arm), why=why,
    )  # fmt: skip


def _epochs(data: CellData, arm: Arm, labels: str) -> tuple[Rows, Rows, str]:
    """Scores of the training examples in the last and in the first epoch."""
    if not arm.uses_examples:
        return {}, {}, f"{arm.update} sees no training example"
    full, every = data.full_epochs, data.epochs
    if len(full) >= 2:
        first, second = data.train_rows(arm, full[-1], labels), data.train_rows(arm, full[0], labels)
    elif len(every) >= 2:
        # A last epoch that is cut off is compared with the same examples in the first one, whose set differs by trial.
        last = data.train_rows(arm, every[-1], labels)
        begin = data.train_rows(arm, every[0], labels)
        first, second = {}, {}
        for number in last.keys() & begin.keys():
            seen = ~np.isnan(last[number]) & ~np.isnan(begin[number])
            if seen.any():
                first[number], second[number] = (
                    np.array([rows[number][seen].mean()]) for rows in (last, begin)
                )
    else:
        return {}, {}, "the steps make one epoch, and two are compared"
    why = "" if first else f"no score of a batch against {labels} labels was recorded"
    return first, second, why


def _gaps(data: CellData, arm: Arm) -> tuple[Rows, Rows, str]:
    """Train minus test accuracy in the last and in the first epoch, moved to 0 to 1 by (1 + gap) / 2."""
    last, begin, why = _epochs(data, arm, TRUE)
    if why:
        return {}, {}, why
    full = data.full_epochs if len(data.full_epochs) >= 2 else data.epochs
    steps = [[step for step in data.study.curve if step in epoch] for epoch in (full[-1], full[0])]
    if not all(steps):
        return {}, {}, "the test was not read after a step of the first and of the last epoch"
    gaps: tuple[Rows, Rows] = ({}, {})
    for rows, train, read in zip(gaps, (last, begin), steps, strict=True):
        curves = [data.curve_rows(arm, step) for step in read]
        for number, row in train.items():
            if all(number in curve for curve in curves):
                test = np.mean([curve[number].mean() for curve in curves])
                rows[number] = np.array([(1 + row.mean() - test) / 2])
    return *gaps, "" if gaps[0] else "no trial has its test curve"


def _plateau(study: Study, spec: ContrastSpec, data: CellData) -> _Item:
    (arm,) = spec.arms
    item = _Item(
        spec, data.cell, {}, {}, ("final prompt", f"prompt after step {PLATEAU_STEP}"), "paired",
        declared=study.trials(arm),
    )  # fmt: skip
    if PLATEAU_STEP in study.curve:
        item.first, item.second = data.test_rows(arm), data.curve_rows(arm, PLATEAU_STEP)
        item.width = len(data.cell.task.test)
    elif arm.validates:
        rows = data.validation(arm)
        item.on = "validation"
        item.first = {n: own[study.steps] for n, own in rows.items() if study.steps in own}
        item.second = {n: own[PLATEAU_STEP] for n, own in rows.items() if PLATEAU_STEP in own}
        item.width = len(data.cell.task.view.validation)
    else:
        item.why = f"the test was not read after step {PLATEAU_STEP} (curve: [{PLATEAU_STEP}] does), and the arm does not validate"
    return item


def _number(study: Study, item: _Item) -> None:
    """Which trials are compared, at which level; under looks those of the look at which the contrast stopped."""
    item.alpha = study.alpha / family_size(study, item.spec.family)
    if item.design == "independent":
        item.numbers = sorted(item.first), sorted(item.second)
        return
    both = sorted(item.first.keys() & item.second.keys())
    looks = study_looks(study, item.spec)
    if looks and not item.why:
        found = walk(item.first, item.second, looks, margin=item.margin, seed=study.seed)
        if found is None:
            item.why = f"no look was reached: the first is at {looks[0].blocks} complete blocks"
            both = []
        else:
            result, blocks = found
            both = [number for number in both if number <= blocks[-1]]
            item.alpha, item.look = result.look.nominal, result.look.blocks
            item.stop, item.biased = result.stop or "", result.biased
    item.numbers = both, both


def _results(study: Study, items: Sequence[_Item], design: Design) -> tuple[ContrastResult, ...]:
    contrasts = [
        Contrast(str(place), *item.matrices(), alpha=item.alpha, margin=item.margin)
        for place, item in enumerate(items)
    ]
    # The published tests pooled the variances; under unequal trials Welch's statistic is the sounder one.
    published = study.preset.startswith("paper")
    return contrast_family(
        contrasts,
        Declared(design, alpha=study.alpha, statistic="pooled" if published else "welch", seed=study.seed),
    )


def _contrast(study: Study, item: _Item, result: ContrastResult) -> StudyContrast:
    result = replace(result, name=item.spec.name)
    if item.halved:
        result = _as_differences(result)
    verdict, reason = result.verdict, result.reason
    if item.why:
        result = _because(result, item.why)
        verdict, reason = "cannot tell", f"Not estimable: {item.why}."
    population, population_verdict = _population(study, item, result)
    run = len(item.numbers[0]) + (len(item.numbers[1]) if item.design == "independent" else 0)
    return StudyContrast(
        name=item.spec.name,
        family=item.spec.family,
        kind=item.spec.kind,
        role=item.role,
        cell=item.cell.name,
        task=item.task or item.cell.task_name,
        model=item.model or item.cell.model_name,
        arms=item.spec.arms,
        first=item.words[0],
        second=item.words[1],
        labels=item.labels,
        on=item.on,
        size=family_size(study, item.spec.family),
        margin=item.spec.margin,
        result=replace(result, verdict=verdict, reason=reason),
        trend=None,
        population=population,
        population_verdict=population_verdict,
        p=result.p,
        p_opposite=result.p_opposite,
        p_bonferroni=result.p,
        p_holm=result.p,
        p_equivalence_bonferroni=result.p_equivalence,
        p_equivalence_holm=result.p_equivalence,
        attainable=result.attainable,
        alpha=item.alpha,
        verdict=verdict,
        reason=reason,
        not_run=max(0, item.declared - run) if not item.stop else 0,
        look=item.look,
        stop=item.stop,
        biased=item.biased,
        published=_published(item.spec, item.cell) if item.role == "declared" else "",
    )


def _population(
    study: Study, item: _Item, result: ContrastResult
) -> tuple[DifferenceInterval | NotEstimable, Verdict]:
    if item.why:
        return NotEstimable(item.why), "cannot tell"
    if item.width < 2:
        return NotEstimable("trial scores alone, without their examples"), "cannot tell"
    kept = [[whole(row) for row in rows] for rows in item.matrices()]
    if item.design == "paired":
        kept = [[a and b for a, b in zip(*kept, strict=True)]] * 2
    one, two = (
        rows[np.array(keep, dtype=bool)] for rows, keep in zip(item.matrices(raw=True), kept, strict=True)
    )
    if min(len(one), len(two)) < 2:
        return NotEstimable("fewer than two complete trials"), "cannot tell"
    if any(np.isnan(rows).all(axis=1).any() for rows in (one, two)):
        return NotEstimable("a trial of which nothing was read"), "cannot tell"

    def make(level: float) -> DifferenceInterval | NotEstimable:
        # The resamples must reach the tail that a verdict against the declared direction asks for.
        own = population_interval(
            one, two, item.design, level=level, seed=study.seed,
            resamples=max(POPULATION_RESAMPLES, ceil(40 / (1 - level)) - 1),
        )  # fmt: skip
        if item.halved and not isinstance(own, NotEstimable):
            return replace(own, difference=2 * own.difference, interval=own.interval.scaled(2))
        return own

    found, verdict, _, _ = decided(make, (1 - result.level) / 2, item.spec.margin)
    # What is missing can undo a verdict on the population as on this split.
    undone = any(result.dropped) and result.verdict == "cannot tell"
    return found, "cannot tell" if undone else verdict


def _as_differences(result: ContrastResult) -> ContrastResult:
    """Numbers of halved rows in units of the differences that they hold."""

    def twice(value: Estimate) -> Estimate:
        return value if isinstance(value, NotEstimable) else 2 * value

    def gap(value: Estimate) -> Estimate:
        return value if isinstance(value, NotEstimable) else 2 * value - 1

    return replace(
        result,
        means=(gap(result.means[0]), gap(result.means[1])),
        difference=twice(result.difference),
        interval=result.interval if isinstance(result.interval, NotEstimable) else result.interval.scaled(2),
        detectable=twice(result.detectable),
    )


def _because(result: ContrastResult, why: str) -> ContrastResult:
    """The result with the true reason in place of the estimators' own, which see no data and do not know why."""
    reason = NotEstimable(why)
    changes = {
        one.name: reason for one in fields(result) if isinstance(getattr(result, one.name), NotEstimable)
    }
    return replace(result, means=(reason, reason), **changes)  # type: ignore[arg-type]


def _published(spec: ContrastSpec, cell: Cell) -> str:
    return published_text(spec.published, cell.task.view.name) or published_text(
        spec.published, cell.task_name
    )


def _trend(study: Study, data: CellData, spec: ContrastSpec) -> StudyContrast:
    """Kendall's τ of the number of variants; decided by p, since there is no interval, and so never equal."""
    alpha = study.alpha / family_size(study, spec.family)
    variants: list[int] = []
    rows: list[Floats] = []
    blocks: list[int] = []
    declared = 0
    for arm in spec.arms:
        declared += study.trials(arm)
        for number, row in data.test_rows(arm).items():
            variants.append(arm.n)
            rows.append(row)
            blocks.append(number)
    shared = study.design == "paired"

    def tested(chosen: Sequence[int], scores: Sequence[float]) -> Trend | NotEstimable:
        if len(chosen) < 3:
            return NotEstimable("fewer than three complete trials")
        return kendall_trend(
            [variants[place] for place in chosen],
            scores,
            [blocks[place] for place in chosen] if shared else None,
            seed=study.seed,
        )

    kept = [place for place, row in enumerate(rows) if whole(row)]
    if shared:
        # An incomplete trial drops its block.
        holed = {blocks[place] for place in range(len(rows)) if place not in set(kept)}
        kept = [place for place in kept if blocks[place] not in holed]
    found = tested(kept, [float(rows[place].mean()) for place in kept])
    verdict, reason = _trend_verdict(found, alpha)
    if verdict != "cannot tell" and len(kept) < len(rows):
        middle = float(np.median(variants))
        for high, low in ((0.0, 1.0), (1.0, 0.0)):
            filled = [
                float(np.nan_to_num(row, nan=high if variants[place] > middle else low).mean())
                for place, row in enumerate(rows)
            ]
            if _trend_verdict(tested(range(len(rows)), filled), alpha)[0] != verdict:
                verdict, reason = "cannot tell", f"{reason[:-1]}, but not whatever the missing scores were."
                break
    none = NotEstimable("a trend has no difference, and no equivalence")
    p = found if isinstance(found, NotEstimable) else found.greater
    return StudyContrast(
        name=spec.name,
        family=spec.family,
        kind="trend",
        role="declared",
        cell=data.cell.name,
        task=data.cell.task_name,
        model=data.cell.model_name,
        arms=spec.arms,
        first="number of variants",
        second="score",
        labels="",
        on="test",
        size=family_size(study, spec.family),
        margin=spec.margin,
        result=None,
        trend=found,
        population=none,
        population_verdict="cannot tell",
        p=p,
        p_opposite=found if isinstance(found, NotEstimable) else found.less,
        p_bonferroni=p,
        p_holm=p,
        p_equivalence_bonferroni=none,
        p_equivalence_holm=none,
        attainable=found if isinstance(found, NotEstimable) else found.attainable,
        alpha=alpha,
        verdict=verdict,
        reason=reason,
        not_run=declared - len(rows),
        look=0,
        stop="",
        biased=False,
        published=_published(spec, data.cell),
    )


def _trend_verdict(found: Trend | NotEstimable, alpha: float) -> tuple[Verdict, str]:
    if isinstance(found, NotEstimable):
        return "cannot tell", f"Not estimable: {found.reason}."
    if found.greater <= alpha:
        return "supported", "Scores rise with the number of variants."
    if found.less <= alpha:
        return "contradicted", "Scores fall with the number of variants."
    return "cannot tell", "Neither a rise nor a fall reaches the corrected level."


def _corrected(study: Study, found: Sequence[StudyContrast]) -> list[StudyContrast]:
    """p-values corrected over the family: all that it declares, in each cell (across models in each task)."""

    across = {spec.name: spec for spec in study.contrasts if spec.kind in ("models", "interaction")}

    def key(one: StudyContrast) -> tuple[str, str, str]:
        """What contrasts across cells have in common with their family is the task, or the model."""
        spec = across.get(one.name)
        if spec is None:
            return one.family, "", one.cell
        return one.family, "across", one.task if spec.models else one.model

    done = [one for one in found if one.role == "beside"]
    ranked = sorted((one for one in found if one.role == "declared"), key=key)
    for _, group in groupby(ranked, key=key):
        own = list(group)
        # What the family declares and this cell has not got counts in its size all the same.
        absent: list[Estimate] = [NotEstimable("not in this cell")] * (own[0].size - len(own))
        p = [one.p for one in own] + absent
        equal: list[Estimate] = [
            NotEstimable("a trend") if one.result is None else one.result.p_equivalence for one in own
        ]
        equal += absent
        looks = NotEstimable("under sequential looks the level is the look's own")
        columns = bonferroni(p), holm(p), bonferroni(equal), holm(equal)
        for one, *values in zip(own, *(column[: len(own)] for column in columns), strict=True):
            b, h, eb, eh = [looks] * 4 if one.look else values
            result = one.result and replace(
                one.result, p_bonferroni=b, p_holm=h, p_equivalence_bonferroni=eb, p_equivalence_holm=eh
            )
            done.append(
                replace(
                    one,
                    result=result,
                    p_bonferroni=b,
                    p_holm=h,
                    p_equivalence_bonferroni=eb,
                    p_equivalence_holm=eh,
                )
            )
    return done


def _in_order(study: Study, found: Sequence[StudyContrast]) -> tuple[StudyContrast, ...]:
    cells = [cell.name for cell in study.cells]
    names = [contrast.name for contrast in study.contrasts]
    beside = {("train", TRUE): 1, ("train", SHOWN): 2, ("train and test", TRUE): 3}

    def place(one: StudyContrast) -> tuple[int, int, int]:
        rank = 0 if one.role == "declared" else beside.get((one.on, one.labels), 9)
        return cells.index(one.cell), names.index(one.name), rank

    return tuple(sorted(found, key=place))

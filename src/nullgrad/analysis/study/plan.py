"""Before a token of a study is spent: calls, tokens, dollars, wall time, and what each contrast can show.

Calls *asked* are exact when every rewrite parses. Calls *paid* are at most what is asked less what arms of a block are sure to
share in the paired design, where a request has the same draw in every arm (`_shared`):

- the seed prompt on the first batch (and its critic's first judgements), by every arm that sees examples;
- the seed prompt on validation, by every `validated` arm;
- the first step's proposals of one update and evaluation, whatever the selection: variant 0 of `naive` is variant 0 of
  `best@3`; and these variants on validation.

Within a trial, in either design, a curve that ends with the last step reads the final prompt twice and pays once. What later
steps happen to share, such as a prompt that two arms both keep, comes off as well and is not foreseen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import factorial, prod, sqrt
from typing import Any

import numpy as np
from scipy.special import ndtri

from nullgrad.analysis.forecast import CHARACTERS_PER_TOKEN, JUDGE_TOKENS, REPLY_TOKENS, WORDS_TOKENS, Price
from nullgrad.analysis.stats.contrast import OPPOSITE
from nullgrad.analysis.stats.equivalence import equality_chance_paired, equality_chance_welch
from nullgrad.analysis.stats.estimate import Estimate, NotEstimable
from nullgrad.analysis.stats.permutation import RESAMPLES, attainable_p
from nullgrad.analysis.stats.power import detectable_paired, detectable_welch, paired_power, welch_power
from nullgrad.analysis.stats.trend import MOST_ORDERS
from nullgrad.analysis.study.look import family_size, study_looks
from nullgrad.analysis.study.tables import rounded
from nullgrad.core.arms import SEED, Arm
from nullgrad.core.batches import batch_place
from nullgrad.core.calls import Calls, test_calls
from nullgrad.core.chat import Role, Usage
from nullgrad.core.study import Cell, ContrastSpec, Study
from nullgrad.errors import UserError

EFFECT = 0.05
"""At which power is given where no margin was declared: 5 points."""

POWER = 0.8

SIMULATIONS = 1_000
"""Simulated studies for the power of a trend."""

TOLERANCE = 1e-12

_ROLES: tuple[Role, ...] = ("generator", "optimizer", "critic", "judge")


@dataclass(frozen=True, slots=True)
class ArmForecast:
    """One arm in one cell.

    Attributes:
        cell, arm, trials: which, and how many.
        asked: calls of all its trials, with their readings of the test.
    """

    cell: str
    arm: str
    trials: int
    asked: Calls


@dataclass(frozen=True, slots=True)
class ContrastForecast:
    """What one contrast can show in a cell.

    Attributes:
        name, family, kind, size: as declared, and contrasts in the family.
        trials: of each arm; of a comparison within trials, and of a paired one, both are the blocks.
        alpha: corrected level.
        attainable: smallest p that the numbers of trials allow.
        effect: at which power is given: the declared margin, else 5 points. A share.
        declared: whether it is the margin.
        power: chance of finding an effect of that size.
        detectable: smallest effect that is found with power 0.8, as a share.
        equality_chance: chance of the verdict `equal` where there is no difference.
    """

    name: str
    family: str
    kind: str
    size: int
    trials: tuple[int, int]
    alpha: float
    attainable: float
    effect: float
    declared: bool
    power: Estimate
    detectable: Estimate
    equality_chance: Estimate

    @property
    def reachable(self) -> bool:
        """Whether the smallest possible p is at or below the corrected level."""
        return self.attainable <= self.alpha * (1 + TOLERANCE)


@dataclass(frozen=True, slots=True)
class Cut:
    """One thing to leave out; cuts add up in their order.

    Attributes:
        what: in words.
        calls: calls asked that are left after it and all before it.
        usd: dollars that are left, None where a price is unknown.
        lost: power that the contrast hit worst loses by this cut, 0 to 1, at most.
    """

    what: str
    calls: int
    usd: float | None
    lost: float


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a study will ask, about what it costs, and what it can show.

    Attributes:
        study, design, blocks: as declared.
        arms: calls asked by cell and arm.
        asked: by role, over everything.
        paid: at most, by role, after what is sure to be shared.
        prompt_tokens, completion_tokens: estimates of what is paid.
        measured: whether the tokens come from a pilot; else from a rule of thumb.
        usd: estimate of what is paid, None where a price is unknown.
        seconds: wall time, at least, at the given concurrency; None where no time of a call was given.
        sd: assumed standard deviation of a trial score, as a share.
        contrasts: what each can show.
        problems: contrasts and looks that can never reach their level.
        cuts: what to leave out to get under the limit, least loss first; () without a limit, or under it.
        enough: whether the cuts reach the limit.
    """

    study: str
    design: str
    blocks: int
    arms: tuple[ArmForecast, ...]
    asked: Calls
    paid: Calls
    prompt_tokens: int
    completion_tokens: int
    measured: bool
    usd: float | None
    seconds: float | None
    sd: float
    contrasts: tuple[ContrastForecast, ...]
    problems: tuple[str, ...]
    cuts: tuple[Cut, ...]
    enough: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; effects in points."""
        return {
            "study": self.study,
            "design": self.design,
            "blocks": self.blocks,
            "calls": {
                "asked": {"total": self.asked.total, **self.asked.by_role},
                "paid_at_most": {"total": self.paid.total, **self.paid.by_role},
            },
            "arms": [
                {
                    "cell": one.cell,
                    "arm": one.arm,
                    "trials": one.trials,
                    "asked": {"total": one.asked.total, **one.asked.by_role},
                }
                for one in self.arms
            ],
            "tokens_estimate": {
                "prompt": self.prompt_tokens,
                "completion": self.completion_tokens,
                "measured": self.measured,
            },
            "usd_estimate": None if self.usd is None else round(self.usd, 4),
            "seconds_at_least": None if self.seconds is None else round(self.seconds, 1),
            "sd_points": rounded(100 * self.sd),
            "contrasts": [_contrast_dict(one) for one in self.contrasts],
            "problems": list(self.problems),
            "cuts": [
                {
                    "what": cut.what,
                    "calls_left": cut.calls,
                    "usd_left": None if cut.usd is None else round(cut.usd, 4),
                    "power_lost": rounded(cut.lost),
                }
                for cut in self.cuts
            ],
            "cuts_enough": self.enough,
        }


def _contrast_dict(one: ContrastForecast) -> dict[str, Any]:
    reasons: dict[str, str] = {}

    def put(name: str, value: Estimate, factor: float = 1.0) -> float | None:
        if isinstance(value, NotEstimable):
            reasons[name] = value.reason
            return None
        return rounded(factor * value)

    row = {
        "name": one.name,
        "family": one.family,
        "kind": one.kind,
        "family_size": one.size,
        "trials": list(one.trials),
        "alpha": rounded(one.alpha),
        "attainable_p": rounded(one.attainable),
        "reachable": one.reachable,
        "effect_points": rounded(100 * one.effect),
        "effect_is_the_margin": one.declared,
        "power": put("power", one.power),
        "detectable_points": put("detectable_points", one.detectable, 100),
        "equality_chance": put("equality_chance", one.equality_chance),
    }
    return {**row, "not_estimable": reasons}


def plan_study(
    study: Study,
    *,
    price: Price,
    sd: float = 0.05,
    pilot: Mapping[Role, Usage] | None = None,
    concurrency: int = 32,
    seconds_per_call: float | None = None,
    max_usd: float | None = None,
    max_calls: int | None = None,
    refuse: bool | None = None,
) -> StudyPlan:
    """Plan a study.

    Args:
        study: as declared.
        price: dollars of a usage by a model's identity, None where unknown.
        sd: assumed standard deviation of a trial score, as a share. A paired difference gets √2 of it, as if the scores of
            a block were not correlated, which is the cautious end.
        pilot: mean tokens of a call by role, from real calls; None, or a role without, takes the rule of thumb.
        concurrency: calls in flight at most.
        seconds_per_call: of a call, from a pilot.
        max_usd, max_calls: limits to get under, on what is paid.
        refuse: whether a contrast that cannot reach its corrected level is an error; None refuses in all studies but the
            paper's presets, whose numbers are published ones, and where it is a problem that is told.

    Raises:
        UserError: a contrast, or a look, can never reach its level.
    """
    if sd <= 0:
        raise UserError(f"--sd is {sd:g}.", "Nothing was planned.", "Give a share above 0, such as 0.05.")
    if any(study.alpha / family_size(study, spec.family) >= 0.5 for spec in study.contrasts):
        raise UserError(
            f"alpha is {study.alpha:g}, which leaves no interval.",
            "Nothing was planned.",
            "Give less than 0.5.",
        )
    contrasts = tuple(_forecast(study, spec, sd) for spec in study.contrasts)
    problems = (*_unreachable(contrasts), *_unreachable_looks(study))
    if problems and (refuse if refuse is not None else not study.preset.startswith("paper")):
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(
            f"{problems[0]}{more}.",
            "Nothing was run.",
            "Ways out: more trials, fewer contrasts in the family.",
        )
    counts = {one.arm: one.trials for one in study.arms}
    costs = _Costs(study, price, pilot)
    paid = costs.paid(counts, study.curve)
    arms = tuple(
        ArmForecast(cell.name, arm.canonical, study.trials(arm), study.calls(cell, arm) * study.trials(arm))
        for cell in study.cells
        for arm in _arms(study)
    )
    cuts, enough = _cuts(study, costs, sd, max_usd, max_calls)
    usd = costs.usd(paid)
    total = sum(paid.values(), Calls())
    return StudyPlan(
        study.name,
        study.design,
        study.blocks,
        arms,
        study.asked,
        total,
        *costs.tokens(paid),
        pilot is not None,
        None if usd is None else float(usd),
        None if seconds_per_call is None else _seconds(study, total, concurrency, seconds_per_call),
        sd,
        contrasts,
        problems,
        cuts,
        enough,
    )


def _arms(study: Study) -> tuple[Arm, ...]:
    return (SEED, *(one.arm for one in study.arms if one.arm != SEED))


# What a contrast can show.


def _forecast(
    study: Study, spec: ContrastSpec, sd: float, counts: Mapping[Arm, int] | None = None
) -> ContrastForecast:
    """For the study's numbers of trials, or for others."""
    known = counts or {one.arm: one.trials for one in study.arms}
    most = max(known.values())
    trials = [most if arm == SEED else known[arm] for arm in spec.arms]
    size = family_size(study, spec.family)
    alpha = study.alpha / size
    effect = EFFECT if spec.margin is None else spec.margin
    within = spec.kind in ("fit", "plateau")
    if spec.kind == "trend":
        variants = tuple(arm.n for arm in spec.arms)
        return ContrastForecast(
            spec.name, spec.family, spec.kind, size, (min(trials), max(trials)), alpha,
            _trend_attainable(study, variants, trials), effect, spec.margin is not None,
            _trend_power(variants, tuple(trials), effect, sd, alpha),
            NotEstimable("of a trend, power at the declared effect is given alone"),
            NotEstimable("a trend is never called equal"),
        )  # fmt: skip
    if spec.kind == "interaction":
        # A difference of two differences: as two arms whose every score is such a difference.
        trials, sd = [min(trials)] * 2, sd * sqrt(2)
    pair = (trials[0], trials[-1])
    paired = within or study.design == "paired"
    power, detectable, chance = _powers(paired, pair, sd, alpha, effect)
    return ContrastForecast(
        spec.name, spec.family, spec.kind, size, pair, alpha,
        attainable_p("paired" if paired else "independent", *pair), effect, spec.margin is not None, power, detectable,
        NotEstimable("no margin was declared") if spec.margin is None else chance,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _powers(
    paired: bool, trials: tuple[int, int], sd: float, alpha: float, effect: float
) -> tuple[Estimate, Estimate, Estimate]:
    """Power at the effect, detectable effect, chance of concluding equality within it."""
    if paired:
        own, n = sd * sqrt(2), trials[0]
        return (
            paired_power(effect, own, n, alpha),
            detectable_paired(own, n, alpha, power=POWER),
            equality_chance_paired(effect, own, n, alpha, opposite=OPPOSITE),
        )
    return (
        welch_power(effect, (sd, sd), trials, alpha),
        detectable_welch((sd, sd), trials, alpha, power=POWER),
        equality_chance_welch(effect, (sd, sd), trials, alpha, opposite=OPPOSITE),
    )


def _trend_attainable(study: Study, variants: Sequence[int], trials: Sequence[int]) -> float:
    """1 over the distinct assignments of n to trials, or over the random ones where these are fewer."""
    total = 1
    for number in range(max(trials)) if study.design == "paired" else (None,):
        here = [
            n
            for n, count in zip(variants, trials, strict=True)
            for _ in range(count if number is None else int(number < count))
        ]
        total *= factorial(len(here)) // prod(factorial(here.count(n)) for n in set(here))
    return 1 / total if total <= MOST_ORDERS else max(1 / total, 1 / (RESAMPLES + 1))


@lru_cache(maxsize=256)
def _trend_power(
    variants: tuple[int, ...], trials: tuple[int, ...], effect: float, sd: float, alpha: float
) -> Estimate:
    """Chance that Kendall's τ reaches the level where the score rises by the effect from the least to the most variants.

    Evenly over the numbers in their order; simulated with independent normal scores and the normal limit of the
    statistic, which is good to about a point of power from ten trials.
    """
    levels = sorted(set(variants))
    if len(levels) < 2:
        return NotEstimable("only one number of variants")
    place = np.repeat([levels.index(n) for n in variants], trials)
    count = len(place)
    if count < 3:
        return NotEstimable("fewer than three trials")
    stream = np.random.default_rng(count)
    noise = stream.normal(0, sd, (SIMULATIONS, count)) + effect * place / (len(levels) - 1)
    ranks = noise.argsort(axis=1).argsort(axis=1)
    order = np.sign(place[:, None] - place[None, :])
    upper = np.triu(order, 1)
    statistic = np.zeros(SIMULATIONS)
    for first in range(count - 1):
        statistic += np.sign(ranks[:, [first]] - ranks[:, first + 1 :]) @ upper[first, first + 1 :]
    ties = np.bincount(place)
    variance = (
        count * (count - 1) * (2 * count + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())
    ) / 18
    return float(np.mean(statistic / sqrt(variance) >= -ndtri(alpha)))


def _unreachable(contrasts: Sequence[ContrastForecast]) -> tuple[str, ...]:
    return tuple(
        f"The contrast {one.name!r} cannot reach its corrected level: attainable p "
        f"{one.attainable:.2g} > {one.alpha:.4g}"
        for one in contrasts
        if not one.reachable
    )


def _unreachable_looks(study: Study) -> tuple[str, ...]:
    """Looks at which the sign-flip test of a contrast cannot reject at all."""
    found: dict[int, str] = {}
    for spec in study.contrasts:
        if spec.kind != "arms":
            continue
        for look in study_looks(study, spec):
            if not look.reachable and look.blocks in study.sequential:
                found.setdefault(
                    look.blocks,
                    f"The look at {look.blocks} blocks cannot stop the contrast {spec.name!r}: attainable p "
                    f"{look.attainable:.2g} > {look.nominal:.2g}",
                )
    return tuple(found.values())


# What it costs.

Paid = dict[str, Calls]
"""By cell's name."""


class _Costs:
    """Calls, tokens and dollars of a study at these or other numbers of trials."""

    def __init__(self, study: Study, price: Price, pilot: Mapping[Role, Usage] | None) -> None:
        self._study = study
        self._price = price
        self._usages = {cell.name: _usages(cell, study.batch_size, pilot or {}) for cell in study.cells}

    def paid(self, counts: Mapping[Arm, int], curve: Sequence[int]) -> Paid:
        """Calls paid at most by each cell."""
        study = dataclasses.replace(self._study, curve=tuple(curve), contrasts=(), sequential=())
        return {cell.name: _paid_calls(study, cell, counts) for cell in study.cells}

    def usd(self, paid: Paid) -> Decimal | None:
        """Dollars, None where a price is unknown."""
        total = Decimal(0)
        for cell in self._study.cells:
            for role, count in paid[cell.name].by_role.items():
                if count:
                    one = self._price(cell.cast[role].model, self._usages[cell.name][role])
                    if one is None:
                        return None
                    total += one * count
        return total

    def tokens(self, paid: Paid) -> tuple[int, int]:
        """Of prompts and of completions."""
        prompt = completion = 0
        for name, calls in paid.items():
            for role, count in calls.by_role.items():
                prompt += count * (self._usages[name][role].prompt or 0)
                completion += count * (self._usages[name][role].completion or 0)
        return prompt, completion


def _paid_calls(study: Study, cell: Cell, counts: Mapping[Arm, int]) -> Calls:
    view = cell.task.view
    reading = test_calls(len(cell.task.test), view.scorer.asks)
    blocks = max(counts.values(), default=0)
    total = reading * blocks
    for arm, trials in counts.items():
        if arm != SEED:
            total += study.calls(cell, arm) * trials
            if study.steps in study.curve:
                total = _less(total, reading * trials)
    if study.design == "paired":
        for number in range(blocks):
            arms = [arm for arm, trials in counts.items() if arm != SEED and number < trials]
            total = _less(total, _repeated(study, cell, arms))
    return total


def _less(one: Calls, other: Calls) -> Calls:
    return one + other * -1


def _repeated(study: Study, cell: Cell, arms: Sequence[Arm]) -> Calls:
    """Calls of a block that an arm before has asked already."""
    seen: set[tuple[Any, ...]] = set()
    total = Calls()
    for arm in arms:
        for key, calls in _shared(study, cell, arm):
            if key in seen:
                total += calls
            seen.add(key)
    return total


def _shared(study: Study, cell: Cell, arm: Arm) -> Iterator[tuple[tuple[Any, ...], Calls]]:
    """Requests of a trial's first step that other arms of the block may ask alike, by what makes them alike."""
    if study.steps == 0:
        return
    view = cell.task.view
    judged = view.scorer.asks
    size = len(batch_place(1, len(view.train), study.batch_size))
    validation = len(view.validation)
    # A critic never sees a label, so that the labels of its arm are not in what the prompt's optimizer sees at first.
    told = (arm.evaluator,) if arm.critic else (arm.evaluator, arm.labels)
    if arm.uses_examples:
        yield ("batch",), Calls(generator=size)
        if arm.critic:
            yield ("critic", arm.evaluator), Calls(critic=size)
        if judged and arm.evaluates and not arm.frozen:
            yield ("judge batch", arm.labels), Calls(judge=size)
    if arm.selection == "validated":
        yield ("seed on validation",), Calls(generator=validation)
        if judged:
            yield ("judge seed", arm.validation_labels), Calls(judge=validation)
    each = 2 * size + 1 if arm.update == "gradient" else 1
    for variant in range(arm.n):
        yield ("proposal", arm.update, *told, variant), Calls(optimizer=each)
        if arm.joint:
            yield ("critic's proposal", arm.update, *told, arm.labels, variant), Calls(optimizer=each)
        if arm.validates:
            yield ("variant", arm.update, *told, variant), Calls(generator=validation)
            if judged:
                yield (
                    ("judge variant", arm.update, *told, variant, arm.validation_labels),
                    Calls(judge=validation),
                )


def _usages(cell: Cell, batch_size: int, pilot: Mapping[Role, Usage]) -> dict[Role, Usage]:
    """Tokens of a mean call by role: a pilot's, else four characters a token."""
    view = cell.task.view
    sample = (*view.train, *view.validation, *cell.task.test)[:200]
    lengths = [
        sum(len(message.content) for message in view.messages(view.seed_prompt, one)) for one in sample
    ]
    forward = max(1, round(sum(lengths) / max(1, len(lengths)) / CHARACTERS_PER_TOKEN))
    prompts: dict[Role, int] = {
        "generator": forward,
        "optimizer": WORDS_TOKENS + batch_size * forward,
        "critic": WORDS_TOKENS + forward,
        "judge": WORDS_TOKENS + forward,
    }

    def reply(role: Role) -> int:
        free = REPLY_TOKENS
        if role == "generator" and view.labels:
            free = view.slots * (2 + max(len(label) for label in view.labels) // CHARACTERS_PER_TOKEN)
        elif role == "judge":
            free = JUDGE_TOKENS
        limit = cell.cast[role].sampling.max_tokens
        return min(limit, free) if limit else free

    return {role: pilot.get(role, Usage(prompts[role], reply(role))) for role in _ROLES}


def _seconds(study: Study, paid: Calls, concurrency: int, each: float) -> float:
    """All calls side by side, and no less than the longest chain of calls that wait for one another."""
    depth = max((_depth(study, one.arm) for one in study.arms), default=1)
    return max(paid.total / max(1, concurrency), depth) * each


def _depth(study: Study, arm: Arm) -> int:
    if arm == SEED:
        return 1
    step = {"gradient": 3}.get(arm.update, 1)
    step += int(arm.uses_examples) + int(arm.critic) + int(arm.validates)
    return study.steps * step + 1


# What to leave out.


def _cuts(
    study: Study, costs: _Costs, sd: float, max_usd: float | None, max_calls: int | None
) -> tuple[tuple[Cut, ...], bool]:
    """Leave out, least loss first, until both limits hold: the curve, arms of no contrast, then trials."""
    counts = {one.arm: one.trials for one in study.arms}
    curve = study.curve

    def left() -> tuple[int, Decimal | None]:
        paid = costs.paid(counts, curve)
        return sum(paid.values(), Calls()).total, costs.usd(paid)

    def under(calls: int, usd: Decimal | None) -> bool:
        dear = max_usd is not None and (usd is None or usd > Decimal(str(max_usd)))
        return not dear and (max_calls is None or calls <= max_calls)

    calls, usd = left()
    cuts: list[Cut] = []
    if under(calls, usd):
        return (), True

    def note(what: str, lost: float) -> bool:
        nonlocal calls, usd
        calls, usd = left()
        cuts.append(Cut(what, calls, None if usd is None else float(usd), lost))
        return under(calls, usd)

    kept = tuple(step for step in curve if step == 2 and any(c.kind == "plateau" for c in study.contrasts))
    if len(kept) < len(curve):
        curve = kept
        if note("read the test by step no more" + (", but after step 2" if kept else ""), 0.0):
            return tuple(cuts), True
    named = {arm for spec in study.contrasts for arm in spec.arms}
    for arm in [arm for arm in counts if arm not in named and arm != SEED]:
        if len(counts) == 1:
            break
        del counts[arm]
        if note(f"leave out {arm.canonical}, which is in no contrast", 0.0):
            return tuple(cuts), True
    taken, reached = _fewer_trials(study, sd, counts, lambda: under(*left()))
    final = dict(counts)
    for group, (fewer, _) in taken.items():
        counts.update({arm: counts[arm] + fewer for arm in group})
    for group, (fewer, lost) in sorted(taken.items(), key=lambda one: one[1][1]):
        counts.update({arm: final[arm] for arm in group})
        every = len(group) > 2 and set(group) == set(counts) - {SEED}
        words = "every arm" if every else ", ".join(arm.canonical for arm in group)
        note(f"run {final[group[0]]} trials of {words} ({fewer} fewer)", lost)
    return tuple(cuts), reached


def _fewer_trials(
    study: Study, sd: float, counts: dict[Arm, int], enough: Callable[[], bool]
) -> tuple[dict[tuple[Arm, ...], tuple[int, float]], bool]:
    """Take trials away where the loss of power per call is least, while every contrast can still reach its level.

    Returns:
        By group of arms: trials taken and power lost; and whether it is enough.
    """
    groups = _groups(study, list(counts))
    price = {
        group: sum(study.calls(cell, arm).total for cell in study.cells for arm in group) for group in groups
    }
    taken: dict[tuple[Arm, ...], tuple[int, float]] = {}
    while not enough():
        best: tuple[float, float, tuple[Arm, ...], int] | None = None
        for group in groups:
            step = max(1, max(counts[arm] for arm in group) // 10)
            lost = _loss(study, sd, counts, group, step)
            if lost is not None and (best is None or lost / (price[group] * step) < best[0]):
                best = (lost / (price[group] * step), lost, group, step)
        if best is None:
            return taken, False
        _, lost, group, step = best
        for arm in group:
            counts[arm] -= step
        before = taken.get(group, (0, 0.0))
        taken[group] = (before[0] + step, before[1] + lost)
    return taken, True


def _groups(study: Study, arms: Sequence[Arm]) -> list[tuple[Arm, ...]]:
    """Arms whose trials are cut together: in the paired design those that a contrast pairs.

    The seed prompt is tested with every block, so that what is paired with it has as many trials as there are blocks.
    """
    groups = [{arm} for arm in arms if arm != SEED]
    if study.design == "paired" and any(SEED in spec.arms for spec in study.contrasts):
        return [tuple(arm for arm in arms if arm != SEED)]
    if study.design == "paired":
        for spec in study.contrasts:
            joined = [group for group in groups if group & set(spec.arms)]
            if joined:
                groups = [group for group in groups if group not in joined] + [set().union(*joined)]
    return [tuple(arm for arm in arms if arm in group) for group in groups]


def _loss(
    study: Study, sd: float, counts: Mapping[Arm, int], group: tuple[Arm, ...], step: int
) -> float | None:
    """Largest loss of power by `step` fewer trials of a group, None where a contrast could not reach its level."""
    if min(counts[arm] for arm in group) - step < 2:
        return None
    fewer = {arm: count - step if arm in group else count for arm, count in counts.items()}
    worst = 0.0
    for spec in study.contrasts:
        if not set(spec.arms) & set(group) and SEED not in spec.arms:
            continue
        after = _forecast(study, spec, sd, fewer)
        if not after.reachable:
            return None
        before = _forecast(study, spec, sd, counts)
        if not isinstance(before.power, NotEstimable) and not isinstance(after.power, NotEstimable):
            worst = max(worst, before.power - after.power)
    return worst

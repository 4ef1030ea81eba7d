"""Tidy tables of a comparison: one dictionary a row, rounded in one place.

Scores are shares; columns whose names end in `_points` are differences. What is not estimable is None, and the column
`not_estimable` says which and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nullgrad.analysis import serialize
from nullgrad.analysis.comparison.entries import Cost, EntryResult
from nullgrad.analysis.comparison.families import CompareContrast
from nullgrad.analysis.comparison.rows import Mean
from nullgrad.analysis.stats.differences import DifferenceInterval
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.study.audits import audit_rows
from nullgrad.analysis.study.tables import TableRow, rounded
from nullgrad.core.foreign import Use

if TYPE_CHECKING:
    from nullgrad.analysis.comparison.result import CompareResult, TrialLine

TABLES = ("entries", "contrasts", "trials", "costs", "attribution", "ladder", "audits", "counters")
"""Every table, in order."""


def tables(result: CompareResult) -> dict[str, list[dict[str, Any]]]:
    """Every table by name; the column `simulated` says whether a simulation answered."""
    found = {
        "entries": [_entry(result, one) for one in result.entries],
        "contrasts": [_contrast(one, result.comparison.margin) for one in result.contrasts],
        "trials": [_trial(one) for one in result.trials],
        "costs": [_cost(one.entry.name, cost) for one in result.entries for cost in one.cost],
        "attribution": [_part(result, one) for one in range(len(result.parts))],
        "ladder": _ladder(result),
        "audits": [_audit(row) for row in audit_rows(result.audits)],
        "counters": _counters(result.entries),
    }
    simulated = bool(result.simulated)
    return {name: [{**row, "simulated": simulated} for row in rows] for name, rows in found.items()}


def _mean(row: TableRow, name: str, over: Mean, factor: float = 1.0, unit: str = "") -> None:
    """A mean with both ends of its interval."""
    row.put(f"{name}{unit}", over.mean, factor)
    row.ends(f"{name}_low{unit}", f"{name}_high{unit}", over.interval, factor)


def _entry(result: CompareResult, one: EntryResult) -> dict[str, Any]:
    entry = one.entry
    row = TableRow(
        entry=entry.name, optimizer=entry.optimizer, feedback=entry.feedback, selection=entry.selection,
        own=entry.own, competes=not entry.control, blocks=one.blocks, ended=one.ended, with_result=one.with_result,
        by_budget=one.by_budget, failed=one.failed, unchanged=one.unchanged,
    )  # fmt: skip
    _mean(row, "score", one.score)
    _mean(row, "sealed", one.sealed, 100, "_points")
    verdict = next((c for c in result.contrasts if c.family == "gain" and c.first == entry.name), None)
    row.values["verdict"] = None if verdict is None else verdict.result.verdict
    row.values["n_with_result"] = one.sealed_with_result.n
    _mean(row, "sealed_with_result", one.sealed_with_result, 100, "_points")
    row.values["n_claimed"] = one.claimed.n
    _mean(row, "claimed", one.claimed, 100, "_points")
    row.values["n_phantom"] = one.phantom.n
    _mean(row, "phantom", one.phantom, 100, "_points")
    total = one.total
    per = max(1, total.trials)
    row.values |= {
        "calls": rounded(total.use.calls / per),
        "tokens": rounded((total.use.prompt_tokens + total.use.completion_tokens) / per),
        "usd": _dollars(total.use.usd, per),
        "calls_total": total.use.calls,
        "calls_paid_total": total.use.paid,
        "usd_total": _dollars(total.use.usd),
        "usd_paid_total": _dollars(total.use.paid_usd),
    }
    row.put("seconds", one.seconds.mean)
    length = one.length
    row.put("characters", length.characters.mean)
    row.put("words", length.words.mean)
    row.put("growth", length.growth)
    row.values |= {
        "steps": one.steps,
        "failures": one.failures,
        "swallowed": one.swallowed,
        "versions": ", ".join(one.versions),
    }
    return row.done()


def _dollars(usd: Decimal | None, per: int = 1) -> float | None:
    return None if usd is None else rounded(float(usd) / per)


def _contrast(one: CompareContrast, margin: float | None) -> dict[str, Any]:
    result = one.result
    row = TableRow(
        family=one.family, name=one.name, first=one.first, second=one.second, channel=one.channel,
        family_size=one.size, two_sided=one.two_sided, n=result.n[0], dropped=result.dropped[0],
    )  # fmt: skip
    for place, name in enumerate(("first", "second")):
        row.put(f"mean_{name}", result.means[place])
    row.put("difference_points", result.difference, 100)
    row.ends("low_points", "high_points", result.interval, 100)
    row.values["level"] = rounded(result.level)
    row.values["method"] = result.method
    population = one.population.interval if isinstance(one.population, DifferenceInterval) else one.population
    row.ends("population_low_points", "population_high_points", population, 100)
    row.values["population_verdict"] = one.population_verdict
    row.put("p", result.p)
    row.put("alpha", result.alpha)
    row.put("p_bonferroni", result.p_bonferroni)
    row.put("p_holm", result.p_holm)
    row.put("attainable_p", result.attainable)
    row.put("g", result.g)
    row.put("detectable_points", result.detectable, 100)
    row.put("trials_needed", one.trials_needed)
    row.put("margin_points", margin, 100)
    row.put("power_at_margin", result.power_at_margin)
    row.put("equality_chance", result.equality_chance)
    row.put("p_equivalence", result.p_equivalence)
    row.put("p_equivalence_holm", result.p_equivalence_holm)
    row.values |= {
        "verdict": result.verdict,
        "within_margin": result.within_margin,
        "reason": result.reason,
    }
    return row.done()


def _trial(one: TrialLine) -> dict[str, Any]:
    trial = one.trial
    use = sum(trial.use.values(), Use())
    claimed = (
        None if trial.claimed is None or trial.claimed_seed is None else trial.claimed - trial.claimed_seed
    )
    prompt = "" if trial.candidate is None else trial.candidate.prompt
    return {
        "entry": trial.entry.name,
        "trial": trial.trial,
        "in_means": one.in_means,
        "ended": trial.ended,
        "result": bool(trial.test),
        "score": serialize.share(one.score),
        "seed_score": serialize.share(one.seed_score),
        "sealed_points": serialize.points(one.gain),
        "claimed": serialize.share(trial.claimed),
        "claimed_seed": serialize.share(trial.claimed_seed),
        "claimed_points": serialize.points(claimed),
        "phantom_points": serialize.points(one.phantom),
        "audit": one.audit,
        "calls": use.calls,
        "calls_paid": use.paid,
        "tokens": use.prompt_tokens + use.completion_tokens,
        "usd": _dollars(use.usd),
        "seconds": trial.seconds,
        "characters": len(prompt) if trial.test else None,
        "words": len(prompt.split()) if trial.test else None,
        "unparsed": one.unparsed,
        "missing": sum(score is None for score in trial.test),
        "failures": trial.failures,
        "swallowed": trial.swallowed,
        "version": trial.version,
        "reason": trial.reason,
        "prompt": prompt,
    }


def _cost(entry: str, cost: Cost) -> dict[str, Any]:
    use = cost.use
    per = max(1, cost.trials)
    return {
        "entry": entry,
        "role": cost.role,
        "trials": cost.trials,
        "calls": use.calls,
        "calls_per_trial": rounded(use.calls / per),
        "paid": use.paid,
        "replayed": use.replayed,
        "joined": use.joined,
        "failed": use.failed,
        "refused": use.refused,
        "prompt_tokens": use.prompt_tokens,
        "completion_tokens": use.completion_tokens,
        "tokens_per_trial": rounded((use.prompt_tokens + use.completion_tokens) / per),
        "uncounted_calls": use.uncounted,
        "usd": _dollars(use.usd),
        "usd_per_trial": _dollars(use.usd, per),
        "paid_usd": _dollars(use.paid_usd),
    }


def _part(result: CompareResult, place: int) -> dict[str, Any]:
    part = result.parts[place]
    row = TableRow(
        optimizer=part.optimizer, control=part.control, channel=part.channel, part=part.part, says=part.says,
        n=part.over.n,
    )  # fmt: skip
    row.put("points", part.over.mean, 100)
    row.ends("low_points", "high_points", part.over.interval, 100)
    return row.done()


def _ladder(result: CompareResult) -> list[dict[str, Any]]:
    found = []
    none = NotEstimable("the seed prompt, or no variance over blocks")
    for one in result.ladders:
        for step in one.ladder.steps:
            row = TableRow(top=one.top, ingredient=step.ingredient, arm=step.arm, blocks=one.ladder.blocks)
            row.put("score", step.score)
            row.put("effect_points", step.effect, 100)
            row.ends("low_points", "high_points", step.interval or none, 100)
            row.ends("simultaneous_low_points", "simultaneous_high_points", step.simultaneous or none, 100)
            row.put("detectable_points", step.detectable, 100)
            row.values |= {"told": step.told, "missing_decides": step.missing_decides}
            found.append(row.done())
    return found


def _audit(row: dict[str, Any]) -> dict[str, Any]:
    return {("entry" if name == "arm" else name): value for name, value in row.items() if name != "cell"}


def _counters(entries: Iterable[EntryResult]) -> list[dict[str, Any]]:
    """What a library counts itself beside what was counted at the gateway."""
    found = []
    for one in entries:
        calls = one.total.use.calls / max(1, one.total.trials)
        for name, over in one.counters:
            row = TableRow(entry=one.entry.name, counter=name, n=over.n)
            row.put("its_mean", over.mean)
            row.values["calls_counted"] = rounded(calls)
            found.append(row.done())
    return found

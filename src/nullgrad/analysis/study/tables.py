"""Tidy tables of a study: one dictionary a row, numbers rounded in one place.

Columns in shares: scores, means, critics' agreement. Columns whose names end in `_points`: differences, margins, detectable
effects. A number that is not estimable is None, and the column `not_estimable` says which and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nullgrad.analysis.serialize import PLACES
from nullgrad.analysis.stats.differences import DifferenceInterval
from nullgrad.analysis.stats.estimate import Estimate, NotEstimable
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.stats.trend import Trend
from nullgrad.analysis.study.audits import audit_rows
from nullgrad.analysis.study.trajectory import MeanOver

if TYPE_CHECKING:
    from nullgrad.analysis.study.contrasts import StudyContrast
    from nullgrad.analysis.study.result import StudyResult

TABLES = (
    "contrasts", "arms", "trials", "trajectory", "diversity", "verdicts", "critic", "best_of_k", "selection", "ladder", "audits",
)  # fmt: skip
"""Every table, in order."""


def rounded(value: float) -> float:
    """To the places of every result; never −0."""
    return round(value, PLACES) + 0.0


class TableRow:
    """A row being filled; what is not estimable leaves its reason."""

    def __init__(self, **values: Any) -> None:
        self.values: dict[str, Any] = dict(values)
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: Estimate | None, factor: float = 1.0) -> None:
        """A number, rounded."""
        if isinstance(value, NotEstimable):
            self.values[name] = None
            self.reasons[name] = value.reason
        else:
            self.values[name] = None if value is None else rounded(factor * value)

    def ends(self, low: str, high: str, interval: Interval | NotEstimable, factor: float = 1.0) -> None:
        """Both ends of an interval."""
        for name, place in ((low, 0), (high, 1)):
            if isinstance(interval, NotEstimable):
                self.put(name, interval)
            else:
                self.put(name, (interval.low, interval.high)[place], factor)

    def over(self, over: MeanOver) -> None:
        """A mean over trials with its interval."""
        self.values["n"] = over.n
        self.put("mean", over.mean)
        self.put("sd", over.sd)
        self.ends("low", "high", over.interval)

    def done(self) -> dict[str, Any]:
        """The row; equal reasons are said once."""
        said: dict[str, list[str]] = {}
        for name, reason in self.reasons.items():
            said.setdefault(reason, []).append(name)
        text = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in said.items())
        return {**self.values, "not_estimable": text}


def tables(result: StudyResult) -> dict[str, list[dict[str, Any]]]:
    """Every table by name; the column `simulated` of each says whether a simulation answered in the row's cell."""
    found = {
        "contrasts": [contrast_row(one) for one in result.contrasts],
        "arms": _arms(result),
        "trials": _trials(result),
        "trajectory": _trajectory(result),
        "diversity": _diversity(result),
        "verdicts": _verdicts(result),
        "critic": _critic(result),
        "best_of_k": _best_of_k(result),
        "selection": _selection(result),
        "ladder": _ladder(result),
        "audits": audit_rows(result.audits),
    }
    of_cell = {cell.name: _simulated(result, cell.model) for cell in result.cells}
    # A contrast of two models stands in no single cell.
    other = bool(result.simulated)
    return {
        name: [{**row, "simulated": of_cell.get(row.get("cell", ""), other)} for row in rows]
        for name, rows in found.items()
    }


def _simulated(result: StudyResult, model: str) -> bool:
    """Whether a simulation plays a role under a cell's model; with one model alone, roles are named without it."""
    known = set(result.simulated)
    own = [played for name, played in result.models if name.rpartition(" ")[0] == model]
    return bool(known & set(own or [played for _, played in result.models]))


def contrast_row(one: StudyContrast) -> dict[str, Any]:
    """One contrast; the interval `low_points` to `high_points` is (i) on this split, `population_…` (ii)."""
    row = TableRow(
        cell=one.cell, task=one.task, model=one.model, family=one.family, name=one.name, kind=one.kind, role=one.role,
        first=one.first, second=one.second, on=one.on, labels=one.labels, family_size=one.size,
    )  # fmt: skip
    none = NotEstimable("a trend has no difference")
    result = one.result
    for number, name in enumerate(("first", "second")):
        row.values[f"n_{name}"] = None if result is None else result.n[number]
        row.values[f"dropped_{name}"] = None if result is None else result.dropped[number]
        row.put(f"mean_{name}", none if result is None else result.means[number])
    row.values["not_run"] = one.not_run
    row.put("difference_points", one.difference, 100)
    row.ends("low_points", "high_points", none if result is None else result.interval, 100)
    row.values["level"] = None if result is None else round(result.level, PLACES)
    row.values["method"] = "permutation" if result is None else result.method
    population = one.population.interval if isinstance(one.population, DifferenceInterval) else one.population
    row.ends("population_low_points", "population_high_points", population, 100)
    row.values["population_verdict"] = one.population_verdict
    row.put("p", one.p)
    row.put("p_opposite", one.p_opposite)
    row.put("alpha", one.alpha)
    row.put("p_bonferroni", one.p_bonferroni)
    row.put("p_holm", one.p_holm)
    row.put("attainable_p", one.attainable)
    row.put("g", none if result is None else result.g)
    row.put("detectable_points", none if result is None else result.detectable, 100)
    row.put("margin_points", one.margin, 100)
    row.put("power_at_margin", none if result is None else result.power_at_margin)
    row.put("equality_chance", none if result is None else result.equality_chance)
    row.put("p_equivalence", none if result is None else result.p_equivalence)
    row.put("p_equivalence_bonferroni", one.p_equivalence_bonferroni)
    row.put("p_equivalence_holm", one.p_equivalence_holm)
    row.put("tau", _tau(one))
    row.values |= {
        "verdict": one.verdict,
        "within_margin": False if result is None else result.within_margin,
        "reason": one.reason,
        "look": one.look,
        "stop": one.stop,
        "biased": one.biased,
        "published": one.published,
    }
    return row.done()


def _tau(one: StudyContrast) -> Estimate | None:
    return one.trend.tau if isinstance(one.trend, Trend) else one.trend


def cell_rows(result: StudyResult) -> list[dict[str, Any]]:
    """The cells."""
    return [
        {
            "cell": cell.name,
            "task": cell.task,
            "model": cell.model,
            "test_examples": cell.test_examples,
            "complete_blocks": cell.blocks,
        }
        for cell in result.cells
    ]


def signature_rows(result: StudyResult) -> list[dict[str, Any]]:
    """The failure signatures that were seen."""
    return [
        {"cell": one.cell, "signature": one.name, "evidence": list(one.evidence)} for one in result.signatures
    ]


def _arms(result: StudyResult) -> list[dict[str, Any]]:
    found = []
    for one in result.arms:
        row = TableRow(cell=one.cell, arm=one.arm, declared=one.declared, started=one.started)
        row.over(one.over)
        row.values |= {
            "incomplete": one.incomplete,
            "answers": one.answers,
            "unparsed": one.unparsed,
            "failed": one.failed,
            "proposals": one.proposals,
            "unparsed_proposals": one.unparsed_proposals,
        }
        found.append(row.done())
    return found


def _trials(result: StudyResult) -> list[dict[str, Any]]:
    return [
        {
            "cell": one.cell,
            "arm": one.arm,
            "trial": one.trial,
            "complete": one.complete,
            "score": None if one.score is None else round(one.score, PLACES),
            "unparsed": one.unparsed,
            "failed": one.failed,
            "steps": one.steps,
            "changed": one.changed,
            "candidate": one.candidate,
            "prompt": one.prompt,
        }
        for one in result.trials
    ]


def _trajectory(result: StudyResult) -> list[dict[str, Any]]:
    found = []
    for one in result.trajectory:
        row = TableRow(cell=one.cell, arm=one.arm, measure=one.measure, unit=one.unit, at=one.at)
        row.over(one.over)
        found.append(row.done())
    return found


def _diversity(result: StudyResult) -> list[dict[str, Any]]:
    found = []
    for one in result.diversity:
        row = TableRow(cell=one.cell, arm=one.arm, step=one.step, trials=one.trials)
        row.put("candidates", one.candidates)
        row.put("duplicates", one.duplicates)
        row.put("distance", one.distance)
        row.values |= {"pairs": one.pairs, "possible_pairs": one.possible}
        row.put("disagreement", one.disagreement)
        found.append(row.done())
    return found


def _verdicts(result: StudyResult) -> list[dict[str, Any]]:
    return [
        {
            "cell": one.cell,
            "task": one.task,
            "model": one.model,
            "selection": one.selection,
            "prediction": one.prediction,
            "verdict": one.word,
            "says": one.text,
            "evidence": "; ".join(item.text for item in one.evidence),
            "signatures": "; ".join(one.signatures),
        }
        for one in result.verdicts
    ]


def _critic(result: StudyResult) -> list[dict[str, Any]]:
    found = []
    for one in result.critic:
        row = TableRow(
            cell=one.cell, arm=one.arm, by=one.by, at=one.at, judged=one.judged, missing=one.missing
        )
        row.over(one.agreement)
        row.put("judged_mean", one.judged_mean)
        row.put("true_mean", one.true_mean)
        row.put("rank_correlation", one.rank_correlation)
        found.append(row.done())
    return found


def _best_of_k(result: StudyResult) -> list[dict[str, Any]]:
    found = []
    for one in result.best_of_k:
        row = TableRow(cell=one.cell, arm=one.arm, step=one.step, k=one.k)
        row.over(one.over)
        found.append(row.done())
    return found


def _selection(result: StudyResult) -> list[dict[str, Any]]:
    found = []
    for one in result.winners:
        row = TableRow(
            cell=one.cell, arm=one.arm, labels=one.labels, adaptive=one.adaptive, trials=one.trials,
            candidates=one.candidates,
        )  # fmt: skip
        row.put("claimed", one.claimed)
        row.put("corrected", one.corrected)
        row.put("out_of_bag", one.out_of_bag)
        row.put("inflation", one.inflation)
        row.put("final_claimed", one.final_claimed.mean)
        row.put("final_test", one.final_test.mean)
        found.append(row.done())
    return found


def _ladder(result: StudyResult) -> list[dict[str, Any]]:
    found = []
    for one in result.ladders:
        for step in one.ladder.steps:
            row = TableRow(
                cell=one.cell, top=one.top, ingredient=step.ingredient, arm=step.arm, blocks=one.ladder.blocks
            )
            none = NotEstimable("the seed prompt" if step.effect is None else "no variance over blocks")
            row.put("score", step.score)
            row.put("effect_points", none if step.effect is None else step.effect, 100)
            row.ends("low_points", "high_points", step.interval or none, 100)
            row.ends("simultaneous_low_points", "simultaneous_high_points", step.simultaneous or none, 100)
            row.put("detectable_points", none if step.detectable is None else step.detectable, 100)
            row.values |= {"told": step.told, "missing_decides": step.missing_decides}
            found.append(row.done())
    return found

"""The A/A test of an optimizer: what it claims where no prompt can help, and what keeps that small."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import fmean, stdev
from typing import Any

from nullgrad.analysis.calibration.rates import Rate
from nullgrad.analysis.serialize import PLACES
from nullgrad.analysis.stats.intervals import Interval, normal_quantile
from nullgrad.analysis.written import Written


@dataclass(frozen=True, slots=True)
class PhantomRun:
    """One run where no prompt has any effect; shares.

    Attributes:
        claimed: gain over the seed prompt on the examples that the optimizer selects on.
        fresh: gain of the same prompt on fresh examples.
        candidates: new prompts that the optimizer chose among.
    """

    claimed: float
    fresh: float
    candidates: int


@dataclass(frozen=True, slots=True)
class PhantomMean:
    """A mean gain over runs with its normal 95 % interval; shares."""

    mean: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class PhantomRow:
    """Runs under one condition.

    Attributes:
        validation: examples that the optimizer selects on.
        rho: correlation of the answers of different prompts to one example.
        budget: update steps, or what else the optimizer's budget counts.
        candidates: new prompts per run, on average.
        runs: how many.
        claimed: gain on the selection set.
        some_gain: runs that claim more than 0.
        fresh: gain on fresh examples.
    """

    validation: int
    rho: float
    budget: int
    candidates: float
    runs: int
    claimed: PhantomMean
    some_gain: Rate
    fresh: PhantomMean

    def under(self, size: float) -> bool:
        """Whether the phantom gain is shown to be under a size: the upper end of its interval is."""
        return self.claimed.interval.high < size


def phantom_row(validation: int, rho: float, budget: int, runs: Sequence[PhantomRun]) -> PhantomRow:
    """Runs under one condition, two at least."""
    return PhantomRow(
        validation,
        rho,
        budget,
        fmean(run.candidates for run in runs),
        len(runs),
        _mean([run.claimed for run in runs]),
        Rate(sum(run.claimed > 1e-12 for run in runs), len(runs)),
        _mean([run.fresh for run in runs]),
    )


def _mean(values: Sequence[float]) -> PhantomMean:
    half = normal_quantile(0.95) * stdev(values) / sqrt(len(values))
    mean = fmean(values)
    return PhantomMean(mean, Interval(mean - half, mean + half))


@dataclass(frozen=True, slots=True)
class Advice:
    """What keeps the phantom gain under the stated size at one correlation.

    Attributes:
        rho: the correlation.
        kept: (validation examples, budget, candidates): for each tested number of examples the largest tested budget
            up to which every budget keeps it; numbers that no budget keeps are left out.
        needed: (budget, candidates, validation examples): for each tested budget how many examples would be needed, by
            the root law, or fewer that were shown to be enough; 0 where nothing is claimed.
    """

    rho: float
    kept: tuple[tuple[int, int, float], ...]
    needed: tuple[tuple[int, float, int], ...]


@dataclass(frozen=True, slots=True)
class PhantomResult(Written):
    """The A/A test of one optimizer.

    Attributes:
        optimizer: its name, of an arm the canonical form.
        world, version: what simulated it, of nullgrad.
        rows: by rho, validation examples and budget.
        size: the stated size, a share.
        advice: by rho, ascending.
        test: fresh examples per run.
        seed: of the runs.
        selects: whether the optimizer chooses on validation at all.
        unit: what budgets count: `steps`, `calls`, or `calls per validation example`.
        package: of a third-party optimizer, with its release; "" for nullgrad's arms.
    """

    optimizer: str
    world: str
    version: str
    rows: tuple[PhantomRow, ...]
    size: float
    advice: tuple[Advice, ...]
    test: int
    seed: int
    selects: bool
    unit: str = "steps"
    package: str = ""

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tidy tables; gains in points."""
        return {"phantom": [self._row(row) for row in self.rows], "recommendation": self._advice()}

    def _row(self, row: PhantomRow) -> dict[str, Any]:
        share = row.some_gain.interval
        return {
            "optimizer": self.optimizer,
            "simulated": self.world,
            "validation": row.validation,
            "rho": row.rho,
            "budget": row.budget,
            "candidates": _rounded(row.candidates),
            "runs": row.runs,
            "claimed_points": _rounded(100 * row.claimed.mean),
            "claimed_low_points": _rounded(100 * row.claimed.interval.low),
            "claimed_high_points": _rounded(100 * row.claimed.interval.high),
            "share_with_gain": _rounded(row.some_gain.share),
            "share_low": _rounded(share.low),
            "share_high": _rounded(share.high),
            "fresh_points": _rounded(100 * row.fresh.mean),
            "fresh_low_points": _rounded(100 * row.fresh.interval.low),
            "fresh_high_points": _rounded(100 * row.fresh.interval.high),
            "under": row.under(self.size),
        }

    def _advice(self) -> list[dict[str, Any]]:
        return [
            {
                "optimizer": self.optimizer,
                "simulated": self.world,
                "rho": one.rho,
                "budget": budget,
                "candidates": _rounded(candidates),
                "size_points": _rounded(100 * self.size),
                "validation_needed": needed,
            }
            for one in self.advice
            for budget, candidates, needed in one.needed
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON values: gains in points, rates as shares."""
        return {
            "nullgrad": self.version,
            "optimizer": self.optimizer,
            "simulated": [self.world],
            "size_points": _rounded(100 * self.size),
            "test_examples": self.test,
            "seed": self.seed,
            "selects_on_validation": self.selects,
            "budget_unit": self.unit,
            "package": self.package or None,
            "tables": self.tables(),
            "kept": [
                {"rho": one.rho, "validation": examples, "budget": budget, "candidates": _rounded(candidates)}
                for one in self.advice
                for examples, budget, candidates in one.kept
            ],
        }


def _rounded(value: float) -> float:
    return round(value, PLACES) + 0.0


def advise(rows: Iterable[PhantomRow], size: float) -> tuple[Advice, ...]:
    """Recommendation by rho.

    The mean of the best of k equal candidates is above the truth by a multiple of the standard error of one, so that the
    phantom gain of a budget falls with the root of the number of examples: `needed` takes the mean of gain·√examples over
    the tested numbers, weighted by their precision, and of it the upper end of the 95 % interval.
    """
    by_rho: dict[float, list[PhantomRow]] = {}
    for row in rows:
        by_rho.setdefault(row.rho, []).append(row)
    return tuple(Advice(rho, _kept(own, size), _needed(own, size)) for rho, own in sorted(by_rho.items()))


def _kept(rows: Sequence[PhantomRow], size: float) -> tuple[tuple[int, int, float], ...]:
    found: list[tuple[int, int, float]] = []
    for examples in sorted({row.validation for row in rows}):
        last: PhantomRow | None = None
        for row in sorted((row for row in rows if row.validation == examples), key=lambda row: row.budget):
            if not row.under(size):
                break
            last = row
        if last is not None:
            found.append((examples, last.budget, last.candidates))
    return tuple(found)


def _needed(rows: Sequence[PhantomRow], size: float) -> tuple[tuple[int, float, int], ...]:
    found: list[tuple[int, float, int]] = []
    for budget in sorted({row.budget for row in rows}):
        own = [row for row in rows if row.budget == budget]
        shown = [row.validation for row in own if row.under(size)]
        law = ceil((max(0.0, _constant(own)) / size) ** 2)
        found.append((budget, fmean(row.candidates for row in own), min([law, *shown])))
    return tuple(found)


def _constant(rows: Sequence[PhantomRow]) -> float:
    """Upper end of the interval of gain·√examples, 0 where there is no variance and so no gain."""
    z = normal_quantile(0.95)
    weighted = weights = 0.0
    for row in rows:
        error = (row.claimed.interval.high - row.claimed.mean) / z * sqrt(row.validation)
        if error > 0:
            weights += error**-2
            weighted += row.claimed.mean * sqrt(row.validation) * error**-2
    return weighted / weights + z / sqrt(weights) if weights else 0.0

"""The frozen result of the instrument's own test: what every surface prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nullgrad.analysis.calibration.battery import VERDICTS
from nullgrad.analysis.calibration.decomposition import DecompositionRates, too_silent
from nullgrad.analysis.calibration.rates import (
    Finding,
    Rate,
    WorldRates,
    confidence,
    exceeded,
    silent,
)
from nullgrad.analysis.serialize import PLACES
from nullgrad.analysis.stats.estimate import Design, Estimate, NotEstimable
from nullgrad.analysis.written import Written

TABLES = ("verdicts", "predictions", "contrasts", "families", "decomposition")
"""Every table, in order."""


@dataclass(frozen=True, slots=True)
class SelfCalibration(Written):
    """What nullgrad's verdicts are worth in worlds whose truth is known.

    Attributes:
        version: of nullgrad.
        size: `ci` or `nightly`.
        worlds: (name, as a model is written).
        alpha: of each family, in its declared direction.
        designs: of the draws.
        trials: numbers of trials of the studies.
        studies: of each design at the largest of them.
        truth_trials: simulated trials of each arm, over all studies, by which truth is averaged.
        steps, batch_size, splits: of every study: update steps, examples a step, (train, validation, test).
        margin: of every contrast, a share.
        rates: by world, design and number of trials.
        decomposition: by world; () where it was not tested.
        seed: of everything.
    """

    version: str
    size: str
    worlds: tuple[tuple[str, str], ...]
    alpha: float
    designs: tuple[Design, ...]
    trials: tuple[int, ...]
    studies: int
    truth_trials: int
    steps: int
    batch_size: int
    splits: tuple[int, int, int]
    margin: float
    rates: tuple[WorldRates, ...]
    decomposition: tuple[DecompositionRates, ...]
    seed: int

    @property
    def too_often_wrong(self) -> tuple[Finding, ...]:
        """Declared rates of error that are exceeded."""
        families = [family for one in self.rates for family in one.families]
        sure = confidence(len(self.decomposition))
        return exceeded(families) + tuple(
            Finding(
                one.world,
                f"{one.world}, gain decomposition: wrong in {100 * one.wrong.share:.1f} % of {one.wrong.n} audits, "
                f"declared {100 * one.level:.3g} %",
            )
            for one in self.decomposition
            if one.wrong.above(one.level, sure)
        )

    @property
    def too_silent(self) -> tuple[Finding, ...]:
        """Contrasts and kinds of gain that are rightly told less often than power analysis plans."""
        contrasts = [contrast for one in self.rates for contrast in one.contrasts]
        return silent(contrasts) + too_silent(self.decomposition)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tidy tables, one dictionary a row; rates are shares, differences are in points."""
        return {
            "verdicts": list(self._verdicts()),
            "predictions": list(self._predictions()),
            "contrasts": list(self._contrasts()),
            "families": list(self._families()),
            "decomposition": list(self._decomposition()),
        }

    def _simulated(self, world: str) -> dict[str, Any]:
        return {"world": world, "simulated": dict(self.worlds)[world]}

    def _verdicts(self) -> Iterator[dict[str, Any]]:
        for rates in self.rates:
            for one in rates.confusion:
                yield {
                    **self._simulated(one.world),
                    "design": one.design,
                    "trials": one.trials,
                    "truth": one.truth,
                    "contrasts": one.contrasts,
                    "studies": one.studies,
                    **{verdict.replace(" ", "_"): _rounded(one.share(verdict)) for verdict in VERDICTS},
                    "wrong": _rounded(one.wrong),
                    "wrong_low": _rounded(one.interval.low),
                    "wrong_high": _rounded(one.interval.high),
                    "right": _rounded(one.right),
                    "planned": None if one.planned is None else _rounded(one.planned),
                }

    def _predictions(self) -> Iterator[dict[str, Any]]:
        for rates in self.rates:
            for one in rates.predictions:
                yield {
                    **self._simulated(one.world),
                    "design": one.design,
                    "trials": one.trials,
                    "prediction": one.prediction,
                    "selection": one.selection,
                    "studies": one.wrong.n,
                    **{
                        word.replace(" ", "_"): _rounded(count / one.wrong.n)
                        for word, count in one.words.items()
                    },
                    "right_words": " or ".join(one.truth),
                    **_rate("wrong", one.wrong),
                }

    def _contrasts(self) -> Iterator[dict[str, Any]]:
        for rates in self.rates:
            for one in rates.contrasts:
                yield {
                    **self._simulated(one.world),
                    "design": one.design,
                    "trials": one.trials,
                    "contrast": one.contrast,
                    "family": one.family,
                    "studies": one.studies,
                    "true_points": _rounded(100 * one.truth.mean),
                    "true_error_points": _rounded(100 * one.truth.error),
                    "sd_points": _rounded(100 * one.truth.sd),
                    **{verdict.replace(" ", "_"): _rounded(one.rate(verdict).share) for verdict in VERDICTS},
                    "alpha": _rounded(one.alpha),
                    **_rate("wrong", one.wrong),
                    **_rate("right", one.right),
                    "planned": _known(one.planned),
                    "power": _known(one.power),
                    "not_estimable": one.planned.reason if isinstance(one.planned, NotEstimable) else "",
                }

    def _families(self) -> Iterator[dict[str, Any]]:
        for rates in self.rates:
            for one in rates.families:
                yield {
                    **self._simulated(one.world),
                    "design": one.design,
                    "trials": one.trials,
                    "family": one.family,
                    "contrasts": one.contrasts,
                    "studies": one.wrong.n,
                    "alpha": _rounded(one.alpha),
                    **{
                        key: value
                        for verdict, rate in one.by_verdict.items()
                        for key, value in _rate(f"wrong_{verdict}", rate).items()
                    },
                    **_rate("wrong", one.wrong),
                }

    def _decomposition(self) -> Iterator[dict[str, Any]]:
        for one in self.decomposition:
            yield {
                **self._simulated(one.world),
                "audits": one.wrong.n,
                "validation_examples": one.validation,
                "test_examples": one.test,
                "truth": dict(sorted(one.kinds.items())),
                "verdicts": dict(sorted(one.verdicts.items())),
                "large_gains": one.gained.n,
                "told": _rounded(one.gained.share),
                "level": one.level,
                **_rate("wrong", one.wrong),
                **_rate("shifts", one.shifts),
                "planned_audits": one.right.n,
                "planned": None if one.planned is None else _rounded(one.planned),
                **_rate("right", one.right),
            }

    def to_dict(self) -> dict[str, Any]:
        """JSON values: rates as shares, differences in points."""
        return {
            "nullgrad": self.version,
            "size": self.size,
            "simulated": [spec for _, spec in self.worlds],
            "worlds": dict(self.worlds),
            "alpha": self.alpha,
            "designs": list(self.designs),
            "trials": list(self.trials),
            "studies": self.studies,
            "truth_trials": self.truth_trials,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "splits": dict(zip(("train", "validation", "test"), self.splits, strict=True)),
            "margin_points": _rounded(100 * self.margin),
            "seed": self.seed,
            "tables": self.tables(),
            "too_often_wrong": [one.text for one in self.too_often_wrong],
            "too_silent": [one.text for one in self.too_silent],
        }


def _rate(name: str, rate: Rate) -> dict[str, Any]:
    interval = rate.interval
    return {
        name: _rounded(rate.share),
        f"{name}_low": _rounded(interval.low),
        f"{name}_high": _rounded(interval.high),
    }


def _known(value: Estimate) -> float | None:
    return None if isinstance(value, NotEstimable) else _rounded(value)


def _rounded(value: float) -> float:
    return round(value, PLACES) + 0.0

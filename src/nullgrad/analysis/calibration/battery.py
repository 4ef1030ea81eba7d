"""The battery that the instrument is tested with: arms, declared contrasts, and their verdicts from trial scores alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nullgrad.analysis.stats.contrast import Verdict, decided
from nullgrad.analysis.stats.differences import difference_interval
from nullgrad.analysis.stats.estimate import Floats, NotEstimable
from nullgrad.analysis.study.contrasts import StudyContrast
from nullgrad.analysis.study.look import family_size
from nullgrad.analysis.study.verdicts import VerdictLine, study_verdicts
from nullgrad.core.arms import parse_arm
from nullgrad.core.study import ContrastSpec, Study

VERDICTS: tuple[Verdict, ...] = ("supported", "contradicted", "equal", "cannot tell")
"""Codes of the verdicts are their places here."""

Codes = NDArray[np.int8]

MARGIN = 0.05
"""Of every contrast of the battery: 5 points."""

ARMS = (
    "rewrite/none/naive",
    "improve/none/naive",
    "one-step/correct/naive",
    "gradient/none/naive",
    "gradient/shuffled/naive",
    "gradient/wrong/naive",
    "gradient/correct/naive",
    "gradient/correct/validated@1",
    "gradient/correct/random@3",
    "gradient/correct/best@3",
)
"""The paper's controls around one treatment."""

_FAMILIES: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "chain": [("chain", "gradient/correct/naive", "one-step/correct/naive")],
    "labels": [
        ("wrong labels", "gradient/correct/naive", "gradient/wrong/naive"),
        ("shuffled labels", "gradient/correct/naive", "gradient/shuffled/naive"),
    ],
    "evaluation": [("no evaluation", "gradient/correct/naive", "gradient/none/naive")],
    "examples": [("need for examples", "gradient/correct/naive", "improve/none/naive")],
    "prompt-only": [
        ("rewrite vs seed", "rewrite/none/naive", "seed"),
        ("improve vs seed", "improve/none/naive", "seed"),
    ],
    "guard": [("guard", "gradient/correct/validated@1", "gradient/correct/naive")],
    "drawing": [
        ("best vs naive", "gradient/correct/best@3", "gradient/correct/naive"),
        ("best vs random", "gradient/correct/best@3", "gradient/correct/random@3"),
    ],
}


@lru_cache(maxsize=1)
def battery() -> tuple[ContrastSpec, ...]:
    """The declared contrasts, family by family."""
    return tuple(
        ContrastSpec(name, family, "arms", (parse_arm(better), parse_arm(than)), margin=MARGIN)
        for family, contrasts in _FAMILIES.items()
        for name, better, than in contrasts
    )


def decide(study: Study, spec: ContrastSpec, first: Floats, second: Floats) -> Verdict:
    """The verdict of a contrast of complete trials: what `analyse_study` reads off the same interval.

    Args:
        study: that declares it.
        spec: the contrast, of two arms.
        first, second: scores by trial, shape (trials,); in the paired design in the order of the blocks.
    """
    return decided(
        lambda level: difference_interval(first, second, study.design, level=level),
        study.alpha / family_size(study, spec.family),
        spec.margin,
    )[1]


def decide_all(study: Study, scores: Mapping[str, Floats]) -> Codes:
    """Codes of the verdicts of every contrast, shape (contrasts,).

    Args:
        study: that declares them; its seed is the seed of resamples.
        scores: by canonical arm (the seed prompt as `seed`), by trial.
    """
    return np.array(
        [
            VERDICTS.index(decide(study, spec, *(scores[arm.canonical] for arm in spec.arms)))
            for spec in study.contrasts
        ],
        dtype=np.int8,
    )


def lines_of(study: Study, verdicts: Sequence[Verdict]) -> tuple[VerdictLine, ...]:
    """The predictions of the gradient hypothesis as these verdicts of the contrasts decide them."""
    cell = study.cells[0]
    unknown = NotEstimable("the verdict alone is at hand")
    return study_verdicts(
        study,
        [
            StudyContrast(
                name=spec.name, family=spec.family, kind=spec.kind, role="declared", cell=cell.name,
                task=cell.task_name, model=cell.model_name, arms=spec.arms, first=spec.arms[0].canonical,
                second=spec.arms[1].canonical, labels="", on="test", size=family_size(study, spec.family),
                margin=spec.margin, result=None, trend=unknown, population=unknown, population_verdict="cannot tell",
                p=unknown, p_opposite=unknown, p_bonferroni=unknown, p_holm=unknown, p_equivalence_bonferroni=unknown,
                p_equivalence_holm=unknown, attainable=unknown, alpha=study.alpha / family_size(study, spec.family),
                verdict=verdict, reason=verdict, not_run=0, look=0, stop="", biased=False, published="",
            )
            for spec, verdict in zip(study.contrasts, verdicts, strict=True)
        ],
    )  # fmt: skip


__all__ = ["ARMS", "MARGIN", "VERDICTS", "Codes", "battery", "decide", "decide_all", "lines_of"]
